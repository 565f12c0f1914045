"""What runs first on a host that is reached over SSH; its source is sent ahead of everything else and started by `python3 -c`.

Takes from stdin, after this text: one line that says which executor is wanted, then (once it has answered whether it has that one) the
executor's files when it has not, contents, and the request. The executor is kept as one file and runs out of memory: what was read is
what runs. Nothing starts before all of that is there. Another request may follow in the
same way (somebody looked at a plan and wants it applied); the end of stdin, or WAIT_SECONDS without one, is the end.
The executor runs in a session of its own and finishes whether or not anybody still listens. Standard library only, Python 3.9;
what only the first run needs is imported there, since every import costs a millisecond on every host.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import select
import sys
import time
from importlib import import_module
from typing import IO, Any, BinaryIO, Dict, Generator

from gitops.executor.ownfolder import (
    OLD_SECONDS,
    UNFINISHED,
    evict_own,
    find_home,
    is_safe_way,
    open_own,
    read_own,
    touch_own,
    write_own,
)
from gitops.transport.pack import import_pack, make_pack, name_pack

DAY_SECONDS = 86400
UNUSED_SECONDS = 30 * DAY_SECONDS
MOST_KEPT, MOST_BYTES, PACK_BYTES = 40, 256 << 20, 32 << 20
PATIENCE_SECONDS = 60
WAIT_SECONDS = 900
TRIES = 8
CHUNK = 1 << 16
BUG = 70
LOST = "gitops: the connection was lost before the request was complete; nothing was done"


class Output:
    """Standard output for somebody who may be gone: what cannot be written is dropped, and the run goes on."""

    def __init__(self) -> None:
        self.buffer = self
        self.is_lost = False
        os.set_blocking(1, False)

    def write(self, data: bytes) -> int:
        """Write all, or notice that nobody reads."""
        left = memoryview(data)
        while left and not self.is_lost:
            try:
                _, ready, _ = select.select([], [1], [], PATIENCE_SECONDS)
                self.is_lost = not ready
                left = left[os.write(1, left[:CHUNK]) :] if ready else left
            except BlockingIOError:
                continue
            except OSError:
                self.is_lost = True
        return len(data)

    def flush(self) -> None:
        """Keep nothing back."""


def main(source: BinaryIO) -> None:
    """Answer, take everything in, run the executor in a session of its own, and say how it ended."""
    asked = json.loads(source.readline())
    output = Output()
    base = find_cache()
    parent = own_folder(base, "executor")
    pack = find_pack(parent, asked["tree"])
    output.write(f"\ngitops {asked['nonce']} {'have' if pack else 'need'}\n".encode())
    line = source.readline() or sys.exit(LOST)
    while line:
        sizes = json.loads(line)
        if sizes["members"]:
            pack = keep_pack(parent, {name: read_exactly(source, size) for name, size in sizes["members"]}, asked["tree"])
        with contents_folder(own_folder(base, "contents")) as contents:
            for digest, size in sizes["blobs"]:
                place = os.path.join(contents, digest[:2])
                os.makedirs(place, mode=0o700, exist_ok=True)
                with open(os.path.join(place, digest), "xb") as stream:
                    copy_exactly(source, stream, size)
            ended = run_apart(load(pack), read_exactly(source, sizes["request"]), contents)
        output.write(f"\ngitops {asked['nonce']} end {ended}\n".encode())
        # Nothing more was sent before that word was read, so nothing is in the buffer.
        line = source.readline() if select.select([source], [], [], WAIT_SECONDS)[0] else b""


def load(pack: bytes) -> Any:
    """Give the executor, imported once however many requests come: what is forked has it already."""
    if "gitops.executor.__main__" not in sys.modules:
        import_pack(pack)
    return import_module("gitops.executor.__main__")


def find_cache() -> str:
    """Give the cache folder of the user whom the executor runs as; after sudo, HOME and XDG folders may still be somebody else's."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    return os.path.join(given if is_safe_way(given) else os.path.join(find_home(), ".cache"), "gitops")


def find_state() -> str:
    """Give the state folder, as `gitops` on the machine itself would find it."""
    given = os.environ.get("GITOPS_STATE_DIR", "")
    if given.startswith("/"):
        return given
    if os.geteuid() == 0:
        return "/var/lib/gitops"
    given = os.environ.get("XDG_STATE_HOME", "")
    return os.path.join(given if is_safe_way(given) else os.path.join(find_home(), ".local", "state"), "gitops")


def own_folder(base: str, name: str) -> str:
    """Make a folder that nobody else can enter nor put another in its place, or refuse it."""
    folder = os.path.join(base, name)
    try:
        if not is_safe_way(base):
            sys.exit(f"gitops: {base} is in the hands of somebody else")
        with open_own(folder, make=True):
            return os.path.realpath(folder)
    except PermissionError:
        sys.exit(f"gitops: {folder} belongs to somebody else")
    except OSError as error:
        sys.exit(f"gitops: no folder for the executor: {folder}: {error.strerror}")


def find_pack(parent: str, tree: str) -> bytes:
    """Give the kept executor made of these sources, empty when there is none that can be believed."""
    try:
        with open_own(parent) as folder:
            pack = read_own(folder, name_pack(tree), PACK_BYTES)
            touch_own(folder, name_pack(tree))
            return pack
    except OSError:
        return b""


def keep_pack(parent: str, members: Dict[str, bytes], tree: str) -> bytes:
    """Compile what arrived, once it is what was announced, and keep it; when it cannot be kept, it runs all the same."""
    if digest_members(members) != tree:
        sys.exit("gitops: the executor arrived damaged")
    pack = make_pack(members)
    sweep(parent)
    with contextlib.suppress(OSError), open_own(parent) as folder:
        write_own(folder, name_pack(tree), pack)
        evict_own(folder, MOST_KEPT, MOST_BYTES)
    return pack


def digest_members(members: Dict[str, bytes]) -> str:
    """Give the digest of sources, their names included."""
    digest = hashlib.sha256()
    for name in sorted(members):
        digest.update(b"%s\0%d\0" % (name.encode(), len(members[name])))
        digest.update(members[name])
    return digest.hexdigest()


def sweep(parent: str) -> None:
    """Remove what was left by processes that were killed: old, and nobody's lock is on it. What nobody used for long goes, too."""
    for name in os.listdir(parent):
        path = os.path.join(parent, name)
        with contextlib.suppress(OSError):
            age = time.time() - os.lstat(path).st_mtime
            if age > UNUSED_SECONDS and not name.startswith(UNFINISHED):
                remove_tree(path)
            if name.startswith(UNFINISHED) and age > OLD_SECONDS:
                descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    remove_tree(path)
                finally:
                    os.close(descriptor)


def make_folder(parent: str) -> str:
    """Make a private folder with a name that nobody can guess."""
    folder = os.path.join(parent, UNFINISHED + os.urandom(8).hex())
    os.mkdir(folder, 0o700)
    return folder


def remove_tree(folder: str) -> None:
    """Remove a folder of ours and all in it; links are removed, not followed."""
    with contextlib.suppress(OSError):
        if not os.path.isdir(folder) or os.path.islink(folder):
            os.unlink(folder)
        for place, folders, names in os.walk(folder, topdown=False):
            for name in names:
                os.unlink(os.path.join(place, name))
            for name in folders:
                path = os.path.join(place, name)
                (os.unlink if os.path.islink(path) else os.rmdir)(path)
        os.rmdir(folder)


@contextlib.contextmanager
def contents_folder(parent: str) -> Generator[str, None, None]:
    """Give a private folder for contents, locked while it is in use (the executor inherits the lock); it is removed in any case."""
    sweep(parent)
    folder = make_folder(parent)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(descriptor)
        remove_tree(folder)


def read_exactly(source: BinaryIO, size: int) -> bytes:
    """Read so many bytes; less means that the connection was lost, and nothing has begun."""
    data = source.read(size)
    if len(data) != size:
        sys.exit(LOST)
    return data


def copy_exactly(source: BinaryIO, stream: IO[bytes], size: int) -> None:
    """Copy so many bytes into a file."""
    while size:
        part = read_exactly(source, min(size, CHUNK))
        stream.write(part)
        size -= len(part)


def run_apart(executor: Any, request: bytes, contents: str) -> int:
    """Run the executor in a process and session of its own, and give its exit status; it outlives this process if it must."""
    parent = os.getpid()
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = BUG
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        replaced: Any = Output()
        sys.stdout = replaced
        status = executor.serve(request, state=find_state(), blobs=contents)
    finally:
        if os.getppid() != parent:
            remove_tree(contents)
        os._exit(status)
    return status


if __name__ == "__main__":
    main(sys.stdin.buffer)
