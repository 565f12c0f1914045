"""apt and dpkg: one query for all, one simulation, one transaction.

`name:arch` means another architecture. Recommended packages are not pulled in and nothing asks questions; config files that an
administrator changed are kept. What apt says while reading is kept out of its caches.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Dict, List, Mapping, Optional, Sequence, Set, Tuple

from gitops.errors import HostError
from gitops.model.codec import Json
from gitops.providers.host import Finished, Host
from gitops.providers.packages.locks import LOCK_SECONDS, TRANSACTION_SECONDS, Holder, name_process, run_when_free
from gitops.providers.packages.packager import (
    Foreseen,
    Installed,
    Offer,
    Packager,
    Target,
    bare,
    show_end,
)

LISTS = "/var/lib/apt/lists"
FIELDS = ("Package", "Architecture", "db:Status-Want", "db:Status-Status", "db:Status-Eflag", "Version")
# The package `dpkg` itself tells the machine's own architecture.
QUERY = ("dpkg-query", "-W", "-f", "\\t".join(f"${{{name}}}" for name in FIELDS) + "\\n", "--", "dpkg")
# Reading must not write apt's caches, nor the logs of its planner, which even a simulation writes.
IN_MEMORY = (
    *("-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache="),
    *("-o", "Dir::Log::Planner=/dev/null", "-o", "Dir::Log::Solver=/dev/null"),
)
APT = (
    "apt-get",
    "-y",
    "-q",
    "--no-install-recommends",
    "-o",
    "Dpkg::Options::=--force-confold",
    "-o",
    f"DPkg::Lock::Timeout={LOCK_SECONDS}",
)
QUIET: Mapping[str, Json] = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1"}
INSTALLED = ("installed", "triggers-awaited", "triggers-pending")
BROKEN = ("half-installed", "unpacked", "half-configured")
NAME = re.compile(r"[a-z0-9][a-z0-9+.-]*[a-z0-9+](:[a-z0-9][a-z0-9-]*)?\Z")
VERSION = re.compile(r"[0-9][A-Za-z0-9.+~:-]*\Z")
CANDIDATE = "  Candidate: "
LISTED_VERSION = re.compile(r" (?:\*\*\*|   ) (\S+) -?\d+\Z")
REMOVAL = re.compile(r"(?:Remv|Purg) (\S+)")
CONFIGURED = re.compile(r"Conf (\S+)")
HELD_TOO = "The following held packages will be changed:"
# To look past holds is for reading alone: in a real run this option takes the hold away for good.
PAST_HOLDS = ("--allow-change-held-packages",)
MARKS = "/var/lib/apt/extended_states"
LOCK = re.compile(r"Could not get lock (\S+)\. It is held by process (\d+)")
DPKG = "/var/lib/dpkg/"  # apt waits for these locks by itself, for others it does not
INSTALL = re.compile(r"Inst (\S+) (?:\[\S*\] )?\((\S+)")


@dataclass(frozen=True)
class Database:
    """The packages of one machine, by (name, architecture), and the machine's own architecture."""

    packages: Mapping[Tuple[str, str], Installed] = field(default_factory=dict[Tuple[str, str], Installed])
    architecture: str = ""

    def find(self, name: str) -> Installed:
        """Give what `name` or `name:arch` means here."""
        base, _, architecture = name.partition(":")
        for wanted in (architecture or self.architecture, "all"):
            found = self.packages.get((base, wanted))
            if found is not None:
                return found
        return Installed()


class Apt(Packager):
    """See the module."""

    name = "apt"
    refresh_name = "apt-get update"

    def find_mistake(self, name: str, version: str) -> str:
        """Small letters, digits and some signs; a version without wildcards."""
        if not NAME.match(name):
            return f"`{name[:80]}` is not a package's name (small letters, digits, `+`, `.`, `-`; `:arch` may follow)"
        if version and not VERSION.match(version):
            return f"`{version[:80]}` is not a package's version; it must be whole, without wildcards"
        return ""

    def read_installed(self, names: Sequence[str], host: Host) -> Mapping[str, Installed]:
        """Ask dpkg once."""
        listed = host.run([*QUERY, *names])
        database = read_database(listed.output)
        if not database.architecture:  # not even dpkg itself: to take that for "nothing is installed" would be a lie
            raise HostError(show_end(listed, "dpkg-query"), code="E134")
        found = {name: database.find(name) for name in names}
        if not any(item.version for item in found.values()):
            return found
        automatic = read_marks(host.read_text(MARKS))
        own = database.architecture
        return {
            name: replace(item, is_automatic=bool(item.version) and _split_name(name, own) in automatic)
            for name, item in found.items()
        }

    def ask_offers(self, names: Sequence[str], host: Host, *, is_reading: bool) -> Mapping[str, Offer]:
        """Ask apt once what it could install."""
        options = IN_MEMORY if is_reading else ()
        offers = read_offers(host.run(["apt-cache", *options, "policy", "--", *names]).output)
        return {name: offers[here] for name, here in self.name_here(names, host).items() if here in offers}

    def is_stale(self, host: Host) -> bool:
        """Say whether a source was added since the lists were fetched, or the lists were cleared."""
        done = host.run(["apt-get", "indextargets", "--format", "$(FILENAME)", "Created-By: Packages"])
        wanted = [line.rpartition("/")[2] for line in done.output.splitlines() if line.startswith(f"{LISTS}/")]
        names = host.list_names(LISTS) if host.inspect(LISTS).type == "directory" else ()
        present = {name for listed in names for name in (listed, listed.rpartition(".")[0])}
        return any(name not in present for name in wanted)

    def refresh(self, host: Host) -> Finished:
        """Fetch the lists."""
        return run_when_free([*APT, "update"], host, find_holder, environment=QUIET, timeout=TRANSACTION_SECONDS)

    def foresee(self, targets: Sequence[Target], host: Host, *, is_reading: bool) -> Foreseen:
        """Let apt say what it would do."""
        options = (*IN_MEMORY, *PAST_HOLDS) if is_reading else ()
        argv = [*APT, *options, "-s", "install", "--allow-downgrades", "--", *map(_argument, targets)]
        done = host.run(argv, environment=QUIET)
        lines = done.output.splitlines()
        installs = {match.group(1): match.group(2) for match in map(INSTALL.match, lines) if match}
        removes = frozenset(match.group(1) for match in map(REMOVAL.match, lines) if match)
        finishes = frozenset(match.group(1) for match in map(CONFIGURED.match, lines) if match) - set(installs)
        problem = show_end(done, "apt-get -s") if done.status else ""
        others = sorted(read_held(lines) - set(self.name_here([target.name for target in targets], host).values()))
        if others and not problem:
            problem = f"it would also change {', '.join(others)}, which is on hold on this machine, so it will refuse"
        return Foreseen(installs, removes, problem, finishes)

    def transact(self, targets: Sequence[Target], host: Host) -> str:
        """Install and remove in one transaction; one that was cut off before is finished first."""
        arguments = [_argument(target) for target in targets]
        done = _install(arguments, host)
        if done.status != 0 and "dpkg --configure -a" in done.output:
            host.run(["dpkg", "--force-confold", "--configure", "-a"], environment=QUIET, timeout=TRANSACTION_SECONDS)
            done = _install(arguments, host)
        return "" if done.status == 0 else show_end(done, "apt-get")

    def note_undo(self, before: Mapping[str, str], host: Host) -> None:
        """Note one undo for all that is new, one for all that had a version; dpkg refuses to break what came to depend on them."""
        new: List[str] = [name for name, version in before.items() if not version]
        old = [f"{name}={version}" for name, version in before.items() if version]
        if new:
            host.note_undo(["dpkg", "--remove", "--", *new])
        if old:
            host.note_undo([*APT, "install", "--allow-downgrades", "--", *old])

    def set_hold(self, names: Sequence[str], host: Host, *, is_held: bool) -> str:
        """Mark packages in dpkg's own database."""
        verbs = ("hold", "unhold") if is_held else ("unhold", "hold")
        host.note_undo(["apt-mark", verbs[1], "--", *names])
        done = host.run(["apt-mark", verbs[0], "--", *names])
        return "" if done.status == 0 else show_end(done, f"apt-mark {verbs[0]}")

    def set_manual(self, names: Sequence[str], host: Host) -> str:
        """Mark packages in apt's own list."""
        host.note_undo(["apt-mark", "auto", "--", *names])
        done = host.run(["apt-mark", "manual", "--", *names])
        return "" if done.status == 0 else show_end(done, "apt-mark manual")

    def name_here(self, names: Sequence[str], host: Host) -> Mapping[str, str]:
        """Apt names the machine's own architecture by nothing."""
        if not any(":" in name for name in names):
            return {name: name for name in names}
        own = host.run(["dpkg", "--print-architecture"]).output.strip()
        return {name: bare(name) if name.partition(":")[2] in (own, "all") else name for name in names}

    def say_release(self, name: str) -> str:
        """Name apt-mark."""
        return f"apt-mark unhold {name} would release it"


def read_database(output: str) -> Database:
    """Read dpkg-query's lines (QUERY); lines of other shape (its warnings) are left out."""
    packages: Dict[Tuple[str, str], Installed] = {}
    native = ""
    for line in output.splitlines():
        parts = line.split("\t")
        if len(parts) != len(FIELDS):
            continue
        name, architecture, want, status, error, version = parts
        if name == "dpkg":
            native = architecture
        is_broken = status in BROKEN or error != "ok"
        packages[name, architecture] = Installed(
            version if status in INSTALLED and not is_broken else "", status if is_broken else "", want == "hold"
        )
    return Database(packages, native)


def read_offers(output: str) -> Dict[str, Offer]:
    """Read what `apt-cache policy NAME…` prints; names that apt has never heard of are not in it."""
    found: Dict[str, Offer] = {}
    name = ""
    for line in output.splitlines():
        if line.endswith(":") and not line.startswith(" "):
            name = line[:-1]
            found[name] = Offer()
        elif line.startswith(CANDIDATE):
            candidate = line[len(CANDIDATE) :].strip()
            found[name] = Offer("" if candidate == "(none)" else candidate)
        elif name and LISTED_VERSION.match(line):
            version = line.split()[-2]
            found[name] = Offer(found[name].candidate, (*found[name].versions, version))
    return found


def read_held(lines: Sequence[str]) -> Set[str]:
    """Read from a simulation what of it is on hold."""
    found: Set[str] = set()
    is_inside = False
    for line in lines:
        if is_inside and line.startswith("  "):
            found.update(line.split())
        is_inside = line == HELD_TOO or (is_inside and line.startswith("  "))
    return found


def read_marks(text: str) -> Set[Tuple[str, str]]:
    """Read apt's list of marks: name and architecture of what came along."""
    found: Set[Tuple[str, str]] = set()
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if fields.get("Auto-Installed") == "1":
            found.add((fields.get("Package", ""), fields.get("Architecture", "")))
    return found


def find_holder(output: str, host: Host) -> Optional[Holder]:
    """Read who holds a lock from what apt says of it; None when it says nothing of a lock."""
    match = LOCK.search(output)
    if match is None:
        return None
    return Holder(match.group(1), name_process(match.group(2), host), match.group(1).startswith(DPKG))


def _split_name(name: str, own: str) -> Tuple[str, str]:
    base, _, architecture = name.partition(":")
    return base, own if architecture in ("", "all") else architecture


def _install(arguments: Sequence[str], host: Host) -> Finished:
    argv = [*APT, "install", "--allow-downgrades", "--", *arguments]
    return run_when_free(argv, host, find_holder, environment=QUIET, timeout=TRANSACTION_SECONDS)


def _argument(target: Target) -> str:
    if target.is_absent:
        return f"{target.name}-"
    return f"{target.name}={target.version}" if target.version else target.name
