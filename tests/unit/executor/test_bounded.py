"""Work in a child that may be lost: what it gives, what it raises, and each bound that ends it."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from gitops.errors import HostError
from gitops.executor.bounded import Bounds, run_bounded
from gitops.model.limits import MIB

BOUNDS = Bounds(30, "it took too long")


def refuse() -> None:
    raise HostError("not this one", code="E999", hint="take another")


def spend_memory() -> int:
    return len(bytearray(512 * MIB))


def recurse(depth: int = 0) -> int:
    return recurse(depth + 1) + 1


def spend_time() -> None:
    while True:
        time.sleep(1)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def children() -> set[str]:
    """Give the processes that this one started and that are not waited for; other tests may keep some."""
    return set(Path(f"/proc/self/task/{threading.main_thread().native_id}/children").read_text(encoding="ascii").split())


def test_what_the_work_gives_is_given_and_what_it_raises_is_raised() -> None:
    assert run_bounded(lambda: {"a": [1, "é", os.getpid() != 0]}, BOUNDS) == {"a": [1, "é", True]}
    with pytest.raises(HostError) as raised:
        run_bounded(refuse, BOUNDS)
    assert (raised.value.message, raised.value.code, raised.value.hint) == ("not this one", "E999", "take another")


@pytest.mark.parametrize(
    ("work", "bounds", "words"),
    [
        (spend_memory, BOUNDS, "more memory"),
        (recurse, BOUNDS, "more memory"),
        (spend_time, Bounds(0.2, "it took too long"), "it took too long"),
        (die, BOUNDS, "ended by signal 9"),
        (lambda: "x" * (65 * MIB), Bounds(60, "", memory=1024 * MIB), "the answer is larger"),
        (lambda: Path("/nowhere/at/all").read_bytes().decode(), BOUNDS, "No such file"),
    ],
)
def test_what_goes_beyond_its_bounds_is_an_error_and_nothing_more(work: Any, bounds: Bounds, words: str) -> None:
    before = children()
    with pytest.raises(HostError, match=words):
        run_bounded(work, bounds)
    assert children() == before


def test_a_file_that_grows_beyond_its_size_is_cut_there(tmp_path: Path) -> None:
    def write() -> None:
        with (tmp_path / "x").open("wb") as stream:
            for _ in range(4):
                stream.write(bytes(MIB))

    with pytest.raises(HostError, match="too large"):
        run_bounded(write, Bounds(30, "", file_bytes=2 * MIB))
    assert (tmp_path / "x").stat().st_size == 2 * MIB


def test_files_that_are_open_already_do_not_count() -> None:
    held = [os.open("/dev/null", os.O_RDONLY) for _ in range(400)]
    try:
        assert run_bounded(lambda: len([os.open("/dev/null", os.O_RDONLY) for _ in range(100)]), Bounds(20, "too long")) == 100
    finally:
        for descriptor in held:
            os.close(descriptor)
