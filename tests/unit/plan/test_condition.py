"""Laws of `when`: facts that are known decide, custom ones count only as the named program told them, the rest is said to be open."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops.model.facts import FactProgram, Probe
from gitops.model.observation import Observation
from gitops.model.plan import HostPlan
from gitops.model.resource import Resource
from gitops.plan.condition import judge_when
from gitops.plan.host import plan_host
from gitops.plan.item import Preparer
from gitops.providers.registry import PROVIDERS
from tests.support.nouns import NOW
from tests.support.planning import ABSENT, declare, effects, lines, observe, with_content

RACK = FactProgram("ab" * 32, 9)
OTHER = FactProgram("cd" * 32, 9)
TOLD = Probe(RACK.digest)
BROKEN = Probe(RACK.digest, "it took too long")
FILE = declare("file:/etc/app", {"content": "x\n"}, when={"custom.rack": ("a", "b")}, facts={"custom.rack": RACK})


def seen(facts: dict[str, str], **probes: Probe) -> Observation:
    return Observation("web-1", NOW, facts, {}, 0, {f"custom.{name}": probe for name, probe in probes.items()})


def plan(resource: Resource, observation: Observation, *baseline: Resource, more: tuple[Resource, ...] = ()) -> HostPlan:
    before = {item.address: item for item in baseline}
    return plan_host("web-1", (resource, *more), observation=observation, baseline=before, preparer=Preparer(PROVIDERS))


def over(states: dict[str, object], facts: dict[str, str], **probes: Probe) -> Observation:
    return replace(seen(facts, **probes), states=observe(states).states)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@given(st.dictionaries(st.sampled_from("abc"), st.sampled_from("xy")))
def test_an_empty_predicate_is_always_met_and_one_never_met_fails(facts: dict[str, str]) -> None:
    def judge(when: dict[str, tuple[str, ...]]) -> str:
        return judge_when(replace(FILE, when=when, facts={}), seen(facts)).state

    assert judge({}) == "met"
    assert judge({"z": ("x", "y")}) == "unmet"
    assert judge({"a": ("x",)}) == ("met" if facts.get("a") == "x" else "unmet")
    assert judge({"a": ("x", "y")}) == ("met" if "a" in facts else "unmet")


@pytest.mark.parametrize(
    ("facts", "probes", "state"),
    [
        ({"custom.rack": "a"}, {"rack": TOLD}, "met"),
        ({"custom.rack": "c"}, {"rack": TOLD}, "unmet"),
        ({}, {"rack": TOLD}, "unmet"),
        ({}, {"rack": BROKEN}, "failed"),
        ({"custom.rack": "a"}, {"rack": BROKEN}, "failed"),
        ({}, {}, "unknown"),
        ({"custom.rack": "a"}, {}, "unknown"),
        ({"custom.rack": "a"}, {"rack": Probe(OTHER.digest)}, "unknown"),
        ({"custom.rack": "c"}, {"rack": Probe(OTHER.digest)}, "unknown"),
        ({}, {"rack": Probe(OTHER.digest, "broken")}, "unknown"),
    ],
)
def test_only_what_the_named_program_told_counts(facts: dict[str, str], probes: dict[str, Probe], state: str) -> None:
    assert judge_when(FILE, seen(facts, **probes)).state == state


def test_one_fact_that_does_not_match_decides_whatever_the_others_are() -> None:
    resource = replace(FILE, when={"custom.rack": ("a",), "kernel": ("darwin",)})
    assert judge_when(resource, seen({"kernel": "linux"})).state == "unmet"
    assert judge_when(resource, seen({"kernel": "linux"}, rack=BROKEN)).state == "unmet"


def test_a_failure_goes_before_what_is_not_known_and_both_say_why() -> None:
    facts = {"custom.rack": RACK, "custom.row": OTHER}
    resource = replace(FILE, when={"custom.rack": ("a",), "custom.row": tuple("123456")}, facts=facts)
    assert judge_when(resource, seen({}, rack=BROKEN)).reason == "custom.rack: it took too long"
    unknown = judge_when(resource, seen({}))
    assert unknown.reason == "only where custom.rack is a and custom.row is 1 or 2 or 3 or 4 …, which is not known here"


def test_what_is_not_known_is_planned_as_an_upper_bound_that_says_so() -> None:
    made = plan(FILE, over({"file:/etc/app": with_content("y\n")}, {}))
    (change,) = made.changes
    assert (change.action, change.confidence) == ("update", "conditional")
    assert change.reason == "only where custom.rack is a or b, which is not known here"
    assert effects(made) == {("file:/etc/app", "set")}
    assert made.scope.intents


def test_what_was_never_observed_and_may_not_be_wanted_says_both() -> None:
    made = plan(FILE, seen({}))
    (change,) = made.changes
    assert change.is_upper_bound
    assert change.reason == "never observed here: at most set, replace; only where custom.rack is a or b, which is not known here"


def test_an_opaque_command_stays_opaque_where_it_is_not_known() -> None:
    command = replace(declare("command:x", {"argv": ["true"]}), when=FILE.when, facts=FILE.facts)
    assert [change.confidence for change in plan(command, over({"command:x": {}}, {})).changes] == ["opaque"]


def test_a_known_fact_leaves_the_plan_exact_or_empty() -> None:
    states: dict[str, object] = {"file:/etc/app": ABSENT}
    met = plan(FILE, over(states, {"custom.rack": "a"}, rack=TOLD))
    assert [(change.action, change.confidence, change.reason) for change in met.changes] == [("create", "exact", "")]
    unmet = plan(FILE, over(states, {"custom.rack": "c"}, rack=TOLD))
    assert (unmet.changes, unmet.scope.effects) == ((), frozenset())


def test_what_a_failed_fact_decides_is_refused_with_all_that_needs_it_and_the_rest_goes_on() -> None:
    needing = declare("file:/etc/needing", {"content": "x\n"}, needs=["file:/etc/app"])
    free = declare("file:/etc/free", {"content": "x\n"})
    states: dict[str, object] = {"file:/etc/needing": ABSENT, "file:/etc/free": ABSENT}
    made = plan(FILE, over(states, {}, rack=BROKEN), more=(needing, free))
    assert [(change.address, change.action, change.reason) for change in made.changes] == [
        ("file:/etc/app", "refused", "custom.rack: it took too long"),
        ("file:/etc/free", "create", ""),
        ("file:/etc/needing", "refused", "depends on file:/etc/app, which is refused"),
    ]
    assert made.is_refused


def test_a_changed_program_is_a_change_and_leaves_open_who_changed_the_file() -> None:
    changed = replace(FILE, facts={"custom.rack": OTHER}, attributes={"content": "new\n"})
    observation = over({"file:/etc/app": with_content("by hand\n")}, {"custom.rack": "a"}, rack=TOLD)
    assert lines(plan(changed, observation, FILE)) == [
        ("file:/etc/app", "update", "conflict")
    ]  # the old program's answer is known
    on_host = over({"file:/etc/app": with_content("by hand\n")}, {"custom.rack": "a"}, rack=Probe(OTHER.digest))
    assert lines(plan(changed, on_host, FILE)) == [("file:/etc/app", "update", "intentional")]


def test_directories_of_what_may_not_be_wanted_are_not_settled() -> None:
    """A parent counts as put back only for something that the released state certainly has here."""
    new = declare("file:/srv/a/new", {"content": "x\n"})
    old = declare("file:/srv/a/old", {"content": "x\n"}, when=FILE.when, facts=FILE.facts)
    missing = {"type": "absent", "parents": ["/srv/a"]}
    states: dict[str, object] = {"file:/srv/a/new": missing, "file:/srv/a/old": missing}
    unknown, known = over(states, {}), over(states, {"custom.rack": "a"}, rack=TOLD)
    assert ("directory:/srv/a", "create", "initial") in lines(plan(new, unknown, old, more=(old,)))
    assert ("directory:/srv/a", "create", "corrective") in lines(plan(new, known, old, more=(old,)))
