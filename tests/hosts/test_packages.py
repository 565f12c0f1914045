"""Packages on real hosts, through real apt and dpkg: versions, what nobody offers, what apt would break, what a crash left."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from gitops.model.codec import encode_canonical
from gitops.model.report import Report
from tests.support.managed import EXECUTOR, Managed
from tests.support.packages import TinyPackage, build_repository

pytestmark = [pytest.mark.hosts, pytest.mark.xdist_group("hosts")]


def version_of(machine: Managed, name: str) -> str:
    """Give `version status` by dpkg."""
    return machine.host.run(["dpkg-query", "-W", "-f", "${Version} ${db:Status-Status}", name], check=False).out.strip()


def results(report: Report) -> dict[str, tuple[str, str]]:
    return {str(item.address): (item.result, item.message) for item in report.changes}


def test_a_version_goes_up_and_down_and_over_an_epoch(shared: Managed) -> None:
    for version in ("1.0-1", "1:0.9-1", "1.1-1"):
        shared.converge(f"- package: hello-tool\n  version: {version}\n")
        assert version_of(shared, "hello-tool") == f"{version} installed"
    shared.converge("- package: hello-tool\n  state: latest\n")
    assert version_of(shared, "hello-tool") == "1:0.9-1 installed"
    shared.converge("- package: hello-tool\n  state: absent\n")


def test_what_nobody_offers_fails_with_what_needs_it_and_the_rest_goes_on(shared: Managed) -> None:
    resources = (
        '- package: no-such-tool\n- package: tool-b\n- package: tool-c\n  version: "9.9"\n- package: mailer\n'
        "- package: tool-d\n  needs: [package:no-such-tool]\n- file: /etc/for-it\n  content: x\n  needs: [package:no-such-tool]\n"
    )
    plan = shared.plan(resources)
    assert {item.address: item.confidence for item in plan.changes if item.address.startswith("package")} == {
        "package:mailer": "conditional",
        "package:no-such-tool": "conditional",
        "package:tool-b": "exact",
        "package:tool-c": "conditional",
        "package:tool-d": "conditional",
    }
    answer = shared.apply(resources)
    assert (answer.status, answer.report.result) == (4, "failed")
    found = results(answer.report)
    assert found["package:no-such-tool"] == ("failed", "apt knows no package `no-such-tool`")
    assert found["package:tool-c"] == ("failed", "version 9.9 of `tool-c` is not offered; there is 1.0")
    assert found["package:mailer"][0] == "failed"
    assert "virtual package" in found["package:mailer"][1]
    assert found["package:tool-b"] == ("changed", "")
    assert found["package:tool-d"] == ("skipped", "because package:no-such-tool did not succeed")
    assert found["file:/etc/for-it"][0] == "skipped"
    assert version_of(shared, "tool-b") == "1.0 installed"
    assert version_of(shared, "tool-d") == ""


def test_a_package_on_hold_is_refused_until_it_is_released(shared: Managed) -> None:
    shared.host.run(["apt-get", "install", "-y", "-q", "tool-e"])
    shared.host.run(["apt-mark", "hold", "tool-e"])
    assert shared.plan("- package: tool-e\n").changes == ()
    answer = shared.apply("- package: tool-e\n  state: absent\n")
    assert answer.status == 4
    assert [item.action for item in answer.plan.changes] == ["refused"]
    assert "apt-mark unhold tool-e" in answer.plan.changes[0].reason
    shared.host.run(["apt-mark", "unhold", "tool-e"])
    shared.converge("- package: tool-e\n  state: absent\n")


def test_a_package_on_hold_moves_alone_by_its_declaration_and_the_rest_of_the_plan_stays_exact(shared: Managed) -> None:
    shared.converge("- package: hello-tool\n  version: 1.0-1\n  hold: true\n")
    wanted = "- package: hello-tool\n  version: 1.1-1\n  hold: true\n- package: needs-a\n"
    plan = shared.plan(wanted)
    assert [item.confidence for item in plan.changes] == ["exact", "exact"]
    assert [(item.name, item.after) for item in plan.changes[1].fields if item.name == "also_installs"] == [
        ("also_installs", {"tool-a": "1.0"})
    ]
    shared.converge(wanted)
    assert shared.host.run(["apt-mark", "showhold"]).out.split() == ["hello-tool"]
    assert version_of(shared, "hello-tool") == "1.1-1 installed"
    shared.converge("- package: hello-tool\n  hold: false\n")
    shared.converge("".join(f"- package: {name}\n  state: absent\n" for name in ("hello-tool", "needs-a", "tool-a")))


def test_a_dependency_on_hold_is_told_and_never_moved(shared: Managed) -> None:
    shared.host.run(["apt-get", "install", "-y", "-q", "held-lib=1.0"])
    shared.host.run(["apt-mark", "hold", "held-lib"])
    change = shared.plan("- package: held-user\n").changes[0]
    assert (change.confidence, "held-lib" in change.reason) == ("conditional", True)
    assert shared.apply("- package: held-user\n").report.result == "failed"
    assert version_of(shared, "held-lib") == "1.0 installed"
    assert shared.host.run(["apt-mark", "showhold"]).out.split() == ["held-lib"]
    shared.host.run(["apt-mark", "unhold", "held-lib"])
    shared.converge("- package: held-lib\n  state: absent\n")


def test_what_came_along_and_is_declared_is_not_taken_away_again(shared: Managed) -> None:
    shared.host.run(["apt-get", "install", "-y", "-q", "needs-a"])
    assert "tool-a" in shared.host.run(["apt-mark", "showauto"]).out.split()
    report = shared.converge("- package: tool-a\n")
    assert "tool-a" not in shared.host.run(["apt-mark", "showauto"]).out.split()
    shared.host.run(["apt-get", "remove", "-y", "-q", "--auto-remove", "needs-a"])
    assert version_of(shared, "tool-a") == "1.0 installed"
    assert shared.rollback(report.run).report.result == "reverted"
    assert "tool-a" in shared.host.run(["apt-mark", "showauto"]).out.split()
    shared.converge("- package: tool-a\n  state: absent\n")


def test_the_machines_own_architecture_may_be_named(shared: Managed) -> None:
    plan = shared.plan("- package: lib-multi:amd64\n")
    assert [(item.confidence, item.reason) for item in plan.changes] == [("exact", "")]
    shared.converge("- package: lib-multi:amd64\n")
    shared.converge("- package: lib-multi:amd64\n  state: absent\n")
    assert "installed" not in version_of(shared, "lib-multi:amd64")


def test_what_would_go_of_another_architecture_is_named_with_it(shared: Managed) -> None:
    shared.host.run(["dpkg", "--add-architecture", "i386"])
    shared.host.run(["apt-get", "update"])
    shared.converge("- package: lock:i386\n")
    change = shared.plan("- package: no-lock\n").changes[0]
    assert "would also remove lock:i386:" in change.reason
    shared.converge("- package: no-lock\n- package: lock:i386\n  state: absent\n")
    shared.converge("- package: no-lock\n  state: absent\n")


def test_what_a_transaction_finishes_beside_it_is_in_the_plan(shared: Managed) -> None:
    shared.host.run(["sh", "-c", "cd /tmp && apt-get download hello-tool=1.0-1 && dpkg --unpack hello-tool_1.0-1_all.deb"])
    change = shared.plan("- package: tool-f\n").changes[0]
    assert [(item.name, item.after) for item in change.fields if item.name == "also_configures"] == [
        ("also_configures", ["hello-tool"])
    ]
    shared.converge("- package: tool-f\n")
    assert version_of(shared, "hello-tool") == "1.0-1 installed"
    shared.converge("- package: tool-f\n  state: absent\n- package: hello-tool\n  state: absent\n")


def test_nothing_beyond_the_plan_is_ever_removed(shared: Managed) -> None:
    shared.converge("- package: needs-a\n")
    wanted = "- package: tool-a\n  state: absent\n"
    change = shared.plan(wanted).changes[0]
    assert (change.action, change.confidence) == ("remove", "conditional")
    assert "needs-a" in change.reason
    found = results(shared.apply(wanted).report)
    assert found == {"package:tool-a": ("failed", "apt would also remove needs-a, which is not in the plan: declare that too")}
    assert version_of(shared, "needs-a") == "1.0 installed"
    shared.converge(wanted + "- package: needs-a\n  state: absent\n")


def test_packages_in_conflict_are_swapped_in_one_transaction_and_never_by_surprise(shared: Managed) -> None:
    shared.converge("- package: other-mailer\n")
    found = results(shared.apply("- package: new-mailer\n- package: tool-f\n").report)
    assert found["package:new-mailer"][0] == "failed"
    assert "other-mailer" in found["package:new-mailer"][1]
    assert found["package:tool-f"] == ("changed", "")
    shared.converge("- package: new-mailer\n- package: other-mailer\n  state: absent\n")
    assert version_of(shared, "new-mailer") == "1.0 installed"
    shared.converge("- package: new-mailer\n  state: absent\n")


def test_config_files_left_by_a_removed_package_are_not_the_package(shared: Managed) -> None:
    shared.converge("- package: old-tool\n")
    shared.converge("- package: old-tool\n  state: absent\n")
    assert version_of(shared, "old-tool") == "3.0 config-files"
    shared.converge("- package: old-tool\n")
    assert version_of(shared, "old-tool") == "3.0 installed"


def test_a_package_that_cannot_be_configured_says_why_and_can_go_again(shared: Managed) -> None:
    found = results(shared.apply("- package: broken-tool\n- package: tool-c\n").report)
    assert found["package:tool-c"] == ("changed", "")
    assert found["package:broken-tool"][0] == "failed"
    assert "cannot configure" in found["package:broken-tool"][1]
    change = shared.plan("- package: broken-tool\n").changes[0]
    assert [(item.name, item.before, item.after) for item in change.fields] == [("status", "half-configured", "installed")]
    shared.converge("- package: broken-tool\n  state: absent\n- package: tool-c\n  state: absent\n")


def test_names_that_apt_would_take_for_options_or_patterns_are_refused(shared: Managed) -> None:
    names = ("tool-*", "tool.", "tool-a-", "tool-a=1.0")
    resources = "".join(f'- package: "{name}"\n' for name in names) + "- package: tool-a\n  version: 1.*\n"
    answer = shared.apply(resources)
    assert answer.status == 4
    assert {item.action for item in answer.plan.changes} == {"refused"}
    assert len(answer.plan.changes) == len(names) + 1


def test_another_architecture_is_another_package(shared: Managed) -> None:
    shared.host.run(["dpkg", "--add-architecture", "i386"])
    shared.host.run(["apt-get", "update", "-qq"])
    shared.converge("- package: lib-multi:i386\n")
    assert shared.plan("- package: lib-multi\n").changes != ()
    shared.converge("- package: lib-multi\n- package: lib-multi:i386\n")
    shared.converge("- package: lib-multi\n- package: lib-multi:i386\n  state: absent\n")
    assert version_of(shared, "lib-multi:amd64") == "1.0 installed"
    assert version_of(shared, "lib-multi:i386") in ("", " not-installed")


def test_lists_are_refreshed_by_apply_only_and_only_when_that_may_help(shared: Managed, tmp_path: Path) -> None:
    lists = shared.host.path / "var/lib/apt/lists"
    for path in lists.glob("*Packages*"):
        path.unlink()
    assert [item.confidence for item in shared.plan("- package: tool-d\n").changes] == ["conditional"]
    assert shared.apply("- package: tool-d\n").report.result == "changed"
    assert version_of(shared, "tool-d") == "1.0 installed"
    stamp = (lists / "partial").stat().st_mtime_ns
    shared.converge("- package: tool-d\n  state: absent\n")
    assert (lists / "partial").stat().st_mtime_ns == stamp
    shared.host.copy_in(build_repository(tmp_path / "first", TinyPackage("tool-new", "1.0")), "/srv/newer")
    (shared.host.path / "etc/apt/sources.list.d/newer.list").write_text("deb [trusted=yes] copy:/srv/newer ./\n")
    shared.converge("- package: tool-new\n  version: '1.0'\n")
    shared.host.copy_in(build_repository(tmp_path / "second", TinyPackage("tool-new", "2.0")), "/srv/newer")
    assert shared.plan("- package: tool-new\n  state: latest\n").changes == ()  # as new as the lists
    wanted = "- package: tool-new\n  version: '2.0'\n"
    assert [item.confidence for item in shared.plan(wanted).changes] == ["conditional"]
    shared.converge(wanted)
    assert version_of(shared, "tool-new") == "2.0 installed"


def start_slowly(machine: Managed, wanted: str) -> subprocess.Popen[bytes]:
    """Start an apply, and give it when it stands in the middle of apt's work."""
    running = machine.host.start(EXECUTOR)
    assert running.stdin is not None
    running.stdin.write(encode_canonical(machine.request("apply", wanted).to_json()))
    running.stdin.close()
    deadline = time.monotonic() + 60
    while not (machine.host.path / "srv/slow-tool.started").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return running


def test_a_transaction_cut_off_by_a_power_failure_is_finished_by_the_next_run(machine: Managed) -> None:
    wanted = "- package: slow-tool\n- package: tool-a\n"
    running = start_slowly(machine, wanted)
    machine.host.power_off()
    running.wait()
    machine.host.boot()
    machine.host.run(["touch", "/run/slow-tool.hurry"])
    change = next(item for item in machine.plan(wanted).changes if item.address == "package:slow-tool")
    assert [item.before for item in change.fields] == ["half-configured"]
    machine.converge(wanted)
    assert version_of(machine, "slow-tool") == "1.0 installed"


def test_when_only_the_executor_is_killed_the_next_run_waits_for_apt_and_goes_on(machine: Managed) -> None:
    wanted = "- package: slow-tool\n- package: tool-a\n"
    first = start_slowly(machine, wanted)
    pids = machine.host.run(["pgrep", "-f", " ".join(EXECUTOR)]).out.split()
    machine.host.run(["kill", "-9", *pids])
    first.wait(10)
    second = machine.host.start(EXECUTOR)
    assert second.stdin is not None
    assert second.stdout is not None
    second.stdin.write(encode_canonical(machine.request("apply", wanted).to_json()))
    second.stdin.close()
    assert b'"event":"plan"' in second.stdout.readline()
    machine.host.run(["touch", "/run/slow-tool.hurry"])
    last = second.stdout.read().splitlines()[-1]
    assert b'"result":"changed"' in last
    assert second.wait(10) == 0
    machine.converge(wanted + "- package: tool-b\n")


# Takes a lock, says so, and lets it go a second later.
HOLD = "import fcntl, sys, time; f = open(sys.argv[1], 'r+'); fcntl.lockf(f, fcntl.LOCK_EX); print('held', flush=True); time.sleep(1)"


@pytest.mark.parametrize("lock", ["/var/lib/dpkg/lock-frontend", "/var/lib/apt/lists/lock"])
def test_another_run_of_apt_is_waited_for(shared: Managed, lock: str) -> None:
    if "lists" in lock:  # they are fetched only when one is missing
        for path in (shared.host.path / "var/lib/apt/lists").glob("*Packages*"):
            path.unlink()
    other = shared.host.start(["python3", "-c", HOLD, lock])
    assert other.stdout is not None
    assert other.stdout.readline() == b"held\n"
    assert shared.apply("- package: tool-c\n").report.result == "changed"
    assert other.wait(10) == 0
    other.communicate()
    shared.converge("- package: tool-c\n  state: absent\n")
