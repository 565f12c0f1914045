"""Graphs and the contents that they name, as JSON: for the pipe from the bounded child, and for the cache of compiled config."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence

from gitops.errors import MalformedError
from gitops.model.codec import Json, decode_json, digest_bytes
from gitops.model.fields import Fields
from gitops.model.graph import Block, Graphs, HostGraph


def graphs_to_json(graphs: Graphs) -> dict[str, Json]:
    """Give the JSON form; contents are named by digest and travel beside it."""
    return {
        "environment": graphs.environment,
        "hosts": [decode_json(graph.to_bytes()) for _, graph in sorted(graphs.hosts.items())],
        "blocks": [decode_json(block.to_bytes()) for _, block in sorted(graphs.blocks.items())],
        "blobs": sorted(graphs.blobs),
    }


def graphs_from_json(value: Json, blobs: Mapping[str, bytes]) -> Graphs:
    """Read it; every block's digest is computed again; raise MalformedError for what is not there."""
    fields = Fields(value, "graphs")
    hosts = [HostGraph.from_json(item) for item in fields.items("hosts")]
    blocks = [Block.from_json(item) for item in fields.items("blocks")]
    named = {digest_bytes(block.to_bytes()): block for block in blocks}
    found = Graphs(
        environment=fields.text("environment"),
        hosts={graph.host: graph for graph in hosts},
        blocks=named,
        blobs={digest: _blob_of(digest, blobs) for digest in fields.texts("blobs")},
    )
    fields.done()
    missing = [digest for graph in hosts for digest in graph.blocks if digest not in named]
    if missing:
        raise MalformedError(f"answer: block {missing[0]} is not there", code="M014")
    return found


def decode_blobs(texts: Sequence[str]) -> dict[str, bytes]:
    """Read contents, each under the digest that it has."""
    try:
        return {digest_bytes(data): data for data in (base64.b64decode(text, validate=True) for text in texts)}
    except (binascii.Error, ValueError) as error:
        raise MalformedError("answer: a file's content is not base64", code="M014") from error


def _blob_of(digest: str, blobs: Mapping[str, bytes]) -> bytes:
    if digest not in blobs:
        raise MalformedError(f"answer: content {digest[:64]} is not there", code="M014")
    return blobs[digest]


def encode_blobs(blobs: Mapping[str, bytes]) -> list[Json]:
    """Give contents as base64, ordered by digest."""
    return [base64.b64encode(data).decode() for _, data in sorted(blobs.items())]
