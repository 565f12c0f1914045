"""What hangs together without an edge is planned together: folders that more than one would make, homes that bring what lies in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gitops.model.address import Address
from gitops.model.attribute import decode_spec
from gitops.model.observation import Observation
from gitops.model.resource import Resource
from gitops.providers.mount import MountProvider
from tests.support.nouns import NOW
from tests.support.worlds import NOTHING, Side, World, plan_by_parts, plan_whole


def mount_state(item: Resource, parents: Any) -> Any:
    provider = MountProvider()
    asked = provider.locate(decode_spec(provider.spec, item.name, item.attributes)).asked
    live = {"point": "absent", "parents": parents}
    return {"type": "file", "parents": [], "asked": asked, "there": False, "differs": [], "live": live}


A = Resource("mount", "/mnt/a", {"device": "tmpfs", "fstype": "tmpfs"})
B = Resource("mount", "/mnt/b", {"device": "tmpfs", "fstype": "tmpfs"})
FILE = Resource("file", "/mnt/x/conf", {"content": "a\n"})
ABSENT = {"type": "absent", "parents": ["/mnt", "/mnt/x"]}


def both(old: Sequence[Resource], new: Sequence[Resource], states: Mapping[Address, Any]) -> None:
    before, after = Side(), Side()
    if old:
        before.add("h0", old, 0)
    after.add("h0", new, 0)
    world = World(before.graphs() if old else NOTHING, after.graphs(), {"h0": Observation("h0", NOW, {}, states)})
    assert plan_by_parts(world).to_json() == plan_whole(world).to_json()


def test_two_mounts_make_one_folder() -> None:
    both((), (A, B), {A.address: mount_state(A, ["/mnt"]), B.address: mount_state(B, ["/mnt"])})


def test_a_mount_and_a_file_make_one_folder_and_the_change_digest_is_one() -> None:
    both((FILE,), (A, FILE), {A.address: mount_state(A, ["/mnt"]), FILE.address: ABSENT})


def test_a_mount_point_may_come_with_a_home() -> None:
    ann, bob = Resource("user", "ann", {"home": "/mnt"}), Resource("user", "bob", {"home": "/home/bob"})
    late = replace(A, needs=("user:bob",))
    gone = {"exists": False}
    both((), (late, ann, bob), {A.address: mount_state(A, []), ann.address: gone, bob.address: gone})


def test_two_accounts_bring_one_home() -> None:
    home = "/etc/yum.repos.d"
    ann, bob = Resource("user", "ann", {"home": home}), Resource("user", "bob", {"home": home, "shell": "/bin/zsh"})
    repository = Resource("yum_repository", "extra", {"baseurl": ["https://repo.example.org/"], "gpgcheck": False})
    there = {"exists": True, "uid": 1, "gid": 1, "group": "bob", "groups": [], "shell": "/bin/sh", "home": home}
    states = {ann.address: {"exists": False}, bob.address: there, repository.address: {"type": "absent", "parents": []}}
    both((), (ann, bob, repository), states)
