"""Symbolic links. The link itself is read and written, never followed; its target is kept as written and may dangle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, Mapping, Optional, Sequence

from gitops.model.attribute import attribute
from gitops.model.observation import State
from gitops.model.plan import Difference, FieldChange
from gitops.model.report import Outcome
from gitops.providers.base import BELOW, Possible, Provider, Relations, Step
from gitops.providers.file import describe_path
from gitops.providers.host import Host
from gitops.providers.obstacles import meet
from gitops.providers.services.systemd import is_mask
from gitops.providers.steps import bound_parents, do_each, imply_parents, type_of


@dataclass(frozen=True)
class SymlinkSpec:
    """A symbolic link."""

    path: str
    target: Optional[str] = attribute("text", "where it points, kept as written")
    state: str = attribute("choice", "present or absent", default="present", choices=("present", "absent"))


class SymlinkProvider(Provider[SymlinkSpec]):
    """See the module."""

    kind = "symlink"
    spec = SymlinkSpec
    summary = "a symbolic link"
    honours_root = True
    reach = BELOW
    reads_paths_only = True

    def observe(self, specs: Sequence[SymlinkSpec], host: Host) -> Mapping[str, State]:
        """State: type, target, parents."""
        return {spec.path: describe_path(host.inspect(spec.path)) for spec in specs}

    def diff(self, spec: SymlinkSpec, state: State) -> Optional[Difference]:
        """A file in its place is replaced; a directory is refused."""
        return meet(self._compare(spec, state), state)

    @staticmethod
    def _compare(spec: SymlinkSpec, state: State) -> Optional[Difference]:
        found = type_of(state)
        if found in ("directory", "other", "unsafe"):
            reason = str(state.get("reason") or "a directory is there; remove it yourself or manage it as a directory")
            return Difference("refused", reason=reason)
        if spec.state == "absent":
            return None if found == "absent" else Difference("remove")
        if not spec.target:
            return Difference("refused", reason="`target` is missing")
        change = FieldChange("target", state.get("target"), spec.target)
        if found == "absent":
            return Difference("create", (change,), implied=imply_parents(state))
        if found == "file":
            return Difference("replace", (change,), reason="a file is there")
        return None if state.get("target") == spec.target else Difference("update", (change,))

    def apply(self, steps: Sequence[Step[SymlinkSpec]], host: Host) -> Iterator[Outcome]:
        """Make each link beside its place and rename it over: never a moment without one."""
        failures = host.prepare([step.spec.path for step in steps])
        yield from do_each(steps, lambda step: self._do(step, host), failures)

    def relate(self, spec: SymlinkSpec) -> Relations:
        """A link comes after its parent directory; one that masks a unit, after what stops that unit."""
        parent = spec.path.rpartition("/")[0] or "/"
        is_absent = spec.state == "absent"
        hides = not is_absent and is_mask(spec.path, spec.target or "")
        return Relations((f"path:{spec.path}",), (f"path:{parent}",), (spec.path,), is_absent, is_mask=hides)

    def bound(self, spec: SymlinkSpec) -> Sequence[Possible]:
        """At most: set or replace it, and make every parent."""
        if spec.state == "absent":
            return (Possible("remove"),)
        return (Possible("set"), Possible("replace"), *(Possible("set", parent) for parent in bound_parents(spec.path)))

    @staticmethod
    def _do(step: Step[SymlinkSpec], host: Host) -> None:
        if step.action == "remove":
            host.remove(step.spec.path)
        else:
            host.make_symlink(step.spec.path, step.spec.target or "")
