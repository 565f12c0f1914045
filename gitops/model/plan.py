"""HostPlan: what one machine would do, why, how sure that is, and how bad it could be.

A Difference is a provider's answer about one resource; a Change is a line of a plan. Diffs hold Git's content only; what is
on a host appears as digest and size. What a fleet would do is `gitops.model.fleetplan`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Dict, Mapping, Optional, Tuple

from gitops.errors import MalformedError
from gitops.model.address import Address, parse_address
from gitops.model.codec import Json, format_time
from gitops.model.fields import Fields
from gitops.model.parts import Listing, list_rows
from gitops.model.resource import Resource
from gitops.model.scope import HostScope, Scope

HOST_PLAN_SCHEMA = "gitops/host-plan/v1"
ACTIONS = ("create", "update", "replace", "remove", "run", "restart", "reload", "refused")
CLASSES = ("initial", "intentional", "corrective", "conflict")
CONFIDENCES = ("exact", "conditional", "opaque")
RISKS = ("low", "medium", "high")
OWED = "a run before this one did what asks for it, and did not get to it"
VERB_OF: Mapping[str, str] = {"create": "set", "update": "set", "refused": ""}


@dataclass(frozen=True)
class FieldChange:
    """One attribute before and after; file content stands as `{digest, size}`, a secret as its reference."""

    name: str
    before: Json
    after: Json

    def to_json(self) -> Dict[str, Json]:
        """Give `{name, before, after}`."""
        return {"name": self.name, "before": self.before, "after": self.after}

    @staticmethod
    def from_json(value: Json) -> FieldChange:
        """Read one."""
        fields = Fields(value, "field change")
        found = FieldChange(fields.text("name"), fields.raw("before"), fields.raw("after"))
        fields.done()
        return found


@dataclass(frozen=True)
class Difference:
    """A provider's answer: what must be done to bring one state to its Spec. `implied` are resources it needs that nobody declared
    (missing parent directories). A `refused` difference says why in `reason` and has no effect. `is_refresh` says that doing it also
    does what a notification would ask (a stopped service is started), so that no restart follows. `obstacle` says what stands in its way
    on the machine as it is: the planner refuses it then, unless something before it may clear the way.
    """

    action: str
    fields: Tuple[FieldChange, ...] = ()
    reason: str = ""
    confidence: str = "exact"
    implied: Tuple[Resource, ...] = ()
    is_refresh: bool = False
    obstacle: str = ""


@dataclass(frozen=True)
class Variation:
    """How a change differs from host to host, in content alone: so many variants, of which that of the host `sample` is shown; `index` is
    the digest under which all of them are found (`gitops.model.variants`).
    """

    count: int
    sample: str
    index: str

    def to_json(self) -> Dict[str, Json]:
        """Give `{variants, sample, index}`."""
        return {"variants": self.count, "sample": self.sample, "index": self.index}

    @staticmethod
    def from_json(value: Json) -> Variation:
        """Read one."""
        fields = Fields(value, "variation")
        found = Variation(fields.integer("variants"), fields.text("sample"), fields.digest("index"))
        fields.done()
        return found


@dataclass(frozen=True)
class Change:
    """One line of a plan. `classification` is the class of DESIGN §4; `causes` are addresses whose change brings this one;
    `after` the digest of the state left behind (empty for remove, restart, reload, refused); `diff` lines of Git's content.
    `is_behind`: the host was seen before it had the released state, so that a difference does not mean a change by hand.
    `differs`: content, and so `after`, `fields` and `diff`, are those of one host, and others' are other ones (in plans of a fleet alone).
    """

    address: Address
    action: str
    classification: str
    confidence: str = "exact"
    risk: str = "low"
    after: str = ""
    fields: Tuple[FieldChange, ...] = ()
    diff: Tuple[str, ...] = ()
    causes: Tuple[Address, ...] = ()
    reason: str = ""
    is_upper_bound: bool = False
    is_behind: bool = False
    differs: Optional[Variation] = None

    @property
    def verb(self) -> str:
        """The verb of the effect: `set` for create and update; empty when refused."""
        return VERB_OF.get(self.action, self.action)

    def to_json(self) -> Dict[str, Json]:
        """Give the object of `groups[].changes[]` in DESIGN §8; empty parts are left out but `diff`."""
        table: Dict[str, Json] = {
            "address": self.address,
            "action": self.action,
            "class": self.classification,
            "confidence": self.confidence,
            "risk": self.risk,
            "diff": list(self.diff),
        }
        if self.after:
            table["after"] = self.after
        if self.fields:
            table["fields"] = [item.to_json() for item in self.fields]
        if self.causes:
            table["causes"] = list(self.causes)
        if self.reason:
            table["reason"] = self.reason
        if self.is_upper_bound:
            table["upper_bound"] = True
        if self.is_behind:
            table["behind"] = True
        if self.differs is not None:
            table["differs"] = self.differs.to_json()
        return table

    @staticmethod
    def from_json(value: Json) -> Change:
        """Read one."""
        fields = Fields(value, "change")
        found = Change(
            address=parse_address(fields.text("address")),
            action=fields.choice("action", ACTIONS),
            classification=fields.choice("class", CLASSES),
            confidence=fields.choice("confidence", CONFIDENCES),
            risk=fields.choice("risk", RISKS),
            after=fields.text("after", ""),
            fields=tuple(FieldChange.from_json(item) for item in fields.items("fields")),
            diff=fields.texts("diff"),
            causes=tuple(parse_address(text) for text in fields.texts("causes")),
            reason=fields.text("reason", ""),
            is_upper_bound=fields.flag("upper_bound", default=False),
            is_behind=fields.flag("behind", default=False),
            differs=Variation.from_json(fields.raw("differs")) if fields.has("differs") else None,
        )
        fields.done()
        return found


@dataclass(frozen=True)
class HostPlan:
    """What one machine would do. `changes` stand in the order they would be made; `unmanaged` left the config and stay as they are;
    `reported` differ but are only reported (`drift: report`); `implied` are resources nobody declared (parents). `notes` say of unchanged
    resources what they leave alone though the declaration could be read to mean it. `silent` is wanted otherwise with nothing to do: only
    who compares releases knows it, and no machine's plan holds any.
    """

    host: str
    observed: Optional[datetime]
    changes: Tuple[Change, ...] = ()
    unchanged: int = 0
    unmanaged: Tuple[Address, ...] = ()
    reported: Tuple[Change, ...] = ()
    implied: Tuple[Resource, ...] = ()
    scope: HostScope = field(default_factory=HostScope)
    notes: Mapping[Address, str] = field(default_factory=dict[Address, str])
    silent: Tuple[Change, ...] = ()

    @property
    def is_refused(self) -> bool:
        """Say whether an item is refused."""
        return any(change.action == "refused" for change in self.changes)

    def to_json(self, listing: Listing = list_rows) -> Dict[str, Json]:
        """Give the document `gitops/host-plan/v1`; with `Rows` as `listing`, one to be written in parts."""
        table: Dict[str, Json] = {
            "schema": HOST_PLAN_SCHEMA,
            "host": self.host,
            "observed": None if self.observed is None else format_time(self.observed),
            "changes": listing(self.changes, Change.to_json),
            "unchanged": self.unchanged,
            "unmanaged": list(self.unmanaged),
            "reported": [change.to_json() for change in self.reported],
            "implied": [resource.to_json() for resource in self.implied],
            "scope": Scope({self.host: self.scope}).to_json(listing),
        }
        if self.notes:
            table["notes"] = {str(address): note for address, note in self.notes.items()}
        return table

    @staticmethod
    def from_json(value: Json) -> HostPlan:
        """Read the document."""
        fields = Fields(value, "host plan")
        fields.schema(HOST_PLAN_SCHEMA)
        host = fields.text("host")
        found = HostPlan(
            host=host,
            observed=fields.time("observed") if fields.has("observed") else None,
            changes=tuple(Change.from_json(item) for item in fields.items("changes")),
            unchanged=fields.integer("unchanged"),
            unmanaged=tuple(parse_address(text) for text in fields.texts("unmanaged")),
            reported=tuple(Change.from_json(item) for item in fields.items("reported")),
            implied=tuple(Resource.from_json(item) for item in fields.items("implied")),
            scope=_only_scope(Scope.from_json(fields.raw("scope")), host),
            notes=_read_notes(fields.raw("notes")) if fields.has("notes") else {},
        )
        fields.done()
        return found


def _read_notes(value: Json) -> Mapping[Address, str]:
    table = Fields(value, "host plan notes")
    found = {parse_address(name): table.text(name) for name in (value if isinstance(value, dict) else ())}
    table.done()
    return found


def _only_scope(scope: Scope, host: str) -> HostScope:
    if set(scope.hosts) - {host}:
        raise MalformedError("host plan: `scope` speaks of other hosts", code="M032")
    return scope.hosts.get(host, HostScope())
