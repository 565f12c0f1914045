"""Trueup: Git-native configuration management. Typed config in Git, plans that reviewers approve, releases that hosts verify."""

__version__ = "0.1.0"
