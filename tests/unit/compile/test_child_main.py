"""The child's own side, run in this process: request in, answer out, failures told in a form of their own."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from gitops.errors import ConfigError, MalformedError, RemoteError
from gitops.model.codec import decode_json, encode_canonical
from gitops.pipeline import child
from gitops.pipeline.answer import decode_answer
from gitops.pipeline.bounds import Bounds
from gitops.pipeline.child import Work
from tests.support.project import HOST, Repository

BOUNDS = Bounds(20)


def run_main(monkeypatch: pytest.MonkeyPatch, work: Work) -> bytes:
    request = child._encode_request(work, BOUNDS)
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(request)))
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=out))
    monkeypatch.setattr(child, "_limit_process", lambda bounds: None)
    child.main()
    return out.getvalue()


def test_a_commit_and_a_merge_are_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = Repository.make(tmp_path)
    head = repository.git("rev-parse", "HEAD")
    other = repository.commit({"inventory/b.yaml": HOST.replace("web-1", "web-2")})
    assert set(decode_answer(run_main(monkeypatch, Work(tmp_path, head))).hosts) == {"web-1"}
    assert set(decode_answer(run_main(monkeypatch, Work(tmp_path, other, head))).hosts) == {"web-1", "web-2"}


def test_a_conflict_is_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = Repository.make(tmp_path)
    repository.git("checkout", "-q", "-b", "topic")
    head = repository.commit({"inventory/web.yaml": HOST.replace("hello", "one")})
    repository.git("checkout", "-q", "main")
    target = repository.commit({"inventory/web.yaml": HOST.replace("hello", "two")})
    assert decode_answer(run_main(monkeypatch, Work(tmp_path, head, target))).conflicts == ("inventory/web.yaml",)


def test_failures_come_back_as_what_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = Repository.make(tmp_path / "repo")
    output = run_main(monkeypatch, Work(repository.path, "0" * 40))
    with pytest.raises(ConfigError) as caught:
        child._read_output(output, 0, tmp_path / "stderr", BOUNDS)
    assert caught.value.code == "C613"
    monkeypatch.setattr(child, "answer_request", fail_remotely)
    output = run_main(monkeypatch, Work(repository.path, "0" * 40))
    with pytest.raises(RemoteError) as remote:
        child._read_output(output, 0, tmp_path / "stderr", BOUNDS)
    assert (remote.value.code, remote.value.hint) == ("R012", "look")


def fail_remotely(*_: object) -> None:
    raise RemoteError("git failed", code="R012", hint="look")


def test_memory_that_is_used_up_anywhere_is_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "answer_request", use_all_memory)
    found = decode_answer(run_main(monkeypatch, Work(tmp_path, "0" * 40)))
    assert [item.code for item in found.diagnostics] == ["C606"]


def use_all_memory(*_: object) -> None:
    raise MemoryError


def test_a_request_without_a_commit_is_refused() -> None:
    request = decode_json(child._encode_request(Work(Path("/x"), "a" * 40), BOUNDS))
    assert isinstance(request, dict)
    work, bounds = child._decode_request(encode_canonical(request))
    assert work == Work(Path("/x"), "a" * 40)
    assert (bounds.seconds, bounds.memory) == (BOUNDS.seconds, BOUNDS.memory)
    with pytest.raises(MalformedError):
        child._decode_request(encode_canonical({**request, "head": ""}))
    with pytest.raises(MalformedError):
        child._decode_request(encode_canonical({**request, "more": 1}))


def test_an_answer_without_end_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "DEFAULTS", child.DEFAULTS.__class__(request_bytes=1000))
    monkeypatch.setattr(child, "START", "import sys; sys.stdin.read(); sys.stdout.write('x' * 10**7)")
    assert [item.code for item in child.compile_commit(tmp_path, "a" * 40).diagnostics] == ["C602"]


def test_a_child_that_reads_nothing_and_sleeps_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "START", "import sys, time; sys.stdin.close(); sys.stdout.flush(); time.sleep(600)")
    started = time.monotonic()
    found = child.compile_commit(tmp_path, "a" * 40, bounds=Bounds(1, wall=1))
    assert time.monotonic() - started < 60
    assert [item.code for item in found.diagnostics] == ["C606"]


def test_limits_are_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a child: what it was limited to it cannot lift."""
    program = (
        "import json, resource, sys; sys.path.append(sys.argv[1]); from gitops.pipeline.child import _decode_request, _limit_process;"
        "_limit_process(_decode_request(sys.stdin.buffer.read())[1]);"
        "names = ('RLIMIT_DATA', 'RLIMIT_CPU', 'RLIMIT_CORE', 'RLIMIT_AS');"
        "sys.stderr.write(json.dumps([resource.getrlimit(getattr(resource, name))[1] for name in names])); sys.exit(9)"
    )
    monkeypatch.setattr(child, "START", program)
    (found,) = child.compile_commit(tmp_path, "a" * 40, bounds=Bounds(7)).diagnostics
    assert "[1073741824, 77, 0, 4294967296]" in found.message


def test_a_child_whose_parent_is_gone_cleans_up_and_ends_quietly(tmp_path: Path) -> None:
    repository = Repository.make(tmp_path / "repo")
    scratch = tmp_path / f"{child.SCRATCH}x"
    scratch.mkdir()
    request = child._encode_request(Work(repository.path, repository.git("rev-parse", "HEAD")), BOUNDS)
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", child.START, str(child.ROOT)],
        cwd=scratch, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stdin.write(request)
    process.stdin.close()
    words = process.stderr.read()
    process.stderr.close()
    assert process.wait(30) == 0
    assert words == b""
    assert not scratch.exists()


@pytest.mark.parametrize("request_part", [b"", b'{"schema":"gitops/'])
def test_a_child_whose_parent_was_killed_before_it_had_asked_leaves_nothing(tmp_path: Path, request_part: bytes) -> None:
    scratch = tmp_path / f"{child.SCRATCH}x"
    scratch.mkdir()
    done = subprocess.run(
        [sys.executable, "-I", "-c", child.START, str(child.ROOT)],
        cwd=scratch,
        input=request_part,
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert not scratch.exists()
