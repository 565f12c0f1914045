"""Names of an address in /etc/hosts: one line each, all others stay.

The name is the address; its line has exactly the declared names, in their order, and other lines of the same address go. What other
addresses say of these names is left alone: the first line of a name wins when it is looked up.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Tuple

from gitops.model.attribute import attribute
from gitops.model.codec import Json
from gitops.model.textedit import LineEdit
from gitops.providers.edits import LineEditProvider, Place

FILE = "/etc/hosts"
BYTE = r"(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
ADDRESS = re.compile(rf"({BYTE}\.){{3}}{BYTE}\Z|(?=[0-9a-f:]*:[0-9a-f:]*:)[0-9a-f:]{{2,39}}\Z")
HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?\Z")


@dataclass(frozen=True)
class HostEntrySpec:
    """The names of an address."""

    name: str
    names: Tuple[str, ...] = attribute("texts", "its names, the canonical one first", is_required=True)
    state: str = attribute("choice", "present or absent", default="present", choices=("present", "absent"))


class HostEntryProvider(LineEditProvider[HostEntrySpec]):
    """See the module."""

    kind = "host_entry"
    spec = HostEntrySpec
    summary = "names of an address in /etc/hosts"
    reads_paths_only = True

    def locate(self, spec: HostEntrySpec) -> Place:
        """In /etc/hosts, looked for by the address."""
        sought: Json = self.line_of(spec).text
        return Place(FILE, sought, spec.state == "absent", mistake=find_mistake(spec))

    def line_of(self, spec: HostEntrySpec) -> LineEdit:
        """The address's only line."""
        return LineEdit("\t".join((spec.name, " ".join(spec.names))), first_word=spec.name)


def find_mistake(spec: HostEntrySpec) -> str:
    """Say what of a Spec cannot be meant; empty when nothing."""
    if not ADDRESS.match(spec.name):
        return f"{spec.name[:80]!r} is not an address like 192.0.2.5 or 2001:db8::5 (in small letters)"
    if not spec.names:
        return "`names` is empty"
    for name in spec.names:
        if not HOST_NAME.match(name):
            return f"`names`: {name[:80]!r} is not a host's name"
    return ""
