"""What is kept: exactly what was written, private, never overwritten, and settings that only the machine decides."""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from agent.documents import (
    AgentMemory,
    Enrolment,
    Failure,
    Last,
    Pause,
    Pointer,
    Staged,
    read_credential,
    read_enrolment,
    read_last,
    read_memory,
    read_pause,
    read_staged,
    write_credential,
)
from agent.settings import Settings, default_state, parse_interval, read_settings
from agent.state import AgentState
from gitops.errors import HostError, MalformedError, TrustError, UsageError
from gitops.model.address import parse_address
from gitops.model.codec import decode_canonical, encode_canonical
from gitops.model.manifest import Manifest
from gitops.model.scope import HostScope
from gitops.model.trustroot import EnvironmentTrust, TrustRoot
from gitops.signatures.keys import generate_key
from tests.support.project import write_files
from tests.support.releases import NOW, text_file

KEY = generate_key().public
ROOT = TrustRoot("acme", 1, {KEY.ident: KEY}, 1, {"production": EnvironmentTrust("release/production", 1)})
ENROLMENT = Enrolment("https://example.org/acme.git", "production", "web-1", ROOT, "https://example.org")
MANIFEST = Manifest("acme", "production", 1, None, "1" * 40, NOW, NOW + timedelta(days=90), "0.1.0", {})
POINTER = Pointer(3, "a" * 64, "b" * 64)
MOTD = parse_address("file:/etc/motd")
MEMORY = AgentMemory(
    seen=POINTER,
    newest_issued=NOW,
    tip="c" * 40,
    good=replace(POINTER, serial=2),
    approved=HostScope(frozenset({(MOTD, "d" * 64)}), frozenset({(MOTD, "set", "e" * 64)})),
    failure=Failure("a" * 64, 2, NOW, "file:/etc/motd"),
    spent={"f" * 64: NOW},
    root=ROOT,
)


def test_every_document_is_read_as_it_was_written() -> None:
    assert read_enrolment(ENROLMENT.to_bytes()) == ENROLMENT
    assert read_memory(MEMORY.to_bytes()) == MEMORY
    assert read_memory(AgentMemory().to_bytes()) == AgentMemory()
    for resources in (None, (), (text_file("/etc/motd", "x"),)):
        staged = Staged(MANIFEST, resources)
        assert read_staged(staged.to_bytes()) == staged
    pause = Pause(NOW, "why")
    assert read_pause(pause.to_bytes()) == pause
    last = Last(NOW, "run", "held", 3, "why")
    assert read_last(encode_canonical(last.to_json())) == last
    assert read_credential(decode_canonical(write_credential("web-1", "secret"))) == ("web-1", "secret")


@pytest.mark.parametrize(
    ("data", "read"),
    [
        (ENROLMENT.to_bytes(), read_enrolment),
        (MEMORY.to_bytes(), read_memory),
        (Staged(MANIFEST, ()).to_bytes(), read_staged),
        (Pause(NOW, "x").to_bytes(), read_pause),
    ],
    ids=["enrolment", "memory", "staged", "pause"],
)
def test_a_document_with_an_unknown_key_or_of_another_schema_is_refused(data: bytes, read: Callable[[bytes], object]) -> None:
    table = dict(decode_canonical(data))  # type: ignore[arg-type]
    read(encode_canonical(table))
    with pytest.raises(MalformedError, match="unknown key"):
        read(encode_canonical({**table, "zzz": 1}))
    with pytest.raises(MalformedError, match="schema"):
        read(encode_canonical({**table, "schema": "gitops/other/v1"}))


def test_an_enrolment_for_an_environment_that_the_root_does_not_know_is_refused() -> None:
    with pytest.raises(MalformedError, match="knows no environment"):
        read_enrolment(replace(ENROLMENT, environment="staging").to_bytes())


@pytest.mark.parametrize("credential", ["", "two words", "line\nbreak", "ünïcode"])
def test_a_credential_that_could_break_a_header_is_refused(credential: str) -> None:
    with pytest.raises(MalformedError):
        read_credential({"schema": "gitops/credential/v1", "host": "web-1", "credential": credential})


def test_an_enrolment_is_never_overwritten(tmp_path: Path) -> None:
    state = AgentState(tmp_path / "state")
    state.enrol(ENROLMENT, "secret")
    before = (state.base / "enrolment.json").read_bytes()
    with pytest.raises(UsageError, match="enrolled already"):
        state.enrol(replace(ENROLMENT, url="https://evil.example.org"), "")
    assert (state.base / "enrolment.json").read_bytes() == before
    assert state.read_credential() == "secret"


def test_folders_and_files_are_private(tmp_path: Path) -> None:
    state = AgentState(tmp_path / "state")
    state.enrol(ENROLMENT, "secret")
    for path in (state.machine, *state.machine.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_what_others_can_read_or_write_is_not_believed(tmp_path: Path) -> None:
    state = AgentState(tmp_path / "state")
    state.enrol(ENROLMENT, "secret")
    for name in ("memory.json", "credential.json"):
        (state.base / name).chmod(0o644)
    with pytest.raises(TrustError, match="others may"):
        state.read_memory()
    with pytest.raises(TrustError, match="others may"):
        state.read_credential()


def test_a_lost_content_of_a_staged_release_is_noticed(tmp_path: Path) -> None:
    state = AgentState(tmp_path / "state")
    state.prepare()
    content = {"blob": "a" * 64, "size": 3}
    staged = Staged(MANIFEST, (text_file("/srv/x", content),))  # type: ignore[arg-type]
    pointer = state.stage(staged, lambda _digest: b"abc")
    assert state.read_staged(pointer) == staged
    (state.blobs / "aa" / ("a" * 64)).unlink()
    with pytest.raises(TrustError, match="content aaaaaaaaaaaa is lost"):
        state.read_staged(pointer)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match="cannot make the state folder"):
        AgentState(tmp_path / "file").prepare()


def test_settings_come_from_the_machine(tmp_path: Path) -> None:
    assert read_settings(tmp_path, {}) == Settings()
    table = (
        b'{"schema": "gitops/agent-settings/v1", "interval": 60, "secrets": {"env": []}, "ssh_command": "ssh -v", "jitter": 0}'
    )
    write_files(tmp_path, {"agent/settings.json": table})
    found = read_settings(tmp_path, {"A": "b"})
    assert (found.interval, found.jitter, found.secret_rules.variables, found.ssh_command) == (60, 0, (), "ssh -v")
    assert found.environment == {"A": "b"}
    over = read_settings(tmp_path, {"GITOPS_AGENT_INTERVAL": "15m", "GITOPS_SSH_COMMAND": "ssh -4"})
    assert (over.interval, over.ssh_command) == (900, "ssh -4")


@pytest.mark.parametrize(
    "body",
    [
        b"no json",
        b"{}",
        b'{"schema": "gitops/agent-settings/v1", "intervall": 60}',
        b'{"schema": "gitops/agent-settings/v1", "interval": 1}',
        b'{"schema": "gitops/agent-settings/v1", "secrets": ["vault"]}',
        b'{"schema": "gitops/agent-settings/v1", "secrets": {"env": ["A B"]}}',
        b'{"schema": "gitops/agent-settings/v1", "secrets": {"files": ["etc/x"]}}',
        b'{"schema": "gitops/agent-settings/v1", "spool_reports": 0}',
        b'{"schema": "gitops/agent-settings/v1", "jitter": -1}',
    ],
)
def test_a_mistake_in_the_settings_is_exit_1_and_names_the_file(tmp_path: Path, body: bytes) -> None:
    write_files(tmp_path, {"agent/settings.json": body})
    with pytest.raises(UsageError, match=r"settings\.json"):
        read_settings(tmp_path, {})


def test_a_fetch_never_sees_where_secrets_live() -> None:
    settings = Settings(environment={"PATH": "/bin", "DB_PASSWORD": "x", "https_proxy": "y", "GITOPS_TOKEN": "z", "HOME": "/h"})
    assert settings.fetch_environment == {"PATH": "/bin", "https_proxy": "y", "HOME": "/h", "LANG": "C.UTF-8"}
    assert "DB_PASSWORD" not in repr(settings)


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("15m", 900), ("2h", 7200), ("1d", 86400)])
def test_spans_are_read(text: str, seconds: int) -> None:
    assert parse_interval(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "-1h", "1.5h", "0s", "2w", "1 h", "99999999d", "٣h"])
def test_other_spans_are_not(text: str) -> None:
    with pytest.raises(UsageError, match="time span"):
        parse_interval(text)


def test_the_state_folder_is_the_one_given_or_of_the_environment(tmp_path: Path) -> None:
    assert default_state(tmp_path, {"GITOPS_STATE_DIR": "/x"}) == tmp_path
    assert default_state(None, {"GITOPS_STATE_DIR": "/x"}) == Path("/x")
    assert default_state(None, {"XDG_STATE_HOME": "/y"}) in (Path("/var/lib/gitops"), Path("/y/gitops"))
