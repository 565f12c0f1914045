"""A signed source of packages for apt, made with the real gpg: the key is made for the moment, and its home is gone afterwards."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

SECONDS = 60


def sign_repository(folder: Path) -> str:
    """Put a Release file and its signature into a flat source of packages; give the public key, armored."""
    index = (folder / "Packages").read_bytes()
    line = f" {hashlib.sha256(index).hexdigest()} {len(index)} Packages\n"
    (folder / "Release").write_text(
        f"Origin: Tests\nSuite: stable\nDate: Sat, 28 Nov 2026 00:00:00 UTC\nSHA256:\n{line}", encoding="utf-8"
    )
    # A short path, for gpg's agent listens on a socket in it.
    with tempfile.TemporaryDirectory(prefix="gpg-") as home:
        try:
            _gpg(home, "--quick-gen-key", "Tests <tests@example.org>", "default", "default", "never")
            _gpg(home, "--clearsign", "--output", str(folder / "InRelease"), str(folder / "Release"))
            return _gpg(home, "--armor", "--export", "tests@example.org")
        finally:
            subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False, timeout=SECONDS)


def _gpg(home: str, *arguments: str) -> str:
    command = [
        "gpg",
        "--homedir",
        home,
        "--batch",
        "--yes",
        "--quiet",
        "--passphrase",
        "",
        "--pinentry-mode",
        "loopback",
        *arguments,
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=SECONDS, check=False, env={**os.environ, "LC_ALL": "C"}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
