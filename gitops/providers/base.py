"""The seam between the engine and a kind: Provider, and what it says of order and of the worst case.

`diff`, `relate` and `bound` are pure and also run in the service over stored observations; `observe` and `apply` work in batches
through a Host and run only on the machine. States are JSON objects without content or secrets (`gitops.model.observation`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, FrozenSet, Generic, Iterator, Mapping, Optional, Sequence, Tuple, TypeVar

from gitops.model.address import Address
from gitops.model.observation import State
from gitops.model.plan import Difference
from gitops.model.report import Outcome
from gitops.model.resource import Resource
from gitops.providers.host import Host

S = TypeVar("S")
ANYTHING, BELOW, ITSELF = "anything", "below", "itself"


@dataclass(frozen=True)
class Relations:
    """Automatic edges as tokens: whatever `provides` a token comes before whatever `wants` it, when both are on one host.

    Tokens are `path:/etc/nginx`, `user:www`, `group:www`, `package:nginx`, `service:nginx`. `owns` are paths this resource owns
    alone: two owners of one path are an error. `edits` are files that it writes a part of: others may edit them too, nobody may own
    them; `keeps` places that must stay for it though it neither owns nor edits them (a mount point). For absent things the edge runs the
    other way. `refresh` is the action that a notification asks of it: `restart`, `reload`, `run`, or empty when it cannot be notified.
    `is_mask`: it hides what it stands for, which counts as taking it away. `stays_up`: it is to be up without what is taken away, so
    that goes first. `brings` are paths that may come with it when it is made (a user's home): what is there then, is not known before.
    """

    provides: Tuple[str, ...] = ()
    wants: Tuple[str, ...] = ()
    owns: Tuple[str, ...] = ()
    is_absent: bool = False
    refresh: str = ""
    edits: Tuple[str, ...] = ()
    keeps: Tuple[str, ...] = ()
    is_mask: bool = False
    stays_up: bool = False
    brings: Tuple[str, ...] = ()

    @property
    def paths(self) -> Tuple[str, ...]:
        """Every path that this resource writes."""
        return (*self.owns, *self.edits)


@dataclass(frozen=True)
class Possible:
    """One effect that an address never observed may need: a verb, on itself or on an implied resource."""

    verb: str
    resource: Optional[Resource] = None


@dataclass(frozen=True)
class Step(Generic[S]):
    """One item of a plan handed to its provider: the action, the Spec, the state seen, and the difference that was planned; `causes` are
    what notified it.
    """

    address: Address
    action: str
    spec: S
    state: State
    difference: Difference
    causes: Tuple[Address, ...] = ()


@dataclass(frozen=True)
class Foreseen:
    """One change that is planned before another that hangs on it."""

    address: Address
    action: str
    relations: Relations


class Provider(ABC, Generic[S]):
    """Everything the engine knows of a kind. `honours_root` says whether `--root` works for it, `needs_linux` that no other kernel has
    what it sets.

    `reach` is what a step may change: no more than ITSELF, also what lies BELOW its paths, or ANYTHING. `reads_paths_only`: its state
    hangs on its paths alone. `tells_all`: a step that left the state as it was has done nothing.
    `is_one_by_one`: each step notes its undo and tells its outcome before the next begins. `unrelated` are attributes that `relate` makes
    nothing of, where they are another value on each host.
    """

    kind: ClassVar[str]
    spec: ClassVar[type]
    summary: ClassVar[str]
    honours_root: ClassVar[bool] = False
    needs_linux: ClassVar[bool] = False
    reach: ClassVar[str] = ANYTHING
    reads_paths_only: ClassVar[bool] = False
    tells_all: ClassVar[bool] = True
    is_one_by_one: ClassVar[bool] = False
    unrelated: ClassVar[FrozenSet[str]] = frozenset()

    @abstractmethod
    def observe(self, specs: Sequence[S], host: Host) -> Mapping[str, State]:
        """Give the state of each named thing, by name, in one pass; change nothing at all (not even atime-free metadata)."""

    @abstractmethod
    def diff(self, spec: S, state: State) -> Optional[Difference]:
        """Say what must be done, or None. Pure. After `apply`, `diff` of a new observation must be None."""

    @abstractmethod
    def apply(self, steps: Sequence[Step[S]], host: Host) -> Iterator[Outcome]:
        """Do the steps in order, as one batch where the kind can; every write goes through the Host, which journals it first."""

    @abstractmethod
    def relate(self, spec: S) -> Relations:
        """Give the automatic edges' tokens."""

    def foresee(self, spec: S, state: State, before: Sequence[Foreseen]) -> State:  # noqa: ARG002  few can tell
        """Give the state as it will be when what the plan does before, and what this hangs on, is done. Pure."""
        return state

    def note(self, spec: S, state: State) -> str:  # noqa: ARG002  most leave nothing out
        """Name what is left alone though the declaration could be read to mean it, whether or not something changes; usually nothing."""
        return ""

    def bound(self, spec: S) -> Sequence[Possible]:  # noqa: ARG002  kinds with parents need it
        """List every effect that this may need on a machine never observed (an upper bound, DESIGN §4)."""
        return (Possible("set"),)
