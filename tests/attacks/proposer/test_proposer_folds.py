"""A proposer hides one change among many that fold: whoever proposes chooses what is the sample, so nothing may hide behind it."""

from __future__ import annotations

from typing import Any

from gitops.model.address import Address
from gitops.model.facts import FactProgram
from gitops.model.fleetplan import FleetPlan
from gitops.model.observation import Observation
from gitops.model.resource import Resource
from gitops.plan.fold import open_address
from gitops.render.comment import Approvals, CommentSubject, Section, render_comment
from gitops.render.text import render_fleet_plan
from tests.support.nouns import NOW
from tests.support.worlds import NOTHING, Side, World, plan_by_parts
from webhooks.ui.planview import view_plan

EVIL = "ALL ALL=(ALL) NOPASSWD: ALL"


def comment(plan: FleetPlan) -> str:
    return render_comment(CommentSubject("a" * 40, "b" * 40, "main"), [Section(plan, Approvals(1))], now=NOW)


def fleet(make: Any, released: Any = None, facts: Any = None, state: Any = None, number: int = 6) -> FleetPlan:
    old, new, seen = Side(), Side(), {}
    for i in range(number):
        item = make(i)
        new.add(f"h{i}", (item,), 1)
        if released is not None:
            old.add(f"h{i}", (released(i),), 1)
        if facts is not None:
            seen[f"h{i}"] = Observation(f"h{i}", NOW, facts, {} if state is None else {item.address: state}, 2)
    return plan_by_parts(World(NOTHING if released is None else old.graphs(), new.graphs(), seen))


def silent(path: str = "/etc/cron.d/x") -> FleetPlan:
    when = {"os.family": ("redhat",)}
    texts = [f"u{i} ALL=(root) /bin/x\n" for i in range(5)] + [EVIL + "\n"]
    return fleet(
        lambda i: Resource("file", path, {"content": texts[i]}, when=when),
        lambda i: Resource("file", path, {"content": "old\n"}, when=when),
        {"os.family": "debian"},
    )


def test_silent_variants_are_said_in_the_terminal() -> None:
    assert "variant" in render_fleet_plan(silent(), now=NOW)


def test_silent_variants_are_said_on_the_page() -> None:
    assert "variant" in str(view_plan(silent(), NOW).silent)


def test_silent_variants_are_said_in_the_table() -> None:
    row = next(line for line in comment(silent()).split("\n") if line.startswith("| ="))
    assert "variant" in row


def test_silent_variants_can_be_opened() -> None:
    found = open_address(silent(), Address("file:/etc/cron.d/x"))
    assert EVIL in str(found)


def test_a_silent_change_of_sudoers_is_a_high_risk() -> None:
    plan = silent("/etc/sudoers.d/x")
    assert {change.risk for group in plan.silent for change in group.changes} == {"high"}
    assert EVIL in comment(plan)


def test_what_is_a_high_risk_is_not_folded() -> None:
    texts = [f"u{i} ALL=(root) /bin/x\n" for i in range(5)] + [EVIL + "\n"]
    assert EVIL in comment(fleet(lambda i: Resource("file", "/etc/sudoers.d/ops", {"content": texts[i]})))


def test_a_long_reason_does_not_cut_off_that_it_differs() -> None:
    values = tuple(f"site-{k}-" + "x" * 200 for k in range(4))
    program = {"custom.site": FactProgram("a" * 64, 10)}
    plan = fleet(
        lambda i: Resource(
            "file", "/etc/cron.d/x", {"content": f"v{i}\n", "sensitive": True}, when={"custom.site": values}, facts=program
        ),
        facts={},
        state={"type": "absent", "parents": []},
    )
    row = next(line for line in comment(plan).split("\n") if line.startswith("| +"))
    assert "variant" in row


def test_reported_variants_are_said() -> None:
    def make(number: int) -> Resource:
        return Resource("file", "/etc/x", {"content": f"v{number}\n"}, drift="report")

    plan = fleet(make, make, {}, {"type": "absent", "parents": []})
    assert plan.reported[0].changes[0].differs is not None
    assert ("variant" in render_fleet_plan(plan, now=NOW), "variant" in comment(plan)) == (True, True)


def test_one_is_not_true() -> None:
    def make(value: int) -> Resource:
        return Resource("external", "fw/x", {"set": {"open": value}, "executable": {"blob": "a" * 64, "size": 3}})

    plan = fleet(lambda _: make(True), lambda _: make(1), number=1)
    assert len(plan.scope.hosts) == 1
    changes = [change for group in (*plan.groups, *plan.silent) for change in group.changes]
    assert changes[0].fields
