"""Plans, runs and hosts as pages show them: numbers add up, lists are cut with their count, what is bad stands first."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from gitops.model.address import parse_address
from gitops.model.fleetplan import FleetPlan, PlanSubject
from gitops.model.observation import Observation
from gitops.model.report import Outcome, Report
from gitops.render.words import name_hosts
from tests.support.plans import EVIL, NOW, SITE, STATE, evil_plan, fleet_plan, wide_plan
from webhooks.ui import planview
from webhooks.ui.paging import read_page
from webhooks.ui.planview import view_plan
from webhooks.ui.reportview import describe_span, view_outcomes, view_resources, view_run

ALL_WEB = name_hosts(fleet_plan().groups[1].hosts)
REPORT = Report(
    "r1",
    "web-1",
    "failed",
    NOW - timedelta(seconds=75),
    NOW - timedelta(seconds=60),
    (
        Outcome(SITE, "update", "changed"),
        Outcome(parse_address("service:nginx"), "reload", "failed", "nginx: [emerg] \x1b[31m"),
        Outcome(parse_address("file:/b"), "create", "changed"),
    ),
    serial=4,
    environment="production",
)


def test_many_hosts_are_one_card_with_the_first_and_last_name() -> None:
    view = view_plan(fleet_plan(), NOW)
    assert [group.title for group in view.groups] == ["db-2", ALL_WEB]
    assert view.headline == "824 changes in 2 groups on 412 hosts"
    assert view.actions == (("update", 412), ("run", 1), ("reload", 411))
    assert (view.risk, view.hosts, view.changed_hosts) == ("high", 412, 412)


def test_signs_and_tones_agree_with_the_comment() -> None:
    lines = [change for group in view_plan(fleet_plan(), NOW).groups for change in group.changes]
    assert [(line.sign, line.tone) for line in lines] == [("!", "bad"), ("?", "warn"), ("~", "calm"), ("↻", "calm")]
    assert (lines[0].added, lines[0].taken, lines[0].diff[0].kind) == (1, 1, "place")
    assert lines[0].fields == ("mode 0600 → 0644",)


def test_what_an_approval_covers_is_folded_over_hosts() -> None:
    view = view_plan(fleet_plan(), NOW)
    assert [(item.what, item.address, item.hosts) for item in view.covered] == [
        ("set", SITE, ALL_WEB),
        ("reload", "service:nginx", ALL_WEB),
        ("wanted", SITE, ALL_WEB),
    ]
    assert view.covered_count == 3


def test_never_observed_stands_before_the_oldest() -> None:
    plan = fleet_plan(2)
    view = view_plan(replace(plan, ages={**plan.ages, "web-002": None}), NOW)
    assert view.ages == (("web-002", "never"), ("db-2", "31 min ago"), ("web-001", "4 min ago"))


def test_groups_are_paged() -> None:
    plan = wide_plan(250)
    seen = [
        group.title
        for number in (1, 2, 3)
        for group in view_plan(plan, NOW, read_page({"page": str(number)}, len(plan.groups))).groups
    ]
    assert seen == [group.hosts[0] for group in plan.groups]


def test_an_empty_plan_says_so() -> None:
    view = view_plan(FleetPlan(PlanSubject("acme", "production"), hosts=3), NOW)
    assert (view.headline, view.has_changes) == ("Nothing changes on 3 hosts.", False)
    assert planview.rank_risk([]) == ""
    assert planview.rank_risk(["low", "high", "medium"]) == "high"


def test_control_characters_are_shown_not_obeyed() -> None:
    change = view_plan(evil_plan(), NOW).groups[0].changes[0]
    assert change.name == EVIL.replace("\u202e", "\\u202e")
    assert change.diff[1].text == "+\\x1b[31mred"


def test_long_lists_are_cut_with_their_count() -> None:
    plan = fleet_plan(1)
    group = plan.groups[1]
    long = replace(group.changes[0], diff=("+line",) * 1000)
    view = view_plan(replace(plan, groups=(replace(group, changes=(long,) * 300),)), NOW)
    card = view.groups[0]
    assert (len(card.changes), card.more_changes) == (200, 100)
    assert (len(card.changes[0].diff), card.changes[0].more_lines, card.changes[0].added) == (400, 600, 1000)


def test_a_run_counts_its_outcomes_and_shows_failures_first() -> None:
    row = view_run(REPORT, NOW)
    assert (row.changes, row.tone, row.age) == ("2 changed, 1 failed", "bad", "1 min ago")
    lines, more = view_outcomes(REPORT)
    assert [line.result for line in lines] == ["failed", "changed", "changed"]
    assert lines[0].message == "nginx: [emerg] \\x1b[31m"
    assert more == 0
    assert describe_span(REPORT) == "15 seconds"
    assert describe_span(replace(REPORT, finished=REPORT.started)) == "less than a second"
    assert view_run(replace(REPORT, changes=()), NOW).changes == "none"


def test_resources_show_drift_first_and_never_a_whole_digest() -> None:
    states = {
        parse_address("file:/a"): {"type": "absent", "parents": ["/"]},
        SITE: {"type": "file", "digest": STATE, "mode": "0644", "owner": "", "kept": "memory"},
    }
    rows = view_resources(Observation("web-1", NOW, states=states), frozenset({str(SITE)}))
    assert [(row.address, row.is_drifted) for row in rows] == [(SITE, True), ("file:/a", False)]
    assert rows[0].state == "digest abababababab…, mode 0644, type file"
    assert rows[1].state == "not there"
