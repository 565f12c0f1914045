"""Homebrew on macOS: formulae, one version of each, as the user who owns the prefix, since brew refuses to work as root.

What is installed is one query; what is offered is asked formula by formula, since brew's answers are long. Nothing is updated, cleaned up
or upgraded by the way: the lists are as new as `brew update` left them. What an upgrade replaced cannot come back. A hold is a pin, which
brew minds when asked to upgrade that formula. Casks and other prefixes are left alone; brew keeps its own caches even when it only reads.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set, cast

from gitops.errors import HostError
from gitops.providers.host import Finished, Host
from gitops.providers.packages.locks import TRANSACTION_SECONDS, Holder, run_when_free
from gitops.providers.packages.packager import Foreseen, Installed, Offer, Packager, Target, show_end

PREFIXES: Mapping[str, str] = {"/opt/homebrew/bin/brew": "/opt/homebrew", "/usr/local/bin/brew": "/usr/local"}
NAME = re.compile(r"[a-z0-9][a-z0-9@._+-]*\Z")
SETTINGS = ("AUTO_UPDATE", "INSTALL_CLEANUP", "AUTOREMOVE", "INSTALLED_DEPENDENTS_CHECK", "ENV_HINTS")
ENVIRONMENT: Mapping[str, str] = {f"HOMEBREW_NO_{name}": "1" for name in SETTINGS}
UNKNOWN = re.compile(r"No (available formula|formulae?|formulae or casks found)\b")
LOCKED = re.compile(r"(A `brew [^`]*`|Another [^.\n]*?) process (?:has already locked (\S+)|is already )")
ERROR = re.compile(r"^Error: ", re.MULTILINE)
ANSWER = re.compile(r"^\{", re.MULTILINE)
AS_OFFERED = "as offered"  # what is missing is brought in the one version that there is


@dataclass(frozen=True)
class Place:
    """Where Homebrew is, and who owns it."""

    program: str
    prefix: str
    owner: str


class Brew(Packager):
    """See the module."""

    name = "brew"
    refresh_name = "brew update"

    def find_mistake(self, name: str, version: str) -> str:
        """Small letters, digits and some signs; never a version."""
        if not NAME.match(name):
            return f"`{name[:80]}` is not a formula's name (small letters, digits, `@`, `.`, `_`, `+`, `-`; no tap before it)"
        if version:
            return "brew has one version of each formula: leave `version` out, or name a formula of a version, such as `postgresql@16`"
        return ""

    def read_installed(self, names: Sequence[str], host: Host) -> Mapping[str, Installed]:
        """Ask brew once; of several versions the one that is linked counts. Pins are links of the prefix."""
        place = find_place(host)
        done = _run(["list", "--versions", "--formula", *names], host) if names else Finished(0, "")
        found: Dict[str, List[str]] = {}
        for words in map(str.split, done.output.splitlines()):
            if len(words) > 1 and words[0] in names:
                found[words[0]] = words[1:]
        if done.status != 0 and ERROR.search(done.output):  # else it only says that something is not installed
            raise HostError(show_end(done, "brew list"), code="E144")
        return {name: _describe(name, found.get(name, []), place, host) for name in names}

    def ask_offers(self, names: Sequence[str], host: Host, *, is_reading: bool) -> Mapping[str, Offer]:  # noqa: ARG002  it never writes
        """Ask for each, since one that is not known would spoil the answer for the others."""
        offers = {name: _ask_offer(name, host) for name in names}
        return {name: offer for name, offer in offers.items() if offer is not None}

    def is_stale(self, host: Host) -> bool:  # noqa: ARG002  brew itself fetches what is missing
        """Never: brew fetches its list when there is none."""
        return False

    def refresh(self, host: Host) -> Finished:
        """Fetch the lists."""
        return _run(["update"], host, timeout=TRANSACTION_SECONDS)

    def foresee(self, targets: Sequence[Target], host: Host, *, is_reading: bool) -> Foreseen:  # noqa: ARG002  it never writes
        """Ask what the arriving ones need that is missing or outdated, and what is installed and needs the leaving ones."""
        arriving = {target.name: target.version for target in targets if not target.is_absent}
        leaving = [target.name for target in targets if target.is_absent]
        removes: Set[str] = set(leaving)
        for name in leaving:
            removes.update(_list_names(["uses", "--installed", "--recursive", "--formula", name], host))
        try:
            brings = self._find_brought(list(arriving), host)
        except HostError as error:
            return Foreseen(arriving, frozenset(removes), error.message)
        return Foreseen({**brings, **arriving}, frozenset(removes))

    def transact(self, targets: Sequence[Target], host: Host) -> str:
        """Remove, install, upgrade."""
        arriving = [target.name for target in targets if not target.is_absent]
        here = self.read_installed(arriving, host)
        work = (
            (["uninstall", "--force", "--formula"], [target.name for target in targets if target.is_absent]),
            (["install", "--formula"], [name for name in arriving if not here[name].version]),
            (["upgrade", "--formula"], [name for name in arriving if here[name].version]),
        )
        for words, names in work:
            if names:
                done = _run([*words, *names], host, timeout=TRANSACTION_SECONDS)
                if done.status != 0:
                    return show_end(done, f"brew {words[0]}")
        return ""

    def note_undo(self, before: Mapping[str, str], host: Host) -> None:
        """Note the removal of what is new; a version that was there comes back only while it is the one that is offered."""
        new = [name for name, version in before.items() if not version]
        old = {name: version for name, version in before.items() if version}
        if new:
            _note(["uninstall", "--force", "--formula", *new], host)
        offers: Mapping[str, Offer] = {}
        with suppress(HostError):  # what cannot be said is not promised
            offers = self.ask_offers(list(old), host, is_reading=True)
        back = [name for name, version in old.items() if offers.get(name, Offer()).candidate == version]
        lost = [f"{name} {version}" for name, version in old.items() if name not in back]
        if back:
            _note(["install", "--formula", *back], host)
        if lost:
            host.note_undo((), f"brew has one version of each formula: {', '.join(lost)} cannot come back")

    def set_hold(self, names: Sequence[str], host: Host, *, is_held: bool) -> str:
        """Pin or unpin."""
        verbs = ("pin", "unpin") if is_held else ("unpin", "pin")
        _note([verbs[1], "--formula", *names], host)
        done = _run([verbs[0], "--formula", *names], host)
        return "" if done.status == 0 else show_end(done, f"brew {verbs[0]}")

    def say_release(self, name: str) -> str:
        """Name unpin."""
        return f"brew unpin {name} would release it"

    def _find_brought(self, names: Sequence[str], host: Host) -> Dict[str, str]:
        """Give what comes along: what is missing, and what is here and outdated, with its new version."""
        needed = (
            [name for name in _list_names(["deps", "--union", "--formula", *names], host) if name not in names] if names else []
        )
        if not needed:
            return {}
        here = self.read_installed(needed, host)
        brought = {name: AS_OFFERED for name in needed if not here[name].version}
        there = [name for name in needed if here[name].version]
        if there:
            done = _run(["outdated", "--json=v2", "--formula", *there], host)  # its status says only that some are
            for formula in _read_formulae(done, "brew outdated"):
                if not formula.get("pinned"):
                    brought[str(formula.get("name"))] = str(formula.get("current_version"))
        return brought


def find_place(host: Host) -> Place:
    """Give the Homebrew of this machine; raise HostError when nobody could run it."""
    for program, prefix in PREFIXES.items():
        if host.inspect(program).type != "absent":
            cellar = f"{prefix}/Cellar"
            owner = host.inspect(cellar).owner or host.inspect(program).owner
            if owner in ("", "root"):
                raise HostError(f"{cellar} belongs to root, and brew does not work as root: give {prefix} to a user", code="E145")
            return Place(program, prefix, owner)
    raise HostError(f"there is no brew at {' or '.join(PREFIXES)}", code="E145")


def find_holder(output: str, host: Host) -> Optional[Holder]:  # noqa: ARG001  brew names no process by its number
    """Find which command of brew holds a lock; brew gives up at once."""
    match = LOCKED.search(output)
    if match is None:
        return None
    command, lock = match.group(1), (match.group(2) or "Homebrew's lock").rstrip(".")
    return Holder(lock, f"{command[0].lower()}{command[1:]} process")


def _run(words: Sequence[str], host: Host, *, timeout: int = 0) -> Finished:
    place = find_place(host)
    return run_when_free([place.program, *words], host, find_holder, environment=ENVIRONMENT, user=place.owner, timeout=timeout)


def _note(words: Sequence[str], host: Host) -> None:
    """Note an undo, which runs as whoever undoes it: that it becomes the owner is part of the command."""
    place = find_place(host)
    settings = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
    host.note_undo(["sudo", "-n", "-H", "-u", place.owner, "env", *settings, place.program, *words])


def _describe(name: str, versions: Sequence[str], place: Place, host: Host) -> Installed:
    linked = host.inspect(f"{place.prefix}/opt/{name}").target.rpartition("/")[2] if len(versions) > 1 else ""
    version = linked if linked in versions else (versions[-1] if versions else "")
    return Installed(version, is_held=host.inspect(f"{place.prefix}/var/homebrew/pinned/{name}").type != "absent")


def _ask_offer(name: str, host: Host) -> Optional[Offer]:
    done = _run(["info", "--json=v2", "--formula", name], host)
    if done.status != 0 and UNKNOWN.search(done.output):
        return None
    for formula in _read_formulae(done, "brew info"):
        versions = formula.get("versions")
        stable = cast("Mapping[str, Any]", versions).get("stable") if isinstance(versions, dict) else None
        revision = formula.get("revision")
        if formula.get("name") != name:  # asked by another name, under which it would never be found installed
            continue
        if not isinstance(stable, str):  # it can only be built from its repository
            return Offer()
        candidate = f"{stable}_{revision}" if isinstance(revision, int) and revision > 0 else stable
        return Offer(candidate, (candidate,))
    return None


def _read_formulae(done: Finished, tool: str) -> Sequence[Mapping[str, Any]]:
    """Read the formulae of an answer; warnings may stand around it."""
    start, end = ANSWER.search(done.output), done.output.rfind("}")
    try:
        found = json.loads(done.output[start.start() : end + 1]) if start else None
    except ValueError:
        found = None
    formulae = cast("Mapping[str, Any]", found).get("formulae") if isinstance(found, dict) else None
    if not isinstance(formulae, list):
        raise HostError(show_end(done, tool), code="E144")
    return [cast("Mapping[str, Any]", item) for item in cast("List[Any]", formulae) if isinstance(item, dict)]


def _list_names(words: Sequence[str], host: Host) -> Sequence[str]:
    done = _run(words, host)
    if done.status != 0:
        raise HostError(show_end(done, f"brew {words[0]}"), code="E144")
    return sorted({line.strip() for line in done.output.splitlines() if NAME.match(line.strip())})
