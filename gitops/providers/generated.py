"""What all kinds do alike that own one whole small file, made from their attributes, and perhaps set something live beside it.

The file is a `file` in everything: compared by digest, replaced at once, undone, refused where a directory is. The live part is looked
at and set only on the running machine (never with `--root`), after the file, and the undo of it is noted first.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Dict, Iterator, Mapping, Optional, Sequence, Tuple, TypeVar

from gitops.errors import TrueupError
from gitops.model.address import make_address
from gitops.model.codec import Json
from gitops.model.observation import State
from gitops.model.plan import Difference, FieldChange
from gitops.model.report import Outcome
from gitops.providers.base import Possible, Provider, Relations, Step
from gitops.providers.file import FileProvider, FileSpec
from gitops.providers.host import Host
from gitops.providers.steps import describe_failure

S = TypeVar("S")

FILES = FileProvider()
LIVE = "live"
MANAGED = "# Managed by trueup; changes made here are put back.\n"


class GeneratedProvider(Provider[S]):
    """A kind whose things are whole files."""

    honours_root = True

    @abstractmethod
    def find_mistake(self, spec: S) -> str:
        """Say what of a Spec cannot be meant; empty when nothing."""

    @abstractmethod
    def make_file(self, spec: S) -> FileSpec:
        """Give the file of a Spec without mistakes."""

    def show(self, spec: S) -> Json:  # noqa: ARG002  for those that have something short
        """Give the content in words for a plan's line, None for its digest and size."""
        return None

    def read_live(self, spec: S, host: Host) -> Json:  # noqa: ARG002  most have nothing live
        """Give what is live on the running machine, None when nothing can be said."""
        return None

    def diff_live(self, spec: S, live: Json) -> Tuple[FieldChange, ...]:  # noqa: ARG002  most have nothing live
        """Say what must be set live."""
        return ()

    def set_live(self, step: Step[S], host: Host) -> None:
        """Set what is live, its undo noted first."""

    def observe(self, specs: Sequence[S], host: Host) -> Mapping[str, State]:
        """State: that of a file; `live` on a running machine."""
        states: Dict[str, State] = {}
        for spec in specs:
            name = str(getattr(spec, "name"))  # noqa: B009  every Spec's first field
            if self.find_mistake(spec):
                states[name] = {"type": "absent"}
                continue
            file = self.make_file(spec)
            state = dict(FILES.observe([file], host)[file.path])
            live = self.read_live(spec, host) if host.is_live else None
            states[name] = state if live is None else {**state, LIVE: live}
        return states

    def diff(self, spec: S, state: State) -> Optional[Difference]:
        """Compare the file, and what is live."""
        mistake = self.find_mistake(spec)
        if mistake:
            return Difference("refused", reason=mistake)
        file = self.make_file(spec)
        found = FILES.diff(file, state)
        if file.state == "absent" or (found is not None and found.action == "refused"):
            return found
        live = self.diff_live(spec, state[LIVE]) if LIVE in state else ()
        if found is None:
            return Difference("update", live) if live else None
        return replace(found, fields=(*(self._show_content(spec, item) for item in found.fields), *live))

    def apply(self, steps: Sequence[Step[S]], host: Host) -> Iterator[Outcome]:
        """Write the files as one batch, then set what is live for those that have their file."""
        files = [self._make_step(step) for step in steps if _touches_file(step)]
        done = {outcome.address: outcome for outcome in FILES.apply(files, host)}
        for step in steps:
            written = done.get(make_address("file", self.make_file(step.spec).path))
            if written is not None and written.result != "changed":
                yield Outcome(step.address, step.action, written.result, written.message)
            elif any(item.name == LIVE for item in step.difference.fields):
                yield self._set_live(step, host)
            else:
                yield Outcome(step.address, step.action, "changed")

    def relate(self, spec: S) -> Relations:
        """As its file: after the folder and the owner."""
        return Relations() if self.find_mistake(spec) else FILES.relate(self.make_file(spec))

    def bound(self, spec: S) -> Sequence[Possible]:
        """As its file."""
        return (Possible("set"),) if self.find_mistake(spec) else FILES.bound(self.make_file(spec))

    def _show_content(self, spec: S, change: FieldChange) -> FieldChange:
        shown = self.show(spec) if change.name == "content" else None
        return change if shown is None else replace(change, after=shown)

    def _make_step(self, step: Step[S]) -> Step[FileSpec]:
        file = self.make_file(step.spec)
        return Step(make_address("file", file.path), step.action, file, step.state, step.difference)

    def _set_live(self, step: Step[S], host: Host) -> Outcome:
        try:
            self.set_live(step, host)
        except (TrueupError, OSError) as error:
            return Outcome(step.address, step.action, "failed", describe_failure(error))
        return Outcome(step.address, step.action, "changed")


def _touches_file(step: Step[S]) -> bool:
    return step.action != "update" or any(item.name != LIVE for item in step.difference.fields)
