"""apk: one query, one simulation, one transaction (two when packages also leave: those go first).

apk keeps the packages that somebody wants in its world (`/etc/apk/world`), and takes away by itself what nothing there needs any more: a
plan names that too, and it must be declared absent or the step fails. A version in the world pins the package: `apk upgrade` passes it by.
That is apk's hold, so it is left there only by `hold`: each exact version is installed by a pin that is taken away at once; tags stay.

What is known of apk here is from its sources and manual pages; its answers were not recorded from a machine.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Sequence, Set, Tuple

from gitops.errors import HostError
from gitops.providers.host import Finished, Host
from gitops.providers.packages.apk_version import make_version_key
from gitops.providers.packages.locks import LOCK_SECONDS, TRANSACTION_SECONDS, Holder, find_processes, name_process, run_when_free
from gitops.providers.packages.packager import Foreseen, Installed, Offer, Packager, Target, show_end

NAME = re.compile(r"[A-Za-z0-9_](?!.*\.apk)[A-Za-z0-9._+-]*\Z")  # what holds `.apk` is taken for a file
VERSION = re.compile(r"[0-9]+(\.[0-9]+)*[a-z]?(_[a-z]+[0-9]*)*-r[0-9]+\Z")
WORLD = "/etc/apk/world"
ENTRY = re.compile(r"([^!@<>=~\s][^@<>=~\s]*)(@[^<>=~\s]+)?([<>=~]\S+)?\Z")
WAITING = ("--wait", str(LOCK_SECONDS))
# A year: a transaction uses the lists that were simulated with; otherwise apk fetches those that are older than four hours.
ADD = ("apk", "add", *WAITING, "--cache-max-age", "525600", "--")
DELETE = ("apk", "del", *WAITING, "--")
ASKED = 100  # names at once, for only the end of a long answer is kept
POLICY = " policy:"
DATABASE = re.compile(r"[a-z/]*lib/apk/db[a-z-]*/installed\Z")
NO_LIST = re.compile(r"^WARNING: (Ignoring|opening from cache) \S+: No such file or directory", re.MULTILINE)
CHANGE = re.compile(r"\( *\d+/(\d+)\) (?:\[[^]]*\] )?(\w+)(?: pinning)? (\S+) \((\S+)(?: -> (\S+))?\)\Z")
LEAVES, ONLY_TAG = "Purging", "Updating"
NO_DATABASE = ("Unable to read database", "Failed to open apk database")
LOCK = re.compile(r"Unable to lock database: .*(try again|temporarily|Interrupted)")


@dataclass(frozen=True)
class Entry:
    """What the world says of a package beside its name: the sources it may come from, the versions it may have."""

    tag: str = ""
    constraint: str = ""


class Apk(Packager):
    """See the module."""

    name = "apk"
    refresh_name = "apk update"

    def find_mistake(self, name: str, version: str) -> str:
        """Letters, digits and some signs; a version with its revision."""
        if not NAME.match(name):
            return f"`{name[:80]}` is not a package's name (letters, digits, `.`, `_`, `+`, `-`, without `.apk`)"
        if version and not VERSION.match(version):
            return f"`{version[:80]}` is not a package's version; it must be whole, such as 1.2.3-r0"
        return ""

    def read_installed(self, names: Sequence[str], host: Host) -> Mapping[str, Installed]:
        """Ask for the versions that are known of each, among which the installed one is marked."""
        policies, world = ask_policies(names, host), read_world(host)
        return {
            name: Installed(_find_installed(policies.get(name, {})), is_held=bool(world.get(name, Entry()).constraint))
            for name in names
        }

    def ask_offers(self, names: Sequence[str], host: Host, *, is_reading: bool) -> Mapping[str, Offer]:  # noqa: ARG002  it never fetches
        """Ask the lists; a version that only sources with a tag have counts where the world has that tag for the package."""
        world = read_world(host)
        found: Dict[str, Offer] = {}
        for name, policy in ask_policies(names, host).items():
            tag = world.get(name, Entry()).tag
            usable = [version for version, sources in policy.items() if any(_is_usable(source, tag) for source in sources)]
            versions = sorted(usable, key=make_version_key, reverse=True)
            found[name] = Offer(versions[0] if versions else "", tuple(versions))
        return found

    def is_stale(self, host: Host) -> bool:
        """Say whether apk misses a source's list."""
        return bool(NO_LIST.search(host.run(["apk", "policy", "--", "apk-tools"]).output))

    def refresh(self, host: Host) -> Finished:
        """Fetch the lists."""
        return run_when_free(["apk", "update", *WAITING], host, find_holder, timeout=TRANSACTION_SECONDS)

    def foresee(self, targets: Sequence[Target], host: Host, *, is_reading: bool) -> Foreseen:  # noqa: ARG002  it only reads
        """Let apk simulate; what needs a leaving package is found by deleting that along, unless what arrives does away with it."""
        world = read_world(host)
        arriving = [_write(target.name, world, target.version) for target in targets if not target.is_absent]
        installs: Dict[str, str] = {}
        removes: Set[str] = set()
        problem = ""
        if arriving:
            done = host.run(["apk", "add", "--simulate", "--", *arriving])
            installs, removes = read_changes(done.output)
            problem = show_end(done, "apk add --simulate") if done.status else ""
        leaving = [target.name for target in targets if target.is_absent and target.name not in removes]
        if leaving:
            more, gone = read_changes(host.run(["apk", "del", "--simulate", "--rdepends", "--", *leaving]).output)
            installs.update(more)
            removes |= gone
        return Foreseen(installs, frozenset(removes), problem)

    def transact(self, targets: Sequence[Target], host: Host) -> str:
        """Delete, then add; apk does not fail when it keeps what something still needs, so that is looked for at the end."""
        leaving = [target.name for target in targets if target.is_absent]
        if leaving:
            done = run_when_free([*DELETE, *leaving], host, find_holder, timeout=TRANSACTION_SECONDS)
            if done.status != 0:
                return show_end(done, "apk del")
        problem = _add([target for target in targets if not target.is_absent], host)
        left = [name for name, policy in ask_policies(leaving, host).items() if _find_installed(policy)]
        return problem or (f"apk keeps {', '.join(left)}, which something still needs" if left else "")

    def note_undo(self, before: Mapping[str, str], host: Host) -> None:
        """Note one undo for all that is new; an old version can only come back while a source has it, and its pin goes after that."""
        new = [name for name, version in before.items() if not version]
        old = {name: version for name, version in before.items() if version}
        if new:
            host.note_undo([*DELETE, *new])
        if old:
            world = read_world(host)
            host.note_undo([*ADD, *(_write(name, world) for name in old)])
            host.note_undo([*ADD, *(_write(name, world, version) for name, version in old.items())])

    def set_hold(self, names: Sequence[str], host: Host, *, is_held: bool) -> str:
        """Pin the installed versions in the world, or take the pins away."""
        world = read_world(host)
        host.note_undo([*ADD, *(_write(name, world, as_it_is=True) for name in names)])
        policies = ask_policies(names if is_held else (), host)
        wanted = [_write(name, world, _find_installed(policies.get(name, {}))) for name in names]
        done = run_when_free([*ADD, *wanted], host, find_holder, timeout=TRANSACTION_SECONDS)
        return "" if done.status == 0 else show_end(done, "apk add")

    def say_release(self, name: str) -> str:
        """Name apk's command."""
        return f"apk add {name} would release it"


def ask_policies(names: Sequence[str], host: Host) -> Mapping[str, Mapping[str, Sequence[str]]]:
    """Give by name, then by version, where that version is: sources as apk writes them, or its database."""
    found: Dict[str, Mapping[str, Sequence[str]]] = {}
    for start in range(0, len(names), ASKED):
        done = host.run(["apk", "policy", "--", *names[start : start + ASKED]])
        if any(words in done.output for words in NO_DATABASE):
            raise HostError(show_end(done, "apk policy"), code="E139")
        found.update(read_policies(done.output))
    return found


def read_policies(output: str) -> Dict[str, Dict[str, List[str]]]:
    """Read what `apk policy NAME…` prints; its warnings are not indented."""
    found: Dict[str, Dict[str, List[str]]] = {}
    versions: Dict[str, List[str]] = {}
    sources: List[str] = []
    for line in output.splitlines():
        if line.endswith(POLICY):
            versions = found.setdefault(line[: -len(POLICY)], {})
        elif line.startswith("    "):
            sources.append(line.strip())
        elif line.startswith("  ") and line.endswith(":"):
            sources = versions.setdefault(line.strip()[:-1], [])
    return found


def read_world(host: Host) -> Mapping[str, Entry]:
    """Read the world; names that it keeps away (`!name`) are not in it."""
    entries = map(ENTRY.match, host.run(["cat", WORLD]).output.split())
    return {entry.group(1): Entry(entry.group(2) or "", entry.group(3) or "") for entry in entries if entry}


def read_changes(output: str) -> Tuple[Dict[str, str], Set[str]]:
    """Read a simulation: versions of what comes by name, names of what goes. Each line says how many there are."""
    found = [match for match in map(CHANGE.match, output.splitlines()) if match]
    if found and len(found) < int(found[-1].group(1)):
        raise HostError(f"apk would make {found[-1].group(1)} changes, more than is kept of its answer", code="E139")
    coming = {
        match.group(3).partition("@")[0]: match.group(5) or match.group(4)
        for match in found
        if match.group(2) not in (LEAVES, ONLY_TAG)
    }
    return coming, {match.group(3) for match in found if match.group(2) == LEAVES}


def find_holder(output: str, host: Host) -> Optional[Holder]:
    """Find who may hold the lock; apk says nothing of that, and has waited by itself."""
    if not LOCK.search(output):
        return None
    found = [name_process(number, host) for number in find_processes("apk", host)]
    return Holder("the lock of apk's database", " and ".join(found) or "something that is not called apk", is_waited_for=True)


def _add(targets: Sequence[Target], host: Host) -> str:
    """Install by pins, and take away those that came to be, also when a script failed after that."""
    if not targets:
        return ""
    world = read_world(host)
    done = run_when_free(
        [*ADD, *(_write(target.name, world, target.version) for target in targets)],
        host,
        find_holder,
        timeout=TRANSACTION_SECONDS,
    )
    after = read_world(host)
    pinned = [target.name for target in targets if after.get(target.name, Entry()).constraint == f"={target.version}"]
    if pinned:
        freed = run_when_free([*ADD, *(_write(name, after) for name in pinned)], host, find_holder, timeout=TRANSACTION_SECONDS)
        done = freed if done.status == 0 else done
    return "" if done.status == 0 else show_end(done, "apk add")


def _write(name: str, world: Mapping[str, Entry], version: str = "", *, as_it_is: bool = False) -> str:
    """Write an entry of the world for a package with its tag there; of its constraint only when it is to be as it is."""
    entry = world.get(name, Entry())
    return f"{name}{entry.tag}{entry.constraint if as_it_is else f'={version}' if version else ''}"


def _find_installed(policy: Mapping[str, Sequence[str]]) -> str:
    found = (version for version, sources in policy.items() if any(map(DATABASE.match, sources)))
    return next(found, "")


def _is_usable(source: str, tag: str) -> bool:
    return not source.startswith("@") or source.partition(" ")[0] == tag
