"""Who is who over a real sshd, by way of OpenSSH: certificates of hosts and users, and keys that only an agent holds."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitops.errors import RemoteError
from gitops.transport.local import Executed
from gitops.transport.ssh import Destination, Payload, Ssh, run_ssh
from tests.support.rooted import Rooted, file
from tests.support.service import wait_for
from tests.support.sshd import Fleet, serve_ssh

PAYLOAD = Payload.make()


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with serve_ssh(tmp_path_factory.mktemp("certified"), "web-1", is_certified=True) as served:
        yield served


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Path]:
    """Give the socket of an agent that holds no key yet; a short path, for sockets have short names."""
    folder = Path(subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True, timeout=10).stdout.strip())
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(folder / "agent")], stdout=subprocess.DEVNULL) as running:
        wait_for((folder / "agent").is_socket)
        yield folder / "agent"
        running.terminate()
    (folder / "agent").unlink(missing_ok=True)
    folder.rmdir()


def push(machine: Rooted, ssh: Ssh) -> Executed:
    request = machine.request("apply", (file("/etc/x", "hello"),))
    return run_ssh(request, Destination("web-1"), ssh, payload=PAYLOAD, blobs={})


def with_config(fleet: Fleet, folder: Path, *pairs: tuple[str, str]) -> Ssh:
    """Give settings with another ssh_config."""
    text = fleet.config.read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    (folder / "config").write_text(text)
    return fleet.ssh(config=str(folder / "config"))


def test_certificates_of_host_and_user_are_enough(certified: Fleet, tmp_path: Path) -> None:
    machine = Rooted(tmp_path)
    assert push(machine, certified.ssh()).status == 0
    assert machine.read("/etc/x") == "hello"


def test_a_host_whose_certificate_is_for_another_name_is_refused(certified: Fleet, tmp_path: Path) -> None:
    ssh = with_config(certified, tmp_path, ("HostKeyAlias web-1", "HostKeyAlias web-2"))
    with pytest.raises(RemoteError) as refused:
        push(Rooted(tmp_path), ssh)
    assert refused.value.code == "R045"


def test_a_key_without_its_certificate_is_refused(certified: Fleet, tmp_path: Path) -> None:
    (tmp_path / "bare").write_bytes((certified.folder / "user_key").read_bytes())
    (tmp_path / "bare").chmod(0o600)
    ssh = with_config(certified, tmp_path, (str(certified.folder / "user_key"), str(tmp_path / "bare")))
    with pytest.raises(RemoteError, match="Permission denied"):
        push(Rooted(tmp_path), ssh)


def test_a_key_that_only_an_agent_holds_is_used(certified: Fleet, agent: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "SSH_AUTH_SOCK": str(agent)}
    identity = f"  IdentityFile {certified.folder}/user_key\n  IdentitiesOnly yes\n  IdentityAgent none\n"
    ssh = with_config(certified, tmp_path, (identity, f"  IdentityFile {tmp_path}/nothing\n  IdentityAgent {agent}\n"))
    with pytest.raises(RemoteError, match="Permission denied"):
        push(Rooted(tmp_path / "before"), ssh)
    subprocess.run(["ssh-add", "-q", str(certified.folder / "user_key")], check=True, timeout=30, env=environment)
    machine = Rooted(tmp_path / "after")
    assert push(machine, ssh).status == 0
    assert machine.read("/etc/x") == "hello"
