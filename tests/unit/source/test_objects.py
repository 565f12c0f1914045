"""Sizes of objects, looked at before they are read: however git packed them."""

from __future__ import annotations

import random
import zlib
from pathlib import Path

import pytest
from dulwich.objects import ObjectID

from gitops.source.objects import HEADER_BYTES, open_objects
from tests.support.project import Repository

FILES = 30


def make_content(seed: int) -> bytes:
    """Give bytes of a skewed distribution: their Huffman tables alone are longer than any header."""
    found = random.Random(seed)
    return bytes(min(255, int(found.expovariate(1 / 40))) for _ in range(found.randrange(500, 4000)))


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_size_is_found_however_long_the_tables_of_its_compression_are(tmp_path: Path, is_packed: bool) -> None:
    repository = Repository.make(tmp_path / "work", {"gitops.yaml": ""})
    contents = [make_content(seed) for seed in range(FILES)]
    contents += [content + b"!" for content in contents]
    for number, content in enumerate(contents):
        (repository.path / f"{number:03}").write_bytes(content)
    commit = repository.commit({}, "many")
    if is_packed:
        repository.git("gc", "-q")
    loose = zlib.compress(b"blob %d\0" % len(contents[0]) + contents[0])
    assert zlib.decompressobj().decompress(loose[:HEADER_BYTES]) == b""
    objects, repo = open_objects(repository.path)
    with repo:
        rows = repository.git("ls-tree", commit).splitlines()
        idents = {row.split("\t")[1]: ObjectID(row.split()[2].encode()) for row in rows}
        for number, content in enumerate(contents):
            assert objects.blob(f"{number:03}", idents[f"{number:03}"], len(content)) == content
