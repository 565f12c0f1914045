"""Brief: the few facts of a plan that lists show. Reading a plan of a thousand hosts takes long, so briefs are remembered by digest."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from gitops.model.codec import decode_json
from gitops.model.fleetplan import FleetPlan
from gitops.render.words import worst_risk
from webhooks.records import PlanRecord

# Bounded by the documents it keeps as well: a plan of a thousand hosts is about a megabyte.
MOST = 64


@dataclass(frozen=True)
class Brief:
    """Whether a plan changes anything, and how bad the worst of it could be (empty: nothing changes)."""

    has_changes: bool
    risk: str


@dataclass(frozen=True)
class _Document:
    digest: str
    data: bytes = field(compare=False, repr=False)


def brief_plan(record: PlanRecord) -> Brief:
    """Give the brief of a stored plan."""
    return _read(_Document(record.content_digest, record.document))


@lru_cache(maxsize=MOST)
def _read(document: _Document) -> Brief:
    plan = FleetPlan.from_json(decode_json(document.data))
    return Brief(plan.has_changes, worst_risk((*plan.groups, *plan.silent)) if plan.has_changes else "")
