"""Small projects for tests, and real Git repositories that hold them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gitops.pipeline.project import Examined, examine_tree
from gitops.source.snapshot import snapshot_folder

PROJECT = """\
apiVersion: gitops/v1
kind: Project
metadata: {name: acme}
spec:
  environments:
    production:
      hosts: {env: production}
"""
HOST = """\
apiVersion: gitops/v1
kind: Host
metadata: {name: web-1, labels: {env: production, role: web}}
spec:
  resources:
    - file: /etc/motd
      content: "hello\\n"
"""
SMALL: Mapping[str, str] = {"gitops.yaml": PROJECT, "inventory/web.yaml": HOST}
IDENTITY = {
    "GIT_AUTHOR_NAME": "Alice",
    "GIT_AUTHOR_EMAIL": "alice@example.org",
    "GIT_COMMITTER_NAME": "Alice",
    "GIT_COMMITTER_EMAIL": "alice@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


def examine_files(folder: Path, files: Mapping[str, str | bytes]) -> Examined:
    """Write a project and read, check and compile it."""
    return examine_tree(snapshot_folder(write_files(folder, files)))


def codes(found: Examined) -> list[str]:
    """Give the codes of its mistakes, as they are sorted."""
    return [item.code for item in found.diagnostics]


def write_files(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files below a folder (made when missing) and give the folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


@dataclass(frozen=True)
class Repository:
    """A work tree with a real repository."""

    path: Path

    @staticmethod
    def make(path: Path, files: Mapping[str, str | bytes] = SMALL, *, branch: str = "main") -> Repository:
        """Make a repository with one commit of these files."""
        path.mkdir(parents=True, exist_ok=True)
        made = Repository(path)
        made.git("init", "-q", "-b", branch)
        made.commit(files)
        return made

    def git(self, *arguments: str, env: Mapping[str, str] | None = None, data: bytes | None = None) -> str:
        """Run git here and give its standard output without the last newline."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            env={**os.environ, **IDENTITY, **(env or {})},
            input=data,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, f"git {arguments}: {done.stderr.decode()}"
        return done.stdout.decode().rstrip("\n")

    def commit(self, files: Mapping[str, str | bytes], message: str = "change", *, env: Mapping[str, str] | None = None) -> str:
        """Write files, commit everything, give the commit id."""
        write_files(self.path, files)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message, env=env)
        return self.git("rev-parse", "HEAD")
