"""The machine's name: /etc/hostname for the next boot, and the running kernel's.

The resource's name is the machine's name; a machine has one. /etc/hosts is not touched: declare a `host_entry` for it. With `--root` only
the file is written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Tuple

from gitops.errors import HostError
from gitops.model.codec import Json
from gitops.model.plan import FieldChange
from gitops.providers.base import Step
from gitops.providers.file import FileSpec
from gitops.providers.generated import LIVE, GeneratedProvider
from gitops.providers.host import Host

FILE, KERNEL = "/etc/hostname", "/proc/sys/kernel/hostname"
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*\Z")
LONGEST = 64  # HOST_NAME_MAX
OUTPUT_SHOWN = 400
NOT_TOLD = "(cannot be read)"


@dataclass(frozen=True)
class HostnameSpec:
    """The machine's name."""

    name: str


class HostnameProvider(GeneratedProvider[HostnameSpec]):
    """See the module."""

    kind = "hostname"
    spec = HostnameSpec
    summary = "the machine's name, at boot and live"
    is_one_by_one = True
    needs_linux = True

    def find_mistake(self, spec: HostnameSpec) -> str:
        """Check the name (RFC 1123), and what the kernel can hold."""
        if len(spec.name) > LONGEST or not NAME.match(spec.name):
            return f"{spec.name[:80]!r} is no machine's name: small letters, digits and `-`, with dots between, at most {LONGEST}"
        return ""

    def make_file(self, spec: HostnameSpec) -> FileSpec:
        """The file that is read at boot."""
        return FileSpec(FILE, (f"{spec.name}\n",), mode="0644")

    def show(self, spec: HostnameSpec) -> Json:
        """The name."""
        return spec.name

    def read_live(self, spec: HostnameSpec, host: Host) -> Json:  # noqa: ARG002  there is one
        """The running kernel's name, which may be empty; None where there is no such thing, NOT_TOLD where it cannot be read."""
        if host.inspect(KERNEL).type == "absent":
            return None
        try:
            return host.read_text(KERNEL).strip()
        except (HostError, OSError):
            return NOT_TOLD

    def diff_live(self, spec: HostnameSpec, live: Json) -> Tuple[FieldChange, ...]:
        """It must be the same."""
        return () if live == spec.name else (FieldChange(LIVE, live, spec.name),)

    def set_live(self, step: Step[HostnameSpec], host: Host) -> None:
        """By hostname(1), and look that the kernel took it."""
        before = str(step.state[LIVE])
        is_known = before not in ("", NOT_TOLD)
        host.note_undo(["hostname", "--", before] if is_known else (), "the kernel had no name that could be given back")
        done = host.run(["hostname", "--", step.spec.name])
        live = self.read_live(step.spec, host)
        if done.status != 0 or live != step.spec.name:
            words = done.output.strip()[-OUTPUT_SHOWN:] or f"the kernel calls itself {live}"
            raise HostError(f"hostname {step.spec.name}: {words}", code="E308")
