"""Approvals in a release: read by digest, valid in time, spent once; counted per item; compared with what a host is to become.

Pure. How many, and whose, comes from the trust root alone. An item (intent or effect) is approved when enough distinct people who
count approved sets that hold exactly it, for exactly that host: so two people may approve two versions of a plan, and what both
versions have in common is approved. See docs/adr/0007.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime

from gitops.errors import MalformedError, TrustError
from gitops.model.approval import Approval, read_approval
from gitops.model.candidate import Candidate
from gitops.model.limits import DEFAULTS
from gitops.model.manifest import Manifest
from gitops.model.resource import Resource
from gitops.model.scope import REMOVED, WHOLE, HostScope, Intent, Item, Scope
from gitops.model.trustroot import EnvironmentTrust
from gitops.plan.covers import find_excess
from gitops.plan.host import find_intents
from gitops.plan.item import Preparer
from gitops.trust.contents import read_host
from gitops.trust.reading import read_digest
from gitops.trust.verified import VerifiedRelease

NAMED = 5


def read_approvals(candidate: Candidate, manifest: Manifest) -> tuple[Approval, ...]:
    """Give the approvals that a manifest names, each by digest, for this audience, and in force when the release was issued."""
    if len(set(manifest.approvals)) != len(manifest.approvals):
        raise TrustError("the manifest names an approval twice", code="T107")
    found: list[Approval] = []
    left = DEFAULTS.approvals_bytes
    for digest in manifest.approvals:
        data = read_digest(candidate, f"approvals/{digest}.json", digest, min(left, DEFAULTS.approval_bytes))
        left -= len(data)
        try:
            approval = read_approval(data)
        except MalformedError as error:
            raise TrustError(f"approval {digest[:12]}: {error.message}", code="T107") from error
        if (approval.repository, approval.environment) != (manifest.repository, manifest.environment):
            raise TrustError(f"approval {digest[:12]} is for another repository or environment", code="T107")
        if not is_in_force(approval, manifest.issued):
            message = f"approval {digest[:12]} was not in force when the release was issued"
            raise TrustError(message, code="T107", hint="approve again, and release with the new approval")
        found.append(approval)
    return tuple(found)


def is_in_force(approval: Approval, at: datetime) -> bool:
    """Say whether an approval was given, and had not run out, at a time."""
    return approval.issued <= at < approval.expires


def may_approve(approval: Approval, trust: EnvironmentTrust) -> bool:
    """Say whether an approver is one of those who count; where nobody is named, everybody is."""
    return not trust.approvers or not {approval.approver, *approval.teams}.isdisjoint(trust.approvers)


def check_unspent(manifests: Iterable[Manifest], spent: frozenset[str]) -> None:
    """Raise TrustError when one of these releases, oldest first, carries an approval that an earlier one carried."""
    seen = set(spent)
    for manifest in manifests:
        again = sorted(seen.intersection(manifest.approvals))
        if again:
            message = f"release {manifest.serial} carries the approval {again[0][:12]}, which an earlier release spent"
            raise TrustError(message, code="T107")
        seen.update(manifest.approvals)


def check_proofs(approvals: Sequence[Approval], trust: EnvironmentTrust) -> None:
    """Raise TrustError when the trust root demands reviewers' own signatures: it names no keys of theirs yet, so none can count."""
    if trust.is_signed and approvals:
        message = "the trust root demands reviewers' own signatures, which this version cannot check"
        raise TrustError(message, code="T107", hint="set `signed: false` for the environment, in a new trust root")


def find_approved(approvals: Sequence[Approval], trust: EnvironmentTrust) -> Scope:
    """Give the items that enough distinct people who count approved, per host."""
    counted = [(_person(item.approver), item.scope.hosts) for item in approvals if may_approve(item, trust)]
    known: dict[tuple[tuple[str, int, int], ...], HostScope] = {}
    found: dict[str, HostScope] = {}
    for host in sorted({host for _, hosts in counted for host in hosts}):
        votes = [(person, hosts[host]) for person, hosts in counted if host in hosts]
        # Hosts share their sets, so a fleet costs as much as its distinct changes.
        key = tuple((person, id(scope.intents), id(scope.effects)) for person, scope in votes)
        if key not in known:
            intents = _count([(person, scope.intents) for person, scope in votes], trust.required)
            known[key] = HostScope(intents, _count([(person, scope.effects) for person, scope in votes], trust.required))
        if not known[key].is_empty:
            found[host] = known[key]
    return Scope(found)


def find_wanted(before: Sequence[Resource], after: Sequence[Resource], preparer: Preparer | None = None) -> frozenset[Intent]:
    """Give the intents that lie between two states of a host's config, what leaves it included."""
    baseline = {resource.address: resource for resource in before}
    kept = {resource.address for resource in after}
    changed = find_intents(after, baseline, preparer or Preparer({}))
    return changed | frozenset((address, REMOVED) for address in baseline if address not in kept)


def check_covers_host(
    release: VerifiedRelease, host: str, before: Sequence[Resource], kept: HostScope | None = None
) -> HostScope:
    """Give what is approved for a host, intents and effects; raise TrustError when an intent lies outside.

    `before` is what the host's last good release wants of it (nothing at first contact), `kept` what was approved in releases that were
    accepted since but not yet reached. Where the trust root demands no approvals, nothing is refused here.
    """
    given = release.approved.hosts.get(host, HostScope())
    earlier = kept or HostScope()
    approved = HostScope(given.intents | earlier.intents, given.effects | earlier.effects)
    wanted = HostScope(find_wanted(before, read_host(release, host) or ()))
    excess = find_excess([Scope({host: approved})], Scope({host: wanted}))
    if release.trust.required and excess.hosts:
        raise TrustError(
            f"release {release.manifest.serial} wants what was not approved by {release.trust.required}: {name_items(excess)}",
            code="T107",
            hint="approve the change, and release it again with its approvals",
        )
    return approved


def name_items(scope: Scope) -> str:
    """Name a few items of a scope, for a message."""
    rows = sorted(_name_item(address, host) for host, item in scope.hosts.items() for address in {row[0] for row in item.intents})
    more = f" and {len(rows) - NAMED} more" if len(rows) > NAMED else ""
    return ", ".join(row[:120] for row in rows[:NAMED]) + more


def _name_item(address: str, host: str) -> str:
    return address if host == WHOLE else f"{address} on {host}"


def _person(approver: str) -> str:
    """Give one name to one person: forges do not tell names apart by case."""
    return unicodedata.normalize("NFKC", approver).casefold()


def _count(votes: Sequence[tuple[str, frozenset[Item]]], required: int) -> frozenset[Item]:
    people: dict[Item, set[str]] = {}
    for person, items in votes:
        for item in items:
            people.setdefault(item, set()).add(person)
    return frozenset(item for item, found in people.items() if len(found) >= required)
