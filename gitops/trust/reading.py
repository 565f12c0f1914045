"""Read a candidate's files within bounds, by digest, and only plain ones. Whatever is wrong is a TrustError (T106)."""

from __future__ import annotations

from gitops.errors import TrustError
from gitops.model.candidate import Candidate
from gitops.model.codec import digest_bytes
from gitops.model.limits import DEFAULTS

PLAIN = "100644"


def read_bounded(candidate: Candidate, path: str, limit: int) -> bytes:
    """Give a plain file's bytes, at most `limit`."""
    listed = candidate.listing.get(path)
    if listed is None:
        raise TrustError(f"the release has no {path}", code="T106")
    if listed.mode != PLAIN:
        raise TrustError(f"{path} has mode {listed.mode}, only plain files are allowed", code="T106")
    if listed.size > limit:
        raise TrustError(f"{path} is larger than {limit} bytes", code="T106")
    try:
        data = candidate.read(path)
    except KeyError:
        raise TrustError(f"the content of {path} was not fetched", code="T106") from None
    if len(data) > limit:
        raise TrustError(f"{path} is larger than {limit} bytes", code="T106")
    return data


def read_digest(candidate: Candidate, path: str, digest: str, limit: int = DEFAULTS.blob_bytes) -> bytes:
    """Give a file's bytes when they have the digest that the manifest hangs them from."""
    data = read_bounded(candidate, path, limit)
    if digest_bytes(data) != digest:
        message = f"{path} does not have the digest that the manifest hangs it from"
        raise TrustError(message, code="T106", hint="the release was changed after it was signed")
    return data
