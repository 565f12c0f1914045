"""What comes from elsewhere on a booted host: a download, an archive, a commit, from servers that run there; by the real programs."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import githttp
from tests.support.hosts import Rig, TestHost
from tests.support.managed import Managed, unpack_executor
from tests.support.reallaws import try_laws
from tests.support.results import check_results
from tests.support.roots import STACK_SUITE, get_root

pytestmark = [pytest.mark.hosts, pytest.mark.xdist_group("hosts")]

SERVER = """\
import http.server, pathlib, sys
sys.path.insert(0, "/srv")
from githttp import GitServer, Handler
bound = type("Bound", (Handler,), {"state": GitServer(""), "folder": pathlib.Path("/srv/git")})
http.server.ThreadingHTTPServer(("127.0.0.1", 8418), bound).serve_forever()
"""
WEB = ("python3", "-m", "http.server", "--bind", "127.0.0.1", "--directory", "/srv/web", "8419")
TOOL = b"#!/bin/sh\necho the tool says $1\n"
GIT = ("git", "-C", "/srv/app", "-c", "user.name=Alice", "-c", "user.email=alice@example.org")


def pack(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, data in files.items():
            about = tarfile.TarInfo(name)
            about.size, about.mode = len(data), 0o755
            archive.addfile(about, io.BytesIO(data))
    return out.getvalue()


def commit(host: TestHost, text: str) -> str:
    """Commit one file to the served repository; give the commit's id."""
    (host.path / "srv/app/page.html").write_text(text)
    host.run([*GIT, "add", "page.html"])
    host.run([*GIT, "commit", "-q", "-m", "page"])
    host.run([*GIT, "push", "-q", "/srv/git/app.git", "HEAD:refs/heads/main"])
    return host.run([*GIT, "rev-parse", "HEAD"]).out.strip()


@pytest.fixture(scope="module")
def serving(rig: Rig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Managed]:
    folder = tmp_path_factory.mktemp("contents")
    host = rig.boot("contents-1", STACK_SUITE)
    for name in ("srv/web", "srv/git"):
        (host.path / name).mkdir(parents=True)
    (host.path / "srv/web/tool").write_bytes(TOOL)
    (host.path / "srv/web/app.tar.gz").write_bytes(pack({"app-1/bin/run": TOOL, "app-1/README": b"read me\n"}))
    host.copy_in(Path(githttp.__file__), "/srv/githttp.py")
    (host.path / "srv/serve.py").write_text(SERVER)
    host.run(["git", "init", "-q", "-b", "main", "/srv/app"])
    host.run(["git", "init", "-q", "--bare", "-b", "main", "/srv/git/app.git"])
    for number, argv in enumerate((WEB, ("python3", "/srv/serve.py"))):
        host.run(["systemd-run", "--quiet", f"--unit=served-{number}", *argv])
    yield Managed.start(host, folder / "project", unpack_executor(folder / "executor", get_root(STACK_SUITE)))
    host.remove()


def declare(machine: Managed, page: str) -> str:
    archive = (machine.host.path / "srv/web/app.tar.gz").read_bytes()
    return f"""\
- download: /usr/local/bin/tool
  url: http://127.0.0.1:8419/tool
  sha256: {hashlib.sha256(TOOL).hexdigest()}
  mode: "0755"
- archive: /opt/app
  url: http://127.0.0.1:8419/app.tar.gz
  sha256: {hashlib.sha256(archive).hexdigest()}
  strip: 1
- git_checkout: /opt/site
  repository: http://127.0.0.1:8418/app.git
  commit: {page}
"""


def test_the_laws_hold_for_what_comes_from_servers(serving: Managed, request: pytest.FixtureRequest) -> None:
    found = try_laws(serving, declare(serving, commit(serving.host, "one\n")))
    check_results("Debian 12, systemd, apt", found, request.config)


def test_it_works_heals_and_moves_on(serving: Managed) -> None:
    host = serving.host
    first, second = commit(host, "first\n"), commit(host, "second\n")
    serving.converge(declare(serving, first))
    assert host.run(["tool", "once"]).out == host.run(["/opt/app/bin/run", "once"]).out == "the tool says once\n"
    assert host.run(["cat", "/opt/site/page.html"]).out == "first\n"
    (host.path / "opt/site/page.html").write_text("drifted\n")
    (host.path / "opt/app/README").unlink()
    healed = serving.converge(declare(serving, first))
    assert [item.address for item in healed.changes] == ["archive:/opt/app", "git_checkout:/opt/site"]
    moved = serving.converge(declare(serving, second))
    assert host.run(["cat", "/opt/site/page.html"]).out == "second\n"
    assert not (host.path / "opt/site/.git").exists()
    assert serving.rollback(moved.run).report.result == "reverted"
    assert host.run(["cat", "/opt/site/page.html"]).out == "first\n"


def test_a_server_that_is_gone_is_a_clear_failure_and_changes_nothing(serving: Managed) -> None:
    host = serving.host
    serving.converge(declare(serving, commit(host, "there\n")))
    later = commit(host, "later\n")
    host.run(["systemctl", "stop", "served-1"])
    answer = serving.apply(declare(serving, later))
    told = {item.address: (item.result, item.message) for item in answer.report.changes}
    assert (answer.status, told["git_checkout:/opt/site"][0]) == (4, "failed")
    assert "8418" in told["git_checkout:/opt/site"][1]
    assert host.run(["cat", "/opt/site/page.html"]).out == "there\n"
