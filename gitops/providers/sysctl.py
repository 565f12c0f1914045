"""Kernel parameters: a file of /etc/sysctl.d each, and the value of the running kernel.

The file is `90-trueup-NAME.conf`; files that sort later win at boot. The live value is read and set where the kernel has the parameter
and the machine is the running one; with `--root` only the file is written. `absent` removes the file and leaves the live value until
the next boot. Names are written with dots (`net.ipv4.ip_forward`); interfaces with a dot in their name cannot be named.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Tuple

from gitops.errors import HostError
from gitops.model.attribute import attribute
from gitops.model.codec import Json
from gitops.model.plan import FieldChange
from gitops.providers.base import Step
from gitops.providers.file import FileSpec
from gitops.providers.generated import LIVE, MANAGED, GeneratedProvider
from gitops.providers.host import Host

NAME = re.compile(r"[a-z][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+){1,8}\Z")
VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]{1,500}\Z")
OUTPUT_SHOWN = 400


@dataclass(frozen=True)
class SysctlSpec:
    """A kernel parameter."""

    name: str
    value: str = attribute("text", "its value, quoted; several numbers with blanks between", is_required=True)
    state: str = attribute("choice", "present or absent", default="present", choices=("present", "absent"))


class SysctlProvider(GeneratedProvider[SysctlSpec]):
    """See the module."""

    kind = "sysctl"
    spec = SysctlSpec
    summary = "a kernel parameter, at boot and live"
    needs_linux = True

    def find_mistake(self, spec: SysctlSpec) -> str:
        """Check name and value."""
        if not NAME.match(spec.name):
            return f"{spec.name[:80]!r} is not a kernel parameter's name like `vm.swappiness`"
        if not VALUE.match(spec.value) or not spec.value.strip():
            return "`value` must be one line of at most 500 characters that is not empty"
        return ""

    def make_file(self, spec: SysctlSpec) -> FileSpec:
        """The file that is read at boot."""
        content = f"{MANAGED}{spec.name} = {_tidy(spec.value)}\n"
        return FileSpec(f"/etc/sysctl.d/90-trueup-{spec.name}.conf", (content,), mode="0644", state=spec.state)

    def show(self, spec: SysctlSpec) -> Json:
        """The value."""
        return f"{spec.name} = {_tidy(spec.value)}"

    def read_live(self, spec: SysctlSpec, host: Host) -> Json:
        """The running kernel's value; None where it has no such parameter, or does not tell."""
        try:
            return _tidy(host.read_text(_live_path(spec))) or None
        except (HostError, OSError):
            return None

    def diff_live(self, spec: SysctlSpec, live: Json) -> Tuple[FieldChange, ...]:
        """Blanks do not count."""
        wanted = _tidy(spec.value)
        return () if live == wanted else (FieldChange(LIVE, live, wanted),)

    def set_live(self, step: Step[SysctlSpec], host: Host) -> None:
        """By sysctl, and look that the kernel took it."""
        name, wanted = step.spec.name, _tidy(step.spec.value)
        host.note_undo(["sysctl", "-q", "-w", f"{name}={step.state[LIVE]}"])
        done = host.run(["sysctl", "-q", "-w", f"{name}={wanted}"])
        live = self.read_live(step.spec, host)
        if done.status != 0 or live != wanted:
            words = done.output.strip()[-OUTPUT_SHOWN:] or f"the kernel has {live} now"
            raise HostError(f"the running kernel did not take {wanted}: {words}", code="E150")


def _live_path(spec: SysctlSpec) -> str:
    return "/proc/sys/" + spec.name.replace(".", "/")


def _tidy(value: str) -> str:
    return " ".join(value.split())
