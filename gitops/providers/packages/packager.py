"""Packager: the seam between `package` and a machine's package manager, and the nouns that cross it.

A manager only asks and does: what to do is decided in `gitops.providers.package`. What it reads with `is_reading` must change nothing on
the machine, caches included. Nothing here ever removes what is not among the targets.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, FrozenSet, Mapping, Sequence, Tuple

from gitops.providers.host import Finished, Host

OUTPUT_SHOWN = 1000
SOURCES = "repository:any"  # the token of all sources of packages: every package comes after them


@dataclass(frozen=True)
class Installed:
    """What the database knows of a package; `broken` is the state it was left in by a transaction that was cut off, `is_automatic`
    says that it came only because something needed it, and so goes when nothing does.
    """

    version: str = ""
    broken: str = ""
    is_held: bool = False
    is_automatic: bool = False


@dataclass(frozen=True)
class Offer:
    """What the sources offer of a package: the candidate that the manager itself would take (empty: none), every version that could be
    installed, and the package that it would take `instead`, which does away with this one.
    """

    candidate: str = ""
    versions: Tuple[str, ...] = ()
    instead: str = ""


@dataclass(frozen=True)
class Target:
    """One package of a transaction: this version (empty: whichever is offered), or gone."""

    name: str
    version: str = ""
    is_absent: bool = False


@dataclass(frozen=True)
class Foreseen:
    """What a simulated transaction would install and remove, targets included, by their names here; what it would finish beside them
    (cut off before); `problem` is why it cannot say.
    """

    installs: Mapping[str, str] = field(default_factory=dict[str, str])
    removes: FrozenSet[str] = frozenset()
    problem: str = ""
    finishes: FrozenSet[str] = frozenset()


class Packager(ABC):
    """One package manager. Failures to read the database are HostError."""

    name: ClassVar[str]
    refresh_name: ClassVar[str]  # as people know the command

    @abstractmethod
    def find_mistake(self, name: str, version: str) -> str:
        """Say why such a name or version cannot be, or nothing: what the tool would take for an option or a pattern. Pure."""

    @abstractmethod
    def read_installed(self, names: Sequence[str], host: Host) -> Mapping[str, Installed]:
        """Give what is known of each name, with one query."""

    @abstractmethod
    def ask_offers(self, names: Sequence[str], host: Host, *, is_reading: bool) -> Mapping[str, Offer]:
        """Give what is offered of each name; names that nobody has heard of are left out."""

    @abstractmethod
    def is_stale(self, host: Host) -> bool:
        """Say whether a configured source has no list here."""

    @abstractmethod
    def refresh(self, host: Host) -> Finished:
        """Fetch the lists of all sources."""

    @abstractmethod
    def foresee(self, targets: Sequence[Target], host: Host, *, is_reading: bool) -> Foreseen:
        """Simulate one transaction."""

    @abstractmethod
    def transact(self, targets: Sequence[Target], host: Host) -> str:
        """Make one transaction; give why it failed, or nothing."""

    @abstractmethod
    def note_undo(self, before: Mapping[str, str], host: Host) -> None:
        """Note what undoes a transaction: versions before by name, empty where it was not installed."""

    @abstractmethod
    def set_hold(self, names: Sequence[str], host: Host, *, is_held: bool) -> str:
        """Put packages on hold or release them, the undo noted first; give why that failed, or nothing."""

    def set_manual(self, names: Sequence[str], host: Host) -> str:  # noqa: ARG002  apk and brew mark what is asked for by themselves
        """Mark packages as wanted for their own sake, the undo noted first; give why that failed, or nothing."""
        return ""

    def explain_hold(self, names: Sequence[str], host: Host, *, is_held: bool) -> Mapping[str, str]:  # noqa: ARG002  most can
        """Give by name why it could not be put on hold (or released) here, as far as that can be known before."""
        return {}

    def name_here(self, names: Sequence[str], host: Host) -> Mapping[str, str]:  # noqa: ARG002  most have one name of each
        """Give by name as declared the name that the manager's answers have."""
        return {name: name for name in names}

    def say_release(self, name: str) -> str:
        """Give the command that would release a hold."""
        return f"`hold: false` would release {name}"


def bare(name: str) -> str:
    """Give a name without its architecture (`lib:i386`)."""
    return name.partition(":")[0]


def show_end(done: Finished, tool: str) -> str:
    """Give the words of a failure."""
    return f"{tool} ended with {done.status}: {done.output.strip()[-OUTPUT_SHOWN:]}"
