"""pacman: one query, one simulation, one transaction (two when packages also leave: those go first).

Only what the sources hold now can be installed: there is one version of each. pacman never removes what is in conflict or still needed
without being asked, so such a transaction fails. Config files that an administrator changed are kept.

A hold is `IgnorePkg` in the options of pacman.conf, for which pacman has no command: a line of its own for each package, and only names are
taken out of others' lines. A pattern there is a hold that people lift.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from gitops.errors import HostError
from gitops.providers.host import FileWrite, Finished, Host, Metadata
from gitops.providers.packages.locks import TRANSACTION_SECONDS, Holder, find_processes, name_process, run_when_free
from gitops.providers.packages.packager import Foreseen, Installed, Offer, Packager, Target, show_end

NAME = re.compile(r"[a-z0-9@_+][a-z0-9@._+-]*\Z")
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~:]*-[0-9.]+\Z")
LINE = re.compile(r"(\S+) (\S+)\Z")
PRINT = ("--print", "--print-format", "%n %v")
DATABASE, SYNC, CONFIG = "/var/lib/pacman/local", "/var/lib/pacman/sync", "/etc/pacman.conf"
LOCK, UNLOCKABLE = "/var/lib/pacman/db.lck", "unable to lock database"
SECTION = re.compile(r"\[([^\]]+)\]\Z")
OPTIONS = "options"
IGNORED = re.compile(r"IgnorePkg\s*=\s*(.*)\Z")


class Pacman(Packager):
    """See the module."""

    name = "pacman"
    refresh_name = "pacman -Sy"

    def find_mistake(self, name: str, version: str) -> str:
        """Small letters, digits and some signs; a version with its release."""
        if not NAME.match(name):
            return f"`{name[:80]}` is not a package's name (small letters, digits, `@`, `.`, `_`, `+`, `-`)"
        if version and not VERSION.match(version):
            return f"`{version[:80]}` is not a package's version; it must be whole, such as 1.2-1"
        return ""

    def read_installed(self, names: Sequence[str], host: Host) -> Mapping[str, Installed]:
        """Ask pacman once; a name may be answered by what provides it, which is not it."""
        if host.inspect(DATABASE).type != "directory":
            raise HostError(f"pacman has no database at {DATABASE}", code="E135")
        found = _read_lines(host.run(["pacman", "-Q", "--", *names]).output) if names else {}
        ignored = read_ignored(host.read_text(CONFIG)) if names else ()
        there = [name for name in names if name in found]
        needed = host.run(["pacman", "-Qdq", "--", *there]).output.split("\n") if there else ()
        return {
            name: Installed(found.get(name, ""), "", any(fnmatchcase(name, pattern) for pattern in ignored), name in needed)
            for name in names
        }

    def ask_offers(self, names: Sequence[str], host: Host, *, is_reading: bool) -> Mapping[str, Offer]:  # noqa: ARG002  it never writes
        """Ask the lists once."""
        found: Dict[str, Offer] = {}
        name = ""
        for line in host.run(["pacman", "-Si", "--", *names]).output.splitlines():
            key, _, value = (part.strip() for part in line.partition(":"))
            if key == "Name":
                name = value
            elif key == "Version" and name:  # the first source that has it is the one it comes from
                found.setdefault(name, Offer(value, (value,)))
        return {name: offer for name, offer in found.items() if name in names}

    def is_stale(self, host: Host) -> bool:
        """Say whether a source of pacman.conf has no list here."""
        sections = [match.group(1) for match in map(SECTION.match, host.read_text(CONFIG).splitlines()) if match]
        names = host.list_names(SYNC) if host.inspect(SYNC).type == "directory" else ()
        return any(f"{name}.db" not in names for name in sections if name != "options")

    def refresh(self, host: Host) -> Finished:
        """Fetch the lists."""
        return run_when_free(["pacman", "-Sy", "--noconfirm"], host, find_holder, timeout=TRANSACTION_SECONDS)

    def foresee(self, targets: Sequence[Target], host: Host, *, is_reading: bool) -> Foreseen:  # noqa: ARG002  it never writes
        """Let pacman print what it would do; what needs a leaving package is found by asking for the cascade."""
        arriving, leaving = _split(targets)
        installs: Dict[str, str] = {}
        removes: Dict[str, str] = {}
        problem = ""
        if arriving:
            done = host.run(["pacman", "-S", *PRINT, "--", *arriving])
            installs = _read_lines(done.output)
            problem = show_end(done, "pacman -S --print") if done.status else ""
        if leaving:
            removes = _read_lines(host.run(["pacman", "-R", "--cascade", *PRINT, "--", *leaving]).output)
        return Foreseen(installs, frozenset(removes), problem)

    def transact(self, targets: Sequence[Target], host: Host) -> str:
        """Remove, then install."""
        arriving, leaving = _split(targets)
        for verb, names in (("-R", leaving), ("-S", arriving)):
            if names:
                argv = ["pacman", verb, "--noconfirm", "--", *names]
                done = run_when_free(argv, host, find_holder, timeout=TRANSACTION_SECONDS)
                if done.status != 0:
                    return show_end(done, f"pacman {verb}")
        return ""

    def note_undo(self, before: Mapping[str, str], host: Host) -> None:
        """Note the removal of what is new; an old version can only come back while a source has it."""
        new: List[str] = [name for name, version in before.items() if not version]
        old = [f"{name}={version}" for name, version in before.items() if version]
        if new:
            host.note_undo(["pacman", "-R", "--noconfirm", "--", *new])
        if old:
            host.note_undo(["pacman", "-S", "--noconfirm", "--", *old])

    def set_hold(self, names: Sequence[str], host: Host, *, is_held: bool) -> str:
        """Edit pacman.conf, its before-image journalled first."""
        unable = self.explain_hold(names, host, is_held=is_held)
        if unable:
            return next(iter(unable.values()))
        before = host.read_text(CONFIG)
        after = (add_ignored if is_held else drop_ignored)(before, names)
        if after == before:
            return ""
        failures = host.prepare([CONFIG]) or host.write_files([FileWrite(CONFIG, after, Metadata())])
        return next(iter(failures.values()), "")

    def explain_hold(self, names: Sequence[str], host: Host, *, is_held: bool) -> Mapping[str, str]:
        """A pattern is not ours to lift, and a line needs its section."""
        before = host.read_text(CONFIG)
        after = read_ignored((add_ignored if is_held else drop_ignored)(before, names))
        if is_held:
            return {name: f"{CONFIG} has no section [{OPTIONS}]" for name in names if name not in after}
        left = {name: next((pattern for pattern in after if fnmatchcase(name, pattern)), "") for name in names}
        return {
            name: f"`{pattern}` of IgnorePkg in {CONFIG} holds it; only people lift a pattern"
            for name, pattern in left.items()
            if pattern
        }

    def set_manual(self, names: Sequence[str], host: Host) -> str:
        """Mark packages in pacman's database."""
        host.note_undo(["pacman", "-D", "--asdeps", "--", *names])
        done = run_when_free(["pacman", "-D", "--asexplicit", "--", *names], host, find_holder)
        return "" if done.status == 0 else show_end(done, "pacman -D")

    def say_release(self, name: str) -> str:
        """Name the setting."""
        return f"taking {name} out of IgnorePkg in {CONFIG} would release it"


def read_ignored(text: str) -> Sequence[str]:
    """Give the names and patterns of IgnorePkg."""
    return [word for _, words in _ignoring_lines(text.splitlines()) for word in words]


def add_ignored(text: str, names: Sequence[str]) -> str:
    """Give the text with a line of its own for each name that is not there, first in the options; the same text where there are none."""
    known = read_ignored(text)
    lines = text.splitlines()
    place = next((number + 1 for number, line in enumerate(lines) if line.strip() == f"[{OPTIONS}]"), None)
    if place is None:
        return text
    lines[place:place] = [f"IgnorePkg = {name}" for name in names if name not in known]
    return "".join(f"{line}\n" for line in lines)


def drop_ignored(text: str, names: Sequence[str]) -> str:
    """Give the text without these names; a line that names nothing any more goes."""
    lines: List[str] = text.splitlines()
    for number, words in reversed(_ignoring_lines(lines)):
        left = [word for word in words if word not in names]
        if left != words:
            lines[number : number + 1] = [f"IgnorePkg = {' '.join(left)}"] if left else []
    return "".join(f"{line}\n" for line in lines)


def _ignoring_lines(lines: Sequence[str]) -> List[Tuple[int, List[str]]]:
    """Give the number and the words of each IgnorePkg line of the options."""
    found: List[Tuple[int, List[str]]] = []
    section = ""
    for number, line in enumerate(lines):
        match = SECTION.match(line.strip())
        section = match.group(1) if match else section
        ignored = IGNORED.match(line.strip())
        if ignored and section == OPTIONS:
            found.append((number, ignored.group(1).split()))
    return found


def find_holder(output: str, host: Host) -> Optional[Holder]:
    """Find who may hold the lock; pacman's lock is a file without a name in it, which stays when its maker is cut off."""
    if UNLOCKABLE not in output and "could not lock database" not in output:
        return None
    found = [name_process(number, host) for number in find_processes("pacman", host)]
    return Holder(LOCK, " and ".join(found) or "no pacman that runs (remove the file if nothing else uses libalpm)")


def _split(targets: Sequence[Target]) -> List[List[str]]:
    arriving = [
        f"{target.name}={target.version}" if target.version else target.name for target in targets if not target.is_absent
    ]
    return [arriving, [target.name for target in targets if target.is_absent]]


def _read_lines(output: str) -> Dict[str, str]:
    """Read `name version` lines; warnings and errors have more words."""
    return {match.group(1): match.group(2) for match in map(LINE.match, output.splitlines()) if match}
