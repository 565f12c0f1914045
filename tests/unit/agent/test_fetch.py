"""Fetching over file, http and ssh: what is brought, what is not, and what a bad remote can do."""

from __future__ import annotations

import http.server
import os
import shutil
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.download import Download, download, read_request
from agent.fetch import Remote, fetch_chain, fetch_tip, show_url
from agent.quarantine import MOST_PACKS, open_store, read_commit
from agent.settings import SSH_COMMAND
from gitops.errors import MalformedError, RemoteError, TrustError
from gitops.model.codec import digest_bytes, encode_canonical
from gitops.model.limits import Limits
from gitops.model.resource import Resource
from gitops.source.objects import Objects
from gitops.source.release import list_history, open_release
from tests.support.githttp import GitServer, serve_git
from tests.support.project import Repository
from tests.support.releases import BRANCH, Publisher, graphs_of, text_file

MOTD = text_file("/etc/motd", "hello\n")


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    (tmp_path / "publisher").mkdir()
    made = Publisher(tmp_path / "publisher")
    data = b"x" * 9000
    own = Resource("file", "/srv/own", {"content": {"blob": digest_bytes(data), "size": len(data)}})
    other = b"y" * 9000
    others = Resource("file", "/srv/other", {"content": {"blob": digest_bytes(other), "size": len(other)}})
    blobs = {digest_bytes(data): data, digest_bytes(other): other}
    made.release(graphs_of({"web-1": [MOTD, own], "db-1": [others]}, blobs=blobs, shared=[text_file("/etc/shared", "s\n")]))
    return made


@pytest.fixture
def server(publisher: Publisher) -> Iterator[GitServer]:
    with serve_git(publisher.bare.parent) as found:
        yield found


def remote_of(tmp_path: Path, url: str, *, ssh: str = SSH_COMMAND, seconds: int = 60) -> Remote:
    coverage = {name: value for name, value in os.environ.items() if name.startswith("COV")}
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **coverage}
    return Remote(url, BRANCH, "web-1", tmp_path / "quarantine", ssh, seconds, environment)


def contents(tmp_path: Path, tip: str) -> dict[str, bool]:
    """Say of every file of the release whether its content was brought."""
    with open_store(tmp_path / "quarantine") as repo:
        entries = Objects(repo).list_tree(read_commit(repo, tip).tree)
        return {path: entry.ident in repo.object_store for path, entry in entries.items()}


def test_over_file_the_whole_release_is_brought(tmp_path: Path, publisher: Publisher) -> None:
    tip = fetch_tip(remote_of(tmp_path, publisher.url), "")
    assert tip == publisher.work.git("rev-parse", "HEAD")
    assert all(contents(tmp_path, tip).values())


def test_a_lock_that_a_killed_fetch_left_stops_no_later_one(tmp_path: Path, publisher: Publisher) -> None:
    fetch_tip(remote_of(tmp_path, publisher.url), "")
    publisher.release(graphs_of({"web-1": [text_file("/etc/motd", "later\n")]}))
    for name in ("refs/heads/complete.lock", "packed-refs.lock", "HEAD.lock"):
        (tmp_path / "quarantine" / name).touch()
    tip = fetch_tip(remote_of(tmp_path, publisher.url), "")
    assert all(contents(tmp_path, tip).values())
    assert list((tmp_path / "quarantine").rglob("*.lock")) == []


def test_a_plain_path_is_a_remote_too(tmp_path: Path, publisher: Publisher) -> None:
    assert fetch_tip(remote_of(tmp_path, str(publisher.bare)), "") == publisher.work.git("rev-parse", "HEAD")


def test_over_http_without_filter_the_whole_release_is_brought(tmp_path: Path, publisher: Publisher, server: GitServer) -> None:
    tip = fetch_tip(remote_of(tmp_path, f"{server.url}/acme.git"), "")
    assert all(contents(tmp_path, tip).values())


def test_over_http_with_filter_only_what_the_host_needs_is_brought(
    tmp_path: Path, publisher: Publisher, server: GitServer
) -> None:
    publisher.allow_filter()
    tip = fetch_tip(remote_of(tmp_path, f"{server.url}/acme.git"), "")
    found = contents(tmp_path, tip)
    lacking = {path.rpartition("/")[2] for path, is_there in found.items() if not is_there}
    assert lacking == {"db-1.json", "index.json", digest_bytes(b"y" * 9000)}
    candidate = open_release(tmp_path / "quarantine", tip)
    assert candidate.read(f"blobs/{digest_bytes(b'x' * 9000)[:2]}/{digest_bytes(b'x' * 9000)}") == b"x" * 9000


def test_over_ssh_it_works_with_the_ssh_command_of_the_settings(tmp_path: Path, publisher: Publisher) -> None:
    fake = tmp_path / "ssh"
    fake.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\nfor last; do :; done\nexec sh -c "$last"\n')
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    remote = remote_of(tmp_path, f"ssh://git@192.0.2.1:2222{publisher.bare}", ssh=f"{fake} -o BatchMode=yes")
    tip = fetch_tip(remote, "")
    assert all(contents(tmp_path, tip).values())
    asked = (tmp_path / "asked").read_text()
    assert "-o BatchMode=yes" in asked
    assert "git@192.0.2.1" in asked


@pytest.mark.parametrize("is_local", [True, False])
def test_a_remote_of_sha256_is_said_to_be_one(tmp_path: Path, publisher: Publisher, server: GitServer, *, is_local: bool) -> None:
    anew = publisher.bare.parent / "anew"
    publisher.work.git("init", "-q", "--object-format=sha256", str(anew))
    Repository(anew).commit({"x": "x"})
    Repository(anew).git("branch", BRANCH)
    url = f"file://{anew}" if is_local else f"{server.url}/anew/.git"
    with pytest.raises(RemoteError, match="names what it holds by SHA-256") as caught:
        fetch_tip(remote_of(tmp_path, url), "")
    assert "sha1" in caught.value.hint


@pytest.mark.parametrize("is_local", [True, False])
def test_refs_that_are_no_branches_are_passed_over(
    tmp_path: Path, publisher: Publisher, server: GitServer, *, is_local: bool
) -> None:
    Repository(publisher.bare).git("update-ref", "refs/save", f"refs/heads/{BRANCH}")
    url = f"file://{publisher.bare}" if is_local else f"{server.url}/acme.git"
    tip = fetch_tip(remote_of(tmp_path, url), "")
    assert all(contents(tmp_path, tip).values())


def test_a_tip_that_is_known_is_not_fetched(tmp_path: Path, publisher: Publisher, server: GitServer) -> None:
    remote = remote_of(tmp_path, f"{server.url}/acme.git")
    tip = fetch_tip(remote, "")
    server.requests.clear()
    assert fetch_tip(remote, tip) == tip
    assert len(server.requests) == 2
    assert not [item for item in server.requests[2:] if item.startswith("POST")]


def test_a_refused_tip_that_lies_in_quarantine_is_not_fetched_again(
    tmp_path: Path, publisher: Publisher, server: GitServer
) -> None:
    remote = remote_of(tmp_path, f"{server.url}/acme.git")
    fetch_tip(remote, "")
    server.requests.clear()
    fetch_tip(remote, "0" * 40)
    assert len(server.requests) == 2


def test_the_chain_brings_what_is_signed_of_each_release(tmp_path: Path, publisher: Publisher, server: GitServer) -> None:
    publisher.allow_filter()
    for number in range(4):
        publisher.release(graphs_of({"web-1": [text_file("/etc/motd", f"{number}\n")]}))
    remote = remote_of(tmp_path, f"{server.url}/acme.git")
    tip = fetch_tip(remote, "")
    assert list_history(remote.store, tip, 10) == ()
    fetch_chain(remote, tip, 4)
    older = list_history(remote.store, tip, 3)
    assert len(older) == 3
    for serial, commit in zip((4, 3, 2), older, strict=True):
        assert b'"serial":%d' % serial in open_release(remote.store, commit).read("manifest.json")


def test_a_long_life_does_not_grow_the_quarantine(tmp_path: Path, publisher: Publisher) -> None:
    remote = remote_of(tmp_path, publisher.url)
    request = Download(remote.url, BRANCH, remote.store, "web-1")
    for number in range(MOST_PACKS + 4):
        publisher.release(graphs_of({"web-1": [text_file("/etc/motd", f"{number}\n")]}))
        tip = download(request)
        assert all(contents(tmp_path, tip).values())
    assert len(list((remote.store / "objects" / "pack").glob("*.pack"))) <= MOST_PACKS + 1


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("file:///nowhere/at/all", "R110"),
        ("http://127.0.0.1:1/acme.git", "R110"),
        ("ssh://127.0.0.1:1/acme.git", "R110"),
        ("git://192.0.2.1/acme.git", "R114"),
        ("ext::sh -c true", "R110"),
    ],
)
def test_what_cannot_be_reached_is_exit_7(tmp_path: Path, url: str, code: str) -> None:
    with pytest.raises(RemoteError) as caught:
        fetch_tip(remote_of(tmp_path, url), "")
    assert caught.value.code == code
    assert not (tmp_path / "true").exists()


def test_a_missing_branch_is_exit_7_and_names_it(tmp_path: Path, publisher: Publisher) -> None:
    with pytest.raises(RemoteError, match="no branch `release/staging`") as caught:
        fetch_tip(replace(remote_of(tmp_path, publisher.url), branch="release/staging"), "")
    assert caught.value.code == "R111"


def test_a_server_in_trouble_is_exit_7(tmp_path: Path, server: GitServer) -> None:
    server.is_broken = True
    with pytest.raises(RemoteError, match="503"):
        fetch_tip(remote_of(tmp_path, f"{server.url}/acme.git"), "")


def test_a_repository_behind_a_password_is_fetched_with_it_only(tmp_path: Path, publisher: Publisher, server: GitServer) -> None:
    server.login = "bot:s3cret/word"
    address = server.url.removeprefix("http://")
    with pytest.raises(RemoteError) as caught:
        fetch_tip(remote_of(tmp_path, f"{server.url}/acme.git"), "")
    assert "401" in caught.value.message or "credentials" in caught.value.message.lower()
    with pytest.raises(RemoteError) as caught:
        fetch_tip(remote_of(tmp_path, f"http://bot:wr0ng-one@{address}/acme.git"), "")
    assert "wr0ng-one" not in caught.value.message
    tip = fetch_tip(remote_of(tmp_path, f"http://bot:s3cret%2Fword@{address}/acme.git"), "")
    assert all(contents(tmp_path, tip).values())


def test_a_password_in_the_address_is_never_shown(tmp_path: Path) -> None:
    with pytest.raises(RemoteError) as caught:
        fetch_tip(remote_of(tmp_path, "http://bot:s3cretword@127.0.0.1:1/acme.git"), "")
    assert "s3cretword" not in caught.value.message
    assert "http://127.0.0.1:1/acme.git" in caught.value.message
    assert show_url("https://bot:x@example.org:8443/a.git") == "https://example.org:8443/a.git"
    assert show_url("ssh://git@example.org/a.git") == "ssh://git@example.org/a.git"
    assert show_url("/srv/git/a.git") == "/srv/git/a.git"


def test_a_remote_that_never_answers_is_given_up(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        started = time.monotonic()
        with pytest.raises(RemoteError, match=r"longer than 1 seconds|no answer within 1") as caught:
            fetch_tip(remote_of(tmp_path, f"http://127.0.0.1:{listener.getsockname()[1]}/a.git", seconds=1), "")
        assert caught.value.code == "R112"
        assert time.monotonic() - started < 40


def test_a_remote_that_drips_for_ever_is_given_up(tmp_path: Path) -> None:
    ended = threading.Event()

    class Drip(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/x-git-upload-pack-advertisement")
            self.end_headers()
            while not ended.wait(0.05):
                try:
                    self.wfile.write(b"0")
                except OSError:
                    return

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  http.server names it
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Drip)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        with pytest.raises(RemoteError):
            fetch_tip(remote_of(tmp_path, f"http://127.0.0.1:{server.server_address[1]}/a.git", seconds=1), "")
    finally:
        ended.set()
        server.shutdown()
        server.server_close()


@pytest.mark.slow
def test_a_remote_that_sends_more_than_is_taken_is_exit_6(tmp_path: Path, publisher: Publisher) -> None:
    """A zip bomb: 260 MB of zeros in a pack of 260 kB; the child may not hold them."""
    bomb = tmp_path / "bomb"
    with bomb.open("wb") as stream:
        stream.truncate(260 * 1024 * 1024)
    ident = publisher.work.git("hash-object", "-w", str(bomb))
    publisher.work.git("update-index", "--add", "--cacheinfo", f"100644,{ident},blobs/00/{'0' * 64}")
    publisher.work.git("commit", "-q", "-m", "bomb")
    publisher.push()
    with pytest.raises(TrustError) as caught:
        fetch_tip(replace(remote_of(tmp_path, f"file://{publisher.bare}"), memory=220 * 1024 * 1024), "")
    assert caught.value.code == "T113"


@pytest.mark.slow
def test_a_file_too_large_is_refused_before_the_agent_holds_it(tmp_path: Path, publisher: Publisher) -> None:
    with (publisher.work.path / "large").open("wb") as stream:
        stream.truncate(101 * 1024 * 1024)
    publisher.work.git("add", "-A")
    publisher.work.git("commit", "-q", "-m", "large")
    publisher.push()
    for _ in range(2):  # what lies in quarantine already is not taken for checked
        with pytest.raises(TrustError, match="an object of 105906176 bytes") as caught:
            fetch_tip(remote_of(tmp_path, publisher.url), "")
        assert caught.value.code == "T113"


@pytest.mark.slow
def test_a_tree_of_trees_of_trees_is_not_walked(tmp_path: Path) -> None:
    work = Repository.make(tmp_path / "work", {"a": "x"}, branch=BRANCH)
    tree = work.git("rev-parse", "HEAD^{tree}")
    for _ in range(12):
        rows = "".join(f"040000 tree {tree}\t{name}\n" for name in "abcdefghij")
        tree = mktree(work, rows)
    commit = work.git("commit-tree", tree, "-m", "bomb")
    work.git("update-ref", f"refs/heads/{BRANCH}", commit)
    started = time.monotonic()
    with pytest.raises(TrustError, match=r"too deep|more than"):
        fetch_tip(remote_of(tmp_path, str(work.path)), "")
    assert time.monotonic() - started < 60


def mktree(work: Repository, rows: str) -> str:
    done = subprocess.run(["git", "mktree"], cwd=work.path, input=rows.encode(), capture_output=True, check=True)
    return done.stdout.decode().strip()


def test_a_child_that_was_killed_for_its_memory_is_a_refusal(
    tmp_path: Path, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = tmp_path / "python"
    killed.write_text("#!/bin/sh\nkill -9 $$\n")
    killed.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(killed))
    with pytest.raises(TrustError, match="was killed, as when memory runs out") as caught:
        fetch_tip(remote_of(tmp_path, publisher.url), "")
    assert caught.value.code == "T113"


def test_the_walk_of_a_tree_is_bounded(tmp_path: Path, publisher: Publisher) -> None:
    tip = fetch_tip(remote_of(tmp_path, publisher.url), "")
    with open_store(tmp_path / "quarantine") as repo, pytest.raises(TrustError, match="more than 3 files"):
        Objects(repo, Limits(release_files=3)).list_tree(read_commit(repo, tip).tree)


def test_a_branch_that_points_to_no_commit_is_refused(tmp_path: Path, publisher: Publisher) -> None:
    blob = Repository(publisher.bare).git("rev-parse", f"{BRANCH}:manifest.json")
    (publisher.bare / "refs" / "heads" / "release" / "production").write_text(f"{blob}\n")
    with pytest.raises((TrustError, RemoteError)):
        fetch_tip(remote_of(tmp_path, publisher.url), "")


def test_garbage_in_a_pack_is_exit_7(tmp_path: Path, publisher: Publisher) -> None:
    for path in (publisher.bare / "objects").rglob("*"):
        if path.is_file() and len(path.name) == 38:
            path.chmod(0o600)
            path.write_bytes(b"garbage")
    with pytest.raises((RemoteError, TrustError)):
        fetch_tip(remote_of(tmp_path, publisher.url), "")


def test_a_tree_that_is_a_file_is_refused(tmp_path: Path, publisher: Publisher) -> None:
    with open_store(tmp_path / "quarantine") as repo:
        fetch_tip(remote_of(tmp_path, publisher.url), "")
        tip = publisher.work.git("rev-parse", "HEAD")
        blob = Objects(repo).list_tree(read_commit(repo, tip).tree)["manifest.json"].ident
        with pytest.raises(TrustError, match="is not a folder"):
            Objects(repo).list_tree(blob)
        with pytest.raises(TrustError, match="not to a commit"):
            read_commit(repo, blob.decode())
        with pytest.raises(TrustError, match="cannot be read"):
            read_commit(repo, "0" * 40)


def test_a_store_that_was_removed_while_open_is_made_again(tmp_path: Path, publisher: Publisher) -> None:
    remote = remote_of(tmp_path, publisher.url)
    fetch_tip(remote, "")
    shutil.rmtree(remote.store)
    assert fetch_tip(remote, "") == publisher.work.git("rev-parse", "HEAD")


def test_the_child_refuses_a_request_that_is_not_one() -> None:
    with pytest.raises(MalformedError):
        read_request(encode_canonical({"schema": "gitops/download/v1", "url": "x"}))


def test_a_child_that_dies_is_exit_7_and_says_why(tmp_path: Path, publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.fetch.sys.executable", "/bin/false")
    with pytest.raises(RemoteError, match="fetching failed") as caught:
        fetch_tip(remote_of(tmp_path, publisher.url), "")
    assert caught.value.code == "R115"
