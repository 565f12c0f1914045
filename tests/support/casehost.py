"""A machine of recorded answers, and cases that play on it.

A case is a JSON file in `tests/providers/<kind>/`: `about` (the law), `resources` (attributes by name), `paths` (type by path),
`owners` and `targets` (of paths), `texts` (files by path), `lists` (names by folder), `commands` (answers: `words` that the argument list must hold in this order, `status`,
`output`, or `outputs` for one after the other; `later` is the output once an answer with `changes` was given), then what is expected: `states`, `differences` (null, or action, fields, confidence, a part
of the reason), and, when there is `outcomes` (result and a part of the message), also `ran` and `undo` (the argument lists, shortened to
the words that matter, with whom it runs as). A command without an answer fails the case.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gitops.model.address import make_address
from gitops.model.attribute import decode_spec
from gitops.model.codec import Json, digest_bytes
from gitops.model.plan import Difference
from gitops.model.secret import fill_text, text_from_json
from gitops.providers.base import Provider, Step
from gitops.providers.host import Attributes, FileWrite, Finished, Metadata, PathState, Session, SessionUndo, Wants
from gitops.providers.registry import make_registry

CASES = Path(__file__).parents[1] / "providers"
NOISE = ("-y", "-q", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold", "DPkg::Lock::Timeout=60", "--")


def list_cases(*kinds: str) -> list[Path]:
    """Give the case files of some kinds; fail when a kind has none."""
    found = {kind: sorted((CASES / kind).glob("*.json")) for kind in kinds}
    assert all(found.values()), found
    return [path for paths in found.values() for path in paths]


@dataclass
class CaseHost:
    """See the module. What is not recorded is not there."""

    case: Mapping[str, Any]

    def __post_init__(self) -> None:
        self.ran: list[list[str]] = []
        self.undo: list[list[str]] = []
        self.is_marked = False
        self._used: dict[int, int] = {}
        self._has_changed = False

    @property
    def managed(self) -> frozenset[str]:
        return frozenset()

    @property
    def keeps_sensitive(self) -> bool:
        return False

    @property
    def is_live(self) -> bool:
        return True

    def inspect(self, path: str, *, wants: Wants | None = None) -> PathState:
        owner, target = (self.case.get(key, {}).get(path, "") for key in ("owners", "targets"))
        return PathState(self.case.get("paths", {}).get(path, "absent"), owner=owner, target=target)

    def read_attributes(self, path: str, declared: Metadata) -> Attributes:
        raise AssertionError("these kinds declare no attributes")

    def read_text(self, path: str) -> str:
        return self.case.get("texts", {}).get(path, "")

    def list_names(self, path: str) -> Sequence[str]:
        return self.case.get("lists", {}).get(path, ())

    def list_below(self, path: str) -> tuple[Sequence[str], Sequence[str]]:
        raise AssertionError("these kinds look into no folder")

    def list_mounts(self, path: str) -> Sequence[str]:
        raise AssertionError("these kinds look into no folder")

    def run(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, Json] | None = None,
        directory: str = "",
        user: str = "",
        timeout: int = 0,
    ) -> Finished:
        self.ran.append([*shorten(argv), *([f"(as {user})"] if user else [])])
        for number, answer in enumerate(self.case.get("commands", ())):
            if holds_in_order(argv, answer["words"]):
                outputs = answer.get("outputs", [answer.get("output", "")])
                if self._has_changed and "later" in answer:
                    outputs = [answer["later"]]
                self._has_changed = self._has_changed or bool(answer.get("changes"))
                used = self._used.get(number, 0)
                self._used[number] = used + 1
                statuses = answer.get("statuses", [answer.get("status", 0)])
                return Finished(statuses[min(used, len(statuses) - 1)], outputs[min(used, len(outputs) - 1)])
        raise AssertionError(f"the case has no answer for {list(argv)}")

    def feed(self, argv: Sequence[str], record: Sequence[Json]) -> Finished:
        fields = [fill_text(text_from_json(item, "record"), self.case.get("secrets", {})) for item in record]
        done = self.run(argv)
        self.ran[-1].append(f"< {':'.join(fields)}")
        return done

    def note_undo(self, argv: Sequence[str], why_not: str = "", *, record: Sequence[str] = (), is_refresh: bool = False) -> None:
        self.undo.append([*shorten(argv), *([f"< {':'.join(record)}"] if record else [])] if argv else [why_not])

    def mark_undo(self) -> int:
        return len(self.undo)

    def void_undo(self, since: int, until: int, *, paths: Sequence[str] | None = None) -> None:
        if paths is None:
            del self.undo[since:until]

    def has_written_below(self, folders: Sequence[str]) -> bool:
        return not self.is_marked and any(path.startswith(tuple(folders)) for path in self.case.get("written", ()))

    def mark_written(self) -> None:
        self.is_marked = True

    def digest(self, path: str) -> str:
        raise AssertionError("these kinds read no content")

    def digest_content(self, content: Json) -> str:
        return digest_bytes(fill_text(text_from_json(content, "content"), self.case["secrets"]).encode())

    def prepare(self, paths: Sequence[str], *, is_sensitive: bool = False, has_content: bool = True) -> Mapping[str, str]:
        raise AssertionError("these kinds write no files")

    def write_files(self, writes: Sequence[FileWrite]) -> Mapping[str, str]:
        raise AssertionError("these kinds write no files")

    def make_directory(self, path: str, metadata: Metadata) -> None:
        raise AssertionError("these kinds write no files")

    def make_symlink(self, path: str, target: str) -> None:
        raise AssertionError("these kinds write no files")

    def set_metadata(self, path: str, metadata: Metadata) -> None:
        raise AssertionError("these kinds write no files")

    def remove(self, path: str, *, is_recursive: bool = False) -> None:
        raise AssertionError("these kinds write no files")

    def start_session(self, executable: Json) -> Session:
        raise AssertionError("these kinds start no program of a project")

    def note_session_undo(self, executable: Json, undos: Sequence[SessionUndo]) -> None:
        raise AssertionError("these kinds start no program of a project")


def play(path: Path) -> None:
    """Observe, compare, and apply when the case says what comes of it."""
    case = json.loads(path.read_text(encoding="utf-8"))
    provider: Provider[Any] = make_registry()[path.parent.name]
    specs = {name: decode_spec(provider.spec, name, values) for name, values in case["resources"].items()}
    host = CaseHost(case)
    states = provider.observe(list(specs.values()), host)
    assert host.undo == [], "observing wants to write"
    assert {name: dict(state) for name, state in states.items()} == case["states"]
    steps: list[Step[Any]] = []
    for name, spec in specs.items():
        difference = provider.diff(spec, states[name])
        assert describe(difference, case["differences"][name]) == case["differences"][name]
        if difference is not None and difference.action != "refused":
            steps.append(Step(make_address(provider.kind, name), difference.action, spec, states[name], difference))
    if "outcomes" not in case:
        return
    for name, action in case.get("notified", {}).items():
        steps.append(notified(provider, specs[name], states[name], action))
    host.ran.clear()
    found = {item.address.partition(":")[2]: item for item in provider.apply(steps, host)}
    assert set(found) == set(case["outcomes"])
    for name, (result, message) in case["outcomes"].items():
        assert (found[name].result, message in found[name].message) == (result, True), found[name]
    assert host.ran == case["ran"]
    assert host.undo == case["undo"]


def notified(provider: Provider[Any], spec: Any, state: Mapping[str, Json], action: str) -> Step[Any]:
    """Give the step that a notification makes."""
    return Step(make_address(provider.kind, spec.name), action, spec, state, Difference(action))


def describe(difference: Any, expected: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Give a difference as a case writes it; the reason as far as it is expected."""
    if difference is None:
        return None
    found: dict[str, Any] = {"action": difference.action}
    if difference.fields:
        found["fields"] = [[item.name, item.before, item.after] for item in difference.fields]
    if difference.confidence != "exact":
        found["confidence"] = difference.confidence
    if difference.reason:
        part = (expected or {}).get("reason")
        found["reason"] = part if part and part in difference.reason else difference.reason
    return found


def shorten(argv: Sequence[str]) -> list[str]:
    """Leave out the words that every call of a tool has."""
    return [word for word in argv if word not in NOISE and not word.startswith(("--property=", "Dir::Cache", "Dir::Log"))]


def holds_in_order(argv: Sequence[str], words: Sequence[str]) -> bool:
    """Say whether all words are in the argument list, in this order."""
    rest = iter(argv)
    return all(word in rest for word in words)
