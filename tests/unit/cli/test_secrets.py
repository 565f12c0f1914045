"""A secret's value is in no output, no state and no graph: only in the file that it belongs to."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

import pytest

from tests.support.cli import Called, call
from tests.support.project import Repository, write_files

# Nothing that a program says by itself.
ENV_VALUE, FILE_VALUE = "pw-7Qx9vLr2-of-env", "pw-3Jd8kTz5-of-file\nsecond-line-9Wm4"
PIECES = (ENV_VALUE, *FILE_VALUE.split("\n"))


def config(folder: Path) -> str:
    return f"""\
apiVersion: gitops/v1
kind: Project
metadata: {{name: acme}}
spec:
  secrets:
    password: {{from: env, key: GITOPS_SECRET_APP_PASSWORD}}
    token: {{from: file, key: {folder}/token}}
  environments:
    production:
      hosts: {{env: production}}
---
apiVersion: gitops/v1
kind: Host
metadata: {{name: web-1, labels: {{env: production}}}}
spec:
  resources:
    - file: /etc/app.conf
      content: "password = ${{secret.password}}\\n"
      mode: "0600"
    - file: /etc/token
      template: token.j2
    - file: /etc/plain
      content: "version 1\\n"
"""


COMMAND = """\
    - command: login
      argv: [sh, -c, 'echo $TOKEN $PASSWORD; exit 3']
      env: {TOKEN: "${secret.token}", PASSWORD: "x${secret.password}"}
"""


@pytest.fixture
def project(tmp_path: Path) -> Repository:
    write_files(tmp_path, {"token": FILE_VALUE + "\n"})
    (tmp_path / "root").mkdir()
    return Repository.make(
        tmp_path / "project", {"gitops.yaml": config(tmp_path), "templates/token.j2": "token: {{ secret.token }}\n"}
    )


@pytest.fixture
def run(project: Repository, monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setenv("GITOPS_SECRET_APP_PASSWORD", ENV_VALUE)
    monkeypatch.setenv("GITOPS_SECRETS_FILES", str(project.path.parent))

    def call_in(*arguments: object) -> Called:
        called = call("-C", project.path, *arguments)
        assert_silent("the output of " + " ".join(map(str, arguments)), called.out + called.err)
        return called

    return call_in


def forms(value: str) -> list[str]:
    """A value, and what a careless program might keep of it."""
    data = value.encode()
    return [value, base64.b64encode(data).decode().rstrip("=")[:-2], data.hex(), hashlib.sha256(data).hexdigest()]


def assert_silent(where: str, text: str) -> None:
    for value in (*PIECES, FILE_VALUE):
        for form in forms(value):
            assert form not in text, f"{where} holds a secret"


def assert_only_in(folder: Path, allowed: set[str]) -> None:
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_file() and not path.is_symlink() and name not in allowed:
            assert_silent(name, path.read_bytes().decode("utf-8", "replace"))


def test_no_verb_prints_or_keeps_a_secret(project: Repository, run: object, tmp_path: Path, own_home: Path) -> None:
    root, state, call_in = tmp_path / "root", tmp_path / "state", run
    assert callable(call_in)
    there = ["--local", "--host", "web-1", "--root", root, "--state", state]
    for format_name in ("text", "json"):
        assert call_in("validate", "--format", format_name).status == 0
        assert call_in("compile", "--format", format_name).status == 0
        assert call_in("plan", "--format", format_name).status == 2
        assert call_in("plan", *there, "--format", format_name, "--out", tmp_path / f"local-{format_name}.json").status == 2
        assert call_in("explain", "web-1", "--format", format_name).status == 0
        assert call_in("apply", *there, "--dry-run", "--format", format_name).status == 2
    assert call_in("compile", "--out", tmp_path / "compiled").status == 0
    assert call_in("plan", "--out", tmp_path / "fleet.json").status == 2
    assert call_in("apply", *there, "--yes").status == 0
    assert (root / "etc/app.conf").read_text() == f"password = {ENV_VALUE}\n"
    assert (root / "etc/token").read_text() == f"token: {FILE_VALUE}\n"
    # Changed by hand, healed, and changed in Git: before-images and diffs come near the values.
    (root / "etc/app.conf").write_text("by hand\n")
    assert call_in("plan", *there).status == 2
    assert call_in("apply", *there, "--yes", "--format", "json").status == 0
    write_files(project.path, {"gitops.yaml": config(tmp_path).replace("password =", "pass =").replace("version 1", "version 2")})
    assert "+pass = ${secret.password}" in call_in("diff").out
    assert call_in("diff", "--format", "json").status == 2
    assert call_in("apply", *there, "--yes").status == 0
    runs = call_in("runs", "list", "--root", root, "--state", state, "--format", "json").json["runs"]
    assert len(runs) == 3
    for row in runs:
        assert call_in("runs", "show", row["run"], "--root", root, "--state", state).status == 0
        assert call_in("runs", "show", row["run"], "--root", root, "--state", state, "--format", "json").status == 0
    undone = call_in("rollback", runs[-1]["run"], "--root", root, "--state", state, "--yes")
    assert undone.status in (0, 4), undone.err
    assert_only_in(tmp_path, {"token", "root/etc/app.conf", "root/etc/token"})
    assert_only_in(own_home, set())


def test_a_command_that_echoes_its_secrets_is_redacted(project: Repository, run: object, tmp_path: Path, own_home: Path) -> None:
    """Without --root, since a command cannot honour one; it touches nothing."""
    call_in = run
    assert callable(call_in)
    head = config(tmp_path).partition("    - file:")[0]
    write_files(project.path, {"gitops.yaml": head + COMMAND})
    there = ["--local", "--host", "web-1", "--state", tmp_path / "state"]
    for format_name in ("text", "json"):
        assert call_in("plan", *there, "--format", format_name).status == 2
        failed = call_in("apply", *there, "--yes", "--format", format_name)
        assert failed.status == 4, failed.err
        assert "exit status 3" in failed.out + failed.err
    for row in call_in("runs", "list", "--state", tmp_path / "state", "--format", "json").json["runs"]:
        assert "exit status 3" in call_in("runs", "show", row["run"], "--state", tmp_path / "state").out
    assert_only_in(tmp_path, {"token"})
    assert_only_in(own_home, set())


def test_a_missing_value_is_named_and_stops_before_anything_changes(
    project: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITOPS_SECRETS_FILES", str(tmp_path))
    assert "GITOPS_SECRET_APP_PASSWORD" not in os.environ
    called = call("-C", project.path, "apply", "--local", "--host", "web-1", "--root", tmp_path / "root", "--yes")
    assert called.status == 1
    assert "password" in called.err
    assert list((tmp_path / "root").iterdir()) == []
    for verb in (["validate"], ["compile"], ["plan"], ["diff"], ["explain", "web-1"]):
        assert call("-C", project.path, *verb).status in (0, 2)
