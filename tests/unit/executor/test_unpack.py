"""Archives taken apart: what is in them is given exactly; what could leave the folder, or fill the disk, is refused as a whole."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from gitops.errors import HostError
from gitops.executor.unpack import unpack
from gitops.model.limits import DEFAULTS
from gitops.providers.host import Unpacked

Fill = Callable[[tarfile.TarFile], object]


def add(archive: tarfile.TarFile, name: str, data: bytes = b"", **values: object) -> None:
    item = tarfile.TarInfo(name)
    item.size = len(data)
    for key, value in values.items():
        setattr(item, key, value)
    archive.addfile(item, io.BytesIO(data))


def make_tar(folder: Path, fill: Fill, mode: str = "w:gz") -> str:
    path = folder / "a.tar"
    with tarfile.open(path, mode) as archive:  # pyright: ignore[reportCallIssue, reportArgumentType, reportUnknownVariableType]  any mode
        fill(archive)  # pyright: ignore[reportUnknownArgumentType]  see above
    return str(path)


def digest_of(source: str) -> str:
    return sha256(Path(source).read_bytes()).hexdigest()


def take(source: str, folder: Path, strip: int = 0) -> dict[str, Unpacked]:
    (folder / "out").mkdir(exist_ok=True)
    return {item.path: item for item in unpack(source, digest_of(source), str(folder / "out"), strip)}


def fill_well(archive: tarfile.TarFile) -> None:
    add(archive, "app-1/", type=tarfile.DIRTYPE, mode=0o700)
    add(archive, "./app-1/bin/run", b"#!/bin/sh\n", mode=0o4755)
    add(archive, "app-1/read me", b"words\n", mode=0o600, uid=1234)
    add(archive, "app-1/bin/again", type=tarfile.LNKTYPE, linkname="app-1/bin/run")
    add(archive, "app-1/bin/link", type=tarfile.SYMTYPE, linkname="../read me")


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz", "w:bz2"])
def test_what_is_in_a_tar_is_given_with_plain_modes(tmp_path: Path, mode: str) -> None:
    found = take(make_tar(tmp_path, fill_well, mode), tmp_path, strip=1)
    script = sha256(b"#!/bin/sh\n").hexdigest()
    assert found == {
        "bin/again": Unpacked("bin/again", "file", "0755", script, 10),
        "bin/link": Unpacked("bin/link", "symlink", target="../read me"),
        "bin/run": Unpacked("bin/run", "file", "0755", script, 10),
        "read me": Unpacked("read me", "file", "0644", sha256(b"words\n").hexdigest(), 6),
    }
    assert (tmp_path / "out" / script).read_bytes() == b"#!/bin/sh\n"


def test_what_is_in_a_zip_is_given(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("top/", "")
        program = zipfile.ZipInfo("top/run")
        program.external_attr = (stat.S_IFREG | 0o755) << 16
        archive.writestr(program, "run\n")
        link = zipfile.ZipInfo("top/link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "run")
        archive.writestr("top/é.txt", "words\n")
    found = take(str(tmp_path / "a.zip"), tmp_path, strip=1)
    assert [(item.path, item.type, item.mode, item.target) for item in found.values()] == [
        ("link", "symlink", "", "run"),
        ("run", "file", "0755", ""),
        ("é.txt", "file", "0644", ""),
    ]


@pytest.mark.parametrize(
    "fill",
    [
        lambda archive: add(archive, "/etc/passwd", b"x"),
        lambda archive: add(archive, "../up", b"x"),
        lambda archive: add(archive, "a/../../up", b"x"),
        lambda archive: add(archive, "a\nb", b"x"),
        lambda archive: add(archive, "link", type=tarfile.SYMTYPE, linkname="/etc"),
        lambda archive: add(archive, "link", type=tarfile.SYMTYPE, linkname="../x"),
        lambda archive: add(archive, "a/link", type=tarfile.SYMTYPE, linkname="../../x"),
        lambda archive: (
            add(archive, "l", type=tarfile.SYMTYPE, linkname="."),
            add(archive, "l/x", b"through a link"),
        ),
        lambda archive: (
            add(archive, "s/t/u", type=tarfile.SYMTYPE, linkname="../.."),
            add(archive, "v", type=tarfile.SYMTYPE, linkname="s/t/u/.."),
        ),
        lambda archive: (add(archive, "f", b"a file"), add(archive, "f/x", b"below a file")),
        lambda archive: add(archive, "hard", type=tarfile.LNKTYPE, linkname="/etc/shadow"),
        lambda archive: add(archive, "hard", type=tarfile.LNKTYPE, linkname="not/there"),
        lambda archive: add(archive, "dev", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
        lambda archive: add(archive, "pipe", type=tarfile.FIFOTYPE),
        lambda archive: add(archive, "n" * 1100, b"x"),
    ],
)
def test_an_archive_that_could_leave_its_folder_is_refused_whole(tmp_path: Path, fill: Fill) -> None:
    with pytest.raises(HostError) as caught:
        take(make_tar(tmp_path, fill), tmp_path)
    assert caught.value.code == "E328"


def test_bombs_are_refused_before_they_fill_the_disk(tmp_path: Path) -> None:
    source = make_tar(tmp_path, lambda archive: add(archive, "zeros", bytes(1 << 20)))
    (tmp_path / "out").mkdir()
    with pytest.raises(HostError, match="larger than"):
        unpack(source, digest_of(source), str(tmp_path / "out"), 0, replace(DEFAULTS, archive_bytes=1000))
    assert sum(path.stat().st_size for path in (tmp_path / "out").iterdir()) == 0
    many = make_tar(tmp_path, lambda archive: [add(archive, f"f{number}") for number in range(11)])
    with pytest.raises(HostError, match="more than 10 entries"):
        unpack(many, digest_of(many), str(tmp_path / "out"), 0, replace(DEFAULTS, archive_files=10))


def test_a_zip_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x", bytes(100_000))
    data = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(data.replace((100_000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with pytest.raises(HostError):
        take(str(tmp_path / "a.zip"), tmp_path)


@pytest.mark.parametrize("data", [b"", b"no archive at all", b"PK\x05\x06" + bytes(18), b"\x1f\x8b\x08" + bytes(40)])
def test_what_is_no_archive_is_said(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a").write_bytes(data)
    if data.startswith(b"PK"):
        assert take(str(tmp_path / "a"), tmp_path) == {}
        return
    with pytest.raises(HostError, match="no archive that can be read"):
        take(str(tmp_path / "a"), tmp_path)


def test_half_an_archive_is_refused(tmp_path: Path) -> None:
    source = Path(make_tar(tmp_path, lambda archive: add(archive, "x", b"words" * 10_000), "w"))
    source.write_bytes(source.read_bytes()[:20_000])
    with pytest.raises(HostError):
        take(str(source), tmp_path)
