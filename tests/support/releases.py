"""Real release branches for tests of those who read them: made here with plain git, so that a reader is not tested by its own writer."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gitops.executor.observe import make_preparer
from gitops.model.approval import Approval
from gitops.model.codec import digest_bytes
from gitops.model.graph import Block, Graphs, HostGraph
from gitops.model.manifest import Manifest, Previous
from gitops.model.resource import Resource
from gitops.model.scope import HostScope, Scope
from gitops.model.scopetree import digest_change
from gitops.model.trustroot import EnvironmentTrust, TrustRoot
from gitops.plan.host import plan_host
from gitops.providers.registry import make_registry
from gitops.release.tree import layout_graphs
from gitops.signatures.bundle import sign_manifest
from gitops.signatures.keys import SigningKey, generate_key, write_key
from tests.support.project import Repository, write_files

BRANCH = "release/production"
NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
Change = Callable[[dict[str, bytes]], None]


def text_file(path: str, content: str, **attributes: object) -> Resource:
    return Resource("file", path, {"content": content, **attributes})  # type: ignore[dict-item]


def graphs_of(
    hosts: Mapping[str, Sequence[Resource]], *, blobs: Mapping[str, bytes] | None = None, shared: Sequence[Resource] = ()
) -> Graphs:
    """Give graphs of hosts with resources of their own, and a block that all share."""
    block = Block("module/shared", tuple(shared))
    from_block = {} if not shared else {digest_bytes(block.to_bytes()): block}
    graphs = {name: HostGraph(name, "production", tuple(from_block), tuple(own)) for name, own in hosts.items()}
    return Graphs("production", graphs, from_block, dict(blobs or {}))


@dataclass
class Publisher:
    """A repository with a release branch, its key, and what was released last."""

    folder: Path
    key: SigningKey = field(default_factory=generate_key)
    required: int = 0
    commit_signature: str = "warn"
    serial: int = 0
    digest: str = ""
    graphs: Graphs = field(default_factory=lambda: Graphs("production"))
    manifest: Manifest | None = None

    def __post_init__(self) -> None:
        self.work = Repository.make(self.folder / "work", {"seed": ""}, branch=BRANCH)
        self.bare = self.folder / "served" / "acme.git"
        self.bare.parent.mkdir()
        self.work.git("init", "-q", "--bare", str(self.bare))
        self.work.git("remote", "add", "origin", str(self.bare))
        self.work.git("rm", "-q", "--cached", "seed")
        self.work.git("update-ref", "-d", "HEAD")
        write_key(self.key, self.folder / "signing")

    @property
    def url(self) -> str:
        return f"file://{self.bare}"

    @property
    def root(self) -> TrustRoot:
        trust = EnvironmentTrust(BRANCH, self.required)
        keys = {self.key.public.ident: self.key.public}
        return TrustRoot("acme", 1, keys, 1, {"production": trust}, commit_signature=self.commit_signature)

    def write_root(self) -> Path:
        path = self.folder / "root.json"
        path.write_bytes(self.root.to_bytes())
        return path

    def allow_filter(self) -> None:
        Repository(self.bare).git("config", "uploadpack.allowFilter", "true")

    def approve(self, graphs: Graphs, *, base: Graphs | None = None, approver: str = "user:alice") -> Approval:
        """Approve everything that the step from what was released last to these graphs may need on any state of a host."""
        preparer = make_preparer(make_registry(runs_guards=False))
        before = self.graphs if base is None else base
        scopes: dict[str, HostScope] = {}
        for host in graphs.hosts:
            baseline = {item.address: item for item in before.resources_of(host)}
            plan = plan_host(host, graphs.resources_of(host), observation=None, baseline=baseline, preparer=preparer)
            if not plan.scope.is_empty:
                scopes[host] = plan.scope
        scope = Scope(scopes)
        return Approval(
            repository="acme",
            environment="production",
            pull=str(self.serial + 1),
            change_digest=digest_change(scope, repository="acme", environment="production", pull=str(self.serial + 1)),
            policy_digest="0" * 64,
            scope=scope,
            approver=approver,
            issued=NOW - timedelta(hours=1),
            expires=NOW + timedelta(days=7),
        )

    def make(
        self,
        graphs: Graphs,
        *,
        approvals: Sequence[Approval] = (),
        change: Callable[[Manifest], Manifest] | None = None,
        key: SigningKey | None = None,
    ) -> tuple[dict[str, bytes], Manifest]:
        """Give the files of the next release."""
        layout = layout_graphs(graphs)
        manifest = Manifest(
            repository="acme",
            environment="production",
            serial=self.serial + 1,
            previous=Previous(self.serial, self.digest) if self.serial else None,
            commit="1" * 40,
            issued=NOW,
            expires=NOW + timedelta(days=90),
            compiler="0.1.0",
            shards=layout.shards,
            approvals=tuple(item.digest for item in approvals),
        )
        manifest = manifest if change is None else change(manifest)
        data = manifest.to_bytes()
        signer = key or self.key
        files = dict(layout.files)
        files["manifest.json"] = data
        files[f"signatures/{self.key.public.ident}.sigstore.json"] = sign_manifest(signer, data)
        files.update({f"approvals/{item.digest}.json": item.to_bytes() for item in approvals})
        return files, manifest

    def release(
        self,
        graphs: Graphs,
        *,
        approvals: Sequence[Approval] = (),
        change: Callable[[Manifest], Manifest] | None = None,
        spoil: Change | None = None,
        key: SigningKey | None = None,
        is_remembered: bool = True,
    ) -> str:
        """Commit the next release and push it; give its commit. `spoil` changes files after they were signed."""
        files, manifest = self.make(graphs, approvals=approvals, change=change, key=key)
        if spoil is not None:
            spoil(files)
        commit = self.commit(files, f"release {manifest.serial}")
        if is_remembered:
            self.serial, self.digest, self.graphs, self.manifest = manifest.serial, manifest.digest, graphs, manifest
        return commit

    def commit(self, files: Mapping[str, bytes], message: str = "release", *, sign: bool = True) -> str:
        """Commit exactly these files, signed as release commits are, and push."""
        for item in self.work.path.iterdir():
            if item.name != ".git":
                shutil.rmtree(item) if item.is_dir() else item.unlink()
        write_files(self.work.path, dict(files))
        self.work.git("add", "-A")
        options = ["-c", "gpg.format=ssh", "-c", f"user.signingKey={self.folder / 'signing'}"] if sign else []
        flags = ["-S"] if sign else []
        self.work.git(*options, "commit", "-q", "--allow-empty", *flags, "-m", message)
        self.push()
        return self.work.git("rev-parse", "HEAD")

    def push(self) -> None:
        self.work.git("push", "-q", "--force", "origin", f"HEAD:refs/heads/{BRANCH}")

    def back_to(self, commit: str) -> None:
        """Let the branch point to a commit, as somebody with the right to push could."""
        self.work.git("update-ref", f"refs/heads/{BRANCH}", commit)
        self.push()


def expired(manifest: Manifest) -> Manifest:
    return replace(manifest, issued=NOW - timedelta(days=100), expires=NOW - timedelta(days=10))


def spoil_file(prefix: str) -> Change:
    """Change a byte of the first file whose path begins so."""

    def spoil(files: dict[str, bytes]) -> None:
        path = sorted(name for name in files if name.startswith(prefix))[0]
        files[path] = files[path].replace(b"hello", b"hellO", 1) if b"hello" in files[path] else files[path] + b" "

    return spoil
