"""A conversation with an external provider's program: the protocol of docs/reference/provider-protocol.md, one request at a time.

Takes a Session of the host; gives items and results that were checked for their form. What they mean is the business of
`gitops.providers.external`. What a program says is redacted before it is cut, and is bounded in size and time.
"""

from __future__ import annotations

import json
from typing import List, Mapping, Tuple

from gitops.errors import HostError, MalformedError
from gitops.model.codec import Json, decode_json
from gitops.model.limits import DEFAULTS
from gitops.providers.host import Host, Session

PROTOCOLS = (1, 2)
SINCE_SECRETS = 2  # the version that knows secrets and notifications
EVENTS = ("item", "progress", "result", "error")
SHOWN = 400


class Client:
    """One conversation with a provider's program: hello first, in the version that its resources name, then one request at a time."""

    def __init__(self, session: Session, seconds: float = DEFAULTS.provider_seconds, *, protocol: int = PROTOCOLS[-1]) -> None:
        self._session = session
        self._seconds = seconds
        self._last = 0
        self.protocol = protocol
        self.said = ""

    @property
    def session(self) -> Session:
        """What it talks through."""
        return self._session

    def hello(self) -> Mapping[str, Json]:
        """Agree on the protocol; raise HostError when the program does not speak it."""
        versions: Json = {"min": self.protocol, "max": self.protocol}
        _, body = self.ask("hello", {"protocol": versions}, seconds=DEFAULTS.provider_start_seconds)
        if body.get("protocol") != self.protocol:
            raise HostError(
                f"the provider speaks protocol {str(body.get('protocol'))[:20]}, expected {self.protocol}", code="E261"
            )
        return body

    def ask(
        self, operation: str, body: Mapping[str, Json], *, seconds: float = 0
    ) -> Tuple[Tuple[Mapping[str, Json], ...], Mapping[str, Json]]:
        """Send one request; give its items and its result. Raise HostError for an error, or an answer that breaks the protocol."""
        self._last += 1
        line = json.dumps({"id": self._last, "op": operation, **body}, ensure_ascii=False, separators=(",", ":"))
        self._session.send(line.encode("utf-8"), seconds or self._seconds)
        items: List[Mapping[str, Json]] = []
        size = 0
        while True:
            data = self._session.receive()
            size += len(data)
            if size > DEFAULTS.provider_output:
                raise HostError(f"the provider answered more than {DEFAULTS.provider_output} bytes", code="E262")
            event, found = _read_answer(data, self._last)
            said = found.get("message")
            if isinstance(said, str):  # before it is cut: half a secret would not be known for one
                found = {**found, "message": self._session.redact(said)}
            if event == "result":
                return tuple(items), found
            if event == "error":
                raise HostError(f"the provider says: {read_words(found, 'message')}", code="E263")
            if event == "progress":
                self.said = read_words(found, "message")
            else:
                items.append(found)


def open_client(executable: Json, provider: str, host: Host, *, protocol: int) -> Client:
    """Start a program and greet it; it is ended when that fails."""
    session = host.start_session(executable)
    client = Client(session, protocol=protocol)
    try:
        body = client.hello()
        if body.get("provider") != provider:
            raise HostError(
                f"the program says it is the provider {str(body.get('provider'))[:80]!r}, not {provider!r}", code="E261"
            )
    except BaseException:
        session.close(is_wanted=False)
        raise
    return client


def read_words(table: Mapping[str, Json], key: str) -> str:
    """Give a text of an answer, cut to what is shown; empty when there is none."""
    value = table.get(key)
    return value.strip()[:SHOWN] if isinstance(value, str) else ""


def _read_answer(data: bytes, wanted: int) -> Tuple[str, Mapping[str, Json]]:
    try:
        value = decode_json(data)
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # half a surrogate is no text
    except (MalformedError, UnicodeEncodeError) as error:
        raise HostError("the provider wrote something that is not a line of JSON", code="E262") from error
    table = value if isinstance(value, dict) else {}
    event, body = table.get("event"), table.get("body")
    if set(table) != {"id", "event", "body"} or table["id"] != wanted or event not in EVENTS or not isinstance(body, dict):
        raise HostError(f"the provider's line is not {{id: {wanted}, event, body}}", code="E262")
    return str(event), body
