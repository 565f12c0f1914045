"""The story: a pull request changes three hosts, is approved, released and proved; then drift, tampering, and more than was approved.

Every step is a real command of a real process; the story checks what each must end with and stops when one does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from gitops.cli.demo.desk import Desk
from gitops.cli.demo.people import Person
from gitops.cli.demo.programs import Ended
from gitops.cli.demo.stage import ENVIRONMENT, HOSTS, Stage, clone_for
from gitops.cli.demo.voice import Voice
from gitops.errors import BugError
from gitops.render.comment import MARKER

SITE = "etc/nginx/conf.d/site.conf"
MOTD = "etc/motd"
CHANGES, HELD, REFUSED = 2, 3, 6
BRANCH = f"release/{ENVIRONMENT}"
OK = 300


@dataclass
class Story:
    """Who and what is on the stage."""

    stage: Stage
    desk: Desk
    alice: Person
    voice: Voice

    def tell(self) -> None:
        """Tell all of it; raise BugError at the first thing that does not happen as it must."""
        self.found_fleet()
        self.change_site()
        self.converge("The agents look, verify the release themselves, and converge; each on its own.")
        self.drift()
        self.tamper()
        self.hold()
        self.audit()

    def found_fleet(self) -> None:
        """The first pull request brings three hosts; their agents enrol."""
        self.voice.open("A fleet by pull request")
        self.voice.say("Alice pushes a branch with three web servers. Bob approves what it would do; it is merged and released.")
        planned = self.pull("fleet", "fleet", "Three web servers")
        self.decide(planned)
        for host in HOSTS:
            self._must(self.stage.enrol(host, self.desk.url), 0, f"{host} enrols")
        self.voice.command("gitops agent enroll --name web-1 --trust-root trust.json --token-file …   (and web-2, web-3)")
        self.converge("Each agent has pinned the trust root. First run:")

    def change_site(self) -> None:
        """The pull request of the demo: a port, on three hosts."""
        self.voice.open("A pull request changes the site on three hosts")
        planned = self.pull("port-8080", "change", "Serve the site on port 8080")
        self.voice.quote(self.alice.show_change())
        self.voice.say("\nThe service has planned the merge against what the hosts reported. This is its one comment:\n")
        self.voice.quote(str(planned["comment"]).removeprefix(MARKER).strip())
        answer = self.desk.approve("port-8080", "alice", _digest_of(planned))
        if answer.status_code < OK:
            raise BugError("the author could approve her own change", code="B060")
        self.voice.say(f"\nAlice tries to approve her own change: refused ({answer.json()['error']['message']}).")
        self.decide(planned)

    def drift(self) -> None:
        """Somebody edits by hand; the plan says so; healing puts it back."""
        self.voice.open("Somebody edits a file by hand")
        host = HOSTS[1]
        path = self.stage.machine(host) / SITE
        released = path.read_bytes()
        path.write_text("listen 9999;\n", encoding="utf-8")
        self.alice.git("fetch", "-q", "origin")
        self.alice.git("checkout", "-q", "origin/main")
        self.voice.command(f"echo 'listen 9999;' > {host}:/{SITE}")
        where = ("--local", "--host", host, "--root", self.stage.machine(host), "--state", self.stage.agent(host))
        planned = self.stage.run("-C", self.alice.clone, "plan", *where)
        self.voice.command(f"gitops plan --local --host {host}")
        self.voice.quote(self._must(planned, CHANGES, "the drift is planned").output)
        self.voice.say("That is corrective: the release already wants it so, it needs no approval. The next cycle heals it:")
        self._cycle(host, 0)
        if path.read_bytes() != released:
            raise BugError("the drift was not healed", code="B061")

    def tamper(self) -> None:
        """Mallory changes a signed release; hosts refuse it and stay well."""
        self.voice.open("Somebody tampers with the release branch")
        mallory = clone_for(self.stage, "mallory")
        mallory.git("checkout", "-q", "-B", "forged", f"origin/{BRANCH}")
        honest = mallory.git("rev-parse", "HEAD")
        for path in sorted((mallory.clone / "blobs").rglob("*")):
            if path.is_file():
                path.write_bytes(path.read_bytes().replace(b"8080", b"6666"))
        mallory.git("commit", "-q", "-a", "-m", "Release production")
        mallory.git("push", "-q", "--force", "origin", f"HEAD:refs/heads/{BRANCH}")
        self.voice.say("Mallory may push to the repository, and changes what is in the signed release:")
        self._cycle(HOSTS[0], REFUSED)
        self.voice.say("Refused, exit 6; the machine stays on the last good release. The branch is put back:")
        mallory.git("push", "-q", "--force", "origin", f"{honest}:refs/heads/{BRANCH}")
        self._cycle(HOSTS[0], 0)

    def hold(self) -> None:
        """A host where more would have to happen than was approved holds."""
        self.voice.open("A host would have to do more than was approved")
        planned = self.pull("greeting", "greeting", "Say where to ask")
        self.decide(planned)
        host = HOSTS[2]
        motd = self.stage.machine(host) / MOTD
        motd.unlink()
        motd.symlink_to("motd.of-somebody")
        self.voice.say(
            f"Approved was: write /{MOTD} on three hosts. On {host} somebody has meanwhile put a link in its place (the"
        )
        self.voice.say(
            "config says `drift: report` there). Replacing it is more than anybody approved: that host holds, the others go on."
        )
        self._cycle(HOSTS[0], 0)
        self._cycle(HOSTS[1], 0)
        self._cycle(host, HELD)
        if not motd.is_symlink():
            raise BugError("a host did what nobody approved", code="B062")
        motd.unlink()
        self.voice.say(f"The operator of {host} takes the link away. The next cycle does what was approved:")
        self._cycle(host, 0)

    def audit(self) -> None:
        """Anybody can check the chain."""
        self.voice.open("Who approved what runs here?")
        checked = self.stage.run(
            *("verify", "--trust-root", self.stage.trust_root, "--env", ENVIRONMENT, "--repo", self.stage.bare, "--rebuild")
        )
        self.voice.command(f"gitops verify --trust-root trust.json --env {ENVIRONMENT} --rebuild")
        self.voice.quote(self._must(checked, 0, "the release verifies").output)

    def pull(self, name: str, part: str, title: str) -> Mapping[str, Any]:
        """Open a pull request as Alice and give it planned."""
        self.alice.push_branch(f"pr/{name}", part, title)
        self.voice.command(f"git push origin pr/{name}")
        return self.desk.wait_for_plan(name, self.alice.git("rev-parse", "HEAD"))

    def decide(self, planned: Mapping[str, Any]) -> None:
        """Approve as Bob, merge, wait for the release."""
        name, digest = str(planned["pull"]), _digest_of(planned)
        self._must_answer(self.desk.approve(name, "bob", digest), "Bob's approval")
        merged = self._must_answer(self.desk.merge(name, "bob", str(planned["head"])), "the merge")
        release = self.desk.wait_for_release(str(merged["commit"]))
        commit = str(release["commit"])[:12]
        self.voice.say(f"Bob approves {digest[:12]}… and merges. Release {release['serial']} is out, signed: commit {commit}.")

    def converge(self, intro: str) -> None:
        """Run a cycle of every agent."""
        self.voice.say(intro)
        for host in HOSTS:
            self._cycle(host, 0)

    def _cycle(self, host: str, expected: int) -> None:
        ended = self._must(self.stage.run_agent(host), expected, f"a cycle of {host}")
        self.voice.command(f"gitops agent run --once   (on {host}; exit {ended.status})")
        self.voice.quote(ended.output + ended.errors)

    def _must(self, ended: Ended, expected: int, what: str) -> Ended:
        if ended.status != expected:
            message = f"{what}: exit {ended.status}, expected {expected}"
            raise BugError(message, code="B063", hint=(ended.errors or ended.output)[-2000:])
        return ended

    @staticmethod
    def _must_answer(answer: httpx.Response, what: str) -> Mapping[str, Any]:
        if answer.status_code >= OK:
            raise BugError(f"{what} was answered with {answer.status_code}", code="B064", hint=answer.text[:500])
        found: Mapping[str, Any] = answer.json()
        return found


def _digest_of(planned: Mapping[str, Any]) -> str:
    return str(planned["plan"]["change_digest"])
