"""Packages through real dnf, zypper and rpm, and through real pacman, against sources built on the host itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from gitops.model.report import Report
from tests.support.hosts import Rig
from tests.support.managed import Managed, unpack_executor
from tests.support.reallaws import try_laws
from tests.support.repositories import TALKATIVE, Small, make_arch, make_fedora, make_suse, publish_archives, publish_preferred
from tests.support.results import check_results
from tests.support.roots import DNF5, MANY, ZYPPER_SUITES, get_root

pytestmark = [pytest.mark.hosts, pytest.mark.xdist_group("hosts")]

PACKAGES = (
    Small("tool-a", "1.0"),
    Small("tool-b", "1.0"),
    Small("needs-a", "2.0", needs="tool-a"),
    Small("mailer", "1.0"),
    Small("new-mailer", "1.0", conflicts="mailer"),
    Small("a-package-with-a-name-that-is-longer-than-a-column-of-any-table", "1.0"),
)
LONG = "a-package-with-a-name-that-is-longer-than-a-column-of-any-table"
MANAGERS = ("dnf", DNF5, *ZYPPER_SUITES, "pacman")
DNFS = ("dnf", DNF5)
POSTS = (Small("old-post", "1.0"), Small("new-post", "1.0", replaces="old-post"), Small("picked", "2.0"))
LOCKS = {"dnf": "/etc/dnf/plugins/versionlock.list", DNF5: "/etc/dnf/versionlock.toml"}
LOCKED = {"dnf": "\nstepped-0:{}.*\n", DNF5: 'key = "evr"\ncomparator = "="\nvalue = "{}"\n'}
STEPPED = (Small("stepped", "1.0"), Small("stepped", "1.1"), Small("stepped", "0.9", epoch=1))


@pytest.fixture(scope="module", params=MANAGERS)
def other(
    request: pytest.FixtureRequest, rig: Rig, executors: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Managed]:
    release = ZYPPER_SUITES.get(request.param, "bookworm")
    host = rig.boot(f"packages-{request.param}", request.param if request.param in (*ZYPPER_SUITES, DNF5) else MANY)
    executor = executors[release]
    if request.param == DNF5:
        executor = unpack_executor(tmp_path_factory.mktemp(DNF5), get_root(DNF5))
        make_fedora(host, *PACKAGES, *STEPPED, *POSTS)
        publish_preferred(host, Small("picked", "1.0"))
    elif request.param == "dnf":
        # Debian packs versionlock with a plugin that keeps what was installed in a source of its own, unsigned, which dnf then refuses.
        host.run(["sed", "-i", "s/^enabled.*/enabled = false/", "/etc/dnf/plugins/local.conf"])
        make_fedora(host, *PACKAGES, *STEPPED, *POSTS)
        publish_preferred(host, Small("picked", "1.0"))
    elif request.param in ZYPPER_SUITES:
        make_suse(host, *PACKAGES, *STEPPED, Small("next-mailer", "1.0", replaces="mailer"))
    else:
        make_arch(host, *PACKAGES, Small("stepped", "1.0"), Small("kept-back", "1.0"))
    yield Managed.start(host, tmp_path_factory.mktemp("packages") / "project", executor)
    host.remove()


def manager_of(machine: Managed) -> str:
    return machine.host.name.split("-")[1]


def version_of(machine: Managed, name: str) -> str:
    """Give the version by the database itself, empty when it is not installed."""
    if manager_of(machine) in (*DNFS, "zypper"):
        done = machine.host.run(["rpm", "-q", "--queryformat", "%{EVR}", name], check=False)
    else:
        done = machine.host.run(["pacman", "-Q", name], check=False)
    return done.out.split()[-1] if done.status == 0 else ""


def results(report: Report) -> dict[str, tuple[str, str]]:
    return {str(item.address): (item.result, item.message) for item in report.changes}


def test_many_come_and_go_in_one_run_each(other: Managed) -> None:
    names = ("tool-b", "mailer", LONG)
    other.converge("".join(f"- package: {name}\n" for name in names))
    assert [version_of(other, name) for name in names] == ["1.0-1"] * len(names)
    other.converge("".join(f"- package: {name}\n  state: absent\n" for name in names))
    assert [version_of(other, name) for name in names] == [""] * len(names)


def test_the_laws_hold_with_this_package_manager(other: Managed, request: pytest.FixtureRequest) -> None:
    found = try_laws(other, "- package: tool-a\n- package: mailer\n")
    number = {"trixie": "13", DNF5: "sid"}.get(other.host.name.rpartition("-")[2], "12")
    check_results(f"Debian {number}, {manager_of(other)}", found, request.config)


def test_the_plan_names_versions_and_what_else_comes(other: Managed) -> None:
    wanted = "- package: needs-a\n"
    change = other.plan(wanted).changes[0]
    found = {item.name: item.after for item in change.fields}
    assert (change.confidence, found) == ("exact", {"version": "2.0-1", "also_installs": {"tool-a": "1.0-1"}})
    other.converge(wanted)
    assert version_of(other, "tool-a") == "1.0-1"
    other.converge("- package: needs-a\n  state: absent\n- package: tool-a\n  state: absent\n")


def test_nothing_beyond_the_plan_is_ever_removed(other: Managed) -> None:
    other.converge("- package: needs-a\n")
    wanted = "- package: tool-a\n  state: absent\n"
    change = other.plan(wanted).changes[0]
    assert (change.action, change.confidence, "needs-a" in change.reason) == ("remove", "conditional", True)
    result, message = results(other.apply(wanted).report)["package:tool-a"]
    assert (result, "needs-a, which is not in the plan" in message) == ("failed", True)
    assert version_of(other, "needs-a") == "2.0-1"
    other.converge(wanted + "- package: needs-a\n  state: absent\n")


def test_packages_in_conflict_never_push_each_other_out(other: Managed) -> None:
    other.converge("- package: mailer\n")
    found = results(other.apply("- package: new-mailer\n- package: tool-b\n").report)
    assert (found["package:new-mailer"][0], found["package:tool-b"][0]) == ("failed", "changed")
    assert version_of(other, "mailer") == "1.0-1"
    other.apply("- package: new-mailer\n- package: mailer\n  state: absent\n")
    assert (version_of(other, "new-mailer"), version_of(other, "mailer")) == ("1.0-1", "")
    other.converge("- package: new-mailer\n  state: absent\n- package: tool-b\n  state: absent\n")


def test_what_nobody_offers_fails_and_the_rest_goes_on(other: Managed) -> None:
    found = results(other.apply("- package: no-such-tool\n- package: tool-b\n- package: tool-a\n  version: 9.9-1\n").report)
    assert "knows no package `no-such-tool`" in found["package:no-such-tool"][1]
    assert "version 9.9-1 of `tool-a` is not offered; there is 1.0-1" in found["package:tool-a"][1]
    assert found["package:tool-b"] == ("changed", "")
    other.converge("- package: tool-b\n  state: absent\n")


def test_rollback_takes_new_packages_away(other: Managed) -> None:
    run = other.converge("- package: tool-b\n").run
    assert other.rollback(run).report.result == "reverted"
    assert version_of(other, "tool-b") == ""


# Do as dnf and zypper (a file with the number of a living process) and pacman (a file that must not be there) do to each other.
LOCKERS = {
    DNF5: "import fcntl, os, time; os.makedirs('/run/dnf', exist_ok=True); f = open('/run/dnf/rpmtransaction.lock', 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print('held', flush=True); time.sleep(2)",
    "dnf": "import os, sys, time; f = open('/var/lib/dnf/rpmdb_lock.pid', 'w'); f.write(str(os.getpid())); f.flush(); print('held', flush=True); time.sleep(2)",
    "zypper": "import os, time; f = open('/run/zypp.pid', 'w'); f.write(str(os.getpid())); f.flush(); print('held', flush=True); time.sleep(2)",
    "pacman": "import os, time; f = open('/var/lib/pacman/db.lck', 'x'); print('held', flush=True); time.sleep(2); os.unlink(f.name)",
}


def test_another_run_of_the_manager_is_waited_for(other: Managed) -> None:
    holder = other.host.start(["python3", "-c", LOCKERS[manager_of(other)]])
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    assert results(other.apply("- package: tool-b\n").report) == {"package:tool-b": ("changed", "")}
    assert holder.wait(10) == 0
    holder.communicate()
    other.converge("- package: tool-b\n  state: absent\n")


def test_names_that_would_be_options_or_patterns_are_refused(other: Managed) -> None:
    names = ("tool-*", "tool=1", "tool?1")
    answer = other.apply("".join(f'- package: "{name}"\n' for name in names))
    assert {item.action for item in answer.plan.changes} == {"refused"}
    assert len(answer.plan.changes) == len(names)


@pytest.mark.parametrize("other", [*DNFS, *ZYPPER_SUITES], indirect=True)
def test_a_version_goes_up_and_down_and_over_an_epoch(other: Managed) -> None:
    for version in ("1.0-1", "1:0.9-1", "1.1-1"):
        other.converge(f"- package: stepped\n  version: '{version}'\n")
        assert version_of(other, "stepped") == version
    other.converge("- package: stepped\n  state: latest\n")
    assert version_of(other, "stepped") == "1:0.9-1"
    other.converge("- package: stepped\n  state: absent\n")


@pytest.mark.parametrize("other", DNFS, indirect=True)
def test_a_hold_keeps_the_version_until_it_is_released(other: Managed) -> None:
    other.converge("- package: stepped\n  version: 1.0-1\n  hold: true\n")
    locks, locked = ["cat", LOCKS[manager_of(other)]], LOCKED[manager_of(other)]
    assert locked.format("1.0-1") in other.host.run(locks).out
    refused = other.plan("- package: stepped\n  state: latest\n").changes[0]
    assert (refused.action, "dnf versionlock delete stepped" in refused.reason) == ("refused", True)
    other.host.run(["dnf", "-y", "-q", "upgrade"], check=False)
    assert version_of(other, "stepped") == "1.0-1"
    other.converge("- package: stepped\n  version: 1.1-1\n  hold: true\n")
    assert version_of(other, "stepped") == "1.1-1"
    assert locked.format("1.1-1") in other.host.run(locks).out
    run = other.converge("- package: stepped\n  hold: false\n").run
    assert locked.format("1.1-1") not in other.host.run(locks).out
    assert other.rollback(run).report.result == "reverted"
    assert locked.format("1.1-1") in other.host.run(locks).out
    other.converge("- package: stepped\n  hold: false\n")
    other.converge("- package: stepped\n  state: absent\n")


@pytest.mark.parametrize("other", DNFS, indirect=True)
def test_the_candidate_is_of_the_source_that_goes_before(other: Managed) -> None:
    change = other.plan("- package: picked\n").changes[0]
    assert {item.name: item.after for item in change.fields} == {"version": "1.0-1"}
    other.converge("- package: picked\n  state: latest\n")
    assert version_of(other, "picked") == "1.0-1"
    other.converge("- package: picked\n  version: 2.0-1\n")
    assert other.plan("- package: picked\n  state: latest\n").changes == ()
    other.converge("- package: picked\n  state: absent\n")


@pytest.mark.parametrize("other", DNFS, indirect=True)
def test_a_name_that_another_package_does_away_with_is_refused_and_may_be_named_with_its_version(other: Managed) -> None:
    change = other.plan("- package: old-post\n").changes[0]
    assert (change.action, "dnf would install new-post in its place" in change.reason) == ("refused", True)
    other.converge("- package: old-post\n  version: 1.0-1\n")
    change = other.plan("- package: new-post\n").changes[0]
    assert (change.confidence, "would also remove old-post" in change.reason) == ("conditional", True)
    assert results(other.apply("- package: new-post\n").report)["package:new-post"][0] == "failed"
    other.converge("- package: old-post\n  state: absent\n")


def test_what_came_along_and_is_declared_is_marked_so(other: Managed) -> None:
    other.converge("- package: needs-a\n")
    change = other.plan("- package: tool-a\n").changes[0]
    assert [(item.name, item.before, item.after) for item in change.fields] == [("marked", "automatic", "manual")]
    run = other.converge("- package: tool-a\n").run
    assert other.rollback(run).report.result == "reverted"
    assert len(other.plan("- package: tool-a\n").changes) == 1
    other.converge("- package: tool-a\n")
    other.converge("- package: needs-a\n  state: absent\n- package: tool-a\n  state: absent\n")


@pytest.mark.parametrize("other", ["pacman"], indirect=True)
def test_what_pacman_is_told_to_ignore_stays_until_it_is_released(other: Managed) -> None:
    config = ["cat", "/etc/pacman.conf"]
    other.converge("- package: kept-back\n  hold: true\n")
    assert "[options]\nIgnorePkg = kept-back\n" in other.host.run(config).out
    publish_archives(other.host, Small("kept-back", "1.2"))
    other.host.run(["pacman", "-Syu", "--noconfirm"])
    assert version_of(other, "kept-back") == "1.0-1"
    refused = other.plan("- package: kept-back\n  state: latest\n").changes[0]
    assert (refused.action, "IgnorePkg" in refused.reason) == ("refused", True)
    other.converge("- package: kept-back\n  version: 1.2-1\n  hold: true\n")
    assert (version_of(other, "kept-back"), "IgnorePkg = kept-back\n" in other.host.run(config).out) == ("1.2-1", True)
    run = other.converge("- package: kept-back\n  hold: false\n").run
    assert "IgnorePkg" not in other.host.run(config).out
    assert other.rollback(run).report.result == "reverted"
    assert "IgnorePkg = kept-back\n" in other.host.run(config).out
    other.converge("- package: kept-back\n  hold: false\n")
    other.converge("- package: kept-back\n  state: absent\n")


@pytest.mark.parametrize("other", ZYPPER_SUITES, indirect=True)
def test_a_lock_keeps_the_version_until_it_is_released(other: Managed) -> None:
    locks = ["cat", "/etc/zypp/locks"]
    other.converge("- package: stepped\n  version: 1.0-1\n  hold: true\n")
    assert "solvable_name: stepped\n" in other.host.run(locks).out
    refused = other.plan("- package: stepped\n  state: latest\n").changes[0]
    assert (refused.action, "zypper removelock stepped" in refused.reason) == ("refused", True)
    moved = "- package: stepped\n  version: 1.1-1\n  hold: true\n"
    change = other.plan(moved).changes[0]
    assert (change.confidence, "remove lock to allow installation of stepped-1.1-1" in change.reason) == ("conditional", True)
    other.converge(moved)
    assert (version_of(other, "stepped"), other.host.run(locks).out.count("stepped")) == ("1.1-1", 1)
    run = other.converge("- package: stepped\n  hold: false\n").run
    assert "stepped" not in other.host.run(locks).out
    assert other.rollback(run).report.result == "reverted"
    assert "solvable_name: stepped\n" in other.host.run(locks).out
    other.converge("- package: stepped\n  hold: false\n  state: absent\n")


@pytest.mark.parametrize("other", ZYPPER_SUITES, indirect=True)
def test_a_lock_by_a_pattern_is_a_hold_that_people_lift(other: Managed) -> None:
    other.host.run(["zypper", "addlock", "tool-*"])
    assert other.plan("- package: tool-b\n").changes[0].action == "refused"
    found = results(other.apply("- package: tool-b\n  hold: false\n").report)["package:tool-b"]
    assert (found[0], "by the pattern tool-*" in found[1]) == ("failed", True)
    assert "tool-b" not in other.host.run(["cat", "/etc/zypp/locks"]).out
    other.host.run(["zypper", "removelock", "tool-*"])


@pytest.mark.parametrize("other", ZYPPER_SUITES, indirect=True)
def test_what_a_newcomer_replaces_never_goes_unplanned(other: Managed) -> None:
    other.converge("- package: mailer\n")
    wanted = "- package: next-mailer\n"
    change = other.plan(wanted).changes[0]
    assert (change.confidence, "would also remove mailer" in change.reason) == ("conditional", True)
    result, message = results(other.apply(wanted).report)["package:next-mailer"]
    assert (result, "mailer, which is not in the plan" in message) == ("failed", True)
    assert version_of(other, "mailer") == "1.0-1"
    other.converge(f"{wanted}- package: mailer\n  state: absent\n")
    other.converge("- package: next-mailer\n  state: absent\n")


@pytest.mark.parametrize("other", ZYPPER_SUITES, indirect=True)
def test_of_an_answer_that_is_too_long_the_rest_is_asked_for(other: Managed) -> None:
    wanted = "".join(f"- package: {name}\n" for name in (*TALKATIVE, "needs-a"))
    changes = other.plan(wanted).changes
    assert {(item.confidence, "longer than what is kept" in item.reason) for item in changes} == {("conditional", True)}
    other.converge(wanted)
    assert [version_of(other, name) for name in (*TALKATIVE, "tool-a")] == ["1.0-1"] * (len(TALKATIVE) + 1)
    other.converge("".join(f"- package: {name}\n  state: absent\n" for name in (*TALKATIVE, "needs-a", "tool-a")))


@pytest.mark.parametrize("other", ZYPPER_SUITES, indirect=True)
def test_a_list_that_was_never_fetched_is_fetched_by_apply_alone(other: Managed) -> None:
    lists = other.host.path / "var/cache/zypp/raw"
    other.host.run(["zypper", "clean", "--all"])
    change = other.plan("- package: tool-b\n").changes[0]
    assert (change.confidence, list(lists.glob("*/*"))) == ("conditional", [])
    other.apply("- package: tool-b\n")
    assert (version_of(other, "tool-b"), list(lists.glob("*/*")) != []) == ("1.0-1", True)
    other.converge("- package: tool-b\n  state: absent\n")


@pytest.mark.parametrize("other", ["pacman"], indirect=True)
def test_the_latest_is_as_new_as_the_lists(other: Managed) -> None:
    other.converge("- package: stepped\n  version: 1.0-1\n")
    assert other.plan("- package: stepped\n  state: latest\n").changes == ()
    publish_archives(other.host, Small("stepped", "1.1"))
    other.converge("- package: stepped\n  state: latest\n")
    assert version_of(other, "stepped") == "1.1-1"
