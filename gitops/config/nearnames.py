"""Files whose names are nearly those that are read: `b.YAML`, `providers/x/provider.yml`, `Modules/x/module.cue`.

Nothing else in a project would say that they are passed over, so each is an error with the name that was expected.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from gitops.config.provider import DECLARATION, FOLDER
from gitops.config.reader import suggest
from gitops.model.diagnostic import Diagnostic, Place

ENDINGS = (".yaml", ".yml", ".cue")
DECLARATIONS = ("provider.yaml", "provider.yml", "provider.cue")
MODULES, MODULE_CUE = "modules", ("module.cue", "params.cue")
DEPTH = 3  # providers/NAME/file, modules/NAME/file


def find_near_names(paths: Collection[str], is_read: Callable[[str], bool]) -> Mapping[str, str]:
    """Give the paths that are nearly read, with what they should be named; `is_read` says whether files of a path are documents."""
    found = {path: expected for path in sorted(paths) if (expected := _expect(path, is_read)) and expected != path}
    declared = {expected for expected in found.values() if expected.endswith(f"/{DECLARATION}") and expected in paths}
    return {path: expected for path, expected in found.items() if expected not in declared}  # beside one, it is the program's own


def describe_near_name(path: str, expected: str) -> Diagnostic:
    """Say that a file is not read, and why."""
    message = f"this file is not read for its name: got `{path[:200]}`, expected `{expected[:200]}`"
    return Diagnostic("C616", message, Place(path), hint="rename or remove it")


def suggest_file(path: str, folder: str, paths: Sequence[str]) -> str:
    """Give a hint for a file that is missing in a folder: one that differs in upper and lower case, or is near, or where to put it."""
    other = next((item for item in paths if item.lower() == path.lower()), "")
    if other:
        return f"there is `{other}`: upper and lower case count"
    below = [item.removeprefix(f"{folder}/") for item in paths if item.startswith(f"{folder}/")]
    return suggest(path.removeprefix(f"{folder}/"), below) or f"make the file, or look in {folder}/"


def _expect(path: str, is_read: Callable[[str], bool]) -> str:
    """Give the name that a file should have; empty when there is no such."""
    parts = path.split("/")
    folder, name = parts[0].lower(), parts[-1].lower()
    if len(parts) == DEPTH and parts[0] == FOLDER and name in DECLARATIONS:
        return f"{FOLDER}/{parts[1]}/{DECLARATION}"
    if len(parts) == DEPTH and folder == MODULES and name in MODULE_CUE:
        return f"{MODULES}/{parts[1]}/{name}"
    base, dot, ending = path.rpartition(".")
    right = f"{base}{dot}{ending.lower()}"
    return right if right.endswith(ENDINGS) and is_read(right) else ""
