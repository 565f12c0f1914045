"""What a machine calls itself, on real hosts: its name, its time zone, its locales."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.hosts import Rig
from tests.support.managed import Managed, unpack_executor
from tests.support.roots import MANY, get_root

pytestmark = [pytest.mark.hosts, pytest.mark.xdist_group("hosts")]

HAS_ZONES = "bullseye"  # the root of bookworm has none


@pytest.fixture(scope="module")
def generating(rig: Rig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Managed]:
    """Give a host that generates locales."""
    host = rig.boot("locales-1", MANY)
    executor = unpack_executor(tmp_path_factory.mktemp("many"), get_root(MANY))
    yield Managed.start(host, tmp_path_factory.mktemp("locales") / "project", executor)
    host.remove()


def shown(machine: Managed, *argv: str) -> str:
    return machine.host.run(argv, check=False).out.strip()


def test_the_name_is_set_at_once_kept_over_a_reboot_and_undone(machine: Managed) -> None:
    before = shown(machine, "hostname")
    run = machine.converge("- hostname: renamed-1.example.org\n").run
    assert shown(machine, "hostname") == "renamed-1.example.org"
    machine.host.run(["hostname", "drifted"])
    assert [item.action for item in machine.converge("- hostname: renamed-1.example.org\n").changes] == ["update"]
    machine.host.reboot()
    assert shown(machine, "cat", "/etc/hostname") == "renamed-1.example.org"
    machine.host.run(["hostname", "renamed-1.example.org"])  # the rig's own supervisor names its machines at boot
    assert machine.plan("- hostname: renamed-1.example.org\n").changes == ()
    assert machine.rollback(run).report.result == "reverted"
    assert (shown(machine, "hostname"), shown(machine, "cat", "/etc/hostname")) == (before, before)


def test_the_time_zone_is_what_programs_and_systemd_say(shared: Managed) -> None:
    for zone in ("Europe/Berlin", "America/New_York"):
        shared.host.copy_in(get_root(HAS_ZONES) / "usr/share/zoneinfo" / zone, f"/usr/share/zoneinfo/{zone}")
    first = shared.converge("- timezone: Europe/Berlin\n")
    assert shown(shared, "date", "-d", "2026-01-15 12:00 UTC", "+%H %Z") == "13 CET"
    second = shared.converge("- timezone: America/New_York\n")
    assert shown(shared, "date", "-d", "2026-01-15 12:00 UTC", "+%H %Z") == "07 EST"
    assert "America/New_York" in shown(shared, "timedatectl", "show", "-p", "Timezone")
    assert shared.rollback(second.run).report.result == "reverted"
    assert shown(shared, "date", "-d", "2026-01-15 12:00 UTC", "+%Z") == "CET"
    assert shared.rollback(first.run).report.result == "reverted"
    answer = shared.apply("- timezone: Europe/Atlantis\n")
    assert (answer.status, "no zone Europe/Atlantis" in answer.report.changes[0].message) == (4, True)


def test_a_locale_is_generated_made_the_default_and_taken_away(generating: Managed) -> None:
    resources = "- locale: et_EE.UTF-8\n  default: true\n"
    report = generating.converge(resources)
    assert "et_EE.utf8" in shown(generating, "locale", "-a")
    assert shown(generating, "cat", "/etc/default/locale").splitlines()[-1] == "LANG=et_EE.UTF-8"
    assert shown(generating, "env", "LC_ALL=et_EE.UTF-8", "date", "-d", "2026-01-15", "+%A") == "neljapäev"
    assert generating.rollback(report.run).report.result == "reverted"
    assert "et_EE.utf8" not in shown(generating, "locale", "-a")
    generating.converge("- locale: C.UTF-8\n  default: true\n")
    generating.converge(resources.replace("  default: true\n", ""))
    generating.converge("- locale: et_EE.UTF-8\n  state: absent\n")
    assert "et_EE.utf8" not in shown(generating, "locale", "-a")
    answer = generating.apply("- locale: xx_XX.UTF-8\n")
    assert (answer.status, answer.report.changes[0].result) == (4, "failed")
