"""Who approved what: quorum from the trust root, per item, for this host, once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from gitops.errors import TrustError
from gitops.model.approval import Approval, read_approval
from gitops.model.codec import digest_bytes
from gitops.model.graph import Graphs
from gitops.model.scope import REMOVED, HostScope
from gitops.trust.approvals import check_covers_host, find_approved, name_items
from gitops.trust.contents import read_host
from gitops.trust.release import VerifiedRelease
from tests.support.candidates import DAY, FIRST, NOW, SECOND, Files, Releaser, approve, candidate, file, graphs

WIDER = graphs({"web-1": [file("/etc/motd", "bye\n"), file("/etc/issue")], "web-2": [file("/etc/motd")]})


def refused(run: Callable[[], object]) -> str:
    with pytest.raises(TrustError) as caught:
        run()
    assert (caught.value.code, caught.value.exit_status) == ("T107", 6)
    return caught.value.message


def step(releaser: Releaser, approvals: Sequence[Approval], after: Graphs = SECOND) -> VerifiedRelease:
    """Release FIRST, then `after` with these approvals, and verify it as a host that accepted the first."""
    releaser.make(FIRST)
    memory = releaser.memory
    return releaser.verify(releaser.make(after, approvals=approvals), memory)


def covers(found: VerifiedRelease, host: str = "web-1", before: Graphs = FIRST) -> HostScope:
    return check_covers_host(found, host, before.resources_of(host))


@pytest.fixture
def strict() -> Releaser:
    return Releaser(required=1, approvers=("team:sre", "user:alice"))


def test_an_approved_change_is_covered_and_its_effects_are_given(strict: Releaser) -> None:
    approved = covers(step(strict, [approve(FIRST, SECOND)]))
    assert {row[0] for row in approved.intents} == {"file:/etc/motd"}
    assert ("file:/etc/motd", "set") in {row[:2] for row in approved.effects}


def test_a_change_without_any_approval_is_refused(strict: Releaser) -> None:
    assert "file:/etc/motd" in refused(lambda: covers(step(strict, [])))


def test_nothing_new_needs_no_approval(strict: Releaser) -> None:
    assert covers(step(strict, [], FIRST)).is_empty


def test_where_the_root_demands_none_nothing_is_refused() -> None:
    assert covers(step(Releaser(), [])).is_empty


def test_more_than_was_approved_is_refused(strict: Releaser) -> None:
    found = step(strict, [approve(FIRST, SECOND)], WIDER)
    assert "file:/etc/issue" in refused(lambda: covers(found))


def test_a_host_that_enters_needs_approval_too(strict: Releaser) -> None:
    found = step(strict, [approve(FIRST, SECOND)], WIDER)
    refused(lambda: covers(found, "web-2"))


def test_what_was_approved_for_another_host_does_not_count(strict: Releaser) -> None:
    other = graphs({"web-2": SECOND.hosts["web-1"].resources})
    found = step(strict, [approve(None, other)])
    refused(lambda: covers(found))


def test_a_removal_that_nobody_approved_is_refused(strict: Releaser) -> None:
    both = graphs({"web-1": [file("/etc/motd"), file("/etc/issue")]})
    strict.make(both)
    memory = strict.memory
    found = strict.verify(strict.make(FIRST), memory)
    refused(lambda: covers(found, before=both))
    strict.last = None
    strict.make(both)
    allowed = strict.verify(strict.make(FIRST, approvals=[approve(both, FIRST)]), memory)
    assert ("file:/etc/issue", REMOVED) in covers(allowed, before=both).intents


def test_leaving_the_environment_is_a_removal_of_everything(strict: Releaser) -> None:
    found = step(strict, [], graphs({}))
    assert read_host(found, "web-1") is None
    refused(lambda: covers(found))


def test_too_few_are_refused_and_enough_are_not() -> None:
    alice, bob = approve(FIRST, SECOND), approve(FIRST, SECOND, approver="user:bob")
    refused(lambda: covers(step(Releaser(required=2), [alice])))
    assert not covers(step(Releaser(required=2), [alice, bob])).is_empty


@pytest.mark.parametrize("other", ["user:alice", "user:ALICE", "user:\uff41lice"])
def test_one_person_counts_once_however_written(other: str) -> None:
    twice = [approve(FIRST, SECOND), approve(FIRST, SECOND, approver=other, pull="2")]
    refused(lambda: covers(step(Releaser(required=2), twice)))


def test_somebody_who_is_not_named_does_not_count(strict: Releaser) -> None:
    refused(lambda: covers(step(strict, [approve(FIRST, SECOND, approver="user:mallory")])))
    refused(lambda: covers(step(Releaser(required=1, approvers=("user:alice",)), [approve(FIRST, SECOND, approver="alice")])))


def test_a_member_of_a_named_team_counts(strict: Releaser) -> None:
    assert not covers(step(strict, [approve(FIRST, SECOND, approver="user:bob", teams=["team:sre"])])).is_empty


def test_two_versions_of_a_plan_count_for_what_both_hold() -> None:
    """A rebase that leaves fewer items keeps the approvals of the larger plan."""
    releaser = Releaser(required=2)
    wide, narrow = approve(FIRST, WIDER), approve(FIRST, SECOND, approver="user:bob")
    assert not covers(step(releaser, [wide, narrow])).is_empty
    refused(lambda: covers(step(Releaser(required=2), [wide, narrow], WIDER)))


def test_hosts_with_equal_sets_are_counted_alike() -> None:
    hosts = {f"web-{number}": [file("/etc/motd")] for number in range(50)}
    approval = read_approval(approve(None, graphs(hosts)).to_bytes())
    found = find_approved([approval], Releaser(required=1).root.environments["production"])
    assert len(found.hosts) == 50
    assert not find_approved([approval], Releaser(required=2).root.environments["production"]).hosts


# ── skipped releases ──


def test_the_approvals_of_skipped_releases_count(strict: Releaser) -> None:
    strict.make(FIRST)
    memory = strict.memory
    link = strict.make(SECOND, approvals=[approve(FIRST, SECOND)])
    files = strict.make(WIDER, approvals=[approve(SECOND, WIDER)])
    found = strict.verify(files, memory, chain=[candidate(link)])
    assert {row[0] for row in covers(found).intents} == {"file:/etc/motd", "file:/etc/issue"}


def test_what_was_approved_in_releases_not_yet_reached_counts(strict: Releaser) -> None:
    held = covers(step(strict, [approve(FIRST, SECOND)]))
    memory = strict.memory
    found = strict.verify(strict.make(SECOND), memory)
    refused(lambda: covers(found))
    assert check_covers_host(found, "web-1", FIRST.resources_of("web-1"), held) == held


def test_an_approval_is_spent_once(strict: Releaser) -> None:
    approval = approve(FIRST, SECOND)
    step(strict, [approval])
    strict.make(FIRST, approvals=[approve(SECOND, FIRST)])
    memory = replace(strict.memory, spent=frozenset({approval.digest}))
    again = strict.make(SECOND, approvals=[approval])
    assert "spent" in refused(lambda: strict.verify(again, memory))


def test_an_approval_that_a_link_spent_is_not_spent_again(strict: Releaser) -> None:
    approval = approve(FIRST, SECOND)
    strict.make(FIRST)
    memory = strict.memory
    links = [strict.make(SECOND, approvals=[approval]), strict.make(FIRST)]
    files = strict.make(SECOND, approvals=[approval])
    message = refused(lambda: strict.verify(files, memory, chain=[candidate(item) for item in links]))
    assert "release 4" in message


# ── forged and broken ones ──


@pytest.mark.parametrize(
    "approval",
    [
        approve(FIRST, SECOND, environment="staging"),
        approve(FIRST, SECOND, repository="evil"),
        approve(FIRST, SECOND, expires=NOW),
        approve(FIRST, SECOND, issued=NOW + DAY),
    ],
)
def test_an_approval_for_something_else_or_another_time_is_refused(strict: Releaser, approval: Approval) -> None:
    refused(lambda: step(strict, [approval]))


def test_an_approval_is_judged_by_when_it_was_used(strict: Releaser) -> None:
    """A host that comes back after months accepts what was approved in time."""
    approval = approve(FIRST, SECOND, issued=NOW - 60 * DAY, expires=NOW - 50 * DAY)
    strict.make(FIRST, change=lambda item: replace(item, issued=NOW - 70 * DAY))
    memory = strict.memory
    files = strict.make(SECOND, approvals=[approval], change=lambda item: replace(item, issued=NOW - 55 * DAY))
    assert not covers(strict.verify(files, memory)).is_empty


def test_forged_sets_under_an_approved_digest_are_refused(strict: Releaser) -> None:
    honest, wide = approve(FIRST, SECOND), approve(FIRST, WIDER)
    forged = replace(honest, scope=wide.scope)
    assert "not that of its sets" in refused(lambda: step(strict, [forged], WIDER))


def test_a_changed_approval_is_refused(strict: Releaser) -> None:
    approval = approve(FIRST, SECOND, approver="user:mallory")

    def swap(files: Files) -> None:
        files[f"approvals/{approval.digest}.json"] = approve(FIRST, SECOND).to_bytes()

    files = strict.make(approvals=[approval], spoil=swap)
    with pytest.raises(TrustError) as caught:
        strict.verify(files)
    assert caught.value.code == "T106"


def test_an_approval_that_is_named_but_not_there_is_refused(strict: Releaser) -> None:
    files = strict.make(
        approvals=[approve(None, FIRST)], spoil=lambda files: [files.pop(name) for name in [*files] if "approvals" in name]
    )
    with pytest.raises(TrustError) as caught:
        strict.verify(files)
    assert caught.value.code == "T106"


def test_rubbish_in_place_of_an_approval_is_refused(strict: Releaser) -> None:
    digest = digest_bytes(b"{}")

    def put(files: Files) -> None:
        files[f"approvals/{digest}.json"] = b"{}"

    files = strict.make(change=lambda item: replace(item, approvals=(digest,)), spoil=put)
    refused(lambda: strict.verify(files))


def test_an_approval_named_twice_is_refused(strict: Releaser) -> None:
    approval = approve(None, FIRST)
    assert "twice" in refused(lambda: strict.verify(strict.make(approvals=[approval, approval])))


def test_reviewers_signatures_are_not_taken_on_faith() -> None:
    releaser = Releaser(required=1, is_signed=True)
    refused(lambda: releaser.verify(releaser.make(approvals=[approve(None, FIRST)])))
    found = releaser.verify(releaser.make())
    refused(lambda: check_covers_host(found, "web-1", ()))


def test_a_message_names_a_few_and_counts_the_rest() -> None:
    scope = approve(None, graphs({"web-1": [file(f"/etc/{number}") for number in range(9)]})).scope
    assert name_items(scope).endswith("and 4 more")
    assert name_items(scope).count("on web-1") == 5
