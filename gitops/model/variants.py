"""Variants: what one change of a fleet's plan comes to from host to host, where only content differs.

A plan shows such a change once, with the content of one host as a sample. The rest stands beside it, content-addressed: an index names the
hosts of each variant and, by digest, the chunks that hold them; so who wants one host's content reads the index and one chunk.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Dict, List, Optional, Sequence, Tuple, cast

from gitops.errors import MalformedError
from gitops.model.addressed import ReadPart, keep_document, open_document
from gitops.model.codec import Json, is_digest
from gitops.model.fields import Fields
from gitops.model.plan import Change, FieldChange

INDEX_SCHEMA = "gitops/plan-variants/v1"
CHUNK_SCHEMA = "gitops/plan-variant-chunk/v1"
CHUNK = 100


@dataclass(frozen=True)
class Variant:
    """What a change is on these hosts (sorted)."""

    hosts: Tuple[str, ...]
    after: str
    fields: Tuple[FieldChange, ...]
    diff: Tuple[str, ...]

    def apply_to(self, change: Change) -> Change:
        """Give the whole change as it is on these hosts."""
        return replace(change, after=self.after, fields=self.fields, diff=self.diff, differs=None)

    def to_json(self) -> Dict[str, Json]:
        """Give `{after, fields, diff}`; the hosts stand in the index."""
        return {"after": self.after, "fields": [item.to_json() for item in self.fields], "diff": list(self.diff)}


@dataclass(frozen=True)
class VariantIndex:
    """The hosts of each variant, those of most hosts first, and the digests of the chunks, CHUNK variants in each."""

    hosts: Tuple[Tuple[str, ...], ...]
    chunks: Tuple[str, ...]

    def to_json(self) -> Dict[str, Json]:
        """Give the document."""
        hosts: List[Json] = [list(names) for names in self.hosts]
        return {"schema": INDEX_SCHEMA, "hosts": hosts, "chunks": list(self.chunks)}

    def find_place(self, host: str) -> Optional[int]:
        """Give which variant is a host's, or None."""
        return next((number for number, names in enumerate(self.hosts) if host in names), None)


def write_variants(variants: Sequence[Variant]) -> Tuple[str, Dict[str, bytes]]:
    """Give the digest of the index of these variants, and all parts by digest."""
    parts: Dict[str, bytes] = {}
    chunks: List[str] = []
    for start in range(0, len(variants), CHUNK):
        rows: List[Json] = [item.to_json() for item in variants[start : start + CHUNK]]
        chunks.append(keep_document(parts, {"schema": CHUNK_SCHEMA, "variants": rows}))
    index = VariantIndex(tuple(item.hosts for item in variants), tuple(chunks))
    return keep_document(parts, index.to_json()), parts


def read_index(digest: str, read: ReadPart) -> VariantIndex:
    """Read an index; raise MalformedError when its bytes are not those of the digest, or no index."""
    fields = open_document(digest, INDEX_SCHEMA, read)
    hosts = tuple(_texts(item) for item in fields.items("hosts"))
    found = VariantIndex(hosts, fields.texts("chunks"))
    fields.done()
    if len(found.chunks) != -(-len(hosts) // CHUNK) or not all(map(is_digest, found.chunks)):
        raise MalformedError("plan variants: `chunks` are not those of the hosts", code="M014")
    return found


def read_variants(index: VariantIndex, places: range, read: ReadPart) -> Tuple[Variant, ...]:
    """Read some variants, by their places in the index; only the chunks that hold them are read."""
    chunks: Dict[int, Tuple[Json, ...]] = {}
    found: List[Variant] = []
    for place in places[: max(0, len(index.hosts) - places.start)]:
        number = place // CHUNK
        if number not in chunks:
            chunks[number] = _read_chunk(index.chunks[number], read)
        if place % CHUNK >= len(chunks[number]):
            raise MalformedError("plan variants: a chunk holds fewer variants than its index names", code="M014")
        found.append(_read_variant(index.hosts[place], chunks[number][place % CHUNK]))
    return tuple(found)


def _read_chunk(digest: str, read: ReadPart) -> Tuple[Json, ...]:
    fields = open_document(digest, CHUNK_SCHEMA, read)
    found = tuple(fields.items("variants"))
    fields.done()
    return found


def _read_variant(hosts: Tuple[str, ...], value: Json) -> Variant:
    fields = Fields(value, "variant")
    changed = tuple(FieldChange.from_json(item) for item in fields.items("fields"))
    found = Variant(hosts, fields.text("after"), changed, fields.texts("diff"))
    fields.done()
    return found


def _texts(value: Json) -> Tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not value or not all(isinstance(item, str) for item in value):
        raise MalformedError("plan variants: hosts are lists of names", code="M014")
    return tuple(cast("Sequence[str]", value))
