"""Programs of custom facts as they really run: by digest, clean, bounded, ended with all they started, once, and only where needed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from gitops.errors import HostError, MalformedError
from gitops.executor.customfacts import CustomFacts
from gitops.executor.host import RealHost
from gitops.executor.probe import read_value
from gitops.model.facts import FactProgram
from gitops.model.limits import DEFAULTS
from gitops.model.observation import Observation
from gitops.model.resource import Resource
from tests.support.nouns import NOW
from tests.support.programs import lay_out
from tests.support.rooted import Rooted, file, secret
from tests.support.service import wait_for


def lay_fact(folder: Path, text: str, *, type_name: str = "string", timeout: int = 20) -> FactProgram:
    """Lay a program out as a release does."""
    executable = lay_out(folder, text)
    return FactProgram(str(executable["blob"]), cast("int", executable["size"]), type_name, timeout)


def tell(folder: Path, text: str, *, type_name: str = "string", timeout: int = 20, **secrets: str) -> str:
    """Give what a program told, or why it told nothing."""
    host = RealHost(blobs=str(folder / "blobs"), secrets=secrets)
    try:
        return host.ask_fact(lay_fact(folder, text, type_name=type_name, timeout=timeout))
    except HostError as error:
        return f"! {error.message}"


def shell(text: str) -> str:
    return f"#!/bin/sh\n{text}\n"


def asking(fact: FactProgram, path: Path, *values: str, **when: str) -> Resource:
    """A file that is only where `custom.rack` has one of these values."""
    resource = file(str(path), "x\n", when={"custom.rack": values, **{name: (value,) for name, value in when.items()}})
    return replace(resource, facts={"custom.rack": fact})


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.parametrize(
    ("type_name", "text", "value"),
    [
        ("string", "echo r1", "r1"),
        ("string", "printf r1", "r1"),
        ("string", "echo '\"r \\u00fc\"'", "r ü"),
        ("string", "echo '\"\"'", ""),
        ("string", "echo 5", "5"),
        ("string", "echo '  a  b '", "  a  b "),
        ("integer", "echo -12", "-12"),
        ("boolean", "echo true", "true"),
        ("boolean", "echo false", "false"),
        ("string", "echo r1; sleep 600 >/dev/null 2>&1 &", "r1"),
        ("string", "exec 2>&-; echo r1; exec >&-; sleep 0.3", "r1"),
    ],
)
def test_one_line_is_the_value(tmp_path: Path, type_name: str, text: str, value: str) -> None:
    assert tell(tmp_path, shell(text), type_name=type_name) == value


@pytest.mark.parametrize(
    ("type_name", "text", "reason"),
    [
        ("string", "exit 0", "a value that is empty"),
        ("string", "echo", "a value that is empty"),
        ("string", "echo a; echo b", "a value that holds a control character"),
        ("string", "printf 'a\\033[31m'", "a value that holds a control character"),
        ("string", "echo '\"a\\u001b\"'", "a value that holds a control character"),
        ("string", "echo '\"a\\ud800\"'", "a value that holds a control character"),
        ("string", "echo '\"a'", "what is not one JSON value"),
        ("string", "printf '\\377'", "what is not UTF-8"),
        ("string", f"head -c {DEFAULTS.fact_text + 1} /dev/zero | tr '\\0' x", "longer than 1024"),
        ("integer", "echo four", "what is not one JSON value"),
        ("integer", "echo 4.5", "what is not one JSON value"),
        ("integer", "echo true", "is not an integer"),
        ("integer", "echo '\"4\"'", "is not an integer"),
        ("integer", "echo 9007199254740992", "is not an integer"),
        ("integer", "echo 4; echo 5", "what is not one JSON value"),
        ("boolean", "echo 1", "is not true or false"),
        ("boolean", "echo '{\"a\": true}'", "is not true or false"),
    ],
)
def test_anything_else_is_no_value(tmp_path: Path, type_name: str, text: str, reason: str) -> None:
    said = tell(tmp_path, shell(text), type_name=type_name)
    assert said.startswith("! the fact's program printed ")
    assert reason in said


def test_a_hint_says_what_is_wanted() -> None:
    with pytest.raises(HostError) as stop:
        read_value(b"true", "integer")
    assert stop.value.hint == "one line: a value of the type integer"


def test_a_program_that_fails_is_quoted_without_what_could_mislead(tmp_path: Path) -> None:
    said = tell(tmp_path, shell("echo r1; printf 'no\\033[31m such\\n thing' >&2; exit 3"))
    assert said == "! the fact's program ended with status 3; it said: no\\x1b[31m such thing"
    assert tell(tmp_path, shell("kill -9 $$")) == "! the fact's program ended with status -9"


def test_a_value_with_a_secret_of_the_run_is_no_value_and_a_complaint_is_redacted(tmp_path: Path) -> None:
    said = tell(tmp_path, shell("echo 'is hunter2!'"), **{"env:PASSWORD": "hunter2"})
    assert said == "! the fact's program told a value with a secret in it"
    assert "hunter2" not in tell(tmp_path, shell("echo 'is hunter2!' >&2; exit 1"), **{"env:PASSWORD": "hunter2"})


@pytest.mark.parametrize("text", ["yes", "while :; do printf '%01000d' 0; done"])
def test_output_without_end_is_bounded_and_ended(tmp_path: Path, text: str) -> None:
    assert (
        tell(tmp_path, shell(f"echo $$ > {tmp_path}/pid; {text}"))
        == "! the fact's program printed more than 65536 bytes and was ended"
    )
    assert wait_for(lambda: not is_alive(int((tmp_path / "pid").read_text())))


def test_complaints_without_end_are_bounded_by_time(tmp_path: Path) -> None:
    said = tell(tmp_path, shell("yes no >&2"), timeout=1)
    assert "took longer than 1 s and was ended; it said:" in said
    assert len(said) < 600


def test_a_hanging_program_is_ended_with_its_children(tmp_path: Path) -> None:
    text = f"trap '' TERM; sleep 600 & echo $$ $! > {tmp_path}/pids; sleep 600"
    assert tell(tmp_path, shell(text), timeout=1) == "! the fact's program took longer than 1 s and was ended"
    pids = [int(word) for word in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 2
    assert wait_for(lambda: not any(map(is_alive, pids)))


def test_what_a_program_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    assert tell(tmp_path, shell(f"sleep 600 & echo $! > {tmp_path}/pid; echo r1")) == "r1"
    assert wait_for(lambda: not is_alive(int((tmp_path / "pid").read_text())))


def test_the_environment_is_clean_there_is_no_input_and_the_folder_is_the_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITOPS_SECRET", "leaked")
    text = "import os, sys\nprint(sorted(os.environ), os.getcwd(), repr(sys.stdin.read()), os.getsid(0) == os.getpid(), len(sys.argv))"
    said = tell(tmp_path, f"#!/usr/bin/env python3\n{text}\n", **{"env:PASSWORD": "hunter2"})
    assert said.replace("'LC_CTYPE', ", "") == "['HOME', 'LANG', 'PATH'] / '' True 1"


def test_no_descriptor_of_ours_but_the_program_itself_is_open_in_it(tmp_path: Path) -> None:
    text = "import os\nprint([n for n in range(3, 64) if os.path.exists(f'/proc/self/fd/{n}') and 'memfd' not in os.readlink(f'/proc/self/fd/{n}')])"
    assert tell(tmp_path, f"#!/usr/bin/env python3\n{text}\n") == "[]"


def test_an_interpreter_that_is_not_here_is_said(tmp_path: Path) -> None:
    assert tell(tmp_path, "#!/no/such/interpreter\n").startswith("! cannot run the fact's program: ")


def test_a_program_changed_on_disk_never_runs(tmp_path: Path) -> None:
    fact = lay_fact(tmp_path, shell(f"touch {tmp_path}/ran; echo r1"))
    place = next((tmp_path / "blobs").glob("*/*"))
    place.write_bytes(place.read_bytes() + b"# one byte more\n")
    with pytest.raises(HostError, match=r"the fact's program does not have the digest .*: it is not run"):
        RealHost(blobs=str(tmp_path / "blobs")).ask_fact(fact)
    assert not (tmp_path / "ran").exists()
    place.unlink()
    with pytest.raises(HostError, match=r"the fact's program .* is not in the run's folder"):
        RealHost(blobs=str(tmp_path / "blobs")).ask_fact(fact)


# ── In a run ──


def test_a_run_asks_once_applies_what_matches_and_tells_the_fact(tmp_path: Path) -> None:
    machine = Rooted(tmp_path / "machine")
    fact = lay_fact(machine.folder, shell(f"echo x >> {tmp_path}/ran; echo r1"))
    here, there = asking(fact, tmp_path / "here", "r1", "r2"), asking(fact, tmp_path / "there", "r3")
    report = machine.apply(here, there, root="")
    assert (report.result, [item.address for item in report.changes]) == ("changed", [here.address])
    assert (tmp_path / "ran").read_text() == "x\n"  # observed twice, asked once
    assert report.observation is not None
    assert report.observation.facts["custom.rack"] == "r1"
    assert report.observation.probes["custom.rack"].to_json() == {"program": fact.digest}
    assert there.address not in report.observation.states
    assert machine.apply(here, there, root="").result == "converged"
    assert (tmp_path / "ran").read_text() == "x\nx\n"


def test_a_host_whose_graph_does_not_use_it_runs_nothing(tmp_path: Path) -> None:
    machine = Rooted(tmp_path / "machine")
    fact = lay_fact(machine.folder, shell(f"touch {tmp_path}/ran; echo r1"))
    asked = asking(fact, tmp_path / "asked", "r1")
    assert machine.apply(file(str(tmp_path / "free"), "x\n"), root="").result == "changed"
    assert machine.apply(asking(fact, tmp_path / "elsewhere", "r1", kernel="plan9"), root="").result == "converged"
    assert machine.apply(file(str(tmp_path / "free"), "y\n"), asked, root="", only=(f"file:{tmp_path}/free",)).result == "changed"
    assert not (tmp_path / "ran").exists()
    machine.apply(asked, root="")
    assert (tmp_path / "ran").exists()  # the trap works


def test_a_plan_runs_nothing_but_with_guards_and_is_an_upper_bound(tmp_path: Path) -> None:
    machine = Rooted(tmp_path / "machine")
    fact = lay_fact(machine.folder, shell(f"touch {tmp_path}/ran; echo r1"))
    resources = (asking(fact, tmp_path / "here", "r1"), asking(fact, tmp_path / "there", "r2"))
    planned = machine.plan(*resources, root="")
    assert [(item.action, item.confidence) for item in planned.changes] == [("create", "conditional")] * 2
    assert machine.observe(*resources, root="").probes == {}
    assert not (tmp_path / "ran").exists()
    exact = machine.plan(*resources, root="", guards=True)
    assert [(item.address, item.confidence) for item in exact.changes] == [(resources[0].address, "exact")]
    assert exact.scope.effects <= planned.scope.effects


def test_what_a_failed_fact_decides_is_refused_and_the_rest_goes_on(tmp_path: Path) -> None:
    machine = Rooted(tmp_path / "machine")
    fact = lay_fact(machine.folder, shell("echo no rack here >&2; exit 1"))
    free = file(str(tmp_path / "free"), "x\n")
    report = machine.apply(asking(fact, tmp_path / "asked", "r1"), free, root="")
    assert (machine.status, report.result) == (4, "failed")
    assert {item.address: item.result for item in report.changes} == {
        f"file:{tmp_path}/asked": "refused",
        free.address: "changed",
    }
    (refused,) = (item for item in report.changes if item.result == "refused")
    assert refused.message == "custom.rack: the fact's program ended with status 1; it said: no rack here"
    assert not (tmp_path / "asked").exists()


def test_a_program_exchanged_in_the_state_folder_refuses_only_what_needs_it(tmp_path: Path) -> None:
    machine = Rooted(tmp_path / "machine")
    fact = lay_fact(machine.folder, shell("echo r1"))
    place = machine.folder / "blobs" / fact.blob[:2] / fact.blob
    place.write_text(shell(f"touch {tmp_path}/ran; echo r1"))
    report = machine.apply(asking(fact, tmp_path / "asked", "r1"), file(str(tmp_path / "free"), "x\n"), root="")
    assert sorted(item.result for item in report.changes) == ["changed", "refused"]
    assert not (tmp_path / "ran").exists()


def test_below_another_root_nothing_is_asked_and_that_is_said(tmp_path: Path) -> None:
    machine = Rooted(tmp_path / "machine")
    fact = lay_fact(machine.folder, shell(f"touch {tmp_path}/ran; echo r1"))
    report = machine.apply(asking(fact, Path("/etc/asked"), "r1"), file("/etc/free", "x\n"))
    assert {item.address: item.result for item in report.changes if "directory" not in item.address} == {
        "file:/etc/asked": "refused",
        "file:/etc/free": "changed",
    }
    assert "not asked with --root" in next(item.message for item in report.changes if item.result == "refused")
    assert [item.action for item in machine.plan(asking(fact, Path("/etc/asked"), "r1")).changes] == ["refused"]
    assert not (tmp_path / "ran").exists()


def test_a_secret_that_a_program_found_and_tells_is_in_no_event_and_no_record(tmp_path: Path) -> None:
    machine = Rooted(tmp_path / "machine")
    key = file(str(tmp_path / "key"), secret("password", "PASSWORD"))
    for text in ("echo hunter2-of-the-run", "echo hunter2-of-the-run >&2; exit 1"):
        fact = lay_fact(machine.folder, shell(text))
        report = machine.apply(
            asking(fact, tmp_path / "asked", "r1"), key, root="", secrets={"env:PASSWORD": "hunter2-of-the-run"}
        )
        assert "refused" in {item.result for item in report.changes}
        said = [json.dumps(event.to_json()) for event in machine.events]
        kept = [path.read_text(errors="replace") for path in machine.state.rglob("*.json*")]
        assert [text for text in (*said, *kept) if "hunter2" in text] == []


# ── What is asked, and when ──


def seen(**facts: str) -> Observation:
    return Observation("web-1", NOW, facts)


def test_two_facts_of_one_when_are_asked_only_as_far_as_it_is_open() -> None:
    one, other = FactProgram("ab" * 32, 1), FactProgram("cd" * 32, 1)
    resource = Resource("file", "/x", when={"custom.a": ("1",), "custom.b": ("1",)}, facts={"custom.a": one, "custom.b": other})

    def run(*told: str) -> tuple[list[FactProgram], Observation]:
        asked: list[FactProgram] = []

        def ask(fact: FactProgram) -> str:
            asked.append(fact)
            answer = told[len(asked) - 1]
            if not answer:
                raise HostError("broken")
            return answer

        custom = CustomFacts(may_run=True, root="")
        found = custom.add(seen(), [resource, resource], ask)
        assert custom.add(seen(), [resource], ask).facts == found.facts  # told before: not asked again
        return asked, found

    assert run("1", "2")[0] == [one, other]
    assert run("2", "1")[0] == [one]
    broken, found = run("", "1")
    assert (broken, found.facts, found.probes["custom.a"].trouble) == ([one], {}, "broken")


def test_two_programs_for_one_name_are_no_graph_of_ours() -> None:
    one, other = FactProgram("ab" * 32, 1), FactProgram("cd" * 32, 1)
    resources = [Resource("file", "/x", when={"custom.a": ("1",)}, facts={"custom.a": fact}) for fact in (one, other)]
    with pytest.raises(MalformedError, match=r"two programs tell `custom\.a`"):
        CustomFacts(may_run=True, root="").add(seen(), resources, lambda _: "1")


def test_what_cannot_be_started_at_all_is_told_as_trouble() -> None:
    def ask(_: FactProgram) -> Any:
        raise OSError(12, "Cannot allocate memory")

    fact = FactProgram("ab" * 32, 1)
    resource = Resource("file", "/x", when={"custom.a": ("1",)}, facts={"custom.a": fact})
    assert CustomFacts(may_run=True, root="").add(seen(), [resource], ask).probes["custom.a"].trouble == "Cannot allocate memory"
