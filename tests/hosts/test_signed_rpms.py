"""Sources of packages for dnf on a real host: a key, a source and its package come and go in one run each; signatures are really checked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.hosts import Rig
from tests.support.managed import Managed, unpack_executor
from tests.support.reallaws import try_laws
from tests.support.repositories import Small, begin_history, claim, publish_signed
from tests.support.results import check_results
from tests.support.roots import MANY, get_root

pytestmark = [pytest.mark.hosts, pytest.mark.xdist_group("hosts")]

KEY = "/etc/pki/rpm-gpg/RPM-GPG-KEY-tests"
SOURCE = f"""\
- file: {KEY}
  content: |
BODY
- yum_repository: signed
  baseurl: ["file:///srv/signed/rpms"]
  gpgkey: ["file://{KEY}"]
"""
PACKAGE = "- package: signed-tool\n"
GONE = f"""\
- package: signed-tool
  state: absent
- yum_repository: signed
  state: absent
- file: {KEY}
  state: absent
"""


@pytest.fixture(scope="module")
def signed(rig: Rig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Managed, str, str]]:
    """Give a host with a signed source, its key, and a key of somebody else."""
    folder = tmp_path_factory.mktemp("signed")
    host = rig.boot("signed-1", MANY)
    host.run(["sed", "-i", "s/^enabled.*/enabled = false/", "/etc/dnf/plugins/local.conf"])
    claim(host, "fedora")
    begin_history(host)
    key = publish_signed(host, "/srv/signed", Small("signed-tool", "1.0"), "tests@example.org")
    other = publish_signed(host, "/srv/other", Small("other-tool", "1.0"), "mallory@example.org")
    yield Managed.start(host, folder / "project", unpack_executor(folder / "executor", get_root(MANY))), key, other
    host.remove()


def declare(key: str) -> str:
    return SOURCE.replace("BODY\n", "".join(f"    {line}\n" for line in key.splitlines()))


def is_installed(machine: Managed) -> bool:
    return machine.host.run(["rpm", "-q", "signed-tool"], check=False).status == 0


def test_a_key_its_source_and_a_package_of_it_come_and_go_in_one_run_each(signed: tuple[Managed, str, str]) -> None:
    machine, key, _ = signed
    report = machine.converge(declare(key) + PACKAGE)
    assert [item.address for item in report.changes][-2:] == ["yum_repository:signed", "package:signed-tool"]
    assert is_installed(machine)
    machine.converge(GONE)
    assert not is_installed(machine)


def test_what_another_key_signed_is_not_installed(signed: tuple[Managed, str, str]) -> None:
    machine, _, other = signed
    machine.host.run(["sh", "-c", "rpm -e --allmatches $(rpm -q gpg-pubkey) || true"])
    answer = machine.apply(declare(other) + PACKAGE)
    found = {item.address: (item.result, item.message) for item in answer.report.changes}
    assert (answer.status, found["package:signed-tool"][0], is_installed(machine)) == (4, "failed", False)
    assert "key" in found["package:signed-tool"][1].lower()
    machine.apply(GONE)


def test_the_laws_hold_for_a_source(signed: tuple[Managed, str, str], request: pytest.FixtureRequest) -> None:
    machine, key, _ = signed
    check_results("Debian 12, dnf", try_laws(machine, declare(key)), request.config)
