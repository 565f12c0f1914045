"""Branches of a real bare repository as pull requests; merges that are real, or nothing at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gitops.errors import HeldError
from gitops.source.repository import find_ref
from tests.support.project import Repository
from webhooks.forges.local.branches import Person, list_heads, list_refused, read_branch, why_no_name
from webhooks.forges.local.forge import find_target
from webhooks.forges.local.merge import MergeRequest, merge_branch

Push = Callable[..., str]
NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
BOB = Person("bob", "bob@example.org")
EVE = {"GIT_AUTHOR_NAME": "Eve", "GIT_AUTHOR_EMAIL": "eve@example.org"}


def ask(bare: Path, name: str) -> MergeRequest:
    return MergeRequest(name, list_heads(bare)[name], "main", find_ref(bare, "refs/heads/main"), "title")


def test_a_pushed_branch_opens_a_push_updates_a_deletion_closes(bare: Path, work: Repository, push: Push) -> None:
    assert list_heads(bare) == {}
    first = push("motd", {"a": "1"}, "one")
    assert list_heads(bare) == {"motd": first}
    second = push("motd", {"a": "2"}, "two")
    assert list_heads(bare) == {"motd": second}
    work.git("push", "-q", "origin", ":pr/motd")
    assert list_heads(bare) == {}


@pytest.mark.parametrize(
    "name", ["motd", "alice/motd", "fix-#12", "a+b", "me@home", "é", "日本", "v1.2_3", "-a", "(x)", "x" * 100]
)
def test_a_name_that_people_can_read_is_one(name: str) -> None:
    assert why_no_name(name) == ""


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("", "1 to 100"),
        ("x" * 101, "this one 101"),
        ("<script>", "'<'"),
        ("a$b", "'$'"),
        ('a"b', "'\"'"),
        ("a\u202eb", "u202e"),
        ("a\u2028b", "u2028"),
        ("a\u3164b", "'\\u3164'"),
        ("e\u0301", "NFC"),
        ("a\ufffd", "not UTF-8"),
    ],
)
def test_a_name_that_could_fool_a_reader_is_none_and_says_why(name: str, word: str) -> None:
    assert word in why_no_name(name)


def test_branches_in_folders_are_pull_requests_and_refused_ones_have_a_reason(bare: Path, work: Repository) -> None:
    for name in ("deep/name", "fix-#12", "a$b", "a\u2028b"):
        work.git("push", "-q", "origin", f"main:refs/heads/pr/{name}")
    (bare / "refs/heads/pr").joinpath(os.fsdecode(b"\xff")).write_text(find_ref(bare, "refs/heads/main") + "\n")
    assert sorted(list_heads(bare)) == ["deep/name", "fix-#12"]
    refused = list_refused(bare)
    assert len(refused) == 3
    assert "'$'" in refused["a$b"]
    assert all(name.isprintable() for name in refused)


def test_a_tag_that_is_called_like_the_target_changes_nothing(bare: Path, work: Repository) -> None:
    work.git("push", "-q", "origin", "main:refs/tags/main", "main:refs/tags/pr/motd")
    assert find_target(bare) == "main"
    assert list_heads(bare) == {}


def test_title_is_the_newest_subject_and_everybody_named_is_an_author(bare: Path, work: Repository, push: Push) -> None:
    work.git("checkout", "-q", "-b", "pr/motd")
    work.commit({"a": "1"}, "older")
    head = work.commit({"a": "2"}, "newest\n\nwith a body\x01", env=EVE)
    work.git("push", "-q", "origin", "pr/motd")
    branch = read_branch(bare, "motd", head, find_ref(bare, "refs/heads/main"))
    assert branch.title == "newest"
    assert [commit.subject for commit in branch.commits] == ["newest", "older"]
    assert branch.people == (Person("Eve", "eve@example.org"), Person("Alice", "alice@example.org"))


def test_a_branch_without_commits_of_its_own_is_called_by_its_name(bare: Path, work: Repository, push: Push) -> None:
    work.git("push", "-q", "origin", "main:refs/heads/pr/same")
    main = find_ref(bare, "refs/heads/main")
    assert read_branch(bare, "same", main, main).title == "same"
    assert len(read_branch(bare, "same", main, "").commits) == 1


def test_a_merge_is_a_real_merge_commit_and_ends_the_branch(bare: Path, work: Repository, push: Push) -> None:
    head = push("motd", {"a": "1"}, "one")
    before = find_ref(bare, "refs/heads/main")
    commit = merge_branch(bare, ask(bare, "motd"), by=BOB, now=NOW)
    assert find_ref(bare, "refs/heads/main") == commit
    assert list_heads(bare) == {}
    work.git("fetch", "-q", "origin")
    assert work.git("rev-list", "--parents", "-1", commit).split()[1:] == [before, head]
    assert work.git("show", f"{commit}:a") == "1"
    assert work.git("show", "-s", "--format=%an %ae %cn %ct %s", commit) == (
        f"bob bob@example.org bob {int(NOW.timestamp())} Merge pr/motd: title"
    )
    work.git("fsck", "--strict")


def test_a_conflict_names_the_paths_and_changes_nothing(bare: Path, work: Repository, push: Push) -> None:
    push("motd", {"gitops.yaml": "mine\n"}, "one")
    work.commit({"gitops.yaml": "theirs\n"}, "two")
    work.git("push", "-q", "origin", "main")
    asked = ask(bare, "motd")
    with pytest.raises(HeldError, match=r"gitops\.yaml") as caught:
        merge_branch(bare, asked, by=BOB, now=NOW)
    assert caught.value.code == "H042"
    assert find_ref(bare, "refs/heads/main") == asked.target
    assert list_heads(bare) == {"motd": asked.head}


def test_what_moved_since_it_was_seen_is_not_merged(bare: Path, work: Repository, push: Push) -> None:
    push("motd", {"a": "1"}, "one")
    seen = ask(bare, "motd")
    push("motd", {"a": "evil"}, "two")
    with pytest.raises(HeldError, match="moved while you looked"):
        merge_branch(bare, seen, by=BOB, now=NOW)
    seen = ask(bare, "motd")
    work.commit({"b": "1"}, "three")
    work.git("push", "-q", "origin", "main")
    with pytest.raises(HeldError, match="main moved"):
        merge_branch(bare, seen, by=BOB, now=NOW)
    assert find_ref(bare, "refs/heads/main") == work.git("rev-parse", "main")


def test_of_many_merges_at_once_one_wins_and_the_others_change_nothing(bare: Path, work: Repository, push: Push) -> None:
    names = [f"change-{number}" for number in range(6)]
    for name in names:
        push(name, {name: "1"}, name)
    before = find_ref(bare, "refs/heads/main")
    asked = [ask(bare, name) for name in names]

    def attempt(request: MergeRequest) -> str:
        try:
            return merge_branch(bare, request, by=BOB, now=NOW)
        except HeldError as held:
            return held.code

    with ThreadPoolExecutor(len(names)) as pool:
        ends = sorted(pool.map(attempt, asked))
    main = find_ref(bare, "refs/heads/main")
    assert ends == sorted([main, *["H044"] * 5])
    assert Repository(bare).git("rev-parse", f"{main}^1") == before
    assert len(list_heads(bare)) == len(names) - 1


def test_nothing_to_merge_says_so(bare: Path, work: Repository, push: Push) -> None:
    work.git("push", "-q", "origin", "main:refs/heads/pr/same")
    with pytest.raises(HeldError, match="already has everything"):
        merge_branch(bare, ask(bare, "same"), by=BOB, now=NOW)


def test_hooks_of_the_repository_do_not_run_in_a_merge(bare: Path, work: Repository, push: Push) -> None:
    push("motd", {"a": "1"}, "one")
    hook = bare / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    assert merge_branch(bare, ask(bare, "motd"), by=BOB, now=NOW)
