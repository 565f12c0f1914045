"""Attacks of a proposer: a pull request that changes only where a secret comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.attacks import read_cases
from tests.support.cli import call
from tests.support.project import Repository

CASES = read_cases(__file__, "secrets-moved")
BEFORE = "{from: env, key: GITOPS_SECRET_PW}"
VALUE, FOREIGN = "the-right-value-8Kq", "root-of-somebody-else-4Tz"
CONFIG = """\
apiVersion: gitops/v1
kind: Project
metadata: {name: acme}
spec:
  secrets:
    pw: FROM
  environments:
    production:
      hosts: {env: production}
---
apiVersion: gitops/v1
kind: Host
metadata: {name: web-1, labels: {env: production}}
spec:
  resources:
    - file: /etc/motd
      content: "Welcome ${secret.pw}\\n"
"""


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_secret_that_moves_is_shown_with_both_places_and_is_not_resolved(
    case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed, root = tmp_path / "allowed", tmp_path / "root"
    allowed.mkdir()
    root.mkdir()
    for name in ("outside", "allowed-other"):
        (tmp_path / name).write_text(FOREIGN)
    (allowed / "link").symlink_to(tmp_path / "outside")
    monkeypatch.setenv("GITOPS_SECRET_PW", VALUE)
    monkeypatch.setenv("GITOPS_TOKEN", FOREIGN)
    monkeypatch.setenv("GITOPS_SECRETS_FILES", str(allowed))
    project = Repository.make(tmp_path / "project", {"gitops.yaml": CONFIG.replace("FROM", BEFORE)})
    apply = ("-C", project.path, "apply", "--local", "--host", "web-1", "--root", root, "--state", tmp_path / "state", "--yes")
    assert call(*apply).status == 0
    moved = case["to"].replace("ALLOWED", str(allowed))
    (project.path / "gitops.yaml").write_text(CONFIG.replace("FROM", moved))
    shown = call("-C", project.path, "diff", "HEAD")
    assert case["shown"].replace("ALLOWED", str(allowed)) in shown.out
    refused = call(*apply)
    assert (refused.status, case["says"] in refused.err) == (1, True), refused.err
    motd = root / "etc/motd"
    assert (motd.read_text(), motd.stat().st_mode & 0o777) == (f"Welcome {VALUE}\n", 0o600)
    assert FOREIGN not in shown.out + shown.err + refused.out + refused.err
