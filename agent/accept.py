"""From the remote's tip to a release that this machine remembers: fetch, verify, cover, stage, remember (DESIGN §5).

Gives the new memory, durable on disk before it is returned; raises the TrustError of the first failed check (exit 6) or RemoteError
(exit 7) and then has changed nothing but the quarantine. Decides nothing about the machine: `agent.loop` does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from agent.documents import AgentMemory, Staged
from agent.enrolled import Enrolled
from agent.fetch import fetch_chain, fetch_tip
from gitops import __version__
from gitops.errors import MalformedError, TrustError
from gitops.model.limits import DEFAULTS
from gitops.model.manifest import read_manifest
from gitops.model.scope import HostScope
from gitops.model.trustroot import TrustRoot
from gitops.signatures.bundle import BundleVerifier
from gitops.signatures.sshsig import verify_ssh
from gitops.source.release import list_history, open_release, open_releases, read_commit_signature
from gitops.trust.approvals import check_covers_host
from gitops.trust.contents import HostShare, read_content, read_share
from gitops.trust.reading import read_bounded
from gitops.trust.release import check_expiry, check_signatures, verify_release
from gitops.trust.rotation import follow_rotations
from gitops.trust.verified import Memory, VerifiedRelease

FIRST_DEPTHS = (0, 15, 127, DEFAULTS.chain_length)
NOT_COVERED = "T107"


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
    tipped = _examine_tip(machine, tip)
    warnings = _check_commit(machine, tipped)
    refusal: TrustError | None = None
    for depth in _choose_depths(machine, memory, tipped.serial):
        if depth:
            fetch_chain(machine.remote, tip, depth + 1)
        try:
            # 3. Signatures, audience, serial and chain, expiry, layout, approvals: the pure checks.
            release = _verify(machine, memory, tipped, depth, now)
            # 4. The approvals, with those of releases that were skipped, cover what this host is to be.
            found = _find_own(machine, memory, release, tipped)
        except TrustError as error:
            refusal = error
            if error.code != NOT_COVERED:
                raise
        else:
            # 5. Stage, fsync, rename; then remember.
            return Accepted(_remember(machine, memory, found), warnings)
    raise refusal or TrustError("nothing was checked", code="T100")


@dataclass(frozen=True)
class _Tip:
    commit: str
    serial: int
    root: TrustRoot
    older: tuple[TrustRoot, ...] = ()


@dataclass(frozen=True)
class _Found:
    release: VerifiedRelease
    tip: _Tip
    share: HostShare | None
    approved: HostScope


def _examine_tip(machine: Enrolled, tip: str) -> _Tip:
    """Follow rotations of the trust root, check the signatures, give the serial (0 when it cannot be read: the checks will say)."""
    candidate = open_release(machine.state.quarantine, tip)
    *older, root = follow_rotations(candidate, machine.enrolment.root, BundleVerifier())
    data = read_bounded(candidate, "manifest.json", DEFAULTS.manifest_bytes)
    check_signatures(candidate, data, root, BundleVerifier())
    try:
        return _Tip(tip, read_manifest(data).serial, root, tuple(older))
    except MalformedError:
        return _Tip(tip, 0, root, tuple(older))


def _choose_depths(machine: Enrolled, memory: AgentMemory, serial: int) -> Iterator[int]:
    """Give how many releases before the tip are walked: the gap; at first contact as many as hold the approvals, tried from few."""
    if memory.seen is not None:
        gap = max(0, serial - memory.seen.serial - 1)
        if gap > DEFAULTS.chain_length:
            message = f"{gap} releases were missed, at most {DEFAULTS.chain_length} are walked"
            raise TrustError(message, code="T104", hint="enrol this machine again")
        yield gap
    elif not machine.enrolment.demands_approvals:
        yield 0
    else:
        yield from sorted({min(depth, max(0, serial - 1)) for depth in FIRST_DEPTHS})


def _verify(machine: Enrolled, memory: AgentMemory, tip: _Tip, depth: int, now: datetime) -> VerifiedRelease:
    store = machine.state.quarantine
    older = list_history(store, tip.commit, depth) if depth else ()
    return verify_release(
        open_release(store, tip.commit),
        tip.root,
        machine.enrolment.environment,
        memory=_trust_memory(memory),
        now=now,
        verifier=BundleVerifier(),
        chain=list(open_releases(store, reversed(older))),
        older_roots=tip.older,
        agent_version=__version__,
    )


def _find_own(machine: Enrolled, memory: AgentMemory, release: VerifiedRelease, tip: _Tip) -> _Found:
    host = machine.enrolment.host
    before = () if memory.good is None else machine.state.read_staged(memory.good).resources or ()
    share = read_share(release, host)
    if share is None:
        given = release.approved.hosts.get(host, HostScope())
        kept = HostScope(given.intents | memory.approved.intents, given.effects | memory.approved.effects)
        return _Found(release, tip, None, kept)
    return _Found(release, tip, share, check_covers_host(release, host, before, memory.approved))


def _check_commit(machine: Enrolled, tip: _Tip) -> tuple[str, ...]:
    """Check the commit's own SSH signature: a courtesy to people who use stock git, refused only when the trust root says so."""
    signature = read_commit_signature(machine.state.quarantine, tip.commit)
    if signature.armor and verify_ssh(signature.armor, signature.payload, tip.root.keys.values()) is not None:
        return ()
    message = f"the release commit {tip.commit[:12]} is not signed by a trusted key"
    if tip.root.commit_signature == "refuse":
        raise TrustError(message, code="T101", hint="the trust root of this machine demands signed commits")
    return (message,)


def _trust_memory(memory: AgentMemory) -> Memory:
    if memory.seen is None:
        return Memory()
    return Memory(memory.seen.serial, memory.seen.release, memory.newest_issued, frozenset(memory.spent))


def _remember(machine: Enrolled, memory: AgentMemory, found: _Found) -> AgentMemory:
    manifest, root = found.release.manifest, found.tip.root
    share = found.share
    staged = Staged(manifest, None) if share is None else Staged(manifest, share.resources, share.blocks)
    pointer = machine.state.stage(staged, lambda digest: read_content(found.release, digest))
    issued = manifest.issued if memory.newest_issued is None else max(manifest.issued, memory.newest_issued)
    spent = {**memory.spent, **{item.digest: item.expires for item in found.release.approvals}}
    is_kept = memory.failure is not None and memory.failure.release == pointer.release
    fresh = replace(
        memory,
        seen=pointer,
        newest_issued=issued,
        tip=found.tip.commit,
        approved=found.approved,
        failure=memory.failure if is_kept else None,
        # A release cannot be issued before this one, so what has run out by now cannot be spent again anyway.
        spent={digest: until for digest, until in spent.items() if until > issued},
        root=root if root.version > machine.enrolment.root.version else memory.root,
    )
    machine.state.write_memory(fresh)
    machine.state.forget(fresh)
    return fresh
