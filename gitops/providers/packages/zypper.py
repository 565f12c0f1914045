"""zypper and rpm: one query, one simulation, one transaction.

Versions are as rpm prints them. Recommended packages are not pulled in, what nobody needs any more stays, no licence is agreed to and no
key trusted: what zypper would ask a person is answered with no, and fails. What leaves is asked for beside what arrives, so zypper itself
refuses to take away what depends on it. Lists are fetched by `zypper refresh` only; since zypper fetches a list that was never fetched
even when it is told not to refresh, the offer is unknown to reading until all are there.

A hold is a lock (`zypper addlock`). zypper cannot look past its locks, so a plan that moves a locked package cannot say what comes along.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from html import unescape
from typing import Dict, FrozenSet, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

from gitops.errors import HostError
from gitops.providers.host import FileWrite, Finished, Host, Metadata
from gitops.providers.packages.locks import TRANSACTION_SECONDS, Holder, name_process, run_when_free
from gitops.providers.packages.packager import OUTPUT_SHOWN, Foreseen, Installed, Offer, Packager, Target, show_end
from gitops.providers.packages.rpm import find_rpm_mistake, read_rpms

ZYPPER = ("zypper", "--non-interactive", "--no-refresh")
XML = (*ZYPPER, "--xmlout")
INSTALL = ("install", "--name", "--no-recommends", "--oldpackage")
FORESEE = (*INSTALL, "--dry-run")
REMOVE = ("remove", "--dry-run", "--no-clean-deps")
SEARCH = ("search", "--details", "--match-exact", "--type", "package")
LOCK_TYPE = ("--type", "package")
REPOSITORIES, LISTS, LOCKS = "/etc/zypp/repos.d", "/var/cache/zypp/raw", "/etc/zypp/locks"
AUTOMATIC = "/var/lib/zypp/AutoInstalled"
SECTION = re.compile(r"\[([^\]]+)\]\Z")
SWITCHED_OFF = re.compile(r"enabled\s*=\s*(0|no|false|off)\Z", re.IGNORECASE)
HELD = re.compile(r"System management is locked by the application with pid (\d+)")
SOLVABLE = re.compile(r"<solvable (.*)")
PAIR = re.compile(r'([\w-]+)="([^"]*)"')
SUMMARY, GROUP = "<install-summary ", re.compile(r"<(to-[a-z-]+)>\Z")
LEAVING = "to-remove"
REMOVED = re.compile(r"packages? (?:is|are) going to be REMOVED:\n((?: .*\n)+)")
# Only the end of a long answer is kept, and `info` and the simulation say every package's description.
SEARCHED, INFORMED = 50, 10
BEGUN = ("<?xml ", "Loading repository data...")
TOO_MUCH = "its answer is longer than what is kept of it; only what would go is known"
WORDS = re.compile(r'<description>(Problem: .*?)</description>|<message type="error">(.*?)</message>', re.DOTALL)
INFORMATION = re.compile(r"(Name|Version)\s*: (\S+)\Z")
# A lock with another field holds only some versions or sources of a package.
WHOLE_LOCK = frozenset(("type", "match_type", "case_sensitive", "solvable_name", "comment"))


class Zypper(Packager):
    """See the module."""

    name = "zypper"
    refresh_name = "zypper refresh"

    def find_mistake(self, name: str, version: str) -> str:
        """As rpm has them."""
        return find_rpm_mistake(name, version)

    def read_installed(self, names: Sequence[str], host: Host) -> Mapping[str, Installed]:
        """Ask rpm once."""
        found, locks = read_rpms(names, host), read_locks(host)
        automatic = set(_read_automatic(host).splitlines()) if found else set[str]()
        return {
            name: Installed(found.get(name, ""), "", bool(_find_locks(name, locks)), name in found and name in automatic)
            for name in names
        }

    def ask_offers(self, names: Sequence[str], host: Host, *, is_reading: bool) -> Mapping[str, Offer]:
        """Ask for all versions, and for the one that zypper would take (by priority of sources, vendor, version)."""
        if is_reading and self.is_stale(host):
            return {}
        versions: Dict[str, Dict[str, None]] = {}
        for some in _divide(names, SEARCHED):
            for item in map(_read_solvable, _ask([*XML, *SEARCH, "--", *some], host).splitlines()):
                if item.get("name") in names:
                    versions.setdefault(item["name"], {})[item.get("edition", "")] = None
        candidates: Dict[str, str] = {}
        for some in _divide(list(versions), INFORMED):
            candidates.update(read_candidates(_ask([*ZYPPER, "info", "--type", "package", "--", *some], host)))
        return {name: Offer(candidates.get(name, ""), tuple(found)) for name, found in versions.items()}

    def is_stale(self, host: Host) -> bool:
        """Say whether a source that is switched on has no list here."""
        folders = (f"{LISTS}/{alias.replace('/', '_')}" for alias in _list_aliases(host))
        return any(host.inspect(path).type != "directory" or not host.list_names(path) for path in folders)

    def refresh(self, host: Host) -> Finished:
        """Fetch the lists."""
        return run_when_free(["zypper", "--non-interactive", "refresh"], host, find_holder, timeout=TRANSACTION_SECONDS)

    def foresee(self, targets: Sequence[Target], host: Host, *, is_reading: bool) -> Foreseen:  # noqa: ARG002  it never fetches
        """Let zypper solve it; what needs a leaving package is found by asking for the removal alone, which takes all that along."""
        problem = ""
        if not all(target.is_absent for target in targets):
            arguments = ["--", *map(_argument, targets)]
            done = run_when_free([*XML, *FORESEE, *arguments], host, find_holder)
            if SUMMARY in done.output:
                return Foreseen(*read_summary(done.output))
            if BEGUN[0] not in done.output:
                return Foreseen({}, read_removed(_ask([*ZYPPER, *FORESEE, *arguments], host)), TOO_MUCH)
            problem = show_words(done)
        leaving = [target.name for target in targets if target.is_absent]
        done = run_when_free([*ZYPPER, *REMOVE, "--", *leaving], host, find_holder) if leaving else Finished(0, "")
        return Foreseen({}, read_removed(done.output), problem)

    def transact(self, targets: Sequence[Target], host: Host) -> str:
        """Install and remove in one transaction."""
        argv = [*ZYPPER, *INSTALL, "--", *map(_argument, targets)]
        done = run_when_free(argv, host, find_holder, timeout=TRANSACTION_SECONDS)
        return "" if done.status == 0 else show_end(done, "zypper install")

    def note_undo(self, before: Mapping[str, str], host: Host) -> None:
        """Note one undo for all that is new (rpm refuses to break what came to need it), one for all that had a version."""
        new: List[str] = [name for name, version in before.items() if not version]
        old = [f"{name}={version}" for name, version in before.items() if version]
        if new:
            host.note_undo(["rpm", "--erase", "--", *new])
        if old:
            host.note_undo([*ZYPPER, *INSTALL, "--", *old])

    def set_hold(self, names: Sequence[str], host: Host, *, is_held: bool) -> str:
        """Add or remove locks; one by a pattern holds others, too, so it is not ours to remove, and enough as it is."""
        locks = read_locks(host)
        patterns = {name: sorted(set(_find_locks(name, locks)) - {name}) for name in names}
        unable = self.explain_hold(names, host, is_held=is_held)
        if unable:
            return next(iter(unable.values()))
        free = [name for name in names if not patterns[name]]
        if not free:
            return ""
        verbs = ("addlock", "removelock") if is_held else ("removelock", "addlock")
        host.note_undo([*ZYPPER, verbs[1], *LOCK_TYPE, "--", *free])
        done = run_when_free([*ZYPPER, verbs[0], *LOCK_TYPE, "--", *free], host, find_holder)
        return "" if done.status == 0 else show_end(done, f"zypper {verbs[0]}")

    def explain_hold(self, names: Sequence[str], host: Host, *, is_held: bool) -> Mapping[str, str]:
        """A lock by a pattern is not ours to remove."""
        locks = read_locks(host)
        others = {name: ", ".join(sorted(set(_find_locks(name, locks)) - {name})) for name in names}
        if is_held:
            return {}
        return {
            name: f"{LOCKS} holds it by the pattern {patterns}: remove that, or leave `hold` out"
            for name, patterns in others.items()
            if patterns
        }

    def set_manual(self, names: Sequence[str], host: Host) -> str:
        """Take packages out of zypper's list of those that came along, for which it has no command; its before-image is kept."""
        after = "".join(f"{line}\n" for line in _read_automatic(host).splitlines() if line not in names)
        failures = host.prepare([AUTOMATIC]) or host.write_files([FileWrite(AUTOMATIC, after, Metadata())])
        return next(iter(failures.values()), "")

    def say_release(self, name: str) -> str:
        """Name zypper's command."""
        return f"zypper removelock {name} would release it"


def read_locks(host: Host) -> Set[str]:
    """Give the names, or patterns of names, that are locked whatever their version and source."""
    text = host.read_text(LOCKS) if host.inspect(LOCKS).type == "file" else ""
    found: Set[str] = set()
    for block in re.split(r"\n\s*\n", text):
        pairs = [
            (key.strip(), value.strip()) for key, sign, value in (line.partition(":") for line in block.splitlines()) if sign
        ]
        fields = dict(pairs)
        if set(fields) <= WHOLE_LOCK and fields.get("type") == "package" and fields.get("match_type") in ("glob", "exact"):
            found.update(value for key, value in pairs if key == "solvable_name")
    return found


def find_holder(output: str, host: Host) -> Optional[Holder]:
    """Read who holds the lock from what zypper says of it; None when it says nothing of a lock."""
    match = HELD.search(output)
    return None if match is None else Holder("zypp's lock", name_process(match.group(1), host))


def read_summary(output: str) -> Tuple[Dict[str, str], FrozenSet[str]]:
    """Read an install summary: versions of what comes by name, names of what goes. Patches and patterns are no packages."""
    coming: Dict[str, str] = {}
    going: Set[str] = set()
    group = ""
    for line in output.splitlines():
        begun = GROUP.match(line.strip())
        group = begun.group(1) if begun else group
        item = _read_solvable(line)
        if item.get("type") != "package":
            continue
        if group == LEAVING:
            going.add(item.get("name", ""))
        else:
            coming[item.get("name", "")] = item.get("edition", "")
    return coming, frozenset(going)


def read_removed(output: str) -> FrozenSet[str]:
    """Read the names that a summary without details says would go."""
    return frozenset(name for match in REMOVED.finditer(output) for name in match.group(1).split())


def read_candidates(output: str) -> Dict[str, str]:
    """Read what `zypper info NAME…` prints; descriptions are indented."""
    found: Dict[str, str] = {}
    name = ""
    for match in filter(None, map(INFORMATION.match, output.splitlines())):
        if match.group(1) == "Name":
            name = match.group(2)
        else:
            found.setdefault(name, match.group(2))
    return found


def show_words(done: Finished) -> str:
    """Give zypper's errors and problems out of its XML."""
    words = " ".join(" ".join(match.groups(default="")) for match in WORDS.finditer(done.output))
    said = " ".join(unescape(words).split()) or done.output.strip()
    return f"zypper install --dry-run ended with {done.status}: {said[:OUTPUT_SHOWN]}"


def _divide(names: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (names[start : start + size] for start in range(0, len(names), size))


def _ask(argv: Sequence[str], host: Host) -> str:
    """Give what zypper says, from its beginning on."""
    done = run_when_free(argv, host, find_holder)
    if not any(begun in done.output for begun in BEGUN):
        raise HostError(f"the beginning of zypper's answer is not there: {show_end(done, 'zypper')}", code="E138")
    return done.output


def _read_solvable(line: str) -> Mapping[str, str]:
    found = SOLVABLE.match(line.strip())
    return {key: unescape(value) for key, value in PAIR.findall(found.group(1))} if found else {}


def _argument(target: Target) -> str:
    if target.is_absent:
        return f"!{target.name}"
    return f"{target.name}={target.version}" if target.version else target.name


def _read_automatic(host: Host) -> str:
    return host.read_text(AUTOMATIC) if host.inspect(AUTOMATIC).type == "file" else ""


def _find_locks(name: str, locks: Set[str]) -> List[str]:
    return [pattern for pattern in locks if fnmatchcase(name, pattern)]


def _list_aliases(host: Host) -> Set[str]:
    """Read the sources' files as far as they say which of them are on (the default)."""
    found: Set[str] = set()
    names = host.list_names(REPOSITORIES) if host.inspect(REPOSITORIES).type == "directory" else ()
    for name in names:
        alias = ""
        for line in host.read_text(f"{REPOSITORIES}/{name}").splitlines() if name.endswith(".repo") else ():
            begun = SECTION.match(line.strip())
            if begun:
                alias = begun.group(1)
                found.add(alias)
            elif SWITCHED_OFF.match(line.strip()):
                found.discard(alias)
    return found
