"""Bounds of the child that a remote could bloat: of memory, as much as this machine can spare; and it is the first to go, not the agent.

What is beyond them ends in MemoryError, which is an answer, and not in a kill, which is none.
"""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path

KIB = 1024
SHARE = (3, 4)
CGROUPS = Path("/sys/fs/cgroup")
PROCESS = Path("/proc/self")
MEMORY = Path("/proc/meminfo")
KEPT = ("anon", "unevictable", "slab_unreclaimable", "kernel_stack")
OLD_KEPT = ("total_rss", "total_unevictable")
FIRST_TO_GO = "1000"


def bound_memory(most: int) -> None:
    """Bound the address space, and the data to what is free in the groups that this process is in and on the machine."""
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    free = find_free()
    if free is not None:
        data = min(most, _read_field(PROCESS / "status", "VmData") + free * SHARE[0] // SHARE[1])
        resource.setrlimit(resource.RLIMIT_DATA, (data, data))
    with contextlib.suppress(OSError):
        (PROCESS / "oom_score_adj").write_text(FIRST_TO_GO)


def find_free() -> int | None:
    """Give how much memory is left to this process: the least of its control groups and the machine; None where nothing says so."""
    found = [size for size in [_read_field(MEMORY, "MemAvailable")] if size]
    for group, limit, kept in _find_groups():
        most = _read_number(group / limit)
        if most is not None:
            found.append(max(0, most - _read_kept(group / "memory.stat", kept)))
    return min(found) if found else None


def _find_groups() -> list[tuple[Path, str, tuple[str, ...]]]:
    """Give the folders of this process's control groups, up to the top, with what their limit is called, and what counts as kept."""
    found: list[tuple[Path, str, tuple[str, ...]]] = []
    with contextlib.suppress(OSError):
        for line in (PROCESS / "cgroup").read_text("utf-8", "replace").splitlines():
            number, names, path = line.split(":", 2)
            if number == "0":
                tops, limit, kept = (CGROUPS, CGROUPS / "unified"), "memory.max", KEPT
            elif "memory" in names.split(","):
                tops, limit, kept = (CGROUPS / "memory",), "memory.limit_in_bytes", OLD_KEPT
            else:
                continue
            for top in tops:
                parts = [part for part in path.split("/") if part not in ("", "..")]
                found += [(top.joinpath(*parts[:count]), limit, kept) for count in range(len(parts) + 1)]
    return found


def _read_kept(path: Path, names: tuple[str, ...]) -> int:
    """Give what cannot be taken back of a group's memory: pages of files are given up first."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        rows = [line.split() for line in path.read_text("ascii").splitlines()]
        return sum(int(row[1]) for row in rows if row[0] in names)
    return 0


def _read_number(path: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        return int(path.read_text("ascii"))
    return None


def _read_field(path: Path, name: str) -> int:
    """Give a size of a file like /proc/meminfo in bytes, 0 when it is not there."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in path.read_text("ascii", "replace").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * KIB
    return 0
