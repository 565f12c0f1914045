"""Releases in memory, signed with real keys, for tests of what trusts them; and the ways to spoil one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from gitops.model.approval import Approval
from gitops.model.candidate import Candidate, Listed
from gitops.model.codec import digest_bytes
from gitops.model.graph import Block, Graphs, HostGraph
from gitops.model.manifest import Manifest, Previous
from gitops.model.resource import Resource
from gitops.model.scope import HostScope, Scope
from gitops.model.scopetree import digest_change
from gitops.model.trustroot import EnvironmentTrust, TrustRoot
from gitops.plan.host import plan_host
from gitops.plan.item import Preparer
from gitops.providers.registry import PROVIDERS
from gitops.release.tree import layout_graphs
from gitops.signatures.bundle import BundleVerifier, sign_manifest
from gitops.signatures.keys import SigningKey, generate_key
from gitops.trust.approvals import find_wanted
from gitops.trust.release import Memory, VerifiedRelease, verify_release

NOW = datetime(2026, 11, 24, 15, 0, 0, tzinfo=UTC)
DAY = timedelta(days=1)
LARGE = b"large " * 2000
LARGE_DIGEST = digest_bytes(LARGE)
Files = dict[str, bytes]
VERIFIER = BundleVerifier()


def file(path: str, content: object = "hello\n") -> Resource:
    return Resource("file", path, {"content": content})  # type: ignore[dict-item]


def blob_file(path: str) -> Resource:
    return file(path, {"blob": LARGE_DIGEST, "size": len(LARGE)})


def graphs(hosts: Mapping[str, Sequence[Resource]], *, shared: Sequence[Resource] = (), blobs: Sequence[bytes] = ()) -> Graphs:
    block = Block("module/shared", tuple(shared))
    blocks = {digest_bytes(block.to_bytes()): block} if shared else {}
    made = {host: HostGraph(host, "production", tuple(blocks), tuple(own)) for host, own in hosts.items()}
    return Graphs("production", made, blocks, {digest_bytes(data): data for data in blobs})


FIRST = graphs({"web-1": [file("/etc/motd")]})
SECOND = graphs({"web-1": [file("/etc/motd", "bye\n")]})
RICH = graphs(
    {"web-1": [file("/etc/motd")], "web-2": [blob_file("/srv/large")]},
    shared=[file("/etc/issue"), file("/etc/x", "a")],
    blobs=[LARGE],
)


def candidate(files: Mapping[str, bytes], modes: Mapping[str, str] | None = None) -> Candidate:
    listing = {path: Listed((modes or {}).get(path, "100644"), len(data)) for path, data in files.items()}
    return Candidate(listing, files.__getitem__)


def approve(
    before: Graphs | None,
    after: Graphs,
    *,
    approver: str = "user:alice",
    teams: Sequence[str] = (),
    issued: datetime = NOW - DAY,
    expires: datetime = NOW + 7 * DAY,
    environment: str = "production",
    repository: str = "acme",
    policy: str = "0" * 64,
    pull: str = "1",
) -> Approval:
    """Approve a step between two sets of graphs, with every effect that it may have on a host never observed."""
    old = before or Graphs("production")
    scopes: dict[str, HostScope] = {}
    preparer = Preparer(PROVIDERS)
    for host in sorted({*old.hosts, *after.hosts}):
        baseline = {item.address: item for item in old.resources_of(host)}
        plan = plan_host(host, after.resources_of(host), observation=None, baseline=baseline, preparer=preparer)
        intents = find_wanted(old.resources_of(host), after.resources_of(host))
        if intents or plan.scope.effects:
            scopes[host] = HostScope(intents, plan.scope.effects)
    scope = Scope(scopes)
    digest = digest_change(scope, repository=repository, environment=environment, pull=pull)
    return Approval(repository, environment, pull, digest, policy, scope, approver, issued, expires, tuple(teams))


@dataclass
class Releaser:
    """Somebody who releases, one serial after another; `root` is what hosts pin."""

    keys: list[SigningKey] = field(default_factory=lambda: [generate_key()])
    threshold: int = 1
    required: int = 0
    approvers: tuple[str, ...] = ()
    is_signed: bool = False
    last: Manifest | None = None

    @property
    def root(self) -> TrustRoot:
        trust = EnvironmentTrust("release/production", self.required, self.approvers, self.is_signed)
        keys = {key.public.ident: key.public for key in self.keys}
        return TrustRoot("acme", 1, keys, self.threshold, {"production": trust})

    @property
    def memory(self) -> Memory:
        """What a host remembers that accepted the last release."""
        assert self.last is not None
        return Memory(self.last.serial, self.last.digest, self.last.issued, frozenset(self.last.approvals))

    def make(
        self,
        graphs: Graphs = FIRST,
        *,
        approvals: Sequence[Approval] = (),
        change: Callable[[Manifest], Manifest] | None = None,
        spoil: Callable[[Files], object] | None = None,
        keys: Sequence[SigningKey] | None = None,
    ) -> Files:
        """Give the next release's files. `change` alters the manifest before it is signed, `spoil` the files afterwards."""
        layout = layout_graphs(graphs)
        before = self.last
        manifest = Manifest(
            repository="acme",
            environment="production",
            serial=1 if before is None else before.serial + 1,
            previous=None if before is None else Previous(before.serial, before.digest),
            commit="1" * 40,
            issued=NOW,
            expires=NOW + 90 * DAY,
            compiler="0.1.0",
            shards=layout.shards,
            approvals=tuple(item.digest for item in approvals),
        )
        manifest = manifest if change is None else change(manifest)
        data = manifest.to_bytes()
        files: Files = {**layout.files, "manifest.json": data}
        files.update({f"approvals/{item.digest}.json": item.to_bytes() for item in approvals})
        for key in self.keys if keys is None else keys:
            files[f"signatures/{key.public.ident}.sigstore.json"] = sign_manifest(key, data)
        if spoil is not None:
            spoil(files)
        self.last = manifest
        return files

    def verify(
        self,
        files: Mapping[str, bytes],
        memory: Memory | None = None,
        *,
        modes: Mapping[str, str] | None = None,
        **options: object,
    ) -> VerifiedRelease:
        settings: dict[str, object] = {"now": NOW, "verifier": VERIFIER, "memory": memory or Memory(), **options}
        return verify_release(candidate(files, modes), self.root, "production", **settings)  # type: ignore[arg-type]


def resign(files: Files, key: SigningKey, change: Callable[[Manifest], Manifest], manifest: Manifest) -> None:
    """Change the manifest as somebody who has the key could."""
    data = change(manifest).to_bytes()
    files["manifest.json"] = data
    files[f"signatures/{key.public.ident}.sigstore.json"] = sign_manifest(key, data)


def set_shards(shards: Mapping[str, str]) -> Callable[[Manifest], Manifest]:
    return lambda manifest: replace(manifest, shards=shards)
