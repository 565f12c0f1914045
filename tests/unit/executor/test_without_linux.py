"""The machine side where the kernel is not Linux: it is imported, sets files, and says of the rest what it needs (simulated, no Mac)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitops.errors import HostError
from gitops.executor.process import PIPE_BYTES, Account, keep_in_memory, list_groups
from gitops.providers.registry import PROVIDERS
from tests.support.elsewhere import run_elsewhere
from tests.support.planning import declare
from tests.support.rooted import Rooted

IMPORT = """
import importlib, json, pkgutil
import gitops.executor, gitops.model, gitops.plan, gitops.providers
found = []
for room in (gitops.executor, gitops.model, gitops.plan, gitops.providers):
    for module in pkgutil.walk_packages(room.__path__, room.__name__ + "."):
        importlib.import_module(module.name)
        found.append(module.name)
print(json.dumps(found))
"""

APPLY = """
import json
from pathlib import Path
from gitops.model.resource import Resource
from tests.support.rooted import Rooted

machine = Rooted(Path(sys.argv[1]))
first = (
    Resource("directory", "/etc/app", {"mode": "0750"}),
    Resource("file", "/etc/app/app.conf", {"content": "one\\n", "mode": "0640"}),
    Resource("symlink", "/etc/app/link", {"target": "app.conf"}),
    Resource("line", "two", {"path": "/etc/app/other", "text": "two"}),
)
changed = (first[0], Resource("file", "/etc/app/app.conf", {"content": "three\\n", "mode": "0600"}), *first[2:])
results = [machine.apply(*first).result, machine.apply(*first).result]
report = machine.apply(*changed)
after = (machine.root / "etc/app/app.conf").read_text()
undone = machine.rollback(report.run).result
print(json.dumps([results, report.result, after, undone, (machine.root / "etc/app/app.conf").read_text(), sorted(os.listdir(machine.root / "etc/app"))]))
"""

HOST = """
import json
from gitops.errors import HostError
from gitops.executor.host import RealHost
from gitops.executor.facts import read_facts
from gitops.executor.session import load_program

host = RealHost()
said = host.feed(["cat"], ["ann", "a hash"]).output
try:
    load_program(sys.executable, "0" * 64)
except HostError as error:
    refused = error.message
facts = read_facts()
print(json.dumps([said, refused, facts["kernel"], host.run(["echo", "here"]).output, host.keeps_sensitive]))
"""


def test_every_module_of_the_machine_side_can_be_imported() -> None:
    found = run_elsewhere(IMPORT)
    assert {"gitops.executor.walk", "gitops.executor.writes", "gitops.providers.accounts.dscl"} <= set(found)


def test_files_are_set_changed_and_brought_back(tmp_path: Path) -> None:
    results, changed, after, undone, restored, left = run_elsewhere(APPLY, str(tmp_path))
    assert results == ["changed", "converged"]
    assert (changed, after, undone, restored) == ("changed", "three\n", "reverted", "one\n")
    assert left == ["app.conf", "link", "other"]


def test_commands_run_and_what_cannot_be_is_told() -> None:
    said, refused, kernel, echoed, keeps = run_elsewhere(HOST)
    assert (said, echoed) == ("ann:a hash\n", "here\n")
    assert refused == "programs of the project need Linux (memfd_create)"
    assert (kernel, keeps) == ("darwin", False)


LINUX_KINDS = sorted(kind for kind, provider in PROVIDERS.items() if provider.needs_linux)


def test_the_kinds_that_need_linux_are_those_that_set_what_only_it_has() -> None:
    assert {"sysctl", "kernel_module", "mount", "systemd_unit", "timer", "reboot", "external"} <= set(LINUX_KINDS)
    assert not {"file", "directory", "symlink", "command", "package", "service", "user", "group", "line"} & set(LINUX_KINDS)


def test_a_kind_that_needs_linux_is_refused_and_never_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Rooted(tmp_path)
    job = declare("cron:backup", {"schedule": "@daily", "command": "/usr/bin/true"})
    monkeypatch.setattr("os.uname", lambda: os.uname_result(("Darwin", "mac.example.org", "24.1.0", "Darwin", "arm64")))
    observed = machine.observe(job)
    assert {str(address): dict(state) for address, state in observed.states.items()} == {"cron:backup": {"needs_linux": True}}
    (change,) = machine.plan(job).changes
    assert (change.action, change.reason) == ("refused", "`cron` needs Linux, which this machine does not run")
    assert machine.apply(job).result != "changed"
    assert machine.tree() == {}


def test_a_record_is_held_by_a_pipe_where_there_is_no_memory_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.memfd_create")
    source = keep_in_memory(b"ann:secret\n")
    try:
        assert os.read(source, 100) == b"ann:secret\n"
        assert os.read(source, 100) == b""
    finally:
        os.close(source)
    with pytest.raises(HostError, match="too many for a program's input"):
        keep_in_memory(bytes(PIPE_BYTES + 1))


def test_a_program_has_no_more_groups_than_the_kernel_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getgrouplist", lambda _name, _gid: list(range(40)))
    monkeypatch.setattr("os.sysconf", lambda _name: 16)
    assert list_groups(Account("/", "ann", 501, 20)) == list(range(16))
