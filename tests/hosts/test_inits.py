"""Services under other inits than systemd, each booted for real as process 1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.hosts import Rig
from tests.support.managed import Managed
from tests.support.reallaws import try_laws
from tests.support.results import check_results
from tests.support.roots import MANY

pytestmark = [pytest.mark.hosts, pytest.mark.xdist_group("hosts")]

COMM = {"openrc": "init", "sysvinit": "init", "runit": "runit"}
SCRIPT = """#!/bin/sh
### BEGIN INIT INFO
# Provides: {name}
# Required-Start:
# Required-Stop:
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
# Short-Description: sleeps
### END INIT INFO
pid=/run/{name}.pid
start() {{ start-stop-daemon --start --quiet --background --make-pidfile --pidfile $pid --startas {program}; }}
stop() {{ start-stop-daemon --stop --quiet --oknodo --retry 5 --remove-pidfile --pidfile $pid; }}
case "$1" in
start) start ;;
stop) stop ;;
restart) stop; start ;;
reload) kill -HUP $(cat $pid) ;;
status) start-stop-daemon --status --pidfile $pid ;;
esac
"""
OPENRC = """#!/sbin/openrc-run
command={interpreter}
command_args={program}
command_background=true
pidfile=/run/{name}.pid
extra_started_commands="reload"
reload() {{ kill -HUP $(cat $pidfile); }}
"""
DAEMON = """#!/usr/bin/python3
import os, signal, time
signal.signal(signal.SIGHUP, lambda *_: open("/run/{name}.reloaded", "w").close())
open("/run/{name}.pid", "w").write(str(os.getpid()))
while True:
    time.sleep(1000)
"""


@pytest.fixture(scope="module", params=sorted(COMM))
def other(
    request: pytest.FixtureRequest, rig: Rig, executors: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Managed]:
    host = rig.boot(f"init-{request.param}", MANY, init=request.param)
    assert host.run(["cat", "/proc/1/comm"]).out.strip() == COMM[request.param]
    yield Managed.start(host, tmp_path_factory.mktemp("init") / "project", executors["bookworm"])
    host.remove()


def init_of(machine: Managed) -> str:
    return machine.host.name.partition("-")[2]


def make_service(machine: Managed, name: str, program: str = "") -> None:
    """Put a service there by hand, as a package would."""
    root, init = machine.host.path, init_of(machine)
    path = program or f"/usr/local/sbin/{name}"
    if not program:
        write(root / path[1:], DAEMON.format(name=name))
    if init == "runit":
        write(root / f"etc/sv/{name}/run", f"#!/bin/sh\nexec {path}\n")
    else:
        script = OPENRC if init == "openrc" else SCRIPT
        interpreter = "/usr/bin/false" if program else "/usr/bin/python3"
        write(root / f"etc/init.d/{name}", script.format(name=name, program=path, interpreter=interpreter))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def is_running(machine: Managed, name: str) -> bool:
    """Ask by the process itself, not by the init."""
    script = f'kill -0 "$(cat /run/{name}.pid)" && grep -q {name} "/proc/$(cat /run/{name}.pid)/cmdline"'
    return machine.host.run(["sh", "-c", script], check=False).status == 0


def test_a_service_runs_and_starts_at_boot_and_not_any_more_when_it_is_stopped(other: Managed) -> None:
    make_service(other, "lasting")
    other.converge("- service: lasting\n  state: running\n  enabled: true\n")
    assert is_running(other, "lasting")
    other.host.power_off()
    other.host.boot()
    assert other.plan("- service: lasting\n  enabled: true\n").changes == ()
    assert other.apply("- service: lasting\n  state: running\n").report.result in ("converged", "changed")
    other.converge("- service: lasting\n  state: stopped\n  enabled: false\n")
    assert not is_running(other, "lasting")
    other.host.power_off()
    other.host.boot()
    assert other.plan("- service: lasting\n  state: stopped\n  enabled: false\n").changes == ()
    assert not is_running(other, "lasting")


def test_the_laws_hold_under_this_init(other: Managed, request: pytest.FixtureRequest) -> None:
    make_service(other, "lawful")
    found = try_laws(other, "- service: lawful\n  state: running\n  enabled: true\n")
    check_results(f"Debian 12, {init_of(other)}", found, request.config)


def test_a_notified_service_is_restarted_or_reloaded_and_never_started(other: Managed) -> None:
    make_service(other, "told")
    resources = "- file: /etc/told.conf\n  content: CONTENT\n  notify: [service:told]\n- service: told\n  state: running\n  enabled: true\n  on_notify: reload\n"
    other.converge(resources.replace("CONTENT", "one"))
    pid = other.host.run(["cat", "/run/told.pid"]).out
    other.converge(resources.replace("CONTENT", "two"))
    assert other.host.run(["cat", "/run/told.pid"]).out == pid
    other.host.run(["test", "-e", "/run/told.reloaded"])
    other.converge(resources.replace("CONTENT", "three").replace("on_notify: reload", "on_notify: restart"))
    assert other.host.run(["cat", "/run/told.pid"]).out != pid
    other.converge("- service: told\n  state: stopped\n")
    other.apply("- file: /etc/told.conf\n  content: four\n  notify: [service:told]\n- service: told\n")
    assert not is_running(other, "told")


# runit starts it again by itself; Debian's OpenRC, without its own start-stop-daemon, does not notice (recorded cases show one that does).
@pytest.mark.parametrize("other", ["sysvinit"], indirect=True)
def test_a_service_that_died_is_found_and_started_again(other: Managed) -> None:
    make_service(other, "mortal")
    wanted = "- service: mortal\n  state: running\n"
    other.converge(wanted)
    other.host.run(["sh", "-c", "kill -9 $(cat /run/mortal.pid)"])
    other.converge(wanted)
    assert is_running(other, "mortal")


@pytest.mark.parametrize("other", ["runit", "sysvinit"], indirect=True)
def test_a_service_that_cannot_start_fails(other: Managed) -> None:
    make_service(other, "doomed", "/bin/false")
    answer = other.apply("- service: doomed\n  state: running\n  enabled: true\n")
    assert [(item.result, "doomed" in item.message) for item in answer.report.changes] == [("failed", True)]
    other.apply("- service: doomed\n  state: stopped\n  enabled: false\n")


def test_rollback_of_a_new_service_stops_and_disables_it(other: Managed) -> None:
    make_service(other, "fresh")
    run = other.converge("- service: fresh\n  state: running\n  enabled: true\n").run
    assert other.rollback(run).report.result == "reverted"
    assert other.plan("- service: fresh\n  state: stopped\n  enabled: false\n").changes == ()


def test_a_service_that_nothing_brings_is_conditional(other: Managed) -> None:
    found = other.plan("- service: nowhere\n  state: running\n  enabled: true\n").changes
    assert [(item.action, item.confidence) for item in found] == [("update", "conditional")]
    assert other.plan("- service: nowhere\n  state: stopped\n  enabled: false\n").changes == ()


@pytest.mark.parametrize("other", ["runit"], indirect=True)
def test_only_what_is_enabled_can_run(other: Managed) -> None:
    make_service(other, "apart")
    found = other.plan("- service: apart\n  state: running\n").changes
    assert [(item.action, "enabled: true" in item.reason) for item in found] == [("refused", True)]
