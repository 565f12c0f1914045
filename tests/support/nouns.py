"""Random nouns for property tests: JSON values, resources, scopes, graphs, observations, and machines that agree with them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from gitops.model.address import Address, make_address
from gitops.model.codec import MAX_INTEGER, Json, digest_bytes
from gitops.model.facts import CUSTOM, FACT_TYPES, FACTS, FactProgram, Probe
from gitops.model.fleetplan import ChangeGroup
from gitops.model.graph import Block, HostGraph
from gitops.model.observation import Observation
from gitops.model.plan import ACTIONS, CLASSES, CONFIDENCES, RISKS, Change, FieldChange
from gitops.model.resource import Resource
from gitops.model.scope import REMOVED, VERBS, HostScope, Scope

NOW = datetime(2026, 11, 24, 15, 0, 0, tzinfo=UTC)

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
digests = st.text("0123456789abcdef", min_size=64, max_size=64)
names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?", fullmatch=True)
times = st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1)).map(lambda at: at.replace(microsecond=0, tzinfo=UTC))  # noqa: DTZ001  made aware at once
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
paths = st.lists(st.sampled_from(["etc", "srv", "a", "b b", "ü"]), min_size=1, max_size=4).map(
    lambda parts: "/" + "/".join(parts)
)
addresses: st.SearchStrategy[Address] = st.builds(make_address, st.sampled_from(["file", "service", "user"]), texts.filter(bool))
facts = st.dictionaries(st.sampled_from(sorted(FACTS)), texts, max_size=3)
custom_names = names.map(lambda name: CUSTOM + name)
programs = st.builds(FactProgram, digests, st.integers(0, 99), st.sampled_from(FACT_TYPES), st.integers(1, 30))
probes = st.dictionaries(custom_names, st.builds(Probe, digests, texts), max_size=2)


def sorted_tuple(items: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[Any]:
    return st.lists(items, max_size=most, unique=True).map(lambda found: tuple(sorted(found)))


plain_resources = st.builds(
    Resource,
    kind=st.sampled_from(["file", "service", "user"]),
    name=texts.filter(bool),
    attributes=st.dictionaries(texts, json_values, max_size=3),
    needs=sorted_tuple(addresses),
    notify=sorted_tuple(addresses),
    when=st.dictionaries(st.sampled_from(sorted(FACTS)), sorted_tuple(texts), max_size=2),
    drift=st.sampled_from(["heal", "report"]),
)


def asking(resource: Resource, asked: dict[str, tuple[FactProgram, tuple[str, ...]]]) -> Resource:
    """Let a resource ask custom facts too."""
    when = {**resource.when, **{name: values for name, (_, values) in asked.items()}}
    return replace(resource, when=when, facts={name: program for name, (program, _) in asked.items()})


resources = st.builds(
    asking, plain_resources, st.dictionaries(custom_names, st.tuples(programs, sorted_tuple(texts)), max_size=2)
)


def by_address(found: list[Resource]) -> tuple[Resource, ...]:
    return tuple(sorted({item.address: item for item in found}.values(), key=lambda item: item.address))


blocks = st.builds(Block, texts, st.lists(resources, max_size=3).map(by_address))
graphs = st.builds(HostGraph, names, names, sorted_tuple(digests), st.lists(resources, max_size=3).map(by_address))
observations = st.builds(
    Observation,
    names,
    times,
    facts,
    st.dictionaries(addresses, st.dictionaries(texts, json_values, max_size=3), max_size=3),
    st.integers(0, 9),
    probes,
    st.frozensets(digests, max_size=2),
)
intents = st.tuples(addresses, digests | st.just(REMOVED))
effects = st.tuples(addresses, st.sampled_from(VERBS), digests | st.just(""))
host_scopes = st.builds(HostScope, st.frozensets(intents, max_size=3), st.frozensets(effects, max_size=3))
scopes = st.dictionaries(names, host_scopes.filter(lambda scope: not scope.is_empty), max_size=4).map(Scope)
field_changes = st.builds(FieldChange, texts, json_values, json_values)
changes = st.builds(
    Change,
    address=addresses,
    action=st.sampled_from(ACTIONS),
    classification=st.sampled_from(CLASSES),
    confidence=st.sampled_from(CONFIDENCES),
    risk=st.sampled_from(RISKS),
    after=digests | st.just(""),
    fields=st.lists(field_changes, max_size=2).map(tuple),
    diff=st.lists(texts, max_size=2).map(tuple),
    causes=sorted_tuple(addresses, 2),
    reason=texts,
    is_upper_bound=st.booleans(),
    is_behind=st.booleans(),
)
groups = st.builds(
    ChangeGroup,
    hosts=st.lists(names, min_size=1, max_size=4, unique=True).map(lambda found: tuple(sorted(found))),
    changes=st.lists(changes, max_size=3).map(tuple),
    unmanaged=sorted_tuple(addresses, 2),
)


# ── A small machine: kinds of the real registry, with states that a real machine could have. ──


def file_resources() -> st.SearchStrategy[Resource]:
    attributes = st.fixed_dictionaries(
        {},
        optional={
            "content": st.sampled_from(["a\n", "b\n"]),
            "mode": st.sampled_from(["0600", "0644"]),
            "state": st.sampled_from(["present", "absent"]),
        },
    )
    return st.builds(_declare, st.just("file"), paths, attributes)


def directory_resources() -> st.SearchStrategy[Resource]:
    optional: dict[str, st.SearchStrategy[Any]] = {"mode": st.sampled_from(["0700", "0755"]), "purge": st.booleans()}
    return st.builds(_declare, st.just("directory"), paths, st.fixed_dictionaries({}, optional=optional))


def other_resources() -> st.SearchStrategy[Resource]:
    service = st.fixed_dictionaries({"state": st.sampled_from(["running", "stopped"])})
    package = st.fixed_dictionaries({}, optional={"version": st.sampled_from(["1", "2"]), "state": st.just("absent")})
    command = st.fixed_dictionaries(
        {"argv": st.just(["true"])}, optional={"refresh_only": st.booleans(), "creates": st.just("/x")}
    )
    few = st.sampled_from(["n", "m"])
    return (
        st.builds(_declare, st.just("service"), few, service)
        | st.builds(_declare, st.just("package"), few, package)
        | st.builds(_declare, st.just("command"), few, command)
    )


@st.composite
def projects(draw: st.DrawFn) -> tuple[Resource, ...]:
    """Give one host's resources: few names, so that they meet; edges only from what sorts first, so that there is no cycle."""
    found = {
        item.address: item for item in draw(st.lists(file_resources() | directory_resources() | other_resources(), max_size=5))
    }
    owned: dict[str, Resource] = {}
    for item in found.values():
        owned[item.name if item.name.startswith("/") else item.address] = item
    declared = sorted(owned.values(), key=lambda item: item.address)
    edged: list[Resource] = []
    for item in declared:
        targets = [
            other.address for other in declared if other.kind in ("service", "command") and item.kind in ("file", "package")
        ]
        notify = draw(st.lists(st.sampled_from(targets), max_size=2, unique=True)) if targets else []
        drift = draw(st.sampled_from(["heal", "heal", "report"]))
        edged.append(Resource(item.kind, item.name, item.attributes, notify=tuple(sorted(notify)), drift=drift))
    return tuple(edged)


def make_state(kind: str, draw: st.DrawFn) -> dict[str, Json]:
    """Draw a state that `observe` of a kind could give."""
    if kind == "service":
        return {"exists": True, "running": draw(st.booleans()), "enabled": draw(st.booleans())}
    if kind == "package":
        return {"installed": draw(st.sampled_from(["", "1", "2"])), "candidate": "2"}
    if kind == "command":
        return {"creates": draw(st.sampled_from(["present", "absent"]))}
    return draw(path_states())


def satisfy(resource: Resource, draw: st.DrawFn) -> dict[str, Json]:
    """Draw a state in which a resource of this small machine is as declared."""
    given = resource.attributes
    if resource.kind == "service":
        return {"exists": True, "running": given["state"] == "running", "enabled": draw(st.booleans())}
    if resource.kind == "package":
        return {"installed": "" if given.get("state") == "absent" else given.get("version", "1"), "candidate": "2"}
    if resource.kind == "command":
        return {"creates": "present"}
    if given.get("state") == "absent":
        return {"type": "absent", "parents": []}
    state: dict[str, Json] = {"type": resource.kind, "mode": given.get("mode", "0644"), "owner": "root", "group": "root"}
    if resource.kind == "directory":
        return {**state, "extra": [] if given.get("purge") else draw(st.sampled_from([[], ["x"]]))}
    return {**state, "digest": digest_bytes(str(given.get("content", "c\n")).encode()), "size": 2}


def path_states() -> st.SearchStrategy[dict[str, Json]]:
    there = {"mode": st.sampled_from(["0600", "0644", "0755"]), "owner": st.just("root"), "group": st.just("root")}
    content = st.sampled_from([digest_bytes(text) for text in (b"a\n", b"b\n", b"by hand\n")])
    return (
        st.fixed_dictionaries({"type": st.just("file"), **there, "digest": content, "size": st.just(2)})
        | st.fixed_dictionaries({"type": st.just("directory"), **there, "extra": st.sampled_from([[], ["x"]])})
        | st.fixed_dictionaries({"type": st.just("symlink"), **there, "target": st.just("/t")})
        | st.just({"type": "absent", "parents": []})
    )


def _declare(kind: str, name: str, attributes: dict[str, Json]) -> Resource:
    return Resource(kind, name, attributes)
