"""The service's own secret for sessions, and the ids of sessions that were logged out: two small files in the data folder.

Takes the folder; gives 32 bytes, made on first use, readable by the service's user alone. Replicas on one data folder share both.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from datetime import datetime
from pathlib import Path

from gitops.errors import MalformedError, UsageError
from gitops.model.codec import format_time, parse_time

SECRET_BYTES = 32
MOST_REVOKED = 10_000


def read_secret(folder: Path, fresh: bytes) -> bytes:
    """Read `session.key`, or write `fresh` (32 random bytes) there first; whoever loses a race reads the winner's."""
    path = folder / "session.key"
    folder.mkdir(parents=True, exist_ok=True)
    if path.exists():
        return _read(path)
    descriptor, name = tempfile.mkstemp(prefix=".session-", dir=folder)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(fresh)
    with contextlib.suppress(FileExistsError):
        path.hardlink_to(name)
    Path(name).unlink()
    return _read(path)


class Revoked:
    """Sessions that ended before their time; kept until that time is over."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, ident: str, expires: datetime, now: datetime) -> None:
        """End a session for good."""
        kept = [*((name, at) for name, at in self._read() if at > now), (ident, expires)][-MOST_REVOKED:]
        beside = self._path.with_suffix(".new")
        beside.write_text("".join(f"{name} {format_time(at)}\n" for name, at in kept), encoding="utf-8")
        beside.replace(self._path)

    def has(self, ident: str) -> bool:
        """Say whether a session was ended."""
        return any(name == ident for name, _ in self._read())

    def _read(self) -> list[tuple[str, datetime]]:
        try:
            rows = self._path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        found: list[tuple[str, datetime]] = []
        for row in rows:
            name, _, at = row.partition(" ")
            try:
                found.append((name, parse_time(at)))
            except MalformedError:
                continue
        return found


def _read(path: Path) -> bytes:
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise UsageError(f"{path} can be read by others (mode {mode:04o})", code="U063", hint=f"chmod 600 {path}")
    secret = path.read_bytes()
    if len(secret) != SECRET_BYTES:
        raise UsageError(
            f"{path} has {len(secret)} bytes, expected {SECRET_BYTES}", code="U063", hint="remove it; everybody logs in again"
        )
    return secret
