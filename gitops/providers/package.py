"""Packages of the machine's package manager: one query for all, one simulation, one transaction.

`present` takes any version, `latest` the candidate that the manager knows, `version` exactly that one, `absent` removes and leaves the
package's own config files. Lists are refreshed only when apply needs them: one is missing, or something wanted is not known; so
`latest` is as new as the lists. The plan names exact versions and, from one simulation, what else would be installed (`also_installs`).
At apply, what would be removed beyond the plan or installed beyond the simulation fails, and so does a package that nobody offers: the
rest of the batch goes on. A package on hold is refused, unless `hold` is declared: then the config says when it may change. What is
declared is wanted for its own sake: one that came along with another is marked so, that nothing takes it away with the other. What counts
as done is what is installed afterwards, not what the manager says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Set

from gitops.errors import HostError
from gitops.model.attribute import attribute
from gitops.model.codec import Json
from gitops.model.observation import State
from gitops.model.plan import Difference, FieldChange
from gitops.model.report import Outcome
from gitops.providers.base import Possible, Provider, Relations, Step
from gitops.providers.host import Host
from gitops.providers.packages.choose import MANAGERS, NONE_HERE, find_manager
from gitops.providers.packages.packager import OUTPUT_SHOWN, SOURCES, Foreseen, Installed, Offer, Packager, Target, bare

ALSO, FINISHES, MARKED, HOLD = "also_installs", "also_configures", "marked", "hold"
# Each of a transaction's packages remembers the others, since they may be installed one by one; beyond this many, only removals are held.
MAX_FORESEEN = 50


@dataclass(frozen=True)
class PackageSpec:
    """A package of the system's package manager."""

    name: str
    version: Optional[str] = attribute("text", "exactly this version, as the package manager prints it")
    state: str = attribute("choice", "present, absent or latest", default="present", choices=("present", "absent", "latest"))
    hold: Optional[bool] = attribute("boolean", "kept at its version by the package manager")


class PackageProvider(Provider[PackageSpec]):
    """See the module."""

    kind = "package"
    spec = PackageSpec
    summary = "a package (apt, dnf, pacman, zypper, apk, brew)"

    def observe(self, specs: Sequence[PackageSpec], host: Host) -> Mapping[str, State]:
        """State: `installed` version or empty, `broken`, `held`, `automatic`; where it matters `candidate`, `offered`, `instead`,
        `brings_down`, `brings`, `finishes`, `foreseen` (the names of the transaction that was simulated), `unholdable`.

        `manager` is there when it is not apt, `trouble` when nothing can be said of this machine's packages, `unforeseen` is why the
        manager could not simulate.
        """
        manager = find_manager(host)
        if manager is None:
            return _tell_trouble(specs, NONE_HERE)
        good = [spec for spec in specs if not find_mistake(spec, manager)]
        try:
            states = _look(manager, specs, good, host)
            _explain_holds(manager, good, states, host)
            _foresee(manager, [spec for spec in good if _is_foreseeable(spec, states[spec.name])], states, host)
        except HostError as error:
            return _tell_trouble(specs, error.message)
        return states

    def diff(self, spec: PackageSpec, state: State) -> Optional[Difference]:
        """Compare versions and hold; a change of a package on hold that is not declared is refused."""
        manager = MANAGERS[str(state.get("manager") or "apt")]
        reason = str(state.get("trouble") or "") or find_mistake(spec, manager)
        if reason:
            return Difference("refused", reason=reason)
        found = _find_difference(spec, state)
        if found is not None and state.get("held") and spec.hold is None and found.action != "refused":
            return Difference("refused", reason=f"it is on hold on this machine; {manager.say_release(spec.name)}")
        if found is not None and found.action == "refused":
            return found
        return _with_marks(found, spec, state)

    def apply(self, steps: Sequence[Step[PackageSpec]], host: Host) -> Iterator[Outcome]:
        """One transaction for the batch; when it fails, what is not done is tried alone, and told by what is then installed."""
        manager = find_manager(host)
        if manager is None:
            yield from (Outcome(step.address, step.action, "failed", NONE_HERE) for step in steps)
            return
        moving = [step for step in steps if _is_moving(step)]
        try:
            lacking = _find_lacking(manager, moving, host)
        except HostError as error:
            lacking = {step.address: error.message for step in moving}
        for step in steps:
            if step.address in lacking:
                yield Outcome(step.address, step.action, "failed", lacking[step.address])
        ready = [step for step in moving if step.address not in lacking]
        released = [step.spec.name for step in ready if step.state.get("held")]
        trouble = manager.set_hold(released, host, is_held=False) if released else ""
        outcomes = [Outcome(step.address, step.action, "changed") for step in steps if not _is_moving(step)]
        if trouble:
            outcomes.extend(Outcome(step.address, step.action, "failed", trouble) for step in ready)
        elif ready:
            _note_undo(manager, ready, host)
            outcomes.extend(_transact(manager, ready, host))
        yield from _hold(manager, steps, _mark(manager, steps, outcomes, host), host)

    def relate(self, spec: PackageSpec) -> Relations:
        """After all sources; before the service of its name and before what lies below `/etc/NAME` (of which it may be the maker)."""
        base = bare(spec.name)
        return Relations((f"package:{base}", f"path:/etc/{base}"), (SOURCES,), is_absent=spec.state == "absent")

    def bound(self, spec: PackageSpec) -> Sequence[Possible]:
        """At most: install or remove it."""
        return (Possible("remove" if spec.state == "absent" else "set"),)


def find_mistake(spec: PackageSpec, manager: Packager) -> str:
    """Say why such a package cannot be, or nothing: names and versions that the tool would take for an option or a pattern."""
    mistake = manager.find_mistake(spec.name, spec.version or "")
    if mistake:
        return mistake
    if spec.version is not None and spec.state != "present":
        return f"`version` and `state: {spec.state}` contradict each other"
    if spec.hold and spec.state != "present":
        return f"`hold` and `state: {spec.state}` contradict each other"
    return ""


def _tell_trouble(specs: Sequence[PackageSpec], trouble: str) -> Mapping[str, State]:
    return {spec.name: {"installed": "", "trouble": trouble} for spec in specs}


def _look(manager: Packager, specs: Sequence[PackageSpec], good: Sequence[PackageSpec], host: Host) -> Dict[str, Dict[str, Json]]:
    """Ask the database once and the sources once."""
    installed = manager.read_installed([spec.name for spec in good], host)
    states = {spec.name: _describe(manager, installed.get(spec.name, Installed())) for spec in specs}
    asked = [spec for spec in good if _needs_offer(spec, states[spec.name])]
    if asked:
        offers = manager.ask_offers([spec.name for spec in asked], host, is_reading=True)
        for spec in asked:
            _add_offer(spec, offers.get(spec.name, Offer()), states[spec.name])
    return states


def _describe(manager: Packager, found: Installed) -> Dict[str, Json]:
    state: Dict[str, Json] = {"installed": found.version}
    if manager.name != "apt":
        state["manager"] = manager.name
    if found.broken:
        state["broken"] = found.broken
    if found.is_held:
        state["held"] = True
    if found.is_automatic:
        state["automatic"] = True
    return state


def _explain_holds(manager: Packager, specs: Sequence[PackageSpec], states: Dict[str, Dict[str, Json]], host: Host) -> None:
    """Say of each hold that is to change why it cannot, where that is known before."""
    for is_held in (True, False):
        names = [spec.name for spec in specs if spec.hold is is_held and bool(states[spec.name].get("held")) is not is_held]
        reasons = manager.explain_hold(names, host, is_held=is_held) if names else dict[str, str]()
        for name, reason in reasons.items():
            states[name]["unholdable"] = reason


def _needs_offer(spec: PackageSpec, state: State) -> bool:
    if spec.state == "absent":
        return False
    return spec.state == "latest" or not state["installed"] or spec.version not in (None, state["installed"])


def _add_offer(spec: PackageSpec, offer: Offer, state: Dict[str, Json]) -> None:
    state["candidate"] = offer.candidate
    state["offered"] = spec.version in offer.versions if spec.version else bool(offer.candidate)
    if offer.instead and not spec.version:
        state["instead"] = offer.instead


def _is_foreseeable(spec: PackageSpec, state: State) -> bool:
    """Say whether it would change, and the manager can say how: what nobody offers or what is broken would spoil the simulation."""
    if _find_difference(spec, state) is None or (state.get("held") and spec.hold is None):
        return False
    return spec.state == "absent" or bool(state.get("offered") and not state.get("broken"))


def _foresee(manager: Packager, specs: Sequence[PackageSpec], states: Dict[str, Dict[str, Json]], host: Host) -> None:
    """Simulate all changes as one transaction; what else it would do stands with each of its packages."""
    if not specs:
        return
    targets = [_target(spec, str(states[spec.name].get("candidate") or "")) for spec in specs]
    foreseen = manager.foresee(targets, host, is_reading=True)
    here = manager.name_here([target.name for target in targets], host)
    extra = sorted(foreseen.removes - {here[target.name] for target in targets if target.is_absent})
    pulled = _find_pulled(foreseen, set(here.values()))
    arriving = [here[target.name] for target in targets if not target.is_absent]
    finishing = sorted(foreseen.finishes - set(here.values()) - set(states))
    for target in targets:
        state = states[target.name]
        if finishing:
            state["finishes"] = list[Json](finishing)
        if extra:
            state["brings_down"] = list[Json](extra)
        if foreseen.problem and not target.is_absent:
            state["unforeseen"] = foreseen.problem
        elif not target.is_absent:
            _note_foreseen(state, arriving, pulled)


def _note_foreseen(state: Dict[str, Json], arriving: Sequence[str], pulled: Mapping[str, str]) -> None:
    if len(arriving) <= MAX_FORESEEN:
        state["foreseen"] = list[Json](arriving)
    if pulled:
        state["brings"] = dict[str, Json](pulled)


def _find_pulled(foreseen: Foreseen, named: Set[str]) -> Dict[str, str]:
    return {name: version for name, version in sorted(foreseen.installs.items()) if name not in named}


def _find_difference(spec: PackageSpec, state: State) -> Optional[Difference]:
    """Compare versions only."""
    installed, broken = str(state.get("installed") or ""), str(state.get("broken") or "")
    if spec.state == "absent":
        return _diff_absent(installed or broken, state)
    if broken:
        return Difference("update", (FieldChange("status", broken, "installed"),), reason="a transaction was cut off here")
    if not installed:
        wanted = spec.version or str(state.get("candidate") or "any")
        return _with_offer(Difference("create", (FieldChange("version", None, wanted),)), state)
    if spec.state == "latest" and not state.get("candidate"):  # observed before anybody asked for it, or there is no answer
        return _with_offer(Difference("update", (FieldChange("version", installed, "latest"),), confidence="conditional"), state)
    wanted = spec.version or (str(state.get("candidate") or "") if spec.state == "latest" else "")
    if not wanted or wanted == installed:
        return None
    return _with_offer(Difference("update", (FieldChange("version", installed, wanted),)), state)


def _diff_absent(found: str, state: State) -> Optional[Difference]:
    if not found:
        return None
    return _with_removals(Difference("remove", (FieldChange("version", found, None),)), state)


def _with_marks(found: Optional[Difference], spec: PackageSpec, state: State) -> Optional[Difference]:
    """Add what is to change of its hold and of its mark as something that came along."""
    is_held, is_here = bool(state.get("held")), bool(state.get("installed"))
    marks: List[FieldChange] = []
    if spec.state != "absent" and state.get("automatic"):
        marks.append(FieldChange(MARKED, "automatic", "manual"))
    if spec.hold is not None and spec.hold != is_held and (spec.hold or is_here):
        marks.append(FieldChange(HOLD, is_held, spec.hold))
    if not marks:
        return found
    base = Difference("update") if found is None else found
    changed = replace(base, fields=(*base.fields, *marks))
    if not state.get("unholdable") or marks[-1].name != HOLD:
        return changed
    reason = f"its hold cannot be changed as it is now: {state['unholdable']}"
    return replace(changed, reason="; ".join(filter(None, (changed.reason, reason))), confidence="conditional")


def _with_removals(difference: Difference, state: State) -> Difference:
    finishes = state.get("finishes")
    if isinstance(finishes, list) and finishes:
        difference = replace(difference, fields=(*difference.fields, FieldChange(FINISHES, None, finishes)))
    others = state.get("brings_down")
    if not isinstance(others, list) or not others:
        return difference
    names = ", ".join(str(name) for name in others)
    reason = f"{_manager_of(state)} would also remove {names}: declare them absent too, or this fails"
    return replace(difference, reason=reason, confidence="conditional")


def _with_offer(difference: Difference, state: State) -> Difference:
    """Add what the sources and the simulation say."""
    name = _manager_of(state)
    if state.get("instead"):
        reason = f"{name} would install {state['instead']} in its place, which does away with it: declare that, or a `version` of this one"
        return Difference("refused", reason=reason)
    if not state.get("offered", True):
        reason = f"{name} does not know it (yet): its lists are refreshed first, then this fails if nobody offers it"
        return replace(difference, reason=reason, confidence="conditional")
    if state.get("unforeseen"):
        reason = f"{name} cannot say what comes with it: {state['unforeseen']}"
        return replace(difference, reason=reason, confidence="conditional")
    brings = state.get("brings")
    if isinstance(brings, dict) and brings:
        difference = replace(difference, fields=(*difference.fields, FieldChange(ALSO, None, dict[str, Json](brings))))
    return _with_removals(difference, state)


def _manager_of(state: State) -> str:
    return str(state.get("manager") or "apt")


def _is_moving(step: Step[PackageSpec]) -> bool:
    """Say whether its version changes (else only its hold or its mark does)."""
    return any(change.name not in (HOLD, MARKED) for change in step.difference.fields)


def _find_lacking(manager: Packager, steps: Sequence[Step[PackageSpec]], host: Host) -> Mapping[str, str]:
    """Refresh the lists if that may help, and give the reason of each step that nobody offers, by address."""
    wanted = [step for step in steps if step.action != "remove"]
    if not wanted:
        return {}
    names = [step.spec.name for step in wanted]
    refreshed = manager.refresh(host) if manager.is_stale(host) else None
    offers = manager.ask_offers(names, host, is_reading=False)
    if refreshed is None and any(_find_lack(manager, step, offers) for step in wanted):
        refreshed = manager.refresh(host)
        offers = manager.ask_offers(names, host, is_reading=False)
    trouble = ""
    if refreshed is not None and refreshed.status != 0:
        trouble = f"; {manager.refresh_name} ended with {refreshed.status}: {refreshed.output.strip()[-OUTPUT_SHOWN:]}"
    lacks = {step.address: _find_lack(manager, step, offers) for step in wanted}
    return {address: f"{lack}{trouble}" for address, lack in lacks.items() if lack}


def _find_lack(manager: Packager, step: Step[PackageSpec], offers: Mapping[str, Offer]) -> str:
    spec = step.spec
    offer = offers.get(spec.name)
    if offer is None:
        return f"{manager.name} knows no package `{spec.name}`"
    if offer.instead and not spec.version:
        return f"{manager.name} would install {offer.instead} in the place of `{spec.name}`: declare that, or a `version` of this one"
    if not offer.candidate and not spec.version:
        return f"no source of this machine offers `{spec.name}` (it may be a virtual package: name the one that provides it)"
    version = _target_of(step).version
    if version and version not in offer.versions:
        return f"version {version} of `{spec.name}` is not offered; there is {', '.join(offer.versions[:5])}"
    return ""


def _note_undo(manager: Packager, steps: Sequence[Step[PackageSpec]], host: Host) -> None:
    """Note how all goes back: what only came along is undone by itself and last, for others may need it by then."""
    before = {step.spec.name: str(step.state.get("installed") or "") for step in steps}
    named = set(manager.name_here(list(before), host).values())
    brought: Dict[str, None] = {}
    for step in steps:
        brings = step.state.get("brings")
        brought.update(dict.fromkeys(brings if isinstance(brings, dict) else (), None))
    along = sorted(name for name in brought if name not in named)
    if along:
        found = manager.read_installed(along, host)
        new = {name: "" for name in along if found.get(name, Installed()) == Installed()}
        if new:
            manager.note_undo(new, host)
    manager.note_undo(before, host)


def _transact(manager: Packager, steps: Sequence[Step[PackageSpec]], host: Host) -> Iterator[Outcome]:
    try:
        problem = _try_all(manager, steps, host)
    except HostError as error:  # a lock that is not given free: to try each alone would only wait as often
        yield from (Outcome(step.address, step.action, "failed", error.message) for step in steps)
        return
    if not problem:
        yield from _judge(manager, steps, host)
        return
    states = _look(manager, [step.spec for step in steps], [step.spec for step in steps], host)
    for step in steps:
        if _find_difference(step.spec, states[step.spec.name]) is None:
            yield Outcome(step.address, step.action, "changed")
        elif len(steps) > 1:
            yield from _transact(manager, [step], host)
        else:
            yield Outcome(step.address, step.action, "failed", problem)


def _judge(manager: Packager, steps: Sequence[Step[PackageSpec]], host: Host) -> Iterator[Outcome]:
    """Tell by what is installed now, since a manager may say that all is well and have done something else."""
    installed = manager.read_installed([step.spec.name for step in steps], host)
    for step in steps:
        found = installed.get(step.spec.name, Installed())
        state = {**_describe(manager, found), "candidate": str(step.state.get("candidate") or found.version), "offered": True}
        if _find_difference(step.spec, state) is None:
            yield Outcome(step.address, step.action, "changed")
            continue
        there = f"in version {found.version}" if found.version else f"left {found.broken}" if found.broken else "not installed"
        reason = f"{manager.name} ended without an error, but `{step.spec.name}` is {there} now"
        yield Outcome(step.address, step.action, "failed", reason)


def _try_all(manager: Packager, steps: Sequence[Step[PackageSpec]], host: Host) -> str:
    """Make one transaction; give why it failed, or nothing."""
    targets = [_target_of(step) for step in steps]
    foreseen = manager.foresee(targets, host, is_reading=False)
    here = manager.name_here([target.name for target in targets], host)
    extra = sorted(foreseen.removes - {here[target.name] for target in targets if target.is_absent})
    if extra:
        return f"{manager.name} would also remove {', '.join(extra)}, which is not in the plan: declare that too"
    if all(_is_foreseen(step) for step in steps):
        planned = _planned(steps)
        pulled = _find_pulled(foreseen, set(here.values()))
        beyond = [f"{name} {version}" for name, version in pulled.items() if planned.get(name, "") not in (None, version)]
        if beyond:
            return f"{manager.name} would now also install {', '.join(beyond)}, which is not in the plan: plan again"
    return manager.transact(targets, host)


def _planned(steps: Sequence[Step[PackageSpec]]) -> Mapping[str, Json]:
    """Give all that the plan said would be installed: versions of what comes along, None for what has a line of its own."""
    found: Dict[str, Json] = {}
    for step in steps:
        names, brings = step.state.get("foreseen"), step.state.get("brings")
        found.update({str(name): None for name in names} if isinstance(names, list) else {})
        found.update(brings if isinstance(brings, dict) else {})
    return found


def _is_foreseen(step: Step[PackageSpec]) -> bool:
    return step.action == "remove" or bool(step.state.get("foreseen"))


def _mark(manager: Packager, steps: Sequence[Step[PackageSpec]], outcomes: Sequence[Outcome], host: Host) -> Sequence[Outcome]:
    """Mark what came along and is declared; a failure is the outcome."""
    names = {step.address: step.spec.name for step in steps if any(item.name == MARKED for item in step.difference.fields)}
    wanted = [names[item.address] for item in outcomes if item.result == "changed" and item.address in names]
    trouble = manager.set_manual(wanted, host) if wanted else ""
    if not trouble:
        return outcomes
    return [
        replace(item, result="failed", message=trouble) if item.result == "changed" and item.address in names else item
        for item in outcomes
    ]


def _hold(manager: Packager, steps: Sequence[Step[PackageSpec]], outcomes: Sequence[Outcome], host: Host) -> Iterator[Outcome]:
    """Put on hold what is declared so (and what was released to be changed), release the rest; a failure is the outcome."""
    by_address = {step.address: step for step in steps}
    troubles: Dict[str, str] = {}
    for is_held in (True, False):
        names = [outcome.address for outcome in outcomes if _hold_left(by_address[outcome.address], outcome.result) is is_held]
        if names:
            trouble = manager.set_hold([by_address[name].spec.name for name in names], host, is_held=is_held)
            troubles.update(dict.fromkeys(names, trouble))
    for outcome in outcomes:
        trouble = troubles.get(outcome.address, "")
        yield replace(outcome, result="failed", message=trouble) if trouble and outcome.result == "changed" else outcome


def _hold_left(step: Step[PackageSpec], result: str) -> Optional[bool]:
    """Say what hold is still to be set after the transaction: none when it is as wanted."""
    was_held, is_released = bool(step.state.get("held")), bool(step.state.get("held")) and _is_moving(step)
    if result != "changed":
        return True if is_released else None
    is_held = was_held and not is_released
    return step.spec.hold if step.spec.hold is not None and step.spec.hold != is_held and step.spec.state == "present" else None


def _target(spec: PackageSpec, candidate: str) -> Target:
    return Target(spec.name, spec.version or candidate, spec.state == "absent")


def _target_of(step: Step[PackageSpec]) -> Target:
    """Give the exact version that the plan named, when it could."""
    is_known = bool(step.state.get("offered")) and not step.state.get("broken")
    return _target(step.spec, str(step.state.get("candidate") or "") if is_known else "")
