"""Contents from the network: believed by their digest alone, gone on with where a connection broke, bounded in size and time."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from gitops.errors import HostError
from gitops.executor import fetch as room
from gitops.executor.fetch import Wanted, fetch
from tests.support.files import Files, serve_files

DATA = bytes(range(256)) * 4000
DIGEST = sha256(DATA).hexdigest()


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Iterator[Files]:
    monkeypatch.setattr(room, "PAUSE", 0.0)
    with serve_files() as served:
        served.contents["/x"] = DATA
        yield served


def get(files: Files, folder: Path, path: str = "/x", *, seconds: float = 30, limit: int = 1 << 30) -> bytes:
    target = folder / DIGEST
    assert fetch(Wanted(f"{files.url}{path}", DIGEST, seconds), str(target), limit) == target.stat().st_size
    return target.read_bytes()


def test_what_has_its_digest_is_kept_readable_by_nobody_else(files: Files, tmp_path: Path) -> None:
    assert get(files, tmp_path) == DATA
    assert [(path.name, path.stat().st_mode & 0o777) for path in tmp_path.iterdir()] == [(DIGEST, 0o600)]


def test_a_broken_connection_is_gone_on_with(files: Files, tmp_path: Path) -> None:
    files.cut = [100_000, 300_000]
    assert get(files, tmp_path) == DATA
    assert files.asked == ["", "bytes=100000-", "bytes=400000-"]


def test_the_next_run_goes_on_with_what_the_last_one_left(files: Files, tmp_path: Path) -> None:
    files.cut = [1000] * room.ATTEMPTS
    with pytest.raises(HostError, match="cannot be fetched: the connection ended after 5000"):
        get(files, tmp_path)
    files.asked.clear()
    assert get(files, tmp_path) == DATA
    assert files.asked == ["bytes=5000-"]


def test_a_server_without_ranges_begins_anew(files: Files, tmp_path: Path) -> None:
    files.cut, files.has_ranges = [100_000], False
    assert get(files, tmp_path) == DATA


@pytest.mark.parametrize("left", [b"something else", DATA + b"more", DATA[:-1] + b"x"])
def test_a_beginning_of_something_else_is_begun_anew(files: Files, tmp_path: Path, left: bytes) -> None:
    (tmp_path / f"{DIGEST}.part").write_bytes(left)
    assert get(files, tmp_path) == DATA


def test_what_was_whole_already_is_not_asked_for(files: Files, tmp_path: Path) -> None:
    (tmp_path / f"{DIGEST}.part").write_bytes(DATA)
    assert get(files, tmp_path) == DATA
    assert files.asked == []


def test_another_content_is_refused_and_nothing_of_it_stays(files: Files, tmp_path: Path) -> None:
    files.contents["/x"] = b"evil"
    with pytest.raises(HostError, match=f"has the SHA-256 {sha256(b'evil').hexdigest()}, not {DIGEST}"):
        get(files, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_server_in_trouble_is_asked_again_and_one_that_says_no_is_not(files: Files, tmp_path: Path) -> None:
    files.statuses = [503, 429]
    assert get(files, tmp_path) == DATA
    files.asked.clear()
    with pytest.raises(HostError, match="404"):
        get(files, tmp_path, "/y")
    assert len(files.asked) == 1


def test_redirects_are_followed_to_the_web_alone(files: Files, tmp_path: Path) -> None:
    files.redirects = {"/a": "/x", "/file": f"file://{tmp_path}/x", "/ftp": "ftp://127.0.0.1/x"}
    assert get(files, tmp_path, "/a") == DATA
    for path in ("/file", "/ftp"):
        with pytest.raises(HostError, match=r"not (followed|allowed)"):
            get(files, tmp_path, path)


def test_too_much_and_too_long_are_refused(files: Files, tmp_path: Path) -> None:
    with pytest.raises(HostError, match="larger than 1000 bytes"):
        get(files, tmp_path, limit=1000)
    with pytest.raises(HostError, match="took longer"):
        get(files, tmp_path, seconds=0.0)


def test_where_nobody_listens_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PAUSE", 0.0)
    with pytest.raises(HostError, match="Connection refused"):
        fetch(Wanted("http://127.0.0.1:1/x", DIGEST, 5), str(tmp_path / DIGEST))


def test_a_link_in_the_way_is_not_followed(files: Files, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("victim")
    (tmp_path / f"{DIGEST}.part").symlink_to("victim")
    with pytest.raises(OSError, match="symbolic links"):
        get(files, tmp_path)
    assert (tmp_path / "victim").read_text() == "victim"
