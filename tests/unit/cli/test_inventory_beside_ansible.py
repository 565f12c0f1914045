"""`inventory import ansible` beside the real ansible-core, over generated inventories: what differs has a warning at its place.

`GITOPS_TEST_INVENTORIES=500` compares so many; a failure names the number of its tree, and `GITOPS_TEST_INVENTORIES=17:18` compares that one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gitops.pipeline.project import examine_tree
from gitops.source.snapshot import snapshot_folder
from tests.support.cli import call
from tests.support.inventories import make_tree
from tests.support.project import PROJECT, write_files
from tests.support.real_ansible import Ansible, Difference, ansible, compare

__all__ = ["ansible"]  # a fixture

FIRST, _, LAST = os.environ.get("GITOPS_TEST_INVENTORIES", "60").rpartition(":")
# Names that cannot be names here, hidden characters, vaults: errors with their place, by design.
REFUSED = ("cannot be the name", "would both be")


@dataclass(frozen=True)
class Compared:
    """One tree: `failed` of both, the differences without a warning, and how many have one."""

    theirs_failed: str
    ours_failed: str
    unexplained: tuple[Difference, ...] = ()
    explained: int = 0


def rename(name: str) -> str:
    return name.lower().replace("_", "-").replace(":", "-").strip(".-")


def compare_tree(folder: Path, number: int, peer: Ansible) -> Compared:
    tree = make_tree(number)
    write_files(folder / "ansible", tree.files)
    write_files(folder / "project", {"gitops.yaml": PROJECT.replace("{env: production}", "{}")})
    inventory = folder / "ansible" / tree.inventory
    theirs = peer.read(inventory)
    done = call("-C", folder / "project", "inventory", "import", "ansible", inventory, "--format", "json")
    assert done.status in (0, 1), f"tree {number}: {done.err}"
    if "failed" in theirs or done.status == 1:
        return Compared(theirs.get("failed", "" if theirs.get("hosts") else "no host"), done.err)
    examined = examine_tree(snapshot_folder(folder / "project"))
    assert examined.built is not None, f"tree {number}: {examined.diagnostics}"
    found = list(compare(theirs, examined.built.config, rename))
    told: list[dict[str, Any]] = done.json["diagnostics"]
    unexplained = tuple(item for item in found if not item.is_told(told))
    return Compared("", "", unexplained, len(found) - len(unexplained))


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
