"""Things that a program of the project manages: `external: PROVIDER/THING`, over the protocol of docs/reference/provider-protocol.md.

A provider is declared in `providers/NAME/provider.yaml`; its program ships with the release and runs only when it has the digest that
was approved. It is asked what is there and told what to do; what must be done is decided here, by comparing the declared values with
the observed ones of the same names, so service and host decide alike and the service runs nothing. Its answers are not trusted: names,
types, sizes and times are checked. While planning it is asked only with `--guards`, since asking runs it; else the plan is an upper bound.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, cast

from gitops.errors import HostError, MalformedError, TrueupError
from gitops.model.attribute import Attribute, attribute, decode_value
from gitops.model.codec import Json, decode_json
from gitops.model.limits import DEFAULTS
from gitops.model.observation import State
from gitops.model.plan import Difference, FieldChange
from gitops.model.report import Outcome
from gitops.providers.base import Possible, Provider, Relations, Step
from gitops.providers.host import Host, Session
from gitops.providers.steps import describe_failure

PROTOCOL = 1
VALUES = Attribute("values", "observed values")
EVENTS = ("item", "progress", "result", "error")
BATCH = 100
SHOWN = 400
NOT_ASKED = "its provider is not run while planning"


@dataclass(frozen=True)
class ExternalSpec:
    """A thing of an external provider."""

    name: str
    set: Optional[Mapping[str, Any]] = attribute("values", "the values it must have, as its provider declares them", default=None)
    state: str = attribute("choice", "present or absent", default="present", choices=("present", "absent"))
    executable: Optional[Mapping[str, Any]] = attribute("content", "filled in by compile: the provider's program, by digest")
    protocol: int = attribute("integer", "filled in by compile: the protocol's version", default=PROTOCOL, bounds=(1, None))

    @property
    def values(self) -> Dict[str, Json]:
        """The declared values as JSON."""
        return {name: _as_json(item) for name, item in sorted((self.set or {}).items())}

    @property
    def thing(self) -> str:
        """The name as the provider knows it."""
        return self.name.partition("/")[2]


class Client:
    """One conversation with a provider's program: hello first, then one request at a time."""

    def __init__(self, session: Session, seconds: float = DEFAULTS.provider_seconds) -> None:
        self._session = session
        self._seconds = seconds
        self._last = 0
        self.said = ""

    def hello(self) -> Mapping[str, Json]:
        """Agree on the protocol; raise HostError when there is no version that both know."""
        versions: Json = {"min": PROTOCOL, "max": PROTOCOL}
        _, body = self.ask("hello", {"protocol": versions}, seconds=DEFAULTS.provider_start_seconds)
        if body.get("protocol") != PROTOCOL:
            raise HostError(f"the provider speaks protocol {str(body.get('protocol'))[:20]}, expected {PROTOCOL}", code="E261")
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
                raise HostError(f"the provider says: {_text(found, 'message')}", code="E263")
            if event == "progress":
                self.said = _text(found, "message")
            else:
                items.append(found)


class ExternalProvider(Provider[ExternalSpec]):
    """See the module."""

    kind = "external"
    spec = ExternalSpec
    summary = "a thing that a program of the project manages"
    needs_linux = True

    def __init__(self, *, runs_guards: bool = False) -> None:
        self._runs = runs_guards

    def observe(self, specs: Sequence[ExternalSpec], host: Host) -> Mapping[str, State]:
        """State: `exists` and `values` (of the declared names only), `unasked`, or `trouble`: why nothing can be said."""
        states: Dict[str, State] = {spec.name: {"unasked": True} for spec in specs}
        for group in _by_program(specs) if self._runs else ():
            try:
                found = _observe_group(group, host)
            except (TrueupError, OSError) as error:
                trouble: State = {"trouble": describe_failure(error)}
                found = {spec.name: trouble for spec in group}
            states.update(found)
        return states

    def diff(self, spec: ExternalSpec, state: State) -> Optional[Difference]:
        """Compare the declared values with those observed; what the program thinks of it does not count."""
        trouble = str(state.get("trouble") or "")
        if trouble:
            return Difference("refused", reason=trouble)
        is_unasked = bool(state.get("unasked"))
        confidence, reason = ("conditional", NOT_ASKED) if is_unasked else ("exact", "")
        exists = bool(state.get("exists"))
        if spec.state == "absent":
            return Difference("remove", reason=reason, confidence=confidence) if exists or is_unasked else None
        seen = cast("Mapping[str, Json]", state.get("values") or {})
        changes = tuple(
            FieldChange(name, seen.get(name), value) for name, value in spec.values.items() if not _same(seen.get(name), value)
        )
        if not exists:
            return Difference("create", changes, reason=reason, confidence=confidence)
        return Difference("update", changes) if changes else None

    def apply(self, steps: Sequence[Step[ExternalSpec]], host: Host) -> Iterator[Outcome]:
        """Tell each program its steps in batches; what it does not answer for has failed."""
        for group in _by_program([step.spec for step in steps]):
            names = {spec.name for spec in group}
            yield from _apply_group([step for step in steps if step.spec.name in names], host)

    def relate(self, spec: ExternalSpec) -> Relations:
        """Nothing is known of it: `needs` says what comes first."""
        return Relations(is_absent=spec.state == "absent")

    def bound(self, spec: ExternalSpec) -> Sequence[Possible]:
        """At most: set or remove it."""
        return (Possible("remove" if spec.state == "absent" else "set"),)


def read_item(table: Mapping[str, Json]) -> State:
    """Check one observed item and give its state. Raise HostError for what is not as it should be."""
    name, exists = table.get("name"), table.get("exists")
    if not isinstance(name, str) or not isinstance(exists, bool) or set(table) - {"name", "exists", "values"}:
        raise HostError("the provider's answer to observe is not {name, exists, values}", code="E264")
    try:
        values = cast("Mapping[str, Any]", decode_value(VALUES, table.get("values", {})))
    except ValueError as error:
        raise HostError(f"the provider's values of {name[:80]}: {error}", code="E264") from error
    if len(values) > DEFAULTS.provider_values:
        raise HostError(f"the provider gives {len(values)} values, at most {DEFAULTS.provider_values} are read", code="E264")
    kept: Dict[str, Json] = {key: _bounded(_as_json(values[key])) for key in sorted(values)}
    return {"exists": exists, "values": kept}


def open_client(executable: Json, provider: str, host: Host) -> Tuple[Session, Client]:
    """Start a program and greet it; it is ended when that fails."""
    session = host.start_session(executable)
    client = Client(session)
    try:
        body = client.hello()
        if body.get("provider") != provider:
            raise HostError(
                f"the program says it is the provider {str(body.get('provider'))[:80]!r}, not {provider!r}", code="E261"
            )
    except BaseException:
        session.close(is_wanted=False)
        raise
    return session, client


def ask_undo(executable: Json, request: Mapping[str, Json], host: Host) -> None:
    """Ask a program to bring one thing back to what it was; raise HostError when it does not."""
    session, client = open_client(executable, str(request["provider"]), host)
    is_done = False
    try:
        items, _ = client.ask("undo", {"items": [dict(cast("Mapping[str, Json]", request["item"]))]})
        name = cast("Mapping[str, Json]", request["item"])["name"]
        answers = [item for item in items if item.get("name") == name]
        if not answers or answers[0].get("result") != "changed":
            raise HostError("the provider did not undo it" + _reason(answers), code="E265")
        is_done = True
    finally:
        session.close(is_wanted=is_done)


def _by_program(specs: Sequence[ExternalSpec]) -> Sequence[Sequence[ExternalSpec]]:
    groups: Dict[Tuple[str, str, int], List[ExternalSpec]] = {}
    for spec in specs:
        digest = str((spec.executable or {}).get("blob"))
        groups.setdefault((spec.name.partition("/")[0], digest, spec.protocol), []).append(spec)
    return [groups[key] for key in sorted(groups)]


def _check_program(spec: ExternalSpec) -> Json:
    if spec.protocol != PROTOCOL:
        raise HostError(f"it needs provider protocol {spec.protocol}, this version speaks {PROTOCOL}", code="E261")
    if not spec.executable or "blob" not in spec.executable:
        raise HostError("its program is missing", code="E260")
    return dict(spec.executable)


def _observe_group(group: Sequence[ExternalSpec], host: Host) -> Dict[str, State]:
    session, client = open_client(_check_program(group[0]), group[0].name.partition("/")[0], host)
    found: Dict[str, State] = {}
    is_done = False
    try:
        for start in range(0, len(group), BATCH):
            batch = group[start : start + BATCH]
            states = _ask_states(client, batch)
            for spec in batch:
                found[spec.name] = _only_declared(spec, states[spec.thing])
        is_done = True
    finally:
        session.close(is_wanted=is_done)
    return found


def _ask_states(client: Client, specs: Sequence[ExternalSpec]) -> Dict[str, State]:
    """Give the whole state of each thing; one that the program says nothing of is in trouble."""
    asked: List[Json] = [{"name": spec.thing, "set": spec.values} for spec in specs]
    names = {spec.thing for spec in specs}
    items, _ = client.ask("observe", {"items": asked})
    found: Dict[str, State] = {}
    for item in items:
        name = item.get("name")
        if not isinstance(name, str) or name not in names or name in found:
            raise HostError("the provider's answer to observe names what was not asked, or twice", code="E264")
        found[name] = read_item(item)
    silent: State = {"trouble": "the provider said nothing of it"}
    return {name: found.get(name, silent) for name in names}


def _only_declared(spec: ExternalSpec, state: State) -> State:
    """Leave out values that nobody declared: they are compared with nothing, and are nobody's business but the machine's."""
    values = state.get("values")
    if not isinstance(values, dict):
        return state
    return {**state, "values": {key: values[key] for key in spec.values if key in values}}


def _apply_group(steps: Sequence[Step[ExternalSpec]], host: Host) -> Iterator[Outcome]:
    left = {step.spec.thing: step for step in steps}
    reason = "the provider said nothing of it"
    try:
        spec = steps[0].spec
        executable, provider = _check_program(spec), spec.name.partition("/")[0]
        session, client = open_client(executable, provider, host)
        is_done = False
        try:
            for start in range(0, len(steps), BATCH):
                batch = steps[start : start + BATCH]
                states = _ask_states(client, [step.spec for step in batch])
                _note_undo(batch, states, executable, host)
                asked: List[Json] = [_describe(step, states[step.spec.thing]) for step in batch]
                items, _ = client.ask("apply", {"items": asked})
                yield from _read_outcomes(items, left)
            is_done = True
        finally:
            session.close(is_wanted=is_done)
    except (TrueupError, OSError) as error:
        reason = describe_failure(error)
    for step in left.values():
        yield Outcome(step.address, step.action, "failed", reason)


def _note_undo(batch: Sequence[Step[ExternalSpec]], states: Mapping[str, State], executable: Json, host: Host) -> None:
    """Journal how each thing is just now: all its values, also those that nobody declared."""
    requests: List[Mapping[str, Json]] = []
    for step in batch:
        provider, _, thing = step.spec.name.partition("/")
        if "trouble" in states[thing]:
            raise HostError(f"{step.spec.name}: {states[thing]['trouble']}, so nothing is changed", code="E264")
        requests.append({"provider": provider, "item": {"name": thing, "before": dict(states[thing])}})
    host.note_session_undo(executable, requests)


def _describe(step: Step[ExternalSpec], before: State) -> Json:
    return {"name": step.spec.thing, "action": step.action, "set": step.spec.values, "before": dict(before)}


def _read_outcomes(items: Sequence[Mapping[str, Json]], left: Dict[str, Step[ExternalSpec]]) -> Iterator[Outcome]:
    for item in items:
        step = left.pop(str(item.get("name")), None)
        if step is None:
            raise HostError("the provider's answer to apply names what was not asked, or twice", code="E264")
        if item.get("result") == "changed":
            yield Outcome(step.address, step.action, "changed")
        else:
            yield Outcome(step.address, step.action, "failed", "the provider did not do it" + _reason([item]))


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


def _reason(items: Sequence[Mapping[str, Json]]) -> str:
    said = _text(items[0], "message") if items else ""
    return f": {said}" if said else ""


def _text(table: Mapping[str, Json], key: str) -> str:
    value = table.get(key)
    return value.strip()[:SHOWN] if isinstance(value, str) else ""


def _as_json(value: Any) -> Json:
    return list(cast("Sequence[str]", value)) if isinstance(value, tuple) else value


def _bounded(value: Json) -> Json:
    if len(json.dumps(value)) > DEFAULTS.provider_text:
        raise HostError(f"the provider's value is longer than {DEFAULTS.provider_text} bytes", code="E264")
    return value


def _same(seen: Json, wanted: Json) -> bool:
    """Compare by value and type: `true` is not 1."""
    as_list = list(seen) if isinstance(seen, (list, tuple)) else seen
    return type(as_list) is type(wanted) and as_list == wanted
