"""Lines of /etc/fstab (fstab(5)): read, written, compared by what they mean and not by their blanks.

Blanks, tabs and backslashes in a field are octal escapes. Whoever takes a line's place goes by the mount point alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import List, Optional, Tuple

from gitops.model.textedit import LineEdit

FILE = "/etc/fstab"
ESCAPED = re.compile(r"\\([0-7]{3})")
FIELDS = ("device", "path", "fstype", "options", "dump", "passno")
LEAST = 3  # device, path and type; options are `defaults` where they are left out


@dataclass(frozen=True)
class FstabEntry:
    """One line: what is mounted where, as what, how; whether dump(8) takes it, and when fsck(8) checks it."""

    device: str
    path: str
    fstype: str
    options: str = "defaults"
    dump: int = 0
    passno: int = 0

    @property
    def words(self) -> Tuple[str, ...]:
        """The options one by one."""
        return tuple(word for word in self.options.split(",") if word)

    @property
    def is_bind(self) -> bool:
        """Whether a folder is shown at another place."""
        return "bind" in self.words or "rbind" in self.words

    @property
    def line(self) -> str:
        """The line as it is written."""
        named = (escape(item) for item in (self.device, self.path, self.fstype, self.options))
        return "\t".join((*named, str(self.dump), str(self.passno)))


@dataclass(frozen=True)
class FstabEdit(LineEdit):
    """The line of a mount point; a line of the same mount point gives its place to it."""

    path: str = ""

    @property
    def is_single(self) -> bool:
        """It is the only one."""
        return True

    def is_meant(self, line: str) -> bool:
        """Say whether a line is of this mount point."""
        entry = read_entry(line)
        return entry is not None and entry.path == self.path


def read_entry(line: str) -> Optional[FstabEntry]:
    """Give the entry of a line; None for comments, empty lines and what mount(8) would not read either."""
    fields = line.split()
    if len(fields) < LEAST or fields[0].startswith("#"):
        return None
    device, path, fstype, *rest = (unescape(field) for field in fields)
    numbers = [int(item) if item.isdigit() else 0 for item in (*rest[1:3], "0", "0")]
    return FstabEntry(device, path.rstrip("/") or "/", fstype, rest[0] if rest else "defaults", numbers[0], numbers[1])


def has_comment(line: str) -> bool:
    """Say whether something for people stands at the end of a line."""
    return any(word.startswith("#") for word in line.split()[LEAST + 1 :])


def compare_entries(found: FstabEntry, wanted: FstabEntry) -> List[str]:
    """Name the fields that are not as wanted."""
    return [name for name in FIELDS if getattr(found, name) != getattr(wanted, name)]


def escape(text: str) -> str:
    """Write a field: no blank, and no `#` where it would begin a comment."""
    plain = "".join(f"\\{ord(letter):03o}" if letter in " \t\n\\" else letter for letter in text)
    return f"\\043{plain[1:]}" if plain.startswith("#") else plain


def unescape(text: str) -> str:
    """Read a field, also one of the kernel's tables."""
    return ESCAPED.sub(lambda found: chr(int(found[1], 8)), text)
