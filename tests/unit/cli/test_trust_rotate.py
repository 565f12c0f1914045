"""`trust rotate`: the next trust root, signed in the layout that agents follow; `release` carries it; what agents would refuse is not released."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from gitops.model.trustroot import TrustRoot, read_trust_root
from gitops.source.release import open_release
from tests.support.cli import Called, call
from tests.support.project import HOST, PROJECT, SMALL, Repository


@dataclass
class Desk:
    """A released project, an agent that follows it, and two keys."""

    folder: Path
    repository: Repository

    def key(self, name: str) -> Path:
        path = self.folder / name
        if not path.exists():
            assert call("release", "keygen", "--out", path).status == 0
        return path

    def pub(self, name: str) -> Path:
        self.key(name)
        return self.folder / f"{name}.pub"

    def root(self, version: int) -> Path:
        return self.folder / "trust" / f"{version}.json"

    def read(self, version: int) -> TrustRoot:
        return read_trust_root(self.root(version).read_bytes())

    def rotate(self, *arguments: object, before: int = 1) -> Called:
        to = ("--root", self.root(before), "--out", self.root(before + 1))
        return call("-C", self.repository.path, "trust", "rotate", *to, *arguments)

    def release(self, key: str, *versions: int, text: str = "") -> Called:
        if text:
            self.repository.commit({"inventory/web.yaml": HOST.replace("hello", text)})
        roots = [item for version in versions for item in ("--trust-root", self.root(version))]
        return call("-C", self.repository.path, "release", "--env", "production", "--key", self.key(key), *roots)

    def enroll(self, version: int) -> None:
        to = ("--env", "production", "--name", "web-1", "--trust-root", self.root(version), "--state", self.folder / "state")
        (self.folder / "machine").mkdir()
        assert call("agent", "enroll", "--repo", self.repository.path, *to).status == 0

    def follow(self) -> tuple[int, str]:
        machine = ("--state", self.folder / "state", "--root", self.folder / "machine")
        status = call("agent", "run", "--once", *machine).status
        return status, (self.folder / "machine/etc/motd").read_text()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path, Repository.make(tmp_path / "work", SMALL))
    (tmp_path / "trust").mkdir()
    at = ("-C", made.repository.path)
    assert call(*at, "trust", "init", "--key", made.pub("a"), "--out", made.root(1)).status == 0
    return made


def test_agents_follow_two_rotations_from_the_first_root(desk: Desk) -> None:
    assert desk.release("a", 1).status == 0
    desk.enroll(1)
    assert desk.follow() == (0, "hello\n")
    made = desk.rotate("--key", desk.pub("b"), "--sign-with", desk.key("a"), "--sign-with", desk.key("b"))
    assert made.status == 0, made.err
    released = desk.release("b", 1, 2, text="second")
    assert released.status == 0, released.err
    assert desk.follow() == (0, "second\n")
    assert desk.rotate("--key", desk.pub("c"), "--sign-with", desk.key("b"), "--sign-with", desk.key("c"), before=2).status == 0
    released = desk.release("c", 2, 3, text="third")
    assert released.status == 0, released.err
    assert desk.follow() == (0, "third\n")
    assert desk.release("c", 3, text="fourth").status == 0
    assert desk.follow() == (0, "fourth\n")


def test_a_host_that_slept_through_a_rotation_catches_up_and_the_whole_chain_verifies(desk: Desk) -> None:
    assert desk.release("a", 1).status == 0
    desk.enroll(1)
    desk.rotate("--key", desk.pub("b"), "--sign-with", desk.key("a"), "--sign-with", desk.key("b"))
    assert desk.release("b", 2, 1, text="second").status == 0
    assert desk.release("b", 2, text="third").status == 0
    assert desk.follow() == (0, "third\n")
    at = ("-C", desk.repository.path, "verify", "--env", "production", "--trust-root", desk.root(1))
    assert call(*at).status == 0


def test_after_a_rotation_the_old_key_releases_nothing_more(desk: Desk) -> None:
    desk.release("a", 1)
    desk.rotate("--key", desk.pub("b"), "--sign-with", desk.key("a"), "--sign-with", desk.key("b"))
    assert desk.release("b", 1, 2, text="second").status == 0
    assert desk.release("a", 1, 2, text="third").status == 6
    assert desk.release("a", text="fourth").status == 6


def test_who_keeps_keys_apart_signs_in_turns(desk: Desk) -> None:
    first = desk.rotate("--key", desk.pub("b"), "--sign-with", desk.key("a"), "--format", "json")
    assert (first.status, first.json["missing"]) == (3, {"old": 0, "new": 1})
    assert desk.release("b", 1, 2).status == 6
    again = desk.rotate("--key", desk.pub("b"), "--sign-with", desk.key("a"))
    assert (again.status, "1 of the new keys" in again.err) == (3, True)
    second = desk.rotate("--key", desk.pub("b"), "--sign-with", desk.key("b"), "--format", "json")
    assert (second.status, second.json["missing"], second.json["version"]) == (0, {"old": 0, "new": 0}, 2)
    assert desk.release("b", 1, 2).status == 0


def test_what_is_not_given_stays_as_it_was(desk: Desk) -> None:
    approvals = "    other: {hosts: {env: other}}\n    production:\n      approvals: {required: 1, from: ['user:alice']}\n"
    changed = PROJECT.replace("    production:\n", approvals)
    desk.repository.commit({"gitops.yaml": changed})
    assert desk.rotate("--sign-with", desk.key("a")).status == 0
    before, after = desk.read(1), desk.read(2)
    assert (after.version, after.keys, after.environments) == (2, before.keys, before.environments)
    anew = desk.rotate("--sign-with", desk.key("a"), "--project", "--commit-signature", "refuse", before=2)
    assert anew.status == 0, anew.err
    assert sorted(desk.read(3).environments) == ["other", "production"]
    assert desk.read(3).environments["production"].required == 1
    assert desk.read(3).commit_signature == "refuse"


def test_another_root_in_its_place_is_never_overwritten(desk: Desk) -> None:
    desk.rotate("--key", desk.pub("b"), "--sign-with", desk.key("a"))
    before = desk.root(2).read_bytes()
    other = desk.rotate("--key", desk.pub("c"), "--sign-with", desk.key("a"))
    assert (other.status, "U043" in other.err) == (1, True)
    assert desk.root(2).read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--key", "b.pub", "--sign-with", "c"), "U094"),
        (("--key", "b.pub", "--sign-with", "a", "--threshold", "2"), "U093"),
        (("--key", "b.pub", "--key", "b.pub", "--sign-with", "a"), "U093"),
        (("--key", "b.pub", "--sign-with", "b.pub"), "U07"),
    ],
)
def test_what_cannot_be_a_rotation_writes_nothing(desk: Desk, arguments: tuple[str, ...], code: str) -> None:
    for name in ("b", "c"):
        desk.key(name)
    named = [desk.folder / item if item[0] in "abc" else item for item in arguments]
    called = desk.rotate(*named)
    assert (called.status, code in called.err) == (1, True), called.err
    assert not desk.root(2).exists()


def test_the_root_of_another_project_takes_nothing_from_this_one(desk: Desk) -> None:
    desk.repository.commit({"gitops.yaml": PROJECT.replace("acme", "other")})
    called = desk.rotate("--sign-with", desk.key("a"), "--project")
    assert (called.status, "U094" in called.err) == (1, True)


def test_a_release_carries_no_root_that_agents_would_refuse(desk: Desk) -> None:
    desk.release("a", 1)
    desk.rotate("--key", desk.pub("b"), "--sign-with", desk.key("b"))
    tip = desk.repository.git("rev-parse", "release/production")
    assert desk.release("b", 1, 2, text="x").status == 6
    assert desk.release("b", 2).status == 6
    for signature in (desk.folder / "trust/2.sigs").iterdir():
        signature.unlink()
    unsigned = desk.release("b", 2)
    assert (unsigned.status, "U094" in unsigned.err) == (1, True)
    assert desk.repository.git("rev-parse", "release/production") == tip


def test_a_stolen_new_key_alone_does_not_rotate_what_a_release_carries(desk: Desk) -> None:
    """The tip carries root 1; a root 2 that its key did not sign is not put beside it, whoever asks."""
    desk.release("a", 1)
    desk.rotate("--key", desk.pub("a"), "--key", desk.pub("b"), "--sign-with", desk.key("b"))
    called = desk.release("a", 2, text="x")
    assert (called.status, "T109" in called.err) == (6, True), called.err


def test_versions_follow_one_another(desk: Desk) -> None:
    desk.rotate("--sign-with", desk.key("a"))
    desk.rotate("--sign-with", desk.key("a"), before=2)
    gap = desk.release("a", 1, 3)
    assert (gap.status, "U094" in gap.err) == (1, True)
    assert desk.release("a", 1, 3, 2).status == 0
    opened = open_release(desk.repository.path, desk.repository.git("rev-parse", "release/production"))
    assert [path for path in sorted(opened.listing) if path.startswith("trust/") and ".sigs/" not in path] == [
        "trust/1.json",
        "trust/2.json",
        "trust/3.json",
    ]
