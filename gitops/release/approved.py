"""May this be released? Every intent between what is released and what shall be must be in unspent approvals of enough people.

Takes the approvals that the caller has, gives those that the release carries and so spends, or raises HeldError (exit 3) that names what
is missing and why approvals did not count. Effects are not judged here: they were approved against observations, and each host
compares them with what it would really do (docs/adr/0007).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gitops.errors import HeldError
from gitops.model.approval import Approval
from gitops.model.graph import Graphs
from gitops.model.resource import Resource
from gitops.model.scope import HostScope, Scope
from gitops.model.trustroot import EnvironmentTrust
from gitops.plan.covers import find_excess
from gitops.plan.item import Preparer
from gitops.trust.approvals import find_approved, find_wanted, is_in_force, may_approve, name_items


@dataclass(frozen=True)
class Terms:
    """What makes an approval count. An empty `policy_digest` asks for none; `spent` are digests that earlier releases carried."""

    repository: str
    environment: str
    trust: EnvironmentTrust
    at: datetime
    spent: frozenset[str] = frozenset()
    policy_digest: str = ""


def find_fleet_intents(before: Graphs | None, after: Graphs) -> Scope:
    """Give the intents between two sets of graphs, hosts that leave or enter included; costs what changed, not the fleet's resources."""
    released, preparer = before or Graphs(after.environment), Preparer({})
    found: dict[str, HostScope] = {}
    for host in sorted({*released.hosts, *after.hosts}):
        # A block that a host has before and after is the same bytes: nothing in it can differ.
        same = _blocks_of(released, host) & _blocks_of(after, host)
        intents = find_wanted(_own_resources(released, host, same), _own_resources(after, host, same), preparer)
        if intents:
            found[host] = HostScope(intents)
    return Scope(found)


def choose_approvals(wanted: Scope, approvals: Sequence[Approval], terms: Terms) -> tuple[Approval, ...]:
    """Give the approvals that say something about what is wanted and count; raise HeldError when an intent has too few."""
    unique = {item.digest: item for item in approvals}
    fitting = [unique[digest] for digest in sorted(unique) if _touches(unique[digest].scope, wanted)]
    reasons = {item.digest: _why_not(item, terms) for item in fitting}
    chosen = tuple(item for item in fitting if not reasons[item.digest])
    if not terms.trust.required or not wanted.hosts:
        return chosen
    if terms.trust.is_signed:
        message = f"{terms.environment} demands reviewers' own signatures, which this version cannot check"
        raise HeldError(message, code="H051", hint="set `approvals.signed: false`, or release by hand once it can")
    missing = find_excess([find_approved(chosen, terms.trust)], wanted)
    if missing.hosts:
        raise HeldError(
            f"{terms.environment} needs {_people(terms)} to approve, and some changes lack them: {name_items(missing)}",
            code="H050",
            hint=_hint(Counter(reason for reason in reasons.values() if reason), has_any=bool(approvals)),
        )
    return chosen


def _blocks_of(graphs: Graphs, host: str) -> frozenset[str]:
    return frozenset(graphs.hosts[host].blocks) if host in graphs.hosts else frozenset()


def _own_resources(graphs: Graphs, host: str, without: frozenset[str]) -> list[Resource]:
    """Give a host's resources but for those of some blocks."""
    if host not in graphs.hosts:
        return []
    graph = graphs.hosts[host]
    shared = (graphs.blocks[digest].resources for digest in graph.blocks if digest not in without)
    return [*graph.resources, *(resource for resources in shared for resource in resources)]


def _touches(scope: Scope, wanted: Scope) -> bool:
    return any(
        host in wanted.hosts and not wanted.hosts[host].intents.isdisjoint(item.intents) for host, item in scope.hosts.items()
    )


def _why_not(approval: Approval, terms: Terms) -> str:
    """Say in a word why an approval does not count; nothing when it does."""
    if (approval.repository, approval.environment) != (terms.repository, terms.environment):
        return "for another repository or environment"
    if approval.digest in terms.spent:
        return "already spent by an earlier release"
    if not is_in_force(approval, terms.at):
        return "expired, or not given yet"
    if terms.policy_digest and approval.policy_digest != terms.policy_digest:
        return "given under another policy"
    if not may_approve(approval, terms.trust):
        return "by somebody who does not count here"
    return ""


def _people(terms: Terms) -> str:
    count = "1 person" if terms.trust.required == 1 else f"{terms.trust.required} people"
    return count + (f" of {', '.join(terms.trust.approvers)}" if terms.trust.approvers else "")


def _hint(reasons: Counter[str], *, has_any: bool) -> str:
    if reasons:
        return "not counted: " + ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
    return "approve the plan again, it has grown" if has_any else "approve the plan, or give --approvals DIR"
