from __future__ import annotations

from pathlib import Path

from tests.support.cli import call
from tests.support.project import SMALL, write_files


def test_a_small_project_validates(tmp_path: Path) -> None:
    called = call("-C", write_files(tmp_path, SMALL), "validate")
    assert (called.status, called.err) == (0, "The config is valid.\n")


def test_apply_twice_changes_once(tmp_path: Path) -> None:
    project, root = write_files(tmp_path / "project", SMALL), tmp_path / "root"
    root.mkdir()
    apply = ("-C", project, "apply", "--local", "--host", "web-1", "--root", root, "--yes", "--format", "json")
    first, second = call(*apply), call(*apply)
    assert (first.status, second.status) == (0, 0)
    assert (root / "etc/motd").read_text() == "hello\n"
    assert [report["result"] for report in first.json["reports"]] == ["changed"]
    assert [report["result"] for report in second.json["reports"]] == ["converged"]


def test_a_project_without_hosts_is_valid_and_said_to_be_empty(tmp_path: Path) -> None:
    (tmp_path / "gitops.yaml").write_text("apiVersion: gitops/v1\nkind: Project\nmetadata: {name: acme}\n", encoding="utf-8")
    called = call("-C", tmp_path, "validate")
    assert called.status == 0
    assert "It declares no host." in called.err
