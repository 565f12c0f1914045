"""Tiny Debian packages and a local repository of them, built with the real tools in a few hundredths of a second each."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.tools import run_checked


@dataclass(frozen=True)
class TinyPackage:
    """One version of a package: control fields beyond the usual, files by path, maintainer scripts by name."""

    name: str
    version: str
    control: Mapping[str, str] = field(default_factory=dict[str, str])
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    scripts: Mapping[str, str] = field(default_factory=dict[str, str])


def build_repository(folder: Path, *packages: TinyPackage) -> Path:
    """Build all and index them; give the folder, which apt reads as `deb [trusted=yes] file:FOLDER ./`."""
    folder.mkdir(parents=True, exist_ok=True)
    for package in packages:
        _build(folder, package)
    index = run_checked(["sh", "-c", 'cd "$0" && dpkg-scanpackages -m . 2>/dev/null', str(folder)])
    (folder / "Packages").write_text(index, encoding="utf-8")
    return folder


def _build(folder: Path, package: TinyPackage) -> None:
    tree = folder / f".{package.name}"
    control = {
        "Package": package.name,
        "Version": package.version,
        "Architecture": "all",
        "Maintainer": "Alice <alice@example.org>",
        "Description": "a tiny package for tests",
        **package.control,
    }
    for name, text in package.files.items():
        _write(tree / name.lstrip("/"), text, 0o644)
    _write(tree / "DEBIAN/control", "".join(f"{key}: {value}\n" for key, value in control.items()), 0o644)
    conffiles = [name for name in package.files if name.startswith("/etc/")]
    if conffiles:
        _write(tree / "DEBIAN/conffiles", "".join(f"{name}\n" for name in conffiles), 0o644)
    for name, text in package.scripts.items():
        _write(tree / "DEBIAN" / name, text, 0o755)
    file_name = f"{package.name}_{package.version.replace(':', '%3a')}_{control['Architecture']}.deb"
    run_checked(["dpkg-deb", "--root-owner-group", "-Znone", "--build", str(tree), str(folder / file_name)])
    shutil.rmtree(tree)


def _write(path: Path, text: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
