"""Timers on real hosts: they fire, their arguments arrive as they are, and systemd reads every schedule that we take."""

from __future__ import annotations

import json
import time

import pytest

from gitops.providers.timers.words import find_calendar_mistake, is_span
from tests.support.managed import Managed

pytestmark = [pytest.mark.hosts, pytest.mark.xdist_group("hosts")]

CALENDARS = """\
daily
Weekly
quarterly
semiannually
minutely UTC
Mon
Mon..Fri 02:30
Sat,Sun *-*-* 06:00:00
Mon,Wed..Fri 10:00
friday 17:00
*-*-01
12-24
*-02~01
*-02~03 04:00
2026-12-24..31 08:00
*-1,4,7,10-1 00:00
*:0/15
*:*:0/10
0/2:30
8..18:00/30
09..17/2:15
2026/2-01-01 00:00 UTC
Mon *-05~07/1
Mon..Fri 02:30 UTC""".splitlines()
SPANS = ("15min", "1h 30min", "90", "2 days", "1w", "500ms", "1M", "3 months 2 days", "1hour", "10s")


def shown(machine: Managed, *argv: str) -> str:
    return machine.host.run(argv, check=False).out.strip()


def state_of(machine: Managed, unit: str) -> tuple[str, str]:
    return shown(machine, "systemctl", "is-active", unit), shown(machine, "systemctl", "is-enabled", unit)


def messages(machine: Managed, resources: str) -> dict[str, tuple[str, str]]:
    return {str(item.address): (item.result, item.message) for item in machine.apply(resources).report.changes}


@pytest.mark.parametrize("text", CALENDARS)
def test_a_schedule_that_systemd_reads_is_taken(text: str) -> None:
    assert find_calendar_mistake(text) == ""


def test_systemd_reads_every_schedule_that_is_taken(shared: Managed) -> None:
    for calendar in CALENDARS:
        done = shared.host.run(["systemd-analyze", "calendar", calendar], check=False)
        assert done.status == 0, (calendar, done.err)
    for span in SPANS:
        assert is_span(span)
        assert shared.host.run(["systemd-analyze", "timespan", span], check=False).status == 0, span


def test_a_timer_fires_and_its_arguments_arrive_as_they_are(shared: Managed) -> None:
    shared.converge("- directory: /srv/clockwork\n  owner: daemon\n")
    script = (
        'printf "%s|" "$0" "$@" >/srv/clockwork/new && id -un >>/srv/clockwork/new && mv /srv/clockwork/new /srv/clockwork/seen'
    )
    command = json.dumps(["/bin/sh", "-c", script, "a b", "%H", "$HOME", "\\n", ";", '"'])
    report = shared.converge(f"- timer: clockwork\n  every: 1s\n  user: daemon\n  command: {command}\n")
    assert state_of(shared, "clockwork.timer") == ("active", "enabled")
    deadline = time.monotonic() + 60
    seen = shared.host.path / "srv/clockwork/seen"
    while not seen.exists():
        assert time.monotonic() < deadline, shown(shared, "systemctl", "status", "clockwork.service")
        time.sleep(0.05)
    assert seen.read_text(encoding="utf-8") == 'a b|%H|$HOME|\\n|;|"|daemon\n'
    assert shared.rollback(report.run).report.result in (
        "reverted",
        "failed",
    )  # a user who has run something may have left things
    assert (shared.host.path / "etc/systemd/system/clockwork.timer").exists() is False
    assert state_of(shared, "clockwork.timer")[0] == "inactive"


def test_a_timer_is_scheduled_changed_healed_removed_and_brought_back(shared: Managed) -> None:
    resources = '- timer: nightly\n  schedule: "TIME"\n  persistent: true\n  randomized_delay: 5min\n  command: [/bin/true]\n'
    first = shared.converge(resources.replace("TIME", "*-*-* 02:30"))
    shown_next = shown(shared, "systemctl", "show", "-p", "NextElapseUSecRealtime", "--value", "nightly.timer")
    assert shown_next != ""
    second = shared.converge(resources.replace("TIME", "*-12-24 18:00"))
    assert "12-24" in shown(shared, "systemctl", "show", "-p", "TimersCalendar", "nightly.timer")
    assert shared.rollback(second.run).report.result == "reverted"
    assert "02:30" in shown(shared, "systemctl", "show", "-p", "TimersCalendar", "nightly.timer")
    wanted = resources.replace("TIME", "*-*-* 02:30")
    shared.host.run(["systemctl", "disable", "--now", "nightly.timer"])
    assert [item.action for item in shared.converge(wanted).changes] == ["update"]
    assert state_of(shared, "nightly.timer") == ("active", "enabled")
    gone = shared.converge("- timer: nightly\n  state: absent\n")
    assert state_of(shared, "nightly.timer")[0] == "inactive"
    assert shared.rollback(gone.run).report.result == "reverted"
    assert state_of(shared, "nightly.timer") == ("active", "enabled")
    assert shared.plan(wanted).changes == ()
    assert shared.rollback(first.run).report.result == "reverted"
    assert state_of(shared, "nightly.timer")[0] == "inactive"
    assert not (shared.host.path / "etc/systemd/system/nightly.service").exists()


def test_a_timer_that_never_elapses_has_failed(shared: Managed) -> None:
    resources = '- timer: late\n  schedule: "2001-01-01"\n  command: [/bin/true]\n'
    result, message = messages(shared, resources)["timer:late"]
    assert (result, "never elapses" in message) == ("failed", True), message
    shared.apply("- timer: late\n  state: absent\n")


def test_a_name_that_the_system_uses_is_refused(shared: Managed) -> None:
    plan = shared.plan("- timer: systemd-tmpfiles-clean\n  every: 1h\n  command: [/bin/true]\n")
    assert [(item.action, "would be hidden" in item.reason) for item in plan.changes] == [("refused", True)]
