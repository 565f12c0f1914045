"""Packages through apt and dpkg: one query for all, one transaction for all.

`present` takes any version, `latest` the candidate that apt knows, `version` exactly that one, `absent` removes and leaves the
package's own config files. `name:arch` means another architecture. Recommended packages are not pulled in and nothing asks
questions; config files that an administrator changed are kept. Lists are refreshed only when apply needs them: one is missing, or
something wanted is not known; so `latest` is as new as the lists. What apt would remove beyond the plan fails, and so does a package
that nobody offers: the rest of the batch goes on. A package on hold is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

from gitops.model.attribute import attribute
from gitops.model.codec import Json
from gitops.model.observation import State
from gitops.model.plan import Difference, FieldChange
from gitops.model.report import Outcome
from gitops.providers.base import Possible, Provider, Relations, Step
from gitops.providers.host import Finished, Host

TRANSACTION_SECONDS = 1800
OUTPUT_SHOWN = 1000
LISTS = "/var/lib/apt/lists"
PROGRAM = "/usr/bin/apt-get"
FIELDS = ("Package", "Architecture", "db:Status-Want", "db:Status-Status", "db:Status-Eflag", "Version")
# The package `dpkg` itself tells the machine's own architecture.
QUERY = ("dpkg-query", "-W", "-f", "\\t".join(f"${{{name}}}" for name in FIELDS) + "\\n", "--", "dpkg")
# Reading must not write apt's caches.
IN_MEMORY = ("-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=")
APT = ("apt-get", "-y", "-q", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold", "-o", "DPkg::Lock::Timeout=60")
QUIET: Mapping[str, Json] = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1"}
INSTALLED = ("installed", "triggers-awaited", "triggers-pending")
BROKEN = ("half-installed", "unpacked", "half-configured")
NAME = re.compile(r"[a-z0-9][a-z0-9+.-]*[a-z0-9+](:[a-z0-9][a-z0-9-]*)?\Z")
VERSION = re.compile(r"[0-9][A-Za-z0-9.+~:-]*\Z")
CANDIDATE = "  Candidate: "
LISTED_VERSION = re.compile(r" (?:\*\*\*|   ) (\S+) -?\d+\Z")
REMOVAL = re.compile(r"(?:Remv|Purg) (\S+)")


@dataclass(frozen=True)
class PackageSpec:
    """A package of the system's package manager."""

    name: str
    version: Optional[str] = attribute("text", "exactly this version")
    state: str = attribute("choice", "present, absent or latest", default="present", choices=("present", "absent", "latest"))


@dataclass(frozen=True)
class Offer:
    """What apt knows of a package: its candidate (empty: none) and every version it could install."""

    candidate: str = ""
    versions: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Installed:
    """What dpkg knows of a package; `broken` is the state it was left in by a transaction that was cut off."""

    version: str = ""
    broken: str = ""
    is_held: bool = False


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


class PackageProvider(Provider[PackageSpec]):
    """See the module."""

    kind = "package"
    spec = PackageSpec
    summary = "a package (apt)"

    def observe(self, specs: Sequence[PackageSpec], host: Host) -> Mapping[str, State]:
        """State: `installed` version or empty, `broken`, `held`; where it matters `candidate`, `offered`, `brings_down`.

        `trouble` is why nothing can be said of this machine's packages.
        """
        if host.inspect(PROGRAM).type == "absent":
            return _tell_trouble(specs, "there is no apt on this machine")
        good = [spec for spec in specs if not find_mistake(spec)]
        listed = host.run([*QUERY, *(spec.name for spec in good)])
        database = read_database(listed.output)
        if not database.architecture:  # not even dpkg itself: to take that for "nothing is installed" would be a lie
            return _tell_trouble(specs, f"dpkg-query ended with {listed.status}: {listed.output.strip()[-OUTPUT_SHOWN:]}")
        states = {spec.name: _describe(database.find(spec.name)) for spec in specs}
        asked = [spec for spec in good if _needs_offer(spec, states[spec.name])]
        if asked:
            offers = ask_offers([spec.name for spec in asked], host, IN_MEMORY)
            for spec in asked:
                _add_offer(spec, offers.get(spec.name, Offer()), states[spec.name])
        leaving = [spec.name for spec in good if self._is_removal(spec, states[spec.name])]
        if leaving:
            extra = sorted(_simulate([f"{name}-" for name in leaving], host, IN_MEMORY) - _bare_names(leaving))
            for name in leaving if extra else ():
                states[name]["brings_down"] = list[Json](extra)
        return states

    def diff(self, spec: PackageSpec, state: State) -> Optional[Difference]:
        """Compare versions; a change of a package on hold is refused."""
        reason = find_mistake(spec) or str(state.get("trouble") or "")
        if reason:
            return Difference("refused", reason=reason)
        found = self._find_difference(spec, state)
        if found is not None and state.get("held"):
            hint = f"apt-mark unhold {spec.name} would release it"
            return Difference("refused", reason=f"it is on hold on this machine; {hint}")
        return found

    def apply(self, steps: Sequence[Step[PackageSpec]], host: Host) -> Iterator[Outcome]:
        """One apt transaction for the batch; when it fails, what is not done is tried alone, and told by what is then installed."""
        lacking = _find_lacking(steps, host)
        for step in steps:
            if step.address in lacking:
                yield Outcome(step.address, step.action, "failed", lacking[step.address])
        ready = [step for step in steps if step.address not in lacking]
        if ready:
            _note_undo(ready, host)
            yield from self._transact(ready, host)

    def relate(self, spec: PackageSpec) -> Relations:
        """A package comes before the service of its name and before what lies below `/etc/NAME` (of which it may be the maker)."""
        base = spec.name.partition(":")[0]
        return Relations((f"package:{base}", f"path:/etc/{base}"), (), is_absent=spec.state == "absent")

    def bound(self, spec: PackageSpec) -> Sequence[Possible]:
        """At most: install or remove it."""
        return (Possible("remove" if spec.state == "absent" else "set"),)

    def _find_difference(self, spec: PackageSpec, state: State) -> Optional[Difference]:
        installed, broken = str(state.get("installed") or ""), str(state.get("broken") or "")
        if spec.state == "absent":
            return _diff_absent(installed or broken, state)
        if broken:
            return Difference("update", (FieldChange("status", broken, "installed"),), reason="a transaction was cut off here")
        if not installed:
            return _diff_missing(spec, state)
        if spec.state == "latest" and not state.get("candidate"):  # observed before anybody asked for it, or apt gives no answer
            return _with_offer(
                Difference("update", (FieldChange("version", installed, "latest"),), confidence="conditional"), state
            )
        wanted = spec.version or (str(state.get("candidate") or "") if spec.state == "latest" else "")
        if not wanted or wanted == installed:
            return None
        return _with_offer(Difference("update", (FieldChange("version", installed, wanted),)), state)

    def _is_removal(self, spec: PackageSpec, state: State) -> bool:
        return spec.state == "absent" and self._find_difference(spec, state) is not None

    def _transact(self, steps: Sequence[Step[PackageSpec]], host: Host) -> Iterator[Outcome]:
        problem = _try_all(steps, host)
        if not problem:
            yield from (Outcome(step.address, step.action, "changed") for step in steps)
            return
        states = self.observe([step.spec for step in steps], host)
        for step in steps:
            if self.diff(step.spec, states[step.spec.name]) is None:
                yield Outcome(step.address, step.action, "changed")
            elif len(steps) > 1:
                yield from self._transact([step], host)
            else:
                yield Outcome(step.address, step.action, "failed", problem)


def find_mistake(spec: PackageSpec) -> str:
    """Say why such a package cannot be, or nothing: names and versions that apt would take for an option or a pattern."""
    if not NAME.match(spec.name):
        return f"`{spec.name[:80]}` is not a package's name (small letters, digits, `+`, `.`, `-`; `:arch` may follow)"
    if spec.version is not None and not VERSION.match(spec.version):
        return f"`{spec.version[:80]}` is not a package's version; it must be whole, without wildcards"
    if spec.version is not None and spec.state != "present":
        return f"`version` and `state: {spec.state}` contradict each other"
    return ""


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


def ask_offers(names: Sequence[str], host: Host, options: Sequence[str] = ()) -> Dict[str, Offer]:
    """Ask apt what it could install."""
    return read_offers(host.run(["apt-cache", *options, "policy", "--", *names]).output)


def _tell_trouble(specs: Sequence[PackageSpec], trouble: str) -> Mapping[str, State]:
    return {spec.name: {"installed": "", "trouble": trouble} for spec in specs}


def _describe(found: Installed) -> Dict[str, Json]:
    state: Dict[str, Json] = {"installed": found.version}
    if found.broken:
        state["broken"] = found.broken
    if found.is_held:
        state["held"] = True
    return state


def _needs_offer(spec: PackageSpec, state: State) -> bool:
    if spec.state == "absent":
        return False
    return spec.state == "latest" or not state["installed"] or spec.version not in (None, state["installed"])


def _add_offer(spec: PackageSpec, offer: Offer, state: Dict[str, Json]) -> None:
    state["candidate"] = offer.candidate
    state["offered"] = spec.version in offer.versions if spec.version else bool(offer.candidate)


def _diff_absent(found: str, state: State) -> Optional[Difference]:
    if not found:
        return None
    difference = Difference("remove", (FieldChange("version", found, None),))
    others = state.get("brings_down")
    if not isinstance(others, list) or not others:
        return difference
    names = ", ".join(str(name) for name in others)
    reason = f"apt would also remove {names}: declare them absent too, or this fails"
    return Difference("remove", difference.fields, reason, "conditional")


def _diff_missing(spec: PackageSpec, state: State) -> Difference:
    wanted = spec.version or str(state.get("candidate") or "any")
    return _with_offer(Difference("create", (FieldChange("version", None, wanted),)), state)


def _with_offer(difference: Difference, state: State) -> Difference:
    if state.get("offered", True):
        return difference
    reason = "apt does not know it (yet): its lists are refreshed first, then this fails if nobody offers it"
    return Difference(difference.action, difference.fields, reason, "conditional")


def _find_lacking(steps: Sequence[Step[PackageSpec]], host: Host) -> Mapping[str, str]:
    """Refresh the lists if that may help, and give the reason of each step that nobody offers, by address."""
    wanted = [step for step in steps if step.action != "remove"]
    if not wanted:
        return {}
    names = [step.spec.name for step in wanted]
    refreshed = _refresh(host) if _is_list_missing(host) else None
    offers = ask_offers(names, host)
    if refreshed is None and any(_find_lack(step.spec, offers) for step in wanted):
        refreshed = _refresh(host)
        offers = ask_offers(names, host)
    trouble = ""
    if refreshed is not None and refreshed.status != 0:
        trouble = f"; apt-get update ended with {refreshed.status}: {refreshed.output.strip()[-OUTPUT_SHOWN:]}"
    lacks = {step.address: _find_lack(step.spec, offers) for step in wanted}
    return {address: f"{lack}{trouble}" for address, lack in lacks.items() if lack}


def _find_lack(spec: PackageSpec, offers: Mapping[str, Offer]) -> str:
    offer = offers.get(spec.name)
    if offer is None:
        return f"apt knows no package `{spec.name}`"
    if not offer.candidate:
        return f"no source of this machine offers `{spec.name}` (it may be a virtual package: name the one that provides it)"
    if spec.version is not None and spec.version not in offer.versions:
        return f"version {spec.version} of `{spec.name}` is not offered; there is {', '.join(offer.versions[:5])}"
    return ""


def _refresh(host: Host) -> Finished:
    return host.run([*APT, "update"], environment=QUIET, timeout=TRANSACTION_SECONDS)


def _is_list_missing(host: Host) -> bool:
    """Say whether a configured source has no list here: it was added since, or the lists were cleared."""
    done = host.run(["apt-get", "indextargets", "--format", "$(FILENAME)", "Created-By: Packages"])
    wanted = [line.rpartition("/")[2] for line in done.output.splitlines() if line.startswith(f"{LISTS}/")]
    names = host.list_names(LISTS) if host.inspect(LISTS).type == "directory" else ()
    present = {name for listed in names for name in (listed, listed.rpartition(".")[0])}
    return any(name not in present for name in wanted)


def _try_all(steps: Sequence[Step[PackageSpec]], host: Host) -> str:
    """Make one transaction; give why it failed, or nothing."""
    arguments = [_argument(step) for step in steps]
    planned = _bare_names([step.spec.name for step in steps if step.action == "remove"])
    extra = sorted(_simulate(arguments, host) - planned)
    if extra:
        return f"apt would also remove {', '.join(extra)}, which is not in the plan: declare that too"
    done = _install(arguments, host)
    if done.status != 0 and "dpkg --configure -a" in done.output:  # a transaction was cut off before
        host.run(["dpkg", "--force-confold", "--configure", "-a"], environment=QUIET, timeout=TRANSACTION_SECONDS)
        done = _install(arguments, host)
    return "" if done.status == 0 else f"apt-get ended with {done.status}: {done.output.strip()[-OUTPUT_SHOWN:]}"


def _install(arguments: Sequence[str], host: Host) -> Finished:
    argv = [*APT, "install", "--allow-downgrades", "--", *arguments]
    return host.run(argv, environment=QUIET, timeout=TRANSACTION_SECONDS)


def _simulate(arguments: Sequence[str], host: Host, options: Sequence[str] = ()) -> Set[str]:
    """Give the names of all that apt would remove; nothing when it cannot say (the transaction then says why)."""
    done = host.run([*APT, *options, "-s", "install", "--allow-downgrades", "--", *arguments], environment=QUIET)
    return {match.group(1).partition(":")[0] for match in map(REMOVAL.match, done.output.splitlines()) if match}


def _bare_names(names: Sequence[str]) -> Set[str]:
    return {name.partition(":")[0] for name in names}


def _argument(step: Step[PackageSpec]) -> str:
    if step.action == "remove":
        return f"{step.spec.name}-"
    return f"{step.spec.name}={step.spec.version}" if step.spec.version else step.spec.name


def _note_undo(steps: Sequence[Step[PackageSpec]], host: Host) -> None:
    """Note one undo for all that is new and one for all that had a version; dpkg refuses to break what came to depend on them."""
    before = {step.spec.name: str(step.state.get("installed") or "") for step in steps}
    new: List[str] = [name for name, version in before.items() if not version]
    old = [f"{name}={version}" for name, version in before.items() if version]
    if new:
        host.note_undo(["dpkg", "--remove", "--", *new])
    if old:
        host.note_undo([*APT, "install", "--allow-downgrades", "--", *old])
