"""The demo's stage: a folder with a bare repository, keys, settings, three machines that are only folders, and the running service."""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from gitops.cli.demo.desk import PATIENCE, PAUSE, Desk
from gitops.cli.demo.people import Person, clone_repository, make_repository
from gitops.cli.demo.programs import Ended, Service, run_verb
from gitops.errors import RemoteError
from gitops.model.limits import DEFAULTS
from webhooks.auth.passwords import hash_password

HOSTS = ("web-1", "web-2", "web-3")
USERS = ("alice", "bob", "carol")
ENVIRONMENT = "production"
ADDRESS = re.compile(r"http://[0-9.:]+")


@dataclass(frozen=True)
class Stage:
    """Where everything is."""

    folder: Path

    @property
    def home(self) -> Path:
        """The home of every process of the demo."""
        return self.folder / "home"

    @property
    def bare(self) -> Path:
        """The team's repository."""
        return self.folder / "fleet.git"

    @property
    def key(self) -> Path:
        """The service's signing key."""
        return self.folder / "keys" / "release"

    @property
    def trust_root(self) -> Path:
        """What agents pin."""
        return self.folder / "keys" / "trust.json"

    @property
    def data(self) -> Path:
        """The service's data."""
        return self.folder / "service"

    def machine(self, host: str) -> Path:
        """The folder that stands for a machine."""
        return self.folder / "machines" / host

    def agent(self, host: str) -> Path:
        """The agent's state of a machine."""
        return self.folder / "agents" / host

    def run(self, *arguments: object) -> Ended:
        """Run a verb."""
        return run_verb(*arguments, home=self.home)

    def run_agent(self, host: str) -> Ended:
        """Run one cycle of a host's agent."""
        return self.run("agent", "run", "--once", "--state", self.agent(host), "--root", self.machine(host), "--format", "text")

    def enrol(self, host: str, url: str) -> Ended:
        """Get a one-time token and enrol a host's agent with it."""
        token = self.folder / "agents" / f"{host}.token"
        token.touch(mode=0o600)
        token.write_text(self.run("token", host, "--data", self.data).output, encoding="utf-8")
        where = ("--repo", self.bare, "--env", ENVIRONMENT, "--name", host, "--trust-root", self.trust_root)
        return self.run("agent", "enroll", *where, "--state", self.agent(host), "--service", url, "--token-file", token)


def set_stage(folder: Path) -> tuple[Stage, Person]:
    """Make the folders, the repository with its first commit, the key and the trust root; give them with Alice's clone."""
    stage = Stage(folder)
    for path in (stage.home, stage.key.parent, stage.folder / "agents", *(stage.machine(host) for host in HOSTS)):
        path.mkdir(parents=True)
    make_repository(stage.bare, folder / "alice")
    alice = Person("alice", folder / "alice")
    stage.run("release", "keygen", "--out", stage.key)
    stage.run("-C", alice.clone, "trust", "init", "--key", f"{stage.key}.pub", "--out", stage.trust_root)
    return stage, alice


def start_service(stage: Stage) -> tuple[Service, Desk]:
    """Write the settings with fresh passwords, start the service on a free port of loopback, and wait until it is ready."""
    passwords = {name: secrets.token_urlsafe(9) for name in USERS}
    token = secrets.token_urlsafe(24)
    settings = stage.folder / "settings.yaml"
    users = "".join(
        f"  {name}: {{password: '{hash_password(password, secrets.token_bytes(16))}', emails: [{name}@example.org]}}\n"
        for name, password in passwords.items()
    )
    settings.touch(mode=0o600)
    text = f"release_key: {stage.key}\nadmin_token: {token}\npoll_seconds: 1\nusers:\n{users}"
    settings.write_text(text, encoding="utf-8")
    arguments = ["--settings", str(settings), "--data", str(stage.data), "--listen", "127.0.0.1:0", "--repo", str(stage.bare)]
    service = Service(arguments, home=stage.home, log=stage.folder / "service.log")
    return service, _await_desk(service, token, passwords)


def _await_desk(service: Service, token: str, passwords: dict[str, str]) -> Desk:
    deadline = time.monotonic() + PATIENCE
    while service.is_running and time.monotonic() < deadline:
        found = ADDRESS.search(_read_log(service.log))
        if found is not None:
            desk = Desk(found[0], token, passwords)
            if desk.is_ready():
                return desk
        time.sleep(PAUSE)
    service.stop()
    raise RemoteError("the service did not start", code="R071", hint=_read_log(service.log)[-2000:])


def _read_log(log: Path) -> str:
    with log.open("rb") as stream:
        return stream.read(DEFAULTS.command_output).decode("utf-8", "replace")


def clone_for(stage: Stage, name: str) -> Person:
    """Clone the repository for one more person."""
    return clone_repository(name, stage.bare, stage.folder / name)
