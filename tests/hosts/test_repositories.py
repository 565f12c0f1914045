"""Sources of packages on real hosts: added, used and taken away in one run each; what a wrong key signed is not taken."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.managed import Managed
from tests.support.packages import TinyPackage, build_repository
from tests.support.signing import sign_repository

pytestmark = [pytest.mark.hosts, pytest.mark.xdist_group("hosts")]

KEY = "/usr/share/keyrings/fresh.asc"
RESOURCES = """\
- file: KEY
  content: |
{key}
- apt_repository: fresh
  uris: ["file:/srv/fresh"]
  suites: ["./"]
  signed_by: KEY
- package: fresh-tool
""".replace("KEY", KEY)
GONE = f"""\
- package: fresh-tool
  state: absent
- apt_repository: fresh
  uris: ["file:/srv/fresh"]
  suites: ["./"]
  state: absent
- file: {KEY}
  state: absent
"""


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Give a signed source and its key."""
    folder = build_repository(tmp_path_factory.mktemp("fresh"), TinyPackage("fresh-tool", "1.0"))
    return folder, sign_repository(folder)


def declare(key: str) -> str:
    return RESOURCES.replace("{key}", "".join(f"    {line}\n" for line in key.splitlines()))


def test_a_source_its_key_and_a_package_of_it_come_and_go_in_one_run_each(shared: Managed, fresh: tuple[Path, str]) -> None:
    folder, key = fresh
    shared.host.copy_in(folder, "/srv/fresh")
    report = shared.converge(declare(key))
    addresses = [item.address for item in report.changes]
    assert addresses == [f"file:{KEY}", "apt_repository:fresh", "package:fresh-tool"]
    assert shared.host.run(["dpkg-query", "-W", "-f", "${Version}", "fresh-tool"]).out == "1.0"
    gone = [item.address for item in shared.converge(GONE).changes]
    assert gone == [f"file:{KEY}", "package:fresh-tool", "apt_repository:fresh"]
    shared.host.run(["apt-get", "update", "-qq"])


def test_what_another_key_signed_is_not_installed(shared: Managed, fresh: tuple[Path, str], tmp_path: Path) -> None:
    folder, _ = fresh
    other = build_repository(tmp_path / "other", TinyPackage("other-tool", "1.0"))
    shared.host.copy_in(folder, "/srv/fresh")
    answer = shared.apply(declare(sign_repository(other)))
    found = {item.address: (item.result, item.message) for item in answer.report.changes}
    assert found["apt_repository:fresh"][0] == "changed"
    assert found["package:fresh-tool"][0] == "failed"
    # gpgv's words until Debian 12, sqv's since
    assert re.search(r"NO_PUBKEY|Missing key", found["package:fresh-tool"][1])
    assert shared.host.run(["dpkg-query", "-W", "fresh-tool"], check=False).status == 1
    shared.apply(GONE)
    shared.host.run(["apt-get", "update", "-qq"])
