"""`gitops init [DIR]`: a small working project: Git, one host, one module, a CI workflow; or an example. Never overwrites anything."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib import resources
from pathlib import Path

import click

from gitops.cli.examples import list_examples, read_example
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
@click.option("--example", metavar="NAME", help="One of the examples instead.")
@click.option("--examples", "is_listing", is_flag=True, help="List the examples and stop.")
@click.pass_obj
def command(directory: Path, folder: Path | None, example: str | None, is_listing: bool) -> int:
    """Make a small working project in DIR, or here. What is there already stays as it is: then nothing is written."""
    if is_listing:
        for name, summary in list_examples().items():
            click.echo(f"{name:<12} {summary}")
        return 0
    target = directory / folder if folder is not None else directory
    files = read_starter(_project_name(target)) if example is None else read_example(example)
    check_free(target, files)
    try:
        for name, data in files.items():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            write_new(target / name, data)
    except OSError as error:
        raise UsageError(f"cannot write {error.filename}: {error.strerror}", code="U044") from error
    if not _is_in_git(target):
        run_git(target, ["init", "-q", "-b", "main"])
    for name in files:
        click.echo(target / name)
    print_message(f"Next: gitops -C {target} validate; then git add and commit.")
    return 0


def check_free(target: Path, names: Collection[str]) -> None:
    """Raise UsageError naming everything that is in the way: files of the same names, and files where folders belong."""
    taken: set[str] = set()
    for name in names:
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


def read_starter(project: str) -> dict[str, bytes]:
    """Give the files of a new project by path."""
    folder = resources.files("gitops.cli") / "starter"
    texts = {name: (folder / source).read_text(encoding="utf-8") for name, source in STARTER.items()}
    return {name: text.replace(PROJECT, project).encode("utf-8") for name, text in texts.items()}


def _project_name(target: Path) -> str:
    name = target.resolve().name.lower()
    return name if is_object_name(name) else "servers"


def _is_in_git(target: Path) -> bool:
    try:
        locate(target)
    except ConfigError:
        return False
    return True
