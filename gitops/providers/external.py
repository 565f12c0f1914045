"""Things that a program of the project manages: `external: PROVIDER/THING`, over the protocol of docs/reference/provider-protocol.md.

A provider is declared in `providers/NAME/provider.yaml`; its program ships with the release and runs only when it has the digest that
was approved. It is asked what is there and told what to do; what must be done is decided here, by comparing the declared values with
the observed ones of the same names, so service and host decide alike and the service runs nothing. Its answers are not trusted: names,
types, sizes and times are checked. While planning it is asked only with `--guards`, since asking runs it; else the plan is an upper bound.

A secret value reaches the program by its standard input alone. Whether it is the one that is there, only the program can say; what
comes back of secrets is masked, and kept for an undo in memory only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Collection, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, cast

from gitops.errors import HostError, TrueupError
from gitops.model.attribute import Attribute, attribute, decode_value
from gitops.model.codec import Json, digest_json
from gitops.model.limits import DEFAULTS
from gitops.model.observation import State
from gitops.model.plan import Difference, FieldChange
from gitops.model.report import Outcome
from gitops.model.secret import SecretRef, text_to_json
from gitops.providers.base import Possible, Provider, Relations, Step
from gitops.providers.conversation import PROTOCOLS, SINCE_SECRETS, Client, open_client, read_words
from gitops.providers.host import Host, Session, SessionUndo
from gitops.providers.steps import describe_failure

VALUES = Attribute("values", "observed values")
REFRESHES = ("restart", "reload")
BATCH = 100
NOT_KEPT = "which is not kept"
NOT_ASKED = "its provider is not run while planning"
UNSAID = "the provider said nothing of it"


@dataclass(frozen=True)
class ExternalSpec:
    """A thing of an external provider."""

    name: str
    set: Optional[Mapping[str, Any]] = attribute("values", "the values it must have, as its provider declares them", default=None)
    state: str = attribute("choice", "present or absent", default="present", choices=("present", "absent"))
    executable: Optional[Mapping[str, Any]] = attribute("content", "filled in by compile: the provider's program, by digest")
    protocol: int = attribute("integer", "filled in by compile: the protocol's version", default=1, bounds=(1, None))
    on_notify: Optional[str] = attribute(
        "choice", "filled in by compile: what its provider does with a notification", choices=REFRESHES
    )

    @property
    def values(self) -> Dict[str, Json]:
        """The declared values as JSON; a secret as its reference."""
        return {name: _as_json(item) for name, item in sorted((self.set or {}).items())}

    @property
    def secrets(self) -> Dict[str, Json]:
        """Those of the values that are secrets."""
        return {name: value for name, value in self.values.items() if isinstance(value, dict)}

    @property
    def plain(self) -> Dict[str, Json]:
        """Those of the values that are none."""
        return {name: value for name, value in self.values.items() if not isinstance(value, dict)}

    @property
    def provider(self) -> str:
        """The provider's name."""
        return self.name.partition("/")[0]

    @property
    def thing(self) -> str:
        """The name as the provider knows it."""
        return self.name.partition("/")[2]


@dataclass(frozen=True)
class Seen:
    """What a program says of a thing: the state, and what of it holds a secret and is needed for an undo (never on a disk)."""

    state: State
    hidden: Mapping[str, Json]


class ExternalProvider(Provider[ExternalSpec]):
    """See the module."""

    kind = "external"
    spec = ExternalSpec
    summary = "a thing that a program of the project manages"
    tells_all = False
    needs_linux = True

    def __init__(self, *, runs_guards: bool = False) -> None:
        self._runs = runs_guards

    def observe(self, specs: Sequence[ExternalSpec], host: Host) -> Mapping[str, State]:
        """State: `exists`, `values` (of the declared names only) and `matches` (for each secret the digest of its reference when the
        program has that value, else empty); or `unasked`, or `trouble`: why nothing can be said.
        """
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
        """Compare the declared values with those observed; what the program thinks of it counts for secrets alone."""
        trouble = str(state.get("trouble") or "")
        if trouble:
            return Difference("refused", reason=trouble)
        is_unasked = bool(state.get("unasked"))
        confidence, reason = ("conditional", NOT_ASKED) if is_unasked else ("exact", "")
        exists = bool(state.get("exists"))
        if spec.state == "absent":
            return Difference("remove", reason=reason, confidence=confidence) if exists or is_unasked else None
        changes = (*_plain_changes(spec, state), *_secret_changes(spec, state))
        if not exists:
            return Difference("create", changes, reason=reason, confidence=confidence)
        return Difference("update", changes) if changes else None

    def apply(self, steps: Sequence[Step[ExternalSpec]], host: Host) -> Iterator[Outcome]:
        """Tell each program its steps in batches; what it does not answer for has failed."""
        for group in _by_program([step.spec for step in steps]):
            names = {spec.name for spec in group}
            yield from _apply_group([step for step in steps if step.spec.name in names], host)

    def relate(self, spec: ExternalSpec) -> Relations:
        """Nothing is known of it: `needs` says what comes first. Some providers take notifications."""
        is_absent = spec.state == "absent"
        return Relations(is_absent=is_absent, refresh="" if is_absent else spec.on_notify or "")

    def bound(self, spec: ExternalSpec) -> Sequence[Possible]:
        """At most: set or remove it."""
        return (Possible("remove" if spec.state == "absent" else "set"),)


def ask_undo(executable: Json, undo: SessionUndo, host: Host) -> None:
    """Ask a program to bring one thing back to what it was, or to refresh it again; raise HostError when it does not."""
    request = undo.request
    protocol = request.get("protocol", 1)
    client = open_client(
        executable, str(request["provider"]), host, protocol=protocol if isinstance(protocol, int) else PROTOCOLS[-1]
    )
    is_done = False
    try:
        item = dict(cast("Mapping[str, Json]", request["item"]))
        client.session.hide(_texts_of(dict(undo.hidden)))
        if undo.hidden:
            item["before"] = _join(cast("Mapping[str, Json]", item["before"]), undo.hidden)
        items, _ = client.ask(str(request.get("op", "undo")), {"items": [item]})
        answers = [found for found in items if found.get("name") == item["name"]]
        if not answers or answers[0].get("result") != "changed":
            raise HostError("the provider did not undo it" + _reason(answers), code="E265")
        is_done = True
    finally:
        client.session.close(is_wanted=is_done)


def _plain_changes(spec: ExternalSpec, state: State) -> Tuple[FieldChange, ...]:
    seen = cast("Mapping[str, Json]", state.get("values") or {})
    return tuple(
        FieldChange(name, seen.get(name), value) for name, value in spec.plain.items() if not _same(seen.get(name), value)
    )


def _secret_changes(spec: ExternalSpec, state: State) -> Tuple[FieldChange, ...]:
    seen = cast("Mapping[str, Json]", state.get("matches") or {})
    before = "another secret" if state.get("exists") else None
    return tuple(
        FieldChange(name, before, "secret") for name, value in spec.secrets.items() if seen.get(name) != digest_json(value)
    )


def _by_program(specs: Sequence[ExternalSpec]) -> Sequence[Sequence[ExternalSpec]]:
    groups: Dict[Tuple[str, str, int], List[ExternalSpec]] = {}
    for spec in specs:
        digest = str((spec.executable or {}).get("blob"))
        groups.setdefault((spec.provider, digest, spec.protocol), []).append(spec)
    return [groups[key] for key in sorted(groups)]


def _open(spec: ExternalSpec, host: Host) -> Client:
    if spec.protocol not in PROTOCOLS:
        spoken = " and ".join(map(str, PROTOCOLS))
        raise HostError(f"it needs provider protocol {spec.protocol}, this version speaks {spoken}", code="E261")
    if not spec.executable or "blob" not in spec.executable:
        raise HostError("its program is missing", code="E260")
    return open_client(dict(spec.executable), spec.provider, host, protocol=spec.protocol)


def _observe_group(group: Sequence[ExternalSpec], host: Host) -> Dict[str, State]:
    client = _open(group[0], host)
    found: Dict[str, State] = {}
    is_done = False
    try:
        for start in range(0, len(group), BATCH):
            batch = group[start : start + BATCH]
            seen = _ask_states(client, batch)
            for spec in batch:
                found[spec.name] = _show_declared(spec, seen[spec.thing], client.session)
        is_done = True
    finally:
        client.session.close(is_wanted=is_done)
    return found


def _ask_states(client: Client, specs: Sequence[ExternalSpec], *, keep: Collection[str] = ()) -> Dict[str, Seen]:
    """Give what is said of each thing; one that the program says nothing of is in trouble. `keep`: of these an undo needs the secrets."""
    asked: List[Json] = [
        {"name": spec.thing, "set": _fill(spec, client.session), **({"keep": True} if spec.name in keep else {})}
        for spec in specs
    ]
    by_thing = {spec.thing: spec for spec in specs}
    items, _ = client.ask("observe", {"items": asked})
    found: Dict[str, Seen] = {}
    for item in items:
        name = item.get("name")
        if not isinstance(name, str) or name not in by_thing or name in found:
            raise HostError("the provider's answer to observe names what was not asked, or twice", code="E264")
        found[name] = _read_item(item, by_thing[name], client)
    silent = Seen({"trouble": UNSAID}, {})
    return {name: found.get(name, silent) for name in by_thing}


def _fill(spec: ExternalSpec, session: Session) -> Dict[str, Json]:
    """Give the declared values with the secrets' own, for the program alone."""
    return {name: session.fill(value) if isinstance(value, dict) else value for name, value in spec.values.items()}


def _read_item(table: Mapping[str, Json], spec: ExternalSpec, client: Client) -> Seen:
    """Check one observed item. Raise HostError for what is not as it should be."""
    name, exists = table.get("name"), table.get("exists")
    more = ("matches", "kept") if client.protocol >= SINCE_SECRETS else ()
    known = ("name", "exists", "values", *more)
    if not isinstance(name, str) or not isinstance(exists, bool) or set(table) - set(known):
        raise HostError(f"the provider's answer to observe is not {{{', '.join(known)}}}", code="E264")
    values = _read_values(table.get("values", {}), name)
    told = sorted(set(values) & set(spec.secrets))
    if told:
        raise HostError(f"the provider tells the secret value `{told[0]}` of {name[:80]}", code="E264")
    state: Dict[str, Json] = {"exists": exists, "values": values}
    hidden: Dict[str, Json] = {}
    if spec.secrets:
        state["matches"] = _read_matches(table.get("matches", {}), spec)
    if "kept" in table:
        hidden["kept"] = _bounded(_read_kept(table["kept"]))
        client.session.hide(_texts_of(hidden))
    leaks = {key: value for key, value in values.items() if _holds_secret(value, spec.plain.get(key), client.session)}
    if leaks:
        hidden["values"] = leaks
    return Seen(state, hidden)


def _read_values(value: Json, name: str) -> Dict[str, Json]:
    try:
        values = cast("Mapping[str, Any]", decode_value(VALUES, value))
        if any(isinstance(_as_json(item), dict) for item in values.values()):
            raise ValueError("got a map, expected a string")
    except ValueError as error:
        raise HostError(f"the provider's values of {name[:80]}: {error}", code="E264") from error
    if len(values) > DEFAULTS.provider_values:
        raise HostError(f"the provider gives {len(values)} values, at most {DEFAULTS.provider_values} are read", code="E264")
    return {key: _bounded(_as_json(values[key])) for key in sorted(values)}


def _read_matches(value: Json, spec: ExternalSpec) -> Dict[str, Json]:
    table = cast("Mapping[str, Json]", value) if isinstance(value, dict) else {"": value}
    if set(table) - set(spec.secrets) or any(not isinstance(item, bool) for item in table.values()):
        raise HostError("the provider's `matches` are not true or false for each secret of `set`", code="E264")
    return {name: digest_json(reference) if table.get(name) is True else "" for name, reference in spec.secrets.items()}


def _read_kept(value: Json) -> str:
    if not isinstance(value, str):
        raise HostError("the provider's `kept` is not a string", code="E264")
    return value


def _holds_secret(value: Json, declared: Json, session: Session) -> bool:
    """Say whether a value tells a secret of the run; one that is declared so in Git tells nothing."""
    return not _same(value, declared) and any(session.redact(text) != text for text in _texts_of(value))


def _texts_of(value: Json) -> List[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts_of(item)]
    if isinstance(value, (list, tuple)):
        return [text for item in cast("Sequence[Json]", value) for text in _texts_of(item)]
    return [value] if isinstance(value, str) else []


def _show_declared(spec: ExternalSpec, seen: Seen, session: Session) -> State:
    """Leave out values that nobody declared: they are compared with nothing, and are nobody's business but the machine's. Mask secrets."""
    values = seen.state.get("values")
    if not isinstance(values, dict):
        return seen.state
    masked = cast("Mapping[str, Json]", seen.hidden.get("values") or {})
    shown = {key: values[key] for key in spec.plain if key in values}
    return {**seen.state, "values": {key: _mask(value, session) if key in masked else value for key, value in shown.items()}}


def _mask(value: Json, session: Session) -> Json:
    if isinstance(value, (list, tuple)):
        return [_mask(item, session) for item in cast("Sequence[Json]", value)]
    return session.redact(str(value))


def _apply_group(steps: Sequence[Step[ExternalSpec]], host: Host) -> Iterator[Outcome]:
    """Change things, then refresh those that were notified."""
    left = {step.spec.thing: step for step in steps}
    reason = UNSAID
    try:
        client = _open(steps[0].spec, host)
        is_done = False
        try:
            for is_refresh in (False, True):
                chosen = [step for step in steps if (step.action in REFRESHES) == is_refresh]
                tell = _refresh if is_refresh else _change
                for start in range(0, len(chosen), BATCH):
                    yield from _read_outcomes(tell(chosen[start : start + BATCH], client, host), left)
            is_done = True
        finally:
            client.session.close(is_wanted=is_done)
    except (TrueupError, OSError) as error:
        reason = describe_failure(error)
    for step in left.values():
        yield Outcome(step.address, step.action, "failed", reason)


def _change(batch: Sequence[Step[ExternalSpec]], client: Client, host: Host) -> Sequence[Mapping[str, Json]]:
    is_keeping = client.protocol >= SINCE_SECRETS
    keep = [step.spec.name for step in batch if is_keeping and (step.action == "remove" or _find_changing(step))]
    seen = _ask_states(client, [step.spec for step in batch], keep=keep)
    _note_undo(batch, seen, host)
    asked: List[Json] = [
        {
            "name": step.spec.thing,
            "action": step.action,
            "set": _fill(step.spec, client.session),
            "before": {key: value for key, value in seen[step.spec.thing].state.items() if key != "matches"},
        }
        for step in batch
    ]
    return client.ask("apply", {"items": asked})[0]


def _refresh(batch: Sequence[Step[ExternalSpec]], client: Client, host: Host) -> Sequence[Mapping[str, Json]]:
    """Pass notifications on; the undo of one is another, once what caused it is back."""
    asked: List[Json] = [{"name": step.spec.thing, "action": step.action} for step in batch]
    undos = [
        SessionUndo(_request(step.spec, "refresh", cast("Mapping[str, Json]", item)), is_refresh=True)
        for step, item in zip(batch, asked)
    ]
    host.note_session_undo(dict(batch[0].spec.executable or {}), undos)
    return client.ask("refresh", {"items": asked})[0]


def _note_undo(batch: Sequence[Step[ExternalSpec]], seen: Mapping[str, Seen], host: Host) -> None:
    """Journal how each thing is just now: all its values, also those that nobody declared; what is secret in memory only."""
    undos: List[SessionUndo] = []
    for step in batch:
        thing = seen[step.spec.thing]
        if "trouble" in thing.state:
            raise HostError(f"{step.spec.name}: {thing.state['trouble']}, so nothing is changed", code="E264")
        values = cast("Mapping[str, Json]", thing.state["values"])
        masked = cast("Mapping[str, Json]", thing.hidden.get("values") or {})
        shown: Json = {key: value for key, value in values.items() if key not in masked}
        before: Json = {"exists": thing.state["exists"], "values": shown}
        hidden = {key: value for key, value in thing.hidden.items() if key != "kept" or host.keeps_sensitive}
        undos.append(SessionUndo(_request(step.spec, "undo", {"name": step.spec.thing, "before": before}), hidden))
        if thing.state["exists"] and "kept" not in hidden and (_find_changing(step) or "kept" in thing.hidden):
            what = f"`{_find_changing(step)}` of {step.address}" if _find_changing(step) else f"{step.address}"
            host.note_undo((), f"{what} had another secret, {NOT_KEPT}")
    host.note_session_undo(dict(batch[0].spec.executable or {}), undos)


def _find_changing(step: Step[ExternalSpec]) -> str:
    """Name a secret that a step changes, or nothing."""
    return next((change.name for change in step.difference.fields if change.name in step.spec.secrets), "")


def _request(spec: ExternalSpec, operation: str, item: Mapping[str, Json]) -> Dict[str, Json]:
    request: Dict[str, Json] = {"provider": spec.provider, "item": dict(item)}
    return request if spec.protocol < SINCE_SECRETS else {**request, "protocol": spec.protocol, "op": operation}


def _join(before: Mapping[str, Json], hidden: Mapping[str, Json]) -> Dict[str, Json]:
    values = {
        **cast("Mapping[str, Json]", before.get("values") or {}),
        **cast("Mapping[str, Json]", hidden.get("values") or {}),
    }
    return {**before, **hidden, "values": values}


def _read_outcomes(items: Sequence[Mapping[str, Json]], left: Dict[str, Step[ExternalSpec]]) -> Iterator[Outcome]:
    for item in items:
        step = left.pop(str(item.get("name")), None)
        if step is None:
            raise HostError("the provider's answer to apply names what was not asked, or twice", code="E264")
        if item.get("result") == "changed":
            yield Outcome(step.address, step.action, "changed")
        else:
            yield Outcome(step.address, step.action, "failed", "the provider did not do it" + _reason([item]))


def _reason(items: Sequence[Mapping[str, Json]]) -> str:
    said = read_words(items[0], "message") if items else ""
    return f": {said}" if said else ""


def _as_json(value: Any) -> Json:
    if not isinstance(value, tuple):
        return value
    parts = cast("Tuple[Any, ...]", value)
    return text_to_json(parts) if any(isinstance(part, SecretRef) for part in parts) else list(parts)


def _bounded(value: Json) -> Json:
    if len(json.dumps(value)) > DEFAULTS.provider_text:
        raise HostError(f"the provider's value is longer than {DEFAULTS.provider_text} bytes", code="E264")
    return value


def _same(seen: Json, wanted: Json) -> bool:
    """Compare by value and type: `true` is not 1."""
    as_list = list(seen) if isinstance(seen, (list, tuple)) else seen
    return type(as_list) is type(wanted) and as_list == wanted
