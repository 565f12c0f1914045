"""Kernel modules: a file of /etc/modules-load.d each for the next boot, and loaded now.

With `--root` only the file is written. What is built into the kernel counts as loaded. `absent` removes the file and leaves the module
loaded until the next boot, since something may be using it.
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

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}\Z")
OUTPUT_SHOWN = 400
MODULES, NOT_TOLD = "/sys/module", "(cannot be read)"


@dataclass(frozen=True)
class KernelModuleSpec:
    """A kernel module."""

    name: str
    state: str = attribute("choice", "present or absent", default="present", choices=("present", "absent"))


class KernelModuleProvider(GeneratedProvider[KernelModuleSpec]):
    """See the module."""

    kind = "kernel_module"
    spec = KernelModuleSpec
    summary = "a kernel module, at boot and live"
    is_one_by_one = True
    needs_linux = True

    def find_mistake(self, spec: KernelModuleSpec) -> str:
        """Check the name."""
        return "" if NAME.match(spec.name) else f"{spec.name[:80]!r} is not a kernel module's name like `br_netfilter`"

    def make_file(self, spec: KernelModuleSpec) -> FileSpec:
        """The file that is read at boot."""
        path = f"/etc/modules-load.d/trueup-{spec.name}.conf"
        return FileSpec(path, (f"{MANAGED}{spec.name}\n",), mode="0644", state=spec.state)

    def show(self, spec: KernelModuleSpec) -> Json:
        """The module's name."""
        return spec.name

    def read_live(self, spec: KernelModuleSpec, host: Host) -> Json:
        """Whether it is loaded (`yes`, `no`), as the kernel shows it: with underscores; NOT_TOLD where it shows nothing."""
        found = host.inspect(f"{MODULES}/{spec.name.replace('-', '_')}").type
        if found == "unsafe" or host.inspect(MODULES).type != "directory":
            return NOT_TOLD
        return "yes" if found == "directory" else "no"

    def diff_live(self, spec: KernelModuleSpec, live: Json) -> Tuple[FieldChange, ...]:  # noqa: ARG002  loaded is loaded
        """It must be loaded."""
        return () if live == "yes" else (FieldChange(LIVE, live, "yes"),)

    def set_live(self, step: Step[KernelModuleSpec], host: Host) -> None:
        """By modprobe, and look that it is there."""
        if step.state[LIVE] == NOT_TOLD:
            host.note_undo((), "whether the module was loaded before was not known")
        else:
            host.note_undo(["modprobe", "-r", "--", step.spec.name])
        done = host.run(["modprobe", "--", step.spec.name])
        if done.status != 0 or self.read_live(step.spec, host) != "yes":
            words = done.output.strip()[-OUTPUT_SHOWN:] or "the kernel does not show it"
            raise HostError(f"modprobe {step.spec.name}: {words}", code="E151")
