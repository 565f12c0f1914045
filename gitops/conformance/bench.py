"""The bench that a provider's program is tested on: laid out as in a release, driven by the executor's own runs in a scratch folder.

Values that are declared as secrets go the way of secrets: the resources have references, the requests the values.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import cast

from gitops.conformance.subject import Case, Subject
from gitops.conformance.verdict import BrokenLawError
from gitops.executor.host import RealHost
from gitops.executor.journal import has_memory
from gitops.executor.run import run_apply, run_observe, run_plan, run_rollback
from gitops.executor.session import ProgramSession
from gitops.model.codec import Json, decode_json, digest_bytes
from gitops.model.observation import Observation, State
from gitops.model.parts import line_parts
from gitops.model.plan import HostPlan
from gitops.model.report import Report
from gitops.model.resource import Resource
from gitops.model.secret import SecretRef, text_to_json
from gitops.model.wire import Event, Request
from gitops.providers.conversation import Client

HOST = "this-machine"
OPERATIONS: Mapping[str, Callable[[Request, Callable[[Event], None]], int]] = {
    "observe": run_observe,
    "plan": run_plan,
    "apply": run_apply,
    "rollback": run_rollback,
}


class Bench:
    """The program, laid out as in a release, and the executor's operations on its things."""

    def __init__(self, subject: Subject, scratch: Path) -> None:
        self.subject = subject
        self._digest = digest_bytes(subject.program)
        self._blobs, self._state = scratch / "blobs", scratch / "state"
        self._secrets: dict[str, str] = {}
        self._told: list[str] = []
        place = self._blobs / self._digest[:2] / self._digest
        place.parent.mkdir(parents=True)
        place.write_bytes(subject.program)

    @property
    def executable(self) -> Json:
        """The program, as a graph names it."""
        return {"blob": self._digest, "size": len(self.subject.program)}

    @property
    def protocol(self) -> int:
        """The version that is declared."""
        return self.subject.declared.protocol

    def start(self) -> ProgramSession:
        """Start the program, nothing said yet."""
        return cast(ProgramSession, RealHost(blobs=str(self._blobs)).start_session(self.executable))

    @contextmanager
    def greeted(self) -> Generator[Client]:
        """Start the program and greet it; it is ended at the end."""
        session = self.start()
        client = Client(session, protocol=self.protocol)
        try:
            client.hello()
            yield client
        finally:
            session.close()

    def is_secret(self, name: str) -> bool:
        """Say whether a value is declared as a secret."""
        return self.subject.declared.attributes[name].type == "secret"

    def undoable(self, values: Mapping[str, Json]) -> Mapping[str, Json]:
        """Leave out what an undo cannot bring back here: secrets, where there is no memory to keep them in (DESIGN §6)."""
        return values if has_memory() else {name: value for name, value in values.items() if not self.is_secret(name)}

    def resource(self, case: Case, values: Mapping[str, Json] | None = None, *, is_absent: bool = False) -> Resource:
        """Declare a case's thing."""
        given = case.values if values is None else values
        on_notify = self.subject.declared.on_notify
        attributes: dict[str, Json] = {
            "set": {} if is_absent else {name: self._refer(name, value) for name, value in given.items()},
            "state": "absent" if is_absent else "present",
            "executable": self.executable,
            "protocol": self.protocol,
            **({"on_notify": on_notify} if on_notify else {}),
        }
        return Resource("external", f"{self.subject.declared.name}/{case.name}", attributes)

    def _refer(self, name: str, value: Json) -> Json:
        """Give a value as a graph has it: of a secret the reference."""
        if not self.is_secret(name):
            return value
        reference = SecretRef(name, "env", f"{name}_{digest_bytes(str(value).encode())[:8]}")
        self._secrets[reference.ident] = str(value)
        return text_to_json((reference,))

    def run(self, operation: str, *resources: Resource, run: str = "") -> dict[str, Json]:
        """Do one of the executor's operations; give the last body of each event."""
        request = Request(
            operation,
            HOST,
            run=run,
            resources=resources,
            baseline=() if operation == "plan" else None,
            blobs=str(self._blobs),
            state=str(self._state),
            secrets=dict(self._secrets),
            guards=True,
        )
        events: list[Event] = []
        OPERATIONS[operation](request, events.append)
        lines = ["".join(line_parts(event.body)) for event in events]
        self._told.extend(lines)
        return {event.event: decode_json(line) for event, line in zip(events, lines, strict=True)}

    def find_told(self) -> str:
        """Say where a secret came out: in an event, or in a file of the state; empty when none did."""
        for value in self._secrets.values():
            if any(value in text for text in self._told):
                return "in the events of a run"
            for path in sorted(self._state.rglob("*")):
                if path.is_file() and value.encode() in path.read_bytes():
                    return f"in the state's {path.name}"
        return ""

    def observe(self, case: Case, names: Mapping[str, Json] | None = None) -> State:
        """Give the state of a case's thing, as far as these values go."""
        resource = self.resource(case, names)
        observation = Observation.from_json(self.run("observe", resource)["observation"])
        return observation.states[resource.address]

    def plan(self, resource: Resource) -> HostPlan:
        """Plan one thing."""
        return HostPlan.from_json(self.run("plan", resource)["plan"])

    def apply(self, *resources: Resource) -> Report:
        """Apply; raise BrokenLawError when it failed."""
        report = Report.from_json(self.run("apply", *resources)["report"])
        if report.result == "failed":
            raise BrokenLawError("; ".join(item.message for item in report.changes if item.message) or "it failed")
        return report

    def roll_back(self, report: Report) -> Report:
        """Undo a run."""
        return Report.from_json(self.run("rollback", run=report.run)["report"])

    def look(self) -> dict[str, tuple[object, ...]]:
        """Give a fingerprint of each watched file."""
        return {path: _fingerprint(Path(path)) for path in self.subject.watch}


def _fingerprint(path: Path) -> tuple[object, ...]:
    if not path.is_file():
        return (path.exists(),)
    about = path.stat()
    return sha256(path.read_bytes()).hexdigest(), about.st_mode, about.st_uid, about.st_gid, about.st_mtime_ns, about.st_ino
