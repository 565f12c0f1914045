"""Laws of every stored or sent document: what is written is read back, what is not the document is refused with a reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops.errors import MalformedError
from gitops.model.address import Address, is_object_name, make_address, parse_address, split_address
from gitops.model.approval import Approval, Proof, read_approval
from gitops.model.codec import decode_canonical, decode_json, digest_bytes, encode_canonical
from gitops.model.fleetplan import ChangeGroup, FleetPlan, PlanSubject
from gitops.model.graph import Block, Graphs, HostGraph, shard_of
from gitops.model.manifest import Manifest, Previous, read_manifest, read_version
from gitops.model.observation import Observation
from gitops.model.plan import Change, FieldChange, HostPlan
from gitops.model.report import Outcome, Report
from gitops.model.resource import Resource
from gitops.model.scope import HostScope, Scope
from gitops.model.scopetree import digest_change
from gitops.model.trustroot import EnvironmentTrust, TrustedKey, TrustRoot, read_trust_root
from gitops.model.wire import Event, Request
from tests.support.nouns import NOW, addresses, blocks, changes, graphs, groups, names, observations, resources, scopes, texts

D = "ab" * 32
FILE = Address("file:/etc/motd")


def again(value: Any) -> Any:
    """Through bytes and back, as a file or a socket would carry it."""
    return decode_canonical(encode_canonical(value))


# ── Round trips ──


@given(resources)
def test_resources_survive(resource: Resource) -> None:
    assert Resource.from_json(again(resource.to_json())) == resource


@given(blocks)
def test_blocks_survive(block: Block) -> None:
    assert Block.from_json(decode_canonical(block.to_bytes())) == block


@given(graphs)
def test_graphs_survive(graph: HostGraph) -> None:
    assert HostGraph.from_json(decode_canonical(graph.to_bytes())) == graph


@given(observations)
def test_observations_survive(observation: Observation) -> None:
    assert Observation.from_json(again(observation.to_json())) == observation


@given(changes)
def test_changes_survive(change: Change) -> None:
    assert Change.from_json(again(change.to_json())) == change


@given(st.lists(groups, max_size=3), st.lists(groups, max_size=1), scopes, st.data())
def test_fleet_plans_survive(found: list[ChangeGroup], reported: list[ChangeGroup], scope: Scope, data: st.DataObject) -> None:
    hosts = {host for group in (*found, *reported) for host in group.hosts} | set(scope.hosts)
    ages = {host: data.draw(st.sampled_from([None, NOW])) for host in sorted(hosts)}
    subject = PlanSubject("acme", "production", "7", "a" * 40, "b" * 40, "c" * 40)
    plan = FleetPlan(subject, tuple(found), scope, D, ages, 3, len(hosts), tuple(reported))
    assert FleetPlan.from_json(decode_canonical(plan.to_bytes()), plan.to_parts().__getitem__) == plan
    assert plan.content_digest == digest_bytes(plan.to_bytes())


@given(st.lists(changes, max_size=3), st.lists(resources, max_size=2), st.sampled_from([None, NOW]))
def test_host_plans_survive(found: list[Change], implied: list[Resource], at: Any) -> None:
    scope = HostScope(frozenset({(FILE, D)}))
    plan = HostPlan("web-1", at, tuple(found), 2, (FILE,), tuple(found[:1]), tuple(implied), scope)
    assert HostPlan.from_json(again(plan.to_json())) == plan
    assert HostPlan.from_json(again(replace(plan, scope=HostScope()).to_json())).scope == HostScope()
    assert plan.is_refused == any(change.action == "refused" for change in found)


def make_manifest() -> Manifest:
    return Manifest(
        repository="acme",
        environment="production",
        serial=2,
        previous=Previous(1, D),
        commit="a" * 40,
        issued=NOW,
        expires=NOW + timedelta(days=90),
        compiler="0.1.0",
        shards={"ab": D},
        plan=D,
        approvals=(D,),
        rollback_of=1,
        extensions={"x": [1]},
    )


def make_approval() -> Approval:
    scope = Scope({"web-1": HostScope(frozenset({(FILE, D)}))})
    digest = digest_change(scope, repository="acme", environment="production", pull="7")
    return Approval("acme", "production", "7", digest, D, scope, "user:alice", NOW, NOW, ("team:sre",), Proof("attested", "c1"))


def make_root() -> TrustRoot:
    key = TrustedKey("ed25519", "00ff")
    trust = EnvironmentTrust("release/production", 1, ("team:sre",), is_signed=True)
    return TrustRoot("acme", 1, {key.ident: key}, 1, {"production": trust})


def test_manifests_survive() -> None:
    manifest = make_manifest()
    assert read_manifest(manifest.to_bytes()) == manifest
    first = replace(manifest, serial=1, previous=None, plan="", rollback_of=0)
    assert read_manifest(first.to_bytes()) == first
    assert manifest.digest == digest_bytes(manifest.to_bytes())
    assert read_version(manifest.to_bytes()) == ("gitops/manifest/v1", "0.1.0")


def test_approvals_survive() -> None:
    approval = make_approval()
    assert read_approval(approval.to_bytes()) == approval
    assert approval.digest == digest_bytes(approval.to_bytes())
    assert replace(approval, proof=Approval.__dataclass_fields__["proof"].default_factory()).proof == Proof("attested")  # pyright: ignore


def test_trust_roots_survive() -> None:
    root = make_root()
    assert read_trust_root(root.to_bytes()) == root
    assert root.digest == digest_bytes(root.to_bytes())


@given(st.lists(resources, max_size=2), scopes, st.booleans())
def test_requests_survive(found: list[Resource], scope: Scope, has_baseline: bool) -> None:
    approved = next(iter(scope.hosts.values()), None)
    request = Request(
        operation="apply",
        host="web-1",
        run="r",
        environment="production",
        resources=tuple(found),
        baseline=tuple(found) if has_baseline else None,
        approved=approved,
        secrets={"env:A": "s"},
        only=(FILE,),
        blobs="/b",
        state="/s",
        root="/r",
        guards=True,
        dry_run=True,
        lock_timeout=1,
        serial=3,
        release=D,
    )
    assert Request.from_json(again(request.to_json())) == request
    assert Request.from_json(again(replace(request, approved=HostScope()).to_json())).approved == HostScope()


@given(texts, st.sampled_from([None, "x"]))
def test_reports_survive(message: str, observed: str | None) -> None:
    outcome = Outcome(FILE, "update", "changed", message)
    observation = None if observed is None else Observation("web-1", NOW)
    report = Report("r", "web-1", "changed", NOW, NOW, (outcome,), 3, "production", 2, D, "why", (FILE,), "0.1.0", observation)
    assert Report.from_json(again(report.to_json())) == report


def test_events_survive() -> None:
    event = Event("plan", {"a": 1})
    assert Event.from_json(again(event.to_json())) == event


# ── Refusals: one document each, spoiled in one place ──


def spoil(noun: str, base: Callable[[], bytes], read: Callable[[bytes], Any], code: str, /, **changed: Any) -> Any:
    return pytest.param(base, read, code, changed, id=f"{noun}: {next(iter(changed))}")


def from_json(noun: Any) -> Callable[[bytes], Any]:
    return lambda data: noun.from_json(decode_json(data))


def json_of(noun: Any) -> Callable[[], bytes]:
    return lambda: encode_canonical(noun.to_json())


FIELD = FieldChange("mode", "0600", "0644")
CHANGE = Change(FILE, "update", "intentional", fields=(FIELD,))
RESOURCE = Resource(
    "file", "/etc/motd", {"content": "x"}, needs=(FILE,), notify=(FILE,), when={"arch": ("x86_64",)}, drift="report"
)
HOST_PLAN = HostPlan("web-1", NOW, (CHANGE,))
FLEET_PLAN = FleetPlan(PlanSubject("acme", "production"), change_digest=D)
REPORT = Report("r", "web-1", "changed", NOW, NOW)
REQUEST = Request("plan", "web-1")
OTHER_SCOPE = {"intents": [{"hosts": ["db-1"], "items": [["file:/x", D]]}], "effects": []}


@pytest.mark.parametrize(
    ("base", "read", "code", "changed"),
    [
        spoil("resource", json_of(RESOURCE), from_json(Resource), "M013", more=1),
        spoil("resource", json_of(RESOURCE), from_json(Resource), "M020", kind="File"),
        spoil("resource", json_of(RESOURCE), from_json(Resource), "M020", kind="file:/etc"),
        spoil("resource", json_of(RESOURCE), from_json(Resource), "M020", name=""),
        spoil("resource", json_of(RESOURCE), from_json(Resource), "M014", name=None),
        spoil("resource", json_of(RESOURCE), from_json(Resource), "M014", attributes=None),
        spoil("resource", json_of(RESOURCE), from_json(Resource), "M014", attributes=[]),
        spoil("resource", json_of(RESOURCE), from_json(Resource), "M020", needs=["x"]),
        spoil("resource", json_of(RESOURCE), from_json(Resource), "M014", notify=[1]),
        spoil("resource", json_of(RESOURCE), from_json(Resource), "M014", when={"arch": "x86_64"}),
        spoil("resource", json_of(RESOURCE), from_json(Resource), "M014", when={"arch": [1]}),
        spoil("resource", json_of(RESOURCE), from_json(Resource), "M014", drift="ignore"),
        spoil("block", lambda: Block("b", (RESOURCE,)).to_bytes(), from_json(Block), "M012", schema="gitops/block/v2"),
        spoil("block", lambda: Block("b", (RESOURCE,)).to_bytes(), from_json(Block), "M014", resources={}),
        spoil("graph", lambda: HostGraph("a", "b").to_bytes(), from_json(HostGraph), "M014", blocks=["x"]),
        spoil("graph", lambda: HostGraph("a", "b").to_bytes(), from_json(HostGraph), "M013", more=None),
        spoil("observation", json_of(Observation("a", NOW)), from_json(Observation), "M014", facts={"arch": 1}),
        spoil("observation", json_of(Observation("a", NOW)), from_json(Observation), "M014", states={"file:/x": 1}),
        spoil("observation", json_of(Observation("a", NOW)), from_json(Observation), "M014", serial=True),
        spoil("observation", json_of(Observation("a", NOW)), from_json(Observation), "M014", as_released=["x"]),
        spoil("observation", json_of(Observation("a", NOW)), from_json(Observation), "M004", at="now"),
        spoil("change", json_of(CHANGE), from_json(Change), "M014", action="delete"),
        spoil("change", json_of(CHANGE), from_json(Change), "M014", upper_bound="yes"),
        spoil("change", json_of(CHANGE), from_json(Change), "M014", diff="x"),
        spoil("change", json_of(CHANGE), from_json(Change), "M011", fields=[{}]),
        spoil("change", json_of(CHANGE), from_json(Change), "M010", fields=["x"]),
        spoil("group", json_of(ChangeGroup(("a",), ())), from_json(ChangeGroup), "M013", more=1),
        spoil("host plan", json_of(HOST_PLAN), from_json(HostPlan), "M032", scope=OTHER_SCOPE),
        spoil("host plan", json_of(HOST_PLAN), from_json(HostPlan), "M014", unchanged="1"),
        spoil("plan", FLEET_PLAN.to_bytes, from_json(FleetPlan), "M014", change_digest="x"),
        spoil("plan", FLEET_PLAN.to_bytes, from_json(FleetPlan), "M004", observed={"web-1": "now"}),
        spoil("plan", FLEET_PLAN.to_bytes, from_json(FleetPlan), "M013", subject={"more": 1}),
        spoil("outcome", json_of(Outcome(FILE, "update", "changed")), from_json(Outcome), "M014", result="done"),
        spoil("report", json_of(REPORT), from_json(Report), "M014", result="fine"),
        spoil("request", json_of(REQUEST), from_json(Request), "M014", operation="shell"),
        spoil("request", json_of(REQUEST), from_json(Request), "M014", secrets={"env:A": 1}),
        spoil("event", json_of(Event("plan", None)), from_json(Event), "M014", event="boo"),
        spoil("manifest", lambda: make_manifest().to_bytes(), read_manifest, "M014", serial=0),
        spoil("manifest", lambda: make_manifest().to_bytes(), read_manifest, "M014", previous={"serial": 0, "digest": D}),
        spoil("manifest", lambda: make_manifest().to_bytes(), read_manifest, "M014", shards={"ab": "x"}),
        spoil("manifest", lambda: make_manifest().to_bytes(), read_manifest, "M014", approvals=["x"]),
        spoil("manifest", lambda: make_manifest().to_bytes(), read_manifest, "M002", approvals=["b" * 64, "a" * 64]),
        spoil("manifest", lambda: make_manifest().to_bytes(), read_manifest, "M013", source={"commit": "a", "more": 1}),
        spoil("manifest", lambda: make_manifest().to_bytes(), read_version, "M014", schema=1),
        spoil("approval", lambda: make_approval().to_bytes(), read_approval, "M040", pull="8"),
        spoil("approval", lambda: make_approval().to_bytes(), read_approval, "M002", teams=["b", "a"]),
        spoil(
            "approval",
            lambda: make_approval().to_bytes(),
            read_approval,
            "M014",
            proof={"kind": "word", "reference": "", "signature": ""},
        ),
        spoil("trust root", lambda: make_root().to_bytes(), read_trust_root, "M050", version=0),
        spoil("trust root", lambda: make_root().to_bytes(), read_trust_root, "M050", threshold=2),
        spoil("trust root", lambda: make_root().to_bytes(), read_trust_root, "M050", environments={"Bad": {}}),
        spoil(
            "trust root", lambda: make_root().to_bytes(), read_trust_root, "M051", keys={"ab": {"type": "p256", "spki": "00ff"}}
        ),
        spoil("trust root", lambda: make_root().to_bytes(), read_trust_root, "M051", keys={D: {"type": "p256", "spki": "xyz"}}),
    ],
)
def test_a_document_that_is_spoiled_is_refused(base: Any, read: Any, code: str, changed: dict[str, Any]) -> None:
    read(base())
    with pytest.raises(MalformedError) as stop:
        read(encode_canonical({**decode_json(base()), **changed}))
    assert stop.value.code == code


def trust_environment(required: int, approvers: list[str]) -> dict[str, Any]:
    return {"e": {"branch": "r", "approvals": {"required": required, "from": approvers, "signed": False}}}


@pytest.mark.parametrize(
    ("environments", "code"), [(trust_environment(-1, []), "M050"), (trust_environment(1, ["b", "a"]), "M002")]
)
def test_what_agents_demand_is_checked(environments: dict[str, Any], code: str) -> None:
    table: Any = decode_json(make_root().to_bytes())
    with pytest.raises(MalformedError) as stop:
        read_trust_root(encode_canonical({**table, "environments": environments}))
    assert stop.value.code == code


def test_a_version_is_read_of_objects_only() -> None:
    with pytest.raises(MalformedError):
        read_version(b"[]")


# ── Digests and addresses ──


@given(resources, resources)
def test_desired_tells_declarations_apart(first: Resource, second: Resource) -> None:
    assert (first.desired == second.desired) == (encode_canonical(first.to_json()) == encode_canonical(second.to_json()))


@given(resources)
def test_order_within_a_declaration_moves_no_digest(resource: Resource) -> None:
    turned = replace(
        resource,
        attributes=dict(reversed(list(resource.attributes.items()))),
        needs=resource.needs[::-1],
        notify=resource.notify[::-1],
        when={name: values[::-1] for name, values in reversed(list(resource.when.items()))},
    )
    assert turned.desired == resource.desired
    assert turned.after == resource.after


@pytest.mark.parametrize(
    ("changed", "moves_after"),
    [
        ({"needs": ()}, False),
        ({"notify": ()}, False),
        ({"when": {}}, False),
        ({"drift": "heal"}, False),
        ({"attributes": {}}, True),
    ],
)
def test_edges_and_when_are_desired_but_are_no_state(changed: dict[str, Any], moves_after: bool) -> None:
    other = replace(RESOURCE, **changed)
    assert other.desired != RESOURCE.desired
    assert (other.after != RESOURCE.after) == moves_after


@given(st.lists(resources, min_size=2, max_size=4, unique_by=lambda item: item.address), st.randoms())
def test_blocks_do_not_depend_on_the_order_of_resources(found: list[Resource], order: Any) -> None:
    shuffled = list(found)
    order.shuffle(shuffled)
    assert Block("b", tuple(shuffled)).to_bytes() == Block("b", tuple(found)).to_bytes()


def test_graphs_give_the_resources_of_blocks_and_host_by_address() -> None:
    one, two, three = (Resource("file", name) for name in ("/c", "/a", "/b"))
    known = Graphs("e", {"h": HostGraph("h", "e", (D,), (one,))}, {D: Block("b", (two, three))})
    assert [item.name for item in known.resources_of("h")] == ["/a", "/b", "/c"]
    assert known.resources_of("nobody") == ()
    assert shard_of("web-1") == digest_bytes(b"web-1")[:2]


@given(addresses)
def test_an_address_splits_at_its_first_colon(address: Address) -> None:
    kind, name = split_address(address)
    assert parse_address(address) == make_address(kind, name)
    assert ":" not in kind


@pytest.mark.parametrize("text", ["", ":", "file:", ":x", "File:/x", "file", "1:x", "file:" + "x" * 5000, "a b:c"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        parse_address(text)


@given(names)
def test_names_are_names(name: str) -> None:
    assert is_object_name(name)


@pytest.mark.parametrize("text", ["", "A", "-a", "a-", "a..b", ".a", "a/b", "a\n", "ü", "a" * 64, "a b"])
def test_what_is_no_name_is_none(text: str) -> None:
    assert not is_object_name(text)
