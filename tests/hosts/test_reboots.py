"""Reboots of real hosts: the run ends where the machine goes down, the next one goes on, and no cause reboots twice."""

from __future__ import annotations

import json

import pytest

from gitops.model.report import Outcome
from gitops.model.wire import Event
from tests.support.managed import Managed

pytestmark = [pytest.mark.hosts, pytest.mark.xdist_group("hosts")]

KILL = "KillMode=mixed"  # as the agent's unit has it
RESOURCES = """\
- file: /etc/kernel.conf
  content: "CONTENT\\n"
  notify: [reboot:kernel]
- reboot: kernel
- file: /etc/after-boot
  content: x
  needs: [reboot:kernel]
"""


def boot_of(machine: Managed) -> str:
    return machine.host.run(["cat", "/proc/sys/kernel/random/boot_id"]).out


def steps_of(events: list[Event]) -> list[str]:
    return [str(Outcome.from_json(event.body).address) for event in events if event.event == "step"]


def is_interrupted(machine: Managed) -> bool:
    """Say whether one of the runs was cut off, as the host lists them."""
    return '"interrupted"' in json.dumps(machine.send(machine.request("runs", "[]")).body("runs"))


def test_a_notified_reboot_ends_the_run_and_the_next_one_does_the_rest(machine: Managed) -> None:
    before, resources = boot_of(machine), RESOURCES.replace("CONTENT", "first")
    plan = machine.plan(resources)
    assert [(str(item.address), item.action, item.risk) for item in plan.changes][1] == ("reboot:kernel", "run", "high")
    events = machine.apply_as_unit(resources, KILL, is_awaited=False)
    assert boot_of(machine) != before
    assert (steps_of(events), events[-1].event) == (["file:/etc/kernel.conf"], "error")
    assert "what is left is done by the next run" in json.dumps(events[-1].body)
    assert not (machine.host.path / "etc/after-boot").exists()
    second, boot = machine.apply(resources), boot_of(machine)
    assert {str(item.address): item.message for item in second.report.changes} == {
        "file:/etc/after-boot": "",
        "reboot:kernel": "the machine has booted since",
    }
    assert is_interrupted(machine)
    assert machine.apply(resources).report.result == "converged"
    again = machine.apply(resources.replace("first", "second"))  # a second change within a day
    assert "not again until then" in {str(item.address): item.message for item in again.report.changes}["reboot:kernel"]
    assert boot_of(machine) == boot


def test_a_file_that_requires_a_reboot_gets_one_and_one_that_comes_back_none(machine: Managed) -> None:
    resources = "- reboot: updates\n  if_exists: /run/reboot-required\n"
    assert machine.plan(resources).changes == ()
    before = boot_of(machine)
    machine.host.run(["touch", "/run/reboot-required"])
    assert machine.plan(resources).changes[0].risk == "high"
    assert steps_of(machine.apply_as_unit(resources, KILL, is_awaited=False)) == []
    assert boot_of(machine) != before
    assert machine.apply(resources).report.result == "converged"
    machine.host.run(["touch", "/run/reboot-required"])
    refused = machine.apply(resources)
    assert (refused.status, refused.plan.changes[0].action) == (4, "refused")
    assert "look into it" in refused.plan.changes[0].reason
