"""Facts of a machine, from the files of real distributions."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitops.executor.facts import read_facts
from gitops.model.facts import FACTS, OBSERVED
from tests.support.project import write_files

DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nID=debian\n'
ROCKY = 'NAME="Rocky Linux"\nID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\n# a comment\n\n'
LEAP = 'NAME="openSUSE Leap"\nID="opensuse-leap"\nID_LIKE="suse opensuse"\nVERSION_ID="15.6"\n'
SLES_12 = 'NAME="SLES"\nVERSION_ID="12.5"\nID="sles"\n'
ALPINE = 'NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.20.3\n'
UNKNOWN = "ID=own\n"


@pytest.mark.parametrize(
    ("text", "family", "name", "version", "codename"),
    [
        (DEBIAN, "debian", "debian", "12", "bookworm"),
        (ROCKY, "redhat", "rocky", "9.4", ""),
        (LEAP, "suse", "opensuse-leap", "15.6", ""),
        (SLES_12, "suse", "sles", "12.5", ""),
        (ALPINE, "alpine", "alpine", "3.20.3", ""),
        (UNKNOWN, "own", "own", "", ""),
        ("", "", "", "", ""),
    ],
)
def test_the_system_is_what_os_release_says(
    tmp_path: Path, text: str, family: str, name: str, version: str, codename: str
) -> None:
    write_files(tmp_path, {"etc/os-release": text})
    facts = read_facts(str(tmp_path))
    assert (facts["os.family"], facts["os.name"], facts["os.version"], facts["os.codename"]) == (family, name, version, codename)


def test_the_distributions_own_file_counts_when_etc_has_none(tmp_path: Path) -> None:
    write_files(tmp_path, {"usr/lib/os-release": DEBIAN})
    assert read_facts(str(tmp_path))["os.name"] == "debian"


@pytest.mark.parametrize(
    ("comm", "init"), [("systemd\n", "systemd"), ("init\n", "sysvinit"), ("openrc-init\n", "openrc"), ("tini\n", "unknown")]
)
def test_the_init_is_what_process_one_is_called(tmp_path: Path, comm: str, init: str) -> None:
    write_files(tmp_path, {"proc/1/comm": comm})
    assert read_facts(str(tmp_path))["init"] == init


def test_openrc_is_known_by_its_runlevel_whatever_process_one_is_called(tmp_path: Path) -> None:
    write_files(tmp_path, {"proc/1/comm": "init\n", "run/openrc/softlevel": "default\n"})
    assert read_facts(str(tmp_path))["init"] == "openrc"


def test_every_fact_of_the_model_is_given_and_no_other() -> None:
    assert set(read_facts()) == {*FACTS, *OBSERVED}
    assert not set(FACTS) & set(OBSERVED)


MAC = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
\t<key>ProductBuildVersion</key>
\t<string>24B83</string>
\t<key>ProductCopyright</key>
\t<string>1983-2024 Apple Inc.</string>
\t<key>ProductName</key>
\t<string>macOS</string>
\t<key>ProductVersion</key>
\t<string>15.1</string>
</dict>
</plist>
"""
SYSTEM_VERSION = "System/Library/CoreServices/SystemVersion.plist"


def test_a_mac_is_known_by_its_own_file_without_anything_of_linux(tmp_path: Path) -> None:
    write_files(tmp_path, {SYSTEM_VERSION: MAC, "opt/homebrew/bin/brew": ""})
    facts = read_facts(str(tmp_path))
    assert (facts["os.family"], facts["os.name"], facts["os.version"], facts["os.codename"]) == ("darwin", "macos", "15.1", "")
    assert (facts["init"], facts["package_manager"], facts["virtualisation"], facts["addresses"]) == ("launchd", "brew", "", "")
    assert int(facts["memory"]) > 0
    assert set(facts) == {*FACTS, *OBSERVED}


@pytest.mark.parametrize(
    "text", ["", "<plist>", "bplist00", "<plist><string>15</string></plist>", MAC.replace("string>", "date>")]
)
def test_a_damaged_file_of_the_release_leaves_the_version_empty(tmp_path: Path, text: str) -> None:
    write_files(tmp_path, {SYSTEM_VERSION: text})
    facts = read_facts(str(tmp_path))
    assert (facts["os.family"], facts["os.version"], facts["package_manager"]) == ("darwin", "", "")


def test_a_mac_that_does_not_tell_its_memory_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> int:
        raise ValueError(name)

    monkeypatch.setattr("os.sysconf", refuse)
    write_files(tmp_path, {SYSTEM_VERSION: MAC})
    assert read_facts(str(tmp_path))["memory"] == ""


TRIE = """\
Local:
  +-- 0.0.0.0/0 3 0 5
     |-- 127.0.0.1
        /32 host LOCAL
     |-- 192.0.2.0
        /24 link UNICAST
     |-- 192.0.2.17
        /32 host LOCAL
     |-- 192.0.2.9
        /32 host LOCAL
     |-- 192.0.2.255
        /32 link BROADCAST
     |-- 169.254.0.3
        /32 host LOCAL
"""
INTERFACES = """\
00000000000000000000000000000001 01 80 10 80       lo
fe800000000000000000000000000001 02 40 20 80     eth0
20010db8000000000000000000000017 02 40 00 80     eth0
20010db800000000abcd000000000001 02 40 00 01     eth0
20010db8000100020003000400050006 02 40 00 80     eth0
odd line
"""


def test_addresses_are_those_that_others_can_reach_and_that_stay(tmp_path: Path) -> None:
    write_files(tmp_path, {"proc/net/fib_trie": TRIE, "proc/net/if_inet6": INTERFACES})
    assert read_facts(str(tmp_path))["addresses"] == "192.0.2.9 192.0.2.17 2001:db8::17 2001:db8:1:2:3:4:5:6"


def test_memory_is_in_whole_mib(tmp_path: Path) -> None:
    write_files(tmp_path, {"proc/meminfo": "MemTotal:        2047999 kB\nMemFree: 1 kB\n"})
    assert read_facts(str(tmp_path))["memory"] == "1999"
    assert read_facts(str(tmp_path / "nowhere"))["memory"] == ""


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({}, "none"),
        ({"proc/cpuinfo": "flags : fpu hypervisor lm\n"}, "other"),
        ({"run/systemd/container": "systemd-nspawn\n"}, "systemd-nspawn"),
        ({"run/systemd/container": "\x1b[31mx"}, "other"),
        ({".dockerenv": ""}, "docker"),
        ({"run/.containerenv": ""}, "podman"),
        ({"sys/class/dmi/id/sys_vendor": "QEMU\n"}, "kvm"),
        (
            {"sys/class/dmi/id/sys_vendor": "Microsoft Corporation\n", "sys/class/dmi/id/product_name": "Virtual Machine\n"},
            "hyperv",
        ),
        ({"sys/class/dmi/id/sys_vendor": "Microsoft Corporation\n", "sys/class/dmi/id/product_name": "Surface\n"}, "none"),
        ({"sys/class/dmi/id/sys_vendor": "innotek GmbH\n"}, "virtualbox"),
    ],
)
def test_what_a_machine_runs_on(tmp_path: Path, files: dict[str, str], found: str) -> None:
    write_files(tmp_path, files)
    assert read_facts(str(tmp_path))["virtualisation"] == found


@pytest.mark.parametrize(
    ("program", "found"), [("usr/bin/apt-get", "apt"), ("usr/bin/dnf", "dnf"), ("sbin/apk", "apk"), ("usr/bin/else", "")]
)
def test_the_package_manager_is_the_one_that_is_there(tmp_path: Path, program: str, found: str) -> None:
    write_files(tmp_path, {program: ""})
    assert read_facts(str(tmp_path))["package_manager"] == found
