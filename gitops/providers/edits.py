"""What all kinds do alike that write a part of a file which others write too: look, compare, fold the edits of a file into one write.

An edit takes the file's whole text and gives a whole text (`gitops.model.textedit`). Only regular files of UTF-8 text are edited, links
are never followed, and owner, mode and attributes stay. A state says what was looked for (`asked`, a digest) and how it was found,
never a line of the host's; of what was not looked for, the plan is conditional.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, TypeVar

from gitops.errors import HostError, TrueupError
from gitops.model.codec import Json, digest_json
from gitops.model.observation import State
from gitops.model.plan import Difference, FieldChange
from gitops.model.report import Outcome
from gitops.model.textedit import LineEdit, count_line, put_line, take_line
from gitops.providers.base import BELOW, Possible, Provider, Relations, Step
from gitops.providers.host import FileWrite, Host, Metadata
from gitops.providers.obstacles import describe_holds, describe_names, meet
from gitops.providers.steps import bound_parents, describe_failure, imply_parents, type_of

S = TypeVar("S")

UNREADABLE = ("\0", "\ufffd")
WORDS = {
    "symlink": "a link is there, and links are not followed; name the file that it leads to",
    "directory": "a directory is there, not a file",
    "other": "a device, socket or pipe is there, not a file",
}


@dataclass(frozen=True)
class Place:
    """Where a Spec's part is: the file, what is looked for in it, and whether it is to go.

    `mistake` is why the Spec cannot be; `metadata` are owner and mode that the file must have, when the kind says so.
    """

    path: str
    sought: Json
    is_absent: bool = False
    validate: Tuple[str, ...] = ()
    mistake: str = ""
    metadata: Metadata = Metadata()

    @property
    def asked(self) -> str:
        """The digest of what is looked for."""
        return digest_json({"path": self.path, "sought": self.sought})


class EditProvider(Provider[S]):
    """A kind whose things are parts of files."""

    honours_root = True
    reach = BELOW

    @abstractmethod
    def locate(self, spec: S) -> Place:
        """Say where the part is."""

    @abstractmethod
    def look(self, spec: S, text: str) -> Dict[str, Json]:
        """Say how the part is found in the file's text; raise MalformedError when nothing can be said. `there` and `right` decide."""

    @abstractmethod
    def edit(self, spec: S, text: str) -> str:
        """Give the text with the part as declared (or without it)."""

    @abstractmethod
    def is_right(self, spec: S, state: State) -> bool:
        """Say whether a part that is looked at is as declared."""

    @abstractmethod
    def describe(self, spec: S, state: State) -> FieldChange:
        """Give the change for people."""

    def observe(self, specs: Sequence[S], host: Host) -> Mapping[str, State]:
        """State: type, parents, asked, there, and what the kind looks for; each file is read once."""
        texts: Dict[str, Tuple[Dict[str, Json], str]] = {}
        states: Dict[str, State] = {}
        for spec in specs:
            place, name = self.locate(spec), str(getattr(spec, "name"))  # noqa: B009  every Spec's first field
            if place.mistake:
                states[name] = {"type": "absent", "parents": [], "asked": place.asked}
                continue
            if place.path not in texts:
                texts[place.path] = _read(place.path, host)
            known, text = texts[place.path]
            state = {**known, "asked": place.asked}
            if type_of(state) == "file":
                try:
                    state.update(self.look(spec, text))
                except TrueupError as error:
                    state = {"type": "unsafe", "reason": error.message, "asked": place.asked}
            states[name] = state
        return states

    def diff(self, spec: S, state: State) -> Optional[Difference]:
        """Compare the part; what is there in place of a file is refused."""
        place, found = self.locate(spec), type_of(state)
        if place.mistake:
            return Difference("refused", reason=place.mistake)
        if state.get("asked") != place.asked:
            reason = "the host was not asked for this yet"
            if place.is_absent:
                return Difference("remove", reason=reason, confidence="conditional")
            return Difference("update", (self.describe(spec, {}),), reason, "conditional")
        if found not in ("absent", "file"):
            return Difference("refused", reason=str(state.get("reason") or WORDS[str(found)]))
        if found == "file" and not place.is_absent and self.is_right(spec, state):
            return None
        return meet(self._compare(spec, state), state, place=place.path)

    def _compare(self, spec: S, state: State) -> Optional[Difference]:
        names = describe_names(state, is_split=True)
        if self.locate(spec).is_absent:
            return Difference("remove", reason=names) if state.get("there") else None
        fields = (self.describe(spec, state),)
        if type_of(state) == "absent":
            return Difference("create", fields, "the file is made", implied=imply_parents(state))
        return Difference("update" if state.get("there") else "create", fields, names)

    def apply(self, steps: Sequence[Step[S]], host: Host) -> Iterator[Outcome]:
        """Fold the edits of each file into one write (one for each command that must accept it), from its text as it is now."""
        rounds: Dict[Tuple[str, ...], List[Step[S]]] = {}
        for step in steps:
            rounds.setdefault(self.locate(step.spec).validate, []).append(step)
        for validate, members in rounds.items():
            yield from self._apply_round(members, validate, host)

    def relate(self, spec: S) -> Relations:
        """A part comes after its file's folder, and before whatever wants the file; nobody owns the file."""
        place = self.locate(spec)
        if place.mistake:
            return Relations()
        path = place.path
        return Relations((f"path:{path}",), (f"path:{path.rpartition('/')[0] or '/'}",), edits=(path,))

    def bound(self, spec: S) -> Sequence[Possible]:
        """At most: set it and make every parent, or remove it."""
        place = self.locate(spec)
        if place.is_absent:
            return (Possible("remove"),)
        return (Possible("set"), *(Possible("set", parent) for parent in bound_parents(place.path)))

    def _apply_round(self, steps: Sequence[Step[S]], validate: Tuple[str, ...], host: Host) -> Iterator[Outcome]:
        paths = sorted({self.locate(step.spec).path for step in steps})
        failures = dict(host.prepare(paths))
        texts: Dict[str, str] = {}
        for path in paths:
            if path not in failures:
                known, texts[path] = _read(path, host)
                if known["type"] not in ("absent", "file"):
                    failures[path] = str(known.get("reason") or WORDS[str(known["type"])])
        edited = dict(texts)
        broken: Dict[str, str] = {}
        for step in steps:
            path = self.locate(step.spec).path
            if path not in failures:
                try:
                    edited[path] = self.edit(step.spec, edited[path])
                except TrueupError as error:
                    broken[step.address] = error.message
        metadata = {self.locate(step.spec).path: self.locate(step.spec).metadata for step in steps}
        due = [path for path in paths if path not in failures and (edited[path] != texts[path] or metadata[path] != Metadata())]
        writes = [FileWrite(path, edited[path], metadata[path], validate) for path in due]
        failures.update(host.write_files(writes))
        for step in steps:
            reason = broken.get(step.address) or failures.get(self.locate(step.spec).path, "")
            yield Outcome(step.address, step.action, "failed" if reason else "changed", reason)


class LineEditProvider(EditProvider[S]):
    """A kind whose things are single lines of files."""

    @abstractmethod
    def line_of(self, spec: S) -> LineEdit:
        """Give the line, and what it takes the place of."""

    def look(self, spec: S, text: str) -> Dict[str, Json]:
        """Count the lines that are meant, and those that are the line."""
        meant, exact = count_line(text, self.line_of(spec))
        return {"there": meant > 0, "meant": meant, "exact": exact}

    def is_right(self, spec: S, state: State) -> bool:
        """It is there, and alone where it takes the place of others."""
        return state["exact"] != 0 and (not self.line_of(spec).is_single or state["meant"] == 1)

    def edit(self, spec: S, text: str) -> str:
        """Put it in or take it out."""
        edit = self.line_of(spec)
        return take_line(text, edit) if self.locate(spec).is_absent else put_line(text, edit)

    def describe(self, spec: S, state: State) -> FieldChange:
        """The line; of what it takes the place of only how many lines they are."""
        meant = state.get("meant")
        words = None if not meant else "another line" if meant == 1 else f"{meant} lines"
        return FieldChange("content", words, self.line_of(spec).text)


def _read(path: str, host: Host) -> Tuple[Dict[str, Json], str]:
    """Give type and parents (or the reason why it cannot be edited), and the text."""
    found = host.inspect(path)
    if found.type != "file":
        if found.type == "absent":
            return {"type": "absent", "parents": list(found.parents), **describe_holds(found)}, ""
        return ({"type": "unsafe", "reason": found.reason} if found.type == "unsafe" else {"type": found.type}), ""
    try:
        text = host.read_text(path)
    except (HostError, OSError) as error:
        return {"type": "unsafe", "reason": f"it cannot be read: {describe_failure(error)}"}, ""
    if any(mark in text for mark in UNREADABLE):
        return {"type": "unsafe", "reason": "it is not text in UTF-8, so no part of it can be edited"}, ""
    return {"type": "file", "mode": found.mode, "owner": found.owner, **describe_holds(found)}, text
