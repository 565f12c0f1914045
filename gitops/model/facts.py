"""Names of the facts that `when` may ask, of those that are only shown, and the custom ones that a program of the project tells.

A predicate maps fact names to the values that satisfy it: all facts must match, any value of a list does. It is kept in the
Graph and evaluated on the machine (`gitops.plan.condition`). All facts are texts there; a custom one has a type, which says how it is
spelt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Dict, Mapping, Tuple

from gitops.errors import MalformedError
from gitops.model.codec import MAX_INTEGER, Json, digest_json
from gitops.model.fields import Fields
from gitops.model.limits import DEFAULTS

FACTS: Mapping[str, str] = {
    "os.family": "family of the distribution: debian, redhat, arch, alpine, suse, darwin",
    "os.name": "ID of os-release: debian, ubuntu, fedora …; macos",
    "os.version": "VERSION_ID of os-release, as text; of macOS the ProductVersion",
    "os.codename": "VERSION_CODENAME of os-release, or empty",
    "arch": "machine architecture as the kernel names it: x86_64, aarch64 …",
    "kernel": "kernel name in lower case: linux, darwin",
    "init": "the first process: systemd, openrc, sysvinit, runit, launchd, unknown",
    "hostname": "the machine's own host name",
    "package_manager": "the tool that installs packages: apt, dnf, yum, zypper, pacman, apk, brew, or empty",
    "virtualisation": "what the machine runs on: none, kvm, vmware, virtualbox, hyperv, xen, other, a container's kind, empty on macOS",
}
OBSERVED: Mapping[str, str] = {
    "kernel.version": "release of the kernel, as it names it itself",
    "cpus": "number of processors",
    "memory": "memory in MiB, rounded down",
    "addresses": "network addresses, but loopback and link-local ones, sorted, with blanks between; empty on macOS",
}

Facts = Mapping[str, str]
When = Mapping[str, Tuple[str, ...]]

CUSTOM = "custom."
CUSTOM_PATTERN = r"^custom\.[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$"
CUSTOM_DOC = "a fact that a program of the project tells, declared in a Fact document; integers and booleans as text"
FACT_TYPES = ("string", "integer", "boolean")
FACT_SECONDS = 5
_UNPRINTABLE = r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"  # compiled when it is used: it costs 0.8 ms


@dataclass(frozen=True)
class FactProgram:
    """What a graph says of a custom fact: the program that tells it, by digest and size, the fact's type, and the seconds it may take."""

    blob: str
    size: int
    type: str = "string"
    timeout: int = FACT_SECONDS

    @cached_property
    def digest(self) -> str:
        """Digest of all of it: an answer counts only for the very declaration that it was given to."""
        return digest_json(self.to_json())

    def to_json(self) -> Dict[str, Json]:
        """Give `{program: {blob, size}, type, timeout}`."""
        return {"program": {"blob": self.blob, "size": self.size}, "type": self.type, "timeout": self.timeout}

    @staticmethod
    def from_json(value: Json) -> FactProgram:
        """Read and check it; the time is bounded here, whatever the config allowed."""
        fields = Fields(value, "custom fact")
        program = Fields(fields.raw("program"), "custom fact's program")
        found = FactProgram(
            program.digest("blob"),
            program.integer("size"),
            fields.choice("type", FACT_TYPES),
            fields.integer("timeout"),
        )
        program.done()
        fields.done()
        if not 1 <= found.timeout <= DEFAULTS.fact_seconds:
            raise MalformedError(f"custom fact: `timeout`: expected 1 to {DEFAULTS.fact_seconds}", code="M014")
        return found


@dataclass(frozen=True)
class Probe:
    """What came of asking for a custom fact: which declaration was asked (FactProgram.digest), and why it told no value (empty: it did)."""

    program: str
    trouble: str = ""

    def to_json(self) -> Dict[str, Json]:
        """Give `{program}`, and `trouble` when there was any."""
        return {"program": self.program, **({"trouble": self.trouble} if self.trouble else {})}

    @staticmethod
    def from_json(value: Json) -> Probe:
        """Read it."""
        fields = Fields(value, "probe")
        found = Probe(fields.digest("program"), fields.text("trouble", ""))
        fields.done()
        return found


def is_custom(name: str) -> bool:
    """Say whether a fact is told by a program of the project."""
    return name.startswith(CUSTOM)


def spell_fact(type_name: str, value: Json) -> str:
    """Give a value of a custom fact as text: integers shortest, booleans as true or false; raise ValueError for what does not fit."""
    if type_name == "boolean" and isinstance(value, bool):
        return "true" if value else "false"
    if type_name == "integer" and isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_INTEGER:
        return str(value)
    if type_name == "string" and isinstance(value, str):
        if re.search(_UNPRINTABLE, value):
            raise ValueError("holds a control character")
        if len(value) > DEFAULTS.fact_text:
            raise ValueError(f"is longer than {DEFAULTS.fact_text} characters")
        return value
    raise ValueError(f"is not {_NAMES[type_name]}")


_NAMES: Mapping[str, str] = {"string": "a string", "integer": "an integer", "boolean": "true or false"}
