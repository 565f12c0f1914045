"""What an operator of the machine wants to know of its agent: a document, its lines, and what is worth a warning.

Reads the state folder only; asks nobody. Never shows the credential, nor the password that an address may hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.documents import AgentMemory, Enrolment, Last, Pause, Staged
from agent.enrolled import Enrolled
from agent.fetch import show_url
from agent.loop import open_spool
from agent.spool import Counts
from gitops.model.codec import Json, format_time

STATUS_SCHEMA = "gitops/agent-status/v1"
WARN_BEFORE = timedelta(days=14)


@dataclass(frozen=True)
class Status:
    """The state of an agent at one time. `seen` is the newest accepted release, `good` the one that the machine converged to."""

    now: datetime
    enrolment: Enrolment
    memory: AgentMemory
    seen: Staged | None
    good: Staged | None
    pause: Pause | None
    last: Last | None
    spooled: int
    counts: Counts

    def to_json(self) -> dict[str, Json]:
        """Give the document `gitops/agent-status/v1`."""
        issued, failure = self.memory.newest_issued, self.memory.failure
        pause = self.pause
        return {
            "schema": STATUS_SCHEMA,
            "enrolment": {
                "repo": show_url(self.enrolment.url),
                "branch": self.enrolment.branch,
                "environment": self.enrolment.environment,
                "host": self.enrolment.host,
                "service": show_url(self.enrolment.service),
                "trust_root": self.enrolment.root.digest,
            },
            "tip": self.memory.tip,
            "release": _release_json(self.seen),
            "good": _release_json(self.good),
            "newest_issued": None if issued is None else format_time(issued),
            "failure": None if failure is None else failure.to_json(),
            "pause": None if pause is None else {"until": format_time(pause.until), "reason": pause.reason},
            "last": None if self.last is None else {key: item for key, item in self.last.to_json().items() if key != "schema"},
            "spool": {"waiting": self.spooled, "dropped": self.counts.dropped, "refused": self.counts.refused},
        }

    def to_lines(self) -> Iterator[tuple[str, str]]:
        """Give the lines for people, as (name, text)."""
        enrolment = self.enrolment
        yield "host", f"{enrolment.host} in {enrolment.environment}"
        yield "follows", f"{show_url(enrolment.url)} {enrolment.branch}"
        yield "trusts", f"{enrolment.root.threshold} of {len(enrolment.root.keys)} keys of {enrolment.root.repository}"
        yield "release", "none yet" if self.seen is None else _describe(self.seen)
        if self.memory.is_behind:
            yield "good", "none yet" if self.good is None else _describe(self.good)
        if self.memory.failure is not None:
            yield "failed", f"{self.memory.failure.reason}; again after {self.memory.failure.until:%Y-%m-%d %H:%M} UTC"
        if self.pause is not None:
            yield "paused", f"until {self.pause.until:%Y-%m-%d %H:%M} UTC: {self.pause.reason}"
        if self.last is None:
            yield "last cycle", "none yet"
        else:
            reason = f": {self.last.reason}" if self.last.reason else ""
            yield "last cycle", f"{self.last.at:%Y-%m-%d %H:%M:%S} UTC {self.last.result} (exit {self.last.status}){reason}"
        yield "reports", f"{self.spooled} wait for {show_url(enrolment.service) or 'nobody: no service'}"


def describe_status(machine: Enrolled, now: datetime) -> Status:
    """Read the state of an agent; raise TrustError when it is lost."""
    state, spool = machine.state, open_spool(machine)
    memory, pause = state.read_memory(), state.read_pause()
    return Status(
        now=now,
        enrolment=machine.enrolment,
        memory=memory,
        seen=None if memory.seen is None else state.read_staged(memory.seen),
        good=None if memory.good is None else state.read_staged(memory.good),
        pause=pause if pause is not None and now < pause.until else None,
        last=state.read_last(),
        spooled=len(spool.list_names()),
        counts=spool.read_counts(),
    )


def list_warnings(status: Status) -> tuple[str, ...]:
    """Say what somebody should look at."""
    found: list[str] = []
    if status.seen is not None:
        expires = status.seen.manifest.expires
        if status.now >= expires:
            found.append(f"the newest release expired at {format_time(expires)}: this machine heals, and does not advance")
        elif status.now + WARN_BEFORE >= expires:
            found.append(f"the newest release expires at {format_time(expires)}; it is time to issue it again")
    if status.last is not None and status.last.status:
        found.append(f"the last cycle ended with exit {status.last.status}")
    if status.counts.dropped:
        found.append(f"{status.counts.dropped} reports were dropped, since the service was away for too long")
    if status.counts.refused:
        found.append(f"{status.counts.refused} reports were refused by the service as malformed")
    return tuple(found)


def _release_json(staged: Staged | None) -> Json:
    if staged is None:
        return None
    manifest = staged.manifest
    return {
        "serial": manifest.serial,
        "digest": manifest.digest,
        "commit": manifest.commit,
        "issued": format_time(manifest.issued),
        "expires": format_time(manifest.expires),
        "lists_this_host": staged.resources is not None,
    }


def _describe(staged: Staged) -> str:
    manifest = staged.manifest
    return f"{manifest.serial} ({manifest.digest[:12]}), of commit {manifest.commit[:12]}, expires {manifest.expires:%Y-%m-%d}"
