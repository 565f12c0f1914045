"""Logins to test hosts: keys, an ssh_config and known hosts, and `gitops` run where the hosts can be reached.

logins = Logins(tmp_path / "ssh", rig)
logins.admit(host, "root@192.0.2.1")            # before or after its boot: the address in the config is this host
logins.gitops("-C", project, "apply", "--yes")  # in the controller's network namespace
logins.ssh("root@192.0.2.1", "true")
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.cli import Called
from tests.support.hosts import Rig, TestHost
from tests.support.tools import run_checked

SECONDS = 300.0
CHECKOUT = Path(__file__).parents[2]
CLIENT = """\
Host *
  IdentityFile {folder}/key
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile {folder}/known_hosts
  GlobalKnownHostsFile /dev/null
"""


class Logins:
    """One person's keys, and the hosts that this person knows."""

    def __init__(self, folder: Path, rig: Rig) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self._rig = rig
        self._home = folder / "home"
        self._home.mkdir()
        make_key(folder / "key")
        (folder / "known_hosts").touch()
        self.config.write_text(CLIENT.format(folder=folder), encoding="utf-8")

    @property
    def config(self) -> Path:
        """The ssh_config."""
        return self.folder / "config"

    @property
    def public_key(self) -> str:
        """This person's public key, one line."""
        return (self.folder / "key.pub").read_text(encoding="utf-8").strip()

    def admit(self, host: TestHost, address: str) -> None:
        """Give a host a key of its own, let root log in by this person's key, and know it as `address`."""
        name = address.rpartition("@")[2]
        for old in (host.path / "etc/ssh").glob("ssh_host_*"):
            old.unlink()
        make_key(host.path / "etc/ssh/ssh_host_ed25519_key")
        public = (host.path / "etc/ssh/ssh_host_ed25519_key.pub").read_text(encoding="utf-8")
        with (self.folder / "known_hosts").open("a", encoding="utf-8") as known:
            known.write(f"{name} {' '.join(public.split()[:2])}\n")
        before = self.config.read_text(encoding="utf-8")
        self.config.write_text(f"Host {name}\n  HostName {host.address}\n  HostKeyAlias {name}\n{before}", encoding="utf-8")
        keys = host.path / "root/.ssh/authorized_keys"
        keys.parent.mkdir(mode=0o700, exist_ok=True)
        keys.write_text(f"{self.public_key}\n", encoding="utf-8")

    def gitops(self, *arguments: object) -> Called:
        """Run `gitops ARGUMENTS` as this person, from where the hosts are in reach."""
        return self._run([sys.executable, "-m", "gitops.cli", *(str(item) for item in arguments)])

    def ssh(self, login: str, *command: str, options: Mapping[str, str] | None = None) -> Called:
        """Log in anew, over no shared connection, and run a command."""
        more = [f"-o{key}={value}" for key, value in (options or {}).items()]
        return self._run(["ssh", "-F", str(self.config), "-oBatchMode=yes", "-oControlPath=none", *more, login, *command])

    def _run(self, argv: list[str]) -> Called:
        environment = {
            **os.environ,
            "HOME": str(self._home),
            "XDG_CACHE_HOME": str(self._home / "c"),
            "PYTHONPATH": str(CHECKOUT),
        }
        done = subprocess.run(
            ["nsenter", f"--net={self._rig.namespace}", *argv],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment,
            timeout=SECONDS,
            check=False,
        )
        return Called(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def make_key(path: Path) -> None:
    """Make a key pair without a passphrase."""
    run_checked(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "alice@example.org", "-f", str(path)])
