"""Route: what is in force for an environment — where its releases come from and go to, who approves, and the release that stands.

Nothing here is read from what is proposed. In force is what the source of the last release says (its branch's tip, verified), else what
the caller remembers of it, else the repository's default branch. A tip that cannot be verified is no baseline: the route says why.
See docs/adr/0023.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from gitops.config.config import Environment
from gitops.errors import ConfigError, HeldError, RemoteError, TrustError
from gitops.model.codec import Json
from gitops.model.plan import HostPlan
from gitops.model.trustroot import EnvironmentTrust, TrustedKey, TrustRoot
from gitops.pipeline.answer import CompiledCommit, HostEntry, check_whole
from gitops.pipeline.child import compile_commit
from gitops.pipeline.released import Deployed, anchor_of, read_chain, read_release
from gitops.plan.routing import plan_routing
from gitops.signatures.bundle import BundleVerifier
from gitops.source.release import open_release
from gitops.source.repository import find_ref, is_ancestor
from gitops.trust.release import verify_member
from gitops.trust.rotation import follow_rotations

# What routes, anchors or judges; the other fields of an Environment are what is released, or say where it stands.
ROUTING = ("source", "release", "required", "approvers", "is_signed")


@dataclass(frozen=True)
class Mark:
    """The newest release that is known to have been made on a branch; an empty `digest` is not compared."""

    serial: int
    digest: str = ""


@dataclass(frozen=True)
class Memory:
    """What is remembered of an environment: the source of its last release (or of the first look at it), the branch that this was made
    on, and the newest release of every branch that it was ever released to.
    """

    source: str = ""
    branch: str = ""
    marks: Mapping[str, Mark] = field(default_factory=dict[str, Mark])


@dataclass(frozen=True)
class Known:
    """What the caller knows of a repository before anything is read.

    `project` is its bound name (empty: not yet bound), `taken` are the names that others have, with whose they are; `default` is the
    commit of its default branch, `memories` are by environment. Tips are believed as the project's pinned root (of `roots`) says; where
    there is none, when `key` signed them.
    """

    repository: Path
    default: str
    project: str = ""
    taken: Mapping[str, str] = field(default_factory=dict[str, str])
    memories: Mapping[str, Memory] = field(default_factory=dict[str, Memory])
    roots: Mapping[str, TrustRoot] = field(default_factory=dict[str, TrustRoot])
    key: TrustedKey | None = None
    subpath: str = ""


@dataclass(frozen=True)
class Route:
    """What is in force for an environment. `deployed` None: nothing is released, or (`doubt` says why) it is not to be believed.

    `ways` say by host how it is reached: what is pushed to it, its secrets too, goes there.
    """

    rule: Environment
    deployed: Deployed | None = None
    doubt: str = ""
    ways: Mapping[str, str] = field(default_factory=dict[str, str])

    def govern(self, proposed: Environment) -> Environment:
        """Give an environment as proposed, but routed and judged as is in force."""
        return replace(proposed, **{name: getattr(self.rule, name) for name in ROUTING})

    def plan_change(self, proposed: Environment, hosts: Mapping[str, HostEntry]) -> HostPlan | None:
        """Give the change of routing as an item of the plan; None when it stays as it is. `hosts` are those of the proposed commit."""
        ways = list_ways(proposed.name, hosts)
        moved = sorted(host for host in self.ways if ways.get(host, self.ways[host]) != self.ways[host])
        before, after = describe_routing(self.rule), describe_routing(proposed)
        if moved:
            before = {**before, "reached": [f"{host} {self.ways[host]}" for host in moved]}
            after = {**after, "reached": [f"{host} {ways[host]}" for host in moved]}
        return plan_routing(proposed.name, before, after)


class Routes:
    """The routes of one repository, each commit compiled once, and only when it is asked."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._read: dict[str, CompiledCommit] = {}

    @property
    def project(self) -> str:
        """Name the project: the bound name, else what the default branch says; empty when that says nothing."""
        return self._known.project or self._read_default().project

    def find(self, name: str) -> Route | None:
        """Give what is in force for an environment; None when there is no such one but in what is proposed.

        Raise HeldError (H053) when the commit that says it cannot be read: whoever makes it unreadable is not judged by other rules.
        """
        memory = self._remember(name)
        here = self._read_default().environments.get(name) if not (memory.source and memory.branch) else None
        branch = memory.branch or ("" if here is None else here.release)
        deployed, doubt = self._read_tip(branch, name) if branch else (None, "")
        source = memory.source if deployed is None else anchor_of(deployed.manifest)
        rule = self._read_rule(source, name) if source else here
        if rule is None:
            return None
        return self._follow(Route(rule, deployed, doubt, self._read_ways(source, name)), source, branch)

    def name_remembered(self) -> tuple[str, ...]:
        """Name the environments that are remembered, else those that the default branch has."""
        return tuple(sorted(self._known.memories or self._read_default().environments))

    def check_project(self, name: str) -> str:
        """Say why a commit whose project has this name is not this repository's; nothing when it is."""
        if name in self._known.taken:
            return f"the project `{name[:80]}` is released by {self._known.taken[name][:100]}, not by this repository"
        expected = self.project
        if not expected or name == expected:
            return ""
        return f"the project is named `{name[:80]}`, but this repository releases `{expected[:80]}`"

    def _follow(self, route: Route, source: str, branch: str) -> Route:
        """Follow a release branch that was moved, with everybody's consent: what stands is what the new one holds, and what that says.

        `source` is the commit that the rule was read from. A release that is older than it says nothing of the rules, and where none
        is known to have been made on that branch, somebody put it there.
        """
        name, passed = route.rule.name, {branch}
        while route.rule.release not in passed:
            branch = route.rule.release
            passed.add(branch)
            deployed, doubt = self._read_tip(branch, name)
            anchor = "" if deployed is None else anchor_of(deployed.manifest)
            if anchor and is_ancestor(self._known.repository, source, anchor):
                source, route = anchor, Route(self._read_rule(anchor, name), deployed, ways=self._read_ways(anchor, name))
                continue
            if anchor and branch not in self._remember(name).marks:
                deployed, doubt = None, f"the tip of {branch} is a release from before releases were moved there"
            route = replace(route, deployed=deployed, doubt=doubt)
        return route

    def _remember(self, name: str) -> Memory:
        return self._known.memories.get(name, Memory())

    def _read_tip(self, branch: str, name: str) -> tuple[Deployed | None, str]:
        tip = find_ref(self._known.repository, f"refs/heads/{branch.removeprefix('refs/heads/')}")
        mark = self._remember(name).marks.get(branch)
        if not tip:
            return None, "" if mark is None else f"the branch {branch} is gone, though release {mark.serial} was made there"
        try:
            self._verify(tip, name)
            found = read_release(self._known.repository, tip, name)
            if mark is not None:
                self._check_follows(found, mark)
            return found, ""
        except TrustError as error:
            return None, f"the tip of {branch} ({tip[:12]}) cannot be verified: {error.message}"

    def _verify(self, tip: str, name: str) -> None:
        candidate, key = open_release(self._known.repository, tip), self._known.key
        root = self._known.roots.get(self.project)
        if root is not None:
            # As agents do: what a release carries of newer roots binds itself, or keys that were rotated out would still sign.
            newest = follow_rotations(candidate, root, BundleVerifier())[-1]
            verify_member(candidate, newest, name, BundleVerifier())
        elif key is not None:
            own = TrustRoot(self.project, 1, {key.ident: key}, 1, {name: EnvironmentTrust("")})
            verify_member(candidate, own, name, BundleVerifier())
        else:
            raise TrustError("no key is pinned here", code="T130", hint="set GITOPS_RELEASE_KEY or GITOPS_TRUST_ROOTS")

    def _check_follows(self, found: Deployed, mark: Mark) -> None:
        """Raise TrustError when a tip is not what was made, nor made after it: somebody put another release of ours there."""
        serial, digest = found.manifest.serial, found.digest
        if serial < mark.serial:
            raise TrustError(f"it is release {serial}, but {mark.serial} was made", code="T104")
        if serial > mark.serial:
            chain = read_chain(self._known.repository, found, until=mark.serial)
            commit = chain[mark.serial][0] if mark.serial in chain else ""
            digest = chain[mark.serial][1].digest if commit else ""
            if commit and self._find_version(commit) > self._find_version(found.commit):
                raise TrustError(f"it leaves out the trust root that release {mark.serial} carries", code="T109")
        if mark.digest and digest != mark.digest:
            raise TrustError(f"it does not follow release {mark.serial} that was made there", code="T104")

    def _find_version(self, commit: str) -> int:
        """Give the version of the newest trust root that a release carries after the pinned one; 0 where none is pinned."""
        root = self._known.roots.get(self.project)
        return (
            0
            if root is None
            else follow_rotations(open_release(self._known.repository, commit), root, BundleVerifier())[-1].version
        )

    def _read_rule(self, source: str, name: str) -> Environment:
        try:
            compiled = self._compile(source)
        except ConfigError as error:
            raise _unreadable(name, source, error.message) from error
        if name in compiled.environments:
            return compiled.environments[name]
        if compiled.is_valid:
            raise _unreadable(name, source, "that commit has no such environment")
        # It was valid when it was released: this machine was too slow, or short of memory. Tried again.
        message = f"the rules of {name} at {source[:12]} cannot be read: {compiled.diagnostics[0].message}"
        raise RemoteError(message, code="R207")

    def _read_ways(self, source: str, name: str) -> Mapping[str, str]:
        return list_ways(name, (self._compile(source) if source else self._read_default()).hosts)

    def _read_default(self) -> CompiledCommit:
        return self._compile(self._known.default) if self._known.default else CompiledCommit()

    def _compile(self, commit: str) -> CompiledCommit:
        if commit not in self._read:
            self._read[commit] = check_whole(compile_commit(self._known.repository, commit, subpath=self._known.subpath), commit)
        return self._read[commit]


def list_ways(environment: str, hosts: Mapping[str, HostEntry]) -> Mapping[str, str]:
    """Say how each host of an environment is reached; those that fetch by themselves are not."""
    return {
        name: f"over ssh at {host.address}" if host.connection == "ssh" else "by nobody"
        for name, host in hosts.items()
        if host.environment == environment
    }


def describe_routing(environment: Environment) -> Mapping[str, Json]:
    """Give the fields that route or judge, as values of a plan."""
    values: dict[str, Json] = {name: getattr(environment, name) for name in ROUTING}
    return {**values, "approvers": sorted(environment.approvers)}


def plan_new(environment: Environment) -> HostPlan | None:
    """Give the item of an environment that is only proposed."""
    return plan_routing(environment.name, None, describe_routing(environment))


def _unreadable(name: str, source: str, why: str) -> HeldError:
    message = f"the rules of {name} at {source[:12]}, which its last release had, cannot be read: {why}"
    return HeldError(message, code="H053", hint="bring that commit back, or release by hand")
