"""What people see of a realistic fleet, kept as files: text, text in colour, the comment in its states."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gitops.model.diagnostic import Diagnostic, Place
from gitops.model.fleetplan import FleetPlan, PlanSubject
from gitops.model.plan import HostPlan
from gitops.plan.graphdiff import diff_graphs
from gitops.render.comment import Approvals, CommentSubject, Section, render_comment
from gitops.render.diff import render_diff
from gitops.render.text import render_fleet_plan, render_host_plan
from tests.support.fleet import NEW, OLD, database, graphs, nginx, plan_fleet_of_412, plan_fleet_of_many
from tests.support.golden import check_golden
from tests.support.nouns import NOW
from tests.support.planning import ABSENT, declare, plan, with_content

HEAD = CommentSubject("8d21e07" + "0" * 33, "91ab00d" + "0" * 33, "main", "https://plans.example.org/pulls/7")


def host_plan() -> HostPlan:
    desired = [
        declare("file:/etc/app.conf", {"content": "new\n"}, notify=["service:app"]),
        declare("service:app", {"state": "running"}),
        declare("directory:/srv/data", {"mode": "0750"}),
        declare("file:/srv/refused", {"content": "x"}),
    ]
    states = {
        "file:/etc/app.conf": with_content("old\n"),
        "service:app": {"exists": True, "running": False, "enabled": True},
        "directory:/srv/data": ABSENT,
        "file:/srv/refused": {"type": "directory"},
    }
    return plan(desired, states, [declare("file:/etc/gone")])


def test_the_text_of_a_fleet(request: pytest.FixtureRequest) -> None:
    made = plan_fleet_of_412()
    check_golden("plan-fleet.txt", render_fleet_plan(made, now=NOW, next_command="gitops plan --out PLAN_FILE"), request.config)
    check_golden("plan-fleet-colour.txt", render_fleet_plan(made, now=NOW, colour=True), request.config)


def test_the_text_of_a_fleet_partly_observed(request: pytest.FixtureRequest) -> None:
    check_golden("plan-fleet-unseen.txt", render_fleet_plan(plan_fleet_of_412(number=400), now=NOW), request.config)


def test_the_text_of_one_machine(request: pytest.FixtureRequest) -> None:
    check_golden("plan-host.txt", render_host_plan(host_plan(), now=NOW), request.config)


def test_the_text_of_a_diff(request: pytest.FixtureRequest) -> None:
    found = diff_graphs(graphs(nginx(OLD), {"db-2": database(1)}), graphs(nginx(NEW), {"db-3": database(10)}))
    check_golden("plan-diff.txt", render_diff([found], before="main", after="work tree"), request.config)


STAGING = FleetPlan(PlanSubject("acme", "staging", "7"), hosts=3, unchanged=9, change_digest="ab" * 32)
FOUND = [
    Diagnostic(
        "C104", "unknown key `contents` in file:/etc/motd", Place("inventory/web.yaml", 14, 7), hint="did you mean `content`?"
    ),
    Diagnostic("C211", "the selector of group `x` matches no host", Place("groups/x.yaml", 1, 1), severity="warning"),
]


@pytest.mark.parametrize("state", ["planned", "planning", "merged", "closed"])
def test_the_comment_of_a_fleet(state: str, request: pytest.FixtureRequest) -> None:
    sections = [
        Section(plan_fleet_of_412(), Approvals(2, ("user:alice",), ("user:bob approved 7c1f09ab, and 1 host entered since",))),
        Section(STAGING),
    ]
    check_golden(f"plan-comment-{state}.md", render_comment(HEAD, sections, now=NOW, state=state), request.config)


@pytest.mark.parametrize("hosts", [1, 100, 10_000])
def test_the_comment_says_as_much_of_many_hosts_as_of_one(hosts: int, request: pytest.FixtureRequest) -> None:
    plan = plan_fleet_of_many(hosts)
    text = render_comment(HEAD, [Section(plan, Approvals(1))], now=NOW)
    assert len(text.encode()) < 4_000
    assert plan.summary()["changes"] == 3 * hosts
    check_golden(f"plan-comment-of-{hosts}.md", text, request.config)
    check_golden(f"plan-of-{hosts}.txt", render_fleet_plan(plan, now=NOW), request.config)


CLASHES = [
    Diagnostic("C615", "CONFLICT (content): Merge conflict in inventory/web.yaml", Place("inventory/web.yaml")),
    Diagnostic("C615", "CONFLICT (directory rename split): Unclear where to rename `a` to @everyone", Place("gitops.yaml")),
]


@pytest.mark.parametrize("state", ["invalid", "conflict", "failed"])
def test_the_comment_when_there_is_no_plan(state: str, request: pytest.FixtureRequest) -> None:
    found = {"invalid": FOUND, "conflict": CLASHES}.get(state, [])
    check_golden(f"plan-comment-{state}.md", render_comment(HEAD, [], now=NOW, state=state, diagnostics=found), request.config)


def test_the_comment_when_nothing_changes(request: pytest.FixtureRequest) -> None:
    text = render_comment(HEAD, [Section(STAGING, Approvals(1))], now=NOW, diagnostics=FOUND[1:], note="Planned again by alice.")
    check_golden("plan-comment-nothing.md", text, request.config)


def test_the_comment_when_nothing_is_released_from_the_target(request: pytest.FixtureRequest) -> None:
    check_golden("plan-comment-idle.md", render_comment(HEAD, [], now=NOW), request.config)


def test_an_environment_without_hosts_is_not_said_to_be_as_it_should() -> None:
    made = replace(STAGING, hosts=0, unchanged=0)
    for text in (render_fleet_plan(made, now=NOW), render_comment(HEAD, [Section(made)], now=NOW)):
        assert "no host belongs to it" in text.lower()
        assert "0 hosts, and nothing" not in text


def test_the_numbers_of_text_and_comment_agree() -> None:
    made = plan_fleet_of_412()
    summary = made.summary()
    counted = {
        key: value
        for key, value in summary.items()
        if key in ("create", "update", "reload", "run", "remove", "replace", "refused")
    }
    assert sum(counted.values()) == summary["changes"] == 824
    for text in (render_fleet_plan(made, now=NOW), render_comment(HEAD, [Section(made)], now=NOW)):
        for action, count in counted.items():
            assert f"{count} × {action}" in text
        assert "824 changes" in text


def test_a_fleet_of_ten_thousand_is_as_short_as_one_of_ten() -> None:
    short = replace(plan_fleet_of_412(), ages={})
    lines = render_fleet_plan(short, now=NOW).count("\n")
    assert lines < 40
