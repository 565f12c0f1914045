"""From the remote's tip to a release that this machine remembers: fetch, verify, cover, stage, remember (DESIGN §5).

Gives the new memory, durable on disk before it is returned; raises the TrustError of the first failed check (exit 6) or RemoteError
(exit 7) and then has changed nothing but the quarantine. Decides nothing about the machine: `agent.loop` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from dulwich.repo import Repo

from agent.documents import AgentMemory, Staged
from agent.enrolled import Enrolled
from agent.fetch import fetch_chain, fetch_tip
from agent.quarantine import list_ancestors, open_candidate, open_store, read_commit
from gitops import __version__
from gitops.errors import MalformedError, TrustError
from gitops.executor.observe import make_preparer
from gitops.model.approval import Approval
from gitops.model.candidate import Candidate
from gitops.model.limits import DEFAULTS
from gitops.model.manifest import read_manifest
from gitops.model.resource import Resource
from gitops.model.scope import REMOVED, HostScope
from gitops.plan.host import find_intents
from gitops.providers.registry import make_registry
from gitops.signatures.bundle import BundleVerifier
from gitops.signatures.sshsig import verify_ssh
from gitops.trust.release import (
    Memory,
    VerifiedRelease,
    check_expiry,
    check_signatures,
    read_content,
    read_host,
    verify_release,
)

NAMED = 5


@dataclass(frozen=True)
class Accepted:
    """The memory after looking, and what is wrong but not refused."""

    memory: AgentMemory
    warnings: tuple[str, ...] = ()


def accept_tip(machine: Enrolled, memory: AgentMemory, now: datetime) -> Accepted:
    """Look at the remote; accept what is new there, or raise why not."""
    # 1. Fetch to quarantine, with bounds; nothing is fetched when the tip is the one that was accepted.
    tip = fetch_tip(machine.remote, memory.tip)
    if tip == memory.tip and memory.seen is not None:
        check_expiry(machine.state.read_staged(memory.seen).manifest, _trust_memory(memory), now)
        return Accepted(memory)
    # 2. The tip's signatures first; only then is more fetched for its sake: the releases between.
    gap, warnings = _examine_tip(machine, memory, tip)
    if gap:
        fetch_chain(machine.remote, tip, gap + 1)
    with open_store(machine.state.quarantine) as repo:
        # 3. Signatures, audience, serial and chain, expiry, layout, approvals: the pure checks.
        chain = [open_candidate(repo, item) for item in reversed(list_ancestors(repo, tip, gap))]
        release = verify_release(
            open_candidate(repo, tip),
            machine.enrolment.root,
            machine.enrolment.environment,
            memory=_trust_memory(memory),
            now=now,
            verifier=BundleVerifier(),
            chain=chain,
            agent_version=__version__,
        )
        # 4. The approvals, with those of releases that were skipped, cover what this host is to be.
        found = _find_own(machine, memory, release, tip)
        # 5. Stage, fsync, rename; then remember.
        return Accepted(_remember(machine, memory, found), warnings)


def check_covered(resources: Sequence[Resource], baseline: Sequence[Resource], approved: HostScope, serial: int) -> None:
    """Raise TrustError unless every intent (what is to be, or no longer to be) was approved for this host."""
    before = {item.address: item for item in baseline}
    after = {item.address for item in resources}
    intents = find_intents(resources, before, make_preparer(make_registry(runs_guards=False)))
    intents |= {(address, REMOVED) for address in before if address not in after}
    excess = sorted({address for address, _ in intents - approved.intents})
    if excess:
        names = ", ".join(excess[:NAMED]) + (f" and {len(excess) - NAMED} more" if len(excess) > NAMED else "")
        raise TrustError(
            f"release {serial} wants what nobody approved for this host: {names}",
            code="T107",
            hint="approve the change, and release it again with its approvals",
        )


@dataclass(frozen=True)
class _Found:
    release: VerifiedRelease
    tip: str
    resources: tuple[Resource, ...] | None
    approved: HostScope


def _examine_tip(machine: Enrolled, memory: AgentMemory, tip: str) -> tuple[int, tuple[str, ...]]:
    with open_store(machine.state.quarantine) as repo:
        return _find_gap(open_candidate(repo, tip), machine, memory), _check_commit(repo, tip, machine)


def _find_own(machine: Enrolled, memory: AgentMemory, release: VerifiedRelease, tip: str) -> _Found:
    host = machine.enrolment.host
    approved = _add_approvals(memory.approved, release.approvals, host)
    try:
        resources = read_host(release, host)
        if machine.enrolment.demands_approvals and resources is not None:
            check_covered(resources, _baseline(machine, memory), approved, release.manifest.serial)
    except MalformedError as error:
        message = f"the release {release.manifest.serial} cannot be understood: {error.message}"
        raise TrustError(message, code="T102", hint="is this agent too old for it?") from error
    return _Found(release, tip, resources, approved)


def _find_gap(candidate: Candidate, machine: Enrolled, memory: AgentMemory) -> int:
    """Give how many releases lie between; the tip's signatures are checked before more is fetched for its sake."""
    listed = candidate.listing.get("manifest.json")
    if memory.seen is None or listed is None or listed.size > DEFAULTS.manifest_bytes:
        return 0
    data = candidate.read("manifest.json")
    check_signatures(candidate, data, machine.enrolment.root, BundleVerifier())
    try:
        gap = max(0, read_manifest(data).serial - memory.seen.serial - 1)
    except MalformedError:
        return 0
    if gap > DEFAULTS.chain_length:
        message = f"{gap} releases were missed, at most {DEFAULTS.chain_length} are walked"
        raise TrustError(message, code="T104", hint="enrol this machine again")
    return gap


def _check_commit(repo: Repo, tip: str, machine: Enrolled) -> tuple[str, ...]:
    """Check the commit's own SSH signature: a courtesy to people who use stock git, refused only when the trust root says so."""
    commit = read_commit(repo, tip)
    root = machine.enrolment.root
    armor = (commit.gpgsig or b"").decode("utf-8", "replace")
    if armor and verify_ssh(armor, commit.raw_without_sig(), root.keys.values()) is not None:
        return ()
    message = f"the release commit {tip[:12]} is not signed by a trusted key"
    if root.commit_signature == "refuse":
        raise TrustError(message, code="T101", hint="the trust root of this machine demands signed commits")
    return (message,)


def _trust_memory(memory: AgentMemory) -> Memory:
    if memory.seen is None:
        return Memory()
    return Memory(memory.seen.serial, memory.seen.release, memory.newest_issued)


def _baseline(machine: Enrolled, memory: AgentMemory) -> tuple[Resource, ...]:
    return () if memory.good is None else machine.state.read_staged(memory.good).resources or ()


def _add_approvals(before: HostScope, approvals: Sequence[Approval], host: str) -> HostScope:
    intents, effects = before.intents, before.effects
    for approval in approvals:
        scope = approval.scope.hosts.get(host, HostScope())
        intents, effects = intents | scope.intents, effects | scope.effects
    return HostScope(intents, effects)


def _remember(machine: Enrolled, memory: AgentMemory, found: _Found) -> AgentMemory:
    manifest = found.release.manifest
    staged = Staged(manifest, found.tip, found.resources)
    pointer = machine.state.stage(staged, lambda digest: read_content(found.release, digest))
    issued = manifest.issued if memory.newest_issued is None else max(manifest.issued, memory.newest_issued)
    is_kept = memory.failure is not None and memory.failure.release == pointer.release
    fresh = replace(
        memory,
        seen=pointer,
        newest_issued=issued,
        tip=found.tip,
        approved=found.approved,
        failure=memory.failure if is_kept else None,
    )
    machine.state.write_memory(fresh)
    machine.state.forget(fresh)
    return fresh
