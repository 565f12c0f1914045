"""Documents that are named by the digest of their bytes: kept in a table, and read so that none can be another than was named. Pure."""

from __future__ import annotations

from typing import Callable, Dict, Mapping

from gitops.errors import BugError, MalformedError
from gitops.model.codec import Json, decode_canonical, digest_bytes, encode_canonical
from gitops.model.fields import Fields

ReadPart = Callable[[str], bytes]


def keep_document(documents: Dict[str, bytes], document: Mapping[str, Json]) -> str:
    """Put the canonical bytes of a document into a table under their digest, and give that."""
    data = encode_canonical(document)
    digest = digest_bytes(data)
    documents[digest] = data
    return digest


def open_document(digest: str, schema: str, read: ReadPart) -> Fields:
    """Read a document; raise MalformedError when its bytes are not those of the digest, or it is of another schema."""
    data = read(digest)
    if digest_bytes(data) != digest:
        raise MalformedError(f"the document {digest[:12]} is not what it was", code="M031")
    fields = Fields(decode_canonical(data), schema)
    fields.schema(schema)
    return fields


def refuse_parts(digest: str) -> bytes:
    """Stand for the parts of a plan that was read without them: nothing may be concluded from their absence."""
    raise BugError(f"the part {digest[:12]} of a plan was asked for, and its parts were not read", code="B050")
