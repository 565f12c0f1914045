"""Kernel parameters: a file of /etc/sysctl.d each, and the value of the running kernel.

The file is `90-trueup-NAME.conf`; files that sort later win at boot. The live value is read and set where the machine is the running one;
with `--root` only the file is written. `absent` removes the file and leaves the live value until the next boot. Names are written with dots
(`net.ipv4.ip_forward`), or with slashes where a part has a dot itself (`net/ipv4/conf/eth0.100/forwarding`), as sysctl(8) has it.

Numbers may be written in any way that the kernel reads (`0x1`, `9148,8080`): they are the same when they mean the same. A parameter that
this kernel does not have makes the plan conditional, and what is not there after the steps before it is a failure, not a change.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import List, Optional, Tuple

from gitops.errors import HostError
from gitops.model.attribute import attribute
from gitops.model.codec import Json
from gitops.model.observation import State
from gitops.model.plan import Difference, FieldChange
from gitops.providers.base import Step
from gitops.providers.file import FileSpec
from gitops.providers.generated import LIVE, MANAGED, GeneratedProvider
from gitops.providers.host import Host

NAME = re.compile(r"[a-z][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+){1,8}\Z")
SLASHED = re.compile(r"[a-z][A-Za-z0-9_-]*(/[A-Za-z0-9_-][A-Za-z0-9_.@-]*){1,8}\Z")
NUMBER = re.compile(r"(-?)(0[xX][0-9a-fA-F]{1,16}|[0-9]{1,20})\Z")
VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]{1,500}\Z")
OUTPUT_SHOWN = 400
INTERFACE_PARTS = 5  # net, ipv4, conf, the interface, the parameter
MISSING, UNTOLD, SECRET = "missing", "untold", "secret"
REASONS = {
    MISSING: "this kernel has no such parameter (yet): this fails if nothing before it, such as a `kernel_module`, brings it",
    UNTOLD: "the kernel does not tell its value now, so it is set and then looked at",
    SECRET: "it is no parameter with a value that can be read (a folder of parameters, or one to be written only: use a `command`)",
}


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
    is_one_by_one = True
    needs_linux = True

    def find_mistake(self, spec: SysctlSpec) -> str:
        """Check name and value."""
        if not NAME.match(spec.name) and not SLASHED.match(spec.name):
            return (
                f"{spec.name[:80]!r} is not a kernel parameter's name like `vm.swappiness` or `net/ipv4/conf/eth0.100/forwarding`"
            )
        if not VALUE.match(spec.value) or not spec.value.strip():
            return "`value` must be one line of at most 500 characters that is not empty"
        return ""

    def make_file(self, spec: SysctlSpec) -> FileSpec:
        """The file that is read at boot."""
        content = f"{MANAGED}{spec.name} = {_tidy(spec.value)}\n"
        return FileSpec(f"/etc/sysctl.d/90-trueup-{spec.name.replace('/', '.')}.conf", (content,), mode="0644", state=spec.state)

    def show(self, spec: SysctlSpec) -> Json:
        """The value."""
        return f"{spec.name} = {_tidy(spec.value)}"

    def read_live(self, spec: SysctlSpec, host: Host) -> Json:
        """The running kernel's value (which may be empty), or why there is none: `{"trouble": NAME OF A REASON}`."""
        path = _live_path(spec)
        found = host.inspect(path).type
        if found != "file":
            return {"trouble": MISSING if found == "absent" else SECRET}
        try:
            return _tidy(host.read_text(path))
        except PermissionError:
            return {"trouble": SECRET}
        except (HostError, OSError):
            return {"trouble": UNTOLD}

    def diff(self, spec: SysctlSpec, state: State) -> Optional[Difference]:
        """As its file; what the kernel does not have, or does not tell, is said."""
        found, trouble = super().diff(spec, state), _trouble_of(state.get(LIVE))
        if found is None or found.action == "refused" or spec.state == "absent" or not trouble:
            return found
        if trouble == SECRET:
            return Difference("refused", reason=REASONS[trouble])
        reason = REASONS[trouble] + (_suggest_slashes(spec.name) if trouble == MISSING else "")
        return replace(found, reason=reason, confidence="conditional")

    def diff_live(self, spec: SysctlSpec, live: Json) -> Tuple[FieldChange, ...]:
        """Other blanks and other ways to write a number do not count."""
        if isinstance(live, str) and read_meaning(live) == read_meaning(spec.value):
            return ()
        return (FieldChange(LIVE, live if isinstance(live, str) else None, _tidy(spec.value)),)

    def set_live(self, step: Step[SysctlSpec], host: Host) -> None:
        """By sysctl, and look what the kernel says then."""
        name, wanted, before = step.spec.name, _tidy(step.spec.value), self.read_live(step.spec, host)
        if _trouble_of(before) == MISSING:
            raise HostError(
                f"this kernel has no parameter {name}: load the module that brings it first, or correct the name"
                f"{_suggest_slashes(name)}",
                code="E150",
            )
        if isinstance(before, str):
            host.note_undo(["sysctl", "-q", "-w", f"{name}={before}"])
        else:
            host.note_undo((), f"the kernel did not tell what {name} was before")
        done = host.run(["sysctl", "-q", "-w", f"{name}={wanted}"])
        live = self.read_live(step.spec, host)
        if done.status != 0 or self.diff_live(step.spec, live):
            says = (
                f"it says {live!r} now; if that is what you mean, declare it so"
                if isinstance(live, str)
                else "it does not tell its value"
            )
            raise HostError(
                f"the running kernel did not take {wanted}: {done.output.strip()[-OUTPUT_SHOWN:] or says}", code="E150"
            )


def read_meaning(value: str) -> Tuple[str, ...]:
    """Give what the kernel takes a value for: numbers as it reads them (hexadecimal, octal), lists of them sorted and in ranges."""
    return tuple(_read_word(word) for word in value.split())


def _read_word(word: str) -> str:
    if "," not in word and "-" not in word[1:]:
        number = _read_number(word)
        return word if number is None else str(number)
    spans: List[Tuple[int, int]] = []
    for part in word.split(","):
        first, _, last = part.partition("-")
        start, end = _read_number(first), _read_number(last or first)
        if start is None or end is None or not 0 <= start <= end:
            return word
        spans.append((start, end))
    merged: List[Tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return ",".join(str(start) if start == end else f"{start}-{end}" for start, end in merged)


def _read_number(text: str) -> Optional[int]:
    found = NUMBER.match(text)
    if found is None:
        return None
    digits = found.group(2)
    base = 16 if digits[:2] in ("0x", "0X") else 8 if digits.startswith("0") and len(digits) > 1 else 10
    try:
        value = int(digits, base)
    except ValueError:  # `08` is no number to the kernel either
        return None
    return -value if found.group(1) else value


def _suggest_slashes(name: str) -> str:
    """Tell the other way to write a name that has one part too many for those of an interface."""
    parts = name.split(".")
    is_too_long = len(parts) > INTERFACE_PARTS and parts[2] in ("conf", "neigh")
    return (
        "; an interface with a dot in its name is written with slashes: `net/ipv4/conf/eth0.100/forwarding`"
        if is_too_long
        else ""
    )


def _trouble_of(live: Json) -> str:
    return str(live.get("trouble", "")) if isinstance(live, dict) else ""


def _live_path(spec: SysctlSpec) -> str:
    return "/proc/sys/" + (spec.name if "/" in spec.name else spec.name.replace(".", "/"))


def _tidy(value: str) -> str:
    return " ".join(value.split())
