"""Attacks of a mirror: whoever serves the release branch sends what nobody signed, and as much of it as he likes.

A case is a JSON file: what is tried (a function below, with its numbers), in how much memory the real agent runs, and what must come of
it. In every case the machine is put back to what it accepted before.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from gitops.model.limits import MIB
from tests.support.agents import Rig
from tests.support.cgroups import limited_memory
from tests.support.releases import text_file

CASES = {path.stem: json.loads(path.read_text()) for path in sorted(Path(__file__).parent.glob("bytes-*.json"))}
MOTD = text_file("/etc/motd", "hello\n")
Files = dict[str, bytes]


def add_rows(rig: Rig, commit: str, rows: Mapping[str, str], parents: tuple[str, ...] = ()) -> str:
    """Give a commit like another with more files, by object id: no work tree holds them."""
    work = rig.publisher.work
    work.git("read-tree", commit)
    for path, ident in rows.items():
        work.git("update-index", "--add", "--cacheinfo", f"100644,{ident},{path}")
    tree = work.git("write-tree")
    return work.git("commit-tree", tree, *(part for parent in parents for part in ("-p", parent)), "-m", "of the mirror")


def write_zeros(rig: Rig, size: int) -> str:
    path = rig.folder / "zeros"
    with path.open("wb") as stream:
        stream.truncate(size)
    return rig.publisher.work.git("hash-object", "-w", "--stdin-paths", data=f"{path}\n".encode())


def add_approvals_to_links(rig: Rig, megabytes: int, count: int) -> str:
    """Two more releases; the one between them holds approvals that its manifest does not name."""
    first = rig.publisher.work.git("rev-parse", "HEAD")
    between = rig.release(text_file("/etc/motd", "second\n"))
    last = rig.release(text_file("/etc/motd", "third\n"))
    zeros = write_zeros(rig, megabytes * MIB)
    link = add_rows(rig, between, {f"approvals/{number:064x}.json": zeros for number in range(count)}, (first,))
    return add_rows(rig, last, {}, (link,))


def add_file(rig: Rig, path: str, megabytes: int) -> str:
    tip = rig.release(text_file("/etc/motd", "second\n"))
    parent = rig.publisher.work.git("rev-parse", f"{tip}~1")
    return add_rows(rig, tip, {path: write_zeros(rig, megabytes * MIB)}, (parent,))


def add_signatures(rig: Rig, count: int) -> str:
    tip = rig.release(text_file("/etc/motd", "second\n"))
    small = rig.publisher.work.git("hash-object", "-w", "--stdin", data=b"{}")
    parent = rig.publisher.work.git("rev-parse", f"{tip}~1")
    return add_rows(rig, tip, {f"signatures/{number:064x}.sigstore.json": small for number in range(count)}, (parent,))


def change_bundle(rig: Rig, how: str) -> str:
    """Change the signature's document in a way that leaves the signature itself right."""

    def spoil(files: Files) -> None:
        path = next(name for name in files if name.startswith("signatures/"))
        text = files[path].decode()
        added = {
            "message signature beside": '"messageSignature":{},',
            "content twice": text[text.index('"dsseEnvelope"') : text.index(',"mediaType"')] + ",",
            "payload type twice": "",
        }[how]
        changed = "{" + added + text[1:]
        if how == "payload type twice":
            changed = text.replace('"payloadType"', '"payloadType":"text/plain","payloadType"')
        files[path] = changed.encode()

    return rig.release(text_file("/etc/motd", "second\n"), spoil=spoil)


TRIED: Mapping[str, Callable[..., str]] = {
    "approvals in links": add_approvals_to_links,
    "a file": add_file,
    "signatures": add_signatures,
    "a changed bundle": change_bundle,
}


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    made = Rig.make(tmp_path)
    made.release(MOTD)
    assert made.cycle().status == 0
    return made


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a control group")
@pytest.mark.parametrize("name", CASES)
def test_what_nobody_signed_is_refused_within_bounds_and_the_machine_is_healed(name: str, rig: Rig) -> None:
    case: dict[str, Any] = CASES[name]
    commit = TRIED[case["tried"]](rig, **case.get("with", {}))
    rig.publisher.back_to(commit)
    rig.path("/etc/motd").write_text("by hand\n")
    command = [
        sys.executable,
        "-m",
        "gitops.cli",
        "agent",
        "run",
        "--once",
        "--state",
        rig.folder / "state",
        "--root",
        rig.folder / "root",
    ]
    with limited_memory(case["memory"] * MIB) as prefix:
        done = subprocess.run([*prefix, *map(str, command)], capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, rig.read("/etc/motd")) == (case["expected"]["exit"], case["expected"].get("motd", "hello\n")), (
        done.stderr
    )
    assert any(words in done.stderr for words in case["expected"]["says"]), done.stderr
