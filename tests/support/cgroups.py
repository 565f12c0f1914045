"""A cgroup v2 folder for everything a rig starts, on machines with the unified and with the hybrid layout.

Whatever runs below it can be ended at once, and nothing else can: no process is ever looked for by name.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Generator
from pathlib import Path

END_SECONDS = 20.0


def find_cgroup2() -> Path:
    """Give the mount point of cgroup v2: `/sys/fs/cgroup`, or in the hybrid layout `/sys/fs/cgroup/unified`."""
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        before, _, after = line.partition(" - ")
        if after.startswith("cgroup2 "):
            return Path(before.split(" ")[4])
    raise AssertionError("there is no cgroup v2 on this machine, so systemd cannot be booted in a test host")


@contextlib.contextmanager
def limited_memory(size: int) -> Generator[list[str]]:
    """Give what stands before a command to run it in a control group with so much memory (no swap), version 1 or 2."""
    old = Path("/sys/fs/cgroup/memory")
    top = old if (old / "memory.limit_in_bytes").exists() else find_cgroup2()
    group = top / f"trueup-test-{os.getpid()}-{os.urandom(4).hex()}"
    group.mkdir()
    try:
        names = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes") if top == old else ("memory.max", "memory.swap.max")
        for name, value in zip(names, (size, size if top == old else 0), strict=True):
            if (group / name).exists():
                (group / name).write_text(f"{value}")
        yield ["sh", "-c", 'echo $$ >"$0" && exec "$@"', str(group / "cgroup.procs")]
    finally:
        for pid in list_processes(group):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _remove(group, time.monotonic() + END_SECONDS)


def list_processes(group: Path) -> list[int]:
    """Give all processes in a cgroup and below."""
    found: list[int] = []
    for folder in list_groups(group):
        with contextlib.suppress(OSError):
            found.extend(int(line) for line in (folder / "cgroup.procs").read_text().split())
    return found


def list_groups(group: Path) -> list[Path]:
    """Give a cgroup and all below it, parents first; what vanishes meanwhile is left out."""
    return [Path(folder) for folder, _, _ in os.walk(group)]


def find_leader(group: Path) -> int:
    """Give the process that is number 1 in its own process namespace below a cgroup, 0 when there is none."""
    for pid in list_processes(group):
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{pid}/status").read_text()
            numbers = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[1:]
            if len(numbers) > 1 and numbers[-1] == "1":
                return pid
    return 0


def end_all(group: Path) -> None:
    """End every process in a cgroup at once, as a power failure would, and remove the cgroup."""
    if not group.is_dir():
        return
    deadline = time.monotonic() + END_SECONDS
    while list_processes(group):
        _kill(group)
        assert time.monotonic() < deadline, f"processes of {group.name} do not end: {list_processes(group)}"
        time.sleep(0.01)
    for twin in (*_find_twins(group), group):
        for folder in reversed(list_groups(twin)):
            _remove(folder, deadline)


def _find_twins(group: Path) -> list[Path]:
    """Give the same group in the hierarchy of systemd's own, which nspawn fills where the layout is hybrid."""
    mount = find_cgroup2()
    twin = mount.parent / "systemd" / group.relative_to(mount) if group.is_relative_to(mount) else group
    return [twin] if twin != group and twin.is_dir() else []


def _remove(folder: Path, deadline: float) -> None:
    while True:
        try:
            folder.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:
            assert time.monotonic() < deadline, f"cannot remove {folder}"
            time.sleep(0.01)


def _kill(group: Path) -> None:
    if (group / "cgroup.kill").exists():
        (group / "cgroup.kill").write_text("1")
        return
    for pid in list_processes(group):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
