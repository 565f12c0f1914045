"""`python -m webhooks.auth.hash`: ask for a password (or read one line of standard input) and print the hash for the settings file.

The password is never an argument, since arguments are seen by everybody on the machine.
"""

from __future__ import annotations

import getpass
import secrets
import sys

from webhooks.auth.passwords import MAX_PASSWORD, hash_password

SHORTEST = 8


def main() -> int:
    """Print one line; exit 1 when the password is too short, too long, or the two entries differ."""
    if sys.stdin.isatty():
        password = getpass.getpass("Password: ")
        if getpass.getpass("Again: ") != password:
            sys.stderr.write("the two differ\n")
            return 1
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not SHORTEST <= len(password) <= MAX_PASSWORD:
        sys.stderr.write(f"a password has {SHORTEST} to {MAX_PASSWORD} characters\n")
        return 1
    sys.stdout.write(f"{hash_password(password, secrets.token_bytes(16))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
