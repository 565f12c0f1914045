"""Runs in the Python of .tools/ansible: reads one inventory a line, answers in JSON with what ansible-core says of every host.

A value is `{"v": scalar}`, `{"list": [value, …]}` or `{"map": [[key, place of the key, value], …]}`, and has its place, `at`, where Ansible
knows it: `[file, line, column]`. `{"failed": text}` when Ansible cannot read the inventory.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import date

ANSWERS = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what Ansible prints is no answer

from ansible._internal._datatag._tags import Origin  # noqa: E402
from ansible.inventory.manager import InventoryManager  # noqa: E402
from ansible.parsing.dataloader import DataLoader  # noqa: E402
from ansible.vars.manager import VariableManager  # noqa: E402

# What Ansible adds itself, whatever an inventory says.
MADE = {
    "ansible_facts", "ansible_playbook_python", "ansible_config_file", "ansible_version", "inventory_file", "inventory_dir",
    "inventory_hostname", "inventory_hostname_short", "group_names", "groups", "playbook_dir",
}  # fmt: skip


def find_place(value: object) -> list[object] | None:
    origin = Origin.get_tag(value)
    return None if origin is None or origin.path is None else [str(origin.path), origin.line_num, origin.col_num]


def describe(value: object) -> dict[str, object]:
    found: dict[str, object] = {"at": find_place(value)}
    if isinstance(value, dict):
        found["map"] = [[show_key(key), find_place(key), describe(item)] for key, item in value.items()]
    elif isinstance(value, set):
        found["v"] = {"other": "a set"}
    elif isinstance(value, list | tuple):
        found["list"] = [describe(item) for item in value]
    elif value is None or isinstance(value, bool):
        found["v"] = value
    elif isinstance(value, int | float | str):
        found["v"] = next(kind for kind in (int, float, str) if isinstance(value, kind))(value)
    else:
        found["v"] = {"other": value.isoformat() if isinstance(value, date) else repr(value)}
    return found


def show_key(key: object) -> object:
    return (
        str(key)
        if isinstance(key, str)
        else {"other": json.dumps(key) if key is None or isinstance(key, bool | int) else str(key)}
    )


def read(path: str) -> dict[str, object]:
    loader = DataLoader()
    inventory = InventoryManager(loader=loader, sources=[path])
    variables = VariableManager(loader=loader, inventory=inventory)
    hosts: dict[str, object] = {}
    for name, host in inventory.hosts.items():
        table = variables.get_vars(host=host, include_hostvars=False, stage="all")
        shown = {key: item for key, item in table.items() if key not in MADE}
        hosts[str(name)] = {"groups": [str(item) for item in host.get_vars()["group_names"]], "vars": describe(shown)}
    return {"hosts": hosts}


for line in sys.stdin:
    try:
        answer = read(json.loads(line))
    except Exception as error:  # noqa: BLE001  whatever it is, Ansible could not read it
        answer = {"failed": f"{type(error).__name__}: {error}"}
    ANSWERS.write(json.dumps(answer) + "\n")
    ANSWERS.flush()
