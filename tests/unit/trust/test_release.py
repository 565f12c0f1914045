"""The numbered checks, attack by attack."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from gitops.errors import TrustError
from gitops.model.codec import decode_json, encode_canonical
from gitops.model.limits import DEFAULTS
from gitops.model.manifest import Manifest, Previous
from gitops.signatures.bundle import sign_manifest
from gitops.signatures.keys import generate_key
from gitops.trust.release import CHECKS, Memory, check_audience
from tests.support.candidates import DAY, FIRST, NOW, SECOND, Files, Releaser, approve, candidate

Change = Callable[[Manifest], Manifest]


def refused(code: str, run: Callable[[], object]) -> str:
    with pytest.raises(TrustError) as caught:
        run()
    assert (caught.value.code, caught.value.exit_status) == (code, 6)
    return caught.value.message


def test_a_release_is_accepted_and_says_who_signed_it() -> None:
    releaser, seen = Releaser(), list[str]()
    found = releaser.verify(releaser.make(), note=seen.append)
    assert (found.manifest.serial, found.signers) == (1, (releaser.keys[0].public.ident,))
    assert found.digest == found.manifest.digest
    assert tuple(seen) == CHECKS


# ── 1 signatures ──


def test_a_stripped_signature_is_refused() -> None:
    releaser = Releaser()
    files = releaser.make(keys=())
    refused("T101", lambda: releaser.verify(files))


def test_another_key_is_refused() -> None:
    releaser = Releaser()
    files = releaser.make(keys=(generate_key(),))
    refused("T101", lambda: releaser.verify(files))


def test_another_key_under_a_trusted_name_is_refused() -> None:
    releaser = Releaser()
    files = releaser.make()
    name = f"signatures/{releaser.keys[0].public.ident}.sigstore.json"
    files[name] = sign_manifest(generate_key(), files["manifest.json"])
    refused("T101", lambda: releaser.verify(files))


def test_a_swapped_manifest_is_refused() -> None:
    releaser = Releaser()
    files = releaser.make()
    files["manifest.json"] = replace(releaser.last, commit="2" * 40).to_bytes()  # type: ignore[type-var]
    refused("T101", lambda: releaser.verify(files))


def test_a_threshold_needs_distinct_keys() -> None:
    releaser = Releaser(keys=[generate_key(), generate_key("p256")], threshold=2)
    both = releaser.make()
    assert len(releaser.verify(both).signers) == 2
    one = releaser.make(keys=releaser.keys[:1])
    first, second = (f"signatures/{key.public.ident}.sigstore.json" for key in releaser.keys)
    one[second] = one[first]
    assert "1 of the trusted keys, 2 are needed" in refused("T101", lambda: releaser.verify(one))


def test_a_release_without_a_manifest_is_refused() -> None:
    releaser = Releaser()
    files = releaser.make(spoil=lambda files: files.pop("manifest.json"))
    refused("T106", lambda: releaser.verify(files))


def test_a_manifest_that_is_a_link_is_refused_before_it_is_read() -> None:
    releaser = Releaser()
    files = releaser.make()
    refused("T106", lambda: releaser.verify(files, modes={"manifest.json": "120000"}))


# ── 2 schema, version, form ──


@pytest.mark.parametrize(
    "document",
    [
        b"{}",
        b"[]",
        b"not JSON",
        encode_canonical({"schema": "gitops/manifest/v9", "min_agent": "0.1.0"}),
        encode_canonical({"schema": "gitops/manifest/v1", "min_agent": "0.1.0"}),
        encode_canonical({"schema": "gitops/manifest/v1", "min_agent": "²"}),
        encode_canonical({"schema": "gitops/manifest/v1", "min_agent": "1" * 5000}),
    ],
)
def test_what_is_no_manifest_is_refused_though_it_is_signed(document: bytes) -> None:
    releaser = Releaser()
    files = releaser.make()
    files["manifest.json"] = document
    files[f"signatures/{releaser.keys[0].public.ident}.sigstore.json"] = sign_manifest(releaser.keys[0], document)
    refused("T102", lambda: releaser.verify(files, agent_version="0.1.0"))


def test_an_old_agent_says_too_old_even_of_a_schema_that_it_does_not_know() -> None:
    releaser = Releaser()
    files = releaser.make(change=lambda item: replace(item, min_agent="10.0.0"))
    table = {**decode_json(files["manifest.json"]), "schema": "gitops/manifest/v9"}  # type: ignore[dict-item]
    files["manifest.json"] = encode_canonical(table)
    files[f"signatures/{releaser.keys[0].public.ident}.sigstore.json"] = sign_manifest(releaser.keys[0], files["manifest.json"])
    assert "10.0.0" in refused("T102", lambda: releaser.verify(files, agent_version="9.9.9"))


def test_versions_are_numbers() -> None:
    releaser = Releaser()
    files = releaser.make(change=lambda item: replace(item, min_agent="0.9.0"))
    assert releaser.verify(files, agent_version="0.10.0").manifest.min_agent == "0.9.0"


@pytest.mark.parametrize(
    "change",
    [
        lambda item: replace(item, serial=5, previous=None),
        lambda item: replace(item, serial=1, previous=Previous(1, "0" * 64)),
        lambda item: replace(item, serial=7, previous=Previous(5, "0" * 64)),
        lambda item: replace(item, rollback_of=1),
        lambda item: replace(item, rollback_of=-1),
    ],
)
def test_serials_that_contradict_each_other_are_refused(change: Change) -> None:
    releaser = Releaser()
    files = releaser.make(change=change)
    refused("T104", lambda: releaser.verify(files))


# ── 3 audience ──


@pytest.mark.parametrize(
    "change", [lambda item: replace(item, repository="evil"), lambda item: replace(item, environment="staging")]
)
def test_a_release_for_somebody_else_is_refused(change: Change) -> None:
    releaser = Releaser()
    files = releaser.make(change=change)
    refused("T103", lambda: releaser.verify(files))


def test_an_environment_that_the_root_does_not_know_is_refused() -> None:
    releaser = Releaser()
    files = releaser.make()
    root = replace(releaser.root, environments={})
    refused("T103", lambda: check_audience(releaser.verify(files).manifest, root, "production"))


# ── 4 serial ──


def test_an_old_release_put_back_is_refused() -> None:
    releaser = Releaser()
    old = releaser.make()
    releaser.make(SECOND)
    refused("T104", lambda: releaser.verify(old, releaser.memory))


def test_the_same_release_is_accepted_again_with_its_approvals() -> None:
    releaser = Releaser(required=1)
    files = releaser.make(approvals=[approve(None, FIRST)])
    assert releaser.verify(files, releaser.memory).manifest.serial == 1


def test_two_releases_with_one_serial_raise_the_alarm() -> None:
    releaser = Releaser()
    releaser.make()
    memory = releaser.memory
    releaser.last = None
    other = releaser.make(SECOND)
    refused("T108", lambda: releaser.verify(other, memory))


def make_gap(releaser: Releaser, count: int = 3) -> tuple[Memory, list[Files]]:
    releaser.make()
    return releaser.memory, [releaser.make(SECOND) for _ in range(count)]


def test_a_gap_is_walked() -> None:
    releaser = Releaser()
    memory, files = make_gap(releaser)
    found = releaser.verify(files[-1], memory, chain=[candidate(item) for item in files[:-1]])
    assert [item.serial for item in found.skipped] == [2, 3]


@pytest.mark.parametrize("kept", [[], [0], [1], [1, 0]])
def test_a_gap_with_a_missing_or_misplaced_link_is_refused(kept: list[int]) -> None:
    releaser = Releaser()
    memory, files = make_gap(releaser)
    refused("T104", lambda: releaser.verify(files[-1], memory, chain=[candidate(files[index]) for index in kept]))


def test_a_release_that_follows_another_history_is_refused() -> None:
    releaser, other = Releaser(), Releaser()
    releaser.make()
    other.make(SECOND)
    other.keys = releaser.keys
    files = other.make(FIRST)
    assert other.last is not None
    assert other.last.serial == releaser.memory.serial + 1
    refused("T104", lambda: releaser.verify(files, releaser.memory))


def test_a_forged_link_is_refused() -> None:
    releaser = Releaser()
    releaser.make()
    memory = releaser.memory
    link = releaser.make(SECOND, keys=(generate_key(),))
    files = releaser.make()
    refused("T101", lambda: releaser.verify(files, memory, chain=[candidate(link)]))


def test_a_link_for_another_environment_is_refused() -> None:
    releaser = Releaser()
    releaser.make()
    memory = releaser.memory
    link = releaser.make(change=lambda item: replace(item, environment="staging"))
    files = releaser.make()
    refused("T103", lambda: releaser.verify(files, memory, chain=[candidate(link)]))


def test_a_link_may_have_expired() -> None:
    releaser = Releaser()
    releaser.make(change=lambda item: replace(item, issued=NOW - 300 * DAY))
    memory = releaser.memory
    link = releaser.make(change=lambda item: replace(item, issued=NOW - 200 * DAY, expires=NOW - 100 * DAY))
    files = releaser.make()
    assert releaser.verify(files, memory, chain=[candidate(link)]).manifest.serial == 3


def test_a_chain_is_bounded() -> None:
    releaser = Releaser()
    files = releaser.make()
    refused("T104", lambda: releaser.verify(files, chain=[candidate(files)] * (DEFAULTS.chain_length + 1)))


def test_first_contact_begins_at_any_serial_with_any_part_of_its_history() -> None:
    releaser = Releaser()
    _, files = make_gap(releaser)
    assert releaser.verify(files[-1]).manifest.serial == 4
    assert len(releaser.verify(files[-1], chain=[candidate(files[1])]).skipped) == 1
    refused("T104", lambda: releaser.verify(files[-1], chain=[candidate(files[0])]))


# ── 5 time ──


@pytest.mark.parametrize(
    "change",
    [
        lambda item: replace(item, issued=NOW - 91 * DAY, expires=NOW),
        lambda item: replace(item, issued=NOW + 2 * DAY),
        lambda item: replace(item, expires=item.issued),
        lambda item: replace(item, expires=item.issued - DAY),
    ],
)
def test_what_is_expired_or_from_the_future_is_refused(change: Change) -> None:
    releaser = Releaser()
    files = releaser.make(change=change)
    refused("T105", lambda: releaser.verify(files))


def test_a_clock_set_back_revives_nothing() -> None:
    releaser = Releaser()
    files = releaser.make(change=lambda item: replace(item, issued=NOW - 100 * DAY, expires=NOW - 10 * DAY))
    memory = Memory(newest_issued=NOW)
    refused("T105", lambda: releaser.verify(files, memory, now=NOW - 50 * DAY))


def test_a_clock_a_little_behind_is_no_obstacle() -> None:
    releaser = Releaser()
    assert releaser.verify(releaser.make(), now=NOW - DAY / 2).manifest.serial == 1


def test_a_release_older_than_the_one_it_follows_is_refused() -> None:
    releaser = Releaser()
    releaser.make()
    memory = releaser.memory
    files = releaser.make(change=lambda item: replace(item, issued=NOW - DAY))
    refused("T105", lambda: releaser.verify(files, memory))
