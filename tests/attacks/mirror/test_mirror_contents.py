"""Attacks of whoever serves what a machine fetches: slow answers, archives and commits that grow when they are taken apart.

A case is a JSON file: what is served (a function below, with its numbers), and what must come of it. In every case the run ends with that
words, within its bounds, and everything else of the run is done.
"""

from __future__ import annotations

import gzip
import io
import json
import resource
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gitops.model.limits import MIB
from gitops.model.resource import Resource
from tests.support.project import Repository
from tests.support.rooted import Rooted, file

CASES = {path.stem: json.loads(path.read_text()) for path in sorted(Path(__file__).parent.glob("contents-*.json"))}


@contextmanager
def serve_slowly(answer: bytes) -> Iterator[str]:
    """Send an answer's beginning, then a byte ten times a second until nobody listens."""
    listener = socket.create_server(("127.0.0.1", 0))
    is_over = threading.Event()

    def serve() -> None:
        while not is_over.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=trickle, args=(connection,), daemon=True).start()

    def trickle(connection: socket.socket) -> None:
        with connection:
            try:
                connection.sendall(answer)
                while not is_over.wait(0.1):
                    connection.sendall(b"x")
            except OSError:
                return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/x"
    finally:
        is_over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


@contextmanager
def slow_download(_machine: Rooted, answer: str) -> Iterator[Resource]:
    with serve_slowly(answer.encode()) as url:
        yield Resource("download", "/opt/x", {"url": url, "sha256": "a" * 64, "timeout": 2})


def make_archive(machine: Rooted, data: bytes) -> Resource:
    return Resource("archive", "/opt/app", {"content": machine.blob(data)})


def add(archive: tarfile.TarFile, name: str, data: bytes = b"", **values: object) -> None:
    item = tarfile.TarInfo(name)
    item.size = len(data)
    for key, value in values.items():
        setattr(item, key, value)
    archive.addfile(item, io.BytesIO(data))


@contextmanager
def hard_links(machine: Rooted, megabytes: int, count: int) -> Iterator[Resource]:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        add(archive, "first", bytes(megabytes * MIB))
        for number in range(count):
            add(archive, f"again-{number}", type=tarfile.LNKTYPE, linkname="first")
    yield make_archive(machine, packed.getvalue())


@contextmanager
def large_header(machine: Rooted, megabytes: int, kind: str) -> Iterator[Resource]:
    """A header of additions (a long name, an extended header) that is large; nothing of it is needed to refuse it."""
    item = tarfile.TarInfo("././@LongLink")
    item.type, item.size = kind.encode(), megabytes * MIB
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as stream:
        stream.write(item.tobuf(tarfile.GNU_FORMAT))
        for _ in range(megabytes):
            stream.write(bytes(MIB))
        stream.write(bytes(1024))
    yield make_archive(machine, packed.getvalue())


@contextmanager
def nested_trees(machine: Rooted, levels: int, width: int) -> Iterator[Resource]:
    """A commit of folders that hold one folder many times: few objects, many files."""
    work = Repository.make(machine.folder / "nested", {"a": "x"})
    tree = work.git("rev-parse", "HEAD^{tree}")
    for _ in range(levels):
        rows = "".join(f"040000 tree {tree}\t{number}\n" for number in range(width))
        tree = work.git("mktree", data=rows.encode())
    commit = work.git("commit-tree", tree, "-m", "nested")
    work.git("update-ref", "refs/heads/main", commit)
    yield Resource("git_checkout", "/opt/app", {"repository": f"file://{work.path}", "commit": commit, "ref": "main"})


@contextmanager
def large_files(machine: Rooted, megabytes: int, count: int) -> Iterator[Resource]:
    """A commit that names one large file many times."""
    work = Repository.make(machine.folder / "large", {"a": "x"})
    with (machine.folder / "zeros").open("wb") as stream:
        stream.truncate(megabytes * MIB)
    blob = work.git("hash-object", "-w", str(machine.folder / "zeros"))
    tree = work.git("mktree", data="".join(f"100644 blob {blob}\t{number}\n" for number in range(count)).encode())
    commit = work.git("commit-tree", tree, "-m", "large")
    work.git("update-ref", "refs/heads/main", commit)
    yield Resource("git_checkout", "/opt/app", {"repository": f"file://{work.path}", "commit": commit, "ref": "main"})


SERVED: Mapping[str, Callable[..., Any]] = {
    "a slow answer": slow_download,
    "hard links": hard_links,
    "a large header": large_header,
    "nested trees": nested_trees,
    "one large file many times": large_files,
}


def read_written() -> int:
    """Give how many bytes this process and its ended children have written."""
    rows = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(rows["wchar"])


def disk_of(path: Path) -> int:
    done = subprocess.run(["du", "-s", "-B1", str(path)], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_what_is_served_ends_within_its_bounds_and_the_rest_is_done(name: str, tmp_path: Path) -> None:
    case: dict[str, Any] = CASES[name]
    machine = Rooted(tmp_path / "machine")
    (tmp_path / "machine").mkdir(exist_ok=True)
    before, started = read_written(), time.monotonic()
    with SERVED[case["served"]](machine, **case.get("with", {})) as wanted:
        made = disk_of(tmp_path)
        report = machine.apply(wanted, file("/etc/other", "done\n"))
    found = {item.address: (item.result, item.message) for item in report.changes}
    assert found[wanted.address][0] == "failed"
    assert case["says"] in found[wanted.address][1]
    assert found["file:/etc/other"][0] == "changed"
    assert time.monotonic() - started < case.get("seconds", 60)
    assert read_written() - before < case.get("written", 300) * MIB
    assert disk_of(tmp_path) - made < 4 * MIB, "nothing of it stays"
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 < 1024 * MIB
    assert not (machine.root / "opt/app").exists() or list((machine.root / "opt/app").iterdir()) == []
