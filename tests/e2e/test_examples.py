"""Every example works as its own text says: it validates, compiles, plans, and converges a scratch root."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli import call

EXAMPLES = Path(__file__).parents[2] / "examples"
PROJECTS = sorted(path.parent.name for path in EXAMPLES.glob("*/gitops.yaml"))


@pytest.mark.parametrize("name", PROJECTS)
def test_an_example_is_valid_without_warnings(name: str) -> None:
    called = call("-C", EXAMPLES / name, "validate", "--format", "json")
    assert (called.status, called.json["diagnostics"]) == (0, [])


def test_hello_converges_and_stays(tmp_path: Path) -> None:
    root = tmp_path / "machine"
    root.mkdir()
    local = ("--local", "--host", "hello", "--root", root, "--format", "json")
    assert call("-C", EXAMPLES / "hello", "plan", *local).status == 2
    assert call("-C", EXAMPLES / "hello", "apply", *local, "--yes").status == 0
    assert (root / "etc/motd").read_text() == "Hello from hello, as Git says.\n"
    assert call("-C", EXAMPLES / "hello", "plan", *local).status == 0


@pytest.mark.parametrize(("environment", "hosts"), [("development", 1), ("staging", 2), ("production", 4)])
def test_the_web_fleet_has_three_environments(environment: str, hosts: int) -> None:
    called = call("-C", EXAMPLES / "web-fleet", "compile", "--env", environment, "--format", "json")
    assert called.status == 0
    assert len(called.json["hosts"]) == hosts


def test_the_web_fleet_shares_its_blocks() -> None:
    compiled = call("-C", EXAMPLES / "web-fleet", "compile", "--env", "production", "--format", "json").json
    assert len(compiled["blocks"]) == 3  # base, nginx and logrotate, for four hosts


def test_params_of_the_web_fleet_come_from_cue_with_their_defaults() -> None:
    compiled = call("-C", EXAMPLES / "web-fleet", "compile", "--env", "production", "--format", "json").json
    content = {
        item["name"]: item["attributes"].get("content")
        for item in compiled["hosts"]["web-1"]["resources"]
        if item["kind"] == "file"
    }
    assert "listen 80;" in content["/etc/nginx/conf.d/www.conf"]
    assert "listen 8080;" in content["/etc/nginx/conf.d/docs.conf"]
    assert content["/etc/nginx/conf.d/workers.conf"] == "# 8 workers\n"
    assert "rotate 14" in content["/etc/logrotate.d/var-log-nginx-access.log"]


def test_a_parameter_out_of_its_bounds_is_found(tmp_path: Path) -> None:
    for path in (EXAMPLES / "web-fleet").rglob("*"):
        if path.is_file():
            target = tmp_path / path.relative_to(EXAMPLES / "web-fleet")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes().replace(b"port: 8080", b"port: 99999"))
    called = call("-C", tmp_path, "validate")
    assert called.status == 1
    assert "port" in called.err


def test_the_files_of_the_web_fleet_converge_a_scratch_root(tmp_path: Path) -> None:
    root = tmp_path / "machine"
    root.mkdir()
    only = [part for name in ("/etc/motd", "/etc/acme/admins", "/var/www/docs/index.html") for part in ("--only", f"file:{name}")]
    apply = ("apply", "--local", "--host", "web-3", "--root", root, *only, "--yes", "--format", "json")
    first, second = (call("-C", EXAMPLES / "web-fleet", *apply) for _ in range(2))
    assert [item["result"] for item in (*first.json["reports"], *second.json["reports"])] == ["changed", "converged"]
    assert (root / "etc/acme/admins").read_text() == ("# Who to ask about this machine.\nalice: Alice Adams\nbob: Bob Brown\n")
