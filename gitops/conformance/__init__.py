"""Conformance: the laws that every resource kind obeys, tried on a throw-away root or with a provider's real program."""
