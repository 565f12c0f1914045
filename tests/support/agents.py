"""An enrolled agent in a scratch folder, with a root of its own, for tests of cycles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from agent.documents import AgentMemory, Enrolment
from agent.enrolled import Enrolled, open_enrolled
from agent.loop import Cycle, run_cycle
from agent.settings import Settings
from agent.state import AgentState
from gitops.model.approval import Approval
from gitops.model.resource import Resource
from tests.support.releases import NOW, Publisher, graphs_of

HOST = "web-1"


@dataclass
class Rig:
    """A release branch and one agent that follows it. `now` is the agent's clock."""

    folder: Path
    publisher: Publisher
    machine: Enrolled
    now: datetime = field(default=NOW)

    @staticmethod
    def make(
        folder: Path,
        *,
        required: int = 0,
        url: str = "",
        service: str = "",
        credential: str = "",
        settings: Settings | None = None,
        commit_signature: str = "warn",
    ) -> Rig:
        """Make a publisher and enrol web-1."""
        (folder / "publisher").mkdir(parents=True)
        (folder / "root").mkdir()
        publisher = Publisher(folder / "publisher", required=required, commit_signature=commit_signature)
        state = AgentState(folder / "state")
        state.enrol(Enrolment(url or publisher.url, "production", HOST, publisher.root, service), credential)
        chosen = replace(settings or Settings(), lock_seconds=0)
        return Rig(folder, publisher, open_enrolled(folder / "state", chosen, str(folder / "root")))

    def cycle(self) -> Cycle:
        """Run one cycle at the rig's time."""
        return run_cycle(self.machine, lambda: self.now)

    @property
    def memory(self) -> AgentMemory:
        return self.machine.state.read_memory()

    def path(self, managed: str) -> Path:
        """Give where a managed path lies in the scratch root."""
        return self.folder / "root" / managed.lstrip("/")

    def read(self, managed: str) -> str:
        return self.path(managed).read_text()

    def release(
        self,
        *resources: Resource,
        approved: bool = False,
        approvals: Sequence[Approval] = (),
        blobs: Mapping[str, bytes] | None = None,
        **options: object,
    ) -> str:
        """Release these resources for web-1; `approved` adds an approval of exactly that step."""
        graphs = graphs_of({HOST: resources, "db-1": [Resource("file", "/etc/db", {"content": "db\n"})]}, blobs=blobs)
        given = [self.publisher.approve(graphs)] if approved else list(approvals)
        return self.publisher.release(graphs, approvals=given, **options)  # type: ignore[arg-type]
