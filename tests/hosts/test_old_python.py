"""The executor's archive on a real Python 3.9, the one of a Debian 11 root, without booting it: every kind loads and plans."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitops.model.codec import decode_json, encode_canonical
from gitops.model.plan import HostPlan
from gitops.model.wire import Event, Request
from gitops.providers.registry import PROVIDERS
from gitops.transport.payload import build_payload
from tests.support.managed import compile_resources
from tests.support.roots import get_root
from tests.support.tools import run_there

pytestmark = [pytest.mark.hosts, pytest.mark.xdist_group("hosts")]

FILES = """\
- file: /etc/motd
  content: "hello\\n"
- directory: /srv/data
  mode: "0750"
- symlink: /srv/latest
  target: data
"""
OTHERS = """\
- package: bash
- package: no-such-package
- service: ssh
  state: running
- user: root
- user: alice
  uid: 4000
- group: root
- command: look
  argv: [/bin/true]
  creates: /etc/debian_version
"""
PYTHON = ("python3", "-I", "-S", "-B")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder that is /mnt in the root, with the archive in it."""
    (tmp_path / "scratch").mkdir()
    (tmp_path / "executor.pyz").write_bytes(build_payload())
    return tmp_path


def send(folder: Path, resources: str, *, operation: str = "plan", root: str = "") -> list[Event]:
    compiled = compile_resources(folder / "project", resources, "old-1").resources_of("old-1")
    request = Request(operation=operation, host="old-1", resources=compiled, state="/mnt/state", root=root)
    done = run_there(
        get_root("bullseye"), folder, [*PYTHON, "/mnt/executor.pyz"], data=encode_canonical(request.to_json()), statuses=(0, 2, 4)
    )
    return [Event.from_json(decode_json(line)) for line in done.splitlines()]


def test_it_is_python_3_9_and_every_module_of_the_archive_loads(folder: Path) -> None:
    program = (
        "import sys, zipfile, importlib; sys.path.insert(0, '/mnt/executor.pyz'); print(sys.version_info[:2])\n"
        "names = [name[:-3].replace('/', '.') for name in zipfile.ZipFile('/mnt/executor.pyz').namelist()]\n"
        "names = [name for name in names if name.startswith('gitops.') and not name.endswith('__')]\n"
        "[importlib.import_module(name) for name in names]\n"
        "from gitops.providers.registry import PROVIDERS; print(len(names) > 30, sorted(PROVIDERS))\n"
    )
    done = run_there(get_root("bullseye"), folder, [*PYTHON, "-c", program]).decode().splitlines()
    assert done == ["(3, 9)", f"True {sorted(PROVIDERS)}"]


def test_files_are_planned_made_and_then_as_they_should_be(folder: Path) -> None:
    planned = HostPlan.from_json(send(folder, FILES, root="/mnt/scratch")[-1].body)
    assert sorted((item.address, item.action) for item in planned.changes if item.address != "directory:/etc") == [
        ("directory:/srv", "create"),
        ("directory:/srv/data", "create"),
        ("file:/etc/motd", "create"),
        ("symlink:/srv/latest", "create"),
    ]
    send(folder, FILES, operation="apply", root="/mnt/scratch")
    assert (folder / "scratch/etc/motd").read_text() == "hello\n"
    assert (folder / "scratch/srv/latest").readlink() == Path("data")
    assert HostPlan.from_json(send(folder, FILES, root="/mnt/scratch")[-1].body).changes == ()


def test_the_other_kinds_plan_with_the_tools_of_the_root(folder: Path) -> None:
    planned = HostPlan.from_json(send(folder, OTHERS)[-1].body)
    assert {str(item.address): (item.action, item.confidence) for item in planned.changes} == {
        "package:no-such-package": ("create", "conditional"),
        "service:ssh": ("refused", "exact"),
        "user:alice": ("create", "exact"),
    }
    assert (
        next(item.reason for item in planned.changes if item.action == "refused")
        == "no systemd, OpenRC, runit, sysvinit or launchd runs this machine"
    )
