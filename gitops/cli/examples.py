"""The examples that are shipped: folders with a gitops.yaml, whose first line says what each shows.

They lie in the package when it is installed, and in `examples/` of a checkout.
"""

from __future__ import annotations

from pathlib import Path

from gitops.errors import UsageError

PROJECT_FILE = "gitops.yaml"
PACKAGE = Path(__file__).resolve().parents[1]
PLACES = (PACKAGE / "_examples", PACKAGE.parent / "examples")


def list_examples() -> dict[str, str]:
    """Give each example's name with what it shows, sorted."""
    files = sorted(_find_folder().glob(f"*/{PROJECT_FILE}"))
    return {path.parent.name: path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ") for path in files}


def read_example(name: str) -> dict[str, bytes]:
    """Give an example's files by path; raise UsageError for a name that is none of them."""
    known = list_examples()
    if name not in known:
        raise UsageError(f"there is no example `{name[:60]}`", code="U047", hint="there are: " + ", ".join(known))
    folder = _find_folder() / name
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def _find_folder() -> Path:
    return next((place for place in PLACES if place.is_dir()), PLACES[0])
