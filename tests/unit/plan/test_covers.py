"""What keeps and what loses an approval (DESIGN §4): set inclusion, and a table of what happens to plans in life."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops.model.address import Address
from gitops.model.addressed import refuse_parts
from gitops.model.codec import Json
from gitops.model.fleetplan import FleetPlan, PlanSubject
from gitops.model.graph import Graphs, HostGraph
from gitops.model.observation import Observation
from gitops.model.resource import Resource
from gitops.model.scope import HostScope, Scope
from gitops.model.scopetree import TreeScopes, plant
from gitops.plan.covers import covers, find_excess
from gitops.plan.fleet import FleetInputs, plan_fleet
from gitops.providers.registry import PROVIDERS
from tests.support.nouns import scopes
from tests.support.planning import ABSENT, RUNNING, STOPPED, declare, observe, with_content

# ── Covering is set inclusion ──


@given(scopes)
def test_everything_covers_itself_and_nothing_needs_no_cover(scope: Scope) -> None:
    assert covers([scope], scope)
    assert covers([], Scope())
    assert covers([], scope) == (not scope.hosts)


@given(scopes, scopes)
def test_covering_is_inclusion_of_both_sets_per_host(approved: Scope, actual: Scope) -> None:
    def within(host: str, scope: HostScope) -> bool:
        given = approved.hosts.get(host, HostScope())
        return scope.intents <= given.intents and scope.effects <= given.effects

    assert covers([approved], actual) == all(within(host, scope) for host, scope in actual.hosts.items())


@given(st.lists(scopes, max_size=3), scopes)
def test_the_excess_is_exactly_what_no_approval_holds(approved: list[Scope], actual: Scope) -> None:
    excess = find_excess(approved, actual)
    for host, scope in actual.hosts.items():
        left = excess.hosts.get(host, HostScope())
        given = [item.hosts[host] for item in approved if host in item.hosts]
        assert left.intents == {item for item in scope.intents if not any(item in one.intents for one in given)}
        assert left.effects == {item for item in scope.effects if not any(item in one.effects for one in given)}
    assert set(excess.hosts) <= set(actual.hosts)
    assert covers([*approved, excess], actual)


@given(scopes, scopes)
def test_trees_are_compared_as_the_sets_that_they_hold(approved: Scope, actual: Scope) -> None:
    one, other = plant(approved), plant(actual)
    trees = [Scope(TreeScopes(tree.root, tree.documents.__getitem__)) for tree in (one, other)]
    wanted = find_excess([approved], actual)
    assert find_excess([trees[0]], trees[1]) == find_excess([approved], trees[1]) == find_excess([trees[0]], actual) == wanted


def test_what_is_equal_by_its_digest_is_not_read() -> None:
    item = (Address("file:/etc/motd"), "a" * 64)
    scopes = {f"host-{number}": HostScope(frozenset({item})) for number in range(50)}
    more = {**scopes, "host-7": HostScope(frozenset({item, (Address("file:/etc/more"), "b" * 64)}))}
    one, other = plant(Scope(scopes)), plant(Scope(more))
    read: list[str] = []

    def give(digest: str) -> bytes:
        read.append(digest)
        return {**one.documents, **other.documents}[digest]

    assert covers([Scope(TreeScopes(one.root, refuse_parts))], Scope(TreeScopes(one.root, refuse_parts)))
    excess = find_excess([Scope(TreeScopes(one.root, give))], Scope(TreeScopes(other.root, give)))
    assert {host: {address for address, _ in scope.intents} for host, scope in excess.hosts.items()} == {
        "host-7": {"file:/etc/more"}
    }
    documents = {**one.documents, **other.documents}
    named = [digest for digest in read if b"gitops/scope/v1" in documents[digest]]
    assert len(named) == 2  # host-7's on either side


@given(scopes, scopes, scopes)
def test_a_smaller_plan_stays_covered_and_covering_is_transitive(first: Scope, second: Scope, third: Scope) -> None:
    if covers([first], second) and covers([second], third):
        assert covers([first], third)


@given(scopes, scopes)
def test_two_approvals_cover_what_they_hold_together(first: Scope, second: Scope) -> None:
    assert covers([first, second], first)
    assert covers([first, second], second)
    hosts = {**first.hosts, **second.hosts}
    assert covers([first, second], Scope(hosts))


# ── The table ──

SITE = declare("file:/etc/site.conf", {"content": "new\n"}, notify=["service:web"])
SITE_OLD = replace(SITE, attributes={"content": "old\n"})
WEB = declare("service:web", {"state": "running"})
MOTD = declare("file:/etc/motd", {"content": "hello\n"})
JOB = declare("command:job", {"argv": ["true"], "creates": "/srv/done"})
PASSWORD = {"secret": "pw", "from": "env", "key": "PW"}
KEPT, LOST = True, False


@dataclass(frozen=True)
class World:
    """Hosts' graphs before and after, and what was seen of them (None: never)."""

    released: Mapping[str, tuple[Resource, ...]]
    desired: Mapping[str, tuple[Resource, ...]]
    seen: Mapping[str, Mapping[str, Mapping[str, Json]]] = field(default_factory=dict[str, Any])

    def plan(self) -> FleetPlan:
        inputs = FleetInputs(
            make_graphs(self.desired), make_graphs(self.released), {host: self._observe(host) for host in self.seen}
        )
        return plan_fleet(PlanSubject("acme", "production", "7"), inputs, providers=PROVIDERS)

    def _observe(self, host: str) -> Observation:
        return replace(observe(self.seen[host]), host=host)

    def at(self, host: str, address: str, state: Mapping[str, Json]) -> World:
        return replace(self, seen={**self.seen, host: {**self.seen.get(host, {}), address: state}})

    def want(self, *resources: Resource, host: str = "web-1") -> World:
        return replace(self, desired={**self.desired, host: resources})


def make_graphs(hosts: Mapping[str, tuple[Resource, ...]]) -> Graphs:
    return Graphs("production", {host: HostGraph(host, "production", (), found) for host, found in hosts.items()})


SEEN = {"file:/etc/site.conf": with_content("old\n"), "service:web": RUNNING, "file:/etc/motd": with_content("hello\n")}
BASE = World(
    {"web-1": (MOTD, SITE_OLD, WEB), "web-2": (MOTD, SITE_OLD, WEB)},
    {"web-1": (MOTD, SITE, WEB), "web-2": (MOTD, SITE, WEB)},
    {"web-1": SEEN, "web-2": SEEN},
)
UNSEEN = replace(BASE, seen={})
SECRET = replace(SITE, attributes={"content": {"parts": [PASSWORD]}, "sensitive": True})
OTHER_SOURCE = replace(SITE, attributes={"content": {"parts": [{**PASSWORD, "key": "OTHER"}]}, "sensitive": True})
GUARDED = replace(JOB, attributes={**JOB.attributes, "unless": ["test", "-e", "/x"]})
LINK = {"type": "symlink", "mode": "0777", "owner": "root", "group": "root", "target": "/x"}
NEW = declare("file:/srv/a/new", {"content": "x\n"})
UNDER = {"type": "absent", "parents": ["/srv", "/srv/a"]}


@pytest.mark.parametrize(
    ("approved", "actual", "is_kept"),
    [
        # The change itself, rebased.
        pytest.param(BASE, BASE, KEPT, id="a rebase that leaves it equal"),
        pytest.param(
            BASE, replace(BASE, desired={"web-1": BASE.desired["web-1"], "web-2": (MOTD, SITE_OLD, WEB)}), KEPT, id="fewer hosts"
        ),
        pytest.param(BASE.want(MOTD, SITE, WEB, NEW), BASE, KEPT, id="fewer items"),
        pytest.param(BASE, replace(BASE, released=BASE.desired), KEPT, id="it was released meanwhile"),
        pytest.param(BASE, BASE.want(MOTD, SITE, WEB, NEW), LOST, id="an item more"),
        pytest.param(BASE, BASE.want(SITE, WEB), LOST, id="an item leaves the config"),
        pytest.param(BASE, BASE.want(MOTD, declare("file:/etc/site.conf", {"state": "absent"}), WEB), LOST, id="removed instead"),
        pytest.param(
            BASE,
            replace(BASE, desired={**BASE.desired, "web-3": (MOTD, SITE, WEB)}),
            LOST,
            id="a host enters",
        ),
        pytest.param(BASE, replace(BASE, desired={"web-1": BASE.desired["web-1"]}), LOST, id="a host leaves the environment"),
        pytest.param(
            replace(BASE, desired={"web-1": BASE.desired["web-1"]}),
            replace(BASE, desired={"web-1": BASE.desired["web-1"]}, seen={"web-1": SEEN}),
            KEPT,
            id="a host that was approved to leave is seen no more",
        ),
        # What is desired.
        pytest.param(BASE, BASE.want(MOTD, replace(SITE, attributes={"content": "newer\n"}), WEB), LOST, id="content changes"),
        pytest.param(
            BASE,
            BASE.want(MOTD, replace(SITE, attributes={**SITE.attributes, "mode": "0600"}), WEB),
            LOST,
            id="an attribute is added",
        ),
        pytest.param(
            BASE, BASE.want(MOTD, replace(SITE, when={"os.family": ("debian",)}), WEB), LOST, id="`when` changes, though met here"
        ),
        pytest.param(BASE, BASE.want(MOTD, replace(SITE, needs=(MOTD.address,)), WEB), LOST, id="an edge is added"),
        pytest.param(BASE, BASE.want(MOTD, replace(SITE, notify=()), WEB), LOST, id="a notification is taken away"),
        pytest.param(BASE, BASE.want(MOTD, replace(SITE, drift="report"), WEB), LOST, id="the drift setting changes"),
        pytest.param(
            BASE.want(JOB).at("web-1", "command:job", {"creates": "present"}),
            BASE.want(GUARDED).at("web-1", "command:job", {"creates": "present"}),
            LOST,
            id="a guard changes, though it does nothing today",
        ),
        pytest.param(BASE.want(SECRET), BASE.want(SECRET), KEPT, id="the same secret reference"),
        pytest.param(BASE.want(SECRET), BASE.want(OTHER_SOURCE), LOST, id="the secret comes from elsewhere"),
        pytest.param(BASE.want(declare("file:/etc/motd", {"state": "absent"})), BASE.want(MOTD), KEPT, id="a removal is dropped"),
        # What the hosts are, while the pull request waits.
        pytest.param(
            BASE,
            BASE.at("web-1", "file:/etc/motd", with_content("by hand\n")),
            KEPT,
            id="another item drifts: healing needs none",
        ),
        pytest.param(
            BASE, BASE.at("web-1", "file:/etc/site.conf", with_content("by hand\n")), KEPT, id="the item itself drifts, same verb"
        ),
        pytest.param(BASE, BASE.at("web-1", "file:/etc/site.conf", ABSENT), KEPT, id="the item itself vanishes, same verb"),
        pytest.param(BASE, BASE.at("web-1", "file:/etc/site.conf", LINK), LOST, id="a link takes its place: set becomes replace"),
        pytest.param(
            BASE.at("web-1", "file:/etc/site.conf", LINK), BASE, KEPT, id="the link is healed away: replace becomes set"
        ),
        pytest.param(BASE, BASE.at("web-1", "file:/etc/site.conf", with_content("new\n")), KEPT, id="somebody did it by hand"),
        pytest.param(
            BASE.at("web-1", "file:/etc/site.conf", with_content("new\n")), BASE, KEPT, id="what was done by hand is healed"
        ),
        pytest.param(
            BASE,
            BASE.at("web-1", "file:/etc/site.conf", {"type": "directory"}),
            KEPT,
            id="it becomes impossible: refused, nothing more",
        ),
        pytest.param(BASE, BASE.at("web-1", "service:web", STOPPED), KEPT, id="the service is found stopped"),
        pytest.param(BASE.at("web-1", "service:web", STOPPED), BASE, KEPT, id="the stopped service is started by healing"),
        pytest.param(
            BASE.want(MOTD, SITE, WEB, NEW).at("web-1", "file:/srv/a/new", ABSENT),
            BASE.want(MOTD, SITE, WEB, NEW).at("web-1", "file:/srv/a/new", UNDER),
            LOST,
            id="a parent that nobody released vanishes",
        ),
        pytest.param(
            BASE.want(MOTD, SITE, WEB, NEW).at("web-1", "file:/srv/a/new", UNDER),
            BASE.want(MOTD, SITE, WEB, NEW).at("web-1", "file:/srv/a/new", ABSENT),
            KEPT,
            id="a parent is made by somebody",
        ),
        # What was never seen.
        pytest.param(UNSEEN, BASE, KEPT, id="a host never observed is observed"),
        pytest.param(UNSEEN, BASE.at("web-1", "file:/etc/site.conf", LINK), KEPT, id="… and has a link there"),
        pytest.param(
            UNSEEN,
            BASE.at("web-1", "file:/etc/site.conf", {"type": "absent", "parents": ["/etc"]}),
            KEPT,
            id="… and has none of the parents",
        ),
        pytest.param(UNSEEN, BASE.at("web-1", "service:web", STOPPED), KEPT, id="… and the service is stopped"),
        pytest.param(BASE, UNSEEN, LOST, id="what was known of the hosts is lost: more may be needed"),
        pytest.param(
            BASE.want(MOTD, SITE, WEB, NEW),
            BASE.want(MOTD, SITE, WEB, NEW).at("web-1", "file:/srv/a/new", UNDER),
            KEPT,
            id="a new item on a known host is observed",
        ),
        pytest.param(
            BASE.want(MOTD, SITE, WEB, replace(NEW, attributes={"content": "x\n", "mode": "0600"})),
            BASE.want(MOTD, SITE, WEB, NEW).at("web-1", "file:/srv/a/new", UNDER),
            LOST,
            id="… but is wanted otherwise",
        ),
    ],
)
def test_what_keeps_and_what_loses_an_approval(approved: World, actual: World, is_kept: bool) -> None:
    first, second = approved.plan(), actual.plan()
    assert covers([first.scope], second.scope) == is_kept
    if first.scope == second.scope:
        assert first.change_digest == second.change_digest
    elif not is_kept:
        assert first.change_digest != second.change_digest


def test_the_same_sets_for_another_pull_request_or_environment_have_another_digest() -> None:
    inputs = FleetInputs(make_graphs(BASE.desired), make_graphs(BASE.released), {})
    subjects = [
        PlanSubject("acme", "production", "7"),
        PlanSubject("acme", "production", "8"),
        PlanSubject("acme", "staging", "7"),
        PlanSubject("other", "production", "7"),
    ]
    assert len({plan_fleet(subject, inputs, providers=PROVIDERS).change_digest for subject in subjects}) == 4


def test_commits_and_ages_are_no_part_of_what_is_approved() -> None:
    inputs = FleetInputs(make_graphs(BASE.desired), make_graphs(BASE.released), {})
    subjects = [PlanSubject("acme", "production", "7", "a", "b", "c"), PlanSubject("acme", "production", "7", "d", "e", "f")]
    first, second = (plan_fleet(subject, inputs, providers=PROVIDERS) for subject in subjects)
    assert first.change_digest == second.change_digest
    assert first.content_digest != second.content_digest
