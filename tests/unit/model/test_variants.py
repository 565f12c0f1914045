"""Variants of a change: found by host, read by chunks, and refused when they are not what was named."""

from __future__ import annotations

from typing import Any

import pytest

from gitops.errors import MalformedError
from gitops.model.address import Address
from gitops.model.codec import digest_bytes, encode_canonical
from gitops.model.plan import Change, FieldChange, Variation
from gitops.model.variants import CHUNK, Variant, read_index, read_variants, write_variants

ALL = [
    Variant((f"h{number:04}",), f"{number:064x}", (FieldChange("content", None, number),), (f"+{number}",))
    for number in range(250)
]
INDEX, PARTS = write_variants(ALL)


def test_one_hosts_variant_costs_the_index_and_one_chunk() -> None:
    read: list[str] = []

    def give(digest: str) -> bytes:
        read.append(digest)
        return PARTS[digest]

    index = read_index(INDEX, give)
    place = index.find_place("h0170")
    assert place == 170
    assert index.find_place("nobody") is None
    assert read_variants(index, range(place, place + 1), give) == (ALL[170],)
    assert len(read) == 2
    assert read_variants(index, range(len(ALL)), give) == tuple(ALL)
    assert read_variants(index, range(240, 300), give) == tuple(ALL[240:])
    assert read_variants(index, range(300, 320), give) == ()


def test_a_variant_is_the_whole_change_on_its_hosts() -> None:
    change = Change(Address("file:/x"), "update", "intentional", after="f" * 64, differs=Variation(250, "h0000", INDEX))
    made = ALL[3].apply_to(change)
    assert (made.after, made.diff, made.fields, made.differs) == (ALL[3].after, ALL[3].diff, ALL[3].fields, None)
    assert Change.from_json(change.to_json()) == change


def keep(document: Any) -> tuple[str, dict[str, bytes]]:
    data = encode_canonical(document)
    return digest_bytes(data), {digest_bytes(data): data}


@pytest.mark.parametrize(
    ("hosts", "chunks", "words"),
    [
        ([["a"]], [], "not those of the hosts"),
        ([["a"]], ["short"], "not those of the hosts"),
        ([[]], ["a" * 64], "lists of names"),
        ([[1]], ["a" * 64], "lists of names"),
        (["a"], ["a" * 64], "lists of names"),
        ([[f"h{number}"] for number in range(CHUNK + 1)], ["a" * 64], "not those of the hosts"),
    ],
)
def test_an_index_that_is_made_up_is_refused(hosts: Any, chunks: Any, words: str) -> None:
    digest, parts = keep({"schema": "gitops/plan-variants/v1", "hosts": hosts, "chunks": chunks})
    with pytest.raises(MalformedError, match=words):
        read_index(digest, parts.__getitem__)


def test_parts_that_were_changed_are_refused() -> None:
    changed = {digest: data + b" " for digest, data in PARTS.items()}
    with pytest.raises(MalformedError, match="is not what it was"):
        read_index(INDEX, changed.__getitem__)
    index = read_index(INDEX, PARTS.__getitem__)
    with pytest.raises(MalformedError, match="is not what it was"):
        read_variants(index, range(1), changed.__getitem__)
    digest, short = keep({"schema": "gitops/plan-variant-chunk/v1", "variants": []})
    with pytest.raises(MalformedError, match="fewer variants"):
        read_variants(type(index)(index.hosts, (digest,) * 3), range(1), short.__getitem__)
