"""The custom facts of one run: each is told by its program, at most once, and only where some `when` still needs it.

Takes what is known of the machine, its resources and a way to ask; gives the observation with what was told, or why nothing was. What may
not be asked (a plan without guards) stays unknown. With another root no program is asked: it would tell of the running machine.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Callable, Dict, Iterable, Tuple

from gitops.errors import MalformedError, TrueupError
from gitops.model.facts import FactProgram, Probe
from gitops.model.observation import Observation
from gitops.model.resource import Resource
from gitops.plan.condition import judge_when
from gitops.providers.steps import describe_failure

Ask = Callable[[FactProgram], str]
OTHER_ROOT = "it is not asked with --root: its program would tell of the running machine"


class CustomFacts:
    """What was told in this run. `may_run` says whether programs of the project may; `root` is not empty for another root."""

    def __init__(self, *, may_run: bool, root: str) -> None:
        self._may_run = may_run
        self._root = root
        self._told: Dict[str, Tuple[Probe, str]] = {}

    def add(self, seen: Observation, resources: Iterable[Resource], ask: Ask) -> Observation:
        """Give the observation with every custom fact that these resources need to know whether their `when` holds."""
        if not (self._may_run or self._root):
            return seen
        facts, probes = dict(seen.facts), dict(seen.probes)
        found = replace(seen, facts=facts, probes=probes)
        for resource in resources:
            for name in sorted(resource.facts):
                if judge_when(resource, found).state != "unknown":
                    break
                probe, value = self._tell(name, resource.facts[name], ask)
                probes[name] = probe
                if not probe.trouble:
                    facts[name] = value
        return found

    def _tell(self, name: str, fact: FactProgram, ask: Ask) -> Tuple[Probe, str]:
        """Ask, or give what was told before; raise MalformedError when the graph has two programs for one name."""
        if name not in self._told:
            self._told[name] = self._ask(fact, ask)
        probe, value = self._told[name]
        if probe.program != fact.digest:
            raise MalformedError(f"two programs tell `{name}` in one graph", code="M014")
        return probe, value

    def _ask(self, fact: FactProgram, ask: Ask) -> Tuple[Probe, str]:
        if self._root:
            return Probe(fact.digest, OTHER_ROOT), ""
        try:
            return Probe(fact.digest), ask(fact)
        except (TrueupError, OSError) as error:
            return Probe(fact.digest, describe_failure(error)), ""
