"""The laws of external providers, run against a provider's real program: `gitops provider test`.

Takes the folder of a provider with its `cases.json`; gives a Verdict for each law and case. The program is started by the executor's own
host and driven by the executor's own runs, with a state of their own in a scratch folder; what it manages is this machine's, so the
cases name things that may be changed here. Each case ends with its thing as it was found.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import cast

from gitops.config.config import DeclaredProvider
from gitops.config.provider import DECLARATION, FOLDER, read_provider
from gitops.config.reader import Findings
from gitops.config.yaml import YamlError, parse_yaml
from gitops.errors import ConfigError, TrueupError, UsageError
from gitops.executor.host import RealHost
from gitops.executor.run import run_apply, run_observe, run_plan, run_rollback
from gitops.executor.session import ProgramSession
from gitops.model.attribute import decode_value
from gitops.model.codec import Json, decode_json, digest_bytes
from gitops.model.diagnostic import InvalidConfigError, sort_diagnostics
from gitops.model.fields import Fields
from gitops.model.limits import DEFAULTS
from gitops.model.observation import Observation, State
from gitops.model.parts import line_parts
from gitops.model.plan import HostPlan
from gitops.model.report import Report
from gitops.model.resource import Resource
from gitops.model.wire import Event, Request
from gitops.providers.external import PROTOCOL, Client

CASES = "cases.json"
HOST = "this-machine"
UNKNOWN = "no_such_value"
OPERATIONS: Mapping[str, Callable[[Request, Callable[[Event], None]], int]] = {
    "observe": run_observe,
    "plan": run_plan,
    "apply": run_apply,
    "rollback": run_rollback,
}


@dataclass(frozen=True)
class Verdict:
    """One law, for one case or (empty) for the program as a whole; `reason` says how it was broken, empty when it holds."""

    law: str
    case: str = ""
    reason: str = ""

    def to_json(self) -> dict[str, Json]:
        """Give `{law, case, holds, reason}`."""
        return {"law": self.law, "case": self.case, "holds": not self.reason, "reason": self.reason}


@dataclass(frozen=True)
class Case:
    """A thing that may be changed here: the values that it gets, and others that it gets next."""

    name: str
    values: Mapping[str, Json]
    other: Mapping[str, Json]
    is_removable: bool


@dataclass(frozen=True)
class Subject:
    """A provider to be tested: its declaration, its program, its cases, and the files that observing must leave alone."""

    declared: DeclaredProvider
    program: bytes
    cases: tuple[Case, ...]
    watch: tuple[str, ...]


class BrokenLawError(Exception):
    """How a law was broken."""


def open_subject(folder: Path) -> Subject:
    """Read a provider's folder; raise InvalidConfigError or UsageError for what is wrong in it."""
    name = folder.resolve().name
    tree = _FolderTree(folder, f"{FOLDER}/{name}/")
    path = f"{FOLDER}/{name}/{DECLARATION}"
    findings = Findings()
    try:
        nodes = parse_yaml(tree.read(path), path)
    except KeyError:
        raise UsageError(f"{folder} has no {DECLARATION}", code="U080", hint="`gitops provider new NAME` makes one") from None
    except YamlError as error:
        raise InvalidConfigError([error.diagnostic]) from error
    if len(nodes) != 1 or "kind" not in nodes[0].entries or nodes[0].entries["kind"].value != "Provider":
        raise UsageError(f"{folder / DECLARATION} is not one Provider document", code="U080")
    declared = read_provider(nodes[0], path, tree, findings)
    if findings.found:
        raise InvalidConfigError(sort_diagnostics(findings.found))
    cases, watch = _read_cases(folder / CASES, declared)
    return Subject(declared, tree.read(declared.executable), cases, watch)


def judge_provider(subject: Subject, scratch: Path) -> Iterator[Verdict]:
    """Run every law; give the verdicts as they come."""
    bench = _Bench(subject, scratch)
    for law, check in PROGRAM_LAWS.items():
        yield _judge(law, "", lambda check=check: check(bench))
    for case in subject.cases:
        before = bench.observe(case)
        for law, check in CASE_LAWS.items():
            yield _judge(law, case.name, lambda check=check, case=case: check(bench, case))
        yield _judge("everything is as it was found", case.name, lambda case=case, before=before: _restored(bench, case, before))


def _judge(law: str, case: str, check: Callable[[], None]) -> Verdict:
    try:
        check()
    except BrokenLawError as broken:
        return Verdict(law, case, str(broken))
    except (TrueupError, OSError) as error:
        return Verdict(law, case, error.message if isinstance(error, TrueupError) else str(error))
    return Verdict(law, case)


class _FolderTree:
    """The files of one folder, under a prefix."""

    def __init__(self, folder: Path, prefix: str) -> None:
        self._files = {prefix + path.name: path for path in sorted(folder.glob("*")) if path.is_file()}

    def paths(self) -> Sequence[str]:
        return tuple(self._files)

    def kind(self, path: str) -> str:
        return "symlink" if self._files[path].is_symlink() else "file"

    def size(self, path: str) -> int:
        return self._files[path].stat().st_size

    def read(self, path: str) -> bytes:
        return self._files[path].read_bytes()


class _Bench:
    """The program, laid out as in a release, and the executor's operations on its things."""

    def __init__(self, subject: Subject, scratch: Path) -> None:
        self.subject = subject
        self._digest = digest_bytes(subject.program)
        self._blobs, self._state = scratch / "blobs", scratch / "state"
        place = self._blobs / self._digest[:2] / self._digest
        place.parent.mkdir(parents=True)
        place.write_bytes(subject.program)

    @property
    def executable(self) -> Json:
        """The program, as a graph names it."""
        return {"blob": self._digest, "size": len(self.subject.program)}

    def start(self) -> ProgramSession:
        """Start the program, nothing said yet."""
        return RealHost(blobs=str(self._blobs)).start_session(self.executable)

    def resource(self, case: Case, values: Mapping[str, Json] | None = None, *, is_absent: bool = False) -> Resource:
        """Declare a case's thing."""
        attributes: dict[str, Json] = {
            "set": {} if is_absent else dict(case.values if values is None else values),
            "state": "absent" if is_absent else "present",
            "executable": self.executable,
            "protocol": PROTOCOL,
        }
        return Resource("external", f"{self.subject.declared.name}/{case.name}", attributes)

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
            guards=True,
        )
        events: list[Event] = []
        OPERATIONS[operation](request, events.append)
        return {event.event: decode_json("".join(line_parts(event.body))) for event in events}

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


def _expect(holds: bool, reason: str) -> None:  # noqa: FBT001  reads as a sentence
    if not holds:
        raise BrokenLawError(reason)


def _exchange(bench: _Bench, *lines: str) -> list[Json]:
    """Send lines to a fresh program and give one answer to each; an end instead of an answer is null."""
    session = bench.start()
    answers: list[Json] = []
    try:
        for line in lines:
            session.send(line.encode(), DEFAULTS.provider_start_seconds)
            try:
                answers.append(decode_json(session.receive()))
            except TrueupError as error:
                if "ended without" not in error.message:
                    raise
                answers.append(None)
                break
    finally:
        session.close()
    return answers


def _is_error(answer: Json) -> bool:
    return answer is None or (isinstance(answer, dict) and answer.get("event") == "error")


def _says_hello(bench: _Bench) -> None:
    session = bench.start()
    try:
        body = Client(session).hello()
    finally:
        session.close()
    name = bench.subject.declared.name
    _expect(body.get("provider") == name, f"it says it is {body.get('provider')!r}, declared is {name!r}")


def _describes(bench: _Bench) -> None:
    session = bench.start()
    try:
        client = Client(session)
        client.hello()
        _, body = client.ask("describe", {})
    finally:
        session.close()
    got, declared = body.get("attributes"), sorted(bench.subject.declared.attributes)
    _expect(isinstance(got, list) and sorted(map(str, got)) == declared, f"got {got}, declared {declared}")


def _refuses_future(bench: _Bench) -> None:
    answers = _exchange(bench, '{"id":1,"op":"hello","protocol":{"min":900,"max":901}}')
    _expect(_is_error(answers[0]), "it agreed to a protocol that it cannot know")


def _refuses_operations(bench: _Bench) -> None:
    hello = f'{{"id":1,"op":"hello","protocol":{{"min":{PROTOCOL},"max":{PROTOCOL}}}}}'
    answers = _exchange(bench, hello, '{"id":2,"op":"no-such-operation"}', '{"id":3,"op":"describe"}')
    _expect(_is_error(answers[1]), "an unknown operation is not an error")
    _expect(len(answers) > 2 and not _is_error(answers[2]), "after an error it does not go on")  # noqa: PLR2004


def _survives_garbage(bench: _Bench) -> None:
    for garbage in ("garbage", "{", "[]", '"x"', "{}", '{"id":1}', "\x00", '{"id":1,"op":7}'):
        answers = _exchange(bench, garbage)
        _expect(_is_error(answers[0]), f"{garbage!r} is answered as if it were a request")


def _refuses_values(bench: _Bench) -> None:
    before = [bench.observe(case) for case in bench.subject.cases]
    for case in bench.subject.cases:
        session = bench.start()
        try:
            client = Client(session)
            client.hello()
            item: Json = {
                "name": case.name,
                "action": "update",
                "set": {**case.other, UNKNOWN: "x"},
                "before": {"exists": False, "values": {}},
            }
            items, _ = client.ask("apply", {"items": [item]})
            _expect(all(one.get("result") == "failed" for one in items), f"it took the value `{UNKNOWN}`")
        except TrueupError as error:
            _expect("the provider says" in error.message, error.message)
        finally:
            session.close()
    _expect([bench.observe(case) for case in bench.subject.cases] == before, "it refused, and changed something all the same")


def _ends(bench: _Bench) -> None:
    answers = _exchange(bench, '{"id":1,"op":"cancel"}')
    _expect(_is_error(answers[0]), "after cancel it answers")


def _observing_changes_nothing(bench: _Bench, case: Case) -> None:
    before = bench.look()
    states = [bench.observe(case), bench.observe(case)]
    _expect("trouble" not in states[0], str(states[0].get("trouble")))
    _expect(states[0] == states[1], "two looks differ")
    changed = sorted(path for path, found in bench.look().items() if found != before[path])
    _expect(not changed, f"it changed {', '.join(changed)}")


def _plans_alike(bench: _Bench, case: Case) -> None:
    first, second = (bench.plan(bench.resource(case, values)).changes for values in (case.other, case.other))
    _expect(first == second, "two plans differ")


def _applies_once(bench: _Bench, case: Case) -> None:
    for values in (case.values, case.other):
        resource = bench.resource(case, values)
        bench.apply(resource)
        left = bench.plan(resource).changes
        _expect(not left, "after apply the plan still says: " + ", ".join(f"{one.action} {one.fields}" for one in left))
        again = bench.apply(resource)
        _expect(again.result == "converged", f"the second run {again.result}")


def _undoes(bench: _Bench, case: Case) -> None:
    bench.apply(bench.resource(case))
    before = bench.observe(case)
    report = bench.apply(bench.resource(case, case.other))
    undone = bench.roll_back(report)
    _expect(undone.result == "reverted", "; ".join(item.message for item in undone.changes))
    _expect(bench.observe(case) == before, f"it is {bench.observe(case)}, it was {before}")


def _removes(bench: _Bench, case: Case) -> None:
    bench.apply(bench.resource(case))
    before = bench.observe(case)
    if not case.is_removable:
        report = Report.from_json(bench.run("apply", bench.resource(case, is_absent=True))["report"])
        _expect(report.result == "failed", "it is said not to be removable, and was removed")
        _expect(bench.observe(case) == before, "it refused to remove it, and changed it")
        return
    report = bench.apply(bench.resource(case, is_absent=True))
    _expect(bench.observe(case).get("exists") is False, "it is still there")
    _expect(bench.apply(bench.resource(case, is_absent=True)).result == "converged", "the second removal is no rest")
    undone = bench.roll_back(report)
    _expect(undone.result == "reverted" and bench.observe(case) == before, "the undo of a removal does not bring it back")


def _recovers(bench: _Bench, case: Case) -> None:
    for values, others, has_begun in ((case.other, case.values, False), (case.values, case.other, True)):
        session = bench.start()
        try:
            client = Client(session)
            client.hello()
            step: Json = {
                "name": case.name,
                "action": "update",
                "set": dict(values),
                "before": {"exists": False, "values": {}},
            }
            line = json.dumps({"id": 2, "op": "apply", "items": [step]})
            session.send(line.encode(), DEFAULTS.provider_start_seconds)
            if has_begun:
                session.receive()
            session.kill()
        finally:
            session.close(is_wanted=False)
        resource = bench.resource(case, values)
        bench.apply(resource)
        _expect(not bench.plan(resource).changes, "after a kill and a run something is left to do")
        bench.apply(bench.resource(case, others))


def _restored(bench: _Bench, case: Case, before: State) -> None:
    if before.get("exists") is True:
        bench.apply(bench.resource(case, cast("Mapping[str, Json]", before.get("values") or {})))
    elif case.is_removable:
        bench.apply(bench.resource(case, is_absent=True))
    _expect(bench.observe(case) == before, "it is not")


PROGRAM_LAWS: Mapping[str, Callable[[_Bench], None]] = {
    "it says hello in time, by its declared name": _says_hello,
    "it describes what is declared": _describes,
    "a protocol of the future is refused": _refuses_future,
    "an unknown operation is an error, and it goes on": _refuses_operations,
    "garbage is an error, not an answer": _survives_garbage,
    "cancel ends it": _ends,
    "unknown values are refused": _refuses_values,
}
CASE_LAWS: Mapping[str, Callable[[_Bench, Case], None]] = {
    "observing changes nothing": _observing_changes_nothing,
    "the plan is deterministic": _plans_alike,
    "applied twice it changes once": _applies_once,
    "undo restores": _undoes,
    "removed and brought back, or refused": _removes,
    "killed while it applies, the next run recovers": _recovers,
}


def _read_cases(path: Path, declared: DeclaredProvider) -> tuple[tuple[Case, ...], tuple[str, ...]]:
    try:
        fields = Fields(decode_json(path.read_bytes()), CASES)
        cases = tuple(_read_case(item, declared) for item in fields.items("cases"))
        watch = fields.texts("watch")
        fields.done()
    except OSError as error:
        hint = "it names things that may be changed here; see docs/reference/provider-protocol.md"
        raise UsageError(f"cannot read {path}: {error.strerror}", code="U081", hint=hint) from error
    except ConfigError as error:
        raise UsageError(f"{path}: {error.message}", code="U081") from error
    if not cases:
        raise UsageError(f"{path} has no cases", code="U081")
    return cases, watch


def _read_case(value: Json, declared: DeclaredProvider) -> Case:
    fields = Fields(value, "case")
    case = Case(fields.text("name"), fields.table("set"), fields.table("other"), fields.flag("removable", default=True))
    fields.done()
    for values in (case.values, case.other):
        for key, item in values.items():
            if key not in declared.attributes:
                raise UsageError(f"case {case.name}: the provider declares no value `{key}`", code="U081")
            try:
                decode_value(declared.attributes[key], item)
            except ValueError as error:
                raise UsageError(f"case {case.name}: `{key}`: {error}", code="U081") from error
    return case
