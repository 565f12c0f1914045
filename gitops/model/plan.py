"""HostPlan and FleetPlan: what will change, why, how sure that is, and how bad it could be.

A Difference is a provider's answer about one resource; a Change is a line of a plan. Diffs hold Git's content only; what is
on a host appears as digest and size. The content digest is over a plan's canonical bytes, the change digest over its Scope.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Dict, Mapping, Optional, Tuple, cast

from gitops.errors import MalformedError
from gitops.model.address import Address, parse_address
from gitops.model.codec import Json, digest_bytes, encode_canonical, format_time
from gitops.model.fields import Fields
from gitops.model.parts import Listing, list_rows
from gitops.model.resource import Resource
from gitops.model.scope import VERBS, WHOLE, HostScope, Scope

PLAN_SCHEMA = "gitops/plan/v1"
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
class Change:
    """One line of a plan. `classification` is the class of DESIGN §4; `causes` are addresses whose change brings this one;
    `after` the digest of the state left behind (empty for remove, restart, reload, refused); `diff` lines of Git's content.
    `is_behind`: the host was seen before it had the released state, so that a difference does not mean a change by hand.
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


@dataclass(frozen=True)
class ChangeGroup:
    """The same changes on all these hosts (sorted)."""

    hosts: Tuple[str, ...]
    changes: Tuple[Change, ...]
    unmanaged: Tuple[Address, ...] = ()

    def to_json(self) -> Dict[str, Json]:
        """Give `{hosts, changes}` and, when there are any, `unmanaged`."""
        table: Dict[str, Json] = {"hosts": list(self.hosts), "changes": [change.to_json() for change in self.changes]}
        if self.unmanaged:
            table["unmanaged"] = list(self.unmanaged)
        return table

    @staticmethod
    def from_json(value: Json) -> ChangeGroup:
        """Read one."""
        fields = Fields(value, "group")
        found = ChangeGroup(
            hosts=fields.texts("hosts"),
            changes=tuple(Change.from_json(item) for item in fields.items("changes")),
            unmanaged=tuple(parse_address(text) for text in fields.texts("unmanaged")),
        )
        fields.done()
        return found


@dataclass(frozen=True)
class PlanSubject:
    """What a fleet plan is for. `base` is the released commit that it is compared with, `head` the commit proposed (empty: the work
    tree), `target` the target branch's commit that head was merged with (empty: none); `pull` is empty outside a pull request.
    """

    repository: str
    environment: str
    pull: str = ""
    base: str = ""
    head: str = ""
    target: str = ""

    def to_json(self) -> Dict[str, Json]:
        """Give the object."""
        return {
            "repository": self.repository,
            "environment": self.environment,
            "pull": self.pull,
            "base": self.base,
            "head": self.head,
            "target": self.target,
        }

    @staticmethod
    def from_json(value: Json) -> PlanSubject:
        """Read one."""
        fields = Fields(value, "plan subject")
        names = ("repository", "environment", "pull", "base", "head", "target")
        found = PlanSubject(**{name: fields.text(name, "") for name in names})
        fields.done()
        return found


@dataclass(frozen=True)
class FleetPlan:
    """Everything reviewers see for one environment. `ages` maps each affected host to when it was observed, or None (never);
    `unchanged` counts resources that stay as they are on all hosts; `reported` differ but are only reported (`drift: report`);
    `silent` says what is wanted otherwise with nothing to do today.
    """

    subject: PlanSubject
    groups: Tuple[ChangeGroup, ...] = ()
    scope: Scope = field(default_factory=Scope)
    change_digest: str = ""
    ages: Mapping[str, Optional[datetime]] = field(default_factory=dict[str, Optional[datetime]])
    unchanged: int = 0
    hosts: int = 0
    reported: Tuple[ChangeGroup, ...] = ()
    silent: Tuple[ChangeGroup, ...] = ()

    @property
    def content_digest(self) -> str:
        """SHA-256 of the stored document's bytes."""
        return digest_bytes(self.to_bytes())

    @property
    def has_changes(self) -> bool:
        """Say whether anything would change, in effect or in intent."""
        return any(not scope.is_empty for scope in self.scope.hosts.values()) or any(group.changes for group in self.groups)

    def summary(self) -> Dict[str, int]:
        """Count hosts, changed hosts, groups, and changes by action over all hosts."""
        counts: Dict[str, int] = {"hosts": self.hosts, "groups": len(self.groups), "unchanged": self.unchanged}
        counts["changed_hosts"] = len({host for group in self.groups for host in group.hosts} - {WHOLE})
        counts["changes"] = sum(len(group.hosts) * len(group.changes) for group in self.groups)
        for group in self.groups:
            for change in group.changes:
                counts[change.action] = counts.get(change.action, 0) + len(group.hosts)
        return counts

    def to_json(self) -> Dict[str, Json]:
        """Give the stored document `gitops/plan/v1` (the CLI adds `content_digest`)."""
        table: Dict[str, Json] = {
            "schema": PLAN_SCHEMA,
            "subject": self.subject.to_json(),
            "change_digest": self.change_digest,
            "summary": cast(Dict[str, Json], self.summary()),
            "groups": [group.to_json() for group in self.groups],
            "scope": self.scope.to_json(),
            "observed": {host: None if at is None else format_time(at) for host, at in self.ages.items()},
            "unchanged": self.unchanged,
            "hosts": self.hosts,
        }
        if self.reported:
            table["reported"] = [group.to_json() for group in self.reported]
        if self.silent:
            table["silent"] = [group.to_json() for group in self.silent]
        return table

    def to_bytes(self) -> bytes:
        """Give the canonical bytes that are stored under the content digest."""
        return encode_canonical(self.to_json())

    @staticmethod
    def from_json(value: Json) -> FleetPlan:
        """Read the stored document; the summary is made anew, not believed."""
        fields = Fields(value, "plan")
        fields.schema(PLAN_SCHEMA)
        fields.table("summary")
        observed = Fields(fields.table("observed"), "plan observed")
        found = FleetPlan(
            subject=PlanSubject.from_json(fields.raw("subject")),
            groups=tuple(ChangeGroup.from_json(item) for item in fields.items("groups")),
            scope=Scope.from_json(fields.raw("scope")),
            change_digest=fields.digest("change_digest"),
            unchanged=fields.integer("unchanged"),
            hosts=fields.integer("hosts"),
            reported=tuple(ChangeGroup.from_json(item) for item in fields.items("reported")),
            silent=tuple(ChangeGroup.from_json(item) for item in fields.items("silent")),
        )
        fields.done()
        ages = {host: observed.time(host) if observed.has(host) else None for host in _hosts_of(found)}
        observed.done()
        return replace(found, ages=ages)


def _read_notes(value: Json) -> Mapping[Address, str]:
    table = Fields(value, "host plan notes")
    found = {parse_address(name): table.text(name) for name in (value if isinstance(value, dict) else ())}
    table.done()
    return found


def _only_scope(scope: Scope, host: str) -> HostScope:
    if set(scope.hosts) - {host}:
        raise MalformedError("host plan: `scope` speaks of other hosts", code="M032")
    return scope.hosts.get(host, HostScope())


def _hosts_of(plan: FleetPlan) -> Tuple[str, ...]:
    grouped = {host for group in (*plan.groups, *plan.reported) for host in group.hosts}
    return tuple(sorted((grouped | set(plan.scope.hosts)) - {WHOLE}))


__all__ = [
    "ACTIONS",
    "CLASSES",
    "CONFIDENCES",
    "RISKS",
    "VERBS",
    "Change",
    "ChangeGroup",
    "Difference",
    "FieldChange",
    "FleetPlan",
    "HostPlan",
    "PlanSubject",
]
