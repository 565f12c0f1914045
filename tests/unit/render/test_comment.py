"""Laws of the comment: under its limit, the approve command always whole, dead text, true in every state."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitops.model.address import Address, make_address
from gitops.model.diagnostic import Diagnostic, Place
from gitops.model.fleetplan import ChangeGroup, FleetPlan, PlanSubject
from gitops.model.limits import DEFAULTS
from gitops.model.plan import Change, FieldChange
from gitops.model.scope import HostScope, Scope
from gitops.render.comment import MARKER, STATES, Approvals, CommentSubject, Section, render_comment
from tests.support.nouns import NOW, changes, sorted_tuple
from tests.unit.render.test_escape import MARKDOWN, attacks, flatten

HEAD = CommentSubject("8d21e07" + "0" * 33, "91ab00d" + "0" * 33, "main")
DIGEST = "7c1f09ab" * 8
APPROVE = f"```\n/gitops approve {DIGEST}\n```"


def make(groups: list[ChangeGroup], **more: object) -> FleetPlan:
    scope = Scope({"web-1": HostScope(frozenset({(Address("file:/x"), "removed")}))})
    hosts = {host for group in groups for host in group.hosts}
    return replace(FleetPlan(PlanSubject("acme", "production", "7"), tuple(groups), scope, DIGEST, dict.fromkeys(hosts)), **more)  # pyright: ignore


def comment(*plans: FleetPlan, state: str = "planned", approvals: Approvals = Approvals(1), **more: object) -> str:  # noqa: B008  frozen
    return render_comment(HEAD, [Section(plan, approvals) for plan in plans], now=NOW, state=state, **more)  # pyright: ignore


hostile_addresses = st.builds(make_address, st.sampled_from(["file", "command"]), attacks.filter(bool))
hostile_changes = st.builds(
    lambda change, address, field, diff, reason: replace(change, address=address, fields=(field,), diff=diff, reason=reason),
    changes,
    hostile_addresses,
    st.builds(FieldChange, attacks, attacks, st.lists(attacks, max_size=2)),
    st.lists(attacks, max_size=3).map(tuple),
    attacks,
)
hostile_groups = st.builds(
    ChangeGroup,
    st.lists(attacks.filter(bool), min_size=1, max_size=4, unique=True).map(lambda found: tuple(sorted(found))),
    st.lists(hostile_changes, max_size=3).map(tuple),
    sorted_tuple(hostile_addresses, 2),
)


@given(st.lists(hostile_groups, max_size=3), attacks, attacks, attacks, st.sampled_from(STATES))
@settings(max_examples=150, deadline=None)
def test_no_attack_gets_through_the_whole_comment(
    groups: list[ChangeGroup], name: str, branch: str, words: str, state: str
) -> None:
    plan = make(groups, subject=PlanSubject("acme", name, "7"), reported=tuple(groups[:1]))
    subject = CommentSubject(branch, branch, branch, "https://plans.example.org/p/7")
    found = [
        Diagnostic("C104", words, Place(branch or "x", 1, 1), hint=words, severity=severity) for severity in ("error", "warning")
    ]
    text = render_comment(
        subject, [Section(plan, Approvals(1, (words,), (words,)))], now=NOW, state=state, diagnostics=found, note=words
    )
    for token in flatten(MARKDOWN.parse(text)):
        if token.type == "link_open":
            assert token.attrs["href"] == "https://plans.example.org/p/7"
        if token.type == "html_inline":
            assert token.content in ("<code>", "</code>", "<sub>", "</sub>")
        if token.type == "html_block":
            assert token.content.strip() == MARKER or re.fullmatch(
                r"(<details><summary>[a-z0-9 ]+</summary>|</details>)", token.content.strip()
            )
        assert token.type not in ("image", "heading_open", "blockquote_open", "hr")
        if token.type == "text":
            assert not re.search(r"@\w|#\d|GH-\d|!\d|://|www\.\w", token.content)
    assert text.split("\n")[0] == MARKER
    assert len(text.encode()) <= DEFAULTS.comment_bytes


BIG = Change(
    Address("file:/etc/" + "x" * 200),
    "update",
    "intentional",
    fields=(FieldChange("mode", "0600", "0644"),),
    diff=("+" + "y" * 300,) * 20,
)


@pytest.mark.parametrize("count", [1, 200, 5000])
@pytest.mark.parametrize("environments", [1, 4])
def test_it_fits_and_its_numbers_stay_whatever_the_size(count: int, environments: int) -> None:
    groups = [
        ChangeGroup((f"host-{number}-{number * 7919 % 997}",), (replace(BIG, address=Address(f"{BIG.address}{number}")),))
        for number in range(count)
    ]
    scope = Scope({"web-1": HostScope(frozenset(), frozenset({(Address("file:/x"), "run", DIGEST)}))})
    text = comment(*[make(groups, scope=scope)] * environments)
    assert len(text.encode()) <= DEFAULTS.comment_bytes
    assert text.count(APPROVE) == environments
    assert text.count(f"{count} change") >= environments
    shown = text.count("| ~ |")
    left_out = sum(int(number) for number in re.findall(r"… and (\d+) more lines?", text))
    assert shown + left_out == count * environments
    assert all(len(row.split("|")) == 7 for row in text.split("\n") if row.startswith("| ~"))


def test_a_hundred_environments_and_endless_names_still_fit() -> None:
    plan = make([ChangeGroup(("web-1",), (BIG,))])
    approvals = Approvals(3, tuple(f"user:{'u' * 500}{number}" for number in range(100)), ("r" * 5000,) * 100)
    text = comment(plan, approvals=approvals)
    assert len(text.encode()) <= DEFAULTS.comment_bytes
    assert APPROVE in text
    text = comment(*[plan] * 60)
    assert len(text.encode()) <= DEFAULTS.comment_bytes
    assert text.count(APPROVE) == 60


def test_what_destroys_is_shown_when_only_little_fits() -> None:
    remove = Change(Address("file:/gone"), "remove", "intentional", risk="high")
    groups = [
        ChangeGroup(("a",), (remove,)),
        *(ChangeGroup((f"h{number}x",), (replace(BIG, address=Address(f"file:/{number}")),)) for number in range(3000)),
    ]
    assert "`file:/gone`" in comment(make(groups))


def test_many_mistakes_are_cut_and_counted_errors_first() -> None:
    found = [Diagnostic("C211", "w" * 300, Place("a.yaml", number), severity="warning") for number in range(500)]
    found.append(Diagnostic("C104", "the mistake", Place("z.yaml", 1)))
    text = render_comment(HEAD, [], now=NOW, state="invalid", diagnostics=found)
    assert "the mistake" in text
    assert len(text.encode()) <= DEFAULTS.comment_bytes
    assert re.search(r"… and \d+ more: run `gitops validate`", text)
    assert "1 error in the config" in text


@pytest.mark.parametrize("state", STATES)
def test_only_a_current_plan_can_be_approved(state: str) -> None:
    text = comment(make([ChangeGroup(("web-1",), (BIG,))]), state=state)
    assert (APPROVE in text) == (state == "planned")
    words = {
        "planning": "is planning",
        "planned": "production",
        "invalid": "in the config",
        "conflict": "does not merge",
        "failed": "failed",
        "merged": "merged into",
        "closed": "closed without merging",
    }
    assert words[state] in text


def test_a_comment_that_plans_again_shows_nothing_old() -> None:
    assert "file:/etc" not in comment(make([ChangeGroup(("web-1",), (BIG,))]), state="planning")


@pytest.mark.parametrize(
    ("approvals", "words"),
    [
        (Approvals(2, ("user:alice",)), "Approvals: 1 of 2 (`user:alice`)"),
        (Approvals(1), "none yet"),
        (Approvals(1, ("user:alice",)), "Approved: merge"),
        (Approvals(0), "No approval is required"),
        (Approvals(1, (), ("alice: a host entered",)), "No longer counts: alice: a host entered."),
    ],
)
def test_it_says_where_approvals_stand(approvals: Approvals, words: str) -> None:
    assert words in comment(make([ChangeGroup(("web-1",), (BIG,))]), approvals=approvals)


def test_what_is_wanted_otherwise_without_effect_is_shown_and_approved() -> None:
    text = comment(make([]))
    assert "no effect today" in text
    assert "| = | `file:/x` | `web-1` | none |" in text
    assert APPROVE in text


def test_when_nothing_changes_nothing_is_to_be_approved() -> None:
    text = comment(make([], scope=Scope(), hosts=3))
    assert "nothing changes on 3 hosts" in text
    assert "approve" not in text.replace("approval", "")


def test_only_a_web_address_becomes_a_link() -> None:
    subject = replace(HEAD, url="javascript:alert(1)")
    assert "javascript" not in render_comment(subject, [Section(make([]))], now=NOW)
