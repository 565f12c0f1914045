"""Block, HostGraph and Graphs: the compiled config.

A block is one module (or group) applied with one set of inputs; its digest is its name, and all hosts with the same inputs
share it. A host's graph lists block digests and the resources of that host alone. Both are stored as canonical JSON.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, Mapping, Tuple

from gitops.errors import MalformedError
from gitops.model.codec import Json, digest_bytes, encode_canonical, is_digest
from gitops.model.fields import Fields
from gitops.model.resource import Resource

BLOCK_SCHEMA = "gitops/block/v1"
GRAPH_SCHEMA = "gitops/graph/v1"


@dataclass(frozen=True)
class Block:
    """Resources that belong together; `name` is `module/nginx` or `group/web`."""

    name: str
    resources: Tuple[Resource, ...]

    def to_bytes(self) -> bytes:
        """Give the canonical document; its SHA-256 is the block's digest."""
        ordered = sorted(self.resources, key=lambda resource: resource.address)
        return encode_canonical({"schema": BLOCK_SCHEMA, "name": self.name, "resources": [item.to_json() for item in ordered]})

    @staticmethod
    def from_json(value: Json) -> Block:
        """Read a block document."""
        fields = Fields(value, "block")
        fields.schema(BLOCK_SCHEMA)
        found = Block(fields.text("name"), tuple(Resource.from_json(item) for item in fields.items("resources")))
        fields.done()
        return found


@dataclass(frozen=True)
class HostGraph:
    """What one host should be: shared blocks by digest, and what is its own."""

    host: str
    environment: str
    blocks: Tuple[str, ...] = ()
    resources: Tuple[Resource, ...] = ()

    def to_bytes(self) -> bytes:
        """Give the canonical document."""
        table: Dict[str, Json] = {
            "schema": GRAPH_SCHEMA,
            "host": self.host,
            "environment": self.environment,
            "blocks": sorted(self.blocks),
            "resources": [item.to_json() for item in sorted(self.resources, key=lambda resource: resource.address)],
        }
        return encode_canonical(table)

    @staticmethod
    def from_json(value: Json) -> HostGraph:
        """Read a graph document."""
        fields = Fields(value, "graph")
        fields.schema(GRAPH_SCHEMA)
        found = HostGraph(
            host=fields.text("host"),
            environment=fields.text("environment"),
            blocks=fields.texts("blocks"),
            resources=tuple(Resource.from_json(item) for item in fields.items("resources")),
        )
        fields.done()
        if not all(is_digest(block) for block in found.blocks):
            raise MalformedError("graph: `blocks` expects digests", code="M014")
        return found


@dataclass(frozen=True)
class Graphs:
    """The graphs of one environment's hosts with the blocks and file contents they name, each by digest."""

    environment: str
    hosts: Mapping[str, HostGraph] = field(default_factory=dict[str, HostGraph])
    blocks: Mapping[str, Block] = field(default_factory=dict[str, Block])
    blobs: Mapping[str, bytes] = field(default_factory=dict[str, bytes])

    def resources_of(self, host: str) -> Tuple[Resource, ...]:
        """List all resources of a host, its blocks' included, ordered by address; a host that is not listed has none."""
        graph = self.hosts.get(host)
        if graph is None:
            return ()
        found = list(graph.resources)
        for digest in graph.blocks:
            found.extend(self.blocks[digest].resources)
        return tuple(sorted(found, key=lambda resource: resource.address))


def shard_of(host: str) -> str:
    """Give the two hex digits of the folder that holds a host's graph (DESIGN §5)."""
    return digest_bytes(host.encode("utf-8"))[:2]
