"""Verify a release branch as its agents would, and more: the whole tree, every release before it, its commit, its source.

Takes a repository that has the branch, a trust root and a time; gives every check by number, the first that failed last. Applies
nothing, believes nothing that it has not checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gitops import __version__
from gitops.errors import ConfigError, MalformedError, RemoteError, TrustError
from gitops.model.candidate import Candidate
from gitops.model.limits import DEFAULTS
from gitops.model.manifest import Manifest
from gitops.model.trustroot import EnvironmentTrust, TrustRoot
from gitops.pipeline.answer import check_whole
from gitops.pipeline.child import compile_commit
from gitops.pipeline.released import Deployed, read_release, read_signed_manifest
from gitops.plan.covers import find_excess
from gitops.plan.item import Preparer
from gitops.plan.order import check_graphs
from gitops.providers.registry import PROVIDERS
from gitops.release.approved import find_fleet_intents
from gitops.release.tree import layout_graphs
from gitops.signatures.bundle import BundleVerifier
from gitops.signatures.sshsig import verify_ssh
from gitops.source.release import list_history, open_release, open_releases, read_commit_signature
from gitops.trust.approvals import find_approved, name_items, read_approvals
from gitops.trust.contents import read_plan
from gitops.trust.release import CHECKS, Memory, VerifiedRelease, verify_release
from gitops.trust.rotation import follow_rotations

WHOLE_CHECKS = (
    "every file hangs from the manifest, and nothing else is there",
    "every change since was approved",
    "the commit is signed by a trusted key",
)
REBUILD_CHECK = "the source compiles to exactly these files"


@dataclass(frozen=True)
class VerifyOrder:
    """What to verify: the tip `commit` in a repository that has its history, back to serial `since`, which is believed when above 1."""

    repository: Path
    commit: str
    root: TrustRoot
    environment: str
    now: datetime
    since: int = 1
    is_rebuild: bool = False


@dataclass(frozen=True)
class Checked:
    """One check: its number, what it says, whether it holds, and what was found."""

    number: int
    name: str
    is_passed: bool
    detail: str = ""


@dataclass(frozen=True)
class Verification:
    """All checks up to the first that failed, and that failure; `manifest` is None when not even that can be believed."""

    commit: str
    checks: tuple[Checked, ...]
    manifest: Manifest | None = None
    refusal: TrustError | None = None


def verify_branch(order: VerifyOrder) -> Verification:
    """Run the checks; a failed one is in the answer, RemoteError (exit 7) is raised."""
    running = _Running([*CHECKS, *WHOLE_CHECKS, *([REBUILD_CHECK] if order.is_rebuild else [])])
    try:
        _run_checks(order, running)
    except TrustError as error:
        running.fail(error.message)
        return Verification(order.commit, tuple(running.done), running.manifest, error)
    return Verification(order.commit, tuple(running.done), running.manifest)


class _Running:
    """The checks in order: each passes with a detail, or the next one fails."""

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self.done: list[Checked] = []
        self.manifest: Manifest | None = None

    def passed(self, detail: str) -> None:
        """Note that the next check holds."""
        self._add(detail, is_passed=True)

    def fail(self, detail: str) -> None:
        """Note that the next check does not hold."""
        self._add(detail, is_passed=False)

    def _add(self, detail: str, *, is_passed: bool) -> None:
        number = len(self.done)
        self.done.append(Checked(number + 1, self._names[number], is_passed, detail))


def _run_checks(order: VerifyOrder, running: _Running) -> None:
    # 1–7. What every agent checks.
    candidate = open_release(order.repository, order.commit)
    *older, root = follow_rotations(candidate, order.root, BundleVerifier())
    commits, chain = _read_chain(order, candidate)
    release = verify_release(
        candidate,
        root,
        order.environment,
        memory=Memory(),
        now=order.now,
        verifier=BundleVerifier(),
        chain=chain,
        older_roots=older,
        agent_version=__version__,
        note=lambda _name: running.passed(""),
    )
    running.manifest = release.manifest
    # 8. The whole tree.
    tip = read_release(order.repository, order.commit, order.environment)
    read_plan(candidate, release.manifest)
    _check_plannable(tip)
    running.passed(f"{len(candidate.listing)} files, {len(tip.graphs.hosts)} hosts")
    # 9. Every change since the first release (or `since`), with the approvals of the release that made it.
    running.passed(_check_history(order, release, commits, tip))
    # 10. The commit's own signature, for people who use stock git.
    running.passed(_check_commit(order, root))
    # 11. The source, compiled again.
    if order.is_rebuild:
        running.passed(_check_rebuild(order, candidate, release.manifest))


def _read_chain(order: VerifyOrder, candidate: Candidate) -> tuple[list[str], list[Candidate]]:
    """Give the commits before the tip down to `since`, oldest first, and their candidates."""
    # How far to go is only what the tip says of itself; the checks find any lie.
    distance = read_signed_manifest(candidate).serial - order.since
    commits = list(reversed(list_history(order.repository, order.commit, min(max(0, distance), DEFAULTS.chain_length))))
    return commits, list(open_releases(order.repository, commits))


def _check_plannable(tip: Deployed) -> None:
    try:
        check_graphs(tip.graphs, Preparer(PROVIDERS))
    except MalformedError as error:
        hint = "mend the config (`gitops validate` says where) and release again"
        raise TrustError(f"a host cannot do what it is given: {error.message}", code="T129", hint=hint) from error


def _check_history(order: VerifyOrder, release: VerifiedRelease, commits: list[str], tip: Deployed) -> str:
    first = release.skipped[0] if release.skipped else release.manifest
    expected = min(order.since, release.manifest.serial)
    if first.serial != expected:
        message = f"the history begins with release {first.serial}, expected {expected}"
        raise TrustError(message, code="T121", hint="fetch the whole branch, or give --since SERIAL")
    if not release.trust.required:
        return "the trust root demands no approvals here"
    before = None
    if order.since > 1:
        before, commits = read_release(order.repository, commits[0], order.environment) if commits else tip, commits[1:]
    for commit in (*commits, *([order.commit] if before is not tip else [])):
        after = read_release(order.repository, commit, order.environment)
        _check_step(order, release.trust, before, after)
        before = after
    return f"by {release.trust.required}, from release {expected} on"


def _check_step(order: VerifyOrder, trust: EnvironmentTrust, before: Deployed | None, after: Deployed) -> None:
    wanted = find_fleet_intents(None if before is None else before.graphs, after.graphs)
    approvals = read_approvals(open_release(order.repository, after.commit), after.manifest)
    missing = find_excess([find_approved(approvals, trust)], wanted)
    if missing.hosts:
        message = f"release {after.manifest.serial} made changes that {trust.required} did not approve: {name_items(missing)}"
        raise TrustError(message, code="T107")


def _check_commit(order: VerifyOrder, root: TrustRoot) -> str:
    signature = read_commit_signature(order.repository, order.commit)
    signer = verify_ssh(signature.armor, signature.payload, root.keys.values()) if signature.armor else None
    if signer is not None:
        return f"key {signer.ident[:12]}"
    if root.commit_signature == "refuse":
        raise TrustError(f"the commit {order.commit[:12]} is not signed by a trusted key", code="T101")
    return "warning: it is not; the manifest is what counts, so the trust root lets it pass"


def _check_rebuild(order: VerifyOrder, candidate: Candidate, manifest: Manifest) -> str:
    if manifest.compiler != __version__:
        message = f"the release was compiled by version {manifest.compiler}, this is {__version__}: it cannot be rebuilt here"
        raise TrustError(message, code="T122", hint=f"install trueup=={manifest.compiler} and verify again")
    subpath = manifest.extensions.get("source_path", "")
    try:
        compiled = compile_commit(order.repository, manifest.commit, subpath=subpath if isinstance(subpath, str) else "")
    except ConfigError as error:
        message = f"the repository does not have the source commit {manifest.commit[:12]}"
        raise RemoteError(message, code="R032", hint="verify with the repository that holds the source branch") from error
    answer = check_whole(compiled, manifest.commit)
    graphs = answer.graphs.get(order.environment)
    if graphs is None or not answer.is_valid or answer.project != manifest.repository:
        raise TrustError(f"the source commit {manifest.commit[:12]} does not compile to this release at all", code="T123")
    _compare(layout_graphs(graphs).files, candidate)
    return f"{manifest.commit[:12]}, compiled by {__version__}"


def _compare(built: Mapping[str, bytes], candidate: Candidate) -> None:
    released = {path for path in candidate.listing if path.startswith(("hosts/", "blobs/"))}
    differing = sorted(path for path in released | set(built) if path not in built or path not in released)
    differing.extend(sorted(path for path in released & set(built) if candidate.read(path) != built[path]))
    if differing:
        more = f" and {len(differing) - 1} more" if len(differing) > 1 else ""
        message = f"the source compiles to something else: {differing[0]}{more}"
        raise TrustError(message, code="T123", hint="the release does not come from the commit that it names")
