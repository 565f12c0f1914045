"""Bring one path back to a journalled state. The caller has journalled the state now; what came since is never swept away."""

from __future__ import annotations

import os
from hashlib import sha256
from typing import Mapping, Optional, Tuple, cast

from gitops.errors import HostError
from gitops.executor.durable import write_sparse
from gitops.executor.extended import apply_metadata, set_extended, set_of_content
from gitops.executor.host import RealHost
from gitops.executor.tree import read_parts
from gitops.model.codec import Json
from gitops.providers.host import Metadata

Before = Mapping[str, Json]


def restore_path(host: RealHost, path: str, before: Before) -> None:
    """Restore type, content or target, owner, mode, attributes and time; raise HostError when something is in the way."""
    kind, found = str(before.get("type")), host.inspect(path)
    if found.type == "unsafe":
        raise HostError(found.reason, code="E251")
    if (found.type == "directory") != (kind == "directory") and found.type != "absent" and kind != "absent":
        raise HostError(f"{found.type} is there now, {kind} was there before", code="E252", hint="move it away yourself")
    if kind == "absent":
        _remove(host, path, found.type)
    elif kind == "symlink":
        host.writer.make_symlink(path, str(before["target"]), _ids(before))
    elif kind == "directory":
        extended = _known_extended(before)
        if found.type == "absent":
            host.make_directory(path, Metadata())
            extended = _extended(before)
        host.writer.restore_metadata(path, _ids(before), _mode(before), extended)
    elif before.get("image") is None:
        host.writer.restore_metadata(path, _ids(before), _mode(before), _known_extended(before))
    else:
        host.writer.replace_file(path, lambda descriptor: _fill(descriptor, before))


def _remove(host: RealHost, path: str, kind: str) -> None:
    if kind == "absent":
        return
    if kind == "directory" and host.list_names(path):
        raise HostError("it is not empty: something has come into it since", code="E253", hint="move that away yourself")
    host.writer.remove_one(path, is_directory=kind == "directory")


def _fill(descriptor: int, before: Before) -> None:
    image = str(before["image"])
    source = os.open(image, os.O_RDONLY | os.O_CLOEXEC)
    digest = sha256()
    try:
        for part in read_parts(source):
            digest.update(part)
            write_sparse(descriptor, part)
        os.ftruncate(descriptor, os.fstat(source).st_size)
    finally:
        os.close(source)
    if digest.hexdigest() != image.rpartition("/")[2]:
        raise HostError("the copy that was kept of it is damaged", code="E254")
    set_extended(descriptor, _extended(before))
    apply_metadata(descriptor, *_ids(before), _mode(before))
    set_of_content(descriptor, _extended(before))
    if before.get("mtime"):
        moment = int(str(before["mtime"]))
        os.utime(descriptor, ns=(moment, moment))


def _extended(before: Before) -> Mapping[str, Json]:
    return cast("Mapping[str, Json]", before.get("xattrs") or {})


def _known_extended(before: Before) -> Optional[Mapping[str, Json]]:
    """Give nothing for an image of an earlier version, which does not say that there were none: then what is there stays."""
    return _extended(before) if "xattrs" in before else None


def _mode(before: Before) -> int:
    return int(str(before["mode"]), 8)


def _ids(before: Before) -> Tuple[int, int]:
    return cast(int, before["uid"]), cast(int, before["gid"])
