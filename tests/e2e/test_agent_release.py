"""The real writer and the real reader together: a project released by `gitops release`, followed by an agent."""

from __future__ import annotations

from pathlib import Path

from tests.support.cli import call
from tests.support.project import Repository

PROJECT = """\
apiVersion: gitops/v1
kind: Project
metadata: {name: acme}
spec:
  secrets:
    token: {from: env, key: GITOPS_SECRET_ACME_TOKEN}
  environments:
    production:
      source: main
      release: release/production
      hosts: {env: production}
"""
HOST = """\
apiVersion: gitops/v1
kind: Host
metadata: {name: web-1, labels: {env: production}}
spec:
  resources:
    - file: /etc/motd
      content: "hello\\n"
    - file: /etc/token
      content: "token=${secret.token}\\n"
      mode: "0600"
    - file: /srv/large
      source: large.bin
"""
SECRET = "a-value-that-nobody-else-may-know"


def run(folder: Path, **env: str) -> tuple[int, str, str]:
    options = ("--state", folder / "state", "--root", folder / "root")
    done = call("agent", "run", "--once", *options, env={"GITOPS_SECRET_ACME_TOKEN": SECRET, **env})
    return done.status, done.out, done.err


def test_what_is_released_is_followed_healed_and_refused_when_changed(tmp_path: Path) -> None:
    files = {"gitops.yaml": PROJECT, "inventory/web.yaml": HOST, "files/large.bin": bytes(range(256)) * 100}
    project = Repository.make(tmp_path / "acme", files)
    key = tmp_path / "key"
    assert call("release", "keygen", "--out", key).status == 0
    root = tmp_path / "root.json"
    assert call("-C", project.path, "trust", "init", "--key", f"{key}.pub", "--out", root).status == 0
    release = ("-C", project.path, "release", "--env", "production", "--key", key)
    first = call(*release)
    assert first.status == 0, first.err
    (tmp_path / "root").mkdir()
    enroll = ("--env", "production", "--name", "web-1", "--trust-root", root, "--state", tmp_path / "state")
    assert call("agent", "enroll", "--repo", f"file://{project.path}", *enroll).status == 0

    status, out, err = run(tmp_path)
    assert status == 0, err
    assert "warning" not in err
    assert (tmp_path / "root/etc/token").read_text() == f"token={SECRET}\n"
    assert (tmp_path / "root/srv/large").read_bytes() == bytes(range(256)) * 100
    assert SECRET not in out

    (tmp_path / "root/etc/motd").write_text("by hand\n")
    project.commit({"inventory/web.yaml": HOST.replace("hello", "hello again")})
    assert call(*release).status == 0
    assert run(tmp_path)[0] == 0
    assert (tmp_path / "root/etc/motd").read_text() == "hello again\n"

    tip = project.git("rev-parse", "release/production")
    project.git("update-ref", "refs/heads/release/production", f"{tip}^")
    (tmp_path / "root/etc/motd").unlink()
    status, _, err = run(tmp_path)
    assert (status, "T104" in err) == (6, True)
    assert (tmp_path / "root/etc/motd").read_text() == "hello again\n"


def test_a_project_that_demands_approvals_holds_the_agent_to_them(tmp_path: Path) -> None:
    strict = PROJECT.replace(
        "      hosts: {env: production}\n",
        "      hosts: {env: production}\n      approvals: {required: 1, from: ['user:alice']}\n",
    )
    files = {"gitops.yaml": strict, "inventory/web.yaml": HOST, "files/large.bin": b"x"}
    project = Repository.make(tmp_path / "acme", files)
    key = tmp_path / "key"
    call("release", "keygen", "--out", key)
    call("-C", project.path, "trust", "init", "--key", f"{key}.pub", "--out", tmp_path / "root.json")
    # The signer holds the change back itself; one that does not (an older project file) is refused by the agent.
    release = ("-C", project.path, "release", "--env", "production", "--key", key)
    assert call(*release).status == 3
    project.commit({"gitops.yaml": PROJECT})
    assert call(*release).status == 0
    (tmp_path / "root").mkdir()
    enroll = ("--env", "production", "--name", "web-1", "--trust-root", tmp_path / "root.json", "--state", tmp_path / "state")
    assert call("agent", "enroll", "--repo", project.path, *enroll).status == 0
    status, _, err = run(tmp_path)
    assert (status, "T107" in err) == (6, True)
    assert not (tmp_path / "root/etc").exists()
