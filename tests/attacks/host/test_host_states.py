"""A host reports what no machine could: its nonsense stops no plan, and none that was stored becomes unreadable."""

from __future__ import annotations

from typing import Any

import pytest

from gitops.errors import MalformedError
from gitops.model.address import Address
from gitops.model.codec import decode_json, digest_bytes, encode_canonical
from gitops.model.fleetplan import FleetPlan
from gitops.model.observation import MOST_NESTED, Observation
from gitops.model.resource import Resource
from gitops.render.comment import CommentSubject, Section, render_comment
from tests.support.nouns import NOW
from tests.support.worlds import Side, World, plan_by_parts, plan_whole

MOTD = Address("file:/etc/a")
THERE = {"type": "file", "owner": "root", "group": "root", "digest": digest_bytes(b"a\n"), "size": 2}


def lie(state: Any) -> FleetPlan:
    old, new = Side(), Side()
    for number in range(3):
        old.add(f"h{number}", (Resource("file", "/etc/a", {"content": "a\n", "mode": "0644"}),), 1)
        new.add(f"h{number}", (Resource("file", "/etc/a", {"content": "b\n", "mode": "0644"}),), 1)
    seen = Observation.from_json(decode_json(encode_canonical(Observation("h0", NOW, {}, {MOTD: state}, 2).to_json())))
    world = World(old.graphs(), new.graphs(), {"h0": seen})
    assert plan_by_parts(world).to_bytes() == plan_whole(world).to_bytes()
    return plan_by_parts(world)


def nest(depth: int) -> Any:
    found: Any = []
    for _ in range(depth):
        found = [found]
    return found


@pytest.mark.parametrize("parents", [[""], ["/"], ["/etc", ""], ["/elsewhere"], ["etc"], [[]], ["/etc"] * 1000])
def test_folders_that_are_made_up_leave_a_plan_that_can_be_read_and_shown(parents: Any) -> None:
    plan = lie({"type": "absent", "parents": parents})
    assert FleetPlan.from_json(decode_json(plan.to_bytes()), plan.to_parts().__getitem__) == plan
    text = render_comment(CommentSubject("a" * 40, "b" * 40, "main"), [Section(plan)], now=NOW)
    assert "file:/etc/a" in text


def test_a_state_that_is_nested_deeper_than_any_machine_is_is_refused_at_the_door() -> None:
    assert lie({**THERE, "mode": nest(MOST_NESTED - 2)}).groups
    for depth in (MOST_NESTED, 400, 900):
        with pytest.raises(MalformedError, match="nested more than"):
            lie({**THERE, "mode": nest(depth)})
