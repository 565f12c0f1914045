"""Frozen nouns that travel between the rooms. Standard library only, Python 3.9 and later; no process, socket, file or clock."""
