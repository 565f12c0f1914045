"""The whole loop on a plain bare repository over real HTTP: push, plan, approve, merge, signed release; and what must not happen."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitops.source.repository import find_ref
from tests.support.chromium import open_chromium, watch_page
from tests.support.cli import call
from tests.support.localforge import LocalForge, running_forge
from tests.support.people import PASSWORD
from tests.support.project import HOST

WELCOME = {"inventory/web.yaml": HOST.replace("hello", "welcome")}
MORE = {"inventory/web.yaml": HOST.replace("hello", "welcome") + '    - file: /etc/issue\n      content: "more\\n"\n'}
RELEASE = "refs/heads/release/production"
BOB = {"GIT_AUTHOR_NAME": "Bob", "GIT_AUTHOR_EMAIL": "bob@example.org"}


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[LocalForge]:
    with running_forge(tmp_path) as made:
        yield made


def wait_for_release(forge: LocalForge, source: str) -> dict[str, object]:
    def look() -> dict[str, object] | None:
        return next(
            (item for item in forge.list_of("releases") if item["source"] == source and item["state"] == "released"), None
        )

    return forge.wait(look, "a release")


def test_push_plan_approve_merge_release(forge: LocalForge) -> None:
    head = forge.push("motd", WELCOME, "Greet people")
    plan = forge.wait_for_plan("motd", head)
    pull = forge.wait_for_pull("motd", author="alice", title="Greet people", state="open")
    assert f"/gitops approve {plan['change_digest']}" in pull["comment"]

    assert forge.merge("motd", "bob", head).status_code == 409, "nothing is merged before it is approved"
    for user, words in (("alice", "somebody else has to approve"), ("carol", "may not approve production")):
        answer = forge.approve("motd", user, plan["change_digest"])
        assert (answer.status_code, words in answer.json()["error"]["message"]) == (409, True), answer.text
    assert forge.merge("motd", "bob", head).status_code == 409
    assert forge.approve("motd", "bob", plan["change_digest"]).json() == {"result": "approved"}

    merged = forge.merge("motd", "bob", head)
    assert merged.status_code == 200, merged.text
    commit = merged.json()["commit"]
    assert find_ref(forge.bare, "refs/heads/main") == commit
    release = wait_for_release(forge, commit)
    assert (release["serial"], release["commit"]) == (1, find_ref(forge.bare, RELEASE))
    forge.wait_for_pull("motd", state="merged")

    root = forge.folder / "root.json"
    made = call("-C", forge.work.path, "trust", "init", "--key", forge.folder / "key.pub", "--out", root)
    assert made.status == 0, made.err
    verified = call("verify", "--trust-root", root, "--env", "production", "--repo", str(forge.bare), "--rebuild")
    assert verified.status == 0, verified.err


def test_an_approval_is_lost_when_the_plan_grows_and_kept_when_it_does_not(forge: LocalForge) -> None:
    head = forge.push("motd", WELCOME, "Greet people")
    plan = forge.wait_for_plan("motd", head)
    assert forge.approve("motd", "bob", plan["change_digest"]).status_code == 200
    same = forge.push("motd", {**WELCOME, "README.md": "words"}, "Say why")
    assert forge.wait_for_plan("motd", same)["change_digest"] == plan["change_digest"]
    forge.wait(lambda: [item["state"] for item in forge.list_of("approvals")] == ["counted"], "the approval to be kept")
    more = forge.push("motd", MORE, "And more")
    assert forge.wait_for_plan("motd", more)["change_digest"] != plan["change_digest"]
    forge.wait(lambda: [item["state"] for item in forge.list_of("approvals")] == ["lost"], "the approval to be lost")
    assert forge.approve("motd", "bob", plan["change_digest"]).status_code == 409, "the old plan cannot be approved any more"
    assert forge.merge("motd", "bob", more).status_code == 409
    assert find_ref(forge.bare, RELEASE) == ""


def test_who_added_a_commit_may_not_approve_even_after_a_rewrite(forge: LocalForge) -> None:
    forge.wait_for_plan("motd", forge.push("motd", WELCOME, "Greet people", env=BOB))
    rewritten = forge.push("motd", WELCOME, "Greet people, by alice")
    plan = forge.wait_for_plan("motd", rewritten)
    answer = forge.approve("motd", "bob", plan["change_digest"])
    assert answer.status_code == 409
    assert "you wrote some of it" in answer.json()["error"]["message"]


def test_deleting_closes_and_a_mistake_or_a_conflict_is_said(forge: LocalForge) -> None:
    forge.push("typo", {"inventory/web.yaml": HOST.replace("content", "contents")}, "Typo")
    pull = forge.wait_for_pull("typo", planning="invalid")
    assert "contents" in pull["comment"]
    forge.work.git("push", "-q", "origin", ":pr/typo")
    forge.wait_for_pull("typo", state="closed")

    forge.push("conflict", WELCOME, "Mine")
    forge.work.git("checkout", "-q", "-B", "theirs", "origin/main")
    forge.work.commit({"inventory/web.yaml": HOST.replace("hello", "theirs")}, "Theirs")
    forge.work.git("push", "-q", "origin", "theirs:main")
    forge.wait_for_pull("conflict", planning="conflict")


def test_a_merge_by_hand_without_approval_is_held_until_somebody_approves(forge: LocalForge) -> None:
    head = forge.push("motd", WELCOME, "Greet people")
    plan = forge.wait_for_plan("motd", head)
    forge.work.git("checkout", "-q", "-B", "main", "origin/main")
    forge.work.git("merge", "-q", "--no-ff", "--no-edit", head)
    forge.work.git("push", "-q", "origin", "main")
    source = forge.work.git("rev-parse", "main")
    forge.wait(
        lambda: [item for item in forge.list_of("releases") if item["source"] == source and item["state"] == "held"], "held"
    )
    assert find_ref(forge.bare, RELEASE) == ""
    current = forge.wait_for_pull("motd", state="merged")
    assert current["merged"] == source
    plans = forge.wait(
        lambda: [p for p in forge.list_of("plans") if p["pull"] == "motd" and p["current"] and p["published"]], "a plan"
    )
    answer = forge.approve("motd", "bob", plans[0]["change_digest"])
    assert answer.status_code in (200, 202), f"{answer.text} {plan['change_digest']}"
    assert wait_for_release(forge, source)["serial"] == 1


def test_what_was_pushed_while_the_service_was_down_is_planned_when_it_is_back(forge: LocalForge) -> None:
    forge.wait_for_plan("motd", forge.push("motd", WELCOME, "Greet people"))
    assert forge.stop() == 0
    head = forge.push("motd", MORE, "And more")
    forge.start()
    forge.wait_for_plan("motd", head)


def test_killed_between_merge_and_release_it_releases_when_it_is_back(forge: LocalForge) -> None:
    head = forge.push("motd", WELCOME, "Greet people")
    plan = forge.wait_for_plan("motd", head)
    assert forge.approve("motd", "bob", plan["change_digest"]).status_code == 200
    commit = forge.merge("motd", "bob", head).json()["commit"]
    assert forge.stop(signal.SIGKILL) == -signal.SIGKILL
    forge.start()
    assert wait_for_release(forge, commit)["serial"] == 1


@pytest.mark.ui
@pytest.mark.xdist_group("ui")
def test_two_people_in_a_browser_bring_a_change_to_a_release(forge: LocalForge) -> None:
    head = forge.push("motd", WELCOME, "Greet people")
    forge.wait_for_plan("motd", head)
    with open_chromium() as chromium:
        watched = watch_page(chromium, forge.url)
        page = watched.page
        page.goto("/pulls/local/motd")
        page.get_by_label("Name").fill("bob")
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url("**/pulls/local/motd")
        assert "+welcome" in page.locator(".diff").inner_text()
        page.get_by_role("button", name="Approve this plan").click()
        page.get_by_text("Your approval counts.").wait_for()
        page.get_by_role("button", name="Merge and release").click()
        page.get_by_text("production: released as serial 1.").first.wait_for(timeout=30_000)
        page.goto("/releases")
        assert page.get_by_role("cell", name="bob").is_visible()
        assert page.get_by_role("link", name="pr/motd").is_visible()
        assert watched.wrong == []
