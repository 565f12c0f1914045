"""What hangs from a manifest: hosts' graphs, blocks, contents; one host's share, or the whole tree with nothing left over.

Pure: every byte is compared with the digest that the manifest, through the indexes, hangs it from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from gitops.errors import MalformedError, TrustError
from gitops.model.address import Address
from gitops.model.candidate import Candidate
from gitops.model.codec import Json, decode_canonical, is_digest
from gitops.model.fleetplan import FleetPlan
from gitops.model.graph import Block, Graphs, HostGraph, shard_of
from gitops.model.limits import DEFAULTS
from gitops.model.manifest import Manifest
from gitops.model.resource import Resource
from gitops.trust.layout import INDEX
from gitops.trust.reading import read_digest
from gitops.trust.verified import VerifiedRelease


@dataclass(frozen=True)
class HostShare:
    """What a release holds for one host: its resources by address, and which of them are whose block's, by the block's digest."""

    resources: tuple[Resource, ...]
    blocks: Mapping[str, tuple[Address, ...]]


def read_host(release: VerifiedRelease, host: str) -> tuple[Resource, ...] | None:
    """Give a host's resources, every file checked by digest; None when the release does not list the host."""
    share = read_share(release, host)
    return None if share is None else share.resources


def read_share(release: VerifiedRelease, host: str) -> HostShare | None:
    """Give a host's resources and blocks the same way."""
    candidate, manifest, shard = release.candidate, release.manifest, shard_of(host)
    if shard not in manifest.shards:
        return None
    digest = _read_index(candidate, manifest, shard).get(host)
    if digest is None:
        return None
    graph = _read_graph(candidate, manifest, host, digest)
    found = list(graph.resources)
    blocks = {digest: _read_block(candidate, digest).resources for digest in graph.blocks}
    found.extend(resource for resources in blocks.values() for resource in resources)
    if len({resource.address for resource in found}) != len(found):
        raise TrustError(f"the graph of {host} has one address twice", code="T106")
    named = {digest: tuple(resource.address for resource in resources) for digest, resources in blocks.items()}
    return HostShare(tuple(sorted(found, key=lambda resource: resource.address)), named)


def read_content(release: VerifiedRelease, digest: str) -> bytes:
    """Give a file's content, checked by digest."""
    return read_digest(release.candidate, _blob_path(digest), digest)


def read_graphs(candidate: Candidate, manifest: Manifest) -> Graphs:
    """Give all graphs, blocks and contents of a release; raise TrustError for what is missing, changed or left over."""
    hosts: dict[str, HostGraph] = {}
    for shard in sorted(manifest.shards):
        for host, digest in _read_index(candidate, manifest, shard).items():
            if shard_of(host) != shard:
                raise TrustError(f"{host} stands in the index of another shard", code="T106")
            hosts[host] = _read_graph(candidate, manifest, host, digest)
    blocks = {
        digest: _read_block(candidate, digest) for digest in sorted({item for graph in hosts.values() for item in graph.blocks})
    }
    resources = [*(item for graph in hosts.values() for item in graph.resources)]
    resources.extend(item for block in blocks.values() for item in block.resources)
    blobs = {digest: read_digest(candidate, _blob_path(digest), digest) for digest in sorted(find_blobs(resources))}
    _check_nothing_more(candidate, hosts, {*blocks, *blobs})
    return Graphs(manifest.environment, hosts, blocks, blobs)


def read_plan(candidate: Candidate, manifest: Manifest) -> FleetPlan | None:
    """Give the approved plan, or None when the manifest names none."""
    if not manifest.plan:
        return None
    try:
        plan = FleetPlan.from_json(decode_canonical(read_digest(candidate, f"plans/{manifest.plan}.json", manifest.plan)))
    except MalformedError as error:
        raise TrustError(f"the plan: {error.message}", code="T106") from error
    if (plan.subject.repository, plan.subject.environment) != (manifest.repository, manifest.environment):
        raise TrustError("the plan is for another repository or environment", code="T106")
    return plan


def find_blobs(resources: Iterable[Resource]) -> frozenset[str]:
    """Give the digests of all contents that resources refer to (`{blob, size}`), programs included."""
    found: set[str] = set()
    for resource in resources:
        found.update(_walk(resource.attributes))
        found.update(program.blob for program in resource.facts.values())
    return frozenset(found)


def find_programs(resources: Iterable[Resource]) -> frozenset[str]:
    """Give the digests of the project's programs that must run before anything is observed: of external things and custom facts."""
    return frozenset(
        digest
        for resource in resources
        for digest in (*_walk(resource.attributes.get("executable")), *(program.blob for program in resource.facts.values()))
    )


def _walk(value: Json) -> Iterator[str]:
    if isinstance(value, Mapping):
        blob = value.get("blob")
        if set(value) == {"blob", "size"} and isinstance(blob, str) and is_digest(blob):
            yield blob
            return
        for item in value.values():
            yield from _walk(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _walk(item)


def _read_index(candidate: Candidate, manifest: Manifest, shard: str) -> dict[str, str]:
    path = f"hosts/{shard}/index.json"
    data = read_digest(candidate, path, manifest.shards[shard], DEFAULTS.manifest_bytes)
    try:
        index = decode_canonical(data)
    except MalformedError as error:
        raise TrustError(f"{path}: {error.message}", code="T106") from error
    found = {host: digest for host, digest in index.items() if isinstance(digest, str)} if isinstance(index, dict) else {}
    if not isinstance(index, dict) or len(found) != len(index) or INDEX in found or not all(map(is_digest, found.values())):
        raise TrustError(f"{path} is not a table of hosts and digests", code="T106")
    return found


def _read_graph(candidate: Candidate, manifest: Manifest, host: str, digest: str) -> HostGraph:
    try:
        data = read_digest(candidate, f"hosts/{shard_of(host)}/{host}.json", digest)
        graph = HostGraph.from_json(decode_canonical(data))
    except MalformedError as error:
        raise TrustError(f"the graph of {host}: {error.message}", code="T106") from error
    if graph.host != host or graph.environment != manifest.environment:
        raise TrustError(f"the graph of {host} is another host's or environment's", code="T106")
    return graph


def _read_block(candidate: Candidate, digest: str) -> Block:
    try:
        return Block.from_json(decode_canonical(read_digest(candidate, _blob_path(digest), digest)))
    except MalformedError as error:
        raise TrustError(f"the block {digest[:12]}: {error.message}", code="T106") from error


def _check_nothing_more(candidate: Candidate, hosts: Iterable[str], blobs: Iterable[str]) -> None:
    known = {f"hosts/{shard_of(host)}/{host}.json" for host in hosts} | {_blob_path(digest) for digest in blobs}
    for path in sorted(candidate.listing):
        is_hanging = path.startswith("blobs/") or (path.startswith("hosts/") and not path.endswith(f"/{INDEX}.json"))
        if is_hanging and path not in known:
            raise TrustError(f"{path[:200]} hangs from nothing that is signed", code="T106")


def _blob_path(digest: str) -> str:
    return f"blobs/{digest[:2]}/{digest}"
