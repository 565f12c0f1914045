"""The example of a hardened SSH server on a real host: its operators get in, and no mistake of theirs locks them out."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.cli import Called
from tests.support.hosts import Rig, TestHost
from tests.support.login import Logins
from tests.support.roots import STACK_SUITE

pytestmark = [pytest.mark.hosts, pytest.mark.xdist_group("hosts")]

EXAMPLE = Path(__file__).parents[2] / "examples/hardened-ssh"
ADDRESS = "192.0.2.1"
ALICE = f"alice@{ADDRESS}"
CONFIG = "/etc/ssh/sshd_config.d/00-operators.conf"
LOOSE = ("-oBatchMode=yes", "-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null", "-oLogLevel=ERROR")


@dataclass(frozen=True)
class Bastion:
    """The host, the example with this person's key in it, and this person."""

    host: TestHost
    project: Path
    logins: Logins

    @contextlib.contextmanager
    def edited(self, old: str, new: str) -> Iterator[None]:
        """Have another text in sshd's config for a while."""
        path = self.project / "modules/ssh/templates/operators.conf.j2"
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")
        yield
        path.write_text(text, encoding="utf-8")

    def apply(self) -> Called:
        """Push it, over SSH as root."""
        ssh_config = ("--ssh-config", self.logins.config)
        return self.logins.gitops("-C", self.project, "apply", "--host", "bastion", "--yes", "--format", "json", *ssh_config)

    def result(self) -> str:
        return self.apply().json["reports"][0]["result"]


@pytest.fixture(scope="module")
def bastion(rig: Rig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bastion]:
    folder = tmp_path_factory.mktemp("bastion")
    host = rig.make("bastion", STACK_SUITE)
    logins = Logins(folder / "ssh", rig)
    logins.admit(host, f"root@{ADDRESS}")
    (host.path / "etc/apt/sources.list").write_text("deb [trusted=yes] file:/srv/packages ./\n", encoding="utf-8")
    host.boot()
    shutil.copytree(EXAMPLE, folder / "project")
    made = Bastion(host, folder / "project", logins)
    example = made.project / "gitops.yaml"
    lines = example.read_text(encoding="utf-8").splitlines(keepends=True)
    example.write_text("".join(f"      alice: {logins.public_key}\n" if "alice: ssh-" in line else line for line in lines))
    yield made
    host.remove()


def test_operators_get_in_by_key_and_nobody_by_password(bastion: Bastion) -> None:
    assert bastion.result() == "changed"
    assert bastion.logins.ssh(ALICE, "sudo", "id", "-un").out == "root\n"
    password = {"PubkeyAuthentication": "no", "PreferredAuthentications": "password,keyboard-interactive"}
    refused = bastion.logins.ssh(ALICE, "true", options=password)
    assert (refused.status, "Permission denied (publickey)" in refused.err) == (255, True)
    assert bastion.result() == "converged"


def test_an_operator_pushes_as_root_by_sudo_and_through_a_jump_host(bastion: Bastion, tmp_path: Path) -> None:
    bastion.apply()
    project = shutil.copytree(bastion.project, tmp_path / "project")
    known = project / "gitops.yaml"
    # What is reached is 127.0.0.1 of the host before it: nothing but the jump leads there.
    jump = f"Host inner\n  HostName 127.0.0.1\n  HostKeyAlias {ADDRESS}\n  User alice\n  ProxyJump {ALICE}\n"
    config = tmp_path / "config"
    config.write_text(jump + bastion.logins.config.read_text(encoding="utf-8"), encoding="utf-8")
    before = known.read_text(encoding="utf-8")
    for address, become, status in ((ALICE, ("--become", "sudo"), 0), ("inner", ("--become", "sudo"), 0), (ALICE, (), 4)):
        known.write_text(before.replace(f"root@{ADDRESS}", address), encoding="utf-8")
        push = ("apply", "--host", "bastion", "--yes", "--format", "json", "--ssh-config", config, *become)
        called = bastion.logins.gitops("-C", project, *push)
        assert called.status == status, called.err
        if status == 0:
            assert called.json["reports"][0]["result"] == "converged"


def test_an_operator_pushes_as_root_by_doas_where_that_asks_for_nothing(bastion: Bastion, tmp_path: Path) -> None:
    bastion.apply()
    project = shutil.copytree(bastion.project, tmp_path / "project")
    known = project / "gitops.yaml"
    known.write_text(known.read_text(encoding="utf-8").replace(f"root@{ADDRESS}", ALICE), encoding="utf-8")
    push = ("apply", "--host", "bastion", "--yes", "--format", "json", "--ssh-config", bastion.logins.config, "--become", "doas")
    rules = bastion.host.path / "etc/doas.conf"
    for rule, status in (("permit alice", 4), ("permit nopass alice as root", 0)):
        rules.write_text(f"{rule}\n", encoding="utf-8")
        called = bastion.logins.gitops("-C", project, *push)
        assert called.status == status, called.err
        if status == 0:
            assert called.json["reports"][0]["result"] == "converged"
        else:
            assert called.json["errors"][0]["code"] == "E267"
    rules.unlink()


def test_the_probe_is_no_way_in(bastion: Bastion) -> None:
    bastion.apply()
    key = bastion.logins.folder / "stolen"
    key.write_bytes((bastion.host.path / "var/lib/ssh-probe/key").read_bytes())
    key.chmod(0o600)
    from_elsewhere = bastion.logins.ssh(f"ssh-probe@{ADDRESS}", "id", options={"IdentityFile": str(key)})
    assert (from_elsewhere.status, from_elsewhere.out) == (255, "")
    on_itself = ["ssh", "-F", "none", "-i", "/var/lib/ssh-probe/key", *LOOSE, "ssh-probe@127.0.0.1", "id; cat /etc/shadow"]
    assert bastion.host.run(on_itself).out == "in\n"


def test_what_sshd_does_not_take_is_never_in_its_place(bastion: Bastion) -> None:
    bastion.apply()
    before = bastion.host.run(["cat", CONFIG]).out
    with bastion.edited("MaxAuthTries 4", "MaxAuthTries many"):
        called = bastion.apply()
    assert called.json["reports"][0]["result"] in ("failed", "reverted")
    assert "did not accept the new file" in called.out
    assert bastion.host.run(["cat", CONFIG]).out == before
    assert bastion.logins.ssh(ALICE, "true").status == 0


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("AllowGroups root {{ params.group }}", "AllowGroups nobody"),
        ("PubkeyAuthentication yes", "PubkeyAuthentication no"),
    ],
)
def test_what_would_let_nobody_in_is_put_back(bastion: Bastion, old: str, new: str) -> None:
    bastion.apply()
    before = bastion.host.run(["cat", CONFIG]).out
    with bastion.edited(old, new):
        called = bastion.apply()
    assert (called.status, called.json["reports"][0]["result"]) == (5, "reverted")
    assert "nobody could log in with this config" in called.out
    assert bastion.host.run(["cat", CONFIG]).out == before
    assert bastion.logins.ssh(ALICE, "sudo", "id", "-un").out == "root\n"
    assert [bastion.result() for _ in range(2)] == ["changed", "converged"]  # the probe is owed once more, now of the good config
