"""Ask the remote for its tip, and bring what is new into the quarantine, by a child with bounds (`agent.download`).

Gives the tip and, opened from the quarantine, candidates that nobody has checked yet. The child never sees a secret, a credential or
the signing keys; it is killed when it outlives its own clock. Unreachable is RemoteError (exit 7), too large is TrustError (exit 6).
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from agent.documents import DOWNLOAD_SCHEMA, FETCH_MEMORY
from gitops.errors import BugError, MalformedError, RemoteError, TrustError
from gitops.model.codec import decode_json
from gitops.model.fields import Fields

GRACE_SECONDS = 15
SHOWN = 300


@dataclass(frozen=True)
class Remote:
    """Whom to ask and how: address, branch, the host whose files are wanted, the quarantine, and how ssh is called."""

    url: str
    branch: str
    host: str
    store: Path
    ssh_command: str
    seconds: int
    environment: dict[str, str]
    memory: int = FETCH_MEMORY


def fetch_tip(remote: Remote, known: str) -> str:
    """Give the branch's tip; when it is not `known`, it lies in the quarantine with all that the host needs of it."""
    return _download(remote, known=known)


def fetch_chain(remote: Remote, tip: str, depth: int) -> None:
    """Bring the `depth` newest releases up to the tip: what is signed in them, and who approved."""
    _download(remote, tip=tip, depth=depth)


def show_url(url: str) -> str:
    """Give an address without the name and password that it may hold."""
    if "://" not in url:
        return url
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if parts.scheme.startswith("http") else url


def _download(remote: Remote, *, known: str = "", tip: str = "", depth: int = 1) -> str:
    request = {
        "schema": DOWNLOAD_SCHEMA,
        "url": remote.url,
        "branch": remote.branch,
        "store": str(remote.store),
        "host": remote.host,
        "known": known,
        "depth": depth,
        "tip": tip,
        "ssh_command": remote.ssh_command,
        "seconds": remote.seconds,
        "memory": remote.memory,
    }
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-B", "-m", "agent.download"],
            input=json.dumps(request).encode(),
            capture_output=True,
            check=False,
            cwd="/",
            env=remote.environment,
            timeout=remote.seconds + GRACE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise RemoteError(f"{show_url(remote.url)}: no answer within {remote.seconds} seconds", code="R112") from None
    if done.returncode == -signal.SIGKILL:
        message = f"{show_url(remote.url)}: the fetching child was killed, as when memory runs out"
        raise TrustError(message, code="T113", hint="what the remote sends is more than this machine holds; see its kernel's log")
    if done.returncode != 0 or not done.stdout:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        detail = _hide(lines[-1][:SHOWN] if lines else f"status {done.returncode}", remote.url)
        raise RemoteError(f"{show_url(remote.url)}: fetching failed: {detail}", code="R115")
    return _read_answer(done.stdout, remote.url)


def _read_answer(data: bytes, url: str) -> str:
    try:
        fields = Fields(decode_json(data), "download")
        fields.schema(DOWNLOAD_SCHEMA)
        if not fields.has("error"):
            return fields.text("tip")
        error = Fields(fields.raw("error"), "download error")
        code, message, hint = error.text("code"), error.text("message"), error.text("hint")
        kind = TrustError if error.integer("exit") == TrustError.exit_status else RemoteError
    except MalformedError as error:
        raise BugError(f"the fetching child answered {error.message}", code="B040") from error
    raise kind(_hide(f"{show_url(url)}: {message}", url), code=code, hint=hint)


def _hide(text: str, url: str) -> str:
    password = urlsplit(url).password if "://" in url else None
    if not password:
        return text
    return text.replace(url, show_url(url)).replace(password, "…").replace(unquote(password), "…")
