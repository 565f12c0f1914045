"""Laws of the small nouns: fields, facts, secrets, diagnostics, errors, plans' own numbers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops import errors
from gitops.errors import ConfigError, MalformedError, TrueupError
from gitops.model.address import Address
from gitops.model.candidate import Candidate, Listed
from gitops.model.diagnostic import Diagnostic, InvalidConfigError, Place, has_errors, sort_diagnostics
from gitops.model.fields import Fields
from gitops.model.fleetplan import ChangeGroup, FleetPlan, PlanSubject
from gitops.model.limits import DEFAULTS
from gitops.model.plan import Change
from gitops.model.scope import HostScope, Scope
from gitops.model.secret import (
    SecretRef,
    fill_text,
    find_secrets,
    secret_from_json,
    show_text,
    text_from_json,
    text_to_json,
)
from tests.support.nouns import groups, texts

GITHUB_COMMENT = 65_536
REF = SecretRef("pw", "env", "PW")


# ── Fields ──


def test_each_key_is_taken_once_and_the_rest_is_an_error() -> None:
    fields = Fields({"a": "x", "b": 1, "c": None, "d": True, "e": ["x"], "f": {}, "g": "on", "h": "ab" * 32}, "thing")
    assert (fields.text("a"), fields.integer("b"), fields.has("c"), fields.flag("d")) == ("x", 1, False, True)
    assert (fields.texts("e"), fields.table("f"), fields.choice("g", ("on",)), fields.digest("h")) == (
        ("x",),
        {},
        "on",
        "ab" * 32,
    )
    fields.done()
    with pytest.raises(MalformedError, match="`a` is missing"):
        fields.raw("a")


def test_defaults_serve_what_is_absent() -> None:
    fields = Fields({}, "thing")
    assert (fields.text("a", "x"), fields.integer("b", 2), fields.flag("c", default=True), fields.choice("d", ("e",), "e")) == (
        "x",
        2,
        True,
        "e",
    )
    assert (fields.items("f"), fields.table("g"), fields.has("h")) == ((), {}, False)


@pytest.mark.parametrize("value", [None, True, 1, "text", [], ["x"]])
def test_what_is_no_object_is_refused_by_name(value: Any) -> None:
    with pytest.raises(
        MalformedError, match=r"thing: expected an object, got (null|a boolean|an integer|the string 'text'|a list)"
    ):
        Fields(value, "thing")


@pytest.mark.parametrize(
    ("take", "value"),
    [
        (lambda fields: fields.text("k"), 1),
        (lambda fields: fields.integer("k"), True),
        (lambda fields: fields.flag("k"), 1),
        (lambda fields: fields.choice("k", ("a",)), "b"),
        (lambda fields: fields.digest("k"), "AB"),
        (lambda fields: fields.items("k"), {}),
        (lambda fields: fields.texts("k"), [{}]),
        (lambda fields: fields.table("k"), None),
    ],
)
def test_wrong_types_name_key_and_expectation(take: Any, value: Any) -> None:
    with pytest.raises(MalformedError, match=r"thing: `k`: expected .*, got ") as stop:
        take(Fields({"k": value}, "thing"))
    assert stop.value.code == "M014"


def test_long_values_are_not_echoed() -> None:
    with pytest.raises(MalformedError) as stop:
        Fields({"k": "s" * 1000}, "thing").integer("k")
    assert len(stop.value.message) < 120


# ── Secrets ──


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=4) | st.just(REF), max_size=4))
def test_texts_survive_and_show_references_only(parts: list[Any]) -> None:
    text = tuple(parts)
    back = text_from_json(text_to_json(text), "text")
    assert show_text(back) == show_text(text)
    assert fill_text(back, {"env:PW": "s3cret"}) == "".join(part if isinstance(part, str) else "s3cret" for part in text)
    assert bool(find_secrets({"content": text_to_json(text)})) == (REF in parts)


def test_a_missing_value_names_the_reference() -> None:
    with pytest.raises(MalformedError, match=r"secret `pw` \(env:PW\) has no value"):
        fill_text((REF,), {"env:OTHER": "x"})


def test_references_are_found_where_texts_hold_them_and_nowhere_else() -> None:
    other = SecretRef("a", "file", "/k")
    value: Any = {"content": text_to_json(("x", REF, REF)), "env": {"A": text_to_json((other,))}, "list": [text_to_json((REF,))]}
    assert find_secrets(value) == (REF, other)
    assert find_secrets({"env": {"secret": "a", "from": "b", "key": "c"}, "x": {"parts": "p"}}) == ()


def test_unknown_sources_are_refused() -> None:
    with pytest.raises(MalformedError):
        secret_from_json({"secret": "a", "from": "http", "key": "k"}, "secret")


# ── Diagnostics and errors ──


def test_diagnostics_are_sorted_and_said_once() -> None:
    first = Diagnostic("C104", "one", Place("a.yaml", 2, 1), hint="h", notes=("n",), related=(Place("b.yaml"),))
    second = Diagnostic("C105", "two", Place("a.yaml", 2, 1), severity="warning")
    last = Diagnostic("C001", "three", Place("b.yaml"))
    assert sort_diagnostics([last, second, first, first]) == (first, second, last)
    assert has_errors([second, first])
    assert not has_errors([second])
    assert first.to_json()["notes"] == ["n"]
    assert first.to_json()["related"] == [{"file": "b.yaml", "line": 1, "column": 1}]
    assert "notes" not in second.to_json()
    assert str(first.place) == "a.yaml:2:1"


@pytest.mark.parametrize(("count", "words"), [(1, "1 error in"), (2, "2 errors in")])
def test_stopping_for_mistakes_counts_them(count: int, words: str) -> None:
    stop = InvalidConfigError([Diagnostic("C1", str(number), Place("a")) for number in range(count)])
    assert words in stop.message
    assert stop.exit_status == 1
    assert isinstance(stop, ConfigError)


def test_every_error_has_a_code_of_its_own_and_an_exit_status() -> None:
    kinds = [item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, TrueupError)]
    assert len({item.code for item in kinds}) == len(kinds) > 8
    assert {item.exit_status for item in kinds} == {1, 3, 4, 5, 6, 7, 70}
    made = errors.HeldError("m", code="H123", hint="do")
    assert (made.code, made.hint, str(made)) == ("H123", "do", "m")
    assert errors.HeldError("m").code == "H000"


# ── Plans ──


@given(st.lists(groups, max_size=4))
def test_the_numbers_of_a_summary_add_up(found: list[ChangeGroup]) -> None:
    summary = FleetPlan(PlanSubject("a", "b"), tuple(found)).summary()
    by_action = sum(
        count for key, count in summary.items() if key not in ("hosts", "groups", "unchanged", "changed_hosts", "changes")
    )
    assert summary["changes"] == by_action == sum(len(group.hosts) * len(group.changes) for group in found)
    assert summary["groups"] == len(found)


def test_a_plan_has_changes_when_an_intent_or_a_line_is_there() -> None:
    subject = PlanSubject("a", "b")
    refused = Change(Address("file:/x"), "refused", "initial")
    assert not FleetPlan(subject).has_changes
    assert FleetPlan(subject, scope=Scope({"a": HostScope(frozenset({(Address("file:/x"), "removed")}))})).has_changes
    assert FleetPlan(subject, (ChangeGroup(("a",), (refused,)),)).has_changes
    assert refused.verb == ""
    assert Change(Address("file:/x"), "create", "initial").verb == "set"


def test_bounds_are_positive_and_a_comment_fits_where_it_is_posted() -> None:
    assert all(value > 0 for value in vars(DEFAULTS).values())
    assert DEFAULTS.comment_bytes < GITHUB_COMMENT


@given(texts)
def test_a_candidate_reads_what_it_lists(text: str) -> None:
    candidate = Candidate({"a": Listed("100644", 1)}, {"a": text.encode()}.__getitem__)
    assert candidate.read("a") == text.encode()
