"""Import an Ansible inventory into a project beside it, and look at what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gitops.config.node import to_plain
from gitops.config.yaml import parse_yaml
from tests.support.cli import Called, call
from tests.support.project import PROJECT, write_files


def run(folder: Path, files: Mapping[str, str | bytes], *arguments: object, name: str = "hosts") -> Called:
    write_files(folder / "ansible", files)
    write_files(folder / "project", {"gitops.yaml": PROJECT.replace("{env: production}", "{}")})
    return call("-C", folder / "project", "inventory", "import", "ansible", folder / "ansible" / name, *arguments)


def documents(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path in sorted((folder / "project/inventory").iterdir()):
        for node in parse_yaml(path.read_bytes(), path.name):
            plain: Any = to_plain(node)
            found[f"{plain['kind']}/{plain['metadata']['name']}"] = plain
    return found


def variables(folder: Path, host: str) -> dict[str, Any]:
    shown = call("-C", folder / "project", "explain", host, "--format", "json").json["variables"]
    return {item["name"].removeprefix("vars."): item["value"] for item in shown}


def notes(done: Called) -> list[tuple[str, int, str]]:
    return [(item["code"], item["line"], item["message"]) for item in done.json["diagnostics"]]
