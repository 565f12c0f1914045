"""Hostname and locale on a machine whose programs do as they are told: what is live, what fails, in which order."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitops.model.resource import Resource
from gitops.plan.item import Preparer
from gitops.plan.order import find_edges
from gitops.providers.registry import PROVIDERS
from tests.support.casehost import list_cases, play
from tests.unit.providers.test_live_parts import Machine, fields, make, spec_of

NAME = make("hostname", "web-1")
KERNEL = "/proc/sys/kernel/hostname"
LOCALE = make("locale", "de_DE.UTF-8")
KNOWN, GENERATE = "locale -a", "locale-gen"
LIST = "# locales\n# de_DE.UTF-8 UTF-8\n# de_DE ISO-8859-1\nen_US.UTF-8 UTF-8\n"


@pytest.mark.parametrize("path", list_cases("locale"), ids=lambda path: path.stem)
def test_case(path: Path) -> None:
    play(path)


def test_the_kernel_takes_the_name_after_the_file(tmp_path: Path) -> None:
    machine = Machine(tmp_path, {"hostname -- web-1": (KERNEL, "web-1\n")})
    machine.put(KERNEL, "old\n")
    assert fields(machine.diff(NAME)) == [("content", None), ("mode", None), ("live", "old")]
    assert machine.apply(NAME).result == "changed"
    assert machine.undo() == [["hostname", "--", "old"]]
    assert machine.diff(NAME) is None


def test_a_kernel_that_keeps_its_name_is_a_failure(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.put(KERNEL, "old\n")
    outcome = machine.apply(NAME)
    assert (outcome.result, "the kernel calls itself old" in outcome.message) == ("failed", True)


def test_a_kernel_that_cannot_be_asked_is_no_success(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    (tmp_path / "root" / KERNEL[1:]).mkdir(parents=True)
    outcome = machine.apply(NAME)
    assert (outcome.result, "the kernel calls itself (cannot be read)" in outcome.message) == ("failed", True)


def locales(folder: Path, *, known: str = "C\nen_US.utf8\n", text: str = LIST) -> Machine:
    """Give a Debian machine with a list of locales, whose locale-gen does nothing."""
    machine = Machine(folder, {KNOWN: ("/known", known)})
    machine.put("/etc/debian_version", "12\n")
    if text:
        machine.put("/etc/locale.gen", text)
    machine.acts[GENERATE] = ("/generated", "")
    return machine


def test_the_line_is_uncommented_and_generated(tmp_path: Path) -> None:
    machine = locales(tmp_path)
    assert fields(machine.diff(LOCALE)) == [("listed", "another line"), ("generated", False)]
    outcome = machine.apply(LOCALE)  # this machine's locale-gen brings nothing
    assert (outcome.result, "is it the name of a locale?" in outcome.message) == ("failed", True)
    assert (tmp_path / "root/etc/locale.gen").read_text() == LIST.replace("# de_DE.UTF-8", "de_DE.UTF-8")
    assert machine.undo() == [["locale-gen"]]
    machine.acts[KNOWN] = ("/known", "de_DE.utf8\n")
    assert machine.diff(LOCALE) is None


def test_a_default_waits_for_its_locale(tmp_path: Path) -> None:
    machine = locales(tmp_path)
    machine.put("/etc/default/locale", "#  File\nLANG=C\nLC_TIME=C\n")
    wanted = make("locale", "de_DE.UTF-8", default=True)
    assert fields(machine.diff(wanted)) == [("listed", "another line"), ("default", "another line"), ("generated", False)]
    assert machine.apply(wanted).result == "failed"
    assert "LANG=C\n" in (tmp_path / "root/etc/default/locale").read_text()
    machine.acts[KNOWN] = ("/known", "de_DE.utf8\n")
    assert machine.apply(wanted).result == "changed"
    assert (tmp_path / "root/etc/default/locale").read_text() == "#  File\nLANG=de_DE.UTF-8\nLC_TIME=C\n"
    assert machine.diff(wanted) is None


def test_a_generator_that_fails_is_told(tmp_path: Path) -> None:
    machine = locales(tmp_path)
    del machine.acts[GENERATE]
    outcome = machine.apply(LOCALE)
    assert (outcome.result, "locale-gen ended with 1" in outcome.message) == ("failed", True)


def test_only_an_active_line_goes(tmp_path: Path) -> None:
    gone = make("locale", "en_US.UTF-8", state="absent")
    machine = locales(tmp_path, text=LIST + "# en_US.UTF-8 UTF-8\n")
    assert machine.diff(gone).action == "remove"
    assert machine.apply(gone).result == "changed"
    assert (tmp_path / "root/etc/locale.gen").read_text() == LIST.replace("en_US.UTF-8 UTF-8\n", "# en_US.UTF-8 UTF-8\n")
    assert machine.diff(gone) is None


def test_where_nothing_generates_a_package_must_bring_it(tmp_path: Path) -> None:
    machine = locales(tmp_path, text="")
    difference = machine.diff(LOCALE)
    assert (difference.confidence, "if no package" in difference.reason) == ("conditional", True)
    assert (machine.apply(LOCALE).result, machine.undo()) == ("failed", [])
    assert not (tmp_path / "root/etc/locale.gen").exists()
    machine.acts[KNOWN] = ("/known", "de_DE.utf8\n")
    assert machine.diff(LOCALE) is None


@pytest.mark.parametrize(
    ("files", "path"),
    [
        (("debian_version",), "default/locale"),
        (("debian_version", "locale.conf"), "locale.conf"),
        (("locale.conf",), "locale.conf"),
        ((), "locale.conf"),
        (("default/locale", "locale.conf"), "default/locale"),
    ],
)
def test_the_default_goes_where_the_machine_reads_it(tmp_path: Path, files: tuple[str, ...], path: str) -> None:
    machine = Machine(tmp_path, {KNOWN: ("/known", "C\n")})
    (tmp_path / "root/etc/default").mkdir(parents=True)
    for name in files:
        machine.put(f"/etc/{name}", "")
    assert machine.apply(make("locale", "C.UTF-8", default=True)).result == "changed"
    assert (tmp_path / "root/etc" / path).read_text() == "LANG=C.UTF-8\n"


def test_a_link_in_the_place_of_the_list_is_refused(tmp_path: Path) -> None:
    machine = locales(tmp_path, text="")
    (tmp_path / "root/etc/locale.gen").symlink_to("/etc/passwd")
    assert machine.diff(LOCALE).action == "refused"


def edges(*resources: Resource) -> set[tuple[str, str]]:
    return {(edge.before, edge.after) for edge in find_edges(Preparer(PROVIDERS).prepare_all(resources))}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (make("package", "locales"), LOCALE),
        (make("package", "glibc-langpack-de"), LOCALE),
        (make("package", "tzdata"), make("timezone", "UTC")),
        (make("directory", "/etc"), NAME),
    ],
)
def test_automatic_edges(before: Resource, after: Resource) -> None:
    assert edges(before, after) == {(str(before.address), str(after.address))}


def test_mistakes_have_no_edges_and_bounds_are_small() -> None:
    package = make("package", "locales")
    assert edges(package, make("locale", "x"), make("timezone", "..")) == set()
    assert [item.verb for item in PROVIDERS["locale"].bound(spec_of(LOCALE))] == ["set"]
    assert [item.verb for item in PROVIDERS["timezone"].bound(spec_of(make("timezone", "UTC")))] == ["set", "replace"]
