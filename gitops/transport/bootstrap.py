"""What runs first on a host that is reached over SSH; its source is sent ahead of everything else and started by `python3 -c`.

Takes from stdin, after this text: one line that says which executor is wanted, then (once it has answered whether it has that one) the
executor's files when it has not, contents, and the request. Nothing starts before all of that is there. Another request may follow in the
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
import pwd
import select
import sys
import time
from importlib import import_module
from typing import IO, Any, BinaryIO, Generator, List, Sequence, Tuple

UNFINISHED = "new-"
OLD_SECONDS = 3600
DAY_SECONDS = 86400
UNUSED_SECONDS = 30 * DAY_SECONDS
DIGEST_LETTERS = 64
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
    folder = os.path.join(parent, asked["tree"])
    has_it = digest_tree(folder) == asked["tree"]
    note_use(folder)
    output.write(f"\ngitops {asked['nonce']} {'have' if has_it else 'need'}\n".encode())
    line = source.readline() or sys.exit(LOST)
    while line:
        sizes = json.loads(line)
        if sizes["members"]:
            install([(name, read_exactly(source, size)) for name, size in sizes["members"]], parent, folder, asked["tree"])
        with contents_folder(own_folder(base, "contents")) as contents:
            for digest, size in sizes["blobs"]:
                place = os.path.join(contents, digest[:2])
                os.makedirs(place, mode=0o700, exist_ok=True)
                with open(os.path.join(place, digest), "xb") as stream:
                    copy_exactly(source, stream, size)
            ended = run_apart(load(folder), read_exactly(source, sizes["request"]), contents)
        output.write(f"\ngitops {asked['nonce']} end {ended}\n".encode())
        # Nothing more was sent before that word was read, so nothing is in the buffer.
        line = source.readline() if select.select([source], [], [], WAIT_SECONDS)[0] else b""


def load(folder: str) -> Any:
    """Give the executor, imported once however many requests come: what is forked has it already."""
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return import_module("gitops.executor.__main__")


def find_cache() -> str:
    """Give the cache folder of the user whom the executor runs as; after sudo, HOME may still be somebody else's."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    return os.path.join(given if given.startswith("/") else os.path.join(_home(), ".cache"), "gitops")


def find_state() -> str:
    """Give the state folder, as `gitops` on the machine itself would find it."""
    given = os.environ.get("GITOPS_STATE_DIR", "")
    if given.startswith("/"):
        return given
    if os.geteuid() == 0:
        return "/var/lib/gitops"
    given = os.environ.get("XDG_STATE_HOME", "")
    return os.path.join(given if given.startswith("/") else os.path.join(_home(), ".local", "state"), "gitops")


def own_folder(base: str, name: str) -> str:
    """Make a folder that nobody else can enter, or refuse one that is somebody else's."""
    folder = os.path.join(base, name)
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if os.path.islink(folder) or os.lstat(folder).st_uid != os.geteuid():
            sys.exit(f"gitops: {folder} belongs to somebody else")
        os.chmod(folder, 0o700)
    except OSError as error:
        sys.exit(f"gitops: no folder for the executor: {folder}: {error.strerror}")
    return folder


def digest_tree(folder: str) -> str:
    """Give the digest of all sources in a folder, their names included; what cannot be read has none."""
    found: List[str] = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        found.extend(os.path.relpath(os.path.join(place, name), folder) for name in names)
    digest = hashlib.sha256()
    try:
        for name in sorted(found):
            with open(os.path.join(folder, name), "rb") as stream:
                data = stream.read()
            digest.update(b"%s\0%d\0" % (name.encode(), len(data)))
            digest.update(data)
    except (OSError, ValueError):
        return ""
    return digest.hexdigest()


def install(members: Sequence[Tuple[str, bytes]], parent: str, folder: str, tree: str) -> None:
    """Write, check, compile, and rename into place; a folder there that is not what it should be is moved aside."""
    py_compile: Any = import_module("py_compile")
    sweep(parent)
    fresh = make_folder(parent)
    try:
        for name, data in members:
            path = os.path.join(fresh, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "xb") as stream:
                stream.write(data)
            py_compile.compile(path, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)
        if digest_tree(fresh) != tree:
            sys.exit("gitops: the executor arrived damaged")
        _put(fresh, parent, folder, tree)
    finally:
        remove_tree(fresh)


def _put(fresh: str, parent: str, folder: str, tree: str) -> None:
    """Rename into place; whoever comes second takes what the first has put there."""
    for _ in range(TRIES):
        with contextlib.suppress(OSError):
            os.rename(fresh, folder)
        if digest_tree(folder) == tree:
            return
        aside = make_folder(parent)
        with contextlib.suppress(OSError):
            os.rename(folder, os.path.join(aside, "damaged"))
        remove_tree(aside)
    sys.exit(f"gitops: cannot put the executor into {folder}")


def note_use(folder: str) -> None:
    """Let an executor's folder tell, by its time, on which day it was last used."""
    with contextlib.suppress(OSError):
        if time.time() - os.lstat(folder).st_mtime > DAY_SECONDS:
            os.utime(folder)


def sweep(parent: str) -> None:
    """Remove what was left by processes that were killed: old, and nobody's lock is on it. Executors that nobody used for long go, too."""
    for name in os.listdir(parent):
        path = os.path.join(parent, name)
        with contextlib.suppress(OSError):
            if len(name) == DIGEST_LETTERS and time.time() - os.lstat(path).st_mtime > UNUSED_SECONDS:
                remove_tree(path)
            if name.startswith(UNFINISHED) and time.time() - os.stat(path).st_mtime > OLD_SECONDS:
                descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
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


def _home() -> str:
    return pwd.getpwuid(os.geteuid()).pw_dir


if __name__ == "__main__":
    main(sys.stdin.buffer)
