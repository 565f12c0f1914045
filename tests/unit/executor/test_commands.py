"""Commands: clean environment, whole groups ended in time, bounded and redacted output, another user."""

from __future__ import annotations

import os
import pwd
import sys
import time
from pathlib import Path

import pytest

from gitops.errors import HostError
from gitops.executor.host import RealHost
from gitops.executor.redact import MARK
from gitops.model.attribute import check_attributes
from gitops.model.limits import DEFAULTS
from gitops.model.resource import Resource
from gitops.providers.accounts.userspec import UserSpec
from tests.support.rooted import Rooted, command, file

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may run things as others")
SECRET = "s3cret-value-of-some-length"


def run(*argv: str, secrets: dict[str, str] | None = None, **more: object) -> tuple[int, str]:
    done = RealHost(secrets=secrets).run(argv, **more)  # type: ignore[arg-type]
    return done.status, done.output


def python(program: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-c", program)


def test_the_environment_is_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAKED", "yes")
    _, output = run("env", environment={"MORE": "x"})
    names = sorted(line.partition("=")[0] for line in output.splitlines())
    assert names == ["HOME", "LANG", "MORE", "PATH"]


def test_there_is_no_input_and_no_terminal() -> None:
    assert run(*python("import sys; print(sys.stdin.read() == '', sys.stdin.isatty())")) == (0, "True False\n")


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_until_gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not is_alive(pid)


@pytest.mark.parametrize("is_deaf", [False, True])
def test_a_timeout_ends_all_that_a_command_started(tmp_path: Path, is_deaf: bool) -> None:
    note = tmp_path / "pid"
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " if is_deaf else ""
    child = f"{deaf}import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    program = f"{deaf}import subprocess, sys, time; subprocess.Popen([sys.executable, '-I', '-c', {child!r}]); print('said', flush=True); time.sleep(60)"
    with pytest.raises(HostError, match="took longer than 1 s and was ended; it said: said"):
        run(*python(program), timeout=1)
    assert wait_until_gone(int(note.read_text()))


def test_a_service_left_behind_does_not_hold_the_command_up(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    child = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    program = (
        f"import subprocess, sys, time, os; subprocess.Popen([sys.executable, '-I', '-c', {child!r}], start_new_session=True)\n"
        f"while not os.path.exists({str(note)!r}): time.sleep(0.01)\nprint('started')"
    )
    start = time.monotonic()
    assert run(*python(program), timeout=30) == (0, "started\n")
    assert time.monotonic() - start < 15
    deadline = time.monotonic() + 5
    while not note.read_text() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert is_alive(int(note.read_text()))
    os.kill(int(note.read_text()), 9)


def test_a_flood_of_output_is_bounded_and_its_end_is_kept() -> None:
    program = "import sys\nfor n in range(20): sys.stdout.write('x' * 1000000)\nprint('the end')"
    status, output = run(*python(program))
    assert (status, len(output)) == (0, DEFAULTS.command_output)
    assert output.endswith("xthe end\n")


@pytest.mark.parametrize("shift", [0, 1, 5, 13, 26, 27, 28])
def test_a_secret_at_the_bound_of_the_output_is_not_shown_in_part(shift: int) -> None:
    rest = DEFAULTS.command_output - shift
    program = f"import os, sys; sys.stdout.write('y' * 300000 + os.environ['S'] + 'x' * {rest})"
    secrets = {"env:S": SECRET}
    part = {"parts": [{"secret": "s", "from": "env", "key": "S"}]}
    _, output = run(*python(program), secrets=secrets, environment={"S": part})
    output = output.replace(MARK, "")
    assert not any(SECRET[start : start + 4] in output for start in range(len(SECRET) - 3))


def test_a_program_that_cannot_start_says_why() -> None:
    with pytest.raises(HostError, match="cannot run /no/such: No such file"):
        run("/no/such")
    with pytest.raises(HostError, match="cannot run true in /no/where: No such file"):
        run("true", directory="/no/where")
    with pytest.raises(HostError, match="NUL"):
        run("true", "a\0b")
    with pytest.raises(HostError, match="there is no user `nobody-here`"):
        run("true", user="nobody-here")


@only_root
def test_another_user_gets_its_groups_and_home() -> None:
    program = "import os; print(os.getuid(), os.getgid(), os.environ['HOME'], sorted(os.getgroups()))"
    account = pwd.getpwnam("daemon")
    _, output = run("/usr/bin/python3", "-I", "-c", program, user="daemon")
    groups = sorted(os.getgrouplist("daemon", account.pw_gid))
    assert output == f"{account.pw_uid} {account.pw_gid} {account.pw_dir} {groups}\n"


def test_guards_decide(tmp_path: Path) -> None:
    machine, made = Rooted(tmp_path), tmp_path / "made"
    touch = ("touch", str(made))
    assert machine.apply(command("a", *touch, unless=["true"]), root="").result == "converged"
    assert machine.apply(command("a", *touch, onlyif=["false"]), root="").result == "converged"
    assert not made.exists()
    assert machine.apply(command("a", *touch, unless=["false"], creates=str(made)), root="").result == "changed"
    assert made.exists()
    assert machine.apply(command("a", *touch, creates=str(made)), root="").result == "converged"


@pytest.mark.parametrize("guard", ["unless", "onlyif", "probe"])
@pytest.mark.parametrize("program", ["missing", "endless"])
def test_a_guard_that_cannot_be_asked_is_neither_yes_nor_no(tmp_path: Path, guard: str, program: str) -> None:
    machine, made = Rooted(tmp_path), tmp_path / "made"
    argv = ["/no/such/program"] if program == "missing" else ["sleep", "60"]
    resource = command("a", "touch", str(made), timeout=1, **{guard: argv})
    change = machine.plan(resource, root="", guards=True).changes[0]
    assert (change.action, f"cannot be asked (`{guard}`" in change.reason) == ("refused", True)
    report = machine.apply(resource, root="")
    assert ([item.result for item in report.changes], machine.status) == (["refused"], 4)
    assert not made.exists()


def test_a_guard_that_says_no_decides_beside_one_that_cannot_be_asked(tmp_path: Path) -> None:
    machine = Rooted(tmp_path)
    for guards in ({"unless": ["true"], "onlyif": ["/no/such"]}, {"unless": ["/no/such"], "onlyif": ["false"]}):
        assert machine.plan(command("a", "false", **guards), root="", guards=True).changes == ()


@pytest.mark.parametrize(("says", "result"), [("exit 0", "changed"), ("exit 1", "changed"), ("", "failed")])
def test_a_guard_that_comes_with_the_run_is_asked_right_before(tmp_path: Path, says: str, result: str) -> None:
    machine, made, guard = Rooted(tmp_path / "m"), tmp_path / "made", tmp_path / "guard"
    script = f"#!/bin/sh\n{says}\n" if says else "#!/no/such/interpreter\n"
    brought = file(str(guard), script, mode="0755")
    resource = command("a", "touch", str(made), unless=[str(guard)])
    plan = {item.address.partition(":")[0]: item for item in machine.plan(brought, resource, root="", guards=True).changes}
    assert (plan["command"].action, plan["command"].confidence) == ("run", "conditional")
    assert "cannot be asked" in plan["command"].reason
    report = machine.apply(brought, resource, root="")
    assert report.changes[-1].result == result
    assert made.exists() is (says == "exit 1")


def test_what_was_notified_runs_whatever_its_guard_cannot_say(tmp_path: Path) -> None:
    machine, made = Rooted(tmp_path / "m"), tmp_path / "made"
    resource = command("a", "touch", str(made), unless=["/no/such"])
    assert machine.apply(file(str(tmp_path / "x"), "x", notify=["command:a"]), resource, root="").result == "changed"
    assert made.exists()


def test_what_a_refused_notifier_keeps_from_running_is_not_in_the_plan(tmp_path: Path) -> None:
    """Neither by itself, nor for another notifier, nor because a run before owes it."""
    machine, works = Rooted(tmp_path / "m"), tmp_path / "works"
    place, other = tmp_path / "conf", tmp_path / "other"
    notifiers = (file(str(place), "new", notify=["command:a"]), file(str(other), "new", notify=["command:a"]))
    refreshed = command("a", "test", "-e", str(works), refresh_only=True)
    place.mkdir()
    for wanted in (refreshed, command("a", "test", "-e", str(works), unless=["false"])):
        plan = machine.plan(*notifiers, wanted, root="", guards=True)
        last = plan.changes[-1]
        assert (last.address, last.action, last.causes) == ("command:a", "refused", (f"file:{place}",))
        assert last.reason == f"is notified by file:{place}, which is refused"
    place.rmdir()
    assert machine.apply(*notifiers, refreshed, root="").result == "failed"  # owed from here on
    place.unlink()
    place.mkdir()
    for _ in range(2):
        assert {item.action for item in machine.plan(*notifiers, refreshed, root="").changes} == {"refused"}
        assert [item.result for item in machine.apply(*notifiers, refreshed, root="").changes] == ["refused"]
    place.rmdir()
    works.touch()
    assert machine.apply(*notifiers, refreshed, root="").result == "changed"
    assert machine.apply(*notifiers, refreshed, root="").result == "converged"


def test_a_failing_command_tells_its_output_and_fails_the_run(tmp_path: Path) -> None:
    machine = Rooted(tmp_path)
    report = machine.apply(command("a", "sh", "-c", "echo it broke; exit 3"), root="")
    assert (machine.status, report.changes[0].message) == (4, "exit status 3: it broke")


def test_other_exit_statuses_may_be_a_success(tmp_path: Path) -> None:
    machine = Rooted(tmp_path)
    assert machine.apply(command("a", "sh", "-c", "exit 3", exit_codes=[0, 3]), root="").result == "changed"
    assert machine.apply(command("a", "true", exit_codes=[3]), root="").changes[0].message == "exit status 0: "


def test_a_shell_is_used_only_when_asked_and_the_plan_says_so(tmp_path: Path) -> None:
    machine, made = Rooted(tmp_path), tmp_path / "made; x"
    assert machine.apply(command("a", "echo $((1)) > /dev/null; false"), root="").result == "failed"
    script = ['printf %s "$1" | tr a b > "$2"', "aa; $(id)", str(made)]
    resource = Resource("command", "a", {"argv": script, "shell": True, "creates": str(made)})
    change = machine.plan(resource, root="").changes[0]
    assert (change.confidence, change.risk, change.reason) == ("opaque", "high", "a script for a shell")
    assert machine.apply(resource, root="").result == "changed"
    assert made.read_text() == "bb; $(id)"
    assert machine.apply(resource, root="").result == "converged"


def test_a_probe_decides_before_and_judges_after(tmp_path: Path) -> None:
    machine, made = Rooted(tmp_path), tmp_path / "made"
    probe = ["test", "-e", str(made)]
    report = machine.apply(command("a", "true", probe=probe), root="")
    assert (report.result, "its probe still says" in report.changes[0].message) == ("failed", True)
    assert machine.apply(command("a", "touch", str(made), probe=probe), root="").result == "changed"
    assert machine.apply(command("a", "touch", str(made), probe=probe), root="").result == "converged"


@pytest.mark.parametrize(
    ("output", "status", "is_right", "reason"),
    [
        ('{"in_sync": true}', 0, True, ""),
        ('{"in_sync": true}', 1, False, ""),
        ('{"in_sync": false, "reason": "two\\nlines"}', 0, False, "two\\x0alines"),
        ('{"in_sync": "yes"}', 1, False, ""),
        ("no json", 0, True, ""),
        ("[1]", 2, False, ""),
    ],
)
def test_what_a_probe_may_say(tmp_path: Path, output: str, status: int, is_right: bool, reason: str) -> None:
    machine = Rooted(tmp_path)
    probe = ["sh", "-c", 'printf "%s" "$1"; exit $2', "sh", output, str(status)]
    changes = machine.plan(command("a", "true", probe=probe), root="", guards=True).changes
    assert [change.reason for change in changes] == ([] if is_right else [reason])


def test_planning_runs_no_guard_unless_asked(tmp_path: Path) -> None:
    machine, made = Rooted(tmp_path), tmp_path / "made"
    resource = command("a", "true", unless=["touch", str(made)])
    assert machine.plan(resource, root="").changes[0].confidence == "conditional"
    assert not made.exists()
    assert machine.plan(resource, root="", guards=True).changes == ()
    assert made.exists()


def test_a_restart_that_a_failed_run_owes_is_done_by_the_next(tmp_path: Path) -> None:
    machine, works, count = Rooted(tmp_path), tmp_path / "works", tmp_path / "count"
    refreshed = command("reload", "sh", "-c", f"test -e {works} && echo x >> {count}", refresh_only=True)
    resources = (file(str(tmp_path / "conf"), "new", notify=["command:reload"]), refreshed)
    assert machine.apply(*resources, root="").result == "failed"
    works.touch()
    plan = machine.plan(*resources, root="")
    assert [(item.address, item.action, item.classification) for item in plan.changes] == [
        ("command:reload", "run", "corrective")
    ]
    assert machine.apply(*resources, root="").result == "changed"
    assert count.read_text() == "x\n"
    assert machine.apply(*resources, root="").result == "converged"


def test_a_command_that_changes_the_folders_is_seen_by_what_comes_after(tmp_path: Path) -> None:
    machine = Rooted(tmp_path / "m")
    place = tmp_path / "place"
    place.mkdir()
    swap = command("swap", "sh", "-c", f"mv {place} {place}.old && mkdir {place}", creates=f"{place}.old")
    report = machine.apply(file(f"{place}/a", "1"), swap, file(f"{place}/b", "2", needs=["command:swap"]), root="")
    assert report.result == "changed"
    assert (place / "b").exists()


def test_a_hash_written_into_the_project_is_refused() -> None:
    problems = check_attributes(UserSpec, {"password_hash": "$6$salt$hash"})
    assert [(item.code, item.key) for item in problems] == [("C105", "password_hash")]
    assert "$6$" not in problems[0].message


@pytest.mark.parametrize("name", ["argv", "probe", "timeout"])
def test_what_a_command_prints_that_got_secrets_is_reported_only_when_asked_for(tmp_path: Path, name: str) -> None:
    machine = Rooted(tmp_path)
    env = {"S": {"parts": [{"secret": "s", "from": "env", "key": "S"}]}}
    tell = ["sh", "-c", 'echo "x-$S" | rev; echo \'{"in_sync": false, "reason": "told by it"}\' >&2; exit 3']
    given = {
        "argv": {"argv": tell},
        "probe": {"argv": ["true"], "probe": ["sh", "-c", 'echo \'{"in_sync": false, "reason": "told by it"}\'']},
        "timeout": {"argv": ["sh", "-c", "echo told by it; sleep 60"], "timeout": 1},
    }[name]
    secrets = {"env:S": SECRET}
    silent = machine.apply(Resource("command", "a", {**given, "env": env}), root="", secrets=secrets).changes[0].message
    assert "told" not in silent
    assert SECRET[::-1] not in silent
    assert ("output: true" in silent) == (name == "argv")
    if name != "timeout":
        asked = Resource("command", "a", {**given, "env": env, "output": True})
        assert "told by it" in machine.apply(asked, root="", secrets=secrets).changes[0].message
