"""Which names a release tree may hold: those of DESIGN §5 in their one spelling, as plain files, and nothing else.

Pure. Since every known name is lower-case hex or an object's name, no two differ only by case or by Unicode form; below
`extensions/` only plain ASCII is allowed, once in any case.
"""

from __future__ import annotations

import re

from gitops.errors import TrustError
from gitops.model.address import is_object_name
from gitops.model.candidate import Candidate, find_limit
from gitops.model.codec import is_digest
from gitops.model.graph import shard_of
from gitops.model.limits import DEFAULTS
from gitops.model.manifest import Manifest
from gitops.trust.reading import PLAIN

INDEX = "index"
SIGNATURE_END = ".sigstore.json"
_VERSION = re.compile(r"[1-9][0-9]{0,8}\Z", re.ASCII)
_EXTENSION_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}\Z", re.ASCII)


def check_layout(candidate: Candidate, manifest: Manifest) -> None:
    """Raise TrustError for too much, for what is no plain file, and for a name that does not belong."""
    if len(candidate.listing) > DEFAULTS.release_files:
        raise TrustError(f"the release has more than {DEFAULTS.release_files} files", code="T106")
    total = 0
    folded: set[str] = set()
    for path, item in candidate.listing.items():
        total += item.size
        if total > DEFAULTS.release_bytes:
            raise TrustError(f"the release is larger than {DEFAULTS.release_bytes} bytes", code="T106")
        if item.size > find_limit(path):
            raise TrustError(f"{path[:200]} is larger than {find_limit(path)} bytes", code="T106")
        if item.mode != PLAIN:
            raise TrustError(f"{path[:200]} has mode {item.mode}, only plain files are allowed", code="T106")
        if not _is_known_path(path, manifest) or path.lower() in folded:
            raise TrustError(f"the release holds a file that does not belong to it: {path[:200]}", code="T106")
        folded.add(path.lower())


def signature_path(ident: str) -> str:
    """Give where a key's signature lies."""
    return f"signatures/{ident}{SIGNATURE_END}"


def _is_known_path(path: str, manifest: Manifest) -> bool:
    match path.split("/"):
        case ["signatures", name]:
            return _is_signature(name)
        case ["hosts", shard, name]:
            return shard in manifest.shards and _is_host_file(shard, name)
        case ["blobs", prefix, name]:
            return is_digest(name) and name[:2] == prefix
        case ["plans", name]:
            return bool(manifest.plan) and name == f"{manifest.plan}.json"
        case ["approvals", name]:
            return name.endswith(".json") and name.removesuffix(".json") in manifest.approvals
        case ["trust", *rest]:
            return _is_trust_path(rest)
        case ["extensions", *rest]:
            return bool(rest) and all(_EXTENSION_NAME.match(part) for part in rest)
        case _:
            return path == "manifest.json"


def _is_signature(name: str) -> bool:
    return name.endswith(SIGNATURE_END) and is_digest(name.removesuffix(SIGNATURE_END))


def _is_host_file(shard: str, name: str) -> bool:
    host = name.removesuffix(".json")
    return name.endswith(".json") and (host == INDEX or (is_object_name(host) and shard_of(host) == shard))


def _is_trust_path(parts: list[str]) -> bool:
    match parts:
        case [name]:
            return name.endswith(".json") and bool(_VERSION.match(name.removesuffix(".json")))
        case [folder, name]:
            return folder.endswith(".sigs") and bool(_VERSION.match(folder.removesuffix(".sigs"))) and _is_signature(name)
        case _:
            return False
