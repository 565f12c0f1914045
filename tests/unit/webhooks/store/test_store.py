"""The store keeps what it is given, once, and opens again with everything in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from gitops.errors import MalformedError, UsageError
from gitops.model.approval import Approval
from gitops.model.codec import digest_bytes
from gitops.model.diagnostic import Diagnostic, Place
from gitops.model.observation import Observation
from gitops.model.scope import Scope
from gitops.model.scopetree import digest_change
from webhooks.records import (
    ApprovalRecord,
    HostKey,
    HostRecord,
    PlanRecord,
    PullKey,
    PullRecord,
    ReleaseRecord,
    RemarkRecord,
    RunRecord,
    StatusRecord,
    TokenRecord,
)
from webhooks.store import approvals, hosts, plans, pulls, releases, remarks, runs
from webhooks.store.store import Store, open_store
from webhooks.store.tables import plan_parts

NOW = datetime(2026, 11, 25, 12, 0, 0, 250_000, tzinfo=UTC)
KEY = PullKey("acme/infra", "7")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'data' / 'trueup.sqlite'}")
    yield opened
    opened.close()


def make_pull(**changes: object) -> PullRecord:
    values: dict[str, object] = {
        "title": "More ports",
        "author": "alice",
        "head": "a" * 40,
        "branch": "main",
        "contributors": ("alice", "carol"),
        "diagnostics": (Diagnostic("C104", "unknown key", Place("a.yaml", 3, 5), notes=("n",), related=(Place("b.yaml"),)),),
        "conflicts": ("a file",),
        "updated": NOW,
    }
    return PullRecord(KEY, **{**values, **changes})  # type: ignore[arg-type]


def make_plan(environment: str = "production", digest: str = "1" * 64) -> PlanRecord:
    return PlanRecord(0, KEY, environment, digest, "2" * 64, "a" * 40, "b" * 40, b"{}", NOW, 1, ("user:bob",))


def make_approval(reference: str = "comment:1", state: str = "counted") -> ApprovalRecord:
    digest = digest_change(Scope(), repository="acme", environment="production", pull="7")
    moment = NOW.replace(microsecond=0)
    approval = Approval("acme", "production", "7", digest, "0" * 64, Scope(), "user:bob", moment, moment + timedelta(days=1))
    return ApprovalRecord(0, KEY, "production", reference, "bob", digest, NOW, state, approval=approval)


def test_parts_of_plans_are_kept_once_and_read_by_digest(store: Store) -> None:
    parts = {digest_bytes(str(number).encode()): str(number).encode() for number in range(1200)}
    with store.write() as connection:
        ident = plans.add_plan(connection, replace(make_plan(), parts=parts))
        plans.add_plan(connection, replace(make_plan(), parts={**parts, digest_bytes(b"more"): b"more"}))
    with store.read() as connection:
        found = plans.find_plan(connection, ident)
        assert connection.execute(select(func.count()).select_from(plan_parts)).scalar_one() == 1201
    assert found is not None
    assert {digest: found.read(digest) for digest in parts} == parts
    with pytest.raises(MalformedError, match="is not in the store"):
        found.read("0" * 64)


def test_what_is_saved_is_read_back_equal(store: Store) -> None:
    with store.write() as connection:
        pulls.save_pull(connection, make_pull())
        ident = plans.add_plan(connection, make_plan())
        first = approvals.add_approval(connection, make_approval())
        releases.save_release(connection, ReleaseRecord("acme/infra", "production", "c" * 40, "held", NOW, reason="none"))
        remarks.add_remark(connection, RemarkRecord(0, KEY, "bob", "hello", NOW))
        remarks.save_status(connection, StatusRecord("acme/infra", "a" * 40, "gitops/plan", "success", "fine"))
    with store.read() as connection:
        assert pulls.find_pull(connection, KEY) == make_pull()
        assert plans.find_plan(connection, ident) == replace(make_plan(), ident=ident)
        assert approvals.list_approvals_of(connection, KEY) == (ApprovalRecord(**{**vars(make_approval()), "ident": first}),)
        assert releases.list_releases(connection)[0].reason == "none"
        assert remarks.list_remarks(connection, KEY)[0].body == "hello"
        assert [item.state for item in remarks.list_statuses(connection, "acme/infra", "a" * 40)] == ["success"]


def test_contributors_are_only_ever_added(store: Store) -> None:
    with store.write() as connection:
        pulls.save_pull(connection, make_pull(contributors=("mallory",)))
        pulls.save_pull(connection, make_pull(contributors=("alice",)))
        found = pulls.find_pull(connection, KEY)
    assert found is not None
    assert found.contributors == ("mallory", "alice")


def test_a_new_plan_retires_the_one_before_and_keeps_it(store: Store) -> None:
    with store.write() as connection:
        first = plans.add_plan(connection, make_plan())
        plans.publish_plan(connection, first, NOW)
        plans.publish_plan(connection, first, NOW + timedelta(hours=1))
        second = plans.add_plan(connection, make_plan(digest="3" * 64))
        other = plans.add_plan(connection, make_plan("staging"))
        assert [item.ident for item in plans.list_current_plans(connection, KEY)] == [second, other]
        earlier = plans.find_plan(connection, first)
        assert [item.ident for item in plans.list_plans_of(connection, KEY)] == [first, second, other]
        assert plans.count_plans(connection) == 3
        assert plans.count_plans(connection, is_current=True) == 2
        assert len(plans.list_plans(connection, is_current=True)) == 2
    assert earlier is not None
    assert (earlier.published, earlier.is_current) == (NOW, False)


def test_one_comment_is_one_approval(store: Store) -> None:
    with store.write() as connection:
        approvals.add_approval(connection, make_approval())
    with pytest.raises(Exception, match="UNIQUE"), store.write() as connection:
        approvals.add_approval(connection, make_approval())


def test_only_counted_approvals_can_be_spent(store: Store) -> None:
    with store.write() as connection:
        first = approvals.add_approval(connection, make_approval())
        second = approvals.add_approval(connection, make_approval("comment:2"))
        approvals.spend_approval(connection, first, 4)
        assert [item.ident for item in approvals.list_unspent(connection, "acme/infra", "production")] == [second]
        assert approvals.list_unspent(connection, "acme/infra", "staging") == ()
        assert approvals.count_approvals(connection) == 2
        assert [item.serial for item in approvals.list_approvals(connection)] == [0, 4]


def test_what_was_spent_meanwhile_is_not_lost_and_what_was_lost_meanwhile_was_spent(store: Store) -> None:
    with store.write() as connection:
        first = approvals.add_approval(connection, make_approval())
        second = approvals.add_approval(connection, make_approval("comment:2"))
        approvals.spend_approval(connection, first, 4)
        approvals.lose_approval(connection, first, "too late")
        approvals.lose_approval(connection, second, "they took it back")
        approvals.lose_approvals_of(connection, KEY, "closed")
        found = approvals.list_approvals_of(connection, KEY)
        assert [(item.state, item.reason, item.serial) for item in found] == [("spent", "", 4), ("lost", "they took it back", 0)]
        approvals.spend_approval(connection, second, 5)
        assert approvals.list_approvals_of(connection, KEY)[1].state == "spent"


def test_a_token_works_once(store: Store) -> None:
    with store.write() as connection:
        hosts.add_token(connection, TokenRecord("web-1", "d" * 64, NOW + timedelta(hours=1)))
        assert hosts.spend_token(connection, "d" * 64, NOW)
        assert not hosts.spend_token(connection, "d" * 64, NOW)
        found = hosts.find_token(connection, "d" * 64)
    assert found is not None
    assert found.used == NOW


def test_hosts_and_their_observations(store: Store) -> None:
    observation = Observation("web-1", NOW.replace(microsecond=0), {"init": "systemd"}, serial=3)
    with store.write() as connection:
        hosts.save_host(
            connection, HostRecord("web-1", "production", NOW, "e" * 64, observation=observation, repository="acme/infra")
        )
        hosts.save_host(connection, HostRecord("web-2", "staging", NOW, "f" * 64, repository="acme/infra"))
        assert hosts.read_observations(connection, "acme/infra", "production", ["web-1", "web-2", "web-3"]) == {
            "web-1": observation
        }
        assert hosts.read_observations(connection, "acme/other", "production", ["web-1"]) == {}
        assert hosts.read_observations(connection, "acme/infra", "staging", ["web-1"]) == {}
        assert hosts.find_host_by_credential(connection, "f" * 64) == hosts.find_host(
            connection, HostKey("acme/infra", "staging", "web-2")
        )
        assert hosts.find_host_by_credential(connection, "0" * 64) is None
        assert hosts.count_hosts(connection) == 2
        assert [item.name for item in hosts.list_hosts(connection, environment="staging")] == ["web-2"]
    assert "e" * 64 not in repr(HostRecord("web-1", "production", NOW, "e" * 64))


def test_a_run_is_kept_once(store: Store) -> None:
    record = RunRecord("web-1", "r1", "production", "changed", 2, NOW, NOW, NOW, b"{}")
    with store.write() as connection:
        assert runs.add_run(connection, record)
        assert not runs.add_run(connection, RunRecord(**{**vars(record), "result": "failed"}))
        assert runs.list_runs(connection, host="web-1") == (record,)
        assert runs.count_runs(connection, host="web-2") == 0
        assert runs.forget_runs(connection, NOW) == 0
        assert runs.forget_runs(connection, NOW + timedelta(seconds=1)) == 1


def test_lists_are_pages(store: Store) -> None:
    with store.write() as connection:
        for number in range(5):
            state = "open" if number % 2 else "closed"
            pulls.save_pull(connection, PullRecord(PullKey("acme/infra", str(number)), "t", "a", "h", "main", state=state))
            releases.save_release(
                connection, ReleaseRecord("acme/infra", "production", str(number), "released", NOW + timedelta(seconds=number))
            )
        assert [item.key.name for item in pulls.list_pulls(connection, limit=2, offset=1)] == ["1", "2"]
        assert pulls.count_pulls(connection, state="open", repository="acme/infra") == 2
        assert pulls.list_pulls(connection, repository="other/repo") == ()
        assert [item.source for item in releases.list_releases(connection, environment="production", limit=2)] == ["4", "3"]
        assert releases.count_releases(connection, environment="staging") == 0
        assert releases.list_releases_of(connection, "acme/infra", "7") == ()


def test_what_fails_is_undone_whole(store: Store) -> None:
    def write_and_fail() -> None:
        with store.write() as connection:
            pulls.save_pull(connection, make_pull())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    with store.read() as connection:
        assert pulls.find_pull(connection, KEY) is None


def test_a_store_opens_again_with_everything_in_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'trueup.sqlite'}"
    first = open_store(url)
    with first.write() as connection:
        pulls.save_pull(connection, make_pull())
    first.close()
    second = open_store(url)
    with second.read() as connection:
        assert pulls.find_pull(connection, KEY) == make_pull()
    second.close()


def test_another_database_is_refused_with_what_to_do() -> None:
    with pytest.raises(UsageError, match="postgresql: is not supported yet"):
        open_store("postgresql://localhost/trueup")
