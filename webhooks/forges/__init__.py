"""Forges: where pull requests live. `port.py` says what the service needs of one; a module each for GitHub and the local one."""
