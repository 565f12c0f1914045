"""Scheduled commands: one file of /etc/cron.d each, that cron reads by itself.

The name is the file's, so it takes only what cron does not pass over: letters, digits, `_` and `-`. The schedule is five fields or a word
like `@daily`, checked with their bounds. The command is a line for `sh`, which gets it as it is written here: what is special to
cron itself (percent signs, backslashes before them) is escaped. Where no cron runs the file waits for one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Mapping, Tuple

from gitops.model.attribute import attribute
from gitops.model.codec import Json
from gitops.providers.base import ITSELF, Relations
from gitops.providers.file import FileSpec
from gitops.providers.generated import MANAGED, GeneratedProvider

NAME = re.compile(r"[A-Za-z0-9_-]{1,100}\Z")
USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\Z")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
STEP = re.compile(r"(?P<range>\*|[0-9A-Za-z]{1,3}(-[0-9A-Za-z]{1,3})?)(/(?P<step>[0-9]{1,2}))?\Z")
# To cron a backslash before `%` or another backslash is an escape, before anything else a backslash.
ESCAPED = re.compile(r"\\{2,}|\\(?=%)")
BREAKS = re.compile(r"[^\S \t]|[\x00-\x08]")
MAX_COMMAND = 900
WORDS = ("@reboot", "@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
FIELDS: Tuple[Tuple[str, int, int, Mapping[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, {name: number for number, name in enumerate(MONTHS, 1)}),
    ("day of week", 0, 7, {name: number for number, name in enumerate(DAYS)}),
)


@dataclass(frozen=True)
class CronSpec:
    """A scheduled command."""

    name: str
    schedule: str = attribute("text", "minute, hour, day of month, month, day of week; or a word like `@daily`", is_required=True)
    command: str = attribute("text", "a command line for sh", is_required=True)
    user: str = attribute("text", "whom it runs as", default="root")
    state: str = attribute("choice", "present or absent", default="present", choices=("present", "absent"))

    @property
    def escaped(self) -> str:
        """The command as cron reads it."""
        return ESCAPED.sub(lambda found: found[0] * 2, self.command).replace("%", "\\%")

    @property
    def line(self) -> str:
        """The entry."""
        return f"{' '.join(self.schedule.split())} {self.user} {self.escaped}"


class CronProvider(GeneratedProvider[CronSpec]):
    """See the module."""

    kind = "cron"
    spec = CronSpec
    summary = "a scheduled command (cron)"
    reach = ITSELF
    needs_linux = True

    def find_mistake(self, spec: CronSpec) -> str:
        """Check the name, the schedule, the user and the command."""
        if not NAME.match(spec.name):
            return "the name is a file of /etc/cron.d: only letters, digits, `_` and `-`, else cron passes it over"
        if not USER.match(spec.user):
            return f"`user`: {spec.user[:40]!r} is not a user's name"
        if not spec.command.strip() or CONTROL.search(spec.command):
            return "`command` must be one line, and not empty"
        length = len(spec.escaped.encode("utf-8"))
        if length > MAX_COMMAND:
            return f"`command` has {length} bytes as cron reads it, at most {MAX_COMMAND} are possible; put it into a script"
        return find_schedule_mistake(spec.schedule)

    def make_file(self, spec: CronSpec) -> FileSpec:
        """The file, which cron wants not to be writable by others."""
        return FileSpec(f"/etc/cron.d/{spec.name}", (f"{MANAGED}{spec.line}\n",), mode="0644", state=spec.state)

    def show(self, spec: CronSpec) -> Json:
        """The entry."""
        return spec.line

    def relate(self, spec: CronSpec) -> Relations:
        """Also after its user and cron itself."""
        found = super().relate(spec)
        wants = (*found.wants, f"user:{spec.user}", "package:cron", "package:cronie")
        return Relations(found.provides, wants, found.owns, found.is_absent)


def find_schedule_mistake(schedule: str) -> str:
    """Say what is wrong with a schedule; empty when nothing."""
    parts = schedule.split()
    if len(parts) == 1 and parts[0].startswith("@"):
        return "" if parts[0] in WORDS else f"`schedule`: {parts[0][:40]!r} is not one of {', '.join(WORDS)}"
    if len(parts) != len(FIELDS) or BREAKS.search(schedule):
        return f"`schedule`: got {len(parts)} fields, expected 5 (minute, hour, day of month, month, day of week)"
    for part, (name, low, high, names) in zip(parts, FIELDS):
        for item in part.split(","):
            if not _is_item(item, low, high, names):
                return f"`schedule`: {item[:40]!r} is not a {name} (from {low} to {high}, `*`, `a-b`, `*/n`)"
    return ""


def _is_item(item: str, low: int, high: int, names: Mapping[str, int]) -> bool:
    found = STEP.match(item)
    if found is None or (found["step"] and not 0 < int(found["step"]) <= high):
        return False
    if found["range"] == "*":
        return True
    ends = [names.get(end.lower(), int(end) if end.isdigit() else -1) for end in found["range"].split("-")]
    is_single = len(ends) == 1
    return all(low <= end <= high for end in ends) and ends == sorted(ends) and not (is_single and bool(found["step"]))
