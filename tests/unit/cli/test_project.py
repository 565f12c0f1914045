"""Laws of what the verbs share: which environment, which hosts, where state lies, what is printed where."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitops.cli import output
from gitops.cli.folders import cache_folder, root_text, state_folder
from gitops.errors import ConfigError, UsageError
from tests.support.cli import call
from tests.support.project import HOST, PROJECT, write_files

TWO = PROJECT + "    staging:\n      hosts: {env: staging}\n"


def test_one_of_several_environments_must_be_named(tmp_path: Path) -> None:
    write_files(tmp_path, {"gitops.yaml": TWO, "web.yaml": HOST})
    called = call("-C", tmp_path, "plan")
    assert called.status == 1
    assert "one of: production, staging" in called.err
    assert call("-C", tmp_path, "plan", "--env", "production").status == 2
    assert call("-C", tmp_path, "plan", "--env", "staging").status == 0


def test_a_project_without_environments_is_planned_as_it_is(tmp_path: Path) -> None:
    write_files(tmp_path, {"gitops.yaml": PROJECT.partition("spec:")[0] + "spec: {}\n", "web.yaml": HOST})
    assert call("-C", tmp_path, "plan").status == 2


def test_state_lies_where_it_is_said_or_where_the_system_wants_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert state_folder(Path("here")) == tmp_path / "here"
    monkeypatch.setenv("GITOPS_STATE_DIR", str(tmp_path / "env"))
    assert state_folder(None) == tmp_path / "env"
    monkeypatch.delenv("GITOPS_STATE_DIR")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert state_folder(None) == Path("/var/lib/gitops")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    assert state_folder(None) == tmp_path / "xdg" / "gitops"
    monkeypatch.delenv("XDG_STATE_HOME")
    assert state_folder(None) == Path.home() / ".local" / "state" / "gitops"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "gitops"


def test_the_root_of_this_machine_is_no_root(tmp_path: Path) -> None:
    assert root_text(None) == ""
    assert root_text(tmp_path) == str(tmp_path.resolve())
    with pytest.raises(ConfigError, match="leave --root out"):
        root_text(Path("/"))


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert not output.wants_colour()
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert output.wants_colour()
    monkeypatch.setenv("NO_COLOR", "1")
    assert not output.wants_colour()


def test_a_file_too_large_is_refused_and_one_that_is_there_kept(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    assert output.read_file(path, 5) == b"12345"
    with pytest.raises(UsageError, match="larger than 4 bytes"):
        output.read_file(path, 4)
    with pytest.raises(UsageError, match="exists"):
        output.write_new(path, b"other")
    assert path.read_bytes() == b"12345"


def test_mistakes_are_shown_with_their_lines_and_once(tmp_path: Path) -> None:
    write_files(tmp_path, {"gitops.yaml": PROJECT, "web.yaml": HOST.replace("content:", "contents:")})
    called = call("-C", tmp_path, "plan")
    assert called.status == 1
    assert called.err.count("unknown key `contents`") == 1
    assert '|       contents: "hello' in called.err


@pytest.mark.parametrize(
    ("selector", "hint"),
    [
        ("web-l", "did you mean `web-1`?"),
        ("db*", "the hosts are: web-1"),
        ("rol=web", "no host has the label `rol`, did you mean `role`? there are: env, role"),
        ("role=db", "no host has `role: db`, there are: web"),
    ],
)
def test_what_selects_no_host_is_told_with_what_there_is(tmp_path: Path, selector: str, hint: str) -> None:
    write_files(tmp_path, {"gitops.yaml": PROJECT, "web.yaml": HOST})
    called = call("-C", tmp_path, "plan", "--host", selector)
    assert called.status == 1
    assert hint in called.err
