r"""Sessions: a signed cookie that says who is logged in until when, and the CSRF tokens that belong to it.

Takes the service's secret (32 bytes kept in the data folder, 0600) and the time; gives texts and Sessions back. A cookie is
`base64(id \n user \n expires \n stamp) . HMAC-SHA-256`; the stamp changes with the user's password, so that a new password ends old
sessions. Logging in always makes a new id (no fixation). Visitors have a session too, with no user, so that the login form has a token.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

from gitops.errors import MalformedError
from gitops.model.codec import format_time, parse_time
from webhooks.auth.users import User

LIFETIME = timedelta(hours=8)
MAX_COOKIE = 1024
PARTS = 4


@dataclass(frozen=True)
class Session:
    """One browser; `user` is empty until somebody has logged in."""

    ident: str
    user: str
    expires: datetime
    stamp: str = ""


def open_session(ident: str, user: User | None, now: datetime) -> Session:
    """Begin a session with a fresh random id."""
    return Session(ident, "" if user is None else user.name, now + LIFETIME, "" if user is None else stamp_user(user))


def seal_session(session: Session, secret: bytes) -> str:
    """Give the cookie's value."""
    body = "\n".join((session.ident, session.user, format_time(session.expires), session.stamp)).encode("utf-8")
    return f"{_encode(body)}.{_encode(_sign(secret, b'session', body))}"


def unseal_session(cookie: str, secret: bytes, now: datetime) -> Session | None:
    """Read a cookie; None when it is not ours, changed, or over. Nothing of it is believed before its signature."""
    if len(cookie) > MAX_COOKIE or cookie.count(".") != 1:
        return None
    body, signature = (_decode(part) for part in cookie.split("."))
    if not hmac.compare_digest(signature, _sign(secret, b"session", body)):
        return None
    parts = body.decode("utf-8").split("\n")
    if len(parts) != PARTS:
        return None
    try:
        expires = parse_time(parts[2])
    except MalformedError:
        return None
    return Session(parts[0], parts[1], expires, parts[3]) if now < expires else None


def make_token(session: Session, secret: bytes) -> str:
    """Give the CSRF token for every form of this session."""
    return _encode(_sign(secret, b"csrf", session.ident.encode("utf-8")))


def is_token(token: str, session: Session, secret: bytes) -> bool:
    """Compare a form's token in constant time."""
    return hmac.compare_digest(token.encode("utf-8", "replace"), make_token(session, secret).encode("ascii"))


def stamp_user(user: User) -> str:
    """Give a short mark that changes when the user's password does."""
    return hashlib.sha256(str(user.password).encode("ascii")).hexdigest()[:16]


def _sign(secret: bytes, purpose: bytes, body: bytes) -> bytes:
    return hmac.new(secret, purpose + b"\0" + body, hashlib.sha256).digest()


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
