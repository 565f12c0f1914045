"""Planning by what is touched gives, byte by byte, what planning every host whole gives: random fleets, both ways.

Whole hosts are the oracle: what the planner does where one address alone is wanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitops.errors import MalformedError
from gitops.model.address import list_above
from gitops.model.codec import Json, digest_bytes
from gitops.model.graph import Graphs
from gitops.model.observation import Observation
from gitops.model.plan import HostPlan
from gitops.model.resource import Resource
from gitops.plan import hosts as hosts_module
from gitops.plan.host import plan_host
from gitops.plan.item import Preparer
from gitops.plan.order import arrange
from gitops.plan.settled import find_as_released
from gitops.providers.file import FileProvider
from gitops.providers.registry import PROVIDERS
from tests.support.nouns import NOW, make_state, projects, satisfy
from tests.support.worlds import Side, World, plan_by_parts, plan_whole

NONE = Graphs("production")
FAMILIES = ("debian", "redhat")


@st.composite
def hosts_of_few_kinds(draw: st.DrawFn) -> tuple[Resource, ...]:
    """A project with accounts that bring a home, links, conditions and `needs`, too."""
    found = {item.address: item for item in draw(projects())}
    taken = {item.name for item in found.values()}
    for name in draw(st.lists(st.sampled_from(["ann", "bob"]), max_size=2, unique=True)):
        item = Resource("user", name, {"home": draw(st.sampled_from(["/etc/a", "/srv", "/home/ann"]))})
        found[item.address] = item
    if draw(st.booleans()) and "/etc/b b" not in taken:
        item = Resource("symlink", "/etc/b b", {"target": "/srv"})
        found[item.address] = item
    rows = []
    for item in sorted(found.values(), key=lambda one: one.address):
        earlier = [other.address for other in rows if item.kind != "directory"]
        needs = tuple(sorted(draw(st.lists(st.sampled_from(earlier), max_size=1)))) if earlier else ()
        when = {"os.family": (draw(st.sampled_from(FAMILIES)),)} if draw(st.integers(0, 4)) == 0 else {}
        rows.append(replace(item, needs=needs, when=when))
    try:
        arrange(rows, Preparer(PROVIDERS))
    except MalformedError:  # a circle, which no graph that is released has
        return tuple(replace(item, needs=()) for item in rows)
    return tuple(rows)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Hosts that share blocks, with portions of their own, converged or not, before and after a change."""
    pool = [draw(hosts_of_few_kinds()) for _ in range(draw(st.integers(1, 3)))]
    names = [f"h{number}" for number in range(draw(st.integers(1, 4)))]
    released, desired = Side(), Side()
    for name in names:
        if draw(st.integers(0, 5)):
            released.add(name, draw(st.sampled_from(pool)), draw(st.integers(0, 3)))
        if draw(st.integers(0, 5)):
            desired.add(name, draw(st.sampled_from(pool)), draw(st.integers(0, 3)))
    seen = {name: draw(observations(name, released, desired)) for name in names if draw(st.integers(0, 3))}
    return World(released.graphs(), desired.graphs(), seen, draw(st.integers(0, 2)))


@st.composite
def observations(draw: st.DrawFn, host: str, released: Side, desired: Side) -> Observation:
    """What a host could report: mostly as released, some of it drifted or never seen, folders missing for all alike."""
    known = {item.address: item for side in (desired, released) for item in side.graphs().resources_of(host)}
    missing = draw(st.sampled_from([(), (), ("/etc",), ("/srv", "/srv/a"), ("/etc/a",)]))
    states: dict[Any, Any] = {}
    for address, item in known.items():
        choice = draw(st.integers(0, 9))
        if choice:
            states[address] = _see(item, draw, missing, is_settled=choice > 3)
    family = draw(st.sampled_from(FAMILIES))
    observation = Observation(host, NOW, {"os.family": family}, states, draw(st.integers(0, 2)))
    if not draw(st.booleans()) or host not in released.hosts:
        return observation
    graphs = released.graphs()
    blocks = {digest: [item.address for item in graphs.blocks[digest].resources] for digest in graphs.hosts[host].blocks}
    found = find_as_released(graphs.resources_of(host), blocks, observation, Preparer(PROVIDERS))
    return replace(observation, as_released=found)


def _see(item: Resource, draw: st.DrawFn, missing: Sequence[str], *, is_settled: bool) -> dict[str, Json]:
    if item.kind == "user":
        there: dict[str, Json] = {"exists": True, "uid": 1001, "gid": 1001, "group": item.name, "groups": [], "shell": "/bin/sh"}
        return {**there, "home": item.attributes["home"]} if is_settled else {"exists": False}
    if item.kind == "symlink":
        parents = [path for path in reversed(list(list_above(item.name))) if path in missing]
        return {"type": "symlink", "target": "/srv"} if is_settled and not parents else {"type": "absent", "parents": parents}
    if item.name.startswith("/"):
        parents = [path for path in reversed(list(list_above(item.name))) if path in missing]
        if parents or item.name in missing:
            return {"type": "absent", "parents": parents}
    return satisfy(item, draw) if is_settled else make_state(item.kind, draw)


@settings(max_examples=200)
@given(worlds())
def test_by_parts_is_byte_by_byte_what_whole_hosts_give(world: World) -> None:
    assert plan_by_parts(world).to_bytes() == plan_whole(world).to_bytes()


def test_what_may_come_with_a_home_is_planned_with_who_brings_it() -> None:
    """Nothing else joins the two: the account is made first, since its kind sorts first."""
    user = Resource("user", "ann", {"home": "/etc/yum.repos.d"})
    repository = Resource("yum_repository", "extra", {"baseurl": ["https://repo.example.org/"], "gpgcheck": False})
    side = Side()
    side.add("h0", (user, repository), 0)
    states: dict[Any, Any] = {user.address: {"exists": False}, repository.address: {"type": "absent", "parents": []}}
    world = World(Graphs("production"), side.graphs(), {"h0": Observation("h0", NOW, {"os.family": "redhat"}, states)})
    plan = plan_by_parts(world)
    found = {change.address: change.confidence for group in plan.groups for change in group.changes}
    assert found[repository.address] == "conditional"
    assert plan.to_bytes() == plan_whole(world).to_bytes()


def test_what_every_host_has_alike_is_planned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def count(host: str, resources: Sequence[Resource], **more: Any) -> HostPlan:
        calls.append(len(resources))
        return plan_host(host, resources, **more)

    monkeypatch.setattr(hosts_module, "plan_host", count)
    old, new = Side(), Side()
    motd = {word: Resource("file", "/etc/motd", {"content": f"{word}\n"}) for word in ("old", "new")}
    for number in range(50):
        own = Resource("file", "/etc/own", {"content": f"{number}\n"})
        old.add(f"h{number}", (motd["old"], own), 1)
        new.add(f"h{number}", (motd["new"], own), 1)
    plan = plan_by_parts(World(old.graphs(), new.graphs()))
    assert (calls, plan.summary()["changes"], plan.unchanged) == ([1], 50, 50)


def test_what_is_as_released_is_not_compared_again(monkeypatch: pytest.MonkeyPatch) -> None:
    motd = Resource("file", "/etc/motd", {"content": "a\n"})
    late = Resource("file", "/etc/late", {"content": "a\n"}, when={"os.family": ("redhat",)})
    unknown = Resource("wombat", "w", {})
    state = {"type": "file", "mode": "0644", "owner": "root", "group": "root", "digest": digest_bytes(b"a\n"), "size": 2}
    states: dict[Any, Any] = {motd.address: state, late.address: state, unknown.address: {}}
    seen = Observation("h0", NOW, {"os.family": "debian"}, states, 2)
    blocks = {"a" * 64: [motd.address], "b" * 64: [motd.address, late.address], "c" * 64: [unknown.address]}
    assert find_as_released((motd, late, unknown), blocks, seen, Preparer(PROVIDERS)) == {"a" * 64}
    side = Side()
    side.add("h0", (motd,), 0)
    seen = replace(seen, as_released=frozenset(side.hosts["h0"].blocks))
    monkeypatch.setattr(FileProvider, "diff", lambda *_: pytest.fail("it was compared"))
    assert plan_by_parts(World(side.graphs(), side.graphs(), {"h0": seen})).unchanged == 1
