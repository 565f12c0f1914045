"""An enrolled machine, opened: its state, its settings, whom it follows, and the root that it converges."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from agent.documents import Enrolment
from agent.fetch import Remote
from agent.settings import Settings
from agent.state import AgentState
from gitops.model.trustroot import TrustRoot


@dataclass(frozen=True)
class Enrolled:
    """What every stage of a cycle needs; `root` is empty for this machine itself."""

    state: AgentState
    settings: Settings
    enrolment: Enrolment
    root: str = ""

    def trust(self, root: TrustRoot | None) -> Enrolled:
        """Give the machine with the trust root to which the pinned one was rotated, if it was."""
        return self if root is None else replace(self, enrolment=replace(self.enrolment, root=root))

    @property
    def remote(self) -> Remote:
        """Whom to fetch from."""
        return Remote(
            url=self.enrolment.url,
            branch=self.enrolment.branch,
            host=self.enrolment.host,
            store=self.state.quarantine,
            ssh_command=self.settings.ssh_command,
            seconds=self.settings.fetch_seconds,
            environment=self.settings.fetch_environment,
        )


def open_enrolled(base: Path, settings: Settings, root: str = "") -> Enrolled:
    """Open a state folder; raise TrustError (exit 6) when the enrolment is lost or corrupt."""
    state = AgentState(base)
    enrolment = state.read_enrolment()
    state.prepare()
    return Enrolled(state, settings, enrolment, root)
