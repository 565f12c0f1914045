"""`gitops inventory import ansible INVENTORY`: Host and Group documents from an Ansible inventory; nothing is overwritten.

Reads the file, or the files of the folder, and the group_vars and host_vars beside it as data, executes nothing, and says with file and
line what it leaves out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import click

from gitops.cli.output import format_option, print_diagnostics, print_json, print_message, read_file, write_new
from gitops.config.ansible.documents import write_documents
from gitops.config.ansible.inventory import Inventory
from gitops.config.ansible.order import Order, find_order
from gitops.config.ansible.read import YAML_ENDINGS, read_inventory, read_variables
from gitops.config.ansible.settings import note_settings
from gitops.config.documents import read_group, read_host
from gitops.config.reader import Findings
from gitops.config.yaml import parse_yaml
from gitops.errors import UsageError
from gitops.model.diagnostic import InvalidConfigError, Place, has_errors, sort_diagnostics
from gitops.model.limits import DEFAULTS

VARS_ENDINGS = ("", *YAML_ENDINGS)
DEEPEST = 16
# What Ansible passes over in a folder of inventories, by its default settings.
_PASSED_OVER = re.compile(
    r"^\.|^(?:host_vars|group_vars|vars_plugins)$|(?:\.(?:pyc|pyo|swp|bak|rpm|md|txt|rst|orig|cfg|retry)|~)$"
)
EXPORT = "write its result to a file with `ansible-inventory --list --yaml --export`"


@click.group()
def command() -> None:
    """Bring machines from elsewhere into this project."""


@command.group("import")
def import_from() -> None:
    """Write Host and Group documents from another tool's inventory."""


@import_from.command()
@click.argument("inventory", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="The folder of the new files; by default inventory/."
)
@format_option
@click.pass_obj
def ansible(directory: Path, inventory: Path, out: Path | None, format_name: str) -> int:
    """Read an INI or YAML inventory, or a folder of them, with group_vars and host_vars beside it.

    Exit 1: it cannot be read, or a file is there already.
    """
    found = Inventory(str(inventory))
    for source in _list_sources(inventory, found, DEEPEST):
        _read_source(source, found)
    order = None if has_errors(found.found) else find_order(found)
    folder = inventory if inventory.is_dir() else inventory.parent
    if order is not None:
        _read_variables(folder, found, order)
    _note_settings(inventory, found)
    files = {} if order is None or has_errors(found.found) else write_documents(found, order)
    diagnostics = sort_diagnostics(found.found)
    if has_errors(diagnostics):
        print_diagnostics(diagnostics)
        raise InvalidConfigError(diagnostics, is_shown=True)
    if not files:
        print_diagnostics(diagnostics)
        raise UsageError(f"{inventory} names no host", code="U100")
    counts = _check(files)
    target = out if out is not None else directory / "inventory"
    _write_all(target, files)
    if format_name == "json":
        document = {
            "schema": "gitops/imported/v1",
            "files": [str(target / name) for name in files],
            "hosts": counts[0],
            "groups": counts[1],
            "diagnostics": [item.to_json() for item in diagnostics],
        }
        print_json(document)
        return 0
    for name in files:
        click.echo(target / name)
    print_diagnostics(diagnostics)
    print_message(f"{counts[0]} hosts and {counts[1]} groups. Next: give the hosts the label that an environment selects by.")
    return 0


def _list_sources(path: Path, found: Inventory, depth: int) -> Iterator[Path]:
    """Give the files of a folder of inventories by name, those of folders in it included, or the file itself."""
    if not path.is_dir():
        yield path
        return
    if not depth:
        raise UsageError(f"{path} is too deep: at most {DEEPEST} folders within each other are read", code="U100")
    for inner in sorted(path.iterdir(), key=lambda inner: os.fsencode(inner.name)):
        if not _PASSED_OVER.search(inner.name):
            yield from _list_sources(inner, found, depth - 1)
        elif inner.is_dir() and inner.name in ("group_vars", "host_vars") and depth < DEEPEST:
            found.leave_out(f"{inner.name} is not read", Place(str(inner)), hint="Ansible reads those of the named folder alone")


def _note_settings(inventory: Path, found: Inventory) -> None:
    """Say which settings of an ansible.cfg, in the folder of the inventory or the one above, are not applied."""
    base = inventory if inventory.is_dir() else inventory.parent
    for folder in (base, base / ".." if base.name in ("", "..") else base.parent):
        path = folder / "ansible.cfg"
        if path.is_file():
            imported = os.path.relpath(inventory.absolute(), folder.absolute())
            note_settings(read_file(path, DEFAULTS.document_bytes), str(path), found, imported)
            return


def _read_source(path: Path, found: Inventory) -> None:
    data = read_file(path, DEFAULTS.document_bytes)
    if data.startswith(b"#!") or (os.access(path, os.X_OK) and not path.name.endswith(YAML_ENDINGS)):
        raise UsageError(f"{path} is a program (a dynamic inventory)", code="U100", hint=f"nothing is executed here; {EXPORT}")
    if path.suffix == ".toml":
        raise UsageError(f"{path} is TOML, which is not read", code="U100", hint=EXPORT)
    read_inventory(data, str(path), found)


def _read_variables(folder: Path, found: Inventory, order: Order) -> None:
    """Read the files of group_vars and host_vars; those of groups without hosts count for nobody."""
    for name in order.ranked:
        for file in _find_variables(folder / "group_vars", name, found):
            found.groups[name].files.update(read_variables(read_file(file, DEFAULTS.document_bytes), str(file), found))
    for name, host in sorted(found.hosts.items()):
        for file in _find_variables(folder / "host_vars", name, found):
            host.vars.update(read_variables(read_file(file, DEFAULTS.document_bytes), str(file), found))
    _note_others(folder, found)


def _find_variables(folder: Path, name: str, found: Inventory) -> Iterator[Path]:
    """Give the files of one group or host as Ansible does: the first of NAME (a file or a folder), NAME.yml, NAME.yaml, NAME.json."""
    if "/" in name or name in ("", ".", ".."):
        return
    there = [path for path in (folder / f"{name}{ending}" for ending in VARS_ENDINGS) if path.exists()]
    for path in there[1:]:
        found.leave_out(
            f"{path.name} is not read", Place(str(path)), hint=f"Ansible reads {there[0].name} alone; put it in there"
        )
    if not there:
        return
    if there[0].is_dir():
        yield from _list_folder(there[0], found, DEEPEST)
    else:
        yield there[0]


def _list_folder(folder: Path, found: Inventory, depth: int) -> Iterator[Path]:
    """Give the files of a folder of variables, by name; folders have no ending, files none or one of YAML."""
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        is_hidden = path.name.startswith(".") or path.name.endswith("~")
        if path.is_dir() and not path.suffix and not is_hidden and depth:
            yield from _list_folder(path, found, depth - 1)
        elif path.is_file() and path.suffix in VARS_ENDINGS and not is_hidden:
            yield path
        elif not is_hidden:
            found.leave_out(
                f"{path.name} is not read", Place(str(path)), hint="Ansible reads files without ending, .yml, .yaml and .json"
            )


def _note_others(folder: Path, found: Inventory) -> None:
    """Say which files of variables belong to nobody."""
    for name, known in (("group_vars", set(found.groups)), ("host_vars", set(found.hosts))):
        paths = sorted((folder / name).iterdir()) if (folder / name).is_dir() else []
        for path in paths:
            stem = path.stem if path.name.endswith(YAML_ENDINGS) else path.name
            if stem not in known and path.name not in known and not path.name.startswith("."):
                found.leave_out(f"variables of `{stem[:60]}`, which the inventory does not name", Place(str(path)))


def _check(files: dict[str, str]) -> tuple[int, int]:
    """Read back what would be written; give how many hosts and groups it is. Raise InvalidConfigError when it is not valid."""
    findings = Findings()
    counts = {"Host": 0, "Group": 0}
    for name, text in files.items():
        for node in parse_yaml(text.encode("utf-8"), name):
            kind = node.entries["kind"].text
            counts[kind] += 1
            (read_host if kind == "Host" else read_group)(node, findings)
    if findings.found:
        raise InvalidConfigError(findings.found)
    return counts["Host"], counts["Group"]


def _write_all(folder: Path, files: dict[str, str]) -> None:
    taken = [str(folder / name) for name in files if (folder / name).exists() or (folder / name).is_symlink()]
    if taken:
        raise UsageError(f"{', '.join(taken)} exists", code="U043", hint="name another folder with --out; nothing was written")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make {folder}: {error.strerror}", code="U044") from error
    for name, text in files.items():
        write_new(folder / name, text.encode("utf-8"))
