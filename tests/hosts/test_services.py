"""Services on real hosts, through real systemd: what is independent, what cannot be, what a failure says."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from gitops.model.plan import HostPlan
from gitops.model.report import Report
from tests.support.managed import Managed
from tests.support.service import wait_for

pytestmark = [pytest.mark.hosts, pytest.mark.xdist_group("hosts")]

LOOP = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"


def unit(machine: Managed, name: str, text: str) -> None:
    """Put a unit there by hand, as something else than we would."""
    (machine.host.path / "etc/systemd/system" / name).write_text(text, encoding="utf-8")
    machine.host.run(["systemctl", "daemon-reload"])


def shown(machine: Managed, *argv: str) -> str:
    return machine.host.run(argv, check=False).out.strip()


def is_active(machine: Managed, name: str) -> str:
    return shown(machine, "systemctl", "is-active", name)


def is_enabled(machine: Managed, name: str) -> str:
    return shown(machine, "systemctl", "is-enabled", name)


def pid_of(machine: Managed, name: str) -> str:
    return shown(machine, "systemctl", "show", "-p", "MainPID", "--value", name)


def reasons(plan: HostPlan) -> dict[str, str]:
    return {str(item.address): item.reason for item in plan.changes if item.action == "refused"}


def messages(report: Report) -> dict[str, tuple[str, str]]:
    return {str(item.address): (item.result, item.message) for item in report.changes}


def test_running_and_enabled_are_independent(shared: Managed) -> None:
    unit(shared, "apart.service", LOOP)
    shared.converge("- service: apart\n  state: running\n")
    assert (is_active(shared, "apart"), is_enabled(shared, "apart")) == ("active", "disabled")
    shared.converge("- service: apart\n  enabled: true\n")
    shared.converge("- service: apart\n  state: stopped\n")
    assert (is_active(shared, "apart"), is_enabled(shared, "apart")) == ("inactive", "enabled")
    shared.converge("- service: apart\n  enabled: false\n")
    assert (is_active(shared, "apart"), is_enabled(shared, "apart")) == ("inactive", "disabled")


def test_reload_keeps_the_process_and_restart_does_not(machine: Managed) -> None:
    resources = """\
- package: hello-daemon
- file: /etc/hello-daemon/hello.conf
  content: "CONTENT\\n"
  notify: [service:hello-daemon]
- service: hello-daemon
  state: running
  on_notify: reload
"""
    machine.converge(resources)
    before = pid_of(machine, "hello-daemon")
    machine.converge(resources.replace("CONTENT", "second"))
    deadline = time.monotonic() + 10
    while "reloaded" not in shown(machine, "cat", "/run/hello-daemon.seen"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert pid_of(machine, "hello-daemon") == before
    machine.converge(resources.replace("CONTENT", "third").replace("on_notify: reload", "on_notify: restart"))
    assert pid_of(machine, "hello-daemon") != before


def test_a_unit_file_of_ours_is_loaded_before_its_service_is_started_again(shared: Managed) -> None:
    resources = """\
- file: /etc/systemd/system/ours.service
  content: "[Service]\\nExecStart=/bin/sleep SECONDS\\n[Install]\\nWantedBy=multi-user.target\\n"
  notify: [service:ours]
- service: ours
  state: running
  enabled: true
"""
    shared.converge(resources.replace("SECONDS", "1000"))
    run = shared.converge(resources.replace("SECONDS", "2000")).run
    command = ["cat", f"/proc/{pid_of(shared, 'ours')}/cmdline"]
    assert shared.host.run(command).out.split("\0")[1] == "2000"
    assert shared.rollback(run).report.result == "reverted"
    command = ["cat", f"/proc/{pid_of(shared, 'ours')}/cmdline"]
    assert shared.host.run(command).out.split("\0")[1] == "1000"


def test_rollback_restarts_what_read_a_new_file_once_that_is_gone(shared: Managed) -> None:
    script = "cat /etc/reader.d/* >/run/reader.seen; echo >>/run/reader.seen $EXTRA; exec sleep infinity"
    unit(shared, "reader.service", f"[Service]\nType=exec\nExecStart=/bin/sh -c '{script}'\n")
    before = """\
- {file: /etc/reader.d/one, content: "one\\n"}
- {service: reader, state: running, needs: [file:/etc/reader.d/one]}
"""
    after = """\
- {file: /etc/reader.d/two, content: "two\\n", notify: [service:reader]}
- file: /etc/systemd/system/reader.service.d/more.conf
  content: "[Service]\\nEnvironment=EXTRA=more\\n"
  notify: [service:reader]
"""
    shared.converge(before)
    run = shared.converge(before + after).run
    wait_for(lambda: shown(shared, "cat", "/run/reader.seen").split() == ["one", "two", "more"])
    assert shared.rollback(run).report.result == "reverted"
    wait_for(lambda: shown(shared, "cat", "/run/reader.seen").split() == ["one"])
    assert shown(shared, "systemctl", "show", "-p", "Environment", "--value", "reader") == ""


def test_rollback_of_a_new_service_stops_and_disables_it(shared: Managed) -> None:
    unit(shared, "fresh.service", LOOP)
    run = shared.converge("- service: fresh\n  state: running\n  enabled: true\n").run
    assert shared.rollback(run).report.result == "reverted"
    assert (is_active(shared, "fresh"), is_enabled(shared, "fresh")) == ("inactive", "disabled")


def test_masked_static_oneshot_and_template_units_are_refused_with_the_reason(shared: Managed) -> None:
    unit(shared, "hidden.service", LOOP)
    shared.host.run(["mv", "/etc/systemd/system/hidden.service", "/lib/systemd/system/"])
    shared.host.run(["systemctl", "mask", "hidden"])
    unit(shared, "fixed.service", "[Service]\nExecStart=/bin/sleep infinity\n")
    unit(shared, "once.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n")
    unit(shared, "many@.service", LOOP)
    answer = shared.apply(
        "- service: hidden\n  state: running\n- service: fixed\n  enabled: true\n- service: once\n  state: running\n"
        '- service: many@\n  state: running\n- service: "hid*"\n  state: running\n'
    )
    assert answer.status == 4
    found = reasons(answer.plan)
    assert "masked" in found["service:hidden"]
    assert "`static`" in found["service:fixed"]
    assert "oneshot" in found["service:once"]
    assert "template" in found["service:many@"]
    assert "not a unit's name" in found["service:hid*"]
    assert is_active(shared, "hidden") == "inactive"
    shared.converge("- service: fixed\n  state: running\n")
    shared.converge("- service: many@one\n  state: running\n  enabled: true\n")
    assert (is_active(shared, "many@one"), is_enabled(shared, "many@one")) == ("active", "enabled")
    assert shared.plan("- service: hidden\n  state: stopped\n  enabled: false\n").changes == ()


def test_a_service_that_cannot_start_says_why_and_stops_what_needs_it(shared: Managed) -> None:
    # It lives a moment longer than its words: journald loses whose they are when it is gone first (docs/limits.md).
    script = "echo no teapot here >&2; sleep 0.5; exit 7"
    unit(shared, "doomed.service", f"[Service]\nType=forking\nExecStart=/bin/sh -c '{script}'\n")
    unit(shared, "brief.service", "[Service]\nExecStart=/bin/no-such-program\n")
    answer = shared.apply(
        "- service: doomed\n  state: running\n- service: brief\n  state: running\n"
        "- file: /etc/after-doomed\n  content: x\n  needs: [service:doomed]\n"
    )
    found = messages(answer.report)
    assert found["service:doomed"][0] == "failed"
    assert "no teapot here" in found["service:doomed"][1]
    assert len(found["service:doomed"][1]) < 2000
    assert found["service:brief"][0] == "failed"
    assert found["file:/etc/after-doomed"] == ("skipped", "because service:doomed did not succeed")


def test_a_failure_shows_this_starts_last_lines_bounded_and_without_secrets(shared: Managed) -> None:
    said = shared.host.path / "etc/chatty"
    unit(
        shared, "chatty.service", "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c 'cat /etc/chatty; exit 3'\n"
    )
    said.write_text("an old line\n", encoding="utf-8")
    shared.host.run(["systemctl", "start", "chatty"], check=False)
    said.write_text(f"{'x' * 5000}\nbefore hunter-number-two after\n", encoding="utf-8")
    request = replace(shared.request("apply", "- service: chatty\n  state: running\n"), secrets={"key": "hunter-number-two"})
    result, message = messages(shared.send(request).report)["service:chatty"]
    assert result == "failed"
    assert "chatty.service: exit-code, status 3" in message
    assert ("an old line" in message, "hunter-number-two" in message) == (False, False)
    assert "xxx" not in message  # a line that does not fit is left out, not cut
    assert len(message) < 2000


def test_systemd_reads_its_files_again_when_one_changed_and_only_then(shared: Managed) -> None:
    resources = f"- systemd_unit: steady.service\n  content: {json.dumps(LOOP)}\n- service: steady\n  state: running\n"
    other = "- service: steady\n  state: STATE\n"

    def reloads() -> int:
        shared.host.run(["journalctl", "--sync"])
        return shown(shared, "journalctl", "-q", "-o", "cat", "_PID=1").count("Reloading.")

    start = reloads()
    shared.converge(resources)
    assert reloads() == start + 1
    shared.converge(other.replace("STATE", "stopped"))
    shared.converge(other.replace("STATE", "running"))
    shared.converge(resources)
    assert reloads() == start + 1
    shared.host.run(["sed", "-i", "s/infinity/1000d/", "/etc/systemd/system/steady.service"])  # by hand, and nobody told systemd
    shared.converge(other.replace("STATE", "stopped"))
    assert reloads() == start + 2
    shared.converge(other.replace("STATE", "running"))
    assert "1000d" in shown(shared, "systemctl", "show", "-p", "ExecStart", "steady")


def test_a_socket_is_a_service_that_starts_another(shared: Managed) -> None:
    resources = """\
- systemd_unit: greet.socket
  content: "[Socket]\\nListenStream=/run/greet\\nAccept=yes\\n[Install]\\nWantedBy=sockets.target\\n"
- systemd_unit: greet@.service
  content: "[Service]\\nExecStart=/bin/echo hello\\nStandardOutput=socket\\n"
- service: greet.socket
  state: running
  enabled: true
"""
    report = shared.converge(resources)
    assert str(report.changes[-1].address) == "service:greet.socket"
    assert (is_active(shared, "greet.socket"), is_enabled(shared, "greet.socket")) == ("active", "enabled")
    program = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/greet'); print(s.recv(100).decode())"
    assert shown(shared, "python3", "-c", program) == "hello"
    assert shared.rollback(report.run).report.result == "reverted"
    assert is_active(shared, "greet.socket") == "inactive"


def test_a_service_that_is_started_again_and_again_is_not_running(shared: Managed) -> None:
    unit(
        shared,
        "loop.service",
        "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/false\nRestart=always\nRestartSec=60\n",
    )
    shared.host.run(["systemctl", "start", "loop"])
    deadline = time.monotonic() + 10
    while shown(shared, "systemctl", "show", "-p", "SubState", "--value", "loop") != "auto-restart":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert [item.action for item in shared.plan("- service: loop\n  state: running\n").changes] == ["update"]
    shared.host.run(["systemctl", "stop", "loop"])


def test_a_unit_that_nothing_brings_is_conditional_and_fails(shared: Managed) -> None:
    resources = "- service: nowhere\n  state: running\n"
    assert [(item.action, item.confidence) for item in shared.plan(resources).changes] == [("update", "conditional")]
    assert messages(shared.apply(resources).report)["service:nowhere"][0] == "failed"
    assert shared.plan("- service: nowhere\n  state: stopped\n  enabled: false\n").changes == ()


def test_a_notification_never_starts_what_was_stopped(shared: Managed) -> None:
    unit(shared, "quiet.service", LOOP)
    resources = "- file: /etc/quiet.conf\n  content: x\n  notify: [service:quiet]\n- service: quiet\n"
    shared.apply(resources)
    assert is_active(shared, "quiet") == "inactive"


def test_an_init_script_is_a_service_too(shared: Managed) -> None:
    script = shared.host.path / "etc/init.d/oldstyle"
    script.write_text(
        "#!/bin/sh\n### BEGIN INIT INFO\n# Provides: oldstyle\n# Required-Start:\n# Required-Stop:\n# Default-Start: 2 3 4 5\n"
        "# Default-Stop: 0 1 6\n### END INIT INFO\nexit 0\n"
    )
    script.chmod(0o755)
    shared.host.run(["systemctl", "daemon-reload"])
    shared.converge("- service: oldstyle\n  enabled: true\n")
    assert shown(shared, "sh", "-c", "ls /etc/rc3.d/S*oldstyle") != ""
    shared.converge("- service: oldstyle\n  enabled: false\n")


def test_other_units_go_by_their_whole_names_and_dots_are_no_type(shared: Managed) -> None:
    unit(shared, "tick.timer", "[Timer]\nOnCalendar=yearly\n[Install]\nWantedBy=timers.target\n")
    unit(shared, "tick.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n")
    unit(shared, "php8.2-fpm.service", LOOP)
    shared.converge("- service: tick.timer\n  state: running\n  enabled: true\n- service: php8.2-fpm\n  state: running\n")
    assert is_active(shared, "tick.timer") == "active"
    assert is_active(shared, "php8.2-fpm.service") == "active"


MASK = "/etc/systemd/system/veiled.service"


def vendor(machine: Managed, name: str, text: str) -> None:
    """Put a unit where packages put theirs, so that a link in /etc can hide it."""
    folders = (machine.host.path / "usr/lib/systemd/system", machine.host.path / "lib/systemd/system")
    next(folder / name for folder in folders if folder.is_dir()).write_text(text, encoding="utf-8")
    machine.host.run(["systemctl", "daemon-reload"])


def test_a_mask_that_goes_and_the_service_that_runs_then_are_one_run_and_one_undo(shared: Managed) -> None:
    vendor(shared, "veiled.service", LOOP)
    shared.host.run(["systemctl", "mask", "--now", "veiled"])
    assert is_enabled(shared, "veiled") == "masked"
    resources = f"- symlink: {MASK}\n  state: absent\n- service: veiled\n  state: running\n  enabled: true\n"
    plan = shared.plan(resources)
    assert [(item.address, item.confidence) for item in plan.changes] == [
        (f"symlink:{MASK}", "exact"),
        ("service:veiled", "conditional"),
    ]
    report = shared.converge(resources)
    assert (is_active(shared, "veiled"), is_enabled(shared, "veiled")) == ("active", "enabled")
    assert shared.rollback(report.run).report.result == "reverted"
    assert (is_active(shared, "veiled"), is_enabled(shared, "veiled")) == ("inactive", "masked")


def test_a_mask_comes_after_the_service_is_stopped_and_its_undo_starts_it_again(shared: Managed) -> None:
    vendor(shared, "veiled.service", LOOP)
    shared.host.run(["systemctl", "unmask", "veiled"])
    shared.converge("- service: veiled\n  state: running\n  enabled: true\n")
    report = shared.converge(f"- symlink: {MASK}\n  target: /dev/null\n- service: veiled\n  state: stopped\n  enabled: false\n")
    assert [item.address for item in report.changes] == ["service:veiled", f"symlink:{MASK}"]
    assert (is_active(shared, "veiled"), is_enabled(shared, "veiled")) == ("inactive", "masked")
    assert shared.rollback(report.run).report.result == "reverted"
    assert (is_active(shared, "veiled"), is_enabled(shared, "veiled")) == ("active", "enabled")
    shared.converge("- service: veiled\n  state: stopped\n")
    both = f"- symlink: {MASK}\n  target: /dev/null\n- service: veiled\n  state: stopped\n"
    assert "masked" in reasons(shared.plan(both.replace("stopped", "running")))["service:veiled"]


def test_a_unit_in_the_place_of_a_mask_runs_after_one_run(shared: Managed) -> None:
    shared.host.run(["ln", "-sf", "/dev/null", "/etc/systemd/system/uncovered.service"])
    shared.host.run(["systemctl", "daemon-reload"])
    unit_text = json.dumps(LOOP)
    resources = (
        f"- systemd_unit: uncovered.service\n  content: {unit_text}\n- service: uncovered\n  state: running\n  enabled: true\n"
    )
    report = shared.converge(resources)
    assert (is_active(shared, "uncovered"), is_enabled(shared, "uncovered")) == ("active", "enabled")
    assert shared.rollback(report.run).report.result == "reverted"
    assert is_enabled(shared, "uncovered") == "masked"


def test_a_name_that_goes_with_enabled_is_refused_and_says_whose_it_is(shared: Managed) -> None:
    vendor(shared, "named.service", f"{LOOP}Alias=called.service\n")
    shared.host.run(["systemctl", "enable", "--now", "named"])
    assert shared.plan("- service: called\n  state: running\n  enabled: true\n").changes == ()
    found = reasons(shared.plan("- service: called\n  enabled: false\n"))
    assert "another name of named.service" in found["service:called"]
    shared.converge("- service: called\n  state: stopped\n")
    assert is_active(shared, "named") == "inactive"
    shared.converge("- service: named\n  enabled: false\n")
    assert shared.plan("- service: called\n  enabled: false\n").changes == ()


def test_a_linked_unit_is_not_disabled_since_it_would_be_gone(shared: Managed) -> None:
    shared.host.run(["mkdir", "-p", "/opt/afar"])
    (shared.host.path / "opt/afar/afar.service").write_text(LOOP, encoding="utf-8")
    shared.host.run(["systemctl", "enable", "/opt/afar/afar.service"])
    assert is_enabled(shared, "afar") == "enabled"
    found = reasons(shared.plan("- service: afar\n  enabled: false\n"))
    assert "is a link to /opt/afar/afar.service" in found["service:afar"]
    report = shared.converge("- service: afar\n  state: running\n  enabled: true\n")
    assert is_active(shared, "afar") == "active"
    assert shared.rollback(report.run).report.result == "reverted"
    shared.host.run(["systemctl", "disable", "afar"])


@pytest.mark.parametrize(
    "folder",
    [
        "/etc/systemd/system/part@.service.d",
        "/etc/systemd/system/service.d",
        "/run/systemd/system/part@one.service.d",
        "/usr/lib/systemd/system/part@one.service.d",
    ],
)
def test_a_drop_in_of_a_new_folder_is_in_what_is_restarted(shared: Managed, folder: str) -> None:
    unit(shared, "part@.service", LOOP)
    shared.converge("- service: part@one\n  state: running\n")
    dropin = f"{folder}/more.conf"
    text = json.dumps("[Service]\nEnvironment=TOLD=yes\n")
    resources = f"- file: {dropin}\n  content: {text}\n  notify: [service:part@one]\n- service: part@one\n  state: running\n"
    report = shared.converge(resources)
    assert "TOLD=yes" in shown(shared, "systemctl", "show", "-p", "Environment", "part@one")
    assert "TOLD=yes" in shown(shared, "sh", "-c", "tr '\\0' '\\n' </proc/$(systemctl show -p MainPID --value part@one)/environ")
    assert shared.rollback(report.run).report.result == "reverted"
    assert "TOLD" not in shown(shared, "systemctl", "show", "-p", "Environment", "part@one")
    shared.host.run(["systemctl", "stop", "part@one"])
