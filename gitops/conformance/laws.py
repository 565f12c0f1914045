"""The laws that every built-in kind obeys, tried on a simulated machine below a throw-away folder.

Takes a scenario (`gitops.conformance.scenarios`), gives a Verdict for each law. The executor's own runs are made, on the host of
`gitops.conformance.simulated`; every law begins with a fresh machine. Nothing outside the folder is changed.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any, cast

from gitops.conformance.scenarios import SCENARIOS, Scenario
from gitops.conformance.simulated import SimulatedHost
from gitops.conformance.verdict import BrokenLawError, Verdict
from gitops.errors import ConfigError, TrueupError, UsageError
from gitops.executor.host import KnownPaths
from gitops.executor.journal import JOURNAL, MEMORY_FOLDER, Journal
from gitops.executor.run import run_apply, run_observe, run_plan, run_rollback
from gitops.model.codec import Json, decode_json, digest_bytes, encode_canonical
from gitops.model.plan import HostPlan
from gitops.model.report import Report
from gitops.model.resource import Resource
from gitops.model.wire import Event, Request

HOST = "simulated"
UNKNOWN = "no_such_attribute"
SCAFFOLDED = "/tmp/__NAME__.conf"  # noqa: S108  as the scaffold has it; replaced
PREDICTION = "what was planned is what happened"
IDEMPOTENCY = "applied twice it changes once"
OPERATIONS = {"observe": run_observe, "plan": run_plan, "apply": run_apply, "rollback": run_rollback}
Tree = Mapping[str, tuple[object, ...]]


class Bench:
    """A fresh machine in the state of a scenario, its memory beside it; `calls` are all programs that were asked for."""

    def __init__(self, scenario: Scenario, folder: Path) -> None:
        self._folder = folder
        self.root, self.state = folder / "root", folder / "state"
        self.has_programs = True
        self.secrets = scenario.secrets
        self.leaves = scenario.leaves
        self.calls: list[list[str]] = []
        self.said: list[str] = []
        self.root.mkdir(parents=True, exist_ok=True)
        _make_tree(self.root, scenario)
        for data in scenario.contents:
            self._lay_out(data)
        self.resources = tuple(self._resolve(resource) for resource in scenario.resources)

    def send(self, operation: str, *resources: Resource, run: str = "", dry_run: bool = False) -> Mapping[str, Json]:
        """Run one operation of the executor; give the last body of each event."""
        request = Request(
            operation,
            HOST,
            run=run,
            resources=resources,
            secrets=self.secrets,
            blobs=str(self._folder / "blobs"),
            state=str(self.state),
            guards=True,
            dry_run=dry_run,
        )
        events: list[Event] = []
        try:
            OPERATIONS[operation](
                Request.from_json(decode_json(encode_canonical(request.to_json()))), events.append, make_host=self._open
            )
        finally:
            self.said.extend(encode_canonical(event.to_json()).decode() for event in events)
        return {event.event: decode_json(encode_canonical(event.body)) for event in events}

    def plan(self, *resources: Resource) -> HostPlan:
        """Plan; what the scenario declares when nothing is named."""
        return HostPlan.from_json(self.send("plan", *(resources or self.resources))["plan"])

    def apply(self, *resources: Resource) -> Report:
        """Apply; what the scenario declares when nothing is named."""
        return Report.from_json(self.send("apply", *(resources or self.resources))["report"])

    def roll_back(self, run: str) -> Report:
        """Undo a run."""
        return Report.from_json(self.send("rollback", run=run)["report"])

    def may_undo(self, run: str) -> bool:
        """Say whether the plan of an undo promises all of it."""
        body = cast("Mapping[str, Any]", self.send("rollback", run=run, dry_run=True)["runs"])
        return all(item["undoable"] for item in body["undo"])

    def tree(self, *, is_exact: bool = False) -> Tree:
        """Give type, mode, owner, content, ACL and attributes of all below the root; exactly: with the times of content and metadata."""
        return dict(_describe_tree(self.root, is_exact=is_exact))

    def kept(self) -> bytes:
        """Give all that the machine remembers, journal included."""
        return b"\n".join(path.read_bytes() for path in sorted(self.state.rglob("*")) if path.is_file())

    def close(self) -> None:
        """Remove what the machine kept of sensitive files in memory."""
        for path in self.state.rglob(JOURNAL):
            shutil.rmtree(Path(MEMORY_FOLDER) / path.parent.name, ignore_errors=True)

    def _open(
        self,
        *,
        root: str = "",  # noqa: ARG002  the running machine's own, which this one stands for
        blobs: str = "",
        secrets: Mapping[str, str] | None = None,
        known: Callable[[], KnownPaths] = KnownPaths,
        journal: Journal | None = None,
        run: str = "",
    ) -> SimulatedHost:
        host = SimulatedHost(root=str(self.root), blobs=blobs, secrets=secrets, known=known, journal=journal, run=run)
        host.calls, host.has_programs = self.calls, self.has_programs
        return host

    def _resolve(self, resource: Resource) -> Resource:
        user = pwd.getpwuid(os.geteuid()).pw_name
        text = encode_canonical(resource.to_json()).decode().replace("@ROOT@", str(self.root)).replace("@USER@", user)
        found = Resource.from_json(decode_json(text))
        if found.attributes.get("executable") != "@PROGRAM@":
            return found
        return replace(found, attributes={**found.attributes, "executable": self._lay_out_program()})

    def _lay_out_program(self) -> Json:
        text = (resources.files("gitops.cli") / "scaffold" / "python.txt").read_text(encoding="utf-8")
        return self._lay_out(text.replace(SCAFFOLDED, str(self.root / "demo.conf")).replace("__NAME__", "demo").encode())

    def _lay_out(self, data: bytes) -> Json:
        digest = digest_bytes(data)
        place = self._folder / "blobs" / digest[:2] / digest
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        return {"blob": digest, "size": len(data)}


def judge_kind(kind: str, folder: Path) -> Iterator[Verdict]:
    """Try every law with every scenario of a kind; give the verdicts as they come. Raise UsageError for a kind without any."""
    if not SCENARIOS.get(kind):
        known = ", ".join(sorted(SCENARIOS))
        message = f"there is no provider `{kind}`: it is neither a kind nor a folder here"
        raise UsageError(message, code="U080", hint=f"a provider's folder, or one of: {known}")
    yield from judge_scenarios(SCENARIOS[kind], folder)


def judge_scenarios(scenarios: Sequence[Scenario], folder: Path) -> Iterator[Verdict]:
    """Try every law with each of these."""
    for number, scenario in enumerate(scenarios):
        for place, (law, check) in enumerate(LAWS.items()):
            yield _judge(law, scenario, check, folder / f"{number}-{place}")


def count_predictions(bench: Bench) -> tuple[int, int]:
    """Plan and apply; give how many of all that was planned or happened was both."""
    planned = {(change.address, change.action) for change in bench.plan().changes}
    happened = {(item.address, item.action) for item in bench.apply().changes if item.result == "changed"}
    return len(planned & happened), len(planned | happened)


def _judge(law: str, scenario: Scenario, check: Callable[[Bench], None], folder: Path) -> Verdict:
    bench = Bench(scenario, folder)
    try:
        check(bench)
    except BrokenLawError as broken:
        return Verdict(law, scenario.name, str(broken))
    except (TrueupError, OSError) as error:
        return Verdict(law, scenario.name, error.message if isinstance(error, TrueupError) else str(error))
    finally:
        bench.close()
    return Verdict(law, scenario.name)


def _expect(holds: bool, reason: str) -> None:  # noqa: FBT001  reads as a sentence
    if not holds:
        raise BrokenLawError(reason)


def _observing_changes_nothing(bench: Bench) -> None:
    before = bench.tree(is_exact=True)
    bench.send("observe", *bench.resources)
    bench.plan()
    _expect_same(before, bench.tree(is_exact=True), "observing changed")
    _expect(not bench.state.exists(), "planning left a state behind")


def _plans_alike(bench: Bench) -> None:
    first, second = (replace(bench.plan(), observed=None) for _ in range(2))  # when it was made is no part of it
    _expect(first == second, "two plans differ")


def _does_what_was_planned(bench: Bench) -> None:
    right, of_all = count_predictions(bench)
    _expect(right == of_all, f"{of_all - right} of {of_all} changes were planned or happened, but not both")


def _changes_once(bench: Bench) -> None:
    first = bench.apply()
    _expect(first.result in ("changed", "converged"), _words(first))
    settled = bench.tree(is_exact=True)
    again = bench.apply()
    _expect(again.result == "converged", f"the second run {again.result}: {_words(again)}")
    _expect_same(settled, bench.tree(is_exact=True), "the second run changed")


def _order_is_free(bench: Bench) -> None:
    before = [change.to_json() for change in bench.plan().changes]
    turned = [change.to_json() for change in bench.plan(*bench.resources[::-1]).changes]
    _expect(before == turned, "another order of the resources gives another plan")


def _undoes(bench: Bench) -> None:
    before = bench.tree()
    report = bench.apply()
    if report.result == "converged":
        return
    may_undo = bench.may_undo(report.run)
    undone = bench.roll_back(report.run)
    if not may_undo:
        told = [item for item in undone.changes if item.result in ("skipped", "failed") and item.message]
        _expect(bool(told), "the plan says that not all can be undone; the undo does not say what it left")
        return
    _expect(undone.result in ("reverted", "converged"), _words(undone))
    left = {path: value for path, value in bench.tree().items() if path not in bench.leaves}
    _expect_same(before, left, "the undo did not restore")


def _refuses_unknown(bench: Bench) -> None:
    before = bench.tree(is_exact=True)
    first = bench.resources[0]
    resource = replace(first, attributes={**first.attributes, UNKNOWN: "x"})
    for operation in ("plan", "apply"):
        try:
            bench.send(operation, resource)
        except ConfigError as error:
            _expect(UNKNOWN in error.message, f"the refusal does not name it: {error.message}")
        else:
            raise BrokenLawError(f"{operation} took the attribute `{UNKNOWN}`")
    _expect_same(before, bench.tree(is_exact=True), "it refused, and changed")


def _keeps_secrets(bench: Bench) -> None:
    for operation in ("observe", "plan", "apply", "apply"):
        bench.send(operation, *bench.resources)
    places = {
        "what was said": "\n".join(bench.said),
        "what is remembered": bench.kept().decode("utf-8", "replace"),
        "arguments": "\n".join(word for argv in bench.calls for word in argv),
    }
    for value in bench.secrets.values():
        found = [place for place, text in places.items() if value in text]
        _expect(not found, f"a secret stands in {', '.join(found)}")


def _lacks_programs(bench: Bench) -> None:
    before = bench.tree()
    bench.has_programs = False
    try:
        report = bench.apply()
    except TrueupError as error:  # it could not even look
        _expect("cannot run" in error.message, error.message)
        _expect_same(before, bench.tree(), "it could not look, and changed")
        return
    for item in report.changes:
        is_clear = item.result in ("changed", "skipped") or bool(item.message)
        _expect(is_clear, f"{item.address} {item.result} without a reason")
    if report.result == "failed":
        bench.has_programs = True
        _expect(bench.apply().result in ("changed", "converged"), "with the program there, the next run does not go on")
    settled = bench.plan().changes
    _expect(not settled, "what is left: " + ", ".join(f"{change.action} {change.address}" for change in settled))


LAWS: Mapping[str, Callable[[Bench], None]] = {
    "observing changes nothing": _observing_changes_nothing,
    "the plan is deterministic": _plans_alike,
    PREDICTION: _does_what_was_planned,
    IDEMPOTENCY: _changes_once,
    "the order is free": _order_is_free,
    "undo restores, or says that it cannot": _undoes,
    "unknown attributes are refused": _refuses_unknown,
    "a secret is shown nowhere": _keeps_secrets,
    "a missing program is a clear failure, and the next run goes on": _lacks_programs,
}


def _words(report: Report) -> str:
    return "; ".join(f"{item.address} {item.result}: {item.message}" for item in report.changes) or report.result


def _expect_same(before: Tree, after: Tree, words: str) -> None:
    changed = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
    _expect(not changed, f"{words} {', '.join(changed[:5])}")


def _make_tree(root: Path, scenario: Scenario) -> None:
    for path, text in scenario.before.items():
        real = root / path.strip("/")
        if path.endswith("/"):
            real.mkdir(parents=True, exist_ok=True)
        else:
            real.parent.mkdir(parents=True, exist_ok=True)
            real.write_text(text, encoding="utf-8")
    for path, target in scenario.links.items():
        (root / path[1:]).symlink_to(target)
    for path, attributes in scenario.extended.items():
        for name, value in attributes.items():
            os.setxattr(root / path.strip("/"), name, value)


def _describe_tree(root: Path, *, is_exact: bool) -> Iterator[tuple[str, tuple[object, ...]]]:
    waiting: list[Path] = [root]
    while waiting:
        for path in waiting.pop().iterdir():
            info = path.lstat()
            times: Sequence[int] = (info.st_mtime_ns, info.st_ctime_ns) if is_exact else ()
            owner = (info.st_mode, info.st_uid, info.st_gid)
            yield f"/{path.relative_to(root)}", (*owner, _inside(path, info), _beside(path), *times)
            if stat.S_ISDIR(info.st_mode):
                waiting.append(path)


def _beside(path: Path) -> tuple[tuple[str, bytes], ...]:
    """Give ACLs and the attributes that users set."""
    try:
        names = sorted(
            name for name in os.listxattr(path, follow_symlinks=False) if name.startswith(("user.", "system.posix_acl_"))
        )
    except OSError:
        return ()
    return tuple((name, os.getxattr(path, name, follow_symlinks=False)) for name in names)


def _inside(path: Path, info: os.stat_result) -> bytes:
    if stat.S_ISREG(info.st_mode):
        return path.read_bytes()
    return os.fsencode(path.readlink()) if stat.S_ISLNK(info.st_mode) else b""
