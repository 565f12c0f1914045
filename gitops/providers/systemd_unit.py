"""Unit files of systemd: a file of /etc/systemd/system each, told to systemd when it changed.

The name is the unit's with its type (`app.service`, `backup.timer`); declare `service: app` to start or enable it, and notify it from here.
`validate` judges the file before it is in its place. systemd is told once for all units of a batch, on the running machine only; a unit
that systemd then cannot load is told as failed. A name below a unit's folder of drop-ins (`nginx.service.d/limits.conf`) is a drop-in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Dict, Iterator, Optional, Sequence, Tuple

from gitops.model.attribute import attribute
from gitops.model.report import Outcome
from gitops.providers.base import Relations, Step
from gitops.providers.file import NEW_MODE, PRIVATE_MODE, FileSpec
from gitops.providers.generated import GeneratedProvider
from gitops.providers.host import Host
from gitops.providers.services.systemd import BOOTED, CONFIGURED, RELOAD, read_files_again

TYPES = "service|socket|timer|path|mount|automount|swap|target|slice"
NAME = re.compile(rf"[A-Za-z0-9:_][A-Za-z0-9:_.\\@-]{{0,199}}\.({TYPES})(\.d/[A-Za-z0-9_][A-Za-z0-9_.-]{{0,99}}\.conf)?\Z")
BROKEN = ("error", "bad-setting")


@dataclass(frozen=True)
class SystemdUnitSpec:
    """A unit file."""

    name: str
    content: Any = attribute("content", "what is in it; instead `source` (a file of the project) or `template` (Jinja2)")
    mode: Optional[str] = attribute("mode", "permissions; 0644, or 0600 when a secret is in it")
    validate: Optional[Tuple[str, ...]] = attribute("argv", "a command that must accept the new file; `{path}` stands for it")
    state: str = attribute("choice", "present or absent", default="present", choices=("present", "absent"))

    @property
    def is_secret(self) -> bool:
        """Whether the content must not be seen."""
        return FileSpec("", self.content).is_secret


class SystemdUnitProvider(GeneratedProvider[SystemdUnitSpec]):
    """See the module."""

    kind = "systemd_unit"
    spec = SystemdUnitSpec
    summary = "a unit file of systemd"
    needs_linux = True

    def find_mistake(self, spec: SystemdUnitSpec) -> str:
        """Check the name, and that there is a content."""
        if not NAME.match(spec.name):
            return f"{spec.name[:80]!r} is not a unit's name with its type, like `app.service`"
        if spec.state == "present" and not spec.content:
            return "`content` is missing; instead `source` or `template`"
        return ""

    def make_file(self, spec: SystemdUnitSpec) -> FileSpec:
        """The unit file."""
        mode = spec.mode or (PRIVATE_MODE if spec.is_secret else NEW_MODE)
        return FileSpec(f"{CONFIGURED}/{spec.name}", spec.content, mode=mode, validate=spec.validate, state=spec.state)

    def apply(self, steps: Sequence[Step[SystemdUnitSpec]], host: Host) -> Iterator[Outcome]:
        """Write, tell systemd, and ask it whether it can load what was written."""
        is_booted = host.is_live and host.inspect(BOOTED).type == "directory"
        if is_booted:
            host.note_undo(list(RELOAD))  # the oldest entry, so the last to be undone: the files are back by then
        outcomes = list(super().apply(steps, host))
        done = {outcome.address for outcome in outcomes if outcome.result == "changed"}
        troubles = _find_troubles([step for step in steps if step.address in done], host) if is_booted else {}
        for outcome in outcomes:
            trouble = troubles.get(outcome.address, "") if outcome.result == "changed" else ""
            yield Outcome(outcome.address, outcome.action, "failed", trouble) if trouble else outcome

    def relate(self, spec: SystemdUnitSpec) -> Relations:
        """A drop-in, too, comes before whatever wants the unit's file."""
        found = super().relate(spec)
        unit, is_dropin, _ = spec.name.partition(".d/")
        return replace(found, provides=(*found.provides, f"path:{CONFIGURED}/{unit}")) if is_dropin and found.owns else found


def _find_troubles(steps: Sequence[Step[SystemdUnitSpec]], host: Host) -> Dict[str, str]:
    """Let systemd read its files again when one is another, and give what it then cannot load; templates are loaded by nobody."""
    if any(step.action != "update" or any(field.name == "content" for field in step.difference.fields) for step in steps):
        read_files_again(host)
    found: Dict[str, str] = {}
    for step in steps:
        unit = step.spec.name.partition(".d/")[0]
        if step.action == "remove" or "@." in unit:
            continue
        done = host.run(["systemctl", "show", "--no-pager", "--property=LoadState", "--value", "--", unit])
        loaded = done.output.strip()
        if done.status != 0 or not loaded:
            found[step.address] = f"systemd does not tell whether it can load {unit} (status {done.status}); look at it yourself"
        elif loaded in BROKEN:
            found[step.address] = f"systemd cannot load {unit}: {loaded}; see `systemctl status {unit}`"
    return found
