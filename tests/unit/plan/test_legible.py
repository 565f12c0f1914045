"""Whatever enters a digest that is approved is seen: a change of each field of each kind stands in plan, comment, page and diff."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from gitops.model.address import parse_address
from gitops.model.facts import FactProgram
from gitops.model.fleetplan import FleetPlan, PlanSubject
from gitops.model.graph import Block, Graphs, HostGraph
from gitops.model.plan import Change, FieldChange, HostPlan
from gitops.model.resource import Resource
from gitops.model.scope import HostScope, Scope
from gitops.model.scopetree import digest_change
from gitops.plan.declared import add_declared, make_compare
from gitops.plan.fleet import FleetInputs, plan_fleet
from gitops.plan.fold import fold_plans
from gitops.plan.graphdiff import diff_graphs
from gitops.plan.textdiff import make_differ
from gitops.providers.registry import make_registry
from gitops.render.comment import CommentSubject, Section, render_comment
from gitops.render.diff import render_diff
from gitops.render.text import render_fleet_plan
from webhooks.ui.planview import view_plan

NOW = datetime(2026, 11, 29, tzinfo=UTC)
BASE = Resource("file", "/etc/x", {"owner": "root"})
FACT = FactProgram("a" * 64, 10, "string", 5)
WITH_FACT = replace(BASE, when={"custom.x": ("1",)}, facts={"custom.x": FACT})
PW = {"secret": "pw", "from": "env", "key": "DB_PASSWORD"}
SHADOW = {"secret": "pw", "from": "file", "key": "/etc/shadow"}


def each_attribute() -> Iterator[tuple[str, Resource, Resource, tuple[str, ...]]]:
    for kind, provider in sorted(make_registry().items()):
        for item in dataclasses.fields(provider.spec)[1:]:
            one = Resource(kind, "/n", {item.name: "value-old"})
            yield f"{kind}.{item.name}", one, replace(one, attributes={item.name: "value-new"}), ("value-old", "value-new")


def each_part() -> Iterator[tuple[str, Resource, Resource, tuple[str, ...]]]:
    address = parse_address("service:other")
    yield "needs", BASE, replace(BASE, needs=(address,)), ("service:other",)
    yield "notify", BASE, replace(BASE, notify=(address,)), ("service:other",)
    yield "when", BASE, replace(BASE, when={"os.name": ("debian-next",)}), ("debian-next",)
    yield "drift", BASE, replace(BASE, drift="report"), ("drift", "report")
    yield "on_failure", BASE, replace(BASE, on_failure="stop"), ("on_failure", "stop")
    for name, value in (("blob", "b" * 64), ("size", 11), ("type", "integer"), ("timeout", 6)):
        program = replace(FACT, **{name: value})
        yield f"facts.{name}", WITH_FACT, replace(WITH_FACT, facts={"custom.x": program}), (str(value),)
    for key in ("content", "password_hash", "env"):
        old: Any = {"parts": ["a", PW]}
        new: Any = {"parts": ["a", SHADOW]}
        one, other = ({"V": old}, {"V": new}) if key == "env" else (old, new)
        words = ("secret pw: env DB_PASSWORD → file /etc/shadow",)
        yield f"secret in {key}", Resource("file", "/n", {key: one}), Resource("file", "/n", {key: other}), words
    program, another = {"blob": "c" * 64, "size": 3}, {"blob": "d" * 64, "size": 3}
    one, other = {"program": program}, {"program": another}
    yield "executable", Resource("external", "n", one), Resource("external", "n", other), ("c" * 64, "d" * 64)
    large = {"blob": "e" * 64, "size": 1 << 30}
    yield "large content", Resource("file", "/n", {"content": large}), Resource("file", "/n", {"content": "x"}), ("e" * 64,)


CASES = [*each_attribute(), *each_part()]


def plan_silently(before: Resource, after: Resource) -> FleetPlan:
    intents = frozenset({(after.address, after.desired)})
    plan = HostPlan("web-1", NOW, scope=HostScope(intents))
    differ = make_differ(lambda _: None)
    plan = add_declared(plan, {before.address: before}, {after.address: after}, make_compare(), differ)
    scope = Scope({"web-1": plan.scope})
    digest = digest_change(scope, repository="acme", environment="production", pull="1")
    silent = fold_plans([HostPlan("web-1", NOW, plan.silent)]).groups
    return FleetPlan(PlanSubject("acme", "production", "1"), scope=scope, change_digest=digest, hosts=1, silent=silent)


def graphs_of(resource: Resource) -> Graphs:
    return Graphs("production", hosts={"web-1": HostGraph("web-1", "production", (), (resource,))})


@pytest.mark.parametrize(("before", "after", "words"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_change_of_each_field_is_seen_wherever_a_plan_is_shown(
    before: Resource, after: Resource, words: tuple[str, ...]
) -> None:
    assert before.desired != after.desired
    made = plan_silently(before, after)
    plan = FleetPlan.from_json(made.to_json(), made.to_parts().__getitem__)
    comment = (
        render_comment(CommentSubject("a" * 40, "b" * 40, "main"), [Section(plan)], now=NOW)
        .replace("\\", "")
        .replace("\u200b", "")
    )
    page = repr(view_plan(plan, NOW).silent)
    diff = diff_graphs(graphs_of(before), graphs_of(after))
    for place in (render_fleet_plan(plan, now=NOW), comment, page):
        assert all(word in place for word in words), (words, place)
    shown = render_diff([diff], before="a", after="b")
    assert all(word in shown for word in words), (words, shown)


@pytest.mark.parametrize(("seen", "names"), [("root", ["owner"]), ("eve", ["owner", "declared owner"])])
def test_what_the_machine_has_is_said_beside_what_was_declared_only_where_they_differ(seen: str, names: list[str]) -> None:
    after = replace(BASE, attributes={"owner": "www"})
    line = Change(BASE.address, "update", "intentional", fields=(FieldChange("owner", seen, "www"),))
    plan = HostPlan("web-1", NOW, (line,), scope=HostScope(frozenset({(after.address, after.desired)})))
    compare, differ = make_compare(), make_differ(lambda _: None)
    found = add_declared(plan, {BASE.address: BASE}, {BASE.address: after}, compare, differ)
    assert [field.name for field in found.changes[0].fields] == names


def test_every_part_of_a_resource_is_walked() -> None:
    assert {item.name for item in dataclasses.fields(Resource)} == {
        *("kind", "name", "attributes", "needs", "notify", "when", "drift", "on_failure", "facts")
    }
    assert {item.name for item in dataclasses.fields(FactProgram)} == {"blob", "size", "type", "timeout"}
    assert {item.name for item in dataclasses.fields(Block)} == {"name", "resources"}


def test_a_secret_from_elsewhere_is_a_high_risk_and_a_new_one_is_not() -> None:
    old, new = (Resource("file", "/etc/motd", {"content": {"parts": [ref]}}) for ref in (PW, SHADOW))
    inputs = FleetInputs(graphs_of(new), graphs_of(old), {})
    change = plan_fleet(PlanSubject("acme", "production"), inputs, providers=make_registry()).groups[0].changes[0]
    assert (change.risk, change.fields[0].name, change.fields[0].before) == ("high", "secret pw", "env DB_PASSWORD")
    first = FleetInputs(graphs_of(old), None, {})
    change = plan_fleet(PlanSubject("acme", "production"), first, providers=make_registry()).groups[0].changes[0]
    assert (change.risk, change.fields[0].after) == ("low", "env DB_PASSWORD")
    assert plan_silently(old, new).silent[0].changes[0].risk == "high"
