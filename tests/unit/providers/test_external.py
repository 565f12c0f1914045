"""External providers: recorded conversations played back, line by line; differences that obey the laws of the planner."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gitops.config.schemas import make_schemas
from gitops.errors import HostError
from gitops.model.address import make_address
from gitops.model.attribute import decode_spec
from gitops.model.codec import Json
from gitops.model.secret import fill_text, text_from_json
from gitops.plan.laws import check_difference
from gitops.providers.base import Possible, Step
from gitops.providers.external import ExternalProvider, ExternalSpec
from gitops.providers.host import SessionUndo
from tests.support.casehost import CaseHost, describe, notified

SESSIONS = sorted((Path(__file__).parents[2] / "providers/external/sessions").glob("*.json"))
SCHEMAS = make_schemas()
PROGRAM: Mapping[str, Json] = {"blob": "a" * 64, "size": 1}
PROVIDER = ExternalProvider(runs_guards=True)


@dataclass
class RecordedSession:
    """Expects each request as recorded, and gives its answers."""

    exchanges: list[Any]
    answers: list[Any] = field(default_factory=list[Any])
    is_closed: bool = False
    hidden: list[str] = field(default_factory=list[str])

    def send(self, line: bytes, seconds: float) -> None:
        assert not self.answers, "there are answers left"
        request, self.answers = self.exchanges.pop(0)
        assert json.loads(line) == request
        Draft202012Validator(SCHEMAS["provider-request"]).validate(request)

    def receive(self) -> bytes:
        if not self.answers:
            raise HostError("the provider ended without an answer")
        return json.dumps(self.answers.pop(0)).encode()

    def fill(self, content: Json) -> str:
        return fill_text(text_from_json(content, "value"), {"env:TOKEN": "hunter2"})

    def redact(self, text: str) -> str:
        return text.replace("hunter2", "[secret]")

    def hide(self, texts: Sequence[str]) -> None:
        self.hidden.extend(texts)

    def close(self, *, is_wanted: bool = True) -> None:
        self.is_closed = True


class RecordedHost(CaseHost):
    """A machine whose only program is a recorded one."""

    def __init__(self, exchanges: list[Any], *, has_memory: bool = True) -> None:
        super().__init__({})
        self.has_memory = has_memory
        self.session = RecordedSession(list(exchanges))
        self.requests: list[Any] = []

    @property
    def keeps_sensitive(self) -> bool:
        return self.has_memory

    def start_session(self, executable: Json) -> RecordedSession:
        assert executable == PROGRAM
        return self.session

    def note_session_undo(self, executable: Json, undos: Sequence[SessionUndo]) -> None:
        assert executable == PROGRAM
        for undo in undos:
            self.requests.append(
                {
                    **undo.request,
                    **({"hidden": undo.hidden} if undo.hidden else {}),
                    **({"late": True} if undo.is_refresh else {}),
                }
            )


def decode(name: str, values: Mapping[str, Json]) -> ExternalSpec:
    return decode_spec(ExternalSpec, name, {"executable": PROGRAM, "protocol": 1, **values})


@pytest.mark.parametrize("path", SESSIONS, ids=lambda path: path.stem)
def test_a_recorded_conversation_goes_as_it_went(path: Path) -> None:
    case = json.loads(path.read_text(encoding="utf-8"))
    specs = {name: decode(name, values) for name, values in case["resources"].items()}
    host = RecordedHost(case["observe"])
    states = PROVIDER.observe(list(specs.values()), host)
    assert {name: dict(state) for name, state in states.items()} == case["states"]
    assert (host.session.exchanges, host.session.is_closed, host.undo, host.requests) == ([], True, [], [])
    steps: list[Step[ExternalSpec]] = []
    for name, spec in specs.items():
        difference = PROVIDER.diff(spec, states[name])
        assert describe(difference, case["differences"][name]) == case["differences"][name]
        if difference is not None:
            address = make_address("external", name)
            check_difference(address, difference)
            steps.append(Step(address, difference.action, spec, states[name], difference))
    steps.extend(notified(PROVIDER, specs[name], states[name], action) for name, action in case.get("notified", {}).items())
    if "apply" not in case:
        return
    told = [answer["body"]["kept"] for _, given in case["apply"] for answer in given if "kept" in answer["body"]]
    host = RecordedHost(case["apply"], has_memory=case.get("has_memory", True))
    outcomes = {item.address.partition(":")[2]: item for item in PROVIDER.apply(steps, host)}
    assert {name: item.result for name, item in outcomes.items()} == {name: item[0] for name, item in case["outcomes"].items()}
    assert all(case["outcomes"][name][1] in item.message for name, item in outcomes.items())
    assert (host.session.exchanges, host.session.is_closed, host.requests) == ([], True, case["undo"])
    assert host.undo == case.get("notes", [])
    assert host.session.hidden == told


def is_good(path: Path) -> bool:
    good = ("created", "updated", "removed", "settled", "silent", "twice", "an-error", "notified", "secret-created")
    return path.stem in (*good, "secret-settled", "secret-changed", "secret-not-kept", "removed-with-its-secret")


@pytest.mark.parametrize("path", [path for path in SESSIONS if is_good(path)], ids=lambda path: path.stem)
def test_good_answers_fit_their_schema(path: Path) -> None:
    case = json.loads(path.read_text(encoding="utf-8"))
    answers = [answer for _, given in case["observe"] + case.get("apply", []) for answer in given]
    for answer in answers:
        Draft202012Validator(SCHEMAS["provider-answer"]).validate(answer)


@pytest.mark.parametrize(
    ("seen", "wanted", "is_same"),
    [
        ("1", 1, False),
        (True, 1, False),
        (1, True, False),
        (0, False, False),
        (None, "", False),
        (["x"], ["x"], True),
        (["x", "y"], ["y", "x"], False),
        ("x", ["x"], False),
        (5, 5, True),
    ],
)
def test_values_are_equal_only_with_their_types(seen: Json, wanted: Json, is_same: bool) -> None:
    difference = PROVIDER.diff(decode("demo/a", {"set": {"value": wanted}}), {"exists": True, "values": {"value": seen}})
    assert (difference is None) is is_same


@pytest.mark.parametrize(("state", "action"), [("present", "create"), ("absent", "remove")])
def test_what_is_not_asked_is_an_upper_bound(state: str, action: str) -> None:
    spec = decode("demo/a", {"state": state})
    seen = ExternalProvider().observe([spec], RecordedHost([]))["demo/a"]
    difference = PROVIDER.diff(spec, seen)
    assert difference is not None
    assert (difference.action, difference.confidence) == (action, "conditional")
    assert PROVIDER.bound(spec) == (Possible("remove" if state == "absent" else "set"),)
    assert PROVIDER.relate(spec).is_absent is (state == "absent")


def test_a_protocol_of_the_future_starts_nothing() -> None:
    spec = decode("demo/a", {"protocol": 3})
    states = PROVIDER.observe([spec], RecordedHost([]))
    assert states["demo/a"] == {"trouble": "it needs provider protocol 3, this version speaks 1 and 2"}


def test_a_resource_without_its_program_starts_nothing() -> None:
    spec = decode_spec(ExternalSpec, "demo/a", {})
    assert PROVIDER.observe([spec], RecordedHost([]))["demo/a"] == {"trouble": "its program is missing"}
    step = Step("external:demo/a", "create", spec, {"exists": False}, PROVIDER.diff(spec, {"exists": False}))  # type: ignore[arg-type]
    assert [item.message for item in PROVIDER.apply([step], RecordedHost([]))] == ["its program is missing"]


@pytest.mark.parametrize("name", ["Value", "", "a-b", "a" * 64, "../x"])
def test_names_of_values_are_checked_at_the_machines_door(name: str) -> None:
    with pytest.raises(Exception, match="got the name"):
        decode("demo/a", {"set": {name: "x"}})


@pytest.mark.parametrize("value", [None, {"parts": ["x"]}, {"secret": "x"}, [1], 1 << 60, "\0"])
def test_values_are_plain_or_refused(value: Json) -> None:
    with pytest.raises(Exception, match=r"got|NUL|expected"):
        decode("demo/a", {"set": {"value": value}})
    with pytest.raises(Exception, match="expected a map"):
        decode("demo/a", {"set": ["x"]})
