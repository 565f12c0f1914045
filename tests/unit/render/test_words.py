"""Laws of the words that text, comment and page share."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops.model.address import Address
from gitops.model.fleetplan import ChangeGroup, FleetPlan, PlanSubject
from gitops.model.plan import Change, FieldChange
from gitops.model.scope import HostScope, Scope
from gitops.render.colour import paint, paint_diff
from gitops.render.text import render_host_plan
from gitops.render.words import (
    count_words,
    describe_age,
    describe_field,
    describe_observed,
    describe_risk,
    find_silent,
    fold_names,
    name_hosts,
    risk_reason,
    sign_of,
    why_of,
)
from tests.support.nouns import NOW
from tests.support.planning import declare, plan, with_content

X = Address("file:/x")


@pytest.mark.parametrize(
    ("names", "folded"),
    [
        (["web-001", "web-002", "web-003"], "web-001…web-003 (3 hosts)"),
        (["web-1", "web-2"], "web-1, web-2"),
        (["a9", "a10", "a11"], "a9…a11 (3 hosts)"),
        (["a09", "a10", "a11"], "a09…a11 (3 hosts)"),
        (["a9", "a010", "a011"], "a9, a010, a011"),
        (["a", "b", "c"], "a, b, c"),
        (["a", "b", "c", "d"], "a, b, c and 1 more (4 hosts)"),
        (["web-1.eu", "web-2.eu", "web-3.eu", "db"], "db, web-1.eu…web-3.eu (4 hosts)"),
        (["web-1.eu", "web-2.us", "web-3.eu"], "web-1.eu, web-3.eu, web-2.us"),
        ([], ""),
    ],
)
def test_runs_of_numbers_are_folded(names: list[str], folded: str) -> None:
    assert name_hosts(names) == folded


@given(st.lists(st.from_regex(r"[ab][0-9]{0,3}", fullmatch=True), max_size=12, unique=True))
def test_folding_loses_no_host(names: list[str]) -> None:
    found: list[str] = []
    for item in fold_names(names):
        first, mark, last = item.partition("…")
        if not mark:
            found.append(first)
            continue
        width = len(first) - 1 if first[1] == "0" else 0
        found.extend(f"{first[0]}{number:0{width}}" for number in range(int(first[1:]), int(last[1:]) + 1))
    assert sorted(found) == sorted(names)


@pytest.mark.parametrize(
    ("seconds", "words"), [(-5, "0 s"), (59, "59 s"), (60, "1 min"), (3600, "1 h"), (86400, "24 h"), (172800, "2 d")]
)
def test_ages_are_rounded_down(seconds: int, words: str) -> None:
    assert describe_age(NOW - timedelta(seconds=seconds), NOW) == words


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("0600", "0644", "m 0600 → 0644"),
        (None, True, "m none → yes"),
        ({"digest": "ab" * 32, "size": 3}, {"digest": None, "size": 0}, "m 3 bytes (abababab) → 0 bytes (none)"),
        ([], ["a", "b"], "m none → a, b"),
        ({"A": "x", "B": 2}, False, "m A=x, B=2 → no"),
    ],
)
def test_values_are_said_in_words(before: Any, after: Any, words: str) -> None:
    assert describe_field(FieldChange("m", before, after)) == words


@pytest.mark.parametrize(
    ("change", "sign", "why"),
    [
        (Change(X, "create", "initial"), "+", "new here"),
        (Change(X, "update", "conflict"), "!", "changed by hand and here"),
        (Change(X, "refused", "conflict", reason="r"), "✗", "refused: r"),
        (Change(X, "run", "corrective", confidence="opaque"), "?", "opaque: no check, runs every time"),
        (Change(X, "reload", "intentional", reason="because y changes"), "↻", "because y changes"),
        (Change(X, "restart", "corrective", reason="because y changes"), "↻", "because y changes, to heal"),
        (Change(X, "replace", "intentional", reason="a link is there"), "±", "this change; a link is there"),
        (Change(X, "update", "corrective"), "~", "changed on the host, will be put back"),
        (
            Change(Address("file:/a"), "update", "corrective", is_behind=True),
            "~",
            "released before, not yet there when the host was seen",
        ),
    ],
)
def test_each_line_has_a_sign_and_a_reason(change: Change, sign: str, why: str) -> None:
    assert (sign_of(change), why_of(change)) == (sign, why)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (Change(X, "remove", "initial", risk="high"), "something is removed"),
        (Change(X, "replace", "conflict", risk="high"), "something is replaced, changes made by hand are overwritten"),
        (Change(X, "run", "initial", "opaque", "high"), "a command runs unchecked"),
        (Change(X, "update", "intentional", risk="high"), "it could lock people out"),
        (Change(X, "update", "intentional"), ""),
    ],
)
def test_a_high_risk_says_what_makes_it_high(change: Change, reason: str) -> None:
    groups = (ChangeGroup(("a",), (change,)),)
    assert risk_reason(groups) == reason
    assert describe_risk(groups) == (f"high ({reason})" if reason else "low")


def test_how_old_what_was_seen_is() -> None:
    subject = PlanSubject("a", "b")
    ages = {"a": NOW, "b": NOW - timedelta(hours=3), "c": None}
    assert describe_observed(FleetPlan(subject, ages=ages), NOW) == "observed 0 s ago; oldest: b, 3 h; never observed: c"
    assert describe_observed(FleetPlan(subject), NOW) == "nothing to observe"


def test_what_has_no_line_is_found_per_host() -> None:
    scope = HostScope(frozenset({(X, "ab" * 32), (Address("file:/y"), "removed")}))
    made = FleetPlan(
        PlanSubject("a", "b"),
        (ChangeGroup(("h1",), (Change(X, "update", "initial"),), (Address("file:/y"),)),),
        Scope({"h1": scope, "h2": scope, "h3": scope}),
    )
    assert find_silent(made) == ((("h2", "h3"), ("file:/x", "file:/y")),)


def test_colour_only_repeats() -> None:
    assert paint("x", "+", colour=False) == paint_diff("+x", colour=False)[1:] == "x"
    assert paint("x", "+", colour=True) == "\x1b[32mx\x1b[0m"
    assert paint("x", "·", colour=True) == "x"
    assert paint_diff("?x", colour=True) == "?x"
    assert (count_words(1, "host"), count_words(2, "host")) == ("1 host", "2 hosts")


def test_a_machine_says_what_it_only_reports_and_when_there_is_nothing() -> None:
    file = declare("file:/x", {"content": "a\n"}, drift="report")
    text = render_host_plan(plan([file], {"file:/x": with_content("b\n")}, [file]), now=NOW)
    assert "only reported" in text
    assert "Nothing to change (0 resources" in text
    assert "never observed" in render_host_plan(plan([]), now=NOW)
