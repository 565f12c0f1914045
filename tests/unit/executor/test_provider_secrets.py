"""Secrets and notifications of external providers (protocol 2), in both languages of the scaffold; and programs of protocol 1."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gitops.executor import host, journal
from gitops.model.codec import Json
from gitops.model.resource import Resource
from tests.support.programs import keeper, lay_out, scaffold, thing
from tests.support.rooted import Rooted, file


def keep_thing(executable: Json, value: str, token: str, **more: Json) -> Resource:
    reference = {"parts": [{"secret": token, "from": "env", "key": token}]}
    values: Json = {"value": value, "token": reference}
    attributes: dict[str, Json] = {"set": values, "executable": executable, "protocol": 2, "on_notify": "restart", **more}
    return Resource("external", "demo/a", attributes)


SECRETS = {"env:FIRST": "first 'sesame' \"x\" \\\\", "env:SECOND": "second sesame"}


def find_secrets_in(folder: Path) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path) for path in files for value in SECRETS.values() if value.encode() in path.read_bytes()]


@pytest.mark.parametrize("language", ["python", "sh"])
def test_a_secret_reaches_the_program_and_nothing_else(tmp_path: Path, language: str) -> None:
    machine, things = Rooted(tmp_path / "machine"), tmp_path / "things"
    things.mkdir()
    executable = lay_out(machine.folder, keeper(language, things))
    first = machine.apply(keep_thing(executable, "one", "FIRST"), root="", secrets=SECRETS)
    assert first.result == "changed", first
    assert machine.apply(keep_thing(executable, "one", "FIRST"), root="", secrets=SECRETS).result == "converged"
    planned = machine.plan(keep_thing(executable, "one", "SECOND"), root="", secrets=SECRETS, guards=True)
    assert [[(item.name, item.before, item.after) for item in change.fields] for change in planned.changes] == [
        [("token", "another secret", "secret")]
    ]
    second = machine.apply(keep_thing(executable, "one", "SECOND"), root="", secrets=SECRETS)
    assert second.result == "changed"
    assert machine.apply(keep_thing(executable, "one", "SECOND"), root="", secrets=SECRETS).result == "converged"
    told = json.dumps([event.to_json() for event in machine.events])
    assert not any(json.dumps(value)[1:-1] in told for value in SECRETS.values())
    assert find_secrets_in(machine.state) == []


@pytest.mark.parametrize("language", ["python", "sh"])
def test_a_secret_that_was_there_comes_back_out_of_memory(tmp_path: Path, language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = tmp_path / "memory"
    monkeypatch.setattr(journal, "MEMORY_FOLDER", str(memory))
    monkeypatch.setattr(journal, "has_memory", lambda: True)
    monkeypatch.setattr(host, "has_memory", lambda: True)
    machine, things = Rooted(tmp_path / "machine"), tmp_path / "things"
    things.mkdir()
    executable = lay_out(machine.folder, keeper(language, things))
    machine.apply(keep_thing(executable, "one", "FIRST"), root="", secrets=SECRETS)
    before = {path.name: path.read_bytes() for path in things.iterdir()}
    changed = machine.apply(keep_thing(executable, "two", "SECOND"), root="", secrets=SECRETS)
    removed = machine.apply(Resource("external", "demo/a", {"state": "absent", "executable": executable, "protocol": 2}), root="")
    assert (changed.result, removed.result, list(things.iterdir())) == ("changed", "changed", [])
    assert find_secrets_in(machine.state) == []
    assert machine.rollback(removed.run).result == "reverted"
    assert machine.apply(keep_thing(executable, "two", "SECOND"), root="", secrets=SECRETS).result == "converged"
    assert machine.rollback(changed.run).result == "reverted"
    assert {path.name: path.read_bytes() for path in things.iterdir()} == before
    for path in memory.rglob("*"):
        path.unlink() if path.is_file() else None
    assert [item["reason"] for item in machine.undo_plan(changed.run)] == [
        "the secret that it needs was kept in memory, and is gone"
    ]
    assert machine.rollback(changed.run).result == "failed"
    assert {path.name: path.read_bytes() for path in things.iterdir()} == before


@pytest.mark.parametrize("language", ["python", "sh"])
def test_a_notified_thing_is_refreshed_and_again_when_what_it_reads_is_back(tmp_path: Path, language: str) -> None:
    machine, things = Rooted(tmp_path / "machine"), tmp_path / "things"
    things.mkdir()
    executable = lay_out(machine.folder, keeper(language, things))
    watched = keep_thing(executable, "one", "FIRST")
    notes = replace(file(str(tmp_path / "config"), "x"), notify=("external:demo/a",))
    machine.apply(watched, root="", secrets=SECRETS)
    done = machine.apply(watched, notes, root="", secrets=SECRETS)
    assert [(item.address, item.action, item.result) for item in done.changes][1:] == [("external:demo/a", "restart", "changed")]
    assert (things / "said").read_text() == "restart one\n"
    assert [item["what"] for item in machine.undo_plan(done.run)][-1] == "external:demo/a: refreshed again"
    assert machine.rollback(done.run).result == "reverted"
    assert (things / "said").read_text() == "restart one\nrestart one\n"


@pytest.mark.parametrize("language", ["python", "sh"])
def test_a_program_without_refresh_says_so(tmp_path: Path, language: str) -> None:
    machine = Rooted(tmp_path / "machine")
    executable = lay_out(machine.folder, scaffold(language, tmp_path / "conf"))
    watched = Resource(
        "external", "demo/a", {"set": {"value": "x"}, "executable": executable, "protocol": 2, "on_notify": "reload"}
    )
    machine.apply(watched, root="")
    notes = replace(file(str(tmp_path / "config"), "x"), notify=("external:demo/a",))
    done = machine.apply(watched, notes, root="")
    assert (done.result, "this provider has no" in done.changes[-1].message) == ("failed", True)


@pytest.mark.parametrize("program", ["python.txt", "sh.txt"])
def test_a_provider_of_protocol_1_goes_on_as_it_was(tmp_path: Path, program: str) -> None:
    machine = Rooted(tmp_path / "machine")
    old = (Path(__file__).parents[2] / "providers/external/protocol-1" / program).read_text()
    text = old.replace("/tmp/__NAME__.conf", str(tmp_path / "conf")).replace("__NAME__", "demo")
    executable = lay_out(machine.folder, text)
    assert machine.apply(thing(executable), root="").result == "changed"
    changed = machine.apply(thing(executable, "two"), root="")
    assert machine.apply(thing(executable, "two"), root="").result == "converged"
    assert machine.rollback(changed.run).result == "reverted"
    assert (tmp_path / "conf").read_text() == "a = one\n"
    newer = machine.apply(thing(executable, protocol=2), root="")
    assert (newer.result, "speaks protocol 1" in newer.changes[0].message) == ("failed", True)
