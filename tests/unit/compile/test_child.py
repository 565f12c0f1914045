"""The bounded child: answers, refuses, ends in time, leaves nothing behind."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from gitops.errors import BugError, ConfigError, MalformedError, RemoteError, TrueupError
from gitops.model.codec import encode_canonical
from gitops.pipeline import child
from gitops.pipeline.answer import CompiledCommit, check_whole, decode_answer, encode_answer
from gitops.pipeline.bounds import Bounds
from gitops.pipeline.child import Work, answer_request, compile_commit
from gitops.pipeline.project import build_tree
from gitops.source.snapshot import snapshot_folder
from tests.support.project import HOST, SMALL, Repository, write_files

WITH_TEMPLATE = HOST.replace('content: "hello\\n"', "template: page.j2")
SHORT = Bounds(seconds=1.5, wall=300)
IMPATIENT = Bounds(seconds=3, wall=3)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository.make(tmp_path / "repo")


def compile_head(repository: Repository, **options: object) -> CompiledCommit:
    return compile_commit(repository.path / ".git", repository.git("rev-parse", "HEAD"), **options)  # type: ignore[arg-type]


def test_the_child_gives_what_compiling_here_gives(repository: Repository) -> None:
    found = compile_head(repository)
    built = build_tree(snapshot_folder(repository.path))
    assert found.is_valid
    assert found.graphs == built.compiled.graphs
    assert found.environments == built.config.project.environments
    assert found.project == "acme"
    assert found.hosts["web-1"].environment == "production"
    assert found.hosts["web-1"].labels == {"env": "production", "role": "web"}


def test_an_answer_survives_the_pipe(tmp_path: Path) -> None:
    files = {
        **SMALL,
        "inventory/web.yaml": HOST.replace('content: "hello\\n"', "source: big.bin"),
        "files/big.bin": os.urandom(9000),
        "modules/m/module.yaml": "apiVersion: gitops/v1\nkind: Module\nmetadata: {name: m}\nspec: {resources: [{package: nginx}]}\n",
        "inventory/g.yaml": "apiVersion: gitops/v1\nkind: Group\nmetadata: {name: g}\nspec: {selector: {role: [web, db]}, modules: [m]}\n",
    }
    repository = Repository.make(tmp_path / "repo", files)
    found = compile_head(repository)
    graphs = found.graphs["production"]
    assert list(graphs.blobs.values()) == [files["files/big.bin"]]
    assert len(graphs.blocks) == 1
    assert decode_answer(encode_answer(found)) == found


def test_mistakes_come_with_their_places_notes_and_relations(repository: Repository) -> None:
    repository.commit({"inventory/web.yaml": HOST.replace("content:", "contents:"), "inventory/twice.yaml": HOST})
    found = compile_head(repository)
    assert not found.is_valid
    assert not found.graphs
    unknown = next(item for item in found.diagnostics if item.code == "C104")
    assert (unknown.place.file, unknown.place.line, unknown.place.column) == ("inventory/web.yaml", 7, 7)
    assert unknown.hint == "did you mean `content`?"
    assert unknown.notes
    assert unknown.width == len("contents")
    assert next(item for item in found.diagnostics if item.code == "C108").related
    assert set(found.hosts) == {"web-1"}


def test_the_merge_result_is_compiled_not_the_head(repository: Repository) -> None:
    base = repository.git("rev-parse", "HEAD")
    repository.git("checkout", "-q", "-b", "topic")
    head = repository.commit({"inventory/b.yaml": HOST.replace("web-1", "web-2")})
    repository.git("checkout", "-q", "main")
    target = repository.commit({"inventory/c.yaml": HOST.replace("web-1", "web-3")})
    before = sorted(repository.git("count-objects").split())
    found = compile_commit(repository.path / ".git", head, target=target)
    assert set(found.hosts) == {"web-1", "web-2", "web-3"}
    assert set(compile_commit(repository.path / ".git", head, target=base).hosts) == {"web-1", "web-2"}
    assert sorted(repository.git("count-objects").split()) == before


def test_a_conflict_names_its_files(repository: Repository) -> None:
    repository.git("checkout", "-q", "-b", "topic")
    head = repository.commit({"inventory/web.yaml": HOST.replace("hello", "one")})
    repository.git("checkout", "-q", "main")
    target = repository.commit({"inventory/web.yaml": HOST.replace("hello", "two")})
    found = compile_commit(repository.path / ".git", head, target=target)
    assert found.conflicts == ("inventory/web.yaml",)
    assert found.is_conflict
    assert not found.is_valid
    (said,) = found.diagnostics
    assert (said.code, said.place.file) == ("C615", "inventory/web.yaml")
    assert "Merge conflict in inventory/web.yaml" in said.message


def test_every_file_of_a_conflict_is_named_however_many(repository: Repository) -> None:
    names = [f"notes/{number:03d}.txt" for number in range(120)]
    repository.commit(dict.fromkeys(names, "x\n"))
    repository.git("checkout", "-q", "-b", "topic")
    head = repository.commit(dict.fromkeys(names, "one\n"))
    repository.git("checkout", "-q", "main")
    target = repository.commit(dict.fromkeys(names, "two\n"))
    found = compile_commit(repository.path / ".git", head, target=target)
    assert found.conflicts == tuple(names)
    said = [item for item in found.diagnostics if item.code == "C615"]
    assert {item.place.file for item in said} == {*names[:100], "gitops.yaml"}
    assert said[-1].message == "20 more files are in conflict"


def test_files_that_were_renamed_twice_are_named_in_gits_words(repository: Repository) -> None:
    text = "".join(f"{number}\n" for number in range(30))
    repository.commit({"notes/a": text})
    repository.git("checkout", "-q", "-b", "topic")
    repository.git("mv", "notes/a", "notes/x")
    head = repository.commit({})
    repository.git("checkout", "-q", "main")
    repository.git("mv", "notes/a", "notes/y")
    found = compile_commit(repository.path / ".git", head, target=repository.commit({}))
    (said,) = found.diagnostics
    assert said.place.file == "notes/a"
    assert all(name in said.message for name in found.conflicts)


def test_a_conflict_that_names_no_file_is_no_empty_project(repository: Repository) -> None:
    repository.commit({f"groups/{number}.txt": f"{number}\n" * 20 for number in range(4)})
    repository.git("checkout", "-q", "-b", "topic")
    for number, folder in enumerate(("one", "one", "two", "two")):
        (repository.path / folder).mkdir(exist_ok=True)
        repository.git("mv", f"groups/{number}.txt", folder)
    head = repository.commit({})
    repository.git("checkout", "-q", "main")
    target = repository.commit({"groups/new.txt": "new\n"})
    found = compile_commit(repository.path / ".git", head, target=target)
    assert found.conflicts == ()
    assert found.is_conflict
    assert not found.is_valid
    assert "directory rename split" in found.diagnostics[0].message


def test_a_project_in_a_folder_of_the_repository(tmp_path: Path) -> None:
    repository = Repository.make(tmp_path / "repo", {f"config/{name}": text for name, text in SMALL.items()})
    assert set(compile_head(repository, subpath="config").hosts) == {"web-1"}
    assert [item.code for item in compile_head(repository, subpath="nowhere").diagnostics] == ["C614"]


def test_an_unknown_commit_is_refused(repository: Repository) -> None:
    with pytest.raises(ConfigError) as caught:
        compile_commit(repository.path / ".git", "0" * 40)
    assert caught.value.code == "C613"


def test_a_template_that_never_ends_is_ended_and_named(repository: Repository) -> None:
    loop = "\n{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}"
    repository.commit({"inventory/web.yaml": WITH_TEMPLATE, "templates/page.j2": loop})
    started = time.monotonic()
    found = compile_head(repository, bounds=SHORT)
    assert time.monotonic() - started < 120
    assert [(item.code, item.place.file, item.place.line) for item in found.diagnostics] == [("C606", "templates/page.j2", 2)]


def test_a_call_that_never_comes_back_is_killed(repository: Repository) -> None:
    stuck = "{% set a = 'a' * 10**7 %}{% set n = 10**7 %}{% if (a ~ 'b') in [a ~ 'c'] * n %}{% endif %}"
    repository.commit({"inventory/web.yaml": WITH_TEMPLATE, "templates/page.j2": stuck})
    started = time.monotonic()
    found = compile_head(repository, bounds=SHORT)
    assert time.monotonic() - started < 120
    assert [item.code for item in found.diagnostics] == ["C606"]
    assert "longer than" in found.diagnostics[0].message


def test_memory_beyond_the_bound_is_a_diagnostic(repository: Repository) -> None:
    repository.commit({"inventory/web.yaml": WITH_TEMPLATE, "templates/page.j2": "{{ 'a' * 10**10 }}"})
    found = compile_head(repository)
    assert [item.code for item in found.diagnostics] == ["C606"]
    assert "1024 MiB" in found.diagnostics[0].message


def test_the_child_sees_no_environment_and_no_home(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A git of our own on PATH, as the merge calls it, writes down what it sees."""
    seen = tmp_path / "seen"
    spy = write_files(tmp_path / "bin", {"git": f'#!/bin/sh\nenv > {seen}\nexec /usr/bin/git "$@"\n'})
    (spy / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{spy}:{os.environ['PATH']}")
    monkeypatch.setenv("GITOPS_GITHUB_TOKEN", "made-up-token")
    head = repository.git("rev-parse", "HEAD")
    compile_commit(repository.path / ".git", head, target=head)
    text = seen.read_text()
    assert "made-up-token" not in text
    home = next(line for line in text.splitlines() if line.startswith("HOME="))
    assert "trueup-compile-" in home
    assert not Path(home.removeprefix("HOME=")).exists()


def test_grandchildren_die_with_the_child(repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ident = tmp_path / "pid"
    slow = write_files(tmp_path / "bin", {"git": f"#!/bin/sh\necho $$ > {ident}\nexec sleep 600\n"})
    (slow / "git").chmod(0o755)
    head = repository.git("rev-parse", "HEAD")
    monkeypatch.setenv("PATH", f"{slow}:{os.environ['PATH']}")
    found = compile_commit(repository.path / ".git", head, target=head, bounds=IMPATIENT)
    assert [item.code for item in found.diagnostics] == ["C606"]
    assert "not done after 3 s" in found.diagnostics[0].message
    deadline = time.monotonic() + 10
    while is_running(int(ident.read_text())) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_running(int(ident.read_text()))


def is_running(ident: int) -> bool:
    try:
        os.kill(ident, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{ident}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_tree_that_may_not_be_read_is_a_diagnostic(tmp_path: Path) -> None:
    repository = Repository.make(tmp_path / "repo")
    work = Work(repository.path / ".git", repository.git("rev-parse", "HEAD"), subpath="gitops.yaml")
    assert [item.code for item in answer_request(work, SHORT).diagnostics] == ["C614"]


TRACE = b"""Traceback (most recent call last):
  File "/somewhere/gitops/pipeline/child.py", line 90, in main
  File "/somewhere/gitops/compile/unit.py", line 120, in compile
KeyError: 'x'
"""


@pytest.mark.parametrize(
    ("status", "log", "code", "words"),
    [
        (-signal.SIGKILL, b"", "C606", "compiling was killed (SIGKILL); a machine does that when it is short of memory"),
        (-signal.SIGXCPU, b"", "C606", "longer than 1.5 s of processor time"),
        (-signal.SIGSEGV, b"Fatal Python error: _Py_CheckRecursiveCall: stack overflow", "C606", "nested too deeply"),
        (-signal.SIGABRT, b"", "C606", "compiling crashed (SIGABRT): out of memory, or"),
        (-signal.SIGTERM, b"", "C606", "compiling was ended from outside (SIGTERM)"),
        (-64, b"", "C606", "compiling was ended from outside (SIGRTMAX)"),
        (1, b"Traceback\nMemoryError\n", "C606", "1024 MiB of memory"),
        (2, b"fatal error: runtime: out of memory", "C606", "1024 MiB of memory"),
        (1, b"Traceback\nRecursionError: maximum recursion depth exceeded\n", "C606", "nested too deeply"),
        (1, TRACE, "C607", "ended with status 1: KeyError: 'x' at gitops/compile/unit.py:120"),
        (3, b"", "C607", "the compiling process ended with status 3"),
        (1, b"\xff\xfe", "C607", "ended with status 1"),
    ],
)
def test_however_a_child_ends_it_is_one_diagnostic(tmp_path: Path, status: int, log: bytes, code: str, words: str) -> None:
    write_files(tmp_path, {"stderr": log})
    found = child._read_output(b"", status, tmp_path / "stderr", SHORT)
    (item,) = found.diagnostics
    assert (item.code, item.severity, item.place.file) == (code, "error", "gitops.yaml")
    assert words in item.message
    assert ("report it" in item.hint) == (code == "C607")
    assert not found.is_valid
    assert found.is_stopped


@pytest.mark.parametrize(
    ("program", "code", "words"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "C606", "killed (SIGKILL)"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", "C606", "ended from outside (SIGTERM)"),
        ("import os; os.abort()", "C606", "crashed (SIGABRT)"),
        ("import sys; sys.stdin.read(); sys.exit(0)", "C607", "gave no answer that can be read"),
        ("import sys; sys.stdin.read(); print('{')", "C607", "gave no answer that can be read"),
        ('import sys; sys.stdin.read(); print(\'{"schema": "gitops/answer/v1"}\')', "C607", "gave no answer that can be read"),
        ("import sys; sys.stdin.read(); {}['x']", "C607", "KeyError: 'x'"),
        ("import sys; f = lambda: f(); f()", "C606", "nested too deeply"),
        ("import sys; sys.stdin.read(); print('[' * 100000)", "C607", "gave no answer that can be read"),
    ],
)
def test_a_child_that_really_ends_so_is_one_diagnostic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, code: str, words: str
) -> None:
    monkeypatch.setattr(child, "START", program)
    (item,) = compile_commit(tmp_path, "a" * 40).diagnostics
    assert item.code == code
    assert words in item.message


def test_a_child_that_is_told_to_end_with_its_service_is_started_again(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "once"
    once = f"import os, pathlib, signal; p = pathlib.Path({str(mark)!r}); p.exists() or (p.touch(), os.kill(os.getpid(), 15)); "
    monkeypatch.setattr(child, "START", once + child.START)
    assert compile_head(repository).is_valid
    assert mark.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "gitops/other/v1"},
        {"surprise": 1},
        {"project": ""},
        {"blobs": ["%%%"]},
        {"hosts": [{"name": "x", "environment": "", "labels": {"a": 1}, "address": "", "connection": ""}]},
        {"graphs": [{"environment": "", "hosts": [], "blocks": [], "blobs": ["0" * 64]}]},
        {
            "graphs": [
                {
                    "environment": "",
                    "hosts": [
                        {"schema": "gitops/graph/v1", "host": "h", "environment": "", "blocks": ["0" * 64], "resources": []}
                    ],
                    "blocks": [],
                    "blobs": [],
                }
            ]
        },
        {
            "diagnostics": [
                {
                    "code": "C1",
                    "message": "",
                    "place": [1, 2],
                    "severity": "error",
                    "hint": "",
                    "width": 1,
                    "notes": [],
                    "related": [],
                }
            ]
        },
    ],
)
def test_an_answer_that_the_child_would_not_write_is_refused(change: dict[str, object]) -> None:
    table = {
        "schema": "gitops/answer/v1",
        "project": "acme",
        "environments": [],
        "graphs": [],
        "blobs": [],
        "hosts": [],
        "diagnostics": [],
        "is_conflict": False,
        "conflicts": [],
    }
    assert decode_answer(encode_canonical(table)) == CompiledCommit("acme")  # type: ignore[arg-type]
    with pytest.raises(MalformedError):
        decode_answer(encode_canonical({**table, **change}))  # type: ignore[arg-type]


@pytest.mark.parametrize(("status", "error", "code"), [(-signal.SIGKILL, RemoteError, "R207"), (3, BugError, "B002")])
def test_who_acts_on_what_a_commit_lacks_is_stopped_when_it_was_not_compiled(
    tmp_path: Path, status: int, error: type[TrueupError], code: str
) -> None:
    ended = child._read_output(b"", status, tmp_path / "stderr", SHORT)
    with pytest.raises(error, match="the commit aaaaaaaaaaaa could not be compiled") as caught:
        check_whole(ended, "a" * 40)
    assert caught.value.code == code
    assert ("report it" in caught.value.hint) == (error is BugError)


def test_a_commit_with_mistakes_was_compiled(repository: Repository) -> None:
    repository.commit({"inventory/web.yaml": HOST.replace("content:", "contents:")})
    found = compile_head(repository)
    assert check_whole(found, "a" * 40) is found
