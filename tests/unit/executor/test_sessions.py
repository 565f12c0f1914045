"""Programs of external providers as they really run: by digest, clean, bounded, ended with all they started, undone by themselves."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from gitops.errors import HostError
from gitops.executor.host import RealHost
from gitops.executor.session import ProgramSession
from gitops.model.limits import DEFAULTS
from gitops.providers.conversation import Client
from tests.support.programs import lay_out, python, scaffold, thing
from tests.support.rooted import Rooted, file, secret
from tests.support.service import wait_for


def start(folder: Path, text: str) -> ProgramSession:
    return RealHost(blobs=str(folder / "blobs")).start_session(lay_out(folder, text))


def ask(folder: Path, text: str, seconds: float = 20) -> str:
    """Say hello, observe nothing; give the reason of the failure."""
    session = start(folder, text)
    try:
        client = Client(session, seconds, protocol=1)
        client.hello()
        client.ask("observe", {"items": []})
    except HostError as error:
        return error.message
    finally:
        session.close(is_wanted=False)
    return ""


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_program_without_its_digest_never_runs(tmp_path: Path) -> None:
    executable = lay_out(tmp_path, python(f"open({str(tmp_path / 'ran')!r}, 'w')", greets=False))
    place = next((tmp_path / "blobs").glob("*/*"))
    place.write_bytes(place.read_bytes() + b"\n# one byte more")
    with pytest.raises(HostError, match="it is not run"):
        RealHost(blobs=str(tmp_path / "blobs")).start_session(executable)
    assert not (tmp_path / "ran").exists()


def test_a_program_that_was_not_shipped_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="not in the run's folder"):
        RealHost(blobs=str(tmp_path)).start_session({"blob": "0" * 64, "size": 1})


def test_what_is_exchanged_after_the_look_does_not_run(tmp_path: Path) -> None:
    session = start(tmp_path, python("request = read(); say(request['id'], 'result', sealed=sys.argv[0])"))
    try:
        client = Client(session, protocol=1)
        client.hello()
        path = str(client.ask("describe", {})[1]["sealed"])
    finally:
        session.close()
    assert path.startswith("/proc/self/fd/")


def test_a_program_cannot_write_itself(tmp_path: Path) -> None:
    text = "request = read()\ntry:\n    os.pwrite(int(sys.argv[0].rpartition('/')[2]), b'x', 0)\nexcept OSError as error:\n    say(2, 'result', why=error.strerror)"
    session = start(tmp_path, python(text))
    try:
        client = Client(session, protocol=1)
        client.hello()
        assert client.ask("describe", {})[1] == {"why": "Operation not permitted"}
    finally:
        session.close()


def test_an_interpreter_that_is_not_here_is_said(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="cannot run the provider's program"):
        start(tmp_path, "#!/no/such/interpreter\n")


def test_the_environment_is_clean_and_the_folder_is_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITOPS_SECRET", "leaked")
    session = start(
        tmp_path,
        python("r = read(); say(r['id'], 'result', env=sorted(os.environ), cwd=os.getcwd(), sid=os.getsid(0), pid=os.getpid())"),
    )
    try:
        client = Client(session, protocol=1)
        client.hello()
        body = client.ask("describe", {})[1]
    finally:
        session.close()
    assert set(body["env"]) - {"LC_CTYPE"} == {"HOME", "LANG", "PATH"}  # type: ignore[arg-type]
    assert (body["cwd"], body["sid"]) == ("/", body["pid"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "ended without an answer"),
        ("sys.stderr.write('no such server'); sys.exit(3)", "it said: no such server"),
        ("read(); print('garbage', flush=True)", "not a line of JSON"),
        ("read(); print('{\"id\":2,\"event\":\"result\",\"body\":{},\"more\":1}', flush=True)", "line is not {id: 2"),
        ("read(); say(7, 'result')", "line is not {id: 2"),
        ("read(); say(2, 'nothing')", "line is not {id: 2"),
        ("read(); print('{\"id\":2,\"event\":\"result\",\"body\":{\"x\":\"\\\\ud800\"}}', flush=True)", "not a line of JSON"),
        ("read(); print('{\"id\":2,\"event\":\"result\",\"body\":{\"x\":1.5}}', flush=True)", "not a line of JSON"),
        ("read(); print('[' * 100000, flush=True)", "not a line of JSON"),
        (f"read(); print('x' * {DEFAULTS.provider_line + (1 << 17)})", "a line of more than"),
        (f"read()\nwhile True: say(2, 'progress', message='x' * {DEFAULTS.provider_line // 2})", "answered more than"),
        ("read(); say(2, 'error', code='x', message='no such table')", "the provider says: no such table"),
    ],
)  # fmt: skip
def test_an_answer_that_breaks_the_protocol_ends_the_conversation(tmp_path: Path, text: str, reason: str) -> None:
    assert reason in ask(tmp_path, python(text))


def test_progress_makes_no_time_longer(tmp_path: Path) -> None:
    began = time.monotonic()
    text = "read()\nwhile True:\n    say(2, 'progress', message='x')\n    time.sleep(0.01)"
    assert "took longer than 0.5 s" in ask(tmp_path, python(text), 0.5)
    assert time.monotonic() - began < 20


def test_a_program_that_does_not_read_is_ended(tmp_path: Path) -> None:
    session = start(tmp_path, python("time.sleep(600)"))
    try:
        client = Client(session, 0.5, protocol=1)
        client.hello()
        with pytest.raises(HostError, match="took longer"):
            client.ask("observe", {"items": ["x" * (1 << 20)]})
    finally:
        session.close(is_wanted=False)


def test_a_program_that_ended_is_not_written_to(tmp_path: Path) -> None:
    session = start(tmp_path, python("sys.stdin.close(); os.close(0); time.sleep(0.2)"))
    try:
        client = Client(session, 5, protocol=1)
        client.hello()
        with pytest.raises(HostError, match="ended without an answer"):
            client.ask("observe", {"items": ["x" * (1 << 20)]})
    finally:
        session.close(is_wanted=False)


@pytest.mark.parametrize("is_wanted", [True, False])
def test_all_that_a_program_started_ends_with_it(tmp_path: Path, is_wanted: bool) -> None:
    text = (
        "import signal, subprocess\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen(['sleep', '600'], stdin=subprocess.DEVNULL)\n"
        "r = read(); say(r['id'], 'result', pids=[os.getpid(), child.pid])\nread()\ntime.sleep(600)"
    )
    session = start(tmp_path, python(text))
    client = Client(session, protocol=1)
    client.hello()
    pids = client.ask("describe", {})[1]["pids"]
    session.close(is_wanted=is_wanted)
    assert wait_for(lambda: not any(is_alive(pid) for pid in pids))  # type: ignore[union-attr,arg-type]


def test_cancel_is_said_before_the_end(tmp_path: Path) -> None:
    session = start(tmp_path, python(f"open({str(tmp_path / 'said')!r}, 'w').write(read()['op'])"))
    Client(session, protocol=1).hello()
    session.close(is_wanted=False)
    assert (tmp_path / "said").read_text() == "cancel"


@pytest.mark.parametrize("language", ["python", "sh"])
def test_a_thing_is_made_kept_changed_removed_and_brought_back(tmp_path: Path, language: str) -> None:
    machine = Rooted(tmp_path / "machine")
    executable = lay_out(machine.folder, scaffold(language, tmp_path / "conf"))
    odd = "a 'q' \"d\" \\ \\n $(x) `y` %s ü©"
    assert machine.apply(thing(executable), root="").result == "changed"
    assert machine.apply(thing(executable), root="").result == "converged"
    changed = machine.apply(thing(executable, odd), root="")
    assert (tmp_path / "conf").read_text() == f"a = {odd}\n"
    assert machine.rollback(changed.run).result == "reverted"
    assert (tmp_path / "conf").read_text() == "a = one\n"
    removed = machine.apply(thing(executable, None, state="absent"), root="")
    assert (tmp_path / "conf").read_text() == ""
    assert [item["what"] for item in machine.undo_plan(removed.run)] == ["external:demo/a: back to what it was"]
    assert machine.rollback(removed.run).result == "reverted"
    assert (tmp_path / "conf").read_text() == "a = one\n"


def test_an_undo_uses_the_program_that_made_the_change(tmp_path: Path) -> None:
    machine = Rooted(tmp_path / "machine")
    first = lay_out(machine.folder, scaffold("python", tmp_path / "conf"))
    report = machine.apply(thing(first), root="")
    next((machine.folder / "blobs").glob("*/*")).unlink()
    assert machine.rollback(report.run).result == "reverted"
    assert (tmp_path / "conf").read_text() == ""


def test_a_kept_program_that_was_exchanged_does_not_undo(tmp_path: Path) -> None:
    machine = Rooted(tmp_path / "machine")
    report = machine.apply(thing(lay_out(machine.folder, scaffold("python", tmp_path / "conf"))), root="")
    image = next(path for path in machine.state.rglob("images/*") if path.is_file())
    image.write_bytes(python(f"open({str(tmp_path / 'ran')!r}, 'w')", greets=False).encode())
    undone = machine.rollback(report.run)
    assert undone.result == "failed"
    assert "it is not run" in undone.changes[0].message
    assert not (tmp_path / "ran").exists()


def test_a_provider_that_does_not_undo_is_told(tmp_path: Path) -> None:
    machine = Rooted(tmp_path / "machine")
    text = scaffold("python", tmp_path / "conf").replace(
        'if operation == "undo":', 'if operation == "undo":\n        raise ValueError("never")'
    )
    report = machine.apply(thing(lay_out(machine.folder, text)), root="")
    undone = machine.rollback(report.run)
    assert (undone.result, undone.changes[0].message) == ("failed", "the provider did not undo it: never")


def test_a_plan_runs_nothing_but_with_guards(tmp_path: Path) -> None:
    machine = Rooted(tmp_path / "machine")
    text = python(f"open({str(tmp_path / 'ran')!r}, 'w')", greets=False)
    planned = machine.plan(thing(lay_out(machine.folder, text)), root="")
    assert [(item.action, item.confidence) for item in planned.changes] == [("create", "conditional")]
    assert not (tmp_path / "ran").exists()
    refused = machine.plan(thing(lay_out(machine.folder, text)), root="", guards=True)
    assert [item.action for item in refused.changes] == ["refused"]
    assert (tmp_path / "ran").exists()


def test_a_provider_that_ends_half_way_has_failed_and_the_rest_goes_on(tmp_path: Path) -> None:
    machine = Rooted(tmp_path / "machine")
    text = scaffold("python", tmp_path / "conf").replace(
        "def do(name, action, values):", "def do(name, action, values):\n    if name == 'b': os._exit(1)"
    )
    executable = lay_out(machine.folder, text)
    report = machine.apply(*(thing(executable, name=f"demo/{name}") for name in "abc"), root="")
    assert {item.address: item.result for item in report.changes} == {
        "external:demo/a": "failed",
        "external:demo/b": "failed",
        "external:demo/c": "failed",
    }
    healed = machine.apply(*(thing(executable, name=f"demo/{name}") for name in "ac"), root="")
    assert healed.result == "changed"
    assert (tmp_path / "conf").read_text() == "a = one\nc = one\n"


@pytest.mark.parametrize(
    "where", ['raise ValueError("x" * 390 + SECRET)', "say(number, 'error', code='x', message=SECRET)", "sys.exit(SECRET)"]
)
def test_a_secret_that_a_program_found_and_tells_is_in_no_event_and_no_record(tmp_path: Path, where: str) -> None:
    machine, value = Rooted(tmp_path / "machine"), 'hunter2 "of the run"'
    text = scaffold("python", tmp_path / "conf").replace(
        "def do(name, action, values):", f"SECRET = {value!r}\nnumber = 3\n\n\ndef do(name, action, values):\n    {where}"
    )
    resources = (thing(lay_out(machine.folder, text)), file(str(tmp_path / "key"), secret("password", "PASSWORD")))
    report = machine.apply(*resources, root="", secrets={"env:PASSWORD": value})
    assert "failed" in {item.result for item in report.changes}
    said = [json.dumps(event.to_json()) for event in machine.events]
    kept = [path.read_text(errors="replace") for path in machine.state.rglob("*.json*")]
    assert [text for text in (*said, *kept) if "hunter2" in text] == []


def test_an_external_thing_cannot_live_below_a_root(tmp_path: Path) -> None:
    machine = Rooted(tmp_path / "machine")
    with pytest.raises(Exception, match="with --root these kinds cannot be used: external"):
        machine.apply(thing(lay_out(machine.folder, "x")))


def test_no_answer_of_a_provider_reaches_the_journal_as_anything_but_data(tmp_path: Path) -> None:
    machine = Rooted(tmp_path / "machine")
    report = machine.apply(thing(lay_out(machine.folder, scaffold("python", tmp_path / "conf"))), root="")
    lines = next(machine.state.rglob("journal.jsonl")).read_text().splitlines()
    entry = json.loads(lines[0])
    assert (entry["path"], entry["undo"], sorted(entry["request"])) == ("", [], ["item", "provider"])
    assert entry["program"].startswith("images/")
    assert report.result == "changed"
