"""`inventory import ansible` beside the real ansible-core, over generated inventories: what differs has a warning at its place.

`GITOPS_TEST_INVENTORIES=500` compares so many; a failure names the number of its tree, and `GITOPS_TEST_INVENTORIES=17:18` compares that one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gitops.pipeline.project import examine_tree
from gitops.source.snapshot import snapshot_folder
from tests.support.cli import Called
from tests.support.imported import run
from tests.support.inventories import make_tree
from tests.support.real_ansible import Ansible, Difference, ansible, compare

__all__ = ["ansible"]  # a fixture

FIRST, _, LAST = os.environ.get("GITOPS_TEST_INVENTORIES", "60").rpartition(":")
# Names that cannot be names here, hidden characters, vaults: errors with their place, by design.
REFUSED = ("cannot be the name", "would both be", "error[C706]")


@dataclass(frozen=True)
class Compared:
    """One tree: why it failed, for both, and the differences without a warning."""

    theirs_failed: str
    ours_failed: str
    unexplained: tuple[Difference, ...] = ()


def rename(name: str) -> str:
    return name.lower().replace("_", "-").replace(":", "-").strip(".-")


def compare_tree(folder: Path, number: int, peer: Ansible) -> Compared:
    tree = make_tree(number)
    done = run(folder, tree.files, "--format", "json", name=tree.inventory)
    theirs = peer.read(folder / "ansible" / tree.inventory)
    assert done.status in (0, 1), f"tree {number}: {done.err}"
    if "failed" in theirs or done.status == 1:
        return Compared(theirs.get("failed", "" if theirs.get("hosts") else "no host"), done.err)
    return Compared("", "", tuple(find_differences(folder, theirs, done)))


def find_differences(folder: Path, theirs: dict[str, Any], done: Called) -> list[Difference]:
    """Give the differences that no warning of the import names."""
    examined = examine_tree(snapshot_folder(folder / "project"))
    assert examined.built is not None, f"{folder}: {examined.diagnostics}"
    told: list[dict[str, Any]] = done.json["diagnostics"]
    return [item for item in compare(theirs, examined.built.config, rename) if not item.is_told(told)]


def test_what_is_imported_is_what_ansible_says_or_a_warning_names_it(tmp_path: Path, ansible: Ansible) -> None:
    numbers = range(int(FIRST or 0), int(LAST))
    wrong: list[str] = []
    equal = refused = 0
    for number in numbers:
        found = compare_tree(tmp_path / str(number), number, ansible)
        wrong.extend(f"tree {number}: {item}" for item in found.unexplained)
        if found.theirs_failed or found.ours_failed:
            refused += 1
            if not (found.theirs_failed and found.ours_failed) and not any(word in found.ours_failed for word in REFUSED):
                wrong.append(f"tree {number}: Ansible: {found.theirs_failed or 'reads it'}; here: {found.ours_failed or 'read'}")
        else:
            equal += 1
    assert not wrong, f"{len(wrong)} differences:\n" + "\n".join(wrong)
    assert equal >= len(numbers) * 0.7, f"only {equal} of {len(numbers)} trees were read by both, {refused} refused"


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("v: 750", 'v: "750"', ("v",)),
        ("v: 750", "v: 751", ("v",)),
        ("v: 750", "w: 750", ("v",)),
        ("address: 192.0.2.1", "address: h", ("ansible_host",)),
        ("group_g: 'yes'", "group_other: 'yes'", ("groups",)),
        ("connection: local", "connection: ssh", ("ansible_connection",)),
        ("name: h\n", "name: i\n", ("the host",)),
    ],
)
def test_the_comparison_notices_what_is_wrong(
    tmp_path: Path, ansible: Ansible, old: str, new: str, path: tuple[str, ...]
) -> None:
    text = "g: {hosts: {h: {v: 12:30, ansible_host: 192.0.2.1, ansible_connection: local, ansible_user: x}}}\n"
    done = run(tmp_path, {"hosts": text}, "--format", "json")
    written = tmp_path / "project/inventory/hosts.yaml"
    assert find_differences(tmp_path, ansible.read(tmp_path / "ansible/hosts"), done) == []
    assert old in written.read_text()
    written.write_text(written.read_text().replace(old, new))
    found = find_differences(tmp_path, ansible.read(tmp_path / "ansible/hosts"), done)
    assert path in [item.path for item in found]
