"""Routing: a change of where an environment's releases come from, go to, or who approves them, as an item of the plan of its own.

Takes the routing in force and the proposed one as tables of values, gives a HostPlan under the name WHOLE, which no host can have. It is
approved like anything else, by the rules in force, and bound by the change digest. Pure.
"""

from __future__ import annotations

from typing import Mapping, Optional

from gitops.model.address import make_address
from gitops.model.codec import Json, digest_json
from gitops.model.plan import Change, FieldChange, HostPlan
from gitops.model.scope import WHOLE, HostScope

KIND = "environment"
WHY = "takes effect once it is merged and released; approved by the rules until then"


def plan_routing(name: str, before: Optional[Mapping[str, Json]], after: Mapping[str, Json]) -> Optional[HostPlan]:
    """Give the item `environment:NAME`; None when nothing changes. `before` None: there was no such environment."""
    if before == after:
        return None
    address, known = make_address(KIND, name), before or {}
    fields = tuple(FieldChange(key, known.get(key), after[key]) for key in sorted(after) if known.get(key) != after[key])
    digest = digest_json({KIND: name, "routing": dict(after)})
    change = Change(
        address=address,
        action="create" if before is None else "update",
        classification="initial" if before is None else "intentional",
        risk="high",
        after=digest,
        fields=fields,
        reason=WHY,
    )
    scope = HostScope(frozenset(((address, digest),)), frozenset(((address, "set", digest),)))
    return HostPlan(WHOLE, None, (change,), scope=scope)
