"""The loop over HTTP with a forge that speaks as GitHub's own description says: pull, plan, approve, merge, signed release, drift."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from gitops.model.address import parse_address
from gitops.model.report import Report
from tests.support.cli import call
from tests.support.loop import APPROVE, Loop, run_loop
from tests.support.service import wait_for
from webhooks.records import HostKey
from webhooks.store.hosts import find_host
from webhooks.store.store import open_store


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    with run_loop(tmp_path) as made:
        yield made


def test_from_a_pull_request_to_a_signed_release(loop: Loop) -> None:
    # A pull request is planned, and says so in one comment and two statuses.
    head = loop.write("change", "hello")
    pull = loop.open()
    text = loop.wait_comment(pull, "/gitops approve")
    assert "web-1" in text
    wait_for(lambda: loop.status(head, "gitops/plan")[0] == "success")
    loop.wait_status(head, "gitops/approval", ("pending", "production has 0 of 1"))
    first = loop.digest(pull)
    ident = loop.github.ours(pull)[0].ident
    # A push plans again, in the same comment.
    loop.write("change", "hello, world")
    loop.github.push(pull)
    loop.deliver("pull_request.synchronize", pull)
    wait_for(lambda: loop.comment(pull) and first not in loop.comment(pull) and APPROVE.search(loop.comment(pull)))
    assert loop.github.ours(pull)[0].ident == ident
    digest = loop.digest(pull)
    # Who counts: not the author, nobody without the right, nobody for an old plan; a member of the team does.
    loop.say(pull, "alice", f"/gitops approve {digest}")
    loop.wait_comment(pull, "alice: nobody approves their own work")
    loop.say(pull, "erin", f"/gitops approve {digest}")
    loop.wait_comment(pull, "erin: they may not approve production")
    loop.say(pull, "bob", f"/gitops approve {digest}")
    loop.wait_comment(pull, "Approvals: 1 of 1")
    loop.wait_status(loop.github.head(pull), "gitops/approval", ("success", "approved"))
    # Merged: a release is signed and pushed, the comment says which.
    merged = loop.merge(pull)
    loop.wait_comment(pull, "released as serial 1")
    root = loop.folder / "root.json"
    called = call("-C", loop.work.path, "trust", "init", "--key", f"{loop.key}.pub", "--out", root)
    assert called.status == 0, called.err
    verified = call("verify", "--trust-root", root, "--env", "production", "--repo", loop.github.bare, "--format", "json")
    assert verified.status == 0, verified.err
    releases = [item for item in loop.service.items("releases") if item["state"] != "nothing"]
    assert [(item["state"], item["serial"], item["source"], item["pull"]) for item in releases] == [("released", 1, merged, "1")]
    assert loop.release_tip() == releases[0]["commit"]
    assert next((item["approver"], item["state"], item["serial"]) for item in loop.service.items("approvals")) == (
        "bob",
        "spent",
        1,
    )
    # Nothing is said twice: a replayed delivery changes nothing.
    before = (len(loop.github.comments), len(loop.github.statuses), loop.release_tip())
    loop.deliver("pull_request.closed", pull)
    loop.deliver("push", pull)
    loop.wait_idle()
    assert (len(loop.github.comments), len(loop.github.statuses), loop.release_tip()) == before


def test_an_approving_review_counts_until_it_is_dismissed_and_no_trick_does(loop: Loop) -> None:
    loop.write("change", "hello")
    pull = loop.open(title="| [x](http://evil.example) <!-- @everyone `$(rm -rf /)` --> **approved**")
    early = loop.github.comment(pull, "dave", f"/gitops approve {'0' * 64}")
    digest = loop.digest(pull)
    # A digest that was known before the plan was published, edited in later, cut short, quoted, or said by a machine.
    loop.github.edit(early, f"/gitops approve {digest}")
    loop.deliver("issue_comment.edited", pull, early)
    late = loop.github.comment(pull, "dave", "looks good")
    loop.github.edit(late, f"/gitops approve {digest}")
    loop.deliver("issue_comment.edited", pull, late)
    loop.say(pull, "dave", f"/gitops approve {digest[:12]}")
    loop.say(pull, "dave", f"> /gitops approve {digest}")
    loop.say(pull, "renovate[bot]", f"/gitops approve {digest}")
    # A payload that lies about its author: the forge is asked who wrote it.
    forged = loop.github.comment(pull, "carol", f"/gitops approve {digest}")
    payload = loop.github.payload("issue_comment.created", pull, forged)
    payload["comment"]["user"]["login"] = payload["sender"]["login"] = "bob"
    assert loop.github.deliver(loop.service.url, "issue_comment", payload) == 202
    loop.wait_comment(pull, "carol: they may not approve production")
    loop.wait_idle()
    text = loop.comment(pull)
    assert "Approvals: 0 of 1" in text
    assert "the digest is not whole" in text.replace("\\", "")
    assert "bots do not approve" in text
    assert "it was edited" in text
    reasons = {(item["approver"], item["state"]) for item in loop.service.items("approvals")}
    assert reasons == {("dave", "refused"), ("renovate[bot]", "refused"), ("carol", "refused")}
    # A review of this very commit counts, and no longer when it is dismissed.
    review = loop.github.review(pull, "bob")
    loop.deliver("pull_request_review.submitted", pull, review)
    loop.wait_comment(pull, "Approvals: 1 of 1")
    review.state = "DISMISSED"
    loop.deliver("pull_request_review.dismissed", pull, review)
    loop.wait_comment(pull, "the review was dismissed")
    loop.wait_status(loop.github.head(pull), "gitops/approval", ("pending", "production has 0 of 1"))
    assert "evil.example" not in loop.comment(pull)


def test_what_an_approval_survives_and_what_it_does_not(loop: Loop) -> None:
    loop.write("change", "hello")
    pull = loop.open()
    loop.say(pull, "bob", f"/gitops approve {loop.digest(pull)}")
    loop.wait_comment(pull, "Approvals: 1 of 1")
    # The base moves without touching the plan: planned again, still approved.
    loop.work.git("checkout", "-q", "main")
    moved = loop.work.commit({"README.md": "words\n"}, "words")
    loop.work.git("push", "-q", str(loop.github.bare), "main")
    loop.deliver("push", pull)
    loop.wait_comment(pull, moved[:7])
    assert "Approvals: 1 of 1" in loop.comment(pull)
    # The pull request grows by a host: not what was approved.
    loop.work.git("checkout", "-q", "change")
    loop.push(pull, "hello", hosts=3)
    loop.wait_comment(pull, "the plan has grown since")
    assert "Approvals: 0 of 1" in loop.comment(pull)
    # Somebody who pushed to it cannot approve it any more; somebody else can.
    loop.push(pull, "hello there", hosts=3, author="bob")
    loop.wait_comment(pull, "hello there")
    digest = loop.digest(pull)
    loop.say(pull, "bob", f"/gitops approve {digest}")
    loop.wait_comment(pull, "bob: nobody approves their own work")
    # Whoever pushed it is no reviewer, though the commit names somebody else, and the webhook of the push was lost.
    loop.write("change", "hello again", hosts=3)
    loop.github.push(pull, by="erin")
    loop.say(pull, "alice", "/gitops plan")
    loop.wait_comment(pull, "hello again")
    digest = loop.digest(pull)
    loop.say(pull, "erin", f"/gitops approve {digest}")
    loop.wait_comment(pull, "erin: nobody approves their own work")
    loop.say(pull, "dave", f"/gitops approve {digest}")
    loop.wait_comment(pull, "Approvals: 1 of 1")
    # The right is looked at again: dave leaves, and so does the approval.
    loop.github.permissions["dave"] = "none"
    loop.say(pull, "alice", "/gitops plan")
    loop.wait_comment(pull, "dave: its author may no longer approve this")


def test_mistakes_and_conflicts_are_said_where_people_look(loop: Loop) -> None:
    head = loop.write("change", "hello", files={"inventory/bad.yaml": "apiVersion: gitops/v1\nkind: Hots\nmetadata: {name: x}\n"})
    pull = loop.open()
    text = loop.wait_comment(pull, "in the config of")
    assert "inventory/bad.yaml:2" in text
    assert not APPROVE.search(text)
    loop.wait_status(head, "gitops/plan", ("failure", "1 error in the config"))
    # The base gets the same file with other content: no merge, no plan.
    loop.work.git("checkout", "-q", "main")
    loop.work.commit({"inventory/web-1.yaml": "# other\n"}, "other")
    loop.work.git("push", "-q", str(loop.github.bare), "main")
    loop.deliver("push", pull)
    loop.wait_comment(pull, "does not merge with")
    # Help is an answer in the one comment.
    loop.say(pull, "carol", "/gitops help")
    loop.wait_comment(pull, "Commands, alone in a comment")
    # Closed: nothing of it will be applied.
    loop.github.close(pull)
    loop.deliver("pull_request.closed", pull)
    loop.wait_comment(pull, "closed without merging")


def test_an_unapproved_merge_is_held_and_can_still_be_approved(loop: Loop) -> None:
    loop.write("change", "hello")
    pull = loop.open()
    loop.digest(pull)
    merged = loop.merge(pull)
    loop.wait_comment(pull, "production: held")
    assert loop.release_tip() == ""
    wait_for(lambda: APPROVE.search(loop.comment(pull)))
    loop.say(pull, "bob", f"/gitops approve {loop.digest(pull)}")
    loop.wait_comment(pull, "released as serial 1")
    assert [item["source"] for item in loop.service.items("releases") if item["state"] == "released"] == [merged]


def test_lost_webhooks_are_repaired(tmp_path: Path) -> None:
    with run_loop(tmp_path, poll=1) as loop:
        loop.write("change", "hello")
        pull = loop.github.open_pull("Greet", "alice", "change")
        digest = loop.digest(pull)
        loop.github.comment(pull, "bob", f"/gitops approve {digest}")
        loop.wait_comment(pull, "Approvals: 1 of 1")
        loop.github.merge(pull)
        loop.wait_comment(pull, "released as serial 1")


def test_a_forge_that_only_resembles_github_is_enough(tmp_path: Path) -> None:
    with run_loop(tmp_path, offers=frozenset(("commits",))) as loop:
        loop.write("change", "hello")
        pull = loop.open()
        digest = loop.digest(pull)
        loop.say(pull, "bob", f"/gitops approve {digest}")
        loop.wait_comment(pull, "bob: they may not approve production")
        loop.say(pull, "dave", f"/gitops approve {digest}")
        loop.wait_comment(pull, "Approvals: 1 of 1")
        loop.merge(pull)
        loop.wait_comment(pull, "released as serial 1")


def test_what_a_host_reports_changes_the_plan_to_corrective(loop: Loop) -> None:
    loop.write("change", "hello", hosts=1)
    pull = loop.open()
    loop.say(pull, "bob", f"/gitops approve {loop.digest(pull)}")
    loop.wait_comment(pull, "Approvals: 1 of 1")
    loop.merge(pull)
    loop.wait_comment(pull, "released as serial 1")
    # A real agent enrols, converges a scratch root, and reports.
    root, state, trust, token = (loop.folder / name for name in ("root", "agent", "trust.json", "token"))
    root.mkdir()
    issued = call("token", "web-1", "--data", loop.folder / "service" / "data", "--format", "json")
    token.write_text(issued.json["token"])
    assert call("-C", loop.work.path, "trust", "init", "--key", f"{loop.key}.pub", "--out", trust).status == 0
    enrolled = call(
        *("agent", "enroll", "--repo", loop.github.bare, "--env", "production", "--name", "web-1", "--trust-root", trust),
        *("--state", state, "--service", loop.service.url, "--token-file", token),
    )
    assert enrolled.status == 0, enrolled.err
    ran = call("agent", "run", "--once", "--state", state, "--root", root)
    assert ran.status == 0, ran.err
    assert (root / "etc/motd").read_text() == "hello\n"
    assert [(item["host"], item["result"], item["serial"]) for item in loop.service.items("hosts")] == [("web-1", "changed", 1)]
    # A second pull request about another file; then somebody edits the first by hand, and the host says so.
    loop.work.git("checkout", "-q", "main")
    loop.work.git("pull", "-q", str(loop.github.bare), "main")
    more = '\n    - file: /etc/issue\n      content: "welcome\\n"\n'
    loop.work.git("checkout", "-q", "-B", "second")
    text = (loop.work.path / "inventory/web-1.yaml").read_text().rstrip("\n") + more
    loop.work.commit({"inventory/web-1.yaml": text}, "welcome")
    loop.work.git("push", "-q", str(loop.github.bare), "second")
    second = loop.open("second", "Welcome")
    before = loop.digest(second)
    assert "will be put back" not in loop.comment(second)
    report_drift(loop, "web-1")
    loop.wait_comment(second, "changed on the host, will be put back")
    assert loop.digest(second) == before  # putting back needs no approval


def report_drift(loop: Loop, host: str) -> None:
    """Report once more what the host last observed, with another content of /etc/motd, by a credential of a new enrolment."""
    store = open_store(f"sqlite:///{loop.folder / 'service' / 'data' / 'trueup.sqlite'}")
    with store.read() as connection:
        known = find_host(connection, HostKey("acme/infra", "production", host))
    store.close()
    assert known is not None
    assert known.observation is not None
    address = parse_address("file:/etc/motd")
    at = known.observation.at + timedelta(seconds=1)
    states = {**known.observation.states, address: {**known.observation.states[address], "digest": "e" * 64, "size": 5}}
    seen = replace(known.observation, at=at, states=states)
    report = Report("drift-1", host, "converged", at, at, environment="production", serial=1, observation=seen)
    issued = call("token", host, "--data", loop.folder / "service" / "data", "--format", "json").json["token"]
    body = {"schema": "gitops/enrolment/v1", "token": issued, "environment": "production"}
    credential = httpx.post(f"{loop.service.url}/api/v1/hosts/{host}/enroll", json=body).json()["credential"]
    headers = {"Authorization": f"Bearer {credential}"}
    answer = httpx.post(f"{loop.service.url}/api/v1/reports", json=report.to_json(), headers=headers)
    assert (answer.status_code, answer.json()) == (202, {"accepted": "drift-1"})
    again = httpx.post(f"{loop.service.url}/api/v1/reports", json=report.to_json(), headers=headers)
    assert again.status_code == 202
    assert len([item for item in loop.service.items("runs") if item["run"] == "drift-1"]) == 1
