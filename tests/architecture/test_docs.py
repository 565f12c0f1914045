"""The reference equals the code; every verb, kind and ADR is documented; no page or source names a machine or a registry."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gitops.cli.verbs import VERBS
from gitops.providers.registry import PROVIDERS
from webhooks.settings import NAMES

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)]*)?\)")


def tracked(*patterns: str) -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z", *patterns], cwd=ROOT, capture_output=True, check=True, timeout=30)
    return [ROOT / name for name in done.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def test_the_reference_equals_the_code() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/reference.py", "--check"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_every_verb_is_in_the_reference() -> None:
    text = (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")
    assert [name for name in VERBS if f"## `gitops {name}`" not in text] == []


def test_every_kind_is_in_the_reference() -> None:
    text = (ROOT / "docs/reference/kinds.md").read_text(encoding="utf-8")
    assert [kind for kind in PROVIDERS if f"## `{kind}`" not in text] == []


@pytest.mark.parametrize("page", tracked("*.md"), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = [found[1] for found in LINK.finditer(page.read_text(encoding="utf-8"))]
    local = [target for target in targets if "://" not in target and not target.startswith("mailto:")]
    assert [target for target in local if not (page.parent / target).exists()] == []


def test_adrs_are_numbered_without_gaps() -> None:
    numbers = sorted(int(path.name[:4]) for path in (ROOT / "docs/adr").glob("[0-9]*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


def test_nothing_names_a_developers_machine() -> None:
    home = re.compile(rb"/(home|Users)/[a-z]+/|/" + rb"work/(main|shared)")
    found = [path.relative_to(ROOT).as_posix() for path in tracked() if home.search(path.read_bytes())]
    assert [name for name in found if not name.startswith("tests/") and not name.endswith((".json", ".png"))] == []


def test_every_setting_of_the_service_is_documented() -> None:
    text = (ROOT / "docs/how-to/serve.md").read_text(encoding="utf-8")
    assert [name for name in (*NAMES, "users") if f"| `{name}` |" not in text] == []
