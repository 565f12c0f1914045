"""Compiled config of one host, kept from run to run: the same text, product and host give the same graph, so it is compiled once.

Takes a snapshot, gives what was compiled from the very same bytes, or nothing. A key is the digest of all that goes in: every file,
this program's own files and those of the libraries that it compiles with, the interpreter, the cue binary where there is CUE, the host.
What is kept holds no secret (a graph has references only). It is read as a stranger's document is: from a folder that is this user's
alone, bounded, with its digest checked, decoded strictly. Whatever is wrong with an entry makes it one that is not there.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from gitops.config.cuebinary import find_cue
from gitops.errors import MalformedError
from gitops.executor.ownfolder import evict_own, open_own, read_own, touch_own, write_own
from gitops.model.codec import Json, decode_json, digest_bytes, digest_json, encode_canonical
from gitops.model.fields import Fields
from gitops.model.graph import Graphs
from gitops.model.limits import DEFAULTS, Limits
from gitops.pipeline.graphsjson import decode_blobs, encode_blobs, graphs_from_json, graphs_to_json
from gitops.source.snapshot import Snapshot

SCHEMA = "gitops/compiled-host/v1"
FOLDER = "compiled"
LIBRARIES = ("yaml", "jinja2", "markupsafe", "jsonschema", "jsonschema_specifications", "referencing", "attr", "rpds")
PRODUCT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class CompiledHere:
    """What a run on one host needs of a compiled project: its name, and the graphs of that host alone."""

    project: str
    graphs: Graphs


def hold_tree(tree: Snapshot, limits: Limits = DEFAULTS) -> Snapshot | None:
    """Read a work tree into memory, so that what is digested is what is compiled; None when it is too large for that."""
    if sum(entry.size for entry in tree.entries.values()) > limits.cached_source_bytes:
        return None
    held: dict[str, bytes] = {}
    for path, entry in tree.entries.items():
        if entry.kind in ("file", "executable"):
            data = tree.read_entry(path)
            if len(data) != entry.size:
                return None  # it is being written now
            held[path] = data
    return replace(tree, read_entry=held.__getitem__)


def digest_inputs(tree: Snapshot, host: str, cue: str = "") -> str:
    """Give the key of what a held tree compiles to for a host; `cue` is the binary, when it is not the one that is found."""
    files: dict[str, Json] = {}
    for path, entry in tree.entries.items():
        is_read = entry.kind in ("file", "executable")
        files[path] = [entry.kind, digest_bytes(tree.read(path)) if is_read else ""]
    has_cue = any(path.endswith(".cue") for path in files)
    return digest_json(
        {
            "schema": SCHEMA,
            "host": host,
            "files": files,
            "python": sys.version,
            "product": _stamp_product(),
            "libraries": {name: _stamp_library(name) for name in LIBRARIES},
            "cue": _stamp_file(cue or find_cue()) if has_cue else "",
        }
    )


def read_compiled(cache: Path, key: str, limits: Limits = DEFAULTS) -> CompiledHere | None:
    """Give what is kept under a key, or None: not there, not ours alone, too large, damaged."""
    try:
        with open_own(str(cache / FOLDER)) as folder:
            found = _decode(read_own(folder, key, limits.cached_entry_bytes), key)
            touch_own(folder, key)
            return found
    except (OSError, MalformedError):
        return None


def keep_compiled(cache: Path, key: str, found: CompiledHere, limits: Limits = DEFAULTS) -> None:
    """Keep it for the next run; whole or not at all. What cannot be kept is not: the cache is never needed."""
    data = _encode(found, key)
    if len(data) > limits.cached_entry_bytes:
        return
    with contextlib.suppress(OSError), open_own(str(cache / FOLDER), make=True) as folder:
        write_own(folder, key, data)
        evict_own(folder, limits.cached_entries, limits.cached_bytes)


def _encode(found: CompiledHere, key: str) -> bytes:
    return encode_canonical(
        {
            "schema": SCHEMA,
            "key": key,
            "project": found.project,
            "graphs": graphs_to_json(found.graphs),
            "blobs": encode_blobs(found.graphs.blobs),
        }
    )


def _decode(data: bytes, key: str) -> CompiledHere:
    fields = Fields(decode_json(data), "kept compile")
    fields.schema(SCHEMA)
    if fields.text("key") != key:
        raise MalformedError("a kept compile is of another key", code="M014")
    blobs = decode_blobs(fields.texts("blobs"))
    found = CompiledHere(fields.text("project"), graphs_from_json(fields.raw("graphs"), blobs))
    fields.done()
    return found


def _stamp_product() -> str:
    """Name this program's own files as they are: a checkout changes under one version."""
    stamp = hashlib.sha256()
    folders = [str(PRODUCT)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in sorted(entries, key=lambda item: item.name):
                if entry.name == "__pycache__":
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    info = entry.stat()
                    stamp.update(
                        f"{entry.path}\0{info.st_size}\0{info.st_mtime_ns}\0{info.st_ctime_ns}\n".encode(errors="surrogateescape")
                    )
    return stamp.hexdigest()


def _stamp_library(name: str) -> str:
    """Name a library as it is installed, without importing it."""
    spec = importlib.util.find_spec(name)
    return "" if spec is None or spec.origin is None else _stamp_file(spec.origin)


def _stamp_file(path: str) -> str:
    try:
        info = Path(path).stat()
    except OSError:
        return ""
    return f"{Path(path).resolve()} {info.st_size} {info.st_mtime_ns} {info.st_ctime_ns} {info.st_ino}"
