"""Empty, not there and could not be read are three values of what a machine says; none is taken for another."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitops.errors import HostError
from gitops.executor.facts import read_facts
from gitops.model.codec import Json
from gitops.providers.mounts.mountinfo import TABLE, read_mounts
from gitops.providers.unpacked import MANIFEST
from tests.unit.providers.test_live_parts import Machine, make

KERNEL = "/proc/sys/kernel/hostname"
NAME = make("hostname", "web-1")
MODULE = make("kernel_module", "loop")
MOUNT_ROW = "20 1 8:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n"


@pytest.mark.parametrize(
    ("said", "live"),
    [("", [("live", "")]), ("other\n", [("live", "other")]), ("web-1\n", []), (None, [])],
    ids=["empty", "another", "the same", "no such file"],
)
def test_an_empty_name_of_the_kernel_is_a_name(tmp_path: Path, said: str | None, live: list[tuple[str, Json]]) -> None:
    it = Machine(tmp_path)
    it.put("/etc/hostname", "old\n")
    if said is not None:
        it.put(KERNEL, said)
    found = it.diff(NAME)
    assert [(item.name, item.before) for item in found.fields if item.name == "live"] == live


def test_an_empty_name_is_set_and_has_no_way_back(tmp_path: Path) -> None:
    it = Machine(tmp_path, {"hostname -- web-1": (KERNEL, "web-1\n")})
    it.put(KERNEL, "")
    assert (it.apply(NAME).result, it.undo()) == ("changed", [])


def test_a_name_that_cannot_be_read_is_not_taken_for_none(tmp_path: Path) -> None:
    it = Machine(tmp_path)
    (tmp_path / "root" / KERNEL[1:]).mkdir(parents=True)
    assert [item.before for item in it.diff(NAME).fields if item.name == "live"] == ["(cannot be read)"]


@pytest.mark.parametrize(("folders", "live"), [(["loop"], []), (["other"], ["no"]), ([], ["(cannot be read)"])])
def test_a_kernel_that_shows_no_modules_has_not_said_no(tmp_path: Path, folders: list[str], live: list[str]) -> None:
    it = Machine(tmp_path, {"modprobe -- loop": ("/sys/module/loop/", "")})
    for name in folders:
        it.put(f"/sys/module/{name}/x", "")
    assert [item.before for item in it.diff(MODULE).fields if item.name == "live"] == live
    if live:
        assert it.apply(MODULE).result == "changed"
        assert it.undo() == ([["modprobe", "-r", "--", "loop"]] if live == ["no"] else [])


@pytest.mark.parametrize("table", [None, "", "no row\n"])
@pytest.mark.parametrize("state", ["mounted", "unmounted", "absent"])
def test_a_missing_table_of_mounts_is_not_nothing_mounted(tmp_path: Path, table: str | None, state: str) -> None:
    it = Machine(tmp_path)
    it.put("/etc/fstab", "t\t/srv/t\ttmpfs\tdefaults\t0\t0\n")
    if table is not None:
        it.put(TABLE, table)
    given = {} if state == "absent" else {"device": "t", "fstype": "tmpfs"}
    found = it.diff(make("mount", "/srv/t", state=state, **given))
    assert (found.action, "does not tell what is mounted" in found.reason) == ("refused", True)
    assert it.diff(make("mount", "/srv/t", state="present", device="t", fstype="tmpfs")) is None
    with pytest.raises(HostError, match="does not tell"):
        read_mounts(it.open(is_reading=True))
    it.put(TABLE, MOUNT_ROW)
    assert len(read_mounts(it.open(is_reading=True))) == 1


@pytest.mark.parametrize(
    ("output", "obstacle", "fields"),
    [
        ("C\nde_DE.utf8\n", "", []),
        ("C\n", "", ["generated"]),
        ("", "cannot be told", ["generated"]),
        (None, "cannot be told", ["generated"]),
    ],
)
def test_a_c_library_that_does_not_answer_has_not_said_no(
    tmp_path: Path, output: str | None, obstacle: str, fields: list[str]
) -> None:
    it = Machine(tmp_path, {} if output is None else {"locale -a": ("/said", output)})
    it.put("/etc/locale.gen", "de_DE.UTF-8 UTF-8\n")
    found = it.diff(make("locale", "de_DE.UTF-8"))
    assert ([] if found is None else [item.name for item in found.fields]) == fields
    assert obstacle in ("" if found is None else found.obstacle)
    assert bool(obstacle) is bool(found is not None and found.obstacle)


@pytest.mark.parametrize(
    ("text", "words"), [("", "is no list that a run wrote"), ("{}", "is no list that a run wrote"), (None, "")]
)
def test_a_damaged_list_is_not_nothing_unpacked(tmp_path: Path, text: str | None, words: str) -> None:
    it = Machine(tmp_path)
    it.put("/opt/app/x", "mine")
    if text is not None:
        it.put(f"/opt/app/{MANIFEST}", text)
    wanted: dict[str, Json] = {"url": "https://downloads.example.org/x.tar", "sha256": "0" * 64}
    host = it.open(is_reading=True)
    host.close()
    gone, there = (make("archive", "/opt/app", **more) for more in ({"state": "absent"}, wanted))
    found = it.diff(gone)
    assert ("" if found is None else found.reason).find(words) >= 0
    assert (found is not None) is bool(words)
    assert words in it.diff(there).reason


def test_an_empty_release_file_is_not_looked_past(tmp_path: Path) -> None:
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "usr/lib/os-release").write_text("ID=debian\n")
    assert read_facts(str(tmp_path))["os.name"] == "debian"
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text("")
    assert read_facts(str(tmp_path))["os.name"] == ""
