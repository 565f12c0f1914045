"""`apply --host` and `plan --live` against real sshds: one plan for all, asked once, stopped in time, told apart at the end."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitops.cli.push import split_waves, worst_status
from gitops.model.codec import encode_canonical
from gitops.model.scope import Scope
from gitops.model.scopetree import plant
from tests.support.cli import Called, call
from tests.support.project import PROJECT, write_files
from tests.support.sshd import Fleet, serve_ssh

HOST = """\
apiVersion: gitops/v1
kind: Host
metadata: {{name: {name}, labels: {{env: production, role: web}}}}
spec: {{connection: {connection}, address: "{address}", vars: {{base: {base}}}}}
"""
GROUP = """\
apiVersion: gitops/v1
kind: Group
metadata: {name: web}
spec:
  selector: {role: web}
  resources:
"""
FILE = '    - {file: "${vars.base}/motd", content: "hello\\n"}\n'
ALIASES = ("web-1", "web-2", "web-3")


class Pushed:
    """A project of hosts behind one sshd; each manages files in a folder of its own."""

    def __init__(self, folder: Path, fleet: Fleet) -> None:
        self.folder, self.fleet = folder, fleet
        self.project = folder / "project"
        self.declare(FILE)

    def base(self, alias: str) -> Path:
        return self.folder / "managed" / alias

    def declare(self, resources: str, *, project: str = PROJECT, files: dict[str, str | bytes] | None = None) -> None:
        texts: dict[str, str | bytes] = {"gitops.yaml": project, "groups/web.yaml": GROUP + resources, **(files or {})}
        for alias in ALIASES:
            self.base(alias).mkdir(parents=True, exist_ok=True)
            texts[f"inventory/{alias}.yaml"] = self.host(alias)
        write_files(self.project, texts)

    def host(self, alias: str, *, connection: str = "ssh", address: str = "") -> str:
        return HOST.format(name=alias, connection=connection, address=address, base=self.base(alias))

    def call(self, *arguments: object, env: dict[str, str] | None = None) -> Called:
        return call("-C", self.project, *arguments, "--ssh-config", self.fleet.config, env=env)

    def apply(self, *arguments: object, env: dict[str, str] | None = None) -> Called:
        return self.call("apply", "--yes", *arguments, env=env)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with serve_ssh(tmp_path_factory.mktemp("ssh"), *ALIASES) as served:
        yield served


@pytest.fixture
def pushed(tmp_path: Path, fleet: Fleet) -> Pushed:
    for alias in ALIASES:
        shutil.rmtree(fleet.home(alias) / "state", ignore_errors=True)
    return Pushed(tmp_path, fleet)


def test_all_hosts_are_planned_as_one_applied_and_then_have_nothing_to_do(pushed: Pushed) -> None:
    first = pushed.apply("--host", "web-*", "--format", "json")
    assert first.status == 0, first.err
    assert (first.json["schema"], first.json["plan"]["schema"]) == ("gitops/pushed/v1", "gitops/plan/v2")
    assert [(report["host"], report["result"]) for report in first.json["reports"]] == [(alias, "changed") for alias in ALIASES]
    assert {(pushed.base(alias) / "motd").read_text() for alias in ALIASES} == {"hello\n"}
    again = pushed.apply("--host", "role=web", "--format", "json")
    assert (again.status, {report["result"] for report in again.json["reports"]}) == (0, {"converged"})


def test_equal_changes_are_one_group_and_drift_is_put_back(pushed: Pushed) -> None:
    pushed.declare('    - {file: "/tmp/trueup-never-made/motd", content: "hello\\n"}\n')
    shown = pushed.call("plan", "--live", "--host", "web-*", "--format", "json")
    assert (shown.status, [group["hosts"] for group in shown.json["groups"]]) == (2, [list(ALIASES)])
    pushed.declare(FILE)
    pushed.apply("--host", "web-*")
    (pushed.base("web-2") / "motd").write_text("drift")
    drifted = pushed.call("plan", "--live", "--host", "web-*")
    assert (drifted.status, "put back" in drifted.out, "web-2" in drifted.out) == (2, True, True)
    done = pushed.apply("--host", "web-*")
    assert (done.status, "1 changed, 2 converged" in done.err) == (0, True)
    assert (pushed.base("web-2") / "motd").read_text() == "hello\n"


def test_a_dry_run_asks_nobody_and_changes_nothing(pushed: Pushed) -> None:
    dry = pushed.call("apply", "--host", "web-*", "--dry-run")
    assert (dry.status, list(pushed.base("web-1").iterdir())) == (2, [])
    refused = pushed.call("apply", "--host", "web-*")
    assert (refused.status, "U062" in refused.err, list(pushed.base("web-1").iterdir())) == (1, True, [])
    (pushed.base("web-1") / "motd").mkdir()
    assert pushed.call("apply", "--host", "web-1", "--dry-run").status == 4
    assert pushed.call("apply", "--yes").status == 1


def test_a_root_below_which_files_go_is_a_folder_on_the_host(pushed: Pushed, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    pushed.declare('    - {file: "/etc/motd", content: "hello\\n"}\n')
    assert pushed.apply("--host", "web-1", "--root", root, "--state", tmp_path / "state").status == 0
    assert (root / "etc/motd").read_text() == "hello\n"
    for wrong in ("/", "relative", "/a/../b"):
        assert "U041" in pushed.apply("--host", "web-1", "--root", wrong).err


def test_only_hosts_that_are_reached_over_ssh_and_have_a_sane_address_are_pushed_to(pushed: Pushed) -> None:
    for changed, code in ((("agent", ""), "U060"), (("local", ""), "U060"), (("ssh", "-oProxyCommand=id"), "C360")):
        write_files(pushed.project, {"inventory/web-3.yaml": pushed.host("web-3", connection=changed[0], address=changed[1])})
        refused = pushed.apply("--host", "web-*")
        assert (refused.status, code in refused.err, list(pushed.base("web-1").iterdir())) == (1, True, [])


def test_hosts_of_two_environments_are_not_pushed_to_at_once(pushed: Pushed) -> None:
    staging = "    staging:\n      hosts: {env: staging}\n"
    other = pushed.host("web-3").replace("env: production", "env: staging")
    write_files(pushed.project, {"gitops.yaml": PROJECT + staging, "inventory/web-3.yaml": other})
    assert "several environments" in pushed.apply("--host", "web-*").err


def test_a_missing_secret_stops_before_any_host_is_asked_and_a_value_reaches_only_the_file(pushed: Pushed) -> None:
    secret = PROJECT.replace("spec:\n", "spec:\n  secrets:\n    password: {from: env, key: GITOPS_SECRET_DB_PASSWORD}\n", 1)
    pushed.declare('    - {file: "${vars.base}/key", content: "pw=${secret.password}"}\n', project=secret)
    missing = pushed.apply("--host", "web-*")
    assert (missing.status, "password (env:GITOPS_SECRET_DB_PASSWORD)" in missing.err) == (1, True)
    done = pushed.apply("--host", "web-*", env={"GITOPS_SECRET_DB_PASSWORD": "hunter2-pushed"})
    assert (done.status, (pushed.base("web-1") / "key").read_text()) == (0, "pw=hunter2-pushed")
    assert "hunter2" not in done.out + done.err
    kept = [path.read_bytes() for path in pushed.fleet.folder.rglob("*") if path.is_file()]
    assert not any(b"hunter2" in data for data in kept)


def test_contents_from_files_arrive_and_only_where_they_are_wanted(pushed: Pushed) -> None:
    data = os.urandom(200_000)
    pushed.declare('    - {file: "${vars.base}/tool", source: tool.bin}\n', files={"files/tool.bin": data})
    done = pushed.apply("--host", "web-*")
    assert done.status == 0, done.err
    assert {(pushed.base(alias) / "tool").read_bytes() for alias in ALIASES} == {data}
    assert [pushed.fleet.contents(alias) for alias in ALIASES] == [[], [], []]


FACT = "apiVersion: gitops/v1\nkind: Fact\nmetadata: {name: rack}\nspec: {program: facts/rack}\n"
RACK = "#!/bin/sh\necho r1\n"


def test_programs_that_tell_custom_facts_travel_and_are_asked_there(pushed: Pushed) -> None:
    pushed.declare(
        FILE.replace("}\n", ", when: {custom.rack: r1}}\n")
        + FILE.replace("motd", "other").replace("}\n", ", when: {custom.rack: r2}}\n"),
        files={"facts/facts.yaml": FACT, "facts/rack": RACK},
    )
    bound = pushed.call("plan", "--live", "--host", "web-1", "--format", "json")
    assert [item["confidence"] for item in bound.json["groups"][0]["changes"]] == ["conditional"] * 2
    exact = pushed.call("plan", "--live", "--host", "web-1", "--guards", "--format", "json")
    assert [item["address"] for item in exact.json["groups"][0]["changes"]] == [f"file:{pushed.base('web-1')}/motd"], exact.err
    assert pushed.apply("--host", "web-1").status == 0
    assert [path.name for path in pushed.base("web-1").iterdir()] == ["motd"]
    again = pushed.call("plan", "--live", "--host", "web-1", "--guards")
    assert again.status == 0, again.out
    assert pushed.fleet.contents("web-1") == []


def test_a_host_that_cannot_be_reached_stops_all_unless_it_may_fail(pushed: Pushed) -> None:
    write_files(pushed.project, {"inventory/web-2.yaml": pushed.host("web-2", address="127.0.0.1:1")})
    stopped = pushed.apply("--host", "web-*", "--format", "json")
    assert (stopped.status, stopped.json["reports"], stopped.json["not_begun"]) == (7, [], ["web-1", "web-3"])
    assert [(error["host"], error["code"], error["exit"]) for error in stopped.json["errors"]] == [("web-2", "R040", 7)]
    assert list(pushed.base("web-1").iterdir()) == []
    out = pushed.folder / "plan.json"
    live = pushed.call("plan", "--live", "--host", "web-*", "--out", out, "--format", "json")
    assert (live.status, out.exists(), "R040" in live.err) == (7, False, True)
    on = pushed.apply("--host", "web-*", "--max-failures", "34%")
    assert (on.status, (pushed.base("web-3") / "motd").exists(), "1 with an error" in on.err) == (7, True, True)
    assert "U064" in pushed.apply("--host", "web-*", "--max-failures", "some").err


def test_after_a_failure_no_other_host_begins(pushed: Pushed) -> None:
    pushed.declare('    - {file: "${vars.base}/motd", content: "x", validate: ["false"]}\n')
    stopped = pushed.apply("--host", "web-*", "--parallel", "1")
    assert (stopped.status, "2 not begun" in stopped.err, "failed: web-1" in stopped.err) == (4, True, True)
    assert "E230" in stopped.err or "did not accept" in stopped.err
    all_of_them = pushed.apply("--host", "web-*", "--max-failures", "100%", "--format", "json")
    assert (all_of_them.status, [report["result"] for report in all_of_them.json["reports"]]) == (4, ["failed"] * 3)


def test_a_plan_file_covers_what_it_says_and_nothing_more(pushed: Pushed) -> None:
    out = pushed.folder / "plan.json"
    assert pushed.call("plan", "--live", "--host", "web-*", "--out", out).status == 2
    grown = FILE + '    - {file: "${vars.base}/more", content: "x"}\n'
    pushed.declare(grown)
    held = pushed.apply(out)
    assert (held.status, "more than the plan file covers" in held.err, "/more" in held.err) == (3, True, True)
    assert list(pushed.base("web-1").iterdir()) == []
    pushed.declare(FILE)
    done = pushed.apply(out)
    assert (done.status, (pushed.base("web-3") / "motd").read_text()) == (0, "hello\n")
    whole = out.read_text()
    edited = json.loads(whole)
    nothing = plant(Scope())
    edited["plan"]["scope"]["root"] = nothing.root
    edited["parts"].append(json.loads(nothing.documents[nothing.root]))
    out.write_bytes(encode_canonical(edited))
    assert "was edited" in pushed.apply(out).err
    edited = json.loads(whole)
    edited["parts"] = [part for part in edited["parts"] if part["schema"] != "gitops/scope/v1"]
    out.write_bytes(encode_canonical(edited))
    assert "is not there" in pushed.apply(out).err
    out.write_text("{}")
    assert "is not a plan" in pushed.apply(out).err
    assert pushed.apply(pushed.folder / "nowhere").status == 1


def test_a_plan_of_another_project_is_refused(pushed: Pushed) -> None:
    out = pushed.folder / "plan.json"
    pushed.call("plan", "--out", out)
    write_files(pushed.project, {"gitops.yaml": PROJECT.replace("acme", "other")})
    assert "is a plan of the project `acme`" in pushed.apply(out, "--host", "web-1").err


def test_a_plan_of_this_machine_is_applied_when_it_covers(pushed: Pushed) -> None:
    out, here = pushed.folder / "plan.json", ("--local", "--host", "web-1")
    pushed.call("plan", *here, "--out", out)
    pushed.declare(FILE.replace("hello", "other"))
    assert pushed.apply(out, *here).status == 3
    pushed.declare(FILE)
    assert pushed.apply(out, *here).status == 0


def test_the_worst_ending_counts() -> None:
    assert [worst_status(found) for found in ([], [0], [2, 3], [3, 7], [7, 5], [5, 4], [4, 70])] == [0, 0, 3, 7, 5, 4, 70]


def test_the_last_run_of_each_host_is_undone_after_it_was_shown(pushed: Pushed) -> None:
    assert pushed.apply("--host", "web-*").status == 0
    listed = pushed.call("runs", "list", "--host", "web-*", "--format", "json").json
    assert {host: [row["result"] for row in rows] for host, rows in listed["hosts"].items()} == {
        alias: ["changed"] for alias in ALIASES
    }
    shown = pushed.call("rollback", "last", "--host", "role=web", "--dry-run")
    assert (shown.status, f"undo  {pushed.base('web-1')}/motd: back to absent" in shown.out) == (2, True), shown.err
    undone = pushed.call("rollback", "last", "--host", "role=web", "--yes")
    assert (undone.status, "3 hosts: 3 undone" in undone.err) == (0, True)
    assert [path.name for path in (pushed.folder / "managed").rglob("motd")] == []
    again = pushed.call("rollback", "last", "--host", "web-1", "--yes", "--format", "json")
    assert (again.status, "was an undoing itself" in again.err) == (1, True)


def test_one_run_is_undone_on_its_own_host_alone(pushed: Pushed) -> None:
    report = pushed.apply("--host", "web-1", "--host", "web-2", "--format", "json").json["reports"][0]
    many = pushed.call("rollback", report["run"], "--host", "web-*", "--yes")
    assert (many.status, "U097" in many.err) == (1, True)
    other = pushed.call("rollback", report["run"], "--host", "web-3", "--yes")
    assert other.status == 1
    undone = pushed.call("rollback", report["run"], "--host", "web-1", "--yes", "--format", "json")
    assert [item["result"] for item in undone.json["reports"]] == ["reverted"]
    assert not (pushed.base("web-1") / "motd").exists()
    assert (pushed.base("web-2") / "motd").exists()


def test_a_host_without_runs_has_nothing_to_undo(pushed: Pushed) -> None:
    found = pushed.call("rollback", "last", "--host", "web-1", "--dry-run", "--format", "json")
    assert found.status == 1
    assert [item["code"] for item in found.json["errors"]] == ["U096"]
    assert call("rollback", "last").status == 1


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("", [10]),
        ("1", [1] * 10),
        ("1,3", [1, 3, 3, 3]),
        ("1,20%,50%", [1, 2, 5, 2]),
        ("5%", [1] * 10),
        ("100%", [10]),
        ("99", [10]),
    ],
)
def test_waves_are_numbers_or_shares_of_all_and_the_last_goes_on(text: str, sizes: list[int]) -> None:
    hosts = [f"h{number}" for number in range(10)]
    waves = list(split_waves(hosts, text))
    assert [len(wave) for wave in waves] == sizes
    assert [host for wave in waves for host in wave] == hosts
    assert list(split_waves([], text)) == []


@pytest.mark.parametrize("text", ["0", "-1", "x", "1,,2", "1.5", "%"])
def test_waves_that_cannot_be_are_refused_before_anything(pushed: Pushed, text: str) -> None:
    called = pushed.apply("--host", "web-*", "--waves", text)
    assert (called.status, "U064" in called.err) == (1, True)


def test_after_a_wave_with_failures_no_other_begins(pushed: Pushed) -> None:
    (pushed.base("web-1") / "motd").mkdir(parents=True)  # refused there
    called = pushed.apply("--host", "web-*", "--waves", "1,2", "--format", "json")
    assert called.status == 4
    assert called.json["not_begun"] == ["web-2", "web-3"]
    goes_on = pushed.apply("--host", "web-*", "--waves", "1,2", "--max-failures", "1", "--format", "json")
    assert sorted(item["result"] for item in goes_on.json["reports"]) == ["changed", "changed", "failed"]
