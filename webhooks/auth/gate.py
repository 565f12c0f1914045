"""The gate: from a request to who asks. Cookies and forms for browsers, HTTP Basic for programs.

Takes Starlette requests and the parts of this room; gives Sessions and Users or raises Refused with the status to answer. Checks in
this order, each before anything is believed: (1) a cookie's signature, age, revocation and password stamp; (2) a form's CSRF token and
the browser's own word on where it came from; (3) a bound on attempts; (4) the password, in the same time for unknown names.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import Response

from webhooks.auth.attempts import Attempts
from webhooks.auth.passwords import is_password
from webhooks.auth.peer import Address, FindOwner, find_connection_owner
from webhooks.auth.secret import Revoked
from webhooks.auth.session import LIFETIME, Session, is_token, make_token, open_session, seal_session, stamp_user, unseal_session
from webhooks.auth.users import User, Users

# One comparison takes 32 MiB and a tenth of a second: so many at once, the others wait.
COMPARISONS, GUESSES = 2, 1


class Refused(Exception):  # noqa: N818  it is an answer, not a failure
    """The status and message to answer with."""

    def __init__(self, status: int, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.hint = status, code, message, hint


@dataclass(frozen=True)
class Comparisons:
    """How many passwords are compared at once. Who guesses names waits behind others that guess, never before a user."""

    users: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(COMPARISONS))
    guesses: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(GUESSES))


@dataclass(frozen=True)
class Gate:
    """What is needed to know who asks. `fresh_id` gives a random id; `address` is where people reach the service."""

    users: Users
    secret: bytes
    revoked: Revoked
    attempts: Attempts
    now: Callable[[], datetime]
    fresh_id: Callable[[], str]
    address: Address = field(default_factory=Address)
    find_owner: FindOwner = find_connection_owner
    comparisons: Comparisons = field(default_factory=Comparisons)

    @property
    def cookie(self) -> str:
        """The cookie's name; the prefix makes browsers insist on TLS, this host and path `/`."""
        return "__Host-trueup" if self.address.is_https else "trueup_session"


def find_session(gate: Gate, request: Request) -> Session:
    """Give the request's session, or a new one of a visitor. Who lost their account or changed their password is a visitor."""
    now = gate.now()
    found = unseal_session(request.cookies.get(gate.cookie, ""), gate.secret, now)
    if found is None or gate.revoked.has(found.ident):
        return open_session(gate.fresh_id(), None, now)
    if found.user:
        user = gate.users.find(found.user)
        if user is None or stamp_user(user) != found.stamp:
            return open_session(gate.fresh_id(), None, now)
    return found


def keep_session(gate: Gate, response: Response, session: Session) -> None:
    """Send the session's cookie; scripts cannot read it, other sites' forms do not carry it."""
    response.set_cookie(
        gate.cookie,
        seal_session(session, gate.secret),
        max_age=int(LIFETIME.total_seconds()),
        path="/",
        httponly=True,
        samesite="lax",
        secure=gate.address.is_https,
    )


def token_of(gate: Gate, session: Session) -> str:
    """Give the CSRF token to put into this session's forms."""
    return make_token(session, gate.secret)


def check_form(gate: Gate, request: Request, session: Session, token: str) -> None:
    """Refuse (403) a form that this session's own page did not send."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Refused(403, "A403", "this form was sent by another site", "open the page here and try again")
    origin = request.headers.get("origin")
    # A proxy may pass another name on; the browser's own word is then the public one.
    ours = (request.headers.get("host"), gate.address.netloc or None)
    if origin and origin != "null" and urlsplit(origin).netloc not in ours:
        raise Refused(403, "A403", "this form was sent by another site", "open the page here and try again")
    if not is_token(token, session, gate.secret):
        raise Refused(403, "A403", "this form is too old, or was not made for you", "load the page again and repeat what you did")


async def log_in(gate: Gate, request: Request, name: str, password: str) -> User:
    """Give the user of a right password; 429 after too many wrong ones, 401 otherwise, never saying which of both was wrong."""
    address = request.client.host if request.client else ""
    now, user = gate.now(), gate.users.find(name)
    is_user = user is not None
    if not gate.attempts.may_try(name, address, now, is_user=is_user):
        raise Refused(429, "A429", "too many wrong passwords", "wait ten minutes")
    is_guess = not is_user and gate.attempts.is_guessing(address, now)
    # Counted before the comparison, which others may wait behind: many at once are still few attempts.
    gate.attempts.fail(name, address, now, is_user=is_user)
    stored = None if user is None else user.password
    limiter = gate.comparisons.guesses if is_guess else gate.comparisons.users
    is_right = await to_thread.run_sync(is_password, password, stored, limiter=limiter)
    if user is None or not is_right:
        raise Refused(401, "A401", "wrong name or password")
    gate.attempts.succeed(name, address)
    return user


def begin_session(gate: Gate, user: User) -> Session:
    """Begin a session under a new id, whatever id the visitor had."""
    return open_session(gate.fresh_id(), user, gate.now())


def end_session(gate: Gate, session: Session) -> Session:
    """Log out for good, everywhere the cookie may have been copied to; give the visitor's session that follows."""
    gate.revoked.add(session.ident, session.expires, gate.now())
    return open_session(gate.fresh_id(), None, gate.now())


async def authenticate(gate: Gate, request: Request) -> User:
    """Give the user of a program's request: HTTP Basic with a name and password of the settings (RFC 7617).

    Cookies do not count here, and the body must be JSON, which no form of another site can send.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(415, "A415", "expected a body of type application/json")
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        raise Refused(401, "A401", "this needs a user", "send HTTP Basic authorization with a user of the settings file")
    try:
        name, found, password = base64.b64decode(value.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise Refused(401, "A401", "the Authorization header cannot be read") from None
    if not found:
        raise Refused(401, "A401", "the Authorization header cannot be read")
    return await log_in(gate, request, name, password)
