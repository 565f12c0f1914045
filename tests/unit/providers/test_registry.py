"""The table of kinds: every row leads to its kind, and only what is asked for is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gitops.providers.registry import KINDS, PROVIDERS, make_registry

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("kind", KINDS)
def test_every_row_leads_to_its_kind(kind: str) -> None:
    assert PROVIDERS[kind].kind == kind
    assert PROVIDERS[kind] is PROVIDERS[kind]


def test_it_is_a_mapping_of_the_table() -> None:
    registry = make_registry(runs_guards=True)
    assert (list(registry), len(registry)) == (list(KINDS), len(KINDS))
    assert ("file" in registry, "fiel" in registry, registry.get("fiel")) == (True, False, None)


def test_every_file_of_a_kind_has_its_row() -> None:
    text = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "gitops/providers").glob("*.py")}
    assert sorted(name for name, code in text.items() if f'    kind = "{name}"' in code) == sorted(KINDS)


def test_a_run_imports_only_the_kinds_that_it_has() -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import gitops.executor.__main__; from gitops.providers.registry import PROVIDERS; "
        "PROVIDERS['file']; print(sorted(name for name in sys.modules if name in ('gitops.providers.package', 'gitops.providers.user')))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, str(ROOT)], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout == "[]\n"
