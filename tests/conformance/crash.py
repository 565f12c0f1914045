"""Kill an apply at every step that changes the disk: run as `python crash.py FOLDER`, prints one JSON line a step.

For N = 1, 2, … a child applies the scenario and kills itself with SIGKILL just before its Nth such step; a write is cut in half first.
Then the next run is made, and what is found before and after it is printed. The product knows nothing of this.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gitops.model.resource import Resource
from tests.support.rooted import Rooted, directory, file, secret, symlink

STEPS = ("open", "write", "fsync", "rename", "mkdir", "rmdir", "unlink", "symlink", "chmod", "chown", "ftruncate", "utime")
WRITING = os.O_CREAT | os.O_WRONLY | os.O_RDWR
SECRETS = {"env:PASSWORD": "the secret"}
RESOURCES: tuple[Resource, ...] = (
    file("/etc/one", "new one\n"),
    file("/etc/two", "new two\n", mode="0600"),
    file("/etc/new/deep/three", "three\n"),
    file("/etc/gone", state="absent"),
    file("/etc/key", secret()),
    file("/etc/mode", mode="0640"),
    symlink("/etc/link", "new-target"),
    directory("/srv/full", purge=True),
    directory("/srv/old", state="absent", recurse=True),
    file("/srv/full/kept", "kept\n"),
)


def main() -> None:
    """Go on until a child gets to its end."""
    folder = Path(sys.argv[1])
    number, is_killed = 0, True
    while is_killed:
        number += 1
        machine = make_machine(folder / str(number))
        before = machine.tree()
        is_killed = apply_and_die(machine, number)
        broken = find_half_written(before, machine.tree())
        report = machine.apply(*RESOURCES, secrets=SECRETS)
        results = [row["result"] for row in machine.runs()]
        again = machine.apply(*RESOURCES, secrets=SECRETS)
        said = {
            "step": number,
            "killed": is_killed,
            "broken": broken,
            "temps": machine.temps(),
            "result": report.result,
            "again": again.result,
            "runs": results,
            "state": state_of(machine),
        }
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


def make_machine(folder: Path) -> Rooted:
    """Make a root on which every resource has something to do."""
    machine = Rooted(folder)
    for path in (
        "/etc/one",
        "/etc/two",
        "/etc/gone",
        "/etc/key",
        "/etc/mode",
        "/srv/full/extra",
        "/srv/full/tree/x",
        "/srv/old/y",
    ):
        machine.write(path, f"old {path}\n")
    (machine.root / "etc/link").symlink_to("old-target")
    return machine


def apply_and_die(machine: Rooted, number: int) -> bool:
    """Fork; say whether the child was killed before it ended."""
    child = os.fork()
    if child == 0:
        arm(number)
        machine.apply(*RESOURCES, secrets=SECRETS)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def arm(number: int) -> None:
    """Replace the functions of `os` that change the disk by ones that count."""
    left = [number]

    def wrap(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            if name != "open" or arguments[1] & WRITING:
                left[0] -= 1
                if left[0] == 0:
                    if name == "write":
                        real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                    os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **named)

        return counted

    for name in STEPS:
        setattr(os, name, wrap(name, getattr(os, name)))


def find_half_written(before: dict[str, tuple[object, ...]], found: dict[str, tuple[object, ...]]) -> list[str]:
    """Give every path whose content is neither what was there nor what is wanted (temporary files are not in their places)."""
    wanted = {"/etc/one": b"new one\n", "/etc/two": b"new two\n", "/etc/new/deep/three": b"three\n", "/etc/key": b"the secret"}
    wanted.update({"/srv/full/kept": b"kept\n", "/etc/link": b"new-target"})
    good = {path: {value[3] for value in (before.get(path),) if value} | {wanted.get(path, b"")} for path in {*before, *found}}
    return [path for path, value in found.items() if "/.gitops-" not in path and value[3] not in good[path]]


def state_of(machine: Rooted) -> str:
    """Give the end state in one comparable text."""
    return repr(sorted(machine.tree().items()))


if __name__ == "__main__":
    main()
