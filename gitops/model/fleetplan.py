"""FleetPlan: what reviewers see for one environment, folded by change, and what of it stands in parts of its own.

A group is a set of hosts with the changes that are equal on exactly these; a host is in as many groups as it takes. What differs from
host to host in content alone is one change with a sample; its variants lie in parts, each named by its digest, so that nobody need read
them all. The content digest is over the canonical bytes of the plan, the change digest over its Scope.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Dict, Mapping, Optional, Tuple, cast

from gitops.model.address import Address, parse_address
from gitops.model.addressed import ReadPart, refuse_parts
from gitops.model.codec import Json, digest_bytes, encode_canonical, format_time
from gitops.model.fields import Fields
from gitops.model.plan import Change
from gitops.model.scope import WHOLE, Scope
from gitops.model.scopetree import TreeScopes, find_root, plant

PLAN_SCHEMA = "gitops/plan/v2"


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
    `silent` says what is wanted otherwise with nothing to do today. `parts` are the documents that the plan names by digest, those of the
    scope's tree and of variants: they are stored beside it, and of a plan that is read they are read one by one.
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
    parts: Mapping[str, bytes] = field(default_factory=dict[str, bytes], compare=False)

    @property
    def content_digest(self) -> str:
        """SHA-256 of the stored document's bytes."""
        return digest_bytes(self.to_bytes())

    @property
    def has_changes(self) -> bool:
        """Say whether anything would change, in effect or in intent."""
        return bool(len(self.scope.hosts)) or any(group.changes for group in self.groups)

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
        """Give the stored document `gitops/plan/v2` (the CLI adds `content_digest`)."""
        table: Dict[str, Json] = {
            "schema": PLAN_SCHEMA,
            "subject": self.subject.to_json(),
            "change_digest": self.change_digest,
            "summary": cast(Dict[str, Json], self.summary()),
            "groups": [group.to_json() for group in self.groups],
            "scope": {"root": find_root(self.scope), "hosts": len(self.scope.hosts)},
            "observed": {host: None if at is None else format_time(at) for host, at in self.ages.items()},
            "unchanged": self.unchanged,
            "hosts": self.hosts,
        }
        if self.reported:
            table["reported"] = [group.to_json() for group in self.reported]
        if self.silent:
            table["silent"] = [group.to_json() for group in self.silent]
        return table

    def to_parts(self) -> Dict[str, bytes]:
        """Give every document that this one names, by digest."""
        known = isinstance(self.scope.hosts, TreeScopes)
        return {**({} if known else plant(self.scope).documents), **self.parts}

    def to_bytes(self) -> bytes:
        """Give the canonical bytes that are stored under the content digest."""
        return encode_canonical(self.to_json())

    @staticmethod
    def from_json(value: Json, read: ReadPart = refuse_parts) -> FleetPlan:
        """Read the stored document; the summary is made anew, not believed. `read` gives the parts by digest, when they are asked for."""
        fields = Fields(value, "plan")
        fields.schema(PLAN_SCHEMA)
        fields.table("summary")
        observed = Fields(fields.table("observed"), "plan observed")
        scope = Fields(fields.raw("scope"), "plan scope")
        found = FleetPlan(
            subject=PlanSubject.from_json(fields.raw("subject")),
            groups=tuple(ChangeGroup.from_json(item) for item in fields.items("groups")),
            scope=Scope(TreeScopes(scope.digest("root"), read, scope.integer("hosts"))),
            change_digest=fields.digest("change_digest"),
            ages={host: observed.time(host) if observed.has(host) else None for host in observed.names()},
            unchanged=fields.integer("unchanged"),
            hosts=fields.integer("hosts"),
            reported=tuple(ChangeGroup.from_json(item) for item in fields.items("reported")),
            silent=tuple(ChangeGroup.from_json(item) for item in fields.items("silent")),
        )
        for part in (scope, observed, fields):
            part.done()
        return found
