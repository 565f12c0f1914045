"""What a remote sends, bounded before it is spent: packs looked through, and the memory that the child may take."""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent import bounds
from agent.packs import check_pack
from gitops.errors import TrustError
from gitops.model.limits import MIB, Limits
from tests.support.project import Repository

BLOB, OFFSET, NAMED = 3, 6, 7


def number(value: int) -> bytes:
    """Write a number as differences have it, seven bits a byte, the lowest first."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def head(kind: int, size: int) -> bytes:
    first, size = kind << 4 | size & 15, size >> 4
    return bytes([first | (0x80 if size else 0)]) + (number(size) if size else b"")


@dataclass(frozen=True)
class Item:
    kind: int
    data: bytes
    size: int = -1
    base: bytes = b""

    def to_bytes(self) -> bytes:
        return head(self.kind, len(self.data) if self.size < 0 else self.size) + self.base + zlib.compress(self.data)


def check(folder: Path, *items: Item, limits: Limits | None = None, cut: int = 0) -> None:
    data = b"PACK" + struct.pack(">II", 2, len(items)) + b"".join(item.to_bytes() for item in items)
    data += hashlib.sha1(data, usedforsecurity=False).digest()
    (folder / "pack").write_bytes(data[: len(data) - cut])
    with (folder / "pack").open("r+b") as stream:
        check_pack(stream, limits or Limits(blob_bytes=1000, release_bytes=3000))


def difference(made: int) -> bytes:
    return number(5) + number(made) + b"\x01a"


@pytest.mark.parametrize("size", [0, 15, 16, 1000])
def test_a_pack_within_its_bounds_is_let_pass(tmp_path: Path, size: int) -> None:
    check(
        tmp_path,
        Item(BLOB, bytes(size)),
        Item(OFFSET, difference(900), base=b"\x81\x05"),
        Item(NAMED, difference(9), base=bytes(20)),
    )


@pytest.mark.parametrize(
    "items",
    [
        [Item(BLOB, bytes(1001))],
        [Item(BLOB, bytes(10), size=1001)],
        [Item(BLOB, bytes(900))] * 4,
        [Item(OFFSET, difference(1001), base=b"\x05")],
        [Item(NAMED, difference(1 << 40), base=bytes(20))],
        [Item(1, bytes(MIB + 1))],
    ],
)
def test_a_pack_that_holds_too_much_is_refused(tmp_path: Path, items: list[Item]) -> None:
    with pytest.raises(TrustError) as caught:
        check(tmp_path, *items)
    assert caught.value.code == "T113"


@pytest.mark.parametrize(
    ("items", "cut"),
    [([Item(BLOB, bytes(500), size=10)], 0), ([Item(BLOB, bytes(range(256)))], 120), ([], 20), ([Item(BLOB, b"x")], 24)],
)
def test_what_is_no_pack_is_said_to_be_none(tmp_path: Path, items: list[Item], cut: int) -> None:
    with pytest.raises((ValueError, zlib.error, IndexError)):
        check(tmp_path, *items, cut=cut)


def test_a_pack_of_git_is_let_pass(tmp_path: Path) -> None:
    work = Repository.make(tmp_path / "work", {f"f{count}": "line\n" * count * 100 for count in range(20)})
    work.commit({f"f{count}": "line\n" * count * 101 for count in range(20)})
    work.git("repack", "-q", "-a", "-d", "-f")
    (pack,) = (work.path / ".git/objects/pack").glob("*.pack")
    pack.chmod(0o600)
    with pack.open("r+b") as stream:
        check_pack(stream)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine's files of memory and control groups."""
    for name, path in (("CGROUPS", "cgroup"), ("PROCESS", "self"), ("MEMORY", "meminfo")):
        monkeypatch.setattr(bounds, name, tmp_path / path)
    (tmp_path / "self").mkdir()
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_where_nothing_says_so_nothing_is_known(machine: Path) -> None:
    assert bounds.find_free() is None
    write(machine / "meminfo", "MemTotal: 9 kB\nMemAvailable: oh\n")
    assert bounds.find_free() is None


def test_the_least_of_machine_and_groups_counts(machine: Path) -> None:
    write(machine / "meminfo", "MemTotal:   4096 kB\nMemAvailable:   2048 kB\n")
    assert bounds.find_free() == 2 * MIB
    write(machine / "self/cgroup", "0::/a/b\n")
    write(machine / "cgroup/a/b/memory.max", "max\n")
    write(machine / "cgroup/a/memory.max", f"{MIB}\n")
    write(machine / "cgroup/a/memory.stat", "anon 1024\nfile 999999\nkernel_stack 1024\n")
    assert bounds.find_free() == MIB - 2048
    write(machine / "self/cgroup", "4:cpu,memory:/c\n0::/\n")
    write(machine / "cgroup/memory/c/memory.limit_in_bytes", "5000\n")
    write(machine / "cgroup/memory/c/memory.stat", "cache 400\ntotal_rss 6000\n")
    assert bounds.find_free() == 0
