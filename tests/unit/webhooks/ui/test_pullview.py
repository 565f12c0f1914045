"""Where a pull request stands, in words; who sees which button; what happened, in order."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from gitops.model.fleetplan import FleetPlan, PlanSubject
from tests.support.people import make_user
from tests.support.plans import NOW, fleet_plan
from webhooks.records import ApprovalRecord, PlanRecord, PullKey, PullRecord, ReleaseRecord, RemarkRecord, StatusRecord
from webhooks.ui.pullview import head_pull, stand, view_activity, view_checks, view_merge, view_notes, view_part

KEY = PullKey("local", "site-8080")
HEAD = "8d21e07" * 5
PULL = PullRecord(
    KEY, "Port 8080", "alice", HEAD, "main", contributors=("alice", "dave"), planning="planned", planned_head=HEAD, updated=NOW
)
BOB, ALICE, CAROL, DAVE = make_user("bob", "sre"), make_user("alice", "sre"), make_user("carol", "dev"), make_user("dave", "sre")


def plan_record(plan: FleetPlan | None = None, *, required: int = 1, ident: int = 1) -> PlanRecord:
    plan = plan or fleet_plan(3)
    return PlanRecord(
        ident, KEY, plan.subject.environment, plan.change_digest, plan.content_digest, HEAD, "91ab00d" * 5, plan.to_bytes(),
        NOW - timedelta(minutes=5), required, ("team:sre", "user:erin"), NOW - timedelta(minutes=4),
        read=plan.to_parts().__getitem__,
    )  # fmt: skip


def approval(login: str, state: str = "counted", reason: str = "", environment: str = "production") -> ApprovalRecord:
    digest = fleet_plan(3).change_digest
    return ApprovalRecord(1, KEY, environment, f"remark:{login}", login, digest, NOW - timedelta(minutes=1), state, reason)


NOTHING = FleetPlan(PlanSubject("acme", "staging", "site-8080"), change_digest="0" * 64, hosts=3)


@pytest.mark.parametrize(
    ("pull", "approvals", "words"),
    [
        (replace(PULL, planning="waiting"), (), "planning"),
        (replace(PULL, planned_head="0" * 40), (), "planning"),
        (replace(PULL, planning="invalid"), (), "mistakes in the config"),
        (replace(PULL, planning="conflict"), (), "conflict"),
        (replace(PULL, planning="failed"), (), "planning failed"),
        (PULL, (), "waiting for approval"),
        (PULL, (approval("bob", "lost", "the plan grew"),), "waiting for approval"),
        (PULL, (approval("bob", environment="other"),), "waiting for approval"),
        (PULL, (approval("bob"),), "ready to merge"),
        (replace(PULL, state="merged"), (approval("bob"),), "merged"),
        (replace(PULL, state="closed", planning="invalid"), (), "closed"),
    ],
)
def test_a_pull_says_where_it_stands(pull: PullRecord, approvals: tuple[ApprovalRecord, ...], words: str) -> None:
    assert head_pull(pull, [stand(plan_record(), approvals)], NOW).state == words


def test_a_pull_that_changes_nothing_needs_nobody() -> None:
    standings = [stand(plan_record(NOTHING, required=2), ())]
    assert head_pull(PULL, standings, NOW).state == "changes nothing"
    assert view_merge(PULL, standings, BOB).may


def test_an_approval_counts_once_and_what_is_lost_says_why() -> None:
    found = stand(
        plan_record(),
        (approval("bob"), approval("bob"), approval("carol", "lost", "may no longer approve"), approval("eve", "refused")),
    )
    assert (found.given, found.lost) == (("bob",), ("carol: may no longer approve", "eve: "))
    spent = (approval("bob", "spent"),)
    assert stand(plan_record(), spent).given == ()
    assert stand(plan_record(), spent, is_merged=True).given == ("bob",)


@pytest.mark.parametrize(
    ("user", "words"),
    [
        (BOB, ""),
        (None, "Log in to approve."),
        (ALICE, "You wrote some of it: somebody else has to approve."),
        (DAVE, "You wrote some of it: somebody else has to approve."),
        (CAROL, "You may not approve production."),
    ],
)
def test_the_button_is_for_who_may(user: object, words: str) -> None:
    part = view_part(PULL, stand(plan_record(), ()), user, NOW, None)  # type: ignore[arg-type]
    assert (part.may_approve, part.why_not) == (not words, words)


def test_no_button_for_the_same_approval_twice_a_closed_pull_an_unpublished_plan_or_no_need() -> None:
    def why(pull: PullRecord, record: PlanRecord, *approvals: ApprovalRecord) -> str:
        return view_part(pull, stand(record, approvals), BOB, NOW, None).why_not

    assert why(PULL, plan_record(), approval("bob")) == "You have approved this plan."
    assert why(replace(PULL, state="merged", is_settled=True), plan_record()) == "This pull request is merged."
    assert why(replace(PULL, state="merged"), plan_record()) == "", "a held release can still be approved"
    assert why(replace(PULL, state="closed"), plan_record()) == "This pull request is closed."
    assert why(PULL, replace(plan_record(), published=None)).startswith("The plan is not published")
    assert why(PULL, plan_record(required=0)) == "No approval is required here."
    assert why(replace(PULL, key=PullKey("acme/config", "7")), plan_record()) == ""


def test_merging_waits_for_the_plan_the_quorum_and_a_user() -> None:
    enough, missing = [stand(plan_record(), (approval("bob"),))], [stand(plan_record(required=3), (approval("bob"),))]
    assert view_merge(PULL, enough, BOB).may
    assert view_merge(PULL, enough, None).login
    assert view_merge(PULL, missing, BOB).why_not == "2 more approvals needed for production."
    assert not view_merge(replace(PULL, planned_head=""), enough, BOB).may
    assert not view_merge(replace(PULL, planning="invalid"), enough, BOB).may


def test_only_web_addresses_become_links() -> None:
    forged = replace(PULL, key=PullKey("acme/config", "7"), url="javascript:alert(1)")
    assert head_pull(forged, (), NOW).url == ""
    real = replace(forged, url="https://forge.example.org/acme/config/pull/7")
    assert head_pull(replace(real, key=KEY), (), NOW).url == "", "the page is the forge"
    head = head_pull(real, (), NOW)
    assert (head.url, head.href, head.name, head.repository) == (real.url, "/pulls/acme/config/7", "#7", "acme/config")


def test_notes_say_what_to_do() -> None:
    conflict = replace(PULL, planning="conflict", conflicts=("gitops.yaml",), note="the base moved")
    notes = view_notes(conflict, (), ())
    assert [(note.heading, note.tone) for note in notes] == [("", "calm"), ("This does not merge with main", "bad")]
    assert notes[0].text == "the base moved"
    assert notes[1].items == ("gitops.yaml",)
    assert view_notes(replace(PULL, planning="failed"), (), ())[0].tone == "bad"


def test_a_target_that_no_environment_is_released_from_is_said() -> None:
    (note,) = view_notes(replace(PULL, note=""), (), ())
    assert note.text.startswith("No environment is released from main")
    assert head_pull(replace(PULL, note=""), (), NOW).state == "releases nothing"


def test_what_became_of_a_merge_is_said_in_its_tone() -> None:
    merged = replace(PULL, state="merged", merged=HEAD, note="production: released as serial 4.")
    assert view_notes(replace(merged, is_settled=True), (), ())[0].tone == "good"
    held = ReleaseRecord("local", "production", HEAD, "held", NOW, reason="not approved")
    assert view_notes(merged, [held], ())[0].tone == "warn"


def test_checks_have_a_mark_each() -> None:
    found = view_checks(
        [
            StatusRecord("local", HEAD, "gitops/plan", "success", "ok"),
            StatusRecord("local", HEAD, "gitops/approval", "pending", "0 of 1"),
        ]
    )
    assert [(check.name, check.mark) for check in found] == [("gitops/approval", "•"), ("gitops/plan", "✓")]


def test_activity_is_in_order_and_ends_with_the_comment() -> None:
    remark = RemarkRecord(1, KEY, "bob", "looks good", NOW - timedelta(minutes=2))
    events = view_activity(replace(PULL, comment="**Trueup**"), [plan_record()], [approval("bob")], [remark], NOW)
    assert [event.who for event in events] == ["Trueup", "bob", "bob's", "Trueup"]
    assert events[-1].text == "**Trueup**"
    assert "counted" in events[2].what
