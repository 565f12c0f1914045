"""The page on stock tools is run as it stands: every command, in order, on a real release."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.cli import call
from tests.support.project import IDENTITY, SMALL, Repository

PAGE = Path(__file__).resolve().parents[2] / "docs/how-to/verify-with-stock-tools.md"
BLOCK = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LARGE = "inventory/more.yaml"


def commands(kind: str) -> str:
    """Give the page's commands; what needs cosign is left out where there is none (the golden bundles stand for it)."""
    text = "\n".join(BLOCK.findall(PAGE.read_text(encoding="utf-8")))
    if shutil.which("cosign") is None:
        text = re.sub(r"^cosign (.*\\\n)*.*\n", "", text, flags=re.MULTILINE)
    return text.replace("-rawin -in", "-rawin -digest sha256 -in") if kind == "p256" else text


@pytest.mark.parametrize("kind", ["ed25519", "p256"])
def test_the_page_on_stock_tools_works_as_it_stands(tmp_path: Path, kind: str) -> None:
    group = "apiVersion: gitops/v1\nkind: Group\nmetadata: {name: all}\nspec:\n  selector: {}\n  resources:\n    - {file: /etc/issue, content: x}\n"
    repository = Repository.make(tmp_path / "work", {**SMALL, LARGE: group})
    assert call("release", "keygen", "--out", repository.path / "K", "--type", kind).status == 0
    assert call("-C", repository.path, "release", "--env", "production", "--key", repository.path / "K").status == 0
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", commands(kind)],
        cwd=repository.path,
        env={**IDENTITY, "PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        check=False,
        timeout=60,
    )
    output = done.stdout.decode() + done.stderr.decode()
    assert done.returncode == 0, output
    assert "Signature Verified Successfully" in output
    assert 'Good "git" signature for release@example.org' in output
