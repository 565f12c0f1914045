"""The release tree of DESIGN §5 as a mapping of paths to bytes: hosts, shards, blobs. Deterministic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gitops.errors import ConfigError
from gitops.model.codec import Json, digest_bytes, encode_canonical
from gitops.model.graph import Graphs, shard_of

INDEX = "index"


@dataclass(frozen=True)
class Layout:
    """`files` by path; `shards` maps two hex digits to the digest of that shard's index."""

    files: Mapping[str, bytes]
    shards: Mapping[str, str]


def layout_graphs(graphs: Graphs) -> Layout:
    """Lay out hosts/ and blobs/ of one environment."""
    files: dict[str, bytes] = {}
    indexes: dict[str, dict[str, Json]] = {}
    for host, graph in graphs.hosts.items():
        if host == INDEX:
            raise ConfigError(
                f"a host cannot be named `{INDEX}`", code="C109", hint="its file would be the shard's index; rename it"
            )
        data, shard = graph.to_bytes(), shard_of(host)
        files[f"hosts/{shard}/{host}.json"] = data
        indexes.setdefault(shard, {})[host] = digest_bytes(data)
    shards: dict[str, str] = {}
    for shard, index in indexes.items():
        data = encode_canonical(index)
        files[f"hosts/{shard}/index.json"] = data
        shards[shard] = digest_bytes(data)
    for block in graphs.blocks.values():
        data = block.to_bytes()
        files[blob_path(digest_bytes(data))] = data
    for digest, data in graphs.blobs.items():
        files[blob_path(digest)] = data
    return Layout(files, shards)


def blob_path(digest: str) -> str:
    """Give where a block or content lies."""
    return f"blobs/{digest[:2]}/{digest}"
