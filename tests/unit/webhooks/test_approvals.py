"""Who said yes, and does it count: every rule alone, and what is lost later."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from gitops.model.address import parse_address
from gitops.model.fleetplan import FleetPlan, PlanSubject
from gitops.model.scope import HostScope, Scope
from gitops.model.scopetree import digest_change
from tests.support.fakeforge import REPOSITORY, FakeForge
from tests.support.people import NOW
from webhooks.approvals import CLOSED, VALID, Case, Said, Withdrawal, judge_comment, judge_review, why_lost
from webhooks.records import PlanRecord, PullKey, PullRecord

KEY = PullKey(REPOSITORY, "7")
HEAD, LATER = "a" * 40, NOW + timedelta(minutes=5)
RULES = ("team:sre", "user:dave")


def make_plan(*hosts: str, ident: int = 1, environment: str = "production", **changes: object) -> PlanRecord:
    item = (parse_address("file:/etc/motd"), "f" * 64)
    scope = Scope({host: HostScope(frozenset({item})) for host in hosts})
    subject = PlanSubject("acme", environment, "7", head=HEAD)
    digest = digest_change(scope, repository="acme", environment=environment, pull="7")
    plan = FleetPlan(subject, scope=scope, change_digest=digest)
    record = PlanRecord(
        ident,
        KEY,
        environment,
        digest,
        plan.content_digest,
        HEAD,
        "b" * 40,
        plan.to_bytes(),
        NOW,
        1,
        RULES,
        NOW,
        read=plan.to_parts().__getitem__,
    )
    return replace(record, **changes)  # type: ignore[arg-type]


PLAN = make_plan("web-1", "web-2")


def make_case(*plans: PlanRecord, forge: FakeForge | None = None, **changes: object) -> Case:
    pull = PullRecord(KEY, "t", "alice", HEAD, "main", contributors=("alice", "Carol"), planning="planned")
    people = forge or FakeForge(writers={"bob", "dave", "carol", "erin"}, teams={"sre": {"bob", "alice", "carol"}})
    return replace(Case(pull, plans or (PLAN,), people, NOW + timedelta(hours=1)), **changes)  # type: ignore[arg-type]


def said(login: str = "bob", **changes: object) -> Said:
    return replace(Said("comment:1", login, LATER, PLAN.change_digest), **changes)  # type: ignore[arg-type]


def test_a_member_of_the_team_counts_and_the_approval_is_whole() -> None:
    found = judge_comment(said(), make_case())
    assert (found.state, found.environment, found.reason) == ("counted", "production", "")
    assert found.approval is not None
    assert (found.approval.approver, found.approval.teams) == ("user:bob", ("team:sre",))
    assert (found.approval.repository, found.approval.pull, found.approval.scope) == ("acme", "7", PLAN.plan.scope)
    assert found.approval.proof.reference == "acme/infra#7/comment:1"
    assert found.approval.expires - found.approval.issued == VALID


def test_a_named_user_counts_whatever_the_case_of_the_name() -> None:
    forge = FakeForge(writers={"DAVE"})
    assert judge_comment(said("DAVE"), make_case(forge=forge)).state == "counted"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"login": "alice"}, "own work"),
        ({"login": "ALICE"}, "own work"),
        ({"login": "carol"}, "own work"),
        ({"login": "erin"}, "may not approve"),
        ({"login": "mallory"}, "may not approve"),
        ({"login": ""}, "nobody is known"),
        ({"is_bot": True}, "bots"),
        ({"is_edited": True}, "edited"),
        ({"problem": "the digest is not whole"}, "not whole"),
        ({"digest": "0" * 64}, "no plan of this pull request"),
        ({"at": NOW}, "in the same second as the plan: write it again"),
        ({"at": NOW - timedelta(days=1)}, "before that plan could be read"),
    ],
)
def test_what_does_not_count_is_refused_with_the_reason(changes: dict[str, object], reason: str) -> None:
    found = judge_comment(said(**changes), make_case())
    assert found.state == "refused"
    assert found.approval is None
    assert reason in found.reason


def test_a_plan_that_was_never_published_cannot_be_approved() -> None:
    assert "before that plan" in judge_comment(said(), make_case(replace(PLAN, published=None))).reason


def test_a_named_user_who_may_no_longer_write_is_refused() -> None:
    assert "may not approve" in judge_comment(said("dave"), make_case(forge=FakeForge())).reason


def test_without_names_anybody_who_may_write_counts() -> None:
    open_plan = replace(PLAN, approvers=())
    assert judge_comment(said("erin"), make_case(open_plan)).state == "counted"
    assert "anybody who may write" in judge_comment(said("mallory"), make_case(open_plan)).reason


def test_an_old_plan_counts_when_the_new_one_has_no_more() -> None:
    old = replace(PLAN, is_current=False)
    fewer, more = make_plan("web-1", ident=2), make_plan("web-1", "web-2", "web-3", ident=2)
    assert judge_comment(said(), make_case(old, fewer)).state == "counted"
    found = judge_comment(said(), make_case(old, more))
    assert (found.state, found.reason) == ("lost", "the plan has grown since")


def test_the_rules_that_stand_now_decide_not_those_of_the_old_plan() -> None:
    old = replace(PLAN, is_current=False)
    now = replace(PLAN, ident=2, approvers=("user:dave",))
    assert judge_comment(said(), make_case(old, now)).state == "refused"


def test_the_same_digest_published_again_counts_from_the_first_time() -> None:
    again = replace(PLAN, ident=2, published=LATER + timedelta(hours=1))
    assert judge_comment(said(), make_case(replace(PLAN, is_current=False), again)).state == "counted"


def test_a_clock_that_runs_ahead_does_not_make_an_approval_of_tomorrow() -> None:
    case = make_case()
    found = judge_comment(said(at=case.now + timedelta(minutes=10)), case)
    assert found.approval is not None
    assert found.approval.issued <= case.now


def review(**changes: object) -> Said:
    return replace(Said("review:1", "bob", LATER, commit=HEAD), **changes)  # type: ignore[arg-type]


def test_a_review_counts_for_each_plan_of_the_commit_reviewed() -> None:
    staging = make_plan("s-1", ident=2, environment="staging", approvers=("user:dave",))
    found = judge_review(review(), make_case(PLAN, staging))
    assert [(item.environment, item.state) for item in found] == [("production", "counted"), ("staging", "refused")]


def test_a_review_of_the_same_second_as_the_plan_says_to_review_again() -> None:
    (found,) = judge_review(review(at=NOW), make_case())
    assert (found.state, found.reason) == ("refused", "it was submitted in the same second as the plan: review again")


@pytest.mark.parametrize("changes", [{"commit": "c" * 40}, {"at": NOW - timedelta(seconds=1)}])
def test_a_review_of_another_commit_or_before_the_plan_is_refused(changes: dict[str, object]) -> None:
    (found,) = judge_review(review(**changes), make_case())
    assert (found.state, found.reason) == ("refused", "there was no plan of the commit that was reviewed")


def test_a_review_is_for_the_plan_that_could_be_read_last() -> None:
    first = replace(PLAN, is_current=False)
    second = make_plan("web-1", ident=2, published=NOW + timedelta(minutes=1), is_current=False)
    unseen = make_plan("web-1", "web-2", "web-3", ident=3, published=LATER + timedelta(minutes=1))
    (found,) = judge_review(review(), make_case(first, second, unseen))
    assert (found.change_digest, found.state) == (second.change_digest, "lost")


def test_a_review_by_the_author_is_refused() -> None:
    (found,) = judge_review(review(login="alice"), make_case())
    assert found.reason == "nobody approves their own work"


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        (make_case(), ""),
        (make_case(make_plan("web-1")), ""),
        (make_case(make_plan("web-1", "web-2", "web-3")), "the plan has grown since"),
        (make_case(now=NOW + VALID + timedelta(minutes=6)), "it is too old"),
        (make_case(forge=FakeForge()), "its author may no longer approve this"),
        (make_case(replace(PLAN, approvers=("user:dave",))), "its author may no longer approve this"),
        (make_case(replace(PLAN, is_current=False)), "nothing is planned there any more"),
    ],
)
def test_what_loses_an_approval(case: Case, reason: str) -> None:
    record = judge_comment(said(), make_case())
    assert why_lost(record, case) == reason


@pytest.mark.parametrize(
    ("withdrawal", "is_lost"),
    [
        (Withdrawal("bob", LATER + timedelta(seconds=1), "why"), True),
        (Withdrawal("BOB", LATER, "why"), True),  # of one second, the word against counts
        (Withdrawal("bob", LATER - timedelta(seconds=1), "why"), False),
        (Withdrawal("dave", LATER + timedelta(days=1), "why"), False),
    ],
)
def test_the_newest_decisive_word_of_each_person_counts(withdrawal: Withdrawal, is_lost: bool) -> None:
    record, case = judge_comment(said(), make_case()), make_case(withdrawals=(withdrawal,))
    assert why_lost(record, case) == ("why" if is_lost else "")
    assert judge_comment(said(), case).state == ("lost" if is_lost else "counted")


def test_closed_means_lost() -> None:
    record, case = judge_comment(said(), make_case()), make_case()
    assert why_lost(record, replace(case, pull=replace(case.pull, state="closed"))) == CLOSED


def test_who_works_on_it_afterwards_loses_theirs() -> None:
    record, case = judge_comment(said(), make_case()), make_case()
    pushed = replace(case, pull=replace(case.pull, contributors=("alice", "bob")))
    assert why_lost(record, pushed) == "its author works on this pull request now"


def test_while_there_is_no_plan_an_approval_waits() -> None:
    record, case = judge_comment(said(), make_case()), make_case(replace(PLAN, is_current=False))
    assert why_lost(record, replace(case, pull=replace(case.pull, planning="invalid"))) == ""


def test_a_record_without_sets_does_not_count() -> None:
    record = judge_comment(said("alice"), make_case())
    assert why_lost(record, make_case()) == "it was never whole"
