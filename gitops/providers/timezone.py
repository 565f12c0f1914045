"""The machine's time zone: the link /etc/localtime, and /etc/timezone where there is one (Debian's older way).

The resource's name is the zone (`Europe/Berlin`, `UTC`); a machine has one. Programs that run already keep the old zone until they start
again: notify them. Works with `--root`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Dict, Iterator, List, Mapping, Optional, Sequence

from gitops.model.address import make_address
from gitops.model.observation import State
from gitops.model.plan import Difference, FieldChange
from gitops.model.report import Outcome
from gitops.providers.base import Possible, Provider, Relations, Step
from gitops.providers.file import FileProvider, FileSpec
from gitops.providers.host import Host
from gitops.providers.obstacles import find_obstacle_of
from gitops.providers.symlink import SymlinkProvider, SymlinkSpec

FILES, LINKS = FileProvider(), SymlinkProvider()
LINK, TEXT, ZONES = "/etc/localtime", "/etc/timezone", "/usr/share/zoneinfo"
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]{0,30}(/[A-Za-z0-9][A-Za-z0-9_+-]{0,30}){0,2}\Z")
MISSING = "there is no such zone here yet: this fails if nothing before it brings one"


@dataclass(frozen=True)
class TimezoneSpec:
    """The machine's time zone."""

    name: str

    @property
    def zone(self) -> str:
        """The zone's file."""
        return f"{ZONES}/{self.name}"

    @property
    def link(self) -> SymlinkSpec:
        """What says which zone it is."""
        return SymlinkSpec(LINK, self.zone)

    @property
    def text(self) -> FileSpec:
        """What says it again."""
        return FileSpec(TEXT, (f"{self.name}\n",))


class TimezoneProvider(Provider[TimezoneSpec]):
    """See the module."""

    kind = "timezone"
    spec = TimezoneSpec
    summary = "the machine's time zone"
    needs_linux = True
    honours_root = True

    def observe(self, specs: Sequence[TimezoneSpec], host: Host) -> Mapping[str, State]:
        """State: of the link; of the text, when there is one; whether the zone is known here."""
        states: Dict[str, State] = {}
        for spec in specs:
            if find_mistake(spec):
                states[spec.name] = {}
                continue
            link = dict(LINKS.observe([spec.link], host)[LINK])
            text = dict(FILES.observe([spec.text], host)[TEXT])
            is_known = host.inspect(spec.zone).type in ("file", "symlink")
            states[spec.name] = {"link": link, "text": text, "known": is_known}
        return states

    def diff(self, spec: TimezoneSpec, state: State) -> Optional[Difference]:
        """Compare the link, written either way, and the text where there is one."""
        mistake = find_mistake(spec)
        if mistake:
            return Difference("refused", reason=mistake)
        parts = _compare_parts(spec, state)
        if not parts:
            return None
        refused = next((f"{path}: {part.reason}" for path, part in parts.items() if part.action == "refused"), "")
        if refused:
            return Difference("refused", reason=refused)
        link = _part(state, "link")
        before = (
            None if link.get("type") == "absent" else _zone_of(link) if link.get("type") == "symlink" else f"a {link.get('type')}"
        )
        first = parts.get(LINK)
        fields = (FieldChange("zone", before, spec.name),) if first else (FieldChange(TEXT, "another", spec.name),)
        found = Difference(first.action if first else "update", fields, first.reason if first else "")
        if first is not None:
            found = replace(found, implied=first.implied)
        found = replace(found, obstacle=find_obstacle_of(parts.items()))
        return found if state.get("known") else replace(found, reason=MISSING, confidence="conditional")

    def apply(self, steps: Sequence[Step[TimezoneSpec]], host: Host) -> Iterator[Outcome]:
        """Make the link beside its place and rename it over, then the text; only to a zone that is there."""
        for step in steps:
            if host.inspect(step.spec.zone).type not in ("file", "symlink"):
                reason = f"there is no zone {step.spec.name} on this machine: the package tzdata brings them"
                yield Outcome(step.address, step.action, "failed", reason)
                continue
            reasons: List[str] = []
            for path, part in _compare_parts(step.spec, step.state).items():
                outcomes = (
                    LINKS.apply(
                        [Step(make_address("symlink", path), part.action, step.spec.link, _part(step.state, "link"), part)], host
                    )
                    if path == LINK
                    else FILES.apply(
                        [Step(make_address("file", path), part.action, step.spec.text, _part(step.state, "text"), part)], host
                    )
                )
                reasons.extend(item.message for item in outcomes if item.result != "changed")
            yield Outcome(step.address, step.action, "failed" if reasons else "changed", "; ".join(reasons))

    def relate(self, spec: TimezoneSpec) -> Relations:
        """After the package that brings the zones."""
        if find_mistake(spec):
            return Relations()
        wants = ("path:/etc", "package:tzdata", f"path:{spec.zone}")
        return Relations((f"path:{LINK}",), wants, (LINK, TEXT))

    def bound(self, spec: TimezoneSpec) -> Sequence[Possible]:  # noqa: ARG002  the same for all
        """At most: set or replace it."""
        return (Possible("set"), Possible("replace"))


def find_mistake(spec: TimezoneSpec) -> str:
    """Say what of a Spec cannot be meant; empty when nothing."""
    return "" if NAME.match(spec.name) else f"{spec.name[:80]!r} is not a time zone like `Europe/Berlin` or `UTC`"


def _part(state: State, name: str) -> State:
    found = state.get(name)
    return found if isinstance(found, dict) else {"type": "absent"}


def _zone_of(link: State) -> str:
    """Give the zone that a link names, whether its target is absolute or not."""
    target = str(link.get("target") or "")
    target = target[2:] if target.startswith("../") else target
    return target[len(ZONES) + 1 :] if target.startswith(f"{ZONES}/") else target


def _compare_parts(spec: TimezoneSpec, state: State) -> Dict[str, Difference]:
    link, text = _part(state, "link"), _part(state, "text")
    found = {
        LINK: None if _zone_of(link) == spec.name else LINKS.diff(spec.link, link),
        TEXT: FILES.diff(spec.text, text) if text.get("type") == "file" else None,
    }
    return {path: part for path, part in found.items() if part is not None}
