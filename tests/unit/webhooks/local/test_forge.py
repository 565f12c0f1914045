"""The local forge: what it says of branches, endings, people; what users may do; what it notices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gitops.errors import HeldError, UsageError
from gitops.model.approval import Approval
from gitops.model.fleetplan import FleetPlan, PlanSubject
from gitops.source.repository import find_ref
from tests.support.people import make_user, make_users
from tests.support.plans import fleet_plan
from tests.support.project import Repository
from webhooks.auth.users import User
from webhooks.forges.local.forge import find_target, make_local_forge
from webhooks.forges.local.reviews import LocalReviews
from webhooks.forges.local.watch import Watch
from webhooks.forges.port import Forge, ForgeComment, Status
from webhooks.records import ApprovalRecord, PlanRecord, PullKey, PullRecord, RemarkRecord
from webhooks.store.approvals import add_approval, list_approvals_of, lose_approval
from webhooks.store.plans import add_plan
from webhooks.store.pulls import find_pull, save_pull
from webhooks.store.remarks import add_remark, list_remarks, list_statuses
from webhooks.store.store import Store

Push = Callable[..., str]
NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
KEY = PullKey("local", "motd")
ALICE, BOB, CAROL = make_user("alice", "sre"), make_user("bob", "sre"), make_user("carol")
EVE = {"GIT_AUTHOR_NAME": "Eve", "GIT_AUTHOR_EMAIL": "eve@elsewhere.example"}


@pytest.fixture
def forge(bare: Path, store: Store) -> Forge:
    return make_local_forge(
        bare, store, make_users(ALICE, BOB, CAROL), now=lambda: NOW, url_of=lambda key: f"http://127.0.0.1/pulls/{key.name}"
    )


def remember(store: Store, forge: Forge, key: PullKey = KEY) -> PullRecord:
    """Write what the forge says, as the service does."""
    found = forge.pulls.read_pull(key)
    assert found is not None
    record = PullRecord(
        key, found.title, found.author, found.head, found.branch, state=found.state, contributors=found.contributors,
        merged=found.merged, updated=NOW,
    )  # fmt: skip
    with store.write() as connection:
        save_pull(connection, record)
    return record


def test_a_pushed_branch_is_an_open_pull_of_its_authors(forge: Forge, push: Push) -> None:
    head = push("motd", {"a": "1"}, "Greet people", EVE)
    found = forge.pulls.read_pull(KEY)
    assert found is not None
    assert (found.title, found.author, found.head, found.branch, found.state) == (
        "Greet people",
        "eve@elsewhere.example",
        head,
        "main",
        "open",
    )
    assert found.contributors == ("eve@elsewhere.example", "alice")
    assert found.url == "http://127.0.0.1/pulls/motd"
    assert forge.pulls.list_open("local") == (found,)
    assert forge.pulls.find_remote("local").url.endswith("bare.git")
    assert forge.pulls.head_ref(KEY) == "refs/heads/pr/motd"


@pytest.mark.parametrize(
    "key", [PullKey("local", "none"), PullKey("local", "../x"), PullKey("acme/x", "motd"), PullKey("local", "")]
)
def test_what_nobody_pushed_is_none(forge: Forge, push: Push, key: PullKey) -> None:
    push("motd", {"a": "1"})
    assert forge.pulls.read_pull(key) is None
    assert forge.pulls.list_open("acme/x") == ()
    assert forge.pulls.list_recently_closed("acme/x") == ()


def test_a_deleted_branch_is_closed(forge: Forge, store: Store, push: Push, work: Repository) -> None:
    push("motd", {"a": "1"})
    remember(store, forge)
    work.git("push", "-q", "origin", ":pr/motd")
    assert [(pull.key, pull.state) for pull in forge.pulls.list_recently_closed("local")] == [(KEY, "closed")]
    assert forge.pulls.list_open("local") == ()


@pytest.mark.parametrize("way", ["merge", "fast-forward"])
def test_a_merge_by_hand_is_a_merge(forge: Forge, store: Store, push: Push, work: Repository, way: str) -> None:
    head = push("motd", {"a": "1"})
    remember(store, forge)
    work.git("merge", "-q", "--no-edit", "--no-ff" if way == "merge" else "--ff-only", head)
    work.git("push", "-q", "origin", "main")
    main = work.git("rev-parse", "main")
    found = forge.pulls.read_pull(KEY)
    assert found is not None
    assert (found.state, found.merged) == ("merged", main)
    work.git("push", "-q", "origin", ":pr/motd")
    assert forge.pulls.read_pull(KEY) == found


@pytest.mark.parametrize("is_deleted", [False, True])
@pytest.mark.parametrize("way", ["merge", "fast-forward"])
def test_who_pushed_and_merged_between_two_looks_is_an_author(
    forge: Forge, store: Store, push: Push, work: Repository, way: str, is_deleted: bool
) -> None:
    push("motd", {"a": "1"})
    known = remember(store, forge)
    with store.write() as connection:
        save_pull(connection, replace(known, target=work.git("rev-parse", "main")))
    work.git("checkout", "-q", "pr/motd")
    work.commit({"a": "2"}, "more", env=EVE)
    work.git("push", "-q", "origin", "pr/motd")
    work.git("checkout", "-q", "main")
    work.git("merge", "-q", "--no-edit", "--no-ff" if way == "merge" else "--ff-only", "pr/motd")
    brought = work.git("rev-parse", "main")
    work.commit({"b": "1"}, "later")
    work.git("push", "-q", "origin", "main", *([":pr/motd"] if is_deleted else []))
    found = forge.pulls.read_pull(KEY)
    assert found is not None
    assert found.state == "merged"
    # Of a branch that is gone, nobody can tell what was pushed to it after the last look: its last known commit came in, too.
    assert found.merged == (brought if way == "merge" or not is_deleted else known.head)
    assert ("eve@elsewhere.example" in found.contributors) == (way == "merge" or not is_deleted)


def test_a_name_pushed_again_is_open_again(forge: Forge, store: Store, push: Push, work: Repository) -> None:
    push("motd", {"a": "1"})
    remember(store, forge)
    work.git("push", "-q", "origin", ":pr/motd")
    remember(store, forge)
    head = push("motd", {"a": "2"})
    found = forge.pulls.read_pull(KEY)
    assert found is not None
    assert (found.state, found.head) == ("open", head)


def test_the_target_is_what_head_names(bare: Path, work: Repository) -> None:
    assert find_target(bare) == "main"
    Repository(bare).git("symbolic-ref", "HEAD", "refs/heads/trunk")
    assert find_target(bare) == "trunk"
    Repository(bare).git("update-ref", "--no-deref", "HEAD", work.git("rev-parse", "main"))
    assert find_target(bare) == "main"


def test_a_folder_that_is_no_repository_is_refused(tmp_path: Path, store: Store) -> None:
    for folder in (tmp_path / "nothing", tmp_path):
        with pytest.raises(UsageError, match="not a Git repository"):
            make_local_forge(folder, store, make_users(), now=lambda: NOW, url_of=str)


def test_remarks_are_comments_and_statuses_are_kept(forge: Forge, store: Store) -> None:
    with store.write() as connection:
        ident = add_remark(connection, RemarkRecord(0, KEY, "bob", "hello", NOW))
    assert forge.talk.list_comments(KEY) == (ForgeComment(f"comment:{ident}", "bob", "hello", NOW),)
    assert forge.talk.list_reviews(KEY) == ()
    for state in ("pending", "success"):
        forge.statuses.set_status("local", "c" * 40, Status("gitops/plan", state, "text"))
    with store.read() as connection:
        assert [(item.context, item.state) for item in list_statuses(connection, "local", "c" * 40)] == [
            ("gitops/plan", "success")
        ]
    assert forge.statuses.list_statuses("local", "c" * 40) == (Status("gitops/plan", "success", "text"),)


def test_the_version_changes_with_what_is_said(forge: Forge, store: Store, push: Push) -> None:
    push("motd", {"a": "1"})
    before = forge.pulls.list_open("local")[0].version
    assert forge.pulls.list_open("local")[0].version == before != ""
    with store.write() as connection:
        add_remark(connection, RemarkRecord(0, KEY, "bob", "hello", NOW))
    assert forge.pulls.list_open("local")[0].version != before


def test_our_comment_is_found_where_the_service_keeps_it(forge: Forge, store: Store, push: Push) -> None:
    push("motd", {"a": "1"})
    record = remember(store, forge)
    assert forge.talk.find_comment(KEY, "<!--") is None
    posted = forge.talk.write_comment(KEY, "<!-- x --> hello")
    with store.write() as connection:
        save_pull(connection, replace(record, comment=posted.body, comment_ident=posted.ident))
    found = forge.talk.find_comment(KEY, "<!-- x -->")
    assert found is not None
    assert (found.ident, found.body) == (posted.ident, posted.body)
    assert forge.talk.write_comment(KEY, "again", found.ident).ident == found.ident


def test_people_are_the_users_and_their_teams(forge: Forge) -> None:
    assert forge.people.may_write("local", "bob")
    assert not forge.people.may_write("local", "eve")
    assert not forge.people.may_write("acme/x", "bob")
    assert forge.people.is_in_team("local", "sre", "bob")
    assert not forge.people.is_in_team("local", "sre", "carol")
    assert not forge.people.is_in_team("local", "sre", "eve")


PLAN = fleet_plan(2, pull="motd")


def approval_of(login: str, reference: str, digest: str, state: str, environment: str = "production") -> ApprovalRecord:
    """A whole approval of PLAN."""
    subject = PLAN.subject
    whole = Approval(
        subject.repository,
        subject.environment,
        subject.pull,
        digest,
        "0" * 64,
        PLAN.scope,
        f"user:{login}",
        NOW,
        NOW + timedelta(days=30),
    )
    return ApprovalRecord(0, KEY, environment, reference, login, digest, NOW, state, "a reason", approval=whole)


@dataclass
class Service:
    """Stands for the jobs: decides about remarks at once, as told."""

    store: Store
    state: str = "counted"
    touched: list[str] = field(default_factory=list)
    looked: int = 0

    def touch(self, key: PullKey) -> None:
        self.touched.append(key.name)
        with self.store.write() as connection:
            decided = {item.reference for item in list_approvals_of(connection, key)}
            for remark in list_remarks(connection, key):
                reference = f"comment:{remark.ident}"
                if self.state and reference not in decided and remark.body.startswith("/gitops approve "):
                    digest = remark.body.split()[2]
                    add_approval(connection, approval_of(remark.author, reference, digest, self.state))
                if self.state and remark.body == "/gitops unapprove":
                    for item in list_approvals_of(connection, key):
                        lose_approval(connection, item.ident, "they took it back")

    def look(self) -> None:
        self.looked += 1


@pytest.fixture
def service(store: Store) -> Service:
    return Service(store)


@pytest.fixture
def reviews(bare: Path, store: Store, service: Service) -> LocalReviews:
    return LocalReviews(bare, store, lambda: NOW, service.touch, service.look, lambda _seconds: None)


@pytest.fixture
def planned(forge: Forge, store: Store, push: Push, bare: Path) -> PullRecord:
    """A pull request that is planned and wants one approval."""
    push("motd", {"a": "1"}, "Greet people")
    record = remember(store, forge)
    target = find_ref(bare, "refs/heads/main")
    record = replace(record, target=target, planning="planned", planned_head=record.head)
    with store.write() as connection:
        save_pull(connection, record)
        add_plan(connection, plan_of(PLAN, record))
    return record


def plan_of(plan: FleetPlan, record: PullRecord) -> PlanRecord:
    made = NOW - timedelta(minutes=1)
    return PlanRecord(
        0, KEY, plan.subject.environment, plan.change_digest, plan.content_digest, record.head, record.target, plan.to_bytes(),
        made, 1, ("team:sre",), made, parts=plan.to_parts(),
    )  # fmt: skip


def test_approve_then_merge(reviews: LocalReviews, planned: PullRecord, bare: Path, service: Service, work: Repository) -> None:
    with pytest.raises(HeldError, match="0 of 1 approvals"):
        reviews.merge(KEY, BOB, planned.head)
    assert reviews.approve(KEY, BOB, PLAN.change_digest) == "approved"
    commit = reviews.merge(KEY, BOB, planned.head)
    assert find_ref(bare, "refs/heads/main") == commit
    work.git("fetch", "-q", "origin")
    assert work.git("show", "-s", "--format=%an <%ae> %s", commit) == "bob <bob@example.org> Merge pr/motd: Greet people"
    assert (service.looked, service.touched[-1]) == (1, "motd")


def test_what_was_taken_back_is_not_merged_and_can_be_given_again(
    reviews: LocalReviews, planned: PullRecord, store: Store
) -> None:
    with pytest.raises(HeldError, match="no approval of yours"):
        reviews.take_back(KEY, BOB)
    assert reviews.approve(KEY, BOB, PLAN.change_digest) == "approved"
    assert reviews.take_back(KEY, BOB) == "taken-back"
    with pytest.raises(HeldError, match="0 of 1 approvals"):
        reviews.merge(KEY, BOB, planned.head)
    with store.read() as connection:
        assert [remark.body for remark in list_remarks(connection, KEY)][-1] == "/gitops unapprove"


def test_what_was_taken_back_a_moment_ago_is_not_merged(reviews: LocalReviews, planned: PullRecord, service: Service) -> None:
    assert reviews.approve(KEY, BOB, PLAN.change_digest) == "approved"
    service.state = ""  # nothing is judged from here on
    assert reviews.take_back(KEY, BOB) == "asked"
    with pytest.raises(HeldError, match="0 of 1 approvals"):
        reviews.merge(KEY, BOB, planned.head)


def test_what_is_over_cannot_be_taken_back(reviews: LocalReviews, planned: PullRecord, store: Store) -> None:
    reviews.approve(KEY, BOB, PLAN.change_digest)
    with store.write() as connection:
        save_pull(connection, replace(planned, state="merged", is_settled=True))
    with pytest.raises(HeldError, match="is merged"):
        reviews.take_back(KEY, BOB)


def test_the_same_approval_twice_is_one_remark(reviews: LocalReviews, planned: PullRecord, store: Store) -> None:
    assert [reviews.approve(KEY, BOB, PLAN.change_digest) for _ in range(3)] == ["approved"] * 3
    with store.read() as connection:
        assert len(list_remarks(connection, KEY)) == 1


def test_an_approval_that_is_not_decided_yet_says_so(reviews: LocalReviews, planned: PullRecord, service: Service) -> None:
    service.state = ""
    assert reviews.approve(KEY, BOB, PLAN.change_digest) == "asked"


def test_a_refused_approval_says_why(reviews: LocalReviews, planned: PullRecord, service: Service) -> None:
    service.state = "refused"
    with pytest.raises(HeldError, match="does not count: a reason"):
        reviews.approve(KEY, CAROL, PLAN.change_digest)


@pytest.mark.parametrize(
    ("user", "digest", "words"),
    [
        (ALICE, PLAN.change_digest, "you wrote some of it"),
        (BOB, "0" * 64, "changed since you looked"),
        (BOB, PLAN.change_digest[:12], "changed since"),
    ],
)
def test_who_wrote_it_or_saw_another_plan_may_not_approve(
    reviews: LocalReviews, planned: PullRecord, store: Store, user: User, digest: str, words: str
) -> None:
    with pytest.raises(HeldError, match=words):
        reviews.approve(KEY, user, digest)
    with store.read() as connection:
        assert list_remarks(connection, KEY) == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"state": "merged"}, "is merged"),
        ({"planning": "invalid"}, "no plan of this commit"),
        ({"planned_head": "0" * 40}, "no plan of this commit"),
        ({"head": "0" * 40}, "moved while you looked"),
        ({"target": "0" * 40}, "main moved meanwhile"),
    ],
)
def test_only_what_was_planned_seen_and_approved_is_merged(
    reviews: LocalReviews, planned: PullRecord, store: Store, bare: Path, change: dict[str, str], words: str
) -> None:
    reviews.approve(KEY, BOB, PLAN.change_digest)
    with store.write() as connection:
        save_pull(connection, replace(planned, **change))  # type: ignore[arg-type]
    before = find_ref(bare, "refs/heads/main")
    with pytest.raises(HeldError, match=words):
        reviews.merge(KEY, BOB, planned.head)
    assert find_ref(bare, "refs/heads/main") == before


@pytest.mark.parametrize(("state", "login"), [("lost", "bob"), ("refused", "bob"), ("spent", "bob")])
def test_only_counted_approvals_merge(reviews: LocalReviews, planned: PullRecord, store: Store, state: str, login: str) -> None:
    with store.write() as connection:
        add_approval(connection, approval_of(login, "comment:9", PLAN.change_digest, state))
        add_approval(connection, approval_of(login, "comment:10", PLAN.change_digest, "counted", "staging"))
    with pytest.raises(HeldError, match="0 of 1"):
        reviews.merge(KEY, BOB, planned.head)


def test_a_plan_that_grew_before_anybody_judged_again_is_not_merged(
    reviews: LocalReviews, planned: PullRecord, store: Store
) -> None:
    reviews.approve(KEY, BOB, PLAN.change_digest)
    with store.write() as connection:
        add_plan(connection, plan_of(fleet_plan(3, pull="motd"), planned))
    with pytest.raises(HeldError, match="0 of 1"):
        reviews.merge(KEY, BOB, planned.head)


def test_what_changes_nothing_needs_no_approval(reviews: LocalReviews, planned: PullRecord, store: Store) -> None:
    nothing = FleetPlan(PlanSubject("acme", "production", "motd"), change_digest="0" * 64, hosts=2)
    with store.write() as connection:
        add_plan(connection, plan_of(nothing, planned))
    assert reviews.merge(KEY, CAROL, planned.head)


def test_a_held_release_can_still_be_approved_and_a_settled_one_not(
    reviews: LocalReviews, planned: PullRecord, store: Store
) -> None:
    with store.write() as connection:
        save_pull(connection, replace(planned, state="merged"))
    assert reviews.approve(KEY, BOB, PLAN.change_digest) == "approved"
    with store.write() as connection:
        save_pull(connection, replace(planned, state="merged", is_settled=True))
    with pytest.raises(HeldError, match="is merged"):
        reviews.approve(KEY, make_user("erin", "sre"), PLAN.change_digest)


def test_an_unknown_pull_is_held(reviews: LocalReviews) -> None:
    for act in (lambda: reviews.merge(KEY, BOB, "x"), lambda: reviews.approve(KEY, BOB, "x")):
        with pytest.raises(HeldError, match="no pull request motd"):
            act()
    reviews.refresh()


def test_contributors_stay_when_a_branch_is_rewritten(forge: Forge, store: Store, push: Push) -> None:
    push("motd", {"a": "1"}, "one", EVE)
    remember(store, forge)
    push("motd", {"a": "2"}, "two")
    remember(store, forge)
    with store.read() as connection:
        found = find_pull(connection, KEY)
    assert found is not None
    assert "eve@elsewhere.example" in found.contributors


def test_watching_touches_what_moved_and_everything_when_the_target_did(bare: Path, push: Push, work: Repository) -> None:
    touched: list[str] = []
    watch = Watch(bare, lambda key: touched.append(key.name))

    def look() -> list[str]:
        touched.clear()
        watch.look()
        return list(touched)

    assert look() == []
    push("motd", {"a": "1"})
    push("site", {"b": "1"})
    assert look() == ["motd", "site"]
    assert look() == []
    push("motd", {"a": "2"})
    assert look() == ["motd"]
    work.git("push", "-q", "origin", ":pr/site")
    assert look() == ["site"]
    work.commit({"c": "1"})
    work.git("push", "-q", "origin", "main")
    assert look() == ["motd"]
