"""Condition: whether a resource's `when` holds on a machine, as far as its last observation tells. Pure; the same on host and in service.

A custom fact counts only when the very program that the resource names has told it: another program's answer is not known here. One fact
that does not match decides, whatever the others are; so programs need not be asked where the other facts of a `when` say no.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Tuple

from gitops.model.observation import Observation
from gitops.model.resource import Resource

SHOWN_VALUES = 4


@dataclass(frozen=True)
class Condition:
    """`state` is met, unmet, unknown or failed; `reason` says what is not known, or why there is no answer."""

    state: str
    reason: str = ""


MET, UNMET = Condition("met"), Condition("unmet")


def judge_when(resource: Resource, observation: Observation) -> Condition:
    """Judge one resource; a fact the machine lacks never matches."""
    unknown: List[str] = []
    failed: List[str] = []
    for name, values in resource.when.items():
        program = resource.facts.get(name)
        if program is not None:
            probe = observation.probes.get(name)
            if probe is None or probe.program != program.digest:
                unknown.append(f"{name} is {_show(values)}")
                continue
            if probe.trouble:
                failed.append(f"{name}: {probe.trouble}")
                continue
        if observation.facts.get(name) not in values:
            return UNMET
    if failed:
        return Condition("failed", "; ".join(sorted(failed)))
    if unknown:
        return Condition("unknown", f"only where {' and '.join(sorted(unknown))}, which is not known here")
    return MET


def _show(values: Tuple[str, ...]) -> str:
    shown = " or ".join(values[:SHOWN_VALUES])
    return f"{shown} …" if len(values) > SHOWN_VALUES else shown
