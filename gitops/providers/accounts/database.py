"""UserDatabase and GroupDatabase: the seam between `user` and `group` and where a machine keeps its accounts.

A database only reads and does: what to do is decided in `gitops.providers.user` and `gitops.providers.group`. Reading changes nothing.
Every change notes its undo first; failures are HostError with the last words of the tool.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Dict, Mapping, Optional, Sequence

from gitops.model.codec import Json
from gitops.model.observation import State
from gitops.providers.accounts.groupspec import GroupSpec
from gitops.providers.accounts.userspec import UserSpec
from gitops.providers.host import Host

SHOWN = 5
GOING = "group:going"  # the token of all groups that go: users who go, whatever their primary group is, go before them


def say_primary(users: Sequence[str]) -> str:
    """Say whose primary group a group is, so that it cannot go."""
    others = f" and {len(users) - SHOWN} more" if len(users) > SHOWN else ""
    return (
        f"it is the primary group of {', '.join(users[:SHOWN])}{others}: give them another `group`, or declare them absent, too"
    )


def say_taken(kind: str, number: Optional[int], taker: str) -> str:
    """Say who has the number that is declared."""
    return f"the number {number} is taken by the {kind} `{taker}`: this fails unless that one gives it up first"


class UserDatabase(ABC):
    """Where users are kept. `after` and `before` hold what changes, by attribute."""

    name: ClassVar[str]

    def find_unable(self, spec: UserSpec, state: State) -> str:  # noqa: ARG002  the files can do all
        """Say what is declared and cannot be kept here, or nothing. Pure."""
        return ""

    @abstractmethod
    def read(self, specs: Sequence[UserSpec], host: Host) -> Mapping[str, Dict[str, Json]]:
        """Give the state of each, as `user` describes it."""

    @abstractmethod
    def find_elsewhere(self, names: Sequence[str], host: Host) -> Sequence[str]:
        """Give those of the names (not in this database) that the machine knows all the same."""

    @abstractmethod
    def create(self, spec: UserSpec, after: Mapping[str, Json], host: Host) -> None:
        """Make a user."""

    @abstractmethod
    def change(self, spec: UserSpec, before: Mapping[str, Json], after: Mapping[str, Json], host: Host) -> None:
        """Change a user."""

    @abstractmethod
    def remove(self, spec: UserSpec, state: State, host: Host) -> None:
        """Remove a user."""


class GroupDatabase(ABC):
    """Where groups are kept. `after` holds what changes, by attribute."""

    name: ClassVar[str]

    @abstractmethod
    def read(self, specs: Sequence[GroupSpec], host: Host) -> Mapping[str, Dict[str, Json]]:
        """Give the state of each, as `group` describes it."""

    @abstractmethod
    def find_elsewhere(self, names: Sequence[str], host: Host) -> Sequence[str]:
        """Give those of the names (not in this database) that the machine knows all the same."""

    @abstractmethod
    def create(self, spec: GroupSpec, after: Mapping[str, Json], host: Host) -> None:
        """Make a group."""

    @abstractmethod
    def change(self, spec: GroupSpec, state: State, after: Mapping[str, Json], host: Host) -> None:
        """Change a group."""

    @abstractmethod
    def remove(self, spec: GroupSpec, state: State, host: Host) -> None:
        """Remove a group that may be gone by now."""
