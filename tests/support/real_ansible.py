"""The real ansible-core in a long-lived process of its own, and how what it says of a host is compared with what was imported."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gitops.compile.scope import layer_variables
from gitops.compile.variables import resolve_variables
from gitops.config.config import Config, HostDocument
from gitops.config.node import to_plain

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".tools/ansible/bin/python"
WORKER = Path(__file__).with_name("real_ansible_worker.py")
CONNECTIONS = {"local": "local"}


class Ansible:
    """Answers what ansible-core makes of an inventory."""

    def __init__(self, home: Path) -> None:
        assert PYTHON.exists(), "ansible-core is not here: run scripts/test-ansible"
        settings = home / "ansible.cfg"
        settings.write_text("")
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "ANSIBLE_HOME": str(home / "ansible"),
            "ANSIBLE_CONFIG": str(settings),
            "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
            "PYTHONUTF8": "1",
        }
        arguments = [str(PYTHON), "-P", str(WORKER)]
        self._log = (home / "log").open("w")
        self._process = subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, cwd=home, env=environment, text=True
        )

    def read(self, inventory: Path) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(str(inventory)) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate(timeout=30)
        self._log.close()


@dataclass(frozen=True)
class Difference:
    """What Ansible says, what was imported, and where what Ansible says was written."""

    host: str
    path: tuple[str, ...]
    theirs: object
    ours: object
    place: tuple[str, int | None, int | None] | None

    def is_told(self, diagnostics: list[dict[str, Any]]) -> bool:
        """Say whether a warning names exactly this: its file and line, and its column, or the variable or key.

        Ansible keeps no place of nothing and of booleans, and no lines of JSON: there a warning must name the variable.
        """
        if self.path == ("ansible_port",) and self.place is None:  # Ansible's own, of `name:22`
            return any(item["message"].startswith("the port ") for item in diagnostics)
        file, line, column = self.place or (None, None, None)
        names = {f"`{self.path[0]}`", f"`{self.path[-1]}`"}
        warnings = (item for item in diagnostics if item["severity"] == "warning")
        here = [item for item in warnings if file in (None, item["file"]) and line in (None, item["line"])]
        return any(item["column"] == column or any(name in item["message"] for name in names) for item in here)


def compare(theirs: dict[str, Any], config: Config, rename: Any) -> Iterator[Difference]:
    """Give every difference in hosts, groups, addresses, connections and variables."""
    hosts = dict(config.hosts)
    for name, said in theirs["hosts"].items():
        host = hosts.pop(rename(name), None)
        if host is None:
            yield Difference(name, ("the host",), "there", "missing", None)
            continue
        groups = {label.removeprefix("group_") for label in host.labels} - {"ungrouped"}
        if groups != set(said["groups"]) - {"ungrouped"}:
            yield Difference(name, ("groups",), said["groups"], sorted(groups), None)
        table = {key: value for key, _, value in (_text_key(item) for item in said["vars"]["map"])}
        yield from _compare_reach(name, host, table)
        yield from _compare_map(name, (), said["vars"], _resolve(config, host))
    for name in hosts:
        yield Difference(name, ("the host",), "missing", "there", None)


def _compare_reach(name: str, host: HostDocument, table: dict[str, Any]) -> Iterator[Difference]:
    """Compare how a host is reached: both variables are no variables here."""
    value = table.get("ansible_host", {"v": name})
    if str(value.get("v")) != host.address:
        yield Difference(name, ("ansible_host",), value, host.address, _place(value.get("at")))
    value = table.get("ansible_connection", {"v": "ssh"})
    wanted = value.get("v")
    if host.connection != wanted and not (wanted in ("smart", "paramiko") and host.connection == "ssh"):
        yield Difference(name, ("ansible_connection",), value, host.connection, _place(value.get("at")))


def _resolve(config: Config, host: HostDocument) -> dict[str, object]:
    found, mistakes = resolve_variables(host, layer_variables(config, host), {})
    assert not mistakes, mistakes
    return {name: to_plain(node) for name, node in found.items()}


def _compare_map(host: str, path: tuple[str, ...], theirs: dict[str, Any], ours: dict[str, object]) -> Iterator[Difference]:
    left = dict(ours)
    for entry in sorted(theirs["map"], key=lambda entry: not isinstance(entry[0], str)):
        key, key_place, value = _text_key(entry)
        here = (*path, key)
        # The key of a variable is that of its first definition: only within a value its place is the value's.
        place = value["at"] or (key_place if path else None)
        if here in (("ansible_host",), ("ansible_connection",)):
            continue
        if not isinstance(entry[0], str):
            yield Difference(host, here, entry[0], key, _place(key_place))
            if not path:  # a variable of such a name is left out
                continue
        if key in left:
            yield from _compare_value(host, here, value, left.pop(key), place)
        elif isinstance(entry[0], str):
            yield Difference(host, here, value, "missing", _place(place))
    for key, value in left.items():
        yield Difference(host, (*path, key), "missing", value, _place(theirs["at"]))


def _compare_value(host: str, path: tuple[str, ...], theirs: dict[str, Any], ours: object, place: Any) -> Iterator[Difference]:
    if "map" in theirs and isinstance(ours, dict):
        yield from _compare_map(host, path, theirs, ours)
    elif "list" in theirs and isinstance(ours, list) and len(ours) == len(theirs["list"]):
        for number, (left, right) in enumerate(zip(theirs["list"], ours, strict=True)):
            yield from _compare_value(host, (*path, str(number)), left, right, left["at"] or place)
    elif "v" not in theirs or (type(theirs["v"]), repr(theirs["v"])) != (type(ours), repr(ours)):
        yield Difference(host, path, theirs, ours, _place(place))


def _text_key(entry: Any) -> tuple[str, Any, Any]:
    key, place, value = entry
    return (key if isinstance(key, str) else key["other"]), place, value


def _place(at: Any) -> tuple[str, int | None, int | None] | None:
    return None if at is None else (at[0], at[1], at[2])


@pytest.fixture(scope="session")
def ansible(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ansible]:
    """The process, one for all tests of a worker."""
    running = Ansible(tmp_path_factory.mktemp("ansible"))
    yield running
    running.close()
