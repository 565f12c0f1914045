"""The loop over HTTP with a forge that speaks as GitHub's own description says: pull, plan, approve, merge, signed release, drift."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitops.signatures.keys import generate_key, write_key
from tests.support.cli import call
from tests.support.github.standin import Pull, StandIn
from tests.support.project import PROJECT, Repository
from tests.support.service import make_service, wait_for

RULES = PROJECT.replace(
    "hosts: {env: production}", 'hosts: {env: production}\n      approvals: {required: 1, from: ["team:sre", "user:dave"]}'
)
HOST = """\
apiVersion: gitops/v1
kind: Host
metadata: {{name: web-{number}, labels: {{env: production, role: web}}}}
spec:
  resources:
    - file: /etc/motd
      content: "{text}\\n"
"""
APPROVE = re.compile(r"/gitops approve ([0-9a-f]{64})")


class Loop:
    """The forge, the repository, a work tree and the service, with the moves of the people around them."""

    def __init__(self, folder: Path, github: StandIn, work: Repository) -> None:
        self.folder, self.github, self.work = folder, github, work
        self.key = folder / "release.key"
        write_key(generate_key(), self.key)
        self.service = make_service(folder / "service", github, release_key=str(self.key))

    def write(self, branch: str, text: str, hosts: int = 2, files: dict[str, str] | None = None, author: str = "Alice") -> str:
        """Commit the hosts' files on a branch and push it."""
        self.work.git("checkout", "-q", "-B", branch)
        content = {f"inventory/web-{number}.yaml": HOST.format(number=number, text=text) for number in range(1, hosts + 1)}
        people = {"GIT_AUTHOR_NAME": author, "GIT_COMMITTER_NAME": author}
        commit = self.work.commit({**content, **(files or {})}, text, env=people)
        self.work.git("push", "-q", "-f", str(self.github.bare), branch)
        return commit

    def open(self, branch: str = "change", title: str = "Greet") -> Pull:
        pull = self.github.open_pull(title, "alice", branch)
        self.deliver("pull_request.opened", pull)
        return pull

    def deliver(self, event: str, pull: Pull, about: object = None, delivery: str = "") -> None:
        payload = self.github.payload(event, pull, about)  # type: ignore[arg-type]
        assert self.github.deliver(self.service.url, event.partition(".")[0], payload, delivery=delivery) == 202

    def say(self, pull: Pull, author: str, body: str) -> None:
        self.deliver("issue_comment.created", pull, self.github.comment(pull, author, body))

    def comment(self, pull: Pull) -> str:
        """Give the one comment; more than one is the bug that this whole file is about."""
        ours = self.github.ours(pull)
        assert len(ours) <= 1, [item.body for item in ours]
        return ours[0].body if ours else ""

    def wait_comment(self, pull: Pull, text: str) -> str:
        try:
            return wait_for(lambda: self.comment(pull) if text in self.comment(pull) else "")
        except AssertionError:
            raise AssertionError(f"no {text!r} in:\n{self.comment(pull)}\n{self.service.log[-4000:]}") from None

    def digest(self, pull: Pull) -> str:
        found = APPROVE.search(wait_for(lambda: self.comment(pull) if APPROVE.search(self.comment(pull)) else ""))
        assert found is not None
        return found[1]

    def merge(self, pull: Pull) -> str:
        merged = self.github.merge(pull)
        self.deliver("pull_request.closed", pull)
        self.deliver("push", pull)
        return merged

    def release_tip(self) -> str:
        refs = self.github.git("for-each-ref", "--format=%(objectname)", "refs/heads/release/production")
        return refs.strip()


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    work, bare = Repository.make(tmp_path / "work", {"gitops.yaml": RULES}), tmp_path / "infra.git"
    work.git("clone", "-q", "--bare", ".", str(bare))
    with StandIn.start(bare) as github:
        github.permissions.update(alice="write", bob="write", carol="read", dave="write", erin="write")
        github.teams["sre"] = {"bob", "alice"}
        made = Loop(tmp_path, github, work)
        made.service.start()
        try:
            yield made
            assert github.violations == []
            assert "Traceback" not in made.service.log
        finally:
            made.service.stop()


def status(loop: Loop, commit: str, context: str) -> tuple[str, str]:
    found = [item for item in loop.github.statuses if item["sha"] == commit and item["context"] == context]
    return (found[-1]["state"], found[-1]["description"]) if found else ("", "")


def test_from_a_pull_request_to_a_signed_release(loop: Loop) -> None:
    # A pull request is planned, and says so in one comment and two statuses.
    head = loop.write("change", "hello")
    pull = loop.open()
    text = loop.wait_comment(pull, "/gitops approve")
    assert "web-1" in text
    wait_for(lambda: status(loop, head, "gitops/plan")[0] == "success")
    wait_for(lambda: status(loop, head, "gitops/approval") == ("pending", "production has 0 of 1"))
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
    wait_for(lambda: status(loop, loop.github.head(pull), "gitops/approval") == ("success", "approved"))
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
    wait_for(lambda: loop.service.get("/readyz")["jobs"] == {})
    assert (len(loop.github.comments), len(loop.github.statuses), loop.release_tip()) == before
