"""What only stands for a content (Git LFS, git-annex) or hides it (git-crypt) is no content: shipped, it would be the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitops.pipeline.project import examine_tree
from gitops.source.snapshot import snapshot_folder
from tests.support.project import PROJECT, codes, write_files

HOST = """\
apiVersion: gitops/v1
kind: Host
metadata: {name: a, labels: {env: production}}
spec:
  resources:
    - {file: /srv/x, ATTRIBUTE: x}
"""
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 12345\n" % (b"4d" * 32)
ANNEX = b"/annex/objects/SHA256E-s31390--%s.txt\n" % (b"f5" * 32)
CRYPT = b"\0GITCRYPT\0\x8f\x1b\x02\x33"


@pytest.mark.parametrize(
    ("attribute", "data", "words"),
    [
        ("source", LFS, "files/x is a pointer of Git LFS"),
        ("source", ANNEX, "files/x is a pointer of git-annex"),
        ("source", CRYPT, "files/x is encrypted by git-crypt in the commit"),
        ("template", LFS, "templates/x is a pointer of Git LFS"),
    ],
)
def test_what_stands_for_a_content_is_told_where_it_is_named(tmp_path: Path, attribute: str, data: bytes, words: str) -> None:
    folder = {"source": "files", "template": "templates"}[attribute]
    files = {"gitops.yaml": PROJECT, "host.yaml": HOST.replace("ATTRIBUTE", attribute), f"{folder}/x": data}
    found = examine_tree(snapshot_folder(write_files(tmp_path, files)))
    assert codes(found) == ["C617"]
    told = found.diagnostics[0]
    assert words in told.message
    assert (told.place.file, told.place.line, "`download`" in told.hint) == ("host.yaml", 6, True)


@pytest.mark.parametrize(
    "data",
    [
        b"version https://git-lfs.github.com/spec/v1 is how they begin\n" + b"x" * 1024,
        b"see " + LFS,
        b"",
        b"\0GITCRYPT",
        b"/annex\n",
    ],
)
def test_what_only_speaks_of_pointers_is_content(tmp_path: Path, data: bytes) -> None:
    files = {"gitops.yaml": PROJECT, "host.yaml": HOST.replace("ATTRIBUTE", "source"), "files/x": data}
    assert codes(examine_tree(snapshot_folder(write_files(tmp_path, files)))) == []
