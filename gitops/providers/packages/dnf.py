"""dnf and rpm: one query, one simulation, one transaction (two when packages also leave: those go first).

Versions are as rpm prints them: `1.2-3.el9`, with `1:` before when there is an epoch. Weak dependencies are not pulled in, what nobody
needs any more stays. Reading uses only what is cached and writes its own caches into a place that is thrown away with the machine's
memory; without lists the offer is unknown until apply fetches them.

The candidate is what dnf itself would install: priorities of sources, excludes and what obsoletes what are dnf's to weigh.

dnf 5 (`dnf` is then a link to `dnf5`) is the same but for its words: versions of its tables have an epoch, it waits for others' locks by
itself, and knows locks of versions without a plugin. A hold is such a lock, written by `dnf versionlock` only (dnf 4: by its plugin): an
`excludepkgs` line of dnf.conf would be an edit of others' file, and would hide the package's own version from dnf too.
"""

from __future__ import annotations

import re
from typing import Dict, List, Mapping, Optional, Sequence, Set, Tuple

from gitops.errors import HostError
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
REASONS = ("repoquery", "--installed", "--queryformat", "%{name}\t%{reason}\n", "--")
OBSOLETING = ("repoquery", "--available", "--queryformat", "\t%{name}\n", "--whatobsoletes")
NOTHING, NO_EPOCH = "Nothing to do", "0:"
PROGRAM = "/usr/bin/dnf"
LOCKS = "/etc/dnf/plugins/versionlock.list"  # the plugin's own default; it comes with the plugin
LOCKS_5 = "/etc/dnf/versionlock.toml"
LOCK_BLOCK = re.compile(r"^\s*\[\[\s*packages\s*\]\].*$", re.MULTILINE)
LOCK_NAME = re.compile(r"""^\s*name\s*=\s*["']([A-Za-z0-9_][A-Za-z0-9._+-]*)["']""", re.MULTILINE)
COMPARATOR = re.compile(r"""\bcomparator\s*=\s*["']([^"']*)["']""")
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
        locked, automatic = read_locks(host), _ask_automatic(list(found), host)
        return {name: Installed(found.get(name, ""), "", name in locked, name in automatic) for name in names}

    def ask_offers(self, names: Sequence[str], host: Host, *, is_reading: bool) -> Mapping[str, Offer]:
        """Ask the sources once, versions that a lock hides included (the newest comes last), and dnf for what it would take."""
        past = _look_past(host) if read_locks(host) else ()
        options = () if is_five(host) else past  # its repoquery looks past locks by itself
        done = run_when_free([*(READING if is_reading else DNF), *options, *REPOQUERY, *names], host, find_holder)
        found: Dict[str, List[str]] = {}
        for line in done.output.splitlines():
            name, tab, version = line.partition("\t")
            if tab and name in names:
                found.setdefault(name, []).append(version)
        asking = ["dnf", *(("-C",) if is_reading else ()), "--assumeno", *OPTIONS, *past, "install", "--"]
        candidates = _ask_candidates(list(found), asking, host)
        gone = [name for name, candidate in candidates.items() if not candidate]
        instead = _ask_obsoleting(gone, READING if is_reading else DNF, host)
        return {
            name: Offer(candidates.get(name, versions[-1]), tuple(reversed(versions)), instead.get(name, ""))
            for name, versions in found.items()
        }

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
            argv.extend(_look_past(host))
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
        unable = self.explain_hold(names, host, is_held=is_held)
        if unable:
            return next(iter(unable.values()))
        verbs = ("add", "delete") if is_held else ("delete", "add")
        argv = [*DNF, "--disablerepo=*", "versionlock"]
        host.note_undo([*argv, verbs[1], *names])
        done = run_when_free([*argv, verbs[0], *names], host, find_holder)
        is_done = done.status == 0
        if is_done and is_five(host):  # it ends with 0 whatever it found
            locked = read_locks(host)
            is_done = all((name in locked) is is_held for name in names)
        if is_done:
            return ""
        return show_end(done, f"dnf versionlock {verbs[0]}")

    def explain_hold(self, names: Sequence[str], host: Host, *, is_held: bool) -> Mapping[str, str]:  # noqa: ARG002  both need it
        """Dnf 4 locks by a plugin."""
        if is_five(host) or host.inspect(LOCKS).type == "file":
            return {}
        reason = f"dnf's versionlock plugin (dnf 4) is not here ({LOCKS} is no file): install it, or leave `hold` out"
        return dict.fromkeys(names, reason)

    def set_manual(self, names: Sequence[str], host: Host) -> str:
        """Mark packages in dnf's own books; no source is asked for that."""
        mark, unmark = ("user", "dependency") if is_five(host) else ("install", "remove")
        argv = [*DNF, "--disablerepo=*", "mark"]
        host.note_undo([*argv, unmark, *names])
        done = run_when_free([*argv, mark, *names], host, find_holder)
        return "" if done.status == 0 else show_end(done, f"dnf mark {mark}")

    def say_release(self, name: str) -> str:
        """Name the plugin's command."""
        return f"dnf versionlock delete {name} would release it"


def read_locks(host: Host) -> Set[str]:
    """Give the names whose versions are locked, no exclusions; of dnf 4 as its plugin writes them: with an epoch (other forms are
    ambiguous).
    """
    if is_five(host):
        return read_toml_locks(host.read_text(LOCKS_5)) if host.inspect(LOCKS_5).type == "file" else set()
    if host.inspect(LOCKS).type != "file":
        return set()
    lines = (line.partition("#")[0].strip() for line in host.read_text(LOCKS).splitlines())
    return {match.group(1) for match in map(LOCKED_VERSION.match, lines) if match}


def read_toml_locks(text: str) -> Set[str]:
    """Read the names of dnf 5's list that are kept at a version; an entry that only excludes versions (`!=`, `<` …) is no lock."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    found: Set[str] = set()
    for block in LOCK_BLOCK.split(lines)[1:]:
        name = LOCK_NAME.search(block)
        if name is not None and set(COMPARATOR.findall(block)) == {"="}:
            found.add(name.group(1))
    return found


def is_five(host: Host) -> bool:
    """Say whether `dnf` is dnf 5."""
    return host.inspect(PROGRAM).target.rpartition("/")[2] == "dnf5"


def find_holder(output: str, host: Host) -> Optional[Holder]:
    """Read who holds a lock from what dnf says of it; None when it says nothing of a lock."""
    match = LOCK.search(output)
    return None if match is None else Holder(f"dnf's lock of its {match.group(1)}", name_process(match.group(2), host))


def read_table(output: str) -> Tuple[Dict[str, str], Set[str]]:
    """Read dnf's table of a transaction: versions of what comes by name, names of what goes or is replaced by another. Long names stand on
    lines of their own.
    """
    coming: Dict[str, str] = {}
    going: Set[str] = set()
    section = ""
    words: List[str] = []
    for line in output.splitlines():
        if line.endswith(":") and not line.startswith(" "):
            section, words = line[:-1], []
        elif not line.startswith(" "):
            words = []
        elif line.lstrip().startswith("replacing "):
            words = line.split()[1:]
            going.add(words[0] if len(words) >= COLUMNS - 1 else words[0].rpartition(".")[0])  # dnf 4: NAME.ARCHITECTURE VERSION
            words = []
        elif section in (*ARRIVING, *LEAVING):
            words.extend(line.split())
        if len(words) >= COLUMNS:
            if section in ARRIVING:
                coming[words[0]] = words[2][2:] if words[2].startswith(NO_EPOCH) else words[2]
            else:
                going.add(words[0])
            words = []
    return coming, going - set(coming)


def _look_past(host: Host) -> Sequence[str]:
    """Give the option for looking past locks; dnf 5 has none for them alone."""
    return ("--setopt=disable_excludes=*",) if is_five(host) else (WITHOUT_LOCKS,)


def _ask_automatic(names: Sequence[str], host: Host) -> Set[str]:
    """Give those of the installed that came along."""
    if not names:
        return set()
    done = run_when_free(["dnf", "-C", "-q", "--disablerepo=*", *REASONS, *names], host, find_holder)
    if done.status != 0:
        raise HostError(show_end(done, "dnf repoquery --installed"), code="E136")
    pairs = (line.partition("\t") for line in done.output.splitlines())
    return {name for name, _, reason in pairs if "dependency" in reason.lower()}


def _ask_candidates(names: Sequence[str], asking: Sequence[str], host: Host) -> Dict[str, str]:
    """Give what dnf would install of each: what is here when that stays, nothing when it would take another; of those that do not go
    together each is asked for alone, and what cannot be installed at all is left out.
    """
    if not names:
        return {}
    done = run_when_free([*asking, *names], host, find_holder)
    coming, _ = read_table(done.output)
    if not coming and NOTHING not in done.output:
        half = len(names) // 2
        parts = (names[:half], names[half:]) if half else ()
        return {name: found for part in parts for name, found in _ask_candidates(part, asking, host).items()}
    here = read_rpms([name for name in names if name not in coming], host)
    return {name: coming.get(name, here.get(name, "")) for name in names}


def _ask_obsoleting(names: Sequence[str], asking: Sequence[str], host: Host) -> Dict[str, str]:
    """Name what takes the place of each."""
    found: Dict[str, str] = {}
    for name in names:
        done = run_when_free([*asking, *OBSOLETING, name], host, find_holder)
        words = [line.strip() for line in done.output.splitlines() if line.startswith("\t")]
        found[name] = ", ".join(dict.fromkeys(words)) or "another package"
    return found


def _split(targets: Sequence[Target]) -> List[List[str]]:
    arriving = [
        f"{target.name}-{target.version}" if target.version else target.name for target in targets if not target.is_absent
    ]
    return [arriving, [target.name for target in targets if target.is_absent]]
