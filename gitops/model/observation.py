"""Observation: what one machine was found to be, at one time.

A state is a JSON object whose keys belong to the kind's provider; it never holds file content or a secret, only digests and
sizes. Planning uses the same states on the host and in the service, so both plans agree.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Dict, FrozenSet, Iterable, List, Mapping, Sequence, cast

from gitops.errors import MalformedError
from gitops.model.address import Address, parse_address
from gitops.model.codec import Json, format_time, is_digest
from gitops.model.facts import Facts, Probe
from gitops.model.fields import Fields

OBSERVATION_SCHEMA = "gitops/observation/v1"

State = Mapping[str, Json]
MOST_NESTED = 16


@dataclass(frozen=True)
class Observation:
    """States by address. An address that is missing was never observed; `serial` is the release the host last accepted (0: none).

    `probes` says of each custom fact that was asked which program told it, or why it did not; its value stands with the other facts.
    `as_released` are the digests of the blocks whose resources the host found to be as they should be, each and every one.
    """

    host: str
    at: datetime
    facts: Facts = field(default_factory=dict[str, str])
    states: Mapping[Address, State] = field(default_factory=dict[Address, State])
    serial: int = 0
    probes: Mapping[str, Probe] = field(default_factory=dict[str, Probe])
    as_released: FrozenSet[str] = frozenset()

    def to_json(self) -> Dict[str, Json]:
        """Give the document `gitops/observation/v1`."""
        table: Dict[str, Json] = {
            "schema": OBSERVATION_SCHEMA,
            "host": self.host,
            "at": format_time(self.at),
            "facts": dict(self.facts),
            "states": {str(address): state for address, state in self.states.items()},
            "serial": self.serial,
        }
        if self.probes:
            table["probes"] = {name: probe.to_json() for name, probe in self.probes.items()}
        if self.as_released:
            table["as_released"] = sorted(self.as_released)
        return table

    @staticmethod
    def from_json(value: Json) -> Observation:
        """Read the document; states are read by the kinds' providers."""
        fields = Fields(value, "observation")
        fields.schema(OBSERVATION_SCHEMA)
        found = Observation(
            host=fields.text("host"),
            at=fields.time("at"),
            facts={name: _text(item) for name, item in fields.table("facts").items()},
            states={parse_address(name): _state(item) for name, item in fields.table("states").items()},
            serial=fields.integer("serial", 0),
            probes={name: Probe.from_json(item) for name, item in fields.table("probes").items()},
            as_released=_digests(fields.texts("as_released")),
        )
        fields.done()
        return found


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise MalformedError("observation: facts are strings", code="M014")
    return value


def _digests(texts: Sequence[str]) -> FrozenSet[str]:
    if not all(map(is_digest, texts)):
        raise MalformedError("observation: `as_released` expects digests", code="M014")
    return frozenset(texts)


def _state(value: Json) -> State:
    if not isinstance(value, dict):
        raise MalformedError("observation: a state is an object", code="M014")
    level: List[Json] = [value]
    for _ in range(MOST_NESTED):
        level = [inner for item in level for inner in _inside(item)]
    if level:
        raise MalformedError(f"observation: a state is nested more than {MOST_NESTED} deep", code="M014")
    return cast(State, value)


def _inside(value: Json) -> Iterable[Json]:
    if isinstance(value, dict):
        return cast("Mapping[str, Json]", value).values()
    return value if isinstance(value, (list, tuple)) else ()
