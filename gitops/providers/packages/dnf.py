"""dnf and rpm: one query, one simulation, one transaction (two when packages also leave: those go first).

Versions are as rpm prints them: `1.2-3.el9`, with `1:` before when there is an epoch. Weak dependencies are not pulled in, what nobody
needs any more stays. Reading uses only what is cached and writes its own caches into a place that is thrown away with the machine's
memory; without lists the offer is unknown until apply fetches them.

A hold is a line of the versionlock plugin (dnf 4), written by `dnf versionlock` only: an `excludepkgs` line of dnf.conf would be an edit of
others' file, and would hide the package's own version from dnf too.
"""

from __future__ import annotations

import re
from typing import Dict, List, Mapping, Optional, Sequence, Set, Tuple

from gitops.providers.host import Finished, Host
from gitops.providers.packages.locks import TRANSACTION_SECONDS, Holder, name_process, run_when_free
from gitops.providers.packages.packager import Foreseen, Installed, Offer, Packager, Target, show_end
from gitops.providers.packages.rpm import find_rpm_mistake, read_rpms

# It gives up at once when another holds a lock, since it would wait without end.
OPTIONS = (
    "--setopt=install_weak_deps=False",
    "--setopt=clean_requirements_on_remove=False",
    "--setopt=best=True",
    "--setopt=exit_on_lock=True",
)
LOCK = re.compile(r"(\w+) already locked by (\d+)")
DNF = ("dnf", "-y", "-q", *OPTIONS)
READING = ("dnf", "-C", "-q", *OPTIONS)
REPOQUERY = ("repoquery", "--available", "--queryformat", "%{name}\t%{evr}\n", "--")  # dnf 5 ends no line by itself
CACHES = "/var/cache/dnf"
LOCKS = "/etc/dnf/plugins/versionlock.list"  # the plugin's own default; it comes with the plugin
LOCKED_VERSION = re.compile(r"([A-Za-z0-9_][A-Za-z0-9._+-]*)-[0-9]+:[^-\s]+-[^-\s]+\Z")
WITHOUT_LOCKS = "--disableplugin=versionlock"
ARRIVING = ("Installing", "Upgrading", "Downgrading", "Reinstalling", "Installing dependencies", "Installing weak dependencies")
LEAVING = ("Removing", "Removing dependent packages", "Removing unused dependencies")
COLUMNS = 5  # name, architecture, version, repository, size (its unit may follow)


class Dnf(Packager):
    """See the module."""

    name = "dnf"
    refresh_name = "dnf makecache"

    def find_mistake(self, name: str, version: str) -> str:
        """As rpm has them."""
        return find_rpm_mistake(name, version)

    def read_installed(self, names: Sequence[str], host: Host) -> Mapping[str, Installed]:
        """Ask rpm once."""
        found = read_rpms(names, host)
        locked = read_locks(host)
        return {name: Installed(found.get(name, ""), is_held=name in locked) for name in names}

    def ask_offers(self, names: Sequence[str], host: Host, *, is_reading: bool) -> Mapping[str, Offer]:
        """Ask the sources once, versions that a lock hides included; the newest comes last."""
        options = (WITHOUT_LOCKS,) if read_locks(host) else ()
        done = run_when_free([*(READING if is_reading else DNF), *options, *REPOQUERY, *names], host, find_holder)
        found: Dict[str, List[str]] = {}
        for line in done.output.splitlines():
            name, tab, version = line.partition("\t")
            if tab and name in names:
                found.setdefault(name, []).append(version)
        return {name: Offer(versions[-1], tuple(reversed(versions))) for name, versions in found.items()}

    def is_stale(self, host: Host) -> bool:  # noqa: ARG002  dnf itself fetches what is missing or old
        """Never: dnf fetches by itself what is missing or expired."""
        return False

    def refresh(self, host: Host) -> Finished:
        """Fetch the lists again."""
        return run_when_free([*DNF, "makecache", "--refresh"], host, find_holder, timeout=TRANSACTION_SECONDS)

    def foresee(self, targets: Sequence[Target], host: Host, *, is_reading: bool) -> Foreseen:
        """Let dnf print its table and answer no; a lock of a target is lifted by then, so a plan looks past the locks."""
        arriving, leaving = _split(targets)
        argv = ["dnf", *(("-C",) if is_reading else ()), "--assumeno", *OPTIONS]
        if is_reading and read_locks(host) & {target.name for target in targets}:
            argv.append(WITHOUT_LOCKS)
        installs: Dict[str, str] = {}
        removes: Set[str] = set()
        problem = ""
        for verb, names in (("remove", leaving), ("install", arriving)):
            if names:
                done = run_when_free([*argv, verb, "--", *names], host, find_holder)
                coming, going = read_table(done.output)
                installs.update(coming)
                removes.update(going)
                if verb == "install" and not coming:
                    problem = show_end(done, "dnf --assumeno install")
        return Foreseen(installs, frozenset(removes), problem)

    def transact(self, targets: Sequence[Target], host: Host) -> str:
        """Remove, then install."""
        arriving, leaving = _split(targets)
        for verb, names in (("remove", leaving), ("install", arriving)):
            if names:
                done = run_when_free([*DNF, verb, "--", *names], host, find_holder, timeout=TRANSACTION_SECONDS)
                if done.status != 0:
                    return show_end(done, f"dnf {verb}")
        return ""

    def note_undo(self, before: Mapping[str, str], host: Host) -> None:
        """Note one undo for all that is new (rpm refuses to break what came to need it), one for all that had a version."""
        new: List[str] = [name for name, version in before.items() if not version]
        old = [f"{name}-{version}" for name, version in before.items() if version]
        if new:
            host.note_undo(["rpm", "--erase", "--", *new])
        if old:
            host.note_undo([*DNF, "install", "--", *old])

    def set_hold(self, names: Sequence[str], host: Host, *, is_held: bool) -> str:
        """Lock the installed versions or unlock them; no source is asked for that."""
        if host.inspect(LOCKS).type != "file":
            return f"dnf's versionlock plugin (dnf 4) is not here ({LOCKS} is no file): install it, or leave `hold` out"
        verbs = ("add", "delete") if is_held else ("delete", "add")
        argv = [*DNF, "--disablerepo=*", "versionlock"]
        host.note_undo([*argv, verbs[1], *names])
        done = run_when_free([*argv, verbs[0], *names], host, find_holder)
        return "" if done.status == 0 else show_end(done, f"dnf versionlock {verbs[0]}")

    def say_release(self, name: str) -> str:
        """Name the plugin's command."""
        return f"dnf versionlock delete {name} would release it"


def read_locks(host: Host) -> Set[str]:
    """Give the names that the versionlock plugin locks; as it writes them: with an epoch (other forms are ambiguous), no exclusions."""
    if host.inspect(LOCKS).type != "file":
        return set()
    lines = (line.partition("#")[0].strip() for line in host.read_text(LOCKS).splitlines())
    return {match.group(1) for match in map(LOCKED_VERSION.match, lines) if match}


def find_holder(output: str, host: Host) -> Optional[Holder]:
    """Read who holds a lock from what dnf says of it; None when it says nothing of a lock."""
    match = LOCK.search(output)
    return None if match is None else Holder(f"dnf's lock of its {match.group(1)}", name_process(match.group(2), host))


def read_table(output: str) -> Tuple[Dict[str, str], Set[str]]:
    """Read dnf's table of a transaction: versions of what comes by name, names of what goes. Long names stand on lines of their own."""
    coming: Dict[str, str] = {}
    going: Set[str] = set()
    section = ""
    words: List[str] = []
    for line in output.splitlines():
        if line.endswith(":") and not line.startswith(" "):
            section, words = line[:-1], []
        elif not line.startswith(" ") or line.lstrip().startswith("replacing "):
            words = []
        elif section in (*ARRIVING, *LEAVING):
            words.extend(line.split())
        if len(words) >= COLUMNS:
            if section in ARRIVING:
                coming[words[0]] = words[2]
            else:
                going.add(words[0])
            words = []
    return coming, going


def _split(targets: Sequence[Target]) -> List[List[str]]:
    arriving = [
        f"{target.name}-{target.version}" if target.version else target.name for target in targets if not target.is_absent
    ]
    return [arriving, [target.name for target in targets if target.is_absent]]
