"""Laws of the fleet plan: deterministic, nothing lost or doubled when folded, destructive first."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops.errors import MalformedError
from gitops.model.address import Address
from gitops.model.codec import digest_bytes, encode_canonical
from gitops.model.fleetplan import ChangeGroup, FleetPlan, PlanSubject
from gitops.model.graph import Block, Graphs, HostGraph
from gitops.model.observation import Observation
from gitops.model.plan import Change, FieldChange, HostPlan
from gitops.model.resource import Resource
from gitops.model.variants import read_index, read_variants
from gitops.plan.fleet import FleetInputs, plan_fleet
from gitops.plan.fold import SHOWN_VARIANTS, Folded, fold_plans, order_changes
from gitops.providers.registry import PROVIDERS
from tests.support.nouns import NOW, addresses, changes, make_state, names, projects, sorted_tuple
from tests.support.planning import ABSENT, declare, observe, with_content

SUBJECT = PlanSubject("acme", "production", "7")


def graphs_of(hosts: dict[str, tuple[Resource, ...]]) -> Graphs:
    return Graphs("production", {host: HostGraph(host, "production", (), found) for host, found in hosts.items()})


def make(desired: Graphs, released: Graphs | None = None, seen: dict[str, Observation] | None = None, **more: Any) -> FleetPlan:
    return plan_fleet(SUBJECT, FleetInputs(desired, released, seen or {}, **more), providers=PROVIDERS)


def write(change: Change) -> bytes:
    return encode_canonical(change.to_json())


host_plans = st.builds(
    HostPlan,
    names,
    st.none(),
    st.lists(changes, max_size=3, unique_by=lambda item: (item.address, item.action)).map(tuple),
    st.integers(0, 3),
    sorted_tuple(addresses, 2),
)


@given(st.lists(host_plans, max_size=6, unique_by=lambda plan: plan.host), st.randoms())
def test_folding_neither_loses_nor_doubles_a_change_and_order_never_matters(plans: list[HostPlan], order: random.Random) -> None:
    folded = fold_plans(plans)
    given_changes = Counter((plan.host, write(change)) for plan in plans for change in plan.changes)
    assert Counter((host, write(change)) for group in unfold(folded) for host, change in group) == given_changes
    unmanaged = Counter((plan.host, address) for plan in plans for address in plan.unmanaged)
    assert Counter((host, address) for group in folded.groups for host in group.hosts for address in group.unmanaged) == unmanaged
    order.shuffle(plans)
    assert fold_plans(plans) == folded


@given(st.lists(host_plans, max_size=6, unique_by=lambda plan: plan.host))
def test_every_change_is_shown_once_with_all_the_hosts_that_have_it(plans: list[HostPlan]) -> None:
    twins = [replace(plan, host=f"{plan.host}-twin") for plan in plans]
    groups = fold_plans([*plans, *twins]).groups
    shown = [(write(change), group.hosts) for group in groups for change in group.changes if change.differs is None]
    assert len({change for change, _ in shown}) == len(shown)
    assert all({f"{host}-twin" for host in hosts if not host.endswith("-twin")} <= set(hosts) for _, hosts in shown)
    assert len({group.hosts for group in groups}) == len(groups)


def unfold(folded: Folded) -> Iterator[Iterator[tuple[str, Change]]]:
    """Give every change of every host, variants included."""
    for group in folded.groups:
        for change in group.changes:
            if change.differs is None:
                yield ((host, change) for host in group.hosts)
                continue
            index = read_index(change.differs.index, folded.parts.__getitem__)
            variants = read_variants(index, range(len(index.hosts)), folded.parts.__getitem__)
            assert change.differs.count == len(variants)
            assert sorted(host for item in variants for host in item.hosts) == list(group.hosts)
            yield ((host, item.apply_to(change)) for item in variants for host in item.hosts)


OWN = declare("file:/etc/own/name", {"content": "x\n"})


def own_files(hosts: int, *, action: str = "update", classification: str = "intentional") -> list[HostPlan]:
    changes = {
        f"h{number:03}": Change(OWN.address, action, classification, after=f"{number:064x}", diff=(f"+{number}",))
        for number in range(hosts)
    }
    return [HostPlan(host, None, (change,)) for host, change in changes.items()]


@given(st.integers(1, 250), st.randoms())
def test_what_differs_in_content_alone_is_one_change_with_a_sample(hosts: int, order: random.Random) -> None:
    plans = own_files(hosts)
    order.shuffle(plans)
    folded = fold_plans(plans)
    assert sorted((host, item.diff) for group in unfold(folded) for host, item in group) == [
        (f"h{number:03}", (f"+{number}",)) for number in range(hosts)
    ]
    if hosts <= SHOWN_VARIANTS:
        assert len(folded.groups) == hosts
        return
    (group,) = folded.groups
    (change,) = group.changes
    assert change.differs is not None
    assert (change.differs.count, change.differs.sample, change.diff) == (hosts, "h000", ("+0",))
    assert (change.after, len(group.hosts)) == ("0" * 64, hosts)


@pytest.mark.parametrize(
    ("action", "classification"),
    [
        ("refused", "intentional"),
        ("remove", "intentional"),
        ("replace", "intentional"),
        ("run", "initial"),
        ("update", "conflict"),
    ],
)
def test_conflicts_refusals_and_removals_are_never_hidden_behind_a_sample(action: str, classification: str) -> None:
    folded = fold_plans(own_files(20, action=action, classification=classification))
    assert [len(group.hosts) for group in folded.groups] == [1] * 20
    assert not folded.parts


def test_a_mode_that_differs_is_no_content() -> None:
    plans = [
        replace(
            plan, changes=tuple(replace(item, fields=(FieldChange("mode", None, f"06{number:02o}"),)) for item in plan.changes)
        )
        for number, plan in enumerate(own_files(10))
    ]
    assert len(fold_plans(plans).groups) == 10


@st.composite
def fleets(draw: st.DrawFn) -> tuple[Graphs, Graphs, dict[str, Observation]]:
    pool = [draw(projects()) for _ in range(3)]
    hosts = [f"h{number}" for number in range(draw(st.integers(1, 4)))]
    desired = {host: draw(st.sampled_from(pool)) for host in hosts if draw(st.booleans())}
    released = {host: draw(st.sampled_from(pool)) for host in hosts if draw(st.booleans())}
    seen: dict[str, Observation] = {}
    for host in hosts:
        if draw(st.booleans()):
            known = sorted({item.address for item in (*desired.get(host, ()), *released.get(host, ()))})
            states: Any = {address: make_state(address.partition(":")[0], draw) for address in known if draw(st.booleans())}
            seen[host] = Observation(host, NOW, {}, states)
    return graphs_of(desired), graphs_of(released), seen


def turned(table: dict[str, Any], order: random.Random) -> dict[str, Any]:
    keys = list(table)
    order.shuffle(keys)
    return {key: table[key] for key in keys}


@given(fleets(), st.randoms())
def test_the_same_fleet_in_any_order_gives_the_same_bytes(
    fleet: tuple[Graphs, Graphs, dict[str, Observation]], order: random.Random
) -> None:
    desired, released, seen = fleet
    first = make(desired, released, seen)
    again = make(
        replace(desired, hosts=turned(dict(desired.hosts), order)),
        replace(released, hosts=turned(dict(released.hosts), order)),
        turned(seen, order),
    )
    assert again.to_bytes() == first.to_bytes()
    assert FleetPlan.from_json(first.to_json(), first.to_parts().__getitem__) == first


@given(fleets())
def test_the_parts_of_a_fleet_plan_are_the_plans_of_its_hosts(fleet: tuple[Graphs, Graphs, dict[str, Observation]]) -> None:
    desired, released, seen = fleet
    whole = make(desired, released, seen)
    hosts = sorted({*desired.hosts, *released.hosts})
    alone = {host: make(desired, released, seen, only_hosts=(host,)) for host in hosts}
    assert {host: scope for plan in alone.values() for host, scope in plan.scope.hosts.items()} == dict(whole.scope.hosts)
    assert sum(plan.unchanged for plan in alone.values()) == whole.unchanged
    assert sum(plan.summary()["changes"] for plan in alone.values()) == whole.summary()["changes"]
    assert all(plan.hosts == (host in desired.hosts) for host, plan in alone.items())
    assert set(whole.ages) >= set(whole.scope.hosts)


def test_hosts_of_one_block_are_one_group() -> None:
    block = Block("module/motd", (declare("file:/etc/motd", {"content": "hello\n"}),))
    digest = digest_bytes(block.to_bytes())
    hosts = {f"web-{number}": HostGraph(f"web-{number}", "production", (digest,)) for number in range(20)}
    seen = {host: replace(observe({"file:/etc/motd": ABSENT}), host=host) for host in hosts}
    made = make(Graphs("production", hosts, {digest: block}), None, seen)
    assert [len(group.hosts) for group in made.groups] == [20]
    assert made.summary() == {"hosts": 20, "groups": 1, "unchanged": 0, "changed_hosts": 20, "changes": 20, "create": 20}
    assert made.groups[0].changes[0].diff == ("@@ -0,0 +1 @@", "+hello")


def test_contents_come_from_either_side() -> None:
    old, new = b"a\n" * 3000, b"a\n" * 2999 + b"b\n"
    graphs = []
    for data in (old, new):
        resource = declare("file:/x", {"content": {"blob": digest_bytes(data), "size": len(data)}})
        graphs.append(replace(graphs_of({"h": (resource,)}), blobs={digest_bytes(data): data}))
    made = make(graphs[1], graphs[0], {"h": observe({"file:/x": {**with_content(""), "digest": digest_bytes(old)}})})
    assert made.groups[0].changes[0].diff[-2:] == ("-a", "+b")


def test_drift_that_is_only_reported_is_told_apart() -> None:
    resource = declare("file:/x", {"content": "a\n"}, drift="report")
    made = make(graphs_of({"h": (resource,)}), graphs_of({"h": (resource,)}), {"h": observe({"file:/x": with_content("b\n")})})
    assert (made.groups, made.has_changes) == ((), False)
    assert [(group.hosts, group.changes[0].action) for group in made.reported] == [(("h",), "update")]
    assert FleetPlan.from_json(made.to_json(), made.to_parts().__getitem__) == made


def test_a_host_that_leaves_is_in_the_plan_with_what_it_had() -> None:
    made = make(graphs_of({}), graphs_of({"gone": (declare("file:/x"),)}))
    assert made.groups == (ChangeGroup(("gone",), (), (Address("file:/x"),)),)
    assert (made.hosts, made.ages) == (0, {"gone": None})


def test_destruction_stands_first_then_conflicts_then_the_larger_group() -> None:
    def change(address: str, action: str, classification: str = "intentional") -> Change:
        return Change(Address(address), action, classification)

    plans = [
        HostPlan("a", None, (change("file:/a", "create"),)),
        *(HostPlan(f"b{number}", None, (change("file:/b", "update"),)) for number in range(3)),
        HostPlan("c", None, (change("file:/a", "update", "conflict"), change("service:s", "reload"))),
        HostPlan("d", None, (change("file:/z", "update"), change("file:/d", "remove"))),
        HostPlan("e", None, (), 0, (Address("file:/x"),)),
        HostPlan("f", None, (change("file:/f", "refused"),)),
    ]
    assert [group.hosts[0] for group in fold_plans(plans).groups] == ["f", "d", "c", "b0", "a", "e"]
    assert [item.address for item in order_changes(plans[5].changes)] == ["file:/d", "file:/z"]


def test_only_takes_the_hosts_that_have_the_address_and_an_unknown_one_is_an_error() -> None:
    one, other = declare("file:/one"), declare("file:/other")
    desired = graphs_of({"a": (one, other), "b": (other,)})
    made = make(
        desired,
        None,
        {host: observe({"file:/one": ABSENT, "file:/other": ABSENT}) for host in "ab"},
        only=(Address("file:/one"),),
    )
    assert [(group.hosts, group.changes[0].address) for group in made.groups] == [(("a",), "file:/one")]
    assert sorted(made.scope.hosts) == ["a"]
    with pytest.raises(MalformedError, match="no resource file:/nope on any of these hosts"):
        make(desired, None, only=(Address("file:/nope"),))


MOTD, MOTD_NEW = (declare("file:/etc/motd", {"content": f"{word}\n"}) for word in ("released", "new"))


@pytest.mark.parametrize(
    ("desired", "at", "classification", "risk", "is_behind"),
    [
        (MOTD_NEW, 1, "intentional", "low", True),
        (MOTD_NEW, 2, "conflict", "high", False),
        (MOTD_NEW, 0, "conflict", "high", False),
        (MOTD, 1, "corrective", "low", True),
        (MOTD, 2, "corrective", "low", False),
    ],
)
def test_a_host_seen_before_it_had_the_release_is_not_said_to_be_changed_by_hand(
    desired: Resource, at: int, classification: str, risk: str, is_behind: bool
) -> None:
    seen = replace(observe({MOTD.address: with_content("old\n")}), serial=at)
    plan = make(graphs_of({"web-1": (desired,)}), graphs_of({"web-1": (MOTD,)}), {"web-1": seen}, serial=2)
    (change,) = plan.groups[0].changes
    assert (change.classification, change.risk, change.is_behind) == (classification, risk, is_behind)


def test_being_behind_changes_neither_intents_nor_effects() -> None:
    seen = replace(observe({MOTD.address: with_content("old\n")}), serial=1)
    worlds = [make(graphs_of({"web-1": (MOTD_NEW,)}), graphs_of({"web-1": (MOTD,)}), {"web-1": seen}, serial=n) for n in (0, 2)]
    assert worlds[0].scope == worlds[1].scope
    assert worlds[0].change_digest == worlds[1].change_digest


@pytest.mark.parametrize("state", [{}, {"type": 5}, {"type": "absent", "parents": ["x", "x"]}, {"type": "absent", "parents": 3}])
def test_a_host_that_reports_nonsense_counts_as_never_observed_and_stops_no_plan(state: dict[str, Any]) -> None:
    motd = (declare("file:/etc/motd", {"content": "new"}),)
    desired = graphs_of({"liar": motd, "web": motd})
    web = replace(observe({"file:/etc/motd": ABSENT}), host="web")
    made = make(desired, seen={"liar": replace(web, host="liar", states={Address("file:/etc/motd"): state}), "web": web})
    unseen = make(desired, seen={"web": web})
    assert made.scope == unseen.scope
    assert made.to_bytes() == unseen.to_bytes()
    assert made.ages["liar"] is None


def test_what_is_new_on_a_late_host_is_said_to_be_new() -> None:
    seen = replace(observe({MOTD.address: ABSENT}), serial=1)
    (change,) = make(graphs_of({"web-1": (MOTD,)}), graphs_of({"web-1": ()}), {"web-1": seen}, serial=2).groups[0].changes
    assert (change.classification, change.is_behind) == ("initial", False)


def test_a_late_host_is_no_smaller_risk_where_people_could_be_locked_out() -> None:
    old, new = (
        declare("line:root-login", {"path": "/etc/ssh/sshd_config", "text": f"PermitRootLogin {word}"}) for word in ("no", "yes")
    )
    seen = replace(observe({old.address: {**with_content(""), "asked": {"path": "/etc/ssh/sshd_config"}}}), serial=1)
    plan = make(graphs_of({"web-1": (new,)}), graphs_of({"web-1": (old,)}), {"web-1": seen}, serial=2)
    assert {change.risk for group in plan.groups for change in group.changes} == {"high"}
