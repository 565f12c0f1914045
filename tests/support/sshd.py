"""A real sshd on loopback, started as the current user with keys of its own; each port is one host with a cache and state of its own."""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gitops.transport.ssh import Ssh

SSHD = "/usr/sbin/sshd"
MOST_PORTS = 16  # of one sshd
CONFIG = """\
HostKey {folder}/host_key
PidFile none
AuthorizedKeysFile {folder}/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
MaxStartups 200
MaxSessions 200
LogLevel ERROR
Subsystem sftp internal-sftp
"""
CLIENT = """\
Host *
  HostName 127.0.0.1
  IdentityFile {folder}/user_key
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile {folder}/known_hosts
  GlobalKnownHostsFile /dev/null
"""


@dataclass(frozen=True)
class Fleet:
    """Hosts that are reached over ssh by alias; `home(alias)` holds what a host keeps."""

    folder: Path
    ports: dict[str, int]

    @property
    def config(self) -> Path:
        """The ssh_config that knows the aliases."""
        return self.folder / "ssh_config"

    def home(self, alias: str) -> Path:
        """Give the folder of a host's cache and state."""
        return self.folder / "hosts" / alias

    def ssh(self, **changed: object) -> Ssh:
        """Give settings that reach these hosts."""
        settings: dict[str, object] = {"config": str(self.config), "environment": dict(os.environ), **changed}
        return Ssh(**settings)  # pyright: ignore[reportArgumentType]

    def executors(self, alias: str) -> list[Path]:
        """List the executors that a host keeps."""
        return sorted((self.home(alias) / "cache/gitops/executor").glob("*"))

    def contents(self, alias: str) -> list[Path]:
        """List the contents that a host still holds; none, when all is well."""
        return list((self.home(alias) / "cache/gitops/contents").glob("*"))


@contextlib.contextmanager
def serve_ssh(folder: Path, *aliases: str, path: str = "", noise: str = "", is_certified: bool = False) -> Iterator[Fleet]:
    """Start sshd with one port for each alias. `path` is put before the hosts' PATH; `noise` is a shell text that every session runs first;
    `is_certified`: hosts and user know each other by certificates of `folder/authority` alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd wants it; elsewhere the init system makes it
    for name in ("host_key", "user_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True, timeout=30)
    (folder / "authorized_keys").write_bytes((folder / "user_key.pub").read_bytes())
    fleet = Fleet(folder, dict(zip(aliases, _free_ports(len(aliases)), strict=True)))
    _write_configs(fleet, path=path, noise=noise)
    if is_certified:
        certify(fleet, *aliases)
    with (folder / "sshd.log").open("wb") as log:
        configs = sorted(folder.glob("sshd_config-*"))
        running = [subprocess.Popen([SSHD, "-D", "-e", "-f", str(config)], stdout=log, stderr=log) for config in configs]
    try:
        for number, port in enumerate(fleet.ports.values()):
            _await_port(port, running[number // MOST_PORTS])
        yield fleet
    finally:
        for item in running:
            item.terminate()
            item.wait(30)


def certify(fleet: Fleet, *names: str) -> None:
    """Make an authority that signs the host's key, for these names, and the user's; take both keys themselves out of what is trusted."""
    folder, sign = fleet.folder, ["ssh-keygen", "-q", "-s", str(fleet.folder / "authority"), "-V", "-1m:+1h"]
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "authority")], check=True, timeout=30)
    host = [*sign, "-h", "-I", "host", "-n", ",".join(names), str(folder / "host_key.pub")]
    user = [*sign, "-I", "user", "-n", getpass.getuser(), str(folder / "user_key.pub")]
    for command in (host, user):
        subprocess.run(command, check=True, timeout=30)
    authority = (folder / "authority.pub").read_text()
    (folder / "authorized_keys").write_text(f"cert-authority {authority}")
    (folder / "known_hosts").write_text(f"@cert-authority * {authority}")
    for config in folder.glob("sshd_config-*"):
        config.write_text(f"HostCertificate {folder}/host_key-cert.pub\n" + config.read_text())


def _write_configs(fleet: Fleet, *, path: str, noise: str) -> None:
    key = (fleet.folder / "host_key.pub").read_text().split()[:2]
    client = [CLIENT.format(folder=fleet.folder)]
    known: list[str] = []
    ports = list(fleet.ports.values())
    parts = [ports[start : start + MOST_PORTS] for start in range(0, len(ports), MOST_PORTS)]
    servers = [[CONFIG.format(folder=fleet.folder), *(f"ListenAddress 127.0.0.1:{port}\n" for port in part)] for part in parts]
    for number, (alias, port) in enumerate(fleet.ports.items()):
        server = servers[number // MOST_PORTS]
        home = fleet.home(alias)
        home.mkdir(parents=True)
        search = f'"PATH={path}"' if path else ""
        server.append(
            f'Match LocalPort {port}\n  SetEnv "XDG_CACHE_HOME={home}/cache" "GITOPS_STATE_DIR={home}/state" "HOST_NAME={alias}" {search}\n'
        )
        if noise:
            server.append(f"  ForceCommand {noise}\n")
        client.append(f"Host {alias}\n  Port {port}\n  HostKeyAlias {alias}\n")
        known.append(f"{alias} {' '.join(key)}\n")
    for number, lines in enumerate(servers):
        (fleet.folder / f"sshd_config-{number:03}").write_text("".join(lines))
    fleet.config.write_text("".join(reversed(client)))
    (fleet.folder / "known_hosts").write_text("".join(known))


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in sockets]


def _await_port(port: int, running: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
        except OSError:
            assert running.poll() is None, "sshd ended"
            assert time.monotonic() < deadline
            time.sleep(0.02)
        else:
            return
