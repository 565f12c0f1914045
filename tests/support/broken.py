"""Kinds that break one law each: what a law must notice. A thing is a file below `/things` with the declared value in it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from gitops.conformance.simulated import SimulatedHost
from gitops.errors import HostError
from gitops.model.attribute import attribute
from gitops.model.observation import State
from gitops.model.plan import Difference, FieldChange
from gitops.model.report import Outcome
from gitops.providers.base import Provider, Relations, Step
from gitops.providers.host import FileWrite, Host, Metadata

NUMBERS = itertools.count()


@dataclass(frozen=True)
class ThingSpec:
    name: str
    value: str = attribute("text", "what is in it", is_required=True)


class Sound(Provider[ThingSpec]):
    """Breaks none."""

    kind: ClassVar[str] = "broken"
    spec = ThingSpec
    summary = "a thing for tests"

    def observe(self, specs: Sequence[ThingSpec], host: Host) -> Mapping[str, State]:
        return {spec.name: {"value": host.read_text(path_of(spec))} for spec in specs}

    def diff(self, spec: ThingSpec, state: State) -> Difference | None:
        found = state.get("value")
        return None if found == spec.value else Difference("update", (FieldChange("value", found, spec.value),))

    def apply(self, steps: Sequence[Step[ThingSpec]], host: Host) -> Iterator[Outcome]:
        host.prepare([path_of(step.spec) for step in steps])
        for step in steps:
            host.write_files([FileWrite(path_of(step.spec), step.spec.value, Metadata())])
            yield Outcome(step.address, step.action, "changed")

    def relate(self, spec: ThingSpec) -> Relations:
        return Relations()


class WritesWhenObserving(Sound):
    def observe(self, specs: Sequence[ThingSpec], host: Host) -> Mapping[str, State]:
        real(host, "/things/seen").write_text("")
        return super().observe(specs, host)


class PlansAtRandom(Sound):
    def diff(self, spec: ThingSpec, state: State) -> Difference | None:
        found = super().diff(spec, state)
        return found and Difference("update", (FieldChange("value", None, next(NUMBERS)),))


class DoesSomethingElse(Sound):
    def apply(self, steps: Sequence[Step[ThingSpec]], host: Host) -> Iterator[Outcome]:
        for outcome in super().apply(steps, host):
            yield Outcome(outcome.address, "replace", outcome.result)


class NeverRests(Sound):
    def diff(self, spec: ThingSpec, state: State) -> Difference | None:
        return Difference("update", (FieldChange("value", None, spec.value),))


class KnowsTheOrder(Sound):
    def observe(self, specs: Sequence[ThingSpec], host: Host) -> Mapping[str, State]:
        return {spec.name: {"value": f"place {place}"} for place, spec in enumerate(specs)}


class WritesBehindTheJournal(Sound):
    def apply(self, steps: Sequence[Step[ThingSpec]], host: Host) -> Iterator[Outcome]:
        host.note_undo(["getent", "passwd", "nobody"])
        for step in steps:
            real(host, path_of(step.spec)).write_text(step.spec.value)
            yield Outcome(step.address, step.action, "changed")


class TellsSecrets(Sound):
    def apply(self, steps: Sequence[Step[ThingSpec]], host: Host) -> Iterator[Outcome]:
        host.run(["getent", "passwd", "hunter2"])
        yield from super().apply(steps, host)


class IgnoresFailures(Sound):
    def apply(self, steps: Sequence[Step[ThingSpec]], host: Host) -> Iterator[Outcome]:
        try:
            host.run(["getent", "passwd", "root"])
        except HostError:
            yield from (Outcome(step.address, step.action, "changed") for step in steps)
        else:
            yield from super().apply(steps, host)


def path_of(spec: ThingSpec) -> str:
    return f"/things/{spec.name}"


def real(host: Any, path: str) -> Path:
    assert isinstance(host, SimulatedHost)
    return Path(host.tree.root + path)
