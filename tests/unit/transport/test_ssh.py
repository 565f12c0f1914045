"""Push over a real sshd: what travels, what is kept, what is refused, and what a lost connection leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from gitops.errors import ConfigError, HostError, RemoteError, UsageError
from gitops.executor.ownfolder import seal_own
from gitops.model.codec import digest_bytes, encode_canonical
from gitops.model.limits import Limits
from gitops.model.resource import Resource
from gitops.model.wire import Request
from gitops.transport.kept import KeptSessions
from gitops.transport.local import Executed
from gitops.transport.pack import make_pack
from gitops.transport.ssh import (
    Destination,
    Payload,
    Session,
    Ssh,
    bootstrap_source,
    explain_silence,
    pass_environment,
    run_ssh,
    ssh_command,
)
from tests.support.rooted import Rooted, file, secret
from tests.support.sshd import Fleet, serve_ssh

WEB = Destination("web-1")
PAYLOAD = Payload.make()
SECRET = "hunter2-of-the-wire"
NOISY = """sh -c 'printf "Welcome\\n{\\"schema\\": 1}\\nno newline"; exec sh -c "$SSH_ORIGINAL_COMMAND"'"""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with serve_ssh(tmp_path_factory.mktemp("ssh"), "web-1", "web-2") as served:
        yield served


def push(request: Request, ssh: Ssh, *, where: Destination = WEB, blobs: dict[str, bytes] | None = None) -> Executed:
    return run_ssh(request, where, ssh, payload=PAYLOAD, blobs=blobs or {})


def fake(folder: Path, text: str) -> Ssh:
    """A program in the place of ssh; its last argument is the command for the host."""
    program = folder / "fake-ssh"
    program.write_text(text)
    program.chmod(0o755)
    environment = {**os.environ, "LC_CACHE": str(folder / "cache")}
    return Ssh(program=str(program), environment=environment)


def host_script(folder: Path, *, before: str = "", path: str = "") -> Ssh:
    """A host without sshd: the command runs here, with a cache and state of its own."""
    setup = f"#!/bin/bash\nexport XDG_CACHE_HOME={folder}/cache GITOPS_STATE_DIR={folder}/host-state\n{before}\n"
    return fake(folder, setup + (f"export PATH={path}\n" if path else "") + 'exec /bin/sh -c "${@: -1}"\n')


def await_file(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.01)


def test_a_request_goes_in_events_come_out_and_the_executor_is_sent_once(fleet: Fleet, tmp_path: Path) -> None:
    machine = Rooted(tmp_path)
    request = machine.request("apply", (file("/etc/x", "hello"),))
    first = push(request, fleet.ssh())
    assert (first.status, [event.event for event in first.events]) == (0, ["plan", "step", "step", "report"])
    assert machine.read("/etc/x") == "hello"
    (kept,) = fleet.executors("web-1")
    inode = kept.stat().st_ino
    assert (kept.name.startswith(PAYLOAD.tree), kept.parent.stat().st_mode & 0o777) == (True, 0o700)
    again = push(request, fleet.ssh())
    assert ([event.event for event in again.events], kept.stat().st_ino) == (["plan", "report"], inode)
    assert (fleet.executors("web-1"), fleet.contents("web-1")) == ([kept], [])


def test_contents_travel_with_the_request_and_stay_nowhere(fleet: Fleet, tmp_path: Path) -> None:
    machine = Rooted(tmp_path)
    data = os.urandom(300_000)
    digest = digest_bytes(data)
    resource = Resource("file", "/bin/tool", {"content": {"blob": digest, "size": len(data)}, "mode": "0755"})
    request = replace(machine.request("apply", (resource,)), blobs="")
    push(request, fleet.ssh(), blobs={digest: data})
    assert ((machine.root / "bin/tool").read_bytes(), fleet.contents("web-1")) == (data, [])
    (machine.root / "bin/tool").unlink()
    wrong = push(request, fleet.ssh(), blobs={digest: b"something else"})
    assert (wrong.status, "does not have its digest" in str(wrong.body("report"))) == (4, True)
    missing = push(request, fleet.ssh())
    assert (missing.status, (machine.root / "bin/tool").exists(), fleet.contents("web-1")) == (4, False, [])


@pytest.mark.parametrize("damage", ["changed", "cut", "of another name", "a link", "writable"])
def test_an_executor_that_was_tampered_with_is_replaced_and_not_run(fleet: Fleet, tmp_path: Path, damage: str) -> None:
    machine = Rooted(tmp_path)
    request = machine.request("apply", (file("/etc/x", "hello"),))
    push(request, fleet.ssh(), where=Destination("web-2"))
    (kept,) = fleet.executors("web-2")
    whole = kept.read_bytes()
    evil = make_pack(
        {"gitops/__init__.py": b"", "gitops/executor/__init__.py": b"", "gitops/executor/__main__.py": b"raise SystemExit(99)"}
    )
    if damage == "changed":
        kept.write_bytes(whole[:64] + evil)
    elif damage == "cut":
        kept.write_bytes(whole[:-1])
    elif damage == "of another name":
        kept.write_bytes(seal_own("another", evil) + evil)
    elif damage == "a link":
        (tmp_path / "evil").write_bytes(seal_own(kept.name, evil) + evil)
        (tmp_path / "evil").chmod(0o600)
        kept.unlink()
        kept.symlink_to(tmp_path / "evil")
    else:
        kept.write_bytes(seal_own(kept.name, evil) + evil)
        kept.chmod(0o660)
    done = push(request, fleet.ssh(), where=Destination("web-2"))
    assert (done.status, fleet.executors("web-2"), kept.read_bytes()) == (0, [kept], whole)


def test_an_unknown_or_changed_host_key_is_refused_with_what_to_do(fleet: Fleet, tmp_path: Path) -> None:
    known = fleet.folder / "known_hosts"
    other = (fleet.folder / "user_key.pub").read_text()
    config = tmp_path / "config"
    for text, words in (("", "not known"), ("web-1 " + other, "another host key")):
        (tmp_path / "known").write_text(text)
        config.write_text(fleet.config.read_text().replace(str(known), str(tmp_path / "known")))
        with pytest.raises(RemoteError, match=words) as refused:
            push(Rooted(tmp_path).request("runs"), fleet.ssh(config=str(config)))
        assert (refused.value.code, "fingerprint" in refused.value.hint) == ("R045", True)


@pytest.mark.parametrize(
    "address",
    [
        "-oProxyCommand=id",
        "--",
        "",
        "a b",
        "web;id",
        "$(id)",
        "`id`",
        "web\n-oX",
        "user@-x",
        "-x@web",
        "@web",
        "web'",
        "web%h",
        "web:0x1",
        "web:99999",
        "ssh://web",
        "a/b",
        "web@web@web",
        "[::1",
        "[-o]:22",
        "ｗeb",
    ],
)
def test_an_address_that_ssh_or_a_shell_could_take_for_more_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="not an address"):
        Destination.parse(address)


def test_addresses_that_people_write_are_read() -> None:
    assert Destination.parse("web-1") == Destination("web-1")
    assert Destination.parse("deploy@web.example.org:2222") == Destination("web.example.org", "deploy", 2222)
    assert Destination.parse("2001:db8::1") == Destination("2001:db8::1")
    assert Destination.parse("root@[2001:db8::1]:22") == Destination("2001:db8::1", "root", 22)


def test_the_command_is_fixed_options_then_the_destination_and_nothing_of_the_run(tmp_path: Path) -> None:
    command = ssh_command(Destination("web", "deploy", 2222), Ssh(Path("/run/s"), "sudo", "/c"), 42)
    assert command[-3:-1] == ["--", "web"]
    assert command[command.index("-p") + 1] == "2222"
    assert command[-1].startswith("sudo -n -H -- python3 -I -S -B -c 'import sys;")
    assert {"BatchMode=yes", "StrictHostKeyChecking=yes", 'ControlPath="/run/s/%C"'} <= set(command)
    assert not any("ControlPath" in part for part in ssh_command(WEB, Ssh(Path("/" + "x" * 90)), 1))
    assert pass_environment({"PATH": "/bin", "LC_ALL": "C", "DB_PASSWORD": SECRET}) == {"PATH": "/bin", "LC_ALL": "C"}


def test_what_a_login_shell_prints_first_is_not_the_executor(tmp_path: Path) -> None:
    with serve_ssh(tmp_path / "ssh", "web-1", noise=NOISY) as noisy:
        assert push(Rooted(tmp_path).request("apply", (file("/x", "a"),)), noisy.ssh()).status == 0


def test_endless_words_before_the_executor_are_cut_off(tmp_path: Path) -> None:
    for flood in ("yes", "cat /dev/zero"):
        with pytest.raises(RemoteError, match="something else") as cut:
            push(Rooted(tmp_path).request("runs"), host_script(tmp_path, before=f"exec {flood}"))
        assert cut.value.code == "R042"


ANSWER = """#!{python}
import json, sys
program = sys.stdin.buffer.read({size})
asked = json.loads(sys.stdin.buffer.readline())
print("gitops %s have" % asked["nonce"], flush=True)
sizes = json.loads(sys.stdin.buffer.readline())
sys.stdin.buffer.read(sizes["request"])
{rest}
"""


@pytest.mark.parametrize(
    ("rest", "code"),
    [
        ("print('what is this')", "R042"),
        ('while True: print(\'{"schema": "gitops/event/v1", "event": "plan", "body": 1}\')', "R043"),
        ("while True: sys.stdout.write('x' * 65536)", "R042"),
        ("pass", "R044"),
        ("print('gitops %s end 0' % ('0' * 32))", "R042"),
        ("import time; time.sleep(600)", "R041"),
        ("sys.exit('gitops: no room')", "E264"),
    ],
)
def test_a_hostile_or_broken_answer_ends_in_an_error_within_bounds(tmp_path: Path, rest: str, code: str) -> None:
    ssh = fake(tmp_path, ANSWER.format(python=sys.executable, size=len(bootstrap_source()), rest=rest))
    limits = Limits(push_bytes=200_000, event_bytes=100_000, push_seconds=2)
    with pytest.raises((RemoteError, HostError)) as ended:
        push(Rooted(tmp_path).request("runs"), replace(ssh, limits=limits))
    assert ended.value.code == code


def test_a_host_that_never_answers_is_given_up(tmp_path: Path) -> None:
    silent = replace(host_script(tmp_path, before="exec sleep 600"), limits=Limits(hello_seconds=1))
    with pytest.raises(RemoteError, match="did not answer within 1 s"):
        push(Rooted(tmp_path).request("runs"), silent)
    with pytest.raises(HostError, match="no `no-such-ssh`"):
        push(Rooted(tmp_path).request("runs"), Ssh(program="no-such-ssh"))


def test_a_host_without_python_or_with_an_old_one_says_so(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="no python3") as missing:
        push(Rooted(tmp_path).request("runs"), host_script(tmp_path, path="/nowhere"))
    assert "3.9" in missing.value.hint
    old = tmp_path / "old"
    old.mkdir()
    (old / "python3").write_text(
        f"""#!/bin/bash\nexec {sys.executable} -c 'import sys;sys.version_info=(3,8,1);sys.version="3.8.1 x";exec(sys.argv[1])' "${{@: -1}}"\n"""
    )
    (old / "python3").chmod(0o755)
    with pytest.raises(HostError, match=r"Python 3\.8\.1 is too old: 3\.9 or newer is needed"):
        push(Rooted(tmp_path).request("runs"), host_script(tmp_path, path=str(old)))


def test_become_asks_for_no_password_and_says_when_one_is_wanted(tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    sudo = tools / "sudo"
    sudo.write_text(
        '#!/bin/sh\n[ "$1 $2 $3" = "-n -H --" ] || exit 9\nshift 3\necho root > "$XDG_CACHE_HOME.become"\nexec "$@"\n'
    )
    sudo.chmod(0o755)
    path = f"{tools}:{os.environ['PATH']}"
    done = push(Rooted(tmp_path).request("runs"), replace(host_script(tmp_path, path=path), become="sudo"))
    assert (done.status, (tmp_path / "cache.become").exists()) == (0, True)
    sudo.write_text("#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n")
    with pytest.raises(HostError, match="sudo refuses: sudo: a password is required"):
        push(Rooted(tmp_path).request("runs"), replace(host_script(tmp_path, path=path), become="sudo"))


def test_silence_is_explained_by_who_must_act() -> None:
    explained = {
        (255, "ssh: connect to host web port 22: Connection refused", ""): "R040",
        (255, "", ""): "R040",
        (1, "something odd", ""): "E264",
        (1, "gitops: /x belongs to somebody else", ""): "E264",
        (1, "doas: Authorization required", "doas"): "E267",
        (127, "sh: 1: sudo: not found", "sudo"): "E267",
        (255, "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.", ""): "R045",
    }
    assert {case: explain_silence("web", *case).code for case in explained} == explained


def test_errors_of_the_executor_come_back_as_what_they_were(fleet: Fleet, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no run"):
        push(Rooted(tmp_path).request("runs", run="20261124T150000Z-1a2b3c"), fleet.ssh())


def test_a_secret_is_in_no_argument_list_and_in_no_event(fleet: Fleet, tmp_path: Path) -> None:
    machine = Rooted(tmp_path)
    seen = tmp_path / "cmdlines"
    look = ["sh", "-c", f"cat /proc/[0-9]*/cmdline > {seen} 2>/dev/null; true"]
    resource = Resource("file", "/etc/key", {**file("/etc/key", secret()).attributes, "validate": look})
    idents = {"env:DB_PASSWORD": SECRET, "env:PASSWORD": SECRET}
    done = push(machine.request("apply", (resource,), secrets=idents), fleet.ssh())
    assert (done.status, SECRET in machine.read("/etc/key")) == (0, True)
    assert b"python3" in seen.read_bytes()
    assert SECRET.encode() not in seen.read_bytes()
    assert SECRET not in json.dumps([event.to_json() for event in done.events])
    kept = [path.read_bytes() for path in fleet.home("web-1").rglob("*") if path.is_file()]
    assert not any(SECRET.encode() in data for data in kept)


def slow(note: Path, gate: Path) -> list[str]:
    return ["sh", "-c", f"touch {note}; until [ -e {gate} ]; do sleep 0.02; done"]


def start_push(tmp_path: Path, machine: Rooted, request: Request, ssh: Ssh) -> subprocess.Popen[bytes]:
    """The sending side as a process of its own, to be killed; it is ssh itself and what is written to it."""
    program = bootstrap_source()
    body = encode_canonical(request.to_json())
    header = {"nonce": "0" * 32, "tree": PAYLOAD.tree}
    running = subprocess.Popen(ssh_command(WEB, ssh, len(program)), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert running.stdin is not None
    assert running.stdout is not None
    running.stdin.write(program + json.dumps(header).encode() + b"\n")
    running.stdin.flush()
    assert running.stdout.readline() == b"\n"
    assert running.stdout.readline().endswith(b"have\n")
    sizes = {"members": [], "blobs": [], "request": len(body)}
    running.stdin.write(json.dumps(sizes).encode() + b"\n" + body[: len(body) // 2])
    running.stdin.flush()
    return running


def test_a_connection_lost_before_the_request_is_complete_changes_nothing(fleet: Fleet, tmp_path: Path) -> None:
    machine = Rooted(tmp_path)
    push(machine.request("runs"), fleet.ssh())
    running = start_push(tmp_path, machine, machine.request("apply", (file("/x", "a"),)), fleet.ssh())
    running.kill()
    running.communicate()
    deadline = time.monotonic() + 30
    while fleet.contents("web-1") and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (machine.tree(), machine.state.exists(), fleet.contents("web-1")) == ({}, False, [])


def test_a_run_outlives_its_connection(fleet: Fleet, tmp_path: Path) -> None:
    machine, note, gate = Rooted(tmp_path), tmp_path / "note", tmp_path / "gate"
    resources = (file("/a", "a", validate=slow(note, gate)), file("/b", "b"))
    request = machine.request("apply", resources)
    push(machine.request("runs"), fleet.ssh())
    running = start_push(tmp_path, machine, request, fleet.ssh())
    body = encode_canonical(request.to_json())
    assert running.stdin is not None
    running.stdin.write(body[len(body) // 2 :])
    running.stdin.flush()
    await_file(note)
    running.kill()
    running.communicate()
    gate.touch()
    await_file(machine.root / "b")
    deadline = time.monotonic() + 30
    while not list(machine.state.rglob("report.json")) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert json.loads(next(iter(machine.state.rglob("report.json"))).read_text())["result"] == "changed"
    again = push(machine.request("apply", resources, lock_timeout=30), fleet.ssh())
    assert [event.event for event in again.events] == ["plan", "report"]


def test_a_run_killed_in_the_middle_is_told_and_the_next_one_finishes_it(fleet: Fleet, tmp_path: Path) -> None:
    machine, note, gate = Rooted(tmp_path), tmp_path / "note", tmp_path / "gate"
    kill = ["sh", "-c", f"[ -e {note} ] || {{ touch {note}; kill -9 $PPID; }}"]
    resources = (file("/a", "a"), file("/b", "b", validate=kill))
    with pytest.raises(HostError, match="was killed") as killed:
        push(machine.request("apply", resources), fleet.ssh())
    assert killed.value.code == "E265"
    gate.touch()
    done = push(machine.request("apply", resources), fleet.ssh())
    assert (done.status, machine.read("/a"), machine.read("/b"), machine.temps(), fleet.contents("web-1")) == (
        0,
        "a",
        "b",
        [],
        [],
    )


def test_one_connection_is_shared_and_stays_for_the_next_run(fleet: Fleet, tmp_path: Path) -> None:
    sockets = Path(tempfile.mkdtemp(prefix="s-", dir="/tmp"))
    ssh = fleet.ssh(sockets=sockets)
    try:
        for _ in range(2):
            push(Rooted(tmp_path).request("runs"), ssh)
        assert len([path for path in sockets.iterdir() if path.is_socket()]) == 1
    finally:
        leave = ["ssh", "-F", str(fleet.config), "-S", f"{sockets}/%C", "-O", "exit", "web-1"]
        subprocess.run(leave, check=True, capture_output=True, timeout=30)
        sockets.rmdir()


def test_one_session_answers_one_request_after_the_other_and_contents_travel_with_each(fleet: Fleet, tmp_path: Path) -> None:
    machine = Rooted(tmp_path)
    data = os.urandom(100_000)
    digest = digest_bytes(data)
    resources = (file("/etc/x", "hello"), Resource("file", "/bin/tool", {"content": {"blob": digest, "size": len(data)}}))
    with Session(WEB, fleet.ssh(), PAYLOAD) as session:
        planned = session.ask(replace(machine.request("plan", resources), blobs=""), {})
        applied = session.ask(replace(machine.request("apply", resources), blobs=""), {digest: data})
        with pytest.raises(UsageError):
            session.ask(replace(machine.request("rollback"), run="never"), {})
        runs = session.ask(machine.request("runs"), {})
    assert [event.event for event in (*planned.events, *applied.events)][-1] == "report"
    found = runs.body("runs")
    assert isinstance(found, dict)
    assert len(cast("list[object]", found["runs"])) == 1
    assert (machine.root / "bin/tool").read_bytes() == data
    assert fleet.contents("web-1") == []


def test_a_session_that_nobody_uses_any_more_leaves_nothing_running(fleet: Fleet, tmp_path: Path) -> None:
    kept = KeptSessions(most=1)
    first, second = (Session(Destination(name), fleet.ssh(), PAYLOAD) for name in ("web-1", "web-2"))
    kept.put("web-1", first)
    kept.put("web-2", second)  # one too many
    assert (first.is_alive, second.is_alive) == (True, False)
    assert kept.take("web-2") is None
    taken = kept.take("web-1")
    assert taken is first
    assert [event.event for event in taken.ask(Rooted(tmp_path).request("runs"), {}).events] == ["runs"]
    kept.put("web-1", taken)
    kept.close()
    assert not first.is_alive


def test_a_kept_session_whose_connection_is_gone_is_not_given(fleet: Fleet) -> None:
    kept = KeptSessions()
    session = Session(WEB, fleet.ssh(), PAYLOAD)
    kept.put("web-1", session)
    session._process.kill()
    session._process.wait(10)
    assert kept.take("web-1") is None
