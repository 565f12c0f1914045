"""The people around a pull request: a forge, a repository, a work tree and the service, with the moves they make."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from gitops.signatures.keys import generate_key, write_key
from tests.support.github.standin import ALL, Comment, Pull, Review, StandIn
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

    def __init__(self, folder: Path, github: StandIn, work: Repository, poll: int = 3600) -> None:
        self.folder, self.github, self.work = folder, github, work
        self.key = folder / "release.key"
        write_key(generate_key(), self.key)
        self.service = make_service(folder / "service", github, poll=poll, release_key=str(self.key))

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

    def deliver(self, event: str, pull: Pull, about: Comment | Review | None = None, delivery: str = "") -> None:
        payload = self.github.payload(event, pull, about)
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
        self.wait_comment(pull, "/gitops approve ")
        found = APPROVE.search(self.comment(pull))
        assert found is not None
        return found[1]

    def merge(self, pull: Pull) -> str:
        merged = self.github.merge(pull)
        self.deliver("pull_request.closed", pull)
        self.deliver("push", pull)
        return merged

    def push(
        self, pull: Pull, text: str, hosts: int = 2, files: dict[str, str] | None = None, author: str = "Alice", by: str = ""
    ) -> str:
        """Push another commit to a pull request."""
        commit = self.write(pull.branch, text, hosts, files, author)
        self.github.push(pull, by)
        self.deliver("pull_request.synchronize", pull)
        return commit

    def status(self, commit: str, context: str) -> tuple[str, str]:
        """Give state and description of the newest status of a context, or empty texts."""
        found = [item for item in self.github.statuses if item["sha"] == commit and item["context"] == context]
        return (found[-1]["state"], found[-1]["description"]) if found else ("", "")

    def wait_status(self, commit: str, context: str, wanted: tuple[str, str]) -> None:
        try:
            wait_for(lambda: self.status(commit, context) == wanted)
        except AssertionError:
            raise AssertionError(f"{self.status(commit, context)} is not {wanted}\n{self.service.log[-3000:]}") from None

    def wait_idle(self) -> None:
        """Wait until no job is waiting or running."""
        try:
            wait_for(lambda: self.service.get("/readyz")["jobs"] == {})
        except AssertionError:
            raise AssertionError(f"{self.service.get('/readyz')['jobs']} stay\n{self.service.log[-3000:]}") from None

    def release_tip(self) -> str:
        refs = self.github.git("for-each-ref", "--format=%(objectname)", "refs/heads/release/production")
        return refs.strip()


@contextlib.contextmanager
def run_loop(folder: Path, *, offers: frozenset[str] = ALL, poll: int = 3600, rules: str = RULES) -> Iterator[Loop]:
    """Run everything around an empty fleet; at the end nothing was said that GitHub's description does not allow, and nothing broke."""
    work, bare = Repository.make(folder / "work", {"gitops.yaml": rules}), folder / "infra.git"
    work.git("clone", "-q", "--bare", ".", str(bare))
    with StandIn.start(bare, offers) as github:
        github.permissions.update(alice="write", bob="write", carol="read", dave="write", erin="write")
        github.teams["sre"] = {"bob", "alice"}
        made = Loop(folder, github, work, poll)
        made.service.start()
        try:
            yield made
        finally:
            made.service.stop()
        # GitHub's description has no 404 for what GitHub always offers; who resembles it answers so.
        odd = [text for text in github.violations if offers == ALL or not text.startswith("response 404")]
        assert odd == []
        assert "Traceback" not in made.service.log
