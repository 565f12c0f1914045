"""Laws of one host's plan: what is planned, why, how sure, and what an approval must cover."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gitops.errors import MalformedError
from gitops.model.address import Address
from gitops.model.codec import encode_canonical
from gitops.model.observation import Observation
from gitops.model.plan import HostPlan
from gitops.model.resource import Resource
from gitops.model.scope import REMOVED, Scope
from gitops.plan.covers import covers
from gitops.plan.host import plan_host
from gitops.plan.item import Preparer, prepare_item
from gitops.providers.registry import PROVIDERS
from tests.support.nouns import NOW, make_state, projects, satisfy
from tests.support.planning import ABSENT, RUNNING, STOPPED, declare, effects, lines, plan, with_content

FILE = declare("file:/etc/app.conf", {"content": "new\n"}, notify=["service:app"])
OLD = replace(FILE, attributes={"content": "old\n"})
SERVICE = declare("service:app", {"state": "running", "on_notify": "reload"})
THERE = {"file:/etc/app.conf": with_content("new\n"), "service:app": RUNNING}


def test_what_is_as_desired_is_only_counted() -> None:
    made = plan([FILE, SERVICE], THERE, [FILE, SERVICE])
    assert (made.changes, made.unchanged, made.scope.is_empty) == ((), 2, True)


def test_an_intent_is_there_even_where_nothing_is_to_do() -> None:
    made = plan([FILE, SERVICE], THERE)
    assert made.changes == ()
    assert made.scope.intents == {(FILE.address, FILE.desired), (SERVICE.address, SERVICE.desired)}
    assert made.scope.effects == frozenset()


@pytest.mark.parametrize(
    ("baseline", "state", "expected"),
    [
        ([], ABSENT, ("create", "initial")),
        ([], with_content("x\n"), ("update", "initial")),
        ([OLD], with_content("old\n"), ("update", "intentional")),
        ([OLD], with_content("by hand\n"), ("update", "conflict")),
        ([OLD], ABSENT, ("create", "conflict")),
        ([FILE], with_content("by hand\n"), ("update", "corrective")),
        ([FILE], {**ABSENT, "type": "symlink", "target": "/x"}, ("replace", "corrective")),
        ([], {"type": "directory"}, ("refused", "initial")),
        ([FILE], {"type": "directory"}, ("refused", "corrective")),
    ],
)
def test_the_class_says_who_changed_what(baseline: list[Resource], state: dict[str, str], expected: tuple[str, str]) -> None:
    made = plan([FILE], {"file:/etc/app.conf": state}, baseline)
    assert [line[1:] for line in lines(made)] == [expected]


def test_corrective_changes_need_no_approval_and_neither_does_the_restart_they_bring() -> None:
    made = plan([FILE, SERVICE], {**THERE, "file:/etc/app.conf": with_content("by hand\n")}, [FILE, SERVICE])
    assert lines(made) == [("file:/etc/app.conf", "update", "corrective"), ("service:app", "reload", "corrective")]
    assert made.scope.is_empty


def test_a_refresh_follows_a_change_and_names_it() -> None:
    made = plan([FILE, SERVICE], {**THERE, "file:/etc/app.conf": with_content("old\n")}, [OLD, SERVICE])
    assert lines(made) == [("file:/etc/app.conf", "update", "intentional"), ("service:app", "reload", "intentional")]
    assert made.changes[1].causes == (FILE.address,)
    assert made.changes[1].reason == "because file:/etc/app.conf changes"
    assert effects(made) == {("file:/etc/app.conf", "set"), ("service:app", "reload")}


def test_starting_a_service_stands_for_its_reload_but_the_reload_is_approved_too() -> None:
    made = plan([FILE, SERVICE], {"file:/etc/app.conf": with_content("old\n"), "service:app": STOPPED}, [OLD, SERVICE])
    assert lines(made) == [("file:/etc/app.conf", "update", "intentional"), ("service:app", "update", "corrective")]
    assert effects(made) == {("file:/etc/app.conf", "set"), ("service:app", "reload")}


def test_two_causes_are_named_together_and_the_strongest_class_wins() -> None:
    other = declare("file:/etc/other", {"content": "x\n"}, notify=["service:app"])
    states = {"file:/etc/app.conf": with_content("old\n"), "file:/etc/other": with_content("by hand\n"), "service:app": RUNNING}
    made = plan([FILE, other, SERVICE], states, [OLD, other, SERVICE])
    assert lines(made)[-1] == ("service:app", "reload", "intentional")
    assert made.changes[-1].reason == "because file:/etc/app.conf, file:/etc/other change"


def test_a_refresh_passes_on_the_class_that_brought_it() -> None:
    """An item that heals *and* is reloaded for this change counts as changed by this change."""
    service = declare("service:app", {"state": "running", "enabled": True, "on_notify": "reload"}, notify=["command:warm"])
    warm = declare("command:warm", {"argv": ["true"], "refresh_only": True})
    states = {"file:/etc/app.conf": with_content("old\n"), "service:app": {**RUNNING, "enabled": False}, "command:warm": {}}
    made = plan([FILE, service, warm], states, [OLD, service, warm])
    assert [line for line in lines(made) if line[0] != "file:/etc/app.conf"] == [
        ("service:app", "update", "corrective"),
        ("service:app", "reload", "intentional"),
        ("command:warm", "run", "intentional"),
    ]
    assert ("command:warm", "run") in effects(made)


def test_drift_that_is_only_reported_changes_nothing_and_notifies_nobody() -> None:
    file = replace(FILE, drift="report")
    made = plan([file, SERVICE], {**THERE, "file:/etc/app.conf": with_content("by hand\n")}, [file, SERVICE])
    assert made.changes == ()
    assert [change.action for change in made.reported] == ["update"]
    assert made.unchanged == 1


def test_drift_that_is_only_reported_is_not_refused_either() -> None:
    file = replace(FILE, drift="report")
    made = plan([file], {"file:/etc/app.conf": {"type": "directory"}}, [file])
    assert (made.changes, [change.action for change in made.reported]) == ((), ["refused"])
    assert not made.is_refused


def test_report_rules_drift_alone_and_not_what_this_change_wants() -> None:
    made = plan([replace(FILE, drift="report")], {"file:/etc/app.conf": with_content("old\n")}, [replace(OLD, drift="report")])
    assert lines(made) == [("file:/etc/app.conf", "update", "intentional")]


def test_what_depends_on_a_refused_item_is_refused_with_the_reason_and_the_rest_goes_on() -> None:
    needing = declare("file:/srv/x", {"content": "x\n"}, needs=["file:/etc/app.conf"])
    after = declare("file:/srv/y", {"content": "x\n"}, needs=["file:/srv/x"])
    free = declare("file:/srv/z", {"content": "x\n"})
    states = {
        "file:/etc/app.conf": {"type": "directory"},
        "file:/srv/x": ABSENT,
        "file:/srv/y": ABSENT,
        "file:/srv/z": ABSENT,
        "service:app": RUNNING,
    }
    made = plan([FILE, SERVICE, needing, after, free], states)
    assert [line[:2] for line in lines(made)] == [
        ("file:/etc/app.conf", "refused"),
        ("file:/srv/x", "refused"),
        ("file:/srv/y", "refused"),
        ("file:/srv/z", "create"),
    ]
    assert made.changes[1].reason == "depends on file:/etc/app.conf, which is refused"
    assert made.changes[2].causes == (Address("file:/srv/x"),)
    assert effects(made) == {("file:/srv/z", "set")}
    assert len(made.scope.intents) == 5
    assert made.is_refused


def test_a_refused_service_is_not_reloaded() -> None:
    blocked = replace(SERVICE, needs=(Address("file:/srv/bad"),))
    bad = declare("file:/srv/bad", {"content": "x"})
    states = {"file:/etc/app.conf": with_content("old\n"), "file:/srv/bad": {"type": "directory"}, "service:app": RUNNING}
    made = plan([FILE, bad, blocked], states, [OLD])
    assert [line[1] for line in lines(made)] == ["update", "refused", "refused"]


def test_missing_parents_are_items_of_their_own_made_once() -> None:
    state = {"type": "absent", "parents": ["/srv", "/srv/a"]}
    made = plan(
        [declare("file:/srv/a/x", {"content": "x"}), declare("file:/srv/a/y", {"content": "y"})],
        {"file:/srv/a/x": state, "file:/srv/a/y": state},
    )
    assert [line[:2] for line in lines(made)] == [
        ("directory:/srv", "create"),
        ("directory:/srv/a", "create"),
        ("file:/srv/a/x", "create"),
        ("file:/srv/a/y", "create"),
    ]
    assert [resource.address for resource in made.implied] == ["directory:/srv", "directory:/srv/a"]
    assert made.changes[0].reason == "parent of file:/srv/a/x"
    assert ("directory:/srv", "set") in effects(made)


def test_a_parent_that_the_release_needs_already_is_healing_whoever_asks_for_it() -> None:
    released = declare("file:/srv/z/old", {"content": "x"})
    new = declare("file:/srv/a", {"content": "x"})
    states = {
        "file:/srv/z/old": {"type": "absent", "parents": ["/srv", "/srv/z"]},
        "file:/srv/a": {"type": "absent", "parents": ["/srv"]},
    }
    made = plan([new, released], states, [released])
    assert lines(made)[0] == ("directory:/srv", "create", "corrective")
    assert effects(made) == {("file:/srv/a", "set")}


def test_a_declared_parent_that_is_only_reported_is_made_as_declared_when_a_child_needs_it() -> None:
    parent = declare("directory:/srv/x", {"mode": "0700"}, drift="report")
    child = declare("file:/srv/x/a", {"content": "x"})
    states = {"directory:/srv/x": {"type": "absent", "parents": []}, "file:/srv/x/a": {"type": "absent", "parents": ["/srv/x"]}}
    made = plan([parent, child], states, [parent])
    assert [line for line in lines(made) if line[0].startswith("directory")] == [("directory:/srv/x", "create", "corrective")]
    assert made.implied == (parent,)
    assert effects(made) == {("file:/srv/x/a", "set")}


def test_what_is_absent_settles_no_parents() -> None:
    gone = declare("file:/srv/gone", {"state": "absent"})
    new = declare("file:/srv/new", {"content": "x"})
    state = {"type": "absent", "parents": ["/srv"]}
    made = plan([gone, new], {"file:/srv/gone": state, "file:/srv/new": state}, [gone])
    assert lines(made)[0] == ("directory:/srv", "create", "initial")


def test_a_package_or_command_that_changes_makes_what_follows_conditional() -> None:
    package = declare("package:app", {})
    states = {"package:app": {"installed": ""}, "service:app": STOPPED, "file:/etc/app.conf": ABSENT}
    made = plan([package, SERVICE, FILE], states)
    by_address = {change.address: change.confidence for change in made.changes}
    assert by_address == {"package:app": "exact", "service:app": "conditional", "file:/etc/app.conf": "exact"}


def test_a_command_without_a_guard_is_opaque_and_named_with_its_causes() -> None:
    command = declare("command:x", {"argv": ["true"]})
    file = replace(FILE, notify=(Address("command:x"),))
    made = plan([file, command], {"file:/etc/app.conf": ABSENT, "command:x": {}})
    run = made.changes[-1]
    assert (run.action, run.confidence, run.risk, run.causes) == ("run", "opaque", "high", (FILE.address,))
    assert ("command:x", "run", command.after) in made.scope.effects


# ── `when`, removal, `only` ──


def test_when_decides_effects_and_never_intents() -> None:
    elsewhere = replace(FILE, when={"os.family": ("redhat",)}, notify=())
    made = plan([elsewhere], {})
    assert (made.changes, made.unchanged, made.scope.effects) == ((), 0, frozenset())
    assert made.scope.intents == {(elsewhere.address, elsewhere.desired)}
    assert plan([replace(elsewhere, when={"os.family": ("debian",)})], {"file:/etc/app.conf": ABSENT}).changes


def test_a_release_that_was_not_meant_for_this_host_is_no_conflict() -> None:
    before = replace(OLD, when={"os.family": ("redhat",)})
    made = plan([FILE], {"file:/etc/app.conf": with_content("own\n")}, [before])
    assert lines(made) == [("file:/etc/app.conf", "update", "intentional")]


def test_what_an_older_compiler_made_is_no_conflict_and_no_obstacle() -> None:
    before = replace(FILE, attributes={"colour": "red"})
    made = plan([FILE], {"file:/etc/app.conf": with_content("own\n")}, [before])
    assert lines(made) == [("file:/etc/app.conf", "update", "intentional")]


def test_what_leaves_the_config_stays_and_is_an_intent() -> None:
    made = plan([], {}, [FILE])
    assert (made.unmanaged, made.changes) == ((FILE.address,), ())
    assert made.scope.intents == {(FILE.address, REMOVED)}


def test_only_restricts_to_an_address_and_what_it_needs() -> None:
    needing = declare("service:web", {"state": "running"}, needs=["file:/etc/app.conf"])
    other = declare("file:/srv/x", {"content": "x"})
    states = {"file:/etc/app.conf": ABSENT, "service:web": STOPPED, "file:/srv/x": ABSENT}
    made = plan([replace(FILE, notify=()), needing, other], states, [declare("file:/gone")], only=["service:web"])
    assert [line[0] for line in lines(made)] == ["file:/etc/app.conf", "service:web"]
    assert {address for address, _ in made.scope.intents} == {"file:/etc/app.conf", "service:web"}
    assert made.unmanaged == ()


def test_only_names_what_is_there() -> None:
    with pytest.raises(MalformedError, match="no resource file:/nope"):
        plan([FILE, SERVICE], {}, only=["file:/nope"])


# ── Never observed ──


def test_an_address_never_observed_lists_all_it_may_need_and_says_so() -> None:
    made = plan([FILE, SERVICE])
    assert [change.is_upper_bound for change in made.changes] == [True, True]
    assert [change.confidence for change in made.changes] == ["conditional", "conditional"]
    assert made.changes[0].reason == "never observed here: at most set, replace"
    assert made.changes[1].reason == "never observed here: at most set, reload"
    assert effects(made) == {
        ("directory:/etc", "set"),
        ("file:/etc/app.conf", "set"),
        ("file:/etc/app.conf", "replace"),
        ("service:app", "set"),
        ("service:app", "reload"),
    }
    assert made.observed is None


def test_what_was_released_is_approved_already_though_never_observed() -> None:
    made = plan([FILE, SERVICE], None, [FILE, SERVICE])
    assert (made.changes, made.scope.is_empty, made.unchanged) == ((), True, 2)


def test_a_reload_that_may_be_needed_has_a_line_of_its_own() -> None:
    made = plan([FILE, SERVICE], None, [OLD, SERVICE])
    assert lines(made) == [("file:/etc/app.conf", "create", "intentional"), ("service:app", "reload", "intentional")]
    assert (made.changes[1].causes, made.changes[1].after) == ((FILE.address,), "")


def test_what_may_be_removed_leaves_nothing_behind() -> None:
    made = plan([declare("file:/srv/x", {"state": "absent"})])
    assert [(change.action, change.after, change.risk) for change in made.changes] == [("remove", "", "high")]


def test_a_command_that_only_runs_notified_may_run_when_its_cause_may() -> None:
    command = declare("command:x", {"argv": ["true"], "refresh_only": True})
    made = plan([replace(FILE, notify=(command.address,)), command])
    assert ("command:x", "run", command.after) in made.scope.effects
    assert plan([command]).changes == ()


def test_a_new_address_on_a_known_host_is_an_upper_bound_too() -> None:
    new = declare("file:/srv/new", {"content": "x"})
    made = plan([FILE, new], {"file:/etc/app.conf": with_content("new\n")}, [FILE])
    assert [(change.address, change.is_upper_bound) for change in made.changes] == [("file:/srv/new", True)]


# ── General laws, on random small machines ──


def run_plan(desired: tuple[Resource, ...], observation: Observation | None, baseline: tuple[Resource, ...]) -> HostPlan:
    return plan_host(
        "web-1",
        desired,
        observation=observation,
        baseline={item.address: item for item in baseline},
        preparer=Preparer(PROVIDERS),
    )


def see(draw: st.DrawFn, *resources: tuple[Resource, ...]) -> dict[Address, dict[str, object]]:
    addresses = sorted({item.address for found in resources for item in found})
    return {address: make_state(address.partition(":")[0], draw) for address in addresses}  # pyright: ignore[reportReturnType]


@st.composite
def situations(draw: st.DrawFn) -> tuple[tuple[Resource, ...], Observation, tuple[Resource, ...]]:
    baseline, new = draw(projects()), draw(projects())
    kept = [item for item in baseline if draw(st.booleans())]
    names = {item.name for item in kept}
    desired = tuple(sorted([*kept, *(item for item in new if item.name not in names)], key=lambda item: item.address))
    known = {item.address for item in desired}
    desired = tuple(replace(item, notify=tuple(other for other in item.notify if other in known)) for item in desired)
    return desired, Observation("web-1", NOW, {}, see(draw, baseline, desired)), baseline  # pyright: ignore[reportArgumentType]


@given(situations())
def test_once_observed_the_plan_is_covered_by_what_was_approved_unseen(
    situation: tuple[tuple[Resource, ...], Observation, tuple[Resource, ...]],
) -> None:
    desired, observation, baseline = situation
    unseen, seen = run_plan(desired, None, baseline), run_plan(desired, observation, baseline)
    assert covers([Scope({"web-1": unseen.scope})], Scope({"web-1": seen.scope}))


@given(situations(), st.data())
def test_learning_more_of_a_host_needs_no_new_approval(
    situation: tuple[tuple[Resource, ...], Observation, tuple[Resource, ...]], data: st.DataObject
) -> None:
    desired, observation, baseline = situation
    known = {address: state for address, state in observation.states.items() if data.draw(st.booleans())}
    partly = run_plan(desired, replace(observation, states=known), baseline)
    assume(not any(change.action == "refused" for change in partly.changes))
    assert covers([Scope({"web-1": partly.scope})], Scope({"web-1": run_plan(desired, observation, baseline).scope}))


@given(situations(), st.data())
@settings(max_examples=300)
def test_healing_between_plan_and_apply_needs_no_new_approval(
    situation: tuple[tuple[Resource, ...], Observation, tuple[Resource, ...]], data: st.DataObject
) -> None:
    desired, observation, baseline = situation
    approved = run_plan(desired, observation, baseline)
    before = run_plan(baseline, observation, baseline)
    assume(not before.is_refused)
    assume(not approved.is_refused)
    healed = dict(observation.states)
    for item in baseline:
        prepared = prepare_item(item, PROVIDERS)
        if item.drift == "heal" and prepared.provider.diff(prepared.spec, observation.states[item.address]) is not None:
            healed[item.address] = satisfy(item, data.draw)
    later = run_plan(desired, replace(observation, states=healed), baseline)
    assert covers([Scope({"web-1": approved.scope})], Scope({"web-1": later.scope}))


@given(situations(), st.randoms())
def test_the_same_inputs_in_any_order_give_the_same_bytes(
    situation: tuple[tuple[Resource, ...], Observation, tuple[Resource, ...]], order: random.Random
) -> None:
    desired, observation, baseline = situation
    first = run_plan(desired, observation, baseline)
    shuffled, other = list(desired), list(baseline)
    order.shuffle(shuffled)
    order.shuffle(other)
    states = dict(sorted(observation.states.items(), key=lambda _: order.random()))
    again = run_plan(tuple(shuffled), replace(observation, states=states), tuple(other))
    assert encode_canonical(again.to_json()) == encode_canonical(first.to_json())


@given(situations())
def test_every_line_that_is_not_healing_is_in_the_scope_and_every_resource_is_counted_once(
    situation: tuple[tuple[Resource, ...], Observation, tuple[Resource, ...]],
) -> None:
    desired, observation, baseline = situation
    made = run_plan(desired, observation, baseline)
    for change in made.changes:
        if change.classification != "corrective" and change.action != "refused":
            assert (change.address, change.verb, change.after) in made.scope.effects
    shown = {change.address for change in (*made.changes, *made.reported)} - {item.address for item in made.implied}
    declared = {item.address for item in desired}
    assert len(declared) == made.unchanged + len(shown & declared) + len(
        {item.address for item in made.implied} & declared - shown
    )


@given(situations())
def test_a_plan_against_the_release_itself_needs_no_approval(
    situation: tuple[tuple[Resource, ...], Observation, tuple[Resource, ...]],
) -> None:
    _, observation, baseline = situation
    made = run_plan(baseline, observation, baseline)
    assert made.scope.is_empty
    assert all(change.classification == "corrective" for change in made.changes)
