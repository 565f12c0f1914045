"""`gitops init [DIR]`: a small working project: Git, one host, one module, a CI workflow. Never overwrites anything."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import click

from gitops.cli.output import print_message, write_new
from gitops.errors import ConfigError, UsageError
from gitops.model.address import is_object_name
from gitops.source.git import run_git
from gitops.source.repository import locate

STARTER: Mapping[str, str] = {
    ".github/workflows/config.yaml": "workflow.yaml",
    ".gitignore": "gitignore",
    "README.md": "README.md",
    "gitops.yaml": "gitops.yaml",
    "inventory/web.yaml": "host.yaml",
    "modules/motd/module.yaml": "module.yaml",
    "modules/motd/templates/motd.j2": "motd.j2",
}
PROJECT = "__PROJECT__"


@click.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path), metavar="[DIR]")
@click.pass_obj
def command(directory: Path, folder: Path | None) -> int:
    """Make a small working project in DIR, or here. What is there already stays as it is: then nothing is written."""
    target = directory / folder if folder is not None else directory
    check_free(target)
    files = read_starter(_project_name(target))
    try:
        for name, text in files.items():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            write_new(target / name, text.encode("utf-8"))
    except OSError as error:
        raise UsageError(f"cannot write {error.filename}: {error.strerror}", code="U044") from error
    if not _is_in_git(target):
        run_git(target, ["init", "-q", "-b", "main"])
    for name in files:
        click.echo(target / name)
    print_message(f"Next: gitops -C {target} validate; then git add and commit.")
    return 0


def check_free(target: Path) -> None:
    """Raise UsageError naming everything that is in the way: files of the same names, and files where folders belong."""
    taken: set[str] = set()
    for name in STARTER:
        path = target / name
        if path.exists() or path.is_symlink():
            taken.add(name)
        above = [parent for parent in path.parents if parent != target and target in parent.parents]
        taken.update(str(parent.relative_to(target)) for parent in above if parent.is_symlink() or parent.is_file())
    if target.exists() and not target.is_dir():
        raise UsageError(f"{target} is not a folder", code="U021")
    if taken:
        hint = "name a new folder, or move these away; nothing was written"
        raise UsageError(f"{target} has already: {', '.join(sorted(taken))}", code="U043", hint=hint)


def read_starter(project: str) -> dict[str, str]:
    """Give the files of a new project by path."""
    folder = resources.files("gitops.cli") / "starter"
    return {name: (folder / source).read_text(encoding="utf-8").replace(PROJECT, project) for name, source in STARTER.items()}


def _project_name(target: Path) -> str:
    name = target.resolve().name.lower()
    return name if is_object_name(name) else "servers"


def _is_in_git(target: Path) -> bool:
    try:
        locate(target)
    except ConfigError:
        return False
    return True
