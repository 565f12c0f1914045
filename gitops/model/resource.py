"""A resource as the Graph holds it: one thing on one machine, and how it should be.

Takes only what a person declared, normalised and with every reference resolved but secrets; defaults are not filled in, so
that digests do not move when a default is added. Digests: `desired` is what an intent approves, `after` what an effect leaves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from sys import intern
from typing import Dict, Mapping, Tuple

from gitops.errors import MalformedError
from gitops.model.address import Address, make_address, parse_address, split_address
from gitops.model.codec import Json, digest_json
from gitops.model.facts import FactProgram, When, is_custom
from gitops.model.fields import Fields

DRIFTS = ("heal", "report")
ON_FAILURE = ("continue", "stop", "revert")
ALWAYS: When = {}


@dataclass(frozen=True)
class Resource:
    """One thing of one kind; `attributes` are those of the kind's Spec, by name.

    `on_failure` says what a run does when this fails: what does not depend on it goes on, or it stops, or it puts back what it changed.
    `facts` has the programs of the custom facts that `when` asks, by name; so a changed program is another desired state.
    """

    kind: str
    name: str
    attributes: Mapping[str, Json] = field(default_factory=dict[str, Json])
    needs: Tuple[Address, ...] = ()
    notify: Tuple[Address, ...] = ()
    when: When = field(default_factory=dict[str, Tuple[str, ...]])
    drift: str = "heal"
    on_failure: str = "continue"
    facts: Mapping[str, FactProgram] = field(default_factory=dict[str, FactProgram])

    @cached_property
    def address(self) -> Address:
        """`kind:name`."""
        return make_address(self.kind, self.name)

    @property
    def desired(self) -> str:
        """Digest of everything declared, edges, `when` and guards included."""
        return digest_json(self.to_json())

    @property
    def after(self) -> str:
        """Digest of the state that this resource leaves behind: address and attributes only."""
        return digest_json({"address": self.address, "attributes": self.attributes})

    def to_json(self) -> Dict[str, Json]:
        """Give the canonical object; what is empty or default is left out."""
        table: Dict[str, Json] = {"kind": self.kind, "name": self.name, "attributes": dict(self.attributes)}
        if self.needs:
            table["needs"] = sorted(self.needs)
        if self.notify:
            table["notify"] = sorted(self.notify)
        if self.when:
            table["when"] = {name: sorted(values) for name, values in self.when.items()}
        if self.drift != "heal":
            table["drift"] = self.drift
        if self.on_failure != "continue":
            table["on_failure"] = self.on_failure
        if self.facts:
            table["facts"] = {name: program.to_json() for name, program in self.facts.items()}
        return table

    @staticmethod
    def from_json(value: Json) -> Resource:
        """Read and check the shape; attributes are checked by the kind's Spec later."""
        fields = Fields(value, "resource")
        kind, name = intern(fields.text("kind")), fields.text("name")
        where = parse_address(f"{kind}:{name}")
        if split_address(where)[0] != kind:
            raise MalformedError(f"not a kind: got {kind[:80]!r}", code="M020")
        when = fields.table("when")
        found = Resource(
            kind=kind,
            name=name,
            attributes=fields.table("attributes"),
            needs=tuple(parse_address(text) for text in fields.texts("needs")),
            notify=tuple(parse_address(text) for text in fields.texts("notify")),
            when={fact: _values(item, where) for fact, item in when.items()} if when else ALWAYS,
            drift=fields.choice("drift", DRIFTS, "heal"),
            on_failure=fields.choice("on_failure", ON_FAILURE, "continue"),
            facts={fact: FactProgram.from_json(item) for fact, item in fields.table("facts").items()},
        )
        fields.done()
        if set(found.facts) != {fact for fact in found.when if is_custom(fact)}:
            raise MalformedError(f"{where}: `facts` are not the custom facts of its `when`", code="M014")
        return found


def _values(value: Json, where: str) -> Tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise MalformedError(f"{where}: `when` expects lists of strings", code="M014")
    return tuple(str(item) for item in value)
