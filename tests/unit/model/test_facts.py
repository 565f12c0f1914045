"""Custom facts as a graph and an observation hold them: spelt one way, complete, bounded."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops.errors import MalformedError
from gitops.model.codec import MAX_INTEGER, Json
from gitops.model.facts import FactProgram, Probe, is_custom, spell_fact
from gitops.model.limits import DEFAULTS
from gitops.model.resource import Resource
from tests.support.nouns import programs, texts

D = "ab" * 32
FACT = FactProgram(D, 9)


@pytest.mark.parametrize(
    ("type_name", "value", "text"),
    [
        ("string", "r1", "r1"),
        ("string", "", ""),
        ("string", "x" * DEFAULTS.fact_text, "x" * DEFAULTS.fact_text),
        ("integer", -5, "-5"),
        ("integer", MAX_INTEGER, str(MAX_INTEGER)),
        ("boolean", True, "true"),
        ("boolean", False, "false"),
    ],
)
def test_a_value_is_spelt_one_way(type_name: str, value: Json, text: str) -> None:
    assert spell_fact(type_name, value) == text


@pytest.mark.parametrize(
    ("type_name", "value", "words"),
    [
        ("string", 5, "not a string"),
        ("string", "a\x1b[31m", "control character"),
        ("string", "a\nb", "control character"),
        ("string", "\ud800", "control character"),
        ("string", "x" * (DEFAULTS.fact_text + 1), "longer than"),
        ("integer", "5", "not an integer"),
        ("integer", True, "not an integer"),
        ("integer", MAX_INTEGER + 1, "not an integer"),
        ("boolean", 1, "not true or false"),
        ("boolean", None, "not true or false"),
        ("boolean", [True], "not true or false"),
    ],
)
def test_a_value_of_another_type_has_no_spelling(type_name: str, value: Json, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        spell_fact(type_name, value)


@given(programs, st.sampled_from(["blob", "size", "type", "timeout"]))
def test_every_part_of_a_declaration_is_in_its_digest(program: FactProgram, part: str) -> None:
    other: dict[str, Any] = {"blob": D, "size": 100, "type": "string", "timeout": 30}
    table = {"blob": program.blob, "size": program.size, "type": program.type, "timeout": program.timeout}
    changed = FactProgram(**{**table, part: other[part]})
    assert (changed.digest == program.digest) == (changed == program)


@given(programs, texts)
def test_programs_and_probes_survive(program: FactProgram, trouble: str) -> None:
    assert FactProgram.from_json(program.to_json()) == program
    assert Probe.from_json(Probe(D, trouble).to_json()) == Probe(D, trouble)


@pytest.mark.parametrize(
    "wrong",
    [
        {"timeout": 0},
        {"timeout": DEFAULTS.fact_seconds + 1},
        {"type": "text"},
        {"program": {"blob": "../../etc/passwd", "size": 1}},
        {"program": {"blob": D, "size": 1, "path": "/bin/sh"}},
        {"user": "root"},
    ],
)
def test_a_declaration_that_is_none_is_refused(wrong: dict[str, Json]) -> None:
    with pytest.raises(MalformedError):
        FactProgram.from_json({**FACT.to_json(), **wrong})


@pytest.mark.parametrize(
    ("when", "facts"),
    [({"custom.rack": ("a",)}, {}), ({}, {"custom.rack": FACT}), ({"arch": ("a",)}, {"arch": FACT})],
)
def test_a_resource_names_the_programs_of_what_it_asks_and_no_others(when: Any, facts: Any) -> None:
    with pytest.raises(MalformedError, match="are not the custom facts of its `when`"):
        Resource.from_json(Resource("file", "/etc/motd", when=when, facts=facts).to_json())


def test_another_program_is_another_desired_state_but_leaves_the_same() -> None:
    one = Resource("file", "/x", when={"custom.rack": ("a",)}, facts={"custom.rack": FACT})
    other = Resource("file", "/x", when={"custom.rack": ("a",)}, facts={"custom.rack": FactProgram("cd" * 32, 9)})
    assert one.desired != other.desired
    assert one.after == other.after


def test_custom_facts_are_known_by_their_name() -> None:
    assert is_custom("custom.rack")
    assert not is_custom("os.family")
