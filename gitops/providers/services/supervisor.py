"""Supervisor: the seam between `service` and the init system that runs a machine.

A supervisor only asks and does: what to do is decided in `gitops.providers.service`. Reading changes nothing. Failures of a verb are
HostError with the last words of the tool.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Dict, Mapping, Sequence

from gitops.errors import HostError
from gitops.model.codec import Json
from gitops.providers.host import Host

OUTPUT_SHOWN = 400
PAUSE_SECONDS = "1"
REFRESHES = ("restart", "reload")  # each is its own undo, once what the service reads is back
INVERSE: Mapping[str, str] = {"start": "stop", "stop": "start", "enable": "disable", "disable": "enable"}


class Supervisor(ABC):
    """One init system. Verbs are start, stop, restart, reload, enable, disable; restart and reload leave alone what is stopped."""

    name: ClassVar[str]
    starts_unseen: ClassVar[bool] = False  # its scripts come back before the program that they start could fail
    takes_any_name: ClassVar[bool] = False  # else what ends like systemd's other units (`.socket`) is no service's name

    @abstractmethod
    def is_here(self, host: Host) -> bool:
        """Say whether it runs this machine."""

    @abstractmethod
    def read_states(self, names: Sequence[str], host: Host) -> Mapping[str, Dict[str, Json]]:
        """Give `exists`, `running`, `enabled` of each, and what stands in the way; raise HostError when nothing can be said."""

    @abstractmethod
    def control(self, verb: str, name: str, host: Host) -> None:
        """Do one verb, its undo noted first."""

    def prepare(self, names: Sequence[str], host: Host) -> None:  # noqa: B027  only some need it
        """Do what must come before all verbs of a batch."""

    def finish(self, host: Host) -> None:  # noqa: B027  same
        """Do what must come after all verbs of a batch."""

    def check_alive(self, name: str, host: Host, *, is_wanted: bool) -> None:
        """Raise HostError when what was just started is dead already; `is_wanted` says that `state: running` is declared."""
        if not is_wanted:
            return
        if self.starts_unseen:
            host.run(["sleep", PAUSE_SECONDS])
        if not self.read_states([name], host)[name]["running"]:
            raise HostError(f"{name} was started and is not running", code="E132")


def run_verb(argv: Sequence[str], host: Host) -> None:
    """Run one command; raise HostError with its last words when it fails."""
    done = host.run(argv)
    if done.status != 0:
        raise HostError(f"{' '.join(argv)} ended with {done.status}: {done.output.strip()[-OUTPUT_SHOWN:]}", code="E131")


def plain(name: str) -> str:
    """Give a service's name without systemd's ending, which others do not use."""
    return name[: -len(".service")] if name.endswith(".service") else name
