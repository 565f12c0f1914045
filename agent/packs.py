"""What a remote sends as a pack, looked through before anybody inflates it whole: how large each object is, and all together.

A pack of some hundred kilobytes can hold gigabytes. Every object's size stands before it, so it is known without the memory for it; that
it is no larger than it says is found here too, piece by piece.
"""

from __future__ import annotations

import mmap
import zlib
from collections.abc import Callable
from typing import IO, cast

from dulwich.object_store import DiskObjectStore

from gitops.errors import TrustError
from gitops.model.limits import DEFAULTS, MIB, Limits
from gitops.source.objects import COMPRESSED_HEAD, NAMED_DELTA, OFFSET_DELTA, SHA_BYTES, read_delta_size, read_header

COMMIT, TREE, BLOB, TAG = 1, 2, 3, 4
HEADER_BYTES = 12
PIECE = 1 << 16
Made = tuple[IO[bytes], Callable[[], None], Callable[[], None]]


def bound_packs(store: DiskObjectStore, limits: Limits = DEFAULTS) -> None:
    """Let a store take no pack whose objects are larger than a release may hold."""
    make = store.add_pack

    def add_pack() -> Made:
        stream, commit, abort = make()

        def check_and_commit() -> None:
            if stream.tell():
                try:
                    check_pack(cast("IO[bytes]", stream), limits)
                except BaseException:
                    abort()
                    raise
            commit()

        return cast("Made", (stream, check_and_commit, abort))

    store.add_pack = add_pack  # type: ignore[method-assign]  # pyright: ignore[reportAttributeAccessIssue]


def check_pack(stream: IO[bytes], limits: Limits = DEFAULTS) -> None:
    """Look through a pack (gitformat-pack); raise TrustError beyond the limits, ValueError or zlib.error for what is no pack."""
    stream.flush()
    with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[:4] != b"PACK" or len(data) < HEADER_BYTES + SHA_BYTES:
            raise ValueError("not a pack")
        position, left = HEADER_BYTES, limits.release_bytes
        for _ in range(int.from_bytes(data[8:HEADER_BYTES], "big")):
            position, size = _pass_object(data, position, limits)
            left -= size
            if left < 0:
                message = f"what the remote sent is larger than {limits.release_bytes // MIB} MiB when unpacked"
                raise TrustError(message, code="T113", hint="if the release is really that large, raise the limits of this agent")


def _pass_object(data: mmap.mmap, position: int, limits: Limits) -> tuple[int, int]:
    """Pass one object; give where the next begins, and how many bytes this one comes to."""
    kind, size, length = read_header(data[position : position + SHA_BYTES])
    position += length
    made = size
    if kind in (OFFSET_DELTA, NAMED_DELTA):
        position = position + SHA_BYTES if kind == NAMED_DELTA else _pass_number(data, position)
        made = read_delta_size(data[position : position + COMPRESSED_HEAD])
    most = {COMMIT: MIB, TAG: MIB, TREE: 16 * MIB}.get(kind, limits.blob_bytes)
    if max(size, made) > most:
        raise TrustError(f"the remote sent an object of {max(size, made)} bytes, at most {most} are taken", code="T113")
    return _pass_content(data, position, size), size + made


def _pass_number(data: mmap.mmap, position: int) -> int:
    while data[position] & 0x80:
        position += 1
    return position + 1


def _pass_content(data: mmap.mmap, position: int, size: int) -> int:
    """Inflate piece by piece, keeping nothing, to find where it ends and that it is as long as it says."""
    inflating, left = zlib.decompressobj(), size
    waiting = b""
    while not inflating.eof:
        if not waiting:
            waiting = data[position : position + PIECE]
            position += len(waiting)
            if not waiting:
                raise ValueError("a pack that is cut short")
        left -= len(inflating.decompress(waiting, PIECE))
        waiting = inflating.unconsumed_tail
        if left < 0:
            raise ValueError("an object that is longer than it says")
    return position - len(inflating.unused_data)
