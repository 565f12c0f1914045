"""Laws of `plan`: against what it compares, what it selects, what it writes, how it exits; and that planning changes nothing."""

from __future__ import annotations

import json
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gitops.model.codec import decode_canonical
from gitops.model.fleetplan import FleetPlan
from gitops.model.plan import HostPlan
from tests.support.cli import Called, call
from tests.support.planning import observe, with_content
from tests.support.project import PROJECT, SMALL, Repository, write_files

SITE = """\
apiVersion: gitops/v1
kind: Host
metadata: {name: web-2, labels: {env: production, role: web}}
spec:
  resources:
    - file: /srv/site
      content: "site\\n"
---
apiVersion: gitops/v1
kind: Host
metadata: {name: db-1, labels: {env: production, role: db}}
spec:
  resources:
    - file: /etc/motd
      content: "hello\\n"
"""


@pytest.fixture
def project(tmp_path: Path) -> Repository:
    return Repository.make(tmp_path / "project", {**SMALL, "inventory/more.yaml": SITE})


def plan(project: Repository, *arguments: object) -> Called:
    return call("-C", project.path, "plan", "--format", "json", *arguments)


def hosts_of(called: Called) -> set[str]:
    return {host for group in called.json["groups"] for host in group["hosts"]}


def seen(folder: Path, *observations: dict[str, Any]) -> Path:
    path = folder / "seen.json"
    path.write_text(json.dumps({"observations": list(observations)}))
    return path


def saw(host: str, states: dict[str, Any], *, age: int = 4) -> dict[str, Any]:
    at = datetime.now(UTC) - timedelta(minutes=age)
    return {**observe(states).to_json(), "host": host, "at": at.strftime("%Y-%m-%dT%H:%M:%SZ")}


# ── The fleet ──


def test_everything_is_new_where_nothing_was_released(project: Repository) -> None:
    called = plan(project)
    assert called.status == 2
    assert hosts_of(called) == {"web-1", "web-2", "db-1"}
    assert called.json["schema"] == "gitops/plan/v2"
    assert called.json["observed"] == {"web-1": None, "web-2": None, "db-1": None}
    assert len(called.json["change_digest"]) == len(called.json["content_digest"]) == 64


def test_a_base_without_differences_is_exit_0(project: Repository) -> None:
    called = plan(project, "--base", "HEAD")
    assert (called.status, called.json["groups"]) == (0, [])
    assert called.json["subject"]["base"] == project.git("rev-parse", "HEAD")


def test_a_base_shows_what_changed_since(project: Repository) -> None:
    write_files(project.path, {"inventory/more.yaml": SITE.replace("site\\n", "other\\n")})
    called = plan(project, "--base", "HEAD")
    assert called.status == 2
    (group,) = called.json["groups"]
    assert (group["hosts"], group["changes"][0]["class"]) == (["web-2"], "intentional")
    assert group["changes"][0]["diff"] == ["@@ -1 +1 @@", "-site", "+other"]


def test_a_revision_is_planned_and_not_the_work_tree(project: Repository) -> None:
    write_files(project.path, {"inventory/more.yaml": SITE.replace("site\\n", "other\\n")})
    assert plan(project, "--rev", "HEAD", "--base", "HEAD").status == 0


def test_the_release_branch_is_the_baseline_here_or_fetched(project: Repository, tmp_path: Path) -> None:
    key = tmp_path / "key"
    assert call("release", "keygen", "--out", key).status == 0
    released = call("-C", project.path, "release", "--env", "production", "--key", key)
    assert released.status == 0, released.err
    called = plan(project)
    assert (called.status, called.json["groups"]) == (0, [])
    assert called.json["subject"]["base"] == project.git("rev-parse", "HEAD")
    write_files(project.path, {"inventory/more.yaml": SITE.partition("---")[0]})
    called = plan(project)
    assert called.json["groups"] == [{"hosts": ["db-1"], "changes": [], "unmanaged": ["file:/etc/motd"]}]
    assert plan(project, "--host", "db-1").status == 2
    clone = Repository(tmp_path / "clone")
    project.git("clone", "-q", str(project.path), str(clone.path))
    assert plan(clone).status == 0


def test_observations_make_it_exact_and_the_newest_counts(project: Repository, tmp_path: Path) -> None:
    old = saw("web-1", {"file:/etc/motd": {"type": "absent", "parents": []}}, age=60)
    new = saw("web-1", {"file:/etc/motd": with_content("hello\n")}, age=1)
    called = plan(project, "--observations", seen(tmp_path, new, old), "--host", "web-1")
    assert called.status == 2  # nothing to do there, but it was never approved
    assert called.json["groups"] == []
    assert called.json["scope"]["hosts"] == 1
    text = call("-C", project.path, "plan", "--observations", tmp_path / "seen.json", "--host", "web-1").out
    assert "observed 1 min ago" in text
    assert "wanted otherwise, with nothing to do today, on web-1" in text


def test_a_single_observation_document_is_enough(project: Repository, tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text(json.dumps(saw("web-1", {"file:/etc/motd": with_content("x\n")})))
    called = plan(project, "--observations", path, "--host", "web-1")
    assert [change["action"] for change in called.json["groups"][0]["changes"]] == ["update"]


@pytest.mark.parametrize(
    ("selectors", "hosts"),
    [
        (["web-1"], {"web-1"}),
        (["web-*"], {"web-1", "web-2"}),
        (["web-1", "db-1"], {"web-1", "db-1"}),
        (["role=web"], {"web-1", "web-2"}),
        (["*-1", "role=web"], {"web-1"}),
    ],
)
def test_names_and_globs_add_and_labels_narrow(project: Repository, selectors: list[str], hosts: set[str]) -> None:
    arguments = [word for selector in selectors for word in ("--host", selector)]
    assert hosts_of(plan(project, *arguments)) == hosts


def test_only_restricts_to_an_address(project: Repository) -> None:
    called = plan(project, "--only", "file:/srv/site")
    assert hosts_of(called) == {"web-2"}


def test_out_writes_the_stored_form_once(project: Repository, tmp_path: Path) -> None:
    out = tmp_path / "plan.json"
    called = plan(project, "--out", out)
    document: Any = decode_canonical(out.read_bytes())
    stored = FleetPlan.from_json(document["plan"])
    assert stored.content_digest == called.json["content_digest"]
    assert stored.change_digest == called.json["change_digest"]
    again = plan(project, "--out", out)
    assert (again.status, again.out) == (1, "")
    assert "exists" in again.err


def test_an_address_is_shown_as_it_is_on_each_host(project: Repository) -> None:
    rows = "".join(
        f"---\napiVersion: gitops/v1\nkind: Host\nmetadata: {{name: n{number}, labels: {{env: production}}}}\n"
        f'spec: {{resources: [{{file: /etc/own, content: "I am {number}\\n"}}]}}\n'
        for number in range(7)
    )
    write_files(project.path, {"inventory/many.yaml": rows})
    whole = call("-C", project.path, "plan").out
    assert "differs per host: 7 variants, shown is that of n0" in whole
    assert "+I am 0" in whole
    assert "+I am 3" not in whole
    called = plan(project, "--address", "file:/etc/own")
    assert (called.status, called.json["schema"]) == (2, "gitops/plan-address/v1")
    assert [(group["hosts"], group["changes"][0]["diff"][-1]) for group in called.json["groups"]] == [
        ([f"n{number}"], f"+I am {number}") for number in range(7)
    ]
    alone = call("-C", project.path, "plan", "--address", "file:/etc/own", "--host", "n3")
    assert (alone.status, "+I am 3" in alone.out, "on n3" in alone.out) == (2, True, True)
    nothing = call("-C", project.path, "plan", "--address", "file:/nowhere")
    assert (nothing.status, nothing.out) == (0, "The plan changes no file:/nowhere on these hosts.\n")


@pytest.mark.parametrize(
    ("arguments", "status", "word"),
    [
        (["--live", "--host", "web-1", "--address", "file:/x"], 1, "take --only"),
        (["--live", "--host", "web-1"], 1, "its own agent"),
        (["--live"], 1, "--host SEL"),
        (["--live", "--host", "web-1", "--base", "HEAD"], 1, "--live"),
        (["--live", "--host", "web-1", "--root", "x"], 1, "absolute path"),
        (["--only", "file:/nope"], 1, "no resource file:/nope"),
        (["--only", "nope"], 1, "not an address"),
        (["--host", "nobody"], 1, "no host matches"),
        (["--env", "nowhere"], 1, "no environment"),
        (["--base", "nowhere"], 7, "no revision"),
        (["--rev", "nowhere"], 7, "no revision"),
        (["--observations", "/nowhere"], 1, "cannot read"),
        (["--guards"], 1, "--local"),
        (["--local"], 1, "exactly one"),
        (["--local", "--host", "nobody"], 1, "no host `nobody`"),
        (["--local", "--host", "web-1", "--base", "HEAD"], 1, "--local"),
        (["--local", "--host", "web-1", "--env", "staging"], 1, "not in `staging`"),
        (["--out", "/nowhere/plan.json"], 1, "cannot write"),
    ],
)
def test_mistakes_are_said(project: Repository, arguments: list[str], status: int, word: str) -> None:
    called = plan(project, *arguments)
    assert (called.status, called.out) == (status, "")
    assert word in called.err


def test_a_malformed_observation_is_refused(project: Repository, tmp_path: Path) -> None:
    called = plan(project, "--observations", seen(tmp_path, {**saw("web-1", {}), "more": 1}))
    assert called.status == 1
    assert "unknown key `more`" in called.err


def test_a_config_with_mistakes_plans_nothing(project: Repository) -> None:
    write_files(project.path, {"inventory/bad.yaml": "apiVersion: gitops/v1\nkind: Nope\n"})
    called = plan(project)
    assert (called.status, called.out) == (1, "")
    assert "inventory/bad.yaml" in called.err


def test_a_folder_without_git_is_planned_against_nothing(tmp_path: Path) -> None:
    write_files(tmp_path, SMALL)
    assert call("-C", tmp_path, "plan").status == 2


# ── This machine ──


def local(project: Repository, root: Path, *arguments: object) -> Called:
    return call("-C", project.path, "plan", "--local", "--host", "web-1", "--root", root, "--format", "json", *arguments)


def test_a_root_is_planned_as_it_is(project: Repository, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    called = local(project, root)
    assert called.status == 2
    assert [change["address"] for change in called.json["groups"][0]["changes"]] == ["directory:/etc", "file:/etc/motd"]
    write_files(root, {"etc/motd": "hello\n"})
    called = local(project, root)
    assert (called.status, called.json["groups"], called.json["unchanged"]) == (0, [], 1)
    assert called.json["summary"] == {"hosts": 1, "groups": 0, "unchanged": 1, "changed_hosts": 0, "changes": 0}
    (root / "etc/motd").unlink()
    (root / "etc/motd").mkdir()
    assert local(project, root).status == 4


def test_a_local_plan_can_be_kept(project: Repository, tmp_path: Path) -> None:
    root, out = tmp_path / "root", tmp_path / "plan.json"
    root.mkdir()
    local(project, root, "--out", out)
    assert HostPlan.from_json(decode_canonical(out.read_bytes())).host == "web-1"


Trace = dict[str, tuple[object, ...]]


def trace(folder: Path) -> Trace:
    """Everything that planning must not touch: content, kind, mode, owner, link count, mtime, ctime."""
    found: Trace = {}
    for path in sorted([folder, *folder.rglob("*")]):
        seen_ = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(seen_.st_mode) else str(path.readlink()) if path.is_symlink() else ""
        found[str(path)] = (
            content,
            seen_.st_mode,
            seen_.st_uid,
            seen_.st_gid,
            seen_.st_nlink,
            seen_.st_ino,
            seen_.st_mtime_ns,
            seen_.st_ctime_ns,
        )
    return found


EVERYTHING = (
    PROJECT
    + """\
---
apiVersion: gitops/v1
kind: Host
metadata: {name: web-1, labels: {env: production}}
spec:
  resources:
    - file: /etc/changed
      content: "new\\n"
      mode: "0600"
    - file: /etc/link
      content: "x\\n"
    - file: /etc/gone
      state: absent
    - directory: /srv/data
      purge: true
      mode: "0700"
    - directory: /srv/old
      state: absent
      recurse: true
    - symlink: /etc/alias
      target: /etc/changed
    - file: /deep/er/than/this
      content: "x\\n"
    - file: /etc/refused
      content: "x\\n"
"""
)


def test_planning_changes_nothing_in_a_root_nor_in_the_project(tmp_path: Path) -> None:
    project = Repository.make(tmp_path / "project", {"gitops.yaml": EVERYTHING})
    root = write_files(
        tmp_path / "root",
        {"etc/changed": "old\n", "etc/gone": "x", "srv/data/extra": "x", "srv/old/x": "x", "etc/refused/x": "x"},
    )
    (root / "etc/link").symlink_to("changed")
    (root / "etc/alias").symlink_to("elsewhere")
    before, tree = trace(root), trace(project.path)
    for arguments in ([], ["--guards"], ["--only", "file:/etc/changed"]):
        called = local(project, root, *arguments)
        assert called.status in (2, 4), called.err
    assert len(local(project, root).json["groups"][0]["changes"]) >= 9
    assert trace(root) == before
    assert trace(project.path) == tree


def test_planning_this_machine_itself_changes_nothing_there(tmp_path: Path) -> None:
    """Without --root: everything managed lies below the test's own folder, which stands for the machine."""
    here = write_files(
        tmp_path / "machine",
        {"etc/changed": "old\n", "etc/gone": "x", "srv/data/extra": "x", "srv/old/x": "x", "etc/refused/x": "x"},
    )
    config = EVERYTHING
    for path in ("/etc/", "/srv/", "/deep/"):
        config = config.replace(f": {path}", f": {here}{path}")
    config += f"    - command: touch\n      argv: [touch, {here}/ran]\n      unless: [sh, -c, 'touch {here}/guard-ran; false']\n"
    project = Repository.make(tmp_path / "project", {"gitops.yaml": config})
    state = Path(os.environ["GITOPS_STATE_DIR"])
    before = trace(here)
    called = call("-C", project.path, "plan", "--local", "--host", "web-1", "--format", "json")
    assert called.status == 4, called.err  # one is refused
    assert trace(here) == before
    assert not state.exists()
    run = [change for change in called.json["changes"] if change["address"] == "command:touch"]
    assert [(change["action"], change["confidence"]) for change in run] == [("run", "conditional")]


@pytest.mark.parametrize("against", ["a revision", "a release"])
def test_another_way_to_a_host_is_shown(project: Repository, tmp_path: Path, against: str) -> None:
    if against == "a release":
        assert call("release", "keygen", "--out", tmp_path / "key").status == 0
        assert call("-C", project.path, "release", "--env", "production", "--key", tmp_path / "key").status == 0
    base = ("--base", "HEAD") if against == "a revision" else ()
    before = (project.path / "gitops.yaml").read_text(encoding="utf-8")
    assert plan(project, *base).status == 0
    write_files(project.path, {"gitops.yaml": before.replace("hosts: {", "source: trunk\n      hosts: {", 1)})
    called = plan(project, *base)
    (group,) = called.json["groups"]
    assert (called.status, group["hosts"], group["changes"][0]["address"]) == (2, ["*"], "environment:production")
    assert [field["name"] for field in group["changes"][0]["fields"]] == ["source"]
    assert "environment:production" in call("-C", project.path, "plan", *base).out
    assert plan(project, *base, "--host", "db-1").status == 2
    assert plan(project, *base, "--host", "db-1", "--only", "file:/etc/motd").status == 0


def test_rules_that_cannot_be_read_here_are_said_to_be_unknown(project: Repository, tmp_path: Path) -> None:
    assert call("release", "keygen", "--out", tmp_path / "key").status == 0
    assert call("-C", project.path, "release", "--env", "production", "--key", tmp_path / "key").status == 0
    project.git("checkout", "-q", "--orphan", "other")
    project.commit({}, "no history")
    project.git("branch", "-q", "-D", "main")
    project.git("reflog", "expire", "--expire=now", "--all")
    project.git("gc", "-q", "--prune=now")
    called = call("-C", project.path, "plan")
    assert (called.status, "whether the rules of production change is not shown" in called.err) == (0, True)
