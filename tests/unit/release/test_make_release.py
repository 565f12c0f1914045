"""The spine: when a release is made, when not, what it needs, what it carries, and what it follows."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gitops.config.config import Environment
from gitops.errors import HeldError, MalformedError, RemoteError, TrueupError, TrustError, UsageError
from gitops.model.approval import Approval
from gitops.model.diagnostic import Place as Where
from gitops.model.fleetplan import FleetPlan, PlanSubject
from gitops.model.graph import Graphs
from gitops.pipeline.release import Released, ReleaseOrder, make_release, roll_back
from gitops.pipeline.released import read_chain, read_release, read_released
from gitops.signatures.bundle import BundleVerifier
from gitops.signatures.keys import SigningKey, generate_key
from gitops.source.publish import Place, commit_files, push_commit
from gitops.source.release import open_release
from gitops.trust.release import Memory, verify_release
from tests.support.candidates import DAY, FIRST, NOW, RICH, SECOND, Releaser, approve, file, graphs
from tests.support.project import Repository

BRANCH = "release/production"
THIRD = graphs({"web-1": [file("/etc/motd", "third\n")], "web-2": [file("/etc/issue")]})


def no_pause(_attempt: int) -> None:
    raise AssertionError("there was no race to lose")


def wait_a_little(attempt: int) -> None:
    """The jitter of those who lost: without it they would meet again at the same lock."""
    time.sleep(random.uniform(0.2, 1) * 0.02 * 2**attempt)


@dataclass
class Desk:
    """Where releases are made in these tests: a repository, its key, and a clock that goes a day on with each."""

    repository: Repository
    key: SigningKey = field(default_factory=generate_key)
    required: int = 0
    approvers: tuple[str, ...] = ()
    is_signed: bool = False
    url: str = ""
    now: datetime = NOW

    @property
    def environment(self) -> Environment:
        place = Where("gitops.yaml")
        return Environment("production", "main", BRANCH, {}, self.required, self.approvers, self.is_signed, "heal", place)

    def order(self, what: Graphs, approvals: Sequence[Approval] = (), **options: object) -> ReleaseOrder:
        commit = options.pop("commit", None) or self.repository.commit({"count": f"{self.now}"})
        order = ReleaseOrder(
            self.repository.path, "acme", self.environment, str(commit), what, self.key, self.now, self.url, tuple(approvals)
        )
        return replace(order, **options)  # type: ignore[arg-type]

    def release(self, what: Graphs, approvals: Sequence[Approval] = (), **options: object) -> Released:
        self.now += timedelta(minutes=1)
        return make_release(self.order(what, approvals, **options), pause=no_pause)

    @property
    def tip(self) -> str:
        return self.repository.git("rev-parse", BRANCH)

    def serials(self) -> list[int]:
        released = read_released(self.repository.path, BRANCH, "production")
        assert released is not None
        return [released.manifest.serial, *read_chain(self.repository.path, released)]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(Repository.make(tmp_path / "work", {"README": "x"}))


def held(run: Callable[[], object]) -> HeldError:
    with pytest.raises(HeldError) as caught:
        run()
    assert caught.value.exit_status == 3
    return caught.value


def stopped(kind: type[TrueupError], run: Callable[[], object]) -> TrueupError:
    with pytest.raises(kind) as caught:
        run()
    return caught.value


# ── serials, what is new, what is read back ──


def test_serials_are_dense_and_each_names_the_one_before(desk: Desk) -> None:
    made = [desk.release(what) for what in (FIRST, SECOND, RICH)]
    assert [item.serial for item in made] == [1, 2, 3]
    assert all(item.is_new for item in made)
    assert made[0].manifest.previous is None
    assert [(item.manifest.previous.serial, item.manifest.previous.digest) for item in made[1:] if item.manifest.previous] == [
        (1, made[0].digest),
        (2, made[1].digest),
    ]
    assert desk.serials() == [3, 2, 1]
    assert desk.repository.git("rev-list", "--count", BRANCH) == "3"


def test_what_is_released_is_read_back(desk: Desk) -> None:
    assert read_released(desk.repository.path, BRANCH, "production") is None
    made = desk.release(RICH)
    for name in (BRANCH, f"refs/heads/{BRANCH}"):
        found = read_released(desk.repository.path, name, "production")
        assert found is not None
        assert (found.commit, found.digest, found.graphs, found.manifest) == (made.commit, made.digest, RICH, made.manifest)
    assert stopped(TrustError, lambda: read_released(desk.repository.path, BRANCH, "staging")).code == "T103"
    assert stopped(TrustError, lambda: read_released(desk.repository.path, "main", "production")).code == "T106"


def test_hosts_accept_what_is_released(desk: Desk) -> None:
    desk.release(FIRST)
    made = desk.release(RICH)
    root = Releaser(keys=[desk.key]).root
    opened = open_release(desk.repository.path, made.commit)
    verify_release(opened, root, "production", memory=Memory(), now=desk.now, verifier=BundleVerifier())


def test_nothing_new_makes_no_commit(desk: Desk) -> None:
    first = desk.release(FIRST)
    again = desk.release(FIRST)
    assert (again.is_new, again.serial, again.commit, again.digest) == (False, 1, first.commit, first.digest)
    assert "nothing changed" in again.reason


def test_force_makes_a_fresh_expiry_without_approval(desk: Desk) -> None:
    desk.required = 1
    desk.release(FIRST, [approve(None, FIRST)])
    desk.now += 40 * DAY
    again = desk.release(FIRST, is_forced=True)
    assert (again.is_new, again.serial, again.manifest.approvals) == (True, 2, ())
    assert again.manifest.expires == desk.now + 90 * DAY
    held(lambda: desk.release(SECOND, is_forced=True))


def test_an_expired_tip_is_built_on(desk: Desk) -> None:
    desk.release(FIRST, valid=DAY)
    desk.now += 30 * DAY
    assert desk.release(FIRST, is_forced=True).serial == 2


def test_a_clock_behind_the_tip_does_not_go_back(desk: Desk) -> None:
    first = desk.release(FIRST)
    desk.now -= DAY
    second = desk.release(SECOND)
    assert second.manifest.issued == first.manifest.issued


def test_a_tip_from_far_ahead_is_not_built_on_and_once_it_is_gone_all_goes_on(desk: Desk) -> None:
    first = desk.release(FIRST)
    desk.now += 400 * DAY
    ahead = desk.release(SECOND)
    desk.now -= 400 * DAY
    with pytest.raises(HeldError, match=f"release 2 says that it was issued at {ahead.manifest.issued:%Y-%m-%d}") as caught:
        desk.release(SECOND, is_forced=True)
    assert (caught.value.exit_status, f"`{BRANCH}`" in caught.value.hint) == (3, True)
    desk.repository.git("update-ref", f"refs/heads/{BRANCH}", first.commit)
    again = desk.release(SECOND)
    assert (again.serial, again.manifest.issued < ahead.manifest.issued) == (2, True)


def test_an_older_commit_is_not_released_over_a_newer_one(desk: Desk) -> None:
    old = desk.repository.commit({"a": "1"})
    desk.release(SECOND)
    again = desk.release(FIRST, commit=old)
    assert not again.is_new
    assert "older" in again.reason


def test_every_host_leaving_is_a_release_too(desk: Desk) -> None:
    desk.release(FIRST)
    made = desk.release(graphs({}))
    assert (made.serial, made.manifest.shards) == (2, {})
    found = read_released(desk.repository.path, BRANCH, "production")
    assert found is not None
    assert not found.graphs.hosts


# ── the tip ──


def test_a_tip_of_another_key_is_not_built_on(desk: Desk) -> None:
    desk.release(FIRST)
    desk.key = generate_key()
    error = stopped(TrustError, lambda: desk.release(SECOND))
    assert (error.code, error.exit_status) == ("T101", 6)


def test_a_tip_that_was_tampered_with_is_not_built_on(desk: Desk) -> None:
    made = desk.release(RICH)
    opened = open_release(desk.repository.path, made.commit)
    files = {path: opened.read(path) for path in opened.listing}
    place = Place(desk.repository.path, BRANCH)
    path = next(name for name in files if name.startswith("blobs/"))
    for spoiled in ({**files, path: b"evil"}, {**files, "more": b""}):
        tip = desk.tip
        assert push_commit(place, commit_files(desk.repository.path, spoiled, parents=(tip,), message="x", now=NOW), old=tip)
        assert stopped(TrustError, lambda: desk.release(SECOND)).code == "T106"


def test_a_pinned_root_verifies_the_tip_and_asks_for_enough_keys(desk: Desk) -> None:
    keys = [desk.key, generate_key("p256")]
    root = Releaser(keys=keys, threshold=2).root
    assert stopped(TrustError, lambda: desk.release(FIRST, root=root)).code == "T120"
    made = desk.release(FIRST, root=root, cosigners=keys[1:], trust_files={"1.json": root.to_bytes()})
    listing = open_release(desk.repository.path, made.commit).listing
    assert sum(path.startswith("signatures/") for path in listing) == 2
    assert "trust/1.json" in listing
    again = desk.release(SECOND, root=root, cosigners=keys[1:])
    assert "trust/1.json" in open_release(desk.repository.path, again.commit).listing, "roots since the first are carried on"
    keys = [desk.key]
    desk.release(RICH, root=Releaser(keys=keys).root)
    assert stopped(TrustError, lambda: desk.release(FIRST, root=root, cosigners=(generate_key(),))).code == "T120"


def test_names_that_a_release_cannot_hold_are_refused_before_anything_is_published(desk: Desk) -> None:
    stopped(TrustError, lambda: desk.release(FIRST, trust_files={"../evil": b""}))
    assert read_released(desk.repository.path, BRANCH, "production") is None


# ── approvals ──


@pytest.fixture
def strict(desk: Desk) -> Desk:
    desk.required, desk.approvers = 1, ("team:sre", "user:alice")
    desk.release(FIRST, [approve(None, FIRST)])
    return desk


def test_without_approvals_it_is_held_and_says_what_is_missing(strict: Desk) -> None:
    error = held(lambda: strict.release(SECOND))
    assert "file:/etc/motd on web-1" in error.message
    assert "1 person of team:sre, user:alice" in error.message
    assert "--approvals" in error.hint
    assert strict.serials() == [1]


def test_an_approved_change_is_released_with_its_approval(strict: Desk) -> None:
    approval = approve(FIRST, SECOND)
    made = strict.release(SECOND, [approval])
    assert made.manifest.approvals == (approval.digest,)
    assert open_release(strict.repository.path, made.commit).read(f"approvals/{approval.digest}.json") == approval.to_bytes()


def test_more_than_was_approved_is_held(strict: Desk) -> None:
    error = held(lambda: strict.release(THIRD, [approve(FIRST, SECOND)]))
    assert "web-2" in error.message
    assert "grown" in held(lambda: strict.release(THIRD, [approve(None, graphs({"web-9": [file("/x")]}))])).hint


def test_less_than_was_approved_is_released(strict: Desk) -> None:
    assert strict.release(
        SECOND, [approve(FIRST, graphs({"web-1": SECOND.hosts["web-1"].resources, "web-2": [file("/x")]}))]
    ).is_new


def test_two_merges_are_covered_by_two_approvals_together(strict: Desk) -> None:
    first = graphs({"web-1": [file("/etc/motd", "third\n")]})
    second = graphs({"web-1": [file("/etc/motd")], "web-2": [file("/etc/issue")]})
    made = strict.release(THIRD, [approve(FIRST, first), approve(FIRST, second, pull="2")])
    assert len(made.manifest.approvals) == 2


@pytest.mark.parametrize(
    ("approval", "why"),
    [
        (approve(FIRST, SECOND, approver="user:mallory"), "does not count"),
        (approve(FIRST, SECOND, environment="staging"), "another repository or environment"),
        (approve(FIRST, SECOND, repository="evil"), "another repository or environment"),
        (approve(FIRST, SECOND, expires=NOW), "expired"),
        (approve(FIRST, SECOND, issued=NOW + DAY), "not given yet"),
        (approve(FIRST, SECOND, policy="1" * 64), "another policy"),
    ],
)
def test_an_approval_that_does_not_count_says_why(strict: Desk, approval: Approval, why: str) -> None:
    assert why in held(lambda: strict.release(SECOND, [approval], policy_digest="0" * 64)).hint


def test_enough_distinct_people_are_needed(desk: Desk) -> None:
    desk.required = 2
    alice, bob = approve(None, FIRST), approve(None, FIRST, approver="user:bob")
    assert "2 people" in held(lambda: desk.release(FIRST, [alice, alice, approve(None, FIRST, pull="9")])).message
    assert desk.release(FIRST, [alice, bob]).is_new


def test_a_spent_approval_does_not_count_again(strict: Desk) -> None:
    there, back = approve(FIRST, SECOND), approve(SECOND, FIRST, pull="2")
    strict.release(SECOND, [there])
    strict.release(FIRST, [back])
    assert "already spent" in held(lambda: strict.release(SECOND, [there])).hint
    assert strict.release(SECOND, [there, approve(FIRST, SECOND, pull="3")]).serial == 4


def test_approvals_of_other_pull_requests_are_not_spent(strict: Desk) -> None:
    other = approve(None, graphs({"web-9": [file("/x")]}), pull="7")
    made = strict.release(SECOND, [approve(FIRST, SECOND), other])
    assert other.digest not in made.manifest.approvals
    assert strict.release(SECOND, [other], is_forced=True).manifest.approvals == ()


def test_where_none_are_required_they_are_carried_all_the_same(desk: Desk) -> None:
    approval = approve(None, FIRST)
    assert desk.release(FIRST, [approval]).manifest.approvals == (approval.digest,)


def test_reviewers_signatures_cannot_be_checked_yet_and_so_hold(strict: Desk) -> None:
    strict.is_signed = True
    assert held(lambda: strict.release(SECOND, [approve(FIRST, SECOND)])).code == "H051"


# ── plan, rollback, odd orders ──


def test_the_plan_is_carried_by_its_content_digest(desk: Desk) -> None:
    plan = FleetPlan(PlanSubject("acme", "production"), change_digest="0" * 64)
    made = desk.release(FIRST, plan=plan)
    assert made.manifest.plan == plan.content_digest
    assert open_release(desk.repository.path, made.commit).read(f"plans/{plan.content_digest}.json") == plan.to_bytes()
    other = FleetPlan(PlanSubject("acme", "staging"), change_digest="0" * 64)
    stopped(MalformedError, lambda: desk.release(SECOND, plan=other))


def test_the_projects_folder_is_noted_for_rebuilding(desk: Desk) -> None:
    assert desk.release(FIRST, subpath="ops/config").manifest.extensions == {"source_path": "ops/config"}


def test_a_rollback_is_a_new_serial_with_old_content(desk: Desk) -> None:
    first = desk.release(FIRST)
    desk.release(SECOND)
    made = roll_back(desk.order(SECOND), 1, pause=no_pause)
    assert (made.serial, made.manifest.rollback_of, made.manifest.commit) == (3, 1, first.manifest.commit)
    assert made.manifest.shards == first.manifest.shards
    assert desk.release(THIRD).serial == 4


def test_a_rollback_needs_approval_like_any_change(strict: Desk) -> None:
    strict.release(SECOND, [approve(FIRST, SECOND)])
    held(lambda: roll_back(strict.order(SECOND), 1, pause=no_pause))
    assert roll_back(strict.order(SECOND, [approve(SECOND, FIRST, pull="2")]), 1, pause=no_pause).serial == 3


def test_a_rollback_to_what_never_was_is_refused(desk: Desk) -> None:
    stopped(UsageError, lambda: roll_back(desk.order(FIRST), 1, pause=no_pause))
    desk.release(FIRST)
    for serial in (1, 7):
        stopped(UsageError, lambda serial=serial: roll_back(desk.order(FIRST), serial, pause=no_pause))  # type: ignore[misc]


def test_a_release_must_be_valid_for_some_time(desk: Desk) -> None:
    stopped(UsageError, lambda: desk.release(FIRST, valid=timedelta(0)))


def test_a_chain_that_was_rewritten_is_noticed(desk: Desk) -> None:
    desk.release(FIRST)
    made = desk.release(SECOND)
    opened = open_release(desk.repository.path, made.commit)
    files = {path: opened.read(path) for path in opened.listing}
    stranger = commit_files(desk.repository.path, files, parents=(made.commit,), message="x", now=NOW)
    tip = read_release(desk.repository.path, stranger, "production")
    assert stopped(TrustError, lambda: read_chain(desk.repository.path, tip)).code == "T104"


# ── races ──


@pytest.fixture(params=["local", "remote"])
def raced(request: pytest.FixtureRequest, desk: Desk, tmp_path: Path) -> Desk:
    if request.param == "remote":
        desk.repository.git("init", "-q", "--bare", str(tmp_path / "bare.git"))
        desk.url = str(tmp_path / "bare.git")
    return desk


def test_who_loses_follows_with_the_next_serial(raced: Desk) -> None:
    """Orders at once, each for another content: all are released, one after another, none lost."""
    orders = [raced.order(graphs({"web-1": [file("/etc/motd", f"{number}\n")]})) for number in range(4)]
    commit = orders[-1].commit
    made: list[Released] = []

    def run(order: ReleaseOrder) -> None:
        found = make_release(replace(order, commit=commit), pause=wait_a_little)
        made.append(found)

    threads = [threading.Thread(target=run, args=(item,)) for item in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert sorted(item.serial for item in made) == [1, 2, 3, 4]


class OvertakenKey(SigningKey):
    """A key that takes its time: whenever it signs, something else happens first."""

    def __init__(self, key: SigningKey, meanwhile: Callable[[], object]) -> None:
        super().__init__(key.private, key.public)
        object.__setattr__(self, "meanwhile", meanwhile)

    def sign(self, message: bytes) -> bytes:
        self.meanwhile()  # type: ignore[attr-defined]
        return super().sign(message)


def test_who_loses_to_the_same_content_has_nothing_to_release(raced: Desk) -> None:
    raced.release(FIRST)
    theirs = [raced.order(SECOND)]
    key = OvertakenKey(raced.key, lambda: theirs and make_release(theirs.pop(), pause=no_pause))
    lost: list[int] = []
    mine = replace(theirs[0], key=key, now=raced.now + timedelta(seconds=1))
    found = make_release(mine, pause=lost.append)
    assert (found.is_new, found.serial, lost) == (False, 2, [0])


def test_losing_every_time_ends_with_exit_7(desk: Desk) -> None:
    """Somebody moves the branch each time: a bounded number of tries, and nothing is published."""
    desk.release(FIRST)
    place, pauses = Place(desk.repository.path, BRANCH), list[int]()

    def move() -> None:
        opened = open_release(desk.repository.path, desk.tip)
        files = {path: opened.read(path) for path in opened.listing}
        moved = commit_files(desk.repository.path, files, parents=(), message=f"{desk.tip}", now=NOW)
        assert push_commit(place, moved, old=desk.tip)

    order = desk.order(SECOND, key=OvertakenKey(desk.key, move))
    error = stopped(RemoteError, lambda: make_release(order, pause=pauses.append))
    assert (error.exit_status, pauses) == (7, list(range(8)))
    assert desk.serials() == [1]
