"""Taking back, and what merges by the statuses, against the service as users start it."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.support.localforge import running_forge
from tests.support.loop import run_loop
from tests.support.people import PASSWORD
from tests.support.project import HOST


def test_requested_changes_take_the_green_status_away_and_hold_the_merge(tmp_path: Path) -> None:
    with run_loop(tmp_path) as loop:
        head = loop.write("change", "hello")
        pull = loop.open()
        loop.say(pull, "bob", f"/gitops approve {loop.digest(pull)}")
        loop.wait_status(head, "gitops/approval", ("success", "approved"))
        review = loop.github.review(pull, "bob", "CHANGES_REQUESTED")
        loop.deliver("pull_request_review.submitted", pull, review)
        loop.wait_status(head, "gitops/approval", ("pending", "production has 0 of 1"))
        loop.wait_comment(pull, "bob: they requested changes")
        loop.merge(pull)
        loop.wait_comment(pull, "production: held")
        assert loop.release_tip() == ""


def test_a_conflict_that_names_no_file_is_no_green_pull_request(tmp_path: Path) -> None:
    with run_loop(tmp_path) as loop:
        loop.work.git("checkout", "-q", "main")
        loop.work.commit({f"notes/{number}.txt": f"{number}\n" * 20 for number in range(4)}, "notes")
        loop.work.git("checkout", "-q", "-B", "change")
        for number, folder in enumerate(("one", "one", "two", "two")):
            (loop.work.path / folder).mkdir(exist_ok=True)
            loop.work.git("mv", f"notes/{number}.txt", folder)
        head = loop.work.commit({}, "split")
        loop.work.git("checkout", "-q", "main")
        loop.work.commit({"notes/new.txt": "new\n"}, "add")
        loop.work.git("push", "-q", str(loop.github.bare), "main", "change")
        pull = loop.open()
        loop.wait_comment(pull, "directory rename split")
        loop.wait_status(head, "gitops/plan", ("failure", "does not merge with main"))
        loop.wait_status(head, "gitops/approval", ("pending", "waits for a plan"))


def test_what_was_taken_back_on_a_plain_repository_is_not_merged(tmp_path: Path) -> None:
    with running_forge(tmp_path) as forge:
        name = "alice/fix-#1"
        head = forge.push(name, {"inventory/web.yaml": HOST.replace("hello", "welcome")}, "Greet people")
        plan = forge.wait_for_plan(name, head)
        path = "alice/fix-%231"
        assert forge.approve(path, "bob", plan["change_digest"]).json() == {"result": "approved"}
        taken = httpx.post(f"{forge.url}/api/v1/pulls/{path}/unapprove", json={}, auth=("bob", PASSWORD), timeout=30)
        assert taken.json() == {"result": "taken-back"}
        refused = forge.merge(path, "bob", head)
        assert (refused.status_code, "0 of 1 approvals" in refused.text) == (409, True)
        assert forge.approve(path, "bob", plan["change_digest"]).json() == {"result": "approved"}
        assert forge.merge(path, "bob", head).status_code == 200
        forge.wait(lambda: [item for item in forge.list_of("releases") if item["state"] == "released"], "a release")
