"""Release: the graphs of a merged commit become the next signed commit of the release branch, when they are new and approved.

The tip that is built on is verified first (exit 6 when it cannot be). Nothing new, or a commit older than what is released: no commit.
Who loses a race looks again and follows with the next serial, if there is still something to release. See docs/adr/0007.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from gitops import __version__
from gitops.config.config import Environment
from gitops.errors import HeldError, MalformedError, RemoteError, TrustError, UsageError
from gitops.model.approval import Approval
from gitops.model.candidate import Candidate, Listed
from gitops.model.codec import Json, format_time, parse_time
from gitops.model.fleetplan import FleetPlan
from gitops.model.graph import Graphs
from gitops.model.limits import DEFAULTS
from gitops.model.manifest import Manifest, Previous
from gitops.model.scope import WHOLE, HostScope, Scope
from gitops.model.trustroot import EnvironmentTrust, TrustRoot, read_trust_root
from gitops.pipeline.released import ANCHOR, Deployed, anchor_of, read_chain, read_release
from gitops.plan.item import Preparer
from gitops.plan.order import check_graphs
from gitops.providers.registry import PROVIDERS
from gitops.release.approved import Terms, choose_approvals, find_fleet_intents
from gitops.release.build import BuiltRelease, Draft, build_release
from gitops.release.tree import layout_graphs
from gitops.signatures.bundle import BundleVerifier
from gitops.signatures.keys import SigningKey
from gitops.signatures.sshsig import sign_ssh
from gitops.source.publish import Place, commit_files, fetch_tip, push_commit
from gitops.source.release import open_release
from gitops.source.repository import is_ancestor
from gitops.trust.layout import check_layout
from gitops.trust.release import CLOCK_SKEW, verify_member
from gitops.trust.rotation import follow_rotations

VALID = timedelta(days=90)
CARRIED = ("trust/", "extensions/")
ROOT_FILE = re.compile(r"trust/([0-9]+)\.json")
Pause = Callable[[int], None]


@dataclass(frozen=True)
class ReleaseOrder:
    """What shall be released, by whom, under which approvals.

    `repository` holds the source commit and gets the release's objects; `url` is the remote whose branch moves (empty: the repository's
    own). `project` is the logical name that trust roots pin, and that `approvals` and `plan` must name. `environment` is the config's,
    routed and judged as is in force; `routing` is what the commit changes of that: it wants approvals like any intent, and a release.
    `is_forced` issues again what is released, for a fresh expiry. `root` verifies the tip (default: the signing keys alone), or one of
    the `older` roots that it was rotated from does;
    `trust_files` are put below `trust/` (`1.json`, `2.json`, `2.sigs/…`). `subpath` is where the project lies in the source commit.
    `access` is the environment (credentials) of the git processes that talk to `url`. `base` is the tip that the rules were read from
    (empty: there was none): another one may have brought other rules; None builds on whatever is there.
    """

    repository: Path
    project: str
    environment: Environment
    commit: str
    graphs: Graphs
    key: SigningKey
    now: datetime
    url: str = ""
    approvals: Sequence[Approval] = ()
    plan: FleetPlan | None = None
    policy_digest: str = ""
    is_forced: bool = False
    valid: timedelta = VALID
    cosigners: Sequence[SigningKey] = ()
    root: TrustRoot | None = None
    older: Sequence[TrustRoot] = ()
    trust_files: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    extensions: Mapping[str, Json] = field(default_factory=dict[str, Json])
    subpath: str = ""
    compiler: str = __version__
    rollback_of: int = 0
    routing: HostScope = field(default_factory=HostScope)
    access: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    base: str | None = None


@dataclass(frozen=True)
class Released:
    """The release that holds now. `is_new` False: nothing was committed, and `reason` says why."""

    serial: int
    commit: str
    digest: str
    manifest: Manifest
    is_new: bool
    reason: str = ""


def make_release(order: ReleaseOrder, *, pause: Pause) -> Released:
    """Release what an order says; `pause(attempt)` waits a moment of its own choice after a lost race.

    Raise HeldError (exit 3) when approvals are missing, TrustError (6) when the tip cannot be verified, RemoteError (7).
    """
    _check_order(order)
    check_graphs(order.graphs, Preparer(PROVIDERS))
    place = Place(order.repository, order.environment.release, order.url, order.access)
    for attempt in range(DEFAULTS.retries):
        # 1. What is released now, verified before it is built on.
        tip = _read_tip(order, place)
        _check_base(order, place, tip)
        _check_clock(order, tip)
        # 2. Is there something to release?
        reason = _find_reason_not_to(order, tip)
        if tip is not None and reason:
            return Released(tip.manifest.serial, tip.commit, tip.digest, tip.manifest, is_new=False, reason=reason)
        # 3. Is it approved? 4. Build and sign. 5. Commit. 6. Publish, if nobody was faster.
        built = _build(order, tip)
        commit = _commit(order, built, tip)
        if push_commit(place, commit, old="" if tip is None else tip.commit):
            return Released(built.manifest.serial, commit, built.digest, built.manifest, is_new=True)
        pause(attempt)
    message = f"{place.branch} moved {DEFAULTS.retries} times while this release was made"
    raise RemoteError(message, code="R031", hint="try again; is something else releasing in a loop?")


def roll_back(order: ReleaseOrder, serial: int, *, pause: Pause) -> Released:
    """Release the content of an old serial again, under a new one; approved like any change. The order's own graphs play no part."""
    _check_order(order)
    tip = _read_tip(order, Place(order.repository, order.environment.release, order.url, order.access))
    chain = None if tip is None else read_chain(order.repository, tip, until=serial)
    if chain is None or serial not in chain:
        raise UsageError(f"there is no release {serial} before the current one", code="U090", hint="`git log` lists them")
    old = read_release(order.repository, chain[serial][0], order.environment.name)
    changed = replace(order, graphs=old.graphs, commit=old.manifest.commit, compiler=old.manifest.compiler, rollback_of=serial)
    return make_release(replace(changed, extensions=old.manifest.extensions, subpath=""), pause=pause)


def trust_of(environment: Environment) -> EnvironmentTrust:
    """Give what the config demands of approvals, in the words of trust roots."""
    return EnvironmentTrust(environment.release, environment.required, environment.approvers, environment.is_signed)


def _check_order(order: ReleaseOrder) -> None:
    keys = {order.key.public.ident, *(key.public.ident for key in order.cosigners)}
    if order.root is not None and len(keys & set(order.root.keys)) < order.root.threshold:
        message = f"{len(keys & set(order.root.keys))} of these keys are in the trust root, {order.root.threshold} must sign"
        raise TrustError(message, code="T120", hint="agents would refuse the release")
    if order.plan is not None:
        subject = (order.plan.subject.repository, order.plan.subject.environment)
        if subject != (order.project, order.environment.name):
            raise MalformedError("the plan is for another repository or environment", code="M064")
    if order.valid <= timedelta(0):
        raise UsageError("a release must be valid for some time", code="U091")


def _read_tip(order: ReleaseOrder, place: Place) -> Deployed | None:
    commit = fetch_tip(place)
    if not commit:
        return None
    root, candidate = order.root or _own_root(order), open_release(order.repository, commit)
    # A tip that carries the root was made after the rotation to it: keys that were rotated out made none of those.
    is_carried = f"trust/{root.version}.json" in candidate.listing
    verify_member(candidate, root, order.environment.name, BundleVerifier(), () if is_carried else order.older)
    tip = read_release(order.repository, commit, order.environment.name)
    if order.root is not None and not is_carried:
        _check_first_to_carry(order.repository, tip, root.version)
    return tip


def _check_first_to_carry(repository: Path, tip: Deployed, version: int) -> None:
    """Raise TrustError when a release before the tip carried a trust root of this version or later: somebody left it out again."""
    for serial, (commit, _) in read_chain(repository, tip).items():
        newest = max(_list_versions(open_release(repository, commit)), default=0)
        if newest >= version:
            message = f"release {tip.manifest.serial} leaves out the trust root {newest} that release {serial} carries"
            hint = f"was it made with a key that was rotated out? take it off the branch ({commit[:12]} is release {serial})"
            raise TrustError(message, code="T109", hint=hint)


def _check_base(order: ReleaseOrder, place: Place, tip: Deployed | None) -> None:
    """Raise RemoteError when something was released since the rules were read that this release would be judged by."""
    found = "" if tip is None else tip.commit
    if order.base is not None and found != order.base:
        message = f"{place.branch} moved while this release was made, and may have brought other rules"
        raise RemoteError(message, code="R031", hint="try again: the rules are read anew")


def _check_clock(order: ReleaseOrder, tip: Deployed | None) -> None:
    """Raise HeldError when the tip is from so far ahead that no machine takes it, nor anything that is issued after it."""
    if tip is None or tip.manifest.issued <= order.now + CLOCK_SKEW:
        return
    serial, issued = tip.manifest.serial, tip.manifest.issued
    message = (
        f"release {serial} says that it was issued at {issued:%Y-%m-%d %H:%M} UTC, and here it is {order.now:%Y-%m-%d %H:%M} UTC"
    )
    hint = (
        "set this machine's clock if it is behind; if the clock that issued it was ahead, no machine took it: take it off "
        f"`{order.environment.release}` and release again (docs/how-to/agent.md, When something is wrong)"
    )
    raise HeldError(message, code="H055", hint=hint)


def _own_root(order: ReleaseOrder) -> TrustRoot:
    keys = {key.public.ident: key.public for key in (order.key, *order.cosigners)}
    return TrustRoot(order.project, 1, keys, 1, {order.environment.name: trust_of(order.environment)})


def _find_reason_not_to(order: ReleaseOrder, tip: Deployed | None) -> str:
    """Say why there is nothing to release; nothing when there is."""
    if tip is None:
        return ""
    released = tip.manifest.commit
    is_older = order.commit != released and is_ancestor(order.repository, order.commit, released)
    if is_older and not order.rollback_of and not tip.manifest.rollback_of:
        return f"{order.commit[:12]} is older than {released[:12]}, which is released; rolling back is `--rollback-to SERIAL`"
    if not order.is_forced and order.routing.is_empty and layout_graphs(order.graphs).shards == tip.manifest.shards:
        return "nothing changed for the hosts"
    return ""


def _build(order: ReleaseOrder, tip: Deployed | None) -> BuiltRelease:
    built = build_release(_draft(order, tip), (order.key, *order.cosigners))
    listing = {path: Listed("100644", len(data)) for path, data in built.files.items()}
    candidate = Candidate(listing, built.files.__getitem__)
    check_layout(candidate, built.manifest)
    _check_rotations(candidate, order)
    return built


def _check_rotations(candidate: Candidate, order: ReleaseOrder) -> None:
    """Raise TrustError when agents could not follow the roots that the release carries, up to the one that it is made with: one is no
    rotation of the one before it, one is missing, or there is a newer one.
    """
    versions = _list_versions(candidate)
    if not versions:
        return
    first = read_trust_root(candidate.read(f"trust/{min(versions)}.json"))
    newest = follow_rotations(candidate, first, BundleVerifier())[-1].version
    if newest != max(versions):
        message = f"the release carries the trust root {max(versions)}, but not {newest + 1}: no agent could follow"
        raise TrustError(message, code="T109", hint="give every version with --trust-root")
    if order.root is not None and order.trust_files and newest != order.root.version:
        message = f"the release branch carries the trust root {newest}, and this release is made with {order.root.version}"
        raise TrustError(message, code="T109", hint="give every version with --trust-root, the newest too")


def _list_versions(candidate: Candidate) -> list[int]:
    return [int(match[1]) for match in map(ROOT_FILE.fullmatch, candidate.listing) if match]


def _draft(order: ReleaseOrder, tip: Deployed | None) -> Draft:
    issued = parse_time(format_time(order.now if tip is None else max(order.now, tip.manifest.issued)))
    return Draft(
        repository=order.project,
        environment=order.environment.name,
        serial=1 if tip is None else tip.manifest.serial + 1,
        previous=None if tip is None else Previous(tip.manifest.serial, tip.digest),
        commit=order.commit,
        compiler=order.compiler,
        issued=issued,
        expires=issued + order.valid,
        graphs=order.graphs,
        approvals=_choose_approvals(order, tip, issued),
        plan=order.plan,
        rollback_of=order.rollback_of,
        carried=_carry(order, tip),
        extensions=_extend(order, tip),
    )


def _extend(order: ReleaseOrder, tip: Deployed | None) -> dict[str, Json]:
    found = {**order.extensions, **({"source_path": order.subpath} if order.subpath else {})}
    if order.rollback_of and tip is not None:
        # Old content comes back, old rules do not.
        found[ANCHOR] = anchor_of(tip.manifest)
    return found


def _choose_approvals(order: ReleaseOrder, tip: Deployed | None, issued: datetime) -> tuple[Approval, ...]:
    wanted = find_fleet_intents(None if tip is None else tip.graphs, order.graphs)
    if order.routing.intents:
        wanted = Scope({**wanted.hosts, WHOLE: HostScope(order.routing.intents)})
    spent = frozenset[str]() if tip is None or not order.approvals else _find_spent(order, tip)
    trust = trust_of(order.environment)
    terms = Terms(order.project, order.environment.name, trust, issued, spent, order.policy_digest)
    return choose_approvals(wanted, order.approvals, terms)


def _find_spent(order: ReleaseOrder, tip: Deployed) -> frozenset[str]:
    """Give what the chain carries, as far back as one of these approvals can have been given."""
    oldest = min(item.issued for item in order.approvals)
    chain = read_chain(order.repository, tip, since=oldest)
    return frozenset(tip.manifest.approvals).union(*(manifest.approvals for _, manifest in chain.values()))


def _carry(order: ReleaseOrder, tip: Deployed | None) -> dict[str, bytes]:
    carried: dict[str, bytes] = {}
    if tip is not None:
        candidate = open_release(order.repository, tip.commit)
        carried = {path: candidate.read(path) for path in candidate.listing if path.startswith(CARRIED)}
    return carried | {f"trust/{name}": data for name, data in order.trust_files.items()}


def _commit(order: ReleaseOrder, built: BuiltRelease, tip: Deployed | None) -> str:
    manifest = built.manifest
    lines = [f"Release {manifest.environment} {manifest.serial}", "", f"source {manifest.commit}", f"manifest {built.digest}"]
    if manifest.rollback_of:
        lines.append(f"content of release {manifest.rollback_of}")
    return commit_files(
        order.repository,
        built.files,
        parents=() if tip is None else (tip.commit,),
        message="\n".join(lines) + "\n",
        now=manifest.issued,
        sign=lambda payload: sign_ssh(order.key, payload),
    )
