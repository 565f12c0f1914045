"""Releases: build the tree, sign it, commit it on the release branch, push it without losing a race."""
