"""Facts of a machine, from the files of real distributions."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitops.executor.facts import read_facts
from gitops.model.facts import FACTS
from tests.support.project import write_files

DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nID=debian\n'
ROCKY = 'NAME="Rocky Linux"\nID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\n# a comment\n\n'
UNKNOWN = "ID=own\n"


@pytest.mark.parametrize(
    ("text", "family", "name", "version", "codename"),
    [
        (DEBIAN, "debian", "debian", "12", "bookworm"),
        (ROCKY, "redhat", "rocky", "9.4", ""),
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
    assert set(read_facts()) == set(FACTS)
