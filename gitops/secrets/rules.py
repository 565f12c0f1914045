"""Which references may be resolved at all: names of variables and folders of files, as who resolves has written them down.

A project says where a value comes from; without a rule it could ask for any file that this process can read. Takes the settings'
texts, gives Rules; reads nothing. Patterns are a whole name, or a beginning with `*` behind it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gitops.errors import UsageError
from gitops.model.secret import SecretRef

VARIABLES = ("GITOPS_SECRET_*",)
FOLDERS = ("/etc/gitops/secrets",)
CLI_VARIABLES, CLI_FOLDERS = "GITOPS_SECRETS_ENV", "GITOPS_SECRETS_FILES"
AGENT_VARIABLES, AGENT_FOLDERS = "`secrets.env` of agent/settings.json", "`secrets.files` of agent/settings.json"
_PATTERN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\*?\Z")


@dataclass(frozen=True)
class Rules:
    """What may be resolved: `variables` are patterns, `folders` absolute paths; the settings that say so are named in messages."""

    variables: tuple[str, ...] = VARIABLES
    folders: tuple[str, ...] = FOLDERS
    variables_setting: str = CLI_VARIABLES
    folders_setting: str = CLI_FOLDERS

    def find_refusal(self, ref: SecretRef) -> str:
        """Say which setting does not allow a reference, and what it allows; empty when it does. Links are looked at when it is read."""
        if ref.source == "env":
            if any(_fits(ref.key, pattern) for pattern in self.variables):
                return ""
            return f"{self.variables_setting} allows {', '.join(self.variables) or 'no variable'}"
        path = ref.key
        if path.startswith("/") and os.path.normpath(path) == path and any(_lies_in(path, folder) for folder in self.folders):
            return ""
        return f"{self.folders_setting} allows files below {', '.join(self.folders) or 'no folder'}"

    def find_file(self, path: str) -> Path | None:
        """Give where a file really lies; None when a link leads out of every allowed folder. Raise OSError when it is not there."""
        real = Path(path).resolve(strict=True)
        folders = [Path(folder).resolve() for folder in self.folders]
        return real if any(folder in real.parents for folder in folders) else None


def make_rules(variables: Sequence[str] | None, folders: Sequence[str] | None, settings: tuple[str, str]) -> Rules:
    """Check what the two settings say; None stands for the default. Raise UsageError naming the setting."""
    for pattern in variables or ():
        if not _PATTERN.match(pattern) and pattern != "*":
            raise UsageError(
                f"{settings[0]}: got {pattern[:80]!r}, expected names of variables, each with or without a * at its end",
                code="U089",
            )
    for folder in folders or ():
        if not folder.startswith("/") or os.path.normpath(folder) != folder:
            raise UsageError(f"{settings[1]}: got {folder[:80]!r}, expected absolute paths of folders without `..`", code="U089")
    return Rules(VARIABLES if variables is None else tuple(variables), FOLDERS if folders is None else tuple(folders), *settings)


def read_rules(environment: Mapping[str, str]) -> Rules:
    """Give the rules of who runs `gitops`: GITOPS_SECRETS_ENV (commas between) and GITOPS_SECRETS_FILES (colons between)."""
    variables, folders = environment.get(CLI_VARIABLES), environment.get(CLI_FOLDERS)
    return make_rules(
        None if variables is None else [name.strip() for name in variables.split(",") if name.strip()],
        None if folders is None else [folder for folder in folders.split(os.pathsep) if folder],
        (CLI_VARIABLES, CLI_FOLDERS),
    )


def _fits(name: str, pattern: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _lies_in(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip("/") + "/")
