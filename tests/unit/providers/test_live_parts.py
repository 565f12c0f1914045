"""Kinds that own a file and set something on the running machine: the kernel's answers, undo, what is not touched with `--root`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gitops.executor.host import RealHost
from gitops.executor.journal import Journal, read_journal
from gitops.model.attribute import decode_spec
from gitops.model.codec import Json
from gitops.model.observation import State
from gitops.model.report import Outcome
from gitops.model.resource import Resource
from gitops.plan.item import Preparer
from gitops.plan.order import find_edges
from gitops.providers.base import Step
from gitops.providers.host import Finished
from gitops.providers.registry import PROVIDERS


class LiveHost(RealHost):
    """The files below a folder, taken for a running machine whose programs do what `acts` say (and nothing else)."""

    acts: Mapping[str, tuple[str, str]]
    ran: list[list[str]]

    @property
    def is_live(self) -> bool:
        return True

    def run(self, argv: Sequence[str], **_: Any) -> Finished:
        self.ran.append(list(argv))
        path, text = self.acts.get(" ".join(argv), ("", ""))
        if path.endswith("/"):
            (Path(self.tree.root) / path[1:]).mkdir(parents=True)
        elif path:
            (Path(self.tree.root) / path[1:]).write_text(text)
        return Finished(0 if path else 1, text)


@dataclass
class Machine:
    folder: Path
    acts: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    ran: list[list[str]] = field(default_factory=list[list[str]])
    runs: int = 0

    @property
    def journal(self) -> Path:
        return self.folder / f"run-{self.runs}"

    def put(self, path: str, text: str) -> None:
        real = self.folder / "root" / path[1:]
        real.parent.mkdir(parents=True, exist_ok=True)
        real.write_text(text)

    def open(self, *, is_reading: bool = False) -> LiveHost:
        for name in ("root/etc/sysctl.d", "root/etc/modules-load.d", "root/etc/systemd/system"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        if not is_reading:
            self.runs += 1
            self.journal.mkdir()
        journal = None if is_reading else Journal(str(self.journal))
        host = LiveHost(root=str(self.folder / "root"), journal=journal, run="r")
        host.acts, host.ran = self.acts, self.ran
        return host

    def see(self, resource: Resource) -> State:
        host = self.open(is_reading=True)
        provider = PROVIDERS[resource.kind]
        state = provider.observe([spec_of(resource)], host)[resource.name]
        host.close()
        return state

    def diff(self, resource: Resource) -> Any:
        return PROVIDERS[resource.kind].diff(spec_of(resource), self.see(resource))

    def apply(self, resource: Resource) -> Outcome:
        state, difference = self.see(resource), self.diff(resource)
        host = self.open()
        step = Step(resource.address, difference.action, spec_of(resource), state, difference)
        (outcome,) = PROVIDERS[resource.kind].apply([step], host)
        host.close()
        return outcome

    def undo(self) -> list[list[str]]:
        return [list(entry.undo) for entry in read_journal(str(self.journal)) if entry.undo]


def spec_of(resource: Resource) -> Any:
    return decode_spec(PROVIDERS[resource.kind].spec, resource.name, resource.attributes)


def make(kind: str, name: str, **attributes: Json) -> Resource:
    return Resource(kind, name, attributes)


SWAPPINESS = make("sysctl", "vm.swappiness", value="10")
LIVE = "/proc/sys/vm/swappiness"
SET = "sysctl -q -w vm.swappiness=10"


def fields(difference: Any) -> list[tuple[str, Json]]:
    return [(item.name, item.before) for item in difference.fields]


def test_the_kernel_is_set_after_the_file_and_its_undo_is_noted_first(tmp_path: Path) -> None:
    machine = Machine(tmp_path, {SET: (LIVE, "10\n")})
    machine.put(LIVE, "60\n")
    assert fields(machine.diff(SWAPPINESS)) == [("content", None), ("mode", None), ("live", "60")]
    assert machine.apply(SWAPPINESS).result == "changed"
    assert machine.ran == [SET.split()]
    assert machine.undo() == [["sysctl", "-q", "-w", "vm.swappiness=60"]]
    assert machine.diff(SWAPPINESS) is None


def test_a_live_value_that_drifted_is_set_without_touching_the_file(tmp_path: Path) -> None:
    machine = Machine(tmp_path, {SET: (LIVE, "10\n")})
    machine.put(LIVE, "10\n")
    machine.apply(SWAPPINESS)
    machine.put(LIVE, "60\n")
    file = tmp_path / "root/etc/sysctl.d/90-trueup-vm.swappiness.conf"
    before = file.stat()
    assert fields(machine.diff(SWAPPINESS)) == [("live", "60")]
    assert machine.apply(SWAPPINESS).result == "changed"
    assert (file.stat().st_ino, file.stat().st_ctime_ns) == (before.st_ino, before.st_ctime_ns)


@pytest.mark.parametrize("act", [{}, {SET: (LIVE, "0\n")}])
def test_a_value_that_the_kernel_did_not_take_is_a_failure(tmp_path: Path, act: dict[str, tuple[str, str]]) -> None:
    machine = Machine(tmp_path, act)
    machine.put(LIVE, "60\n")
    outcome = machine.apply(SWAPPINESS)
    assert (outcome.result, "did not take 10" in outcome.message) == ("failed", True)


def test_a_parameter_that_this_kernel_does_not_have_is_conditional_and_never_a_change(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    for _ in range(2):  # the second time the file is there
        difference = machine.diff(SWAPPINESS)
        assert (difference.confidence, "no such parameter" in difference.reason) == ("conditional", True)
        outcome = machine.apply(SWAPPINESS)
        assert (outcome.result, outcome.message.split(":")[0]) == ("failed", "this kernel has no parameter vm.swappiness")
    assert (fields(machine.diff(SWAPPINESS)), machine.ran, machine.undo()) == ([("live", None)], [], [])


def test_a_folder_of_parameters_is_refused(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    (tmp_path / "root" / LIVE[1:]).mkdir(parents=True)
    assert machine.diff(SWAPPINESS).action == "refused"


def test_an_empty_live_value_is_a_value(tmp_path: Path) -> None:
    machine = Machine(tmp_path, {SET: (LIVE, "10\n")})
    machine.put(LIVE, "\n")
    assert ("live", "") in fields(machine.diff(SWAPPINESS))
    assert machine.apply(SWAPPINESS).result == "changed"
    assert machine.undo() == [["sysctl", "-q", "-w", "vm.swappiness="]]


def test_an_empty_name_of_the_machine_is_a_name_to_change(tmp_path: Path) -> None:
    machine = Machine(tmp_path, {"hostname -- web": ("/proc/sys/kernel/hostname", "web\n")})
    machine.put("/proc/sys/kernel/hostname", "\n")
    name = make("hostname", "web")
    assert ("live", "") in fields(machine.diff(name))
    assert machine.apply(name).result == "changed"
    assert machine.diff(name) is None


@pytest.mark.parametrize(
    ("declared", "kernel"),
    [
        ("9148,8080", "8080,9148"),
        ("8080,8081, 8082".replace(" ", ""), "8080-8082"),
        ("0x1", "1"),
        ("010", "8"),
        ("-0x1", "-1"),
        ("4\t4  1 7", "4\t4\t1\t7"),
        ("0-3,2", "0-3"),
    ],
)
def test_what_the_kernel_writes_in_another_way_is_the_same(tmp_path: Path, declared: str, kernel: str) -> None:
    wanted = make("sysctl", "vm.swappiness", value=declared)
    machine = Machine(tmp_path, {f"sysctl -q -w vm.swappiness={' '.join(declared.split())}": (LIVE, f"{kernel}\n")})
    machine.put(LIVE, "60\n")
    assert machine.apply(wanted).result == "changed"
    assert machine.diff(wanted) is None


@pytest.mark.parametrize(
    ("declared", "kernel"), [("08", "8"), ("80,a", "80"), ("3-1", "1-3"), ("|/bin/core 0x1 %p", "|/bin/core 0x2 %p")]
)
def test_what_means_something_else_is_not_the_same(tmp_path: Path, declared: str, kernel: str) -> None:
    machine = Machine(tmp_path)
    machine.put(LIVE, f"{kernel}\n")
    assert ("live", kernel) in fields(machine.diff(make("sysctl", "vm.swappiness", value=declared)))


@pytest.mark.parametrize(
    ("name", "is_told"),
    [("net.ipv4.conf.eth0.100.forwarding", True), ("net/ipv4/conf/eth0.100/forwarding", False), ("net.core.bpf_none", False)],
)
def test_a_name_whose_part_may_have_a_dot_is_told_the_other_spelling(tmp_path: Path, name: str, is_told: bool) -> None:
    difference = Machine(tmp_path).diff(make("sysctl", name, value="1"))
    assert difference is not None
    assert ("with slashes" in difference.reason) is is_told


def test_an_interface_with_a_dot_is_named_with_slashes(tmp_path: Path) -> None:
    name, path = "net/ipv4/conf/eth0.100/forwarding", "/proc/sys/net/ipv4/conf/eth0.100/forwarding"
    wanted = make("sysctl", name, value="1")
    machine = Machine(tmp_path, {f"sysctl -q -w {name}=1": (path, "1\n")})
    machine.put(path, "0\n")
    assert machine.apply(wanted).result == "changed"
    file = tmp_path / "root/etc/sysctl.d/90-trueup-net.ipv4.conf.eth0.100.forwarding.conf"
    assert file.read_text().endswith(f"{name} = 1\n")
    assert machine.diff(wanted) is None


def test_a_file_that_failed_sets_nothing_live(tmp_path: Path) -> None:
    machine = Machine(tmp_path, {SET: (LIVE, "10\n")})
    machine.put(LIVE, "60\n")
    state, difference = machine.see(SWAPPINESS), machine.diff(SWAPPINESS)
    host = machine.open()
    (tmp_path / "root/etc/sysctl.d").rmdir()
    step = Step(SWAPPINESS.address, difference.action, spec_of(SWAPPINESS), state, difference)
    (outcome,) = PROVIDERS["sysctl"].apply([step], host)
    assert (outcome.result, machine.ran) == ("failed", [])


def test_a_removed_parameter_leaves_the_live_value(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.put(LIVE, "60\n")
    gone = make("sysctl", "vm.swappiness", value="10", state="absent")
    assert machine.diff(gone) is None
    machine.put("/etc/sysctl.d/90-trueup-vm.swappiness.conf", "x")
    assert machine.apply(gone).result == "changed"
    assert machine.ran == []


MODULE = make("kernel_module", "br-netfilter")
PROBE = "modprobe -- br-netfilter"


def test_a_module_is_loaded_and_then_shown_by_the_kernel(tmp_path: Path) -> None:
    machine = Machine(tmp_path, {PROBE: ("/sys/module/br_netfilter/", "")})
    machine.put("/sys/module/kernel/x", "")
    assert fields(machine.diff(MODULE))[-1] == ("live", "no")
    assert machine.apply(MODULE).result == "changed"
    assert (machine.ran, machine.undo()) == ([PROBE.split()], [["modprobe", "-r", "--", "br-netfilter"]])
    assert machine.diff(MODULE) is None


@pytest.mark.parametrize("act", [{}, {PROBE: ("/etc/other", "")}])
def test_a_module_that_does_not_come_is_a_failure(tmp_path: Path, act: dict[str, tuple[str, str]]) -> None:
    machine = Machine(tmp_path, act)
    outcome = machine.apply(MODULE)
    assert (outcome.result, "modprobe br-netfilter" in outcome.message) == ("failed", True)


UNIT = make("systemd_unit", "app.service", content="[Service]\n")
RELOAD = "systemctl daemon-reload"
SHOW = "systemctl show --no-pager --property=LoadState --value -- app.service"


def test_systemd_is_told_after_the_file_and_again_when_it_is_undone(tmp_path: Path) -> None:
    machine = Machine(tmp_path, {RELOAD: ("/etc/told", ""), SHOW: ("/etc/asked", "loaded\n")})
    machine.put("/run/systemd/system/x", "")
    assert machine.apply(UNIT).result == "changed"
    assert machine.ran == [RELOAD.split(), SHOW.split()]
    first = read_journal(str(machine.journal))[0]
    assert list(first.undo) == RELOAD.split()  # the oldest is undone last, when the file is back


def test_a_unit_that_systemd_cannot_load_is_a_failure(tmp_path: Path) -> None:
    machine = Machine(tmp_path, {SHOW: ("/etc/asked", "bad-setting\n")})
    machine.put("/run/systemd/system/x", "")
    outcome = machine.apply(UNIT)
    assert (outcome.result, "bad-setting" in outcome.message) == ("failed", True)


def test_where_systemd_does_not_run_nobody_is_told(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    assert (machine.apply(UNIT).result, machine.ran) == ("changed", [])


@pytest.mark.parametrize("name", ["app@.service", "app.service"])
def test_templates_and_what_is_removed_are_not_asked_for(tmp_path: Path, name: str) -> None:
    machine = Machine(tmp_path)
    machine.put("/run/systemd/system/x", "")
    machine.put("/etc/systemd/system/app.service", "x")
    state = "present" if "@" in name else "absent"
    assert machine.apply(make("systemd_unit", name, content="[Service]\n", state=state)).result == "changed"
    assert machine.ran == [RELOAD.split()]


def edges(*resources: Resource) -> set[tuple[str, str]]:
    return {(edge.before, edge.after) for edge in find_edges(Preparer(PROVIDERS).prepare_all(resources))}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (UNIT, make("service", "app")),
        (make("systemd_unit", "app.service.d/x.conf", content="x"), make("service", "app")),
        (make("systemd_unit", "app.service.d/x.conf", content="x", state="present"), make("service", "app.service")),
        (make("user", "ann"), make("cron", "x", schedule="@daily", command="x", user="ann")),
        (make("package", "cron"), make("cron", "x", schedule="@daily", command="x")),
        (make("directory", "/etc/cron.d"), make("cron", "x", schedule="@daily", command="x")),
        (make("directory", "/etc"), make("host_entry", "192.0.2.5", names=["db"])),
    ],
)
def test_automatic_edges(before: Resource, after: Resource) -> None:
    assert edges(before, after) == {(str(before.address), str(after.address))}


def test_a_mistake_has_no_edges_and_one_effect() -> None:
    broken = make("cron", "a.b", schedule="@daily", command="x")
    assert edges(make("directory", "/etc"), broken) == set()
    assert [item.verb for item in PROVIDERS["cron"].bound(spec_of(broken))] == ["set"]


def test_at_most_as_its_file() -> None:
    entry = make("cron", "a", schedule="@daily", command="x")
    assert [item.verb for item in PROVIDERS["cron"].bound(spec_of(entry))] == ["set", "replace", "set", "set"]
