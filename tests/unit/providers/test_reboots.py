"""Reboots on a machine that never goes down: what is stamped before, what the next boot finds, that nothing ever loops."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitops.errors import RebootingError
from gitops.model.plan import OWED, Difference
from gitops.model.report import Outcome
from gitops.model.resource import Resource
from gitops.plan.item import Preparer
from gitops.plan.order import find_edges
from gitops.plan.risk import judge_risk
from gitops.providers.base import Step
from gitops.providers.reboot import BOOT_ID, FIRST_PROCESS, STATISTICS, UPTIME
from gitops.providers.registry import PROVIDERS
from tests.unit.providers.test_live_parts import Machine, make, spec_of

REQUIRED = "/run/reboot-required"
KERNEL = make("reboot", "kernel", if_exists=REQUIRED)
NOTIFIED = make("reboot", "config", interval=3600)
REBOOT = "systemctl reboot"
HOUR = 3600


def machine(folder: Path, *, fails: bool = False) -> Machine:
    it = Machine(folder, {} if fails else {REBOOT: ("/asked", ""), "systemctl is-system-running": ("/asked", "stopping\n")})
    it.put("/run/systemd/system/x", "")
    (folder / "root/var/lib").mkdir(parents=True)
    boot(it, "first", 1_000_000)
    return it


def boot(it: Machine, name: str, at: int) -> None:
    it.put(BOOT_ID, f"{name}\n")
    it.put(FIRST_PROCESS, "1 (init (odd) name) S " + " ".join(str(number) for number in range(4, 30)))
    it.put(UPTIME, "100.25 200.5\n")
    it.put(STATISTICS, f"cpu 1 2 3\nbtime {at - 100}\n")


def notify(it: Machine, resource: Resource = NOTIFIED, reason: str = "because file:/x changes") -> Outcome:
    host = it.open()
    step = Step(resource.address, "run", spec_of(resource), it.see(resource), Difference("run", reason=reason))
    (outcome,) = PROVIDERS["reboot"].apply([step], host)
    return outcome


def test_nothing_is_done_without_a_cause(tmp_path: Path) -> None:
    it = machine(tmp_path)
    assert (it.diff(KERNEL), it.diff(NOTIFIED)) == (None, None)


def test_a_cause_is_a_run_of_high_risk_and_the_run_ends_there(tmp_path: Path) -> None:
    it = machine(tmp_path)
    it.put(REQUIRED, "")
    difference = it.diff(KERNEL)
    assert (difference.action, difference.confidence, "cannot be undone" in difference.reason) == ("run", "exact", True)
    assert judge_risk(KERNEL.address, action="run", classification="initial", confidence="exact") == "high"
    with pytest.raises(RebootingError, match="what is left is done by the next run"):
        it.apply(KERNEL)
    assert it.ran == [["systemctl", "reboot"], ["systemctl", "is-system-running"]]
    stamp = (tmp_path / "root/var/lib/trueup-reboot-kernel").read_text()
    assert stamp == '{"at": 1000000, "boot": "first 22", "spent": false}\n'
    boot(it, "second", 1_000_060)
    (tmp_path / "root" / REQUIRED[1:]).unlink()
    assert it.diff(KERNEL) is None


def test_a_cause_that_outlives_the_boot_is_refused_and_not_followed(tmp_path: Path) -> None:
    it = machine(tmp_path)
    it.put(REQUIRED, "")
    with pytest.raises(RebootingError):
        it.apply(KERNEL)
    for number in range(5):
        boot(it, f"boot-{number}", 1_000_060 + number * HOUR)
        difference = it.diff(KERNEL)
        assert (difference.action, "look into it" in difference.reason) == ("refused", True)
    boot(it, "next-day", 1_000_000 + 24 * HOUR)
    assert it.diff(KERNEL).action == "run"


def test_what_is_owed_since_before_the_boot_is_done_by_the_boot_and_once(tmp_path: Path) -> None:
    it = machine(tmp_path)
    with pytest.raises(RebootingError):
        notify(it)
    boot(it, "second", 1_000_060)
    it.ran.clear()
    assert notify(it, reason=OWED).message == "the machine has booted since"
    assert it.ran == []
    outcome = notify(it, reason=OWED)
    assert (outcome.result, "less than 3600 s ago" in outcome.message, it.ran) == ("failed", True, [])


def test_what_notifies_at_every_run_reboots_once_an_interval(tmp_path: Path) -> None:
    it = machine(tmp_path)
    reboots = 0
    for number in range(12):  # every ten minutes, for two hours
        boot(it, f"boot-{reboots}", 1_000_000 + number * 600)
        try:
            assert notify(it).result == "failed"
        except RebootingError:
            reboots += 1
    assert reboots == 2


def test_while_it_is_under_way_nothing_asks_again(tmp_path: Path) -> None:
    it = machine(tmp_path)
    with pytest.raises(RebootingError):
        notify(it)
    assert (notify(it).result, notify(it, reason=OWED).result) == ("failed", "failed")
    it.put(REQUIRED, "")
    with pytest.raises(RebootingError):
        it.apply(KERNEL)
    assert it.diff(KERNEL).action == "refused"
    assert it.ran.count(["systemctl", "reboot"]) == 2  # two resources, one each


def test_boots_that_are_called_the_same_do_not_loop(tmp_path: Path) -> None:
    it = machine(tmp_path)
    for number in range(5):  # as in a container that shows the kernel's boot of the machine around it
        boot(it, "shared", 1_000_000 + number * 60)
        try:
            assert notify(it, reason=OWED).result == "failed"
        except RebootingError:
            assert number == 0


def test_a_container_that_shares_the_name_of_its_boots_is_told_by_its_first_process(tmp_path: Path) -> None:
    it = machine(tmp_path)
    with pytest.raises(RebootingError):
        notify(it)
    it.put(FIRST_PROCESS, "1 (init) S " + " ".join(str(number) for number in range(104, 130)))
    assert notify(it, reason=OWED).message == "the machine has booted since"


def test_a_machine_that_will_not_reboot_is_a_failure(tmp_path: Path) -> None:
    outcome = notify(machine(tmp_path, fails=True))
    assert (outcome.result, "systemctl reboot ended with 1" in outcome.message) == ("failed", True)


def test_the_run_does_not_wait_for_ever_for_a_machine_that_stays_up(tmp_path: Path) -> None:
    it = machine(tmp_path)
    it.acts["systemctl is-system-running"] = ("/asked", "running\n")
    with pytest.raises(RebootingError):
        notify(it)
    assert it.ran.count(["sleep", "1"]) == 30


def test_without_systemd_it_is_shutdown(tmp_path: Path) -> None:
    it = machine(tmp_path)
    (tmp_path / "root/run/systemd/system/x").unlink()
    (tmp_path / "root/run/systemd/system").rmdir()
    it.acts["shutdown -r now"] = ("/asked", "")
    with pytest.raises(RebootingError):
        notify(it)
    assert it.ran[0] == ["shutdown", "-r", "now"]


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"boot": "x", "at": "soon", "spent": false}', "\x00"])
def test_a_stamp_that_nobody_can_read_counts_as_just_made(tmp_path: Path, text: str) -> None:
    it = machine(tmp_path)
    it.put("/var/lib/trueup-reboot-config", text)
    assert (notify(it).result, notify(it, reason=OWED).result, it.ran) == ("failed", "failed", [])


def test_a_link_in_the_place_of_the_stamp_is_not_read(tmp_path: Path) -> None:
    it = machine(tmp_path)
    (tmp_path / "root/var/lib/trueup-reboot-config").symlink_to("/run/elsewhere")
    assert (notify(it).result, it.ran) == ("failed", [])


def test_a_stamp_of_the_future_holds(tmp_path: Path) -> None:
    it = machine(tmp_path)
    it.put("/var/lib/trueup-reboot-config", '{"boot": "x", "at": 99999999999, "spent": true}')
    assert notify(it).result == "failed"


def test_where_the_stamp_cannot_be_written_nothing_is_rebooted(tmp_path: Path) -> None:
    it = machine(tmp_path)
    (tmp_path / "root/var/lib").rmdir()
    outcome = notify(it)
    assert (outcome.result, "nothing is rebooted" in outcome.message, it.ran) == ("failed", True, [])


def test_where_boots_look_alike_or_the_clock_is_not_told_nothing_loops(tmp_path: Path) -> None:
    it = machine(tmp_path)
    it.put(STATISTICS, "cpu 1\n")
    it.put("/var/lib/trueup-reboot-config", '{"boot": "x", "at": 5, "spent": true}')
    assert notify(it).result == "failed"
    it.put(BOOT_ID, "")
    outcome = notify(it, make("reboot", "other"))
    assert (outcome.result, "does not tell its boots apart" in outcome.message, it.ran) == ("failed", True, [])


@pytest.mark.parametrize(
    ("resource", "word"),
    [
        (make("reboot", "../x"), "no name for a reboot"),
        (make("reboot", "x", if_exists="/var/lib/needs-reboot"), "below /run"),
    ],
)
def test_what_could_loop_or_lead_elsewhere_is_refused(tmp_path: Path, resource: Resource, word: str) -> None:
    difference = machine(tmp_path).diff(resource)
    assert (difference.action, word in difference.reason) == ("refused", True)


def test_edges_and_bounds() -> None:
    resources = (make("file", REQUIRED), KERNEL, make("reboot", "../x", if_exists=REQUIRED))
    found = {(edge.before, edge.after) for edge in find_edges(Preparer(PROVIDERS).prepare_all(resources))}
    assert found == {(f"file:{REQUIRED}", "reboot:kernel")}
    assert [item.verb for item in PROVIDERS["reboot"].bound(spec_of(KERNEL))] == ["run"]
    assert PROVIDERS["reboot"].bound(spec_of(NOTIFIED)) == ()
