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
import stat
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from gitops.config.cuebinary import find_cue
from gitops.errors import MalformedError
from gitops.model.codec import Json, decode_json, digest_bytes, digest_json, encode_canonical
from gitops.model.fields import Fields
from gitops.model.graph import Graphs
from gitops.model.limits import DEFAULTS, Limits
from gitops.pipeline.graphsjson import decode_blobs, encode_blobs, graphs_from_json, graphs_to_json
from gitops.source.snapshot import Snapshot

SCHEMA = "gitops/compiled-host/v1"
FOLDER = "compiled"
UNFINISHED = "new-"
LIBRARIES = ("yaml", "jinja2", "markupsafe", "jsonschema", "jsonschema_specifications", "referencing", "attr", "rpds")
PRODUCT = Path(__file__).resolve().parents[1]
DIGEST_LENGTH = 64
OTHERS = 0o077


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
        with _open_own(cache) as folder:
            data = _read_own(folder, key, limits.cached_entry_bytes)
            found = _decode(data, key)
            os.utime(key, dir_fd=folder, follow_symlinks=False)
            return found
    except (OSError, MalformedError):
        return None


def keep_compiled(cache: Path, key: str, found: CompiledHere, limits: Limits = DEFAULTS) -> None:
    """Keep it for the next run; whole or not at all. What cannot be kept is not: the cache is never needed."""
    data = _encode(found, key)
    if len(data) > limits.cached_entry_bytes:
        return
    with contextlib.suppress(OSError):
        (cache / FOLDER).mkdir(mode=0o700, parents=True, exist_ok=True)
        with _open_own(cache) as folder:
            _write(folder, key, data)
            _evict(folder, limits)


def _encode(found: CompiledHere, key: str) -> bytes:
    body = encode_canonical(
        {
            "schema": SCHEMA,
            "key": key,
            "project": found.project,
            "graphs": graphs_to_json(found.graphs),
            "blobs": encode_blobs(found.graphs.blobs),
        }
    )
    return digest_bytes(body).encode("ascii") + b"\n" + body


def _decode(data: bytes, key: str) -> CompiledHere:
    digest, body = data[:DIGEST_LENGTH], data[DIGEST_LENGTH + 1 :]
    if digest_bytes(body).encode("ascii") != digest:
        raise MalformedError("a kept compile is damaged", code="M014")
    fields = Fields(decode_json(body), "kept compile")
    fields.schema(SCHEMA)
    if fields.text("key") != key:
        raise MalformedError("a kept compile is of another key", code="M014")
    blobs = decode_blobs(fields.texts("blobs"))
    found = CompiledHere(fields.text("project"), graphs_from_json(fields.raw("graphs"), blobs))
    fields.done()
    return found


@contextmanager
def _open_own(cache: Path) -> Generator[int]:
    """Open the folder of entries; OSError when it is not this user's alone. All else is done below that descriptor."""
    folder = os.open(cache / FOLDER, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _require_own(os.fstat(folder))
        yield folder
    finally:
        os.close(folder)


def _require_own(info: os.stat_result) -> None:
    if info.st_uid != os.geteuid() or info.st_mode & OTHERS:
        raise PermissionError("not this user's alone")


def _read_own(folder: int, key: str, limit: int) -> bytes:
    descriptor = os.open(key, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    with os.fdopen(descriptor, "rb") as stream:
        info = os.fstat(descriptor)
        _require_own(info)
        if not stat.S_ISREG(info.st_mode) or info.st_size > limit:
            raise PermissionError("not an entry")
        return stream.read(limit)


def _write(folder: int, key: str, data: bytes) -> None:
    """Write beside and rename. Not flushed: what a power cut leaves is damaged, and so is not there."""
    name = UNFINISHED + os.urandom(8).hex()  # mkstemp knows no folder by descriptor
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        os.rename(name, key, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        os.unlink(name, dir_fd=folder)
        raise


def _evict(folder: int, limits: Limits) -> None:
    """Remove what was used longest ago, until number and size are within bounds; what was left unfinished goes with the others."""
    found: list[tuple[int, str, int]] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            info = entry.stat(follow_symlinks=False)
            found.append((info.st_mtime_ns, entry.name, info.st_size))
    total, count = sum(size for _, _, size in found), len(found)
    for _, name, size in sorted(found):
        if total <= limits.cached_bytes and count <= limits.cached_entries:
            return
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=folder)
        total, count = total - size, count - 1


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
