"""A test host under management: projects compiled here, the executor's archive run there, its events read back.

machine = Managed.start(host)
plan = machine.plan(RESOURCES)            # YAML of a host's resources
report = machine.apply(RESOURCES)         # asserts nothing about the result
machine.rollback(report.run)

Instead of YAML, each takes what was compiled elsewhere (Graphs) that has a host of this name.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gitops.model.address import parse_address
from gitops.model.codec import Json, decode_json, encode_canonical
from gitops.model.graph import Graphs
from gitops.model.plan import HostPlan
from gitops.model.report import Report
from gitops.model.resource import Resource
from gitops.model.wire import Event, Request
from gitops.pipeline.project import build_tree
from gitops.source.snapshot import snapshot_folder
from gitops.transport.payload import build_payload
from tests.support.hosts import TestHost
from tests.support.project import PROJECT, write_files
from tests.support.tools import run_there

FOLDER, BLOBS, STATE = "/opt/trueup/executor", "/opt/trueup/blobs", "/var/lib/gitops"
SECRETS = "  secrets:\n    ann_hash: {from: env, key: ANN_HASH}\n    token: {from: env, key: TOKEN}\n"
EXECUTOR = ("python3", "-I", "-S", "-B", FOLDER)
SYSTEMD_WRITES = ("/var/log", "/var/tmp", "/var/lib/systemd/", "/tmp")  # goes on doing so
# rpm's SQLite, dnf, zypper and PostgreSQL keep books of their readers, and dnf links packages of a local source.
RPM_BOOKS = (
    "/root/.rpmdb/",
    "/var/lib/rpm/",
    "/var/lib/dnf/",
    "/var/cache/dnf",
    "/var/cache/libdnf5/",
    "/var/cache/zypp/",
    "/srv/rpms/",
    "/srv/preferred/",
)
UNWATCHED = (*SYSTEMD_WRITES, *RPM_BOOKS, "/var/lib/postgresql/")
SUPERVISED = "/supervise"  # where runit keeps what it sees


@dataclass(frozen=True)
class Answer:
    """What the executor said: its exit status and its events."""

    status: int
    events: tuple[Event, ...]

    def body(self, name: str) -> Json:
        """Give the body of the last event of a name."""
        found = [event.body for event in self.events if event.event == name]
        assert found, f"no `{name}` in {[event.to_json() for event in self.events]}"
        return found[-1]

    @property
    def plan(self) -> HostPlan:
        return HostPlan.from_json(self.body("plan"))

    @property
    def report(self) -> Report:
        return Report.from_json(self.body("report"))


def unpack_executor(folder: Path, root: Path) -> Path:
    """Unpack the executor's archive and compile it with the Python of a root file system, as a machine keeps it; give the folder."""
    with zipfile.ZipFile(io.BytesIO(build_payload())) as archive:
        archive.extractall(folder)
    run_there(root, folder, ["python3", "-m", "compileall", "-q", "/mnt"])
    return folder


def compile_resources(folder: Path, resources: str, host: str) -> Graphs:
    """Compile a project with one host that lists these resources (YAML)."""
    indented = "".join(f"    {line}\n" for line in resources.splitlines())
    text = f"apiVersion: gitops/v1\nkind: Host\nmetadata: {{name: {host}, labels: {{env: production}}}}\nspec:\n  resources:\n"
    write_files(folder, {"gitops.yaml": PROJECT + SECRETS, "inventory/host.yaml": text + indented})
    return build_tree(snapshot_folder(folder)).compiled.graphs["production"]


class Managed:
    """One host; its projects are compiled in a folder of this machine."""

    def __init__(self, host: TestHost, folder: Path) -> None:
        self.host = host
        self._folder = folder
        self.resources: tuple[Resource, ...] = ()

    @staticmethod
    def start(host: TestHost, folder: Path, executor: Path) -> Managed:
        """Put an unpacked executor (`unpack_executor`) on the host."""
        host.copy_in(executor, FOLDER)
        (host.path / BLOBS.lstrip("/")).mkdir()
        return Managed(host, folder)

    def send(self, request: Request) -> Answer:
        """Run the executor there with a request."""
        done = self.host.run(EXECUTOR, data=encode_canonical(request.to_json()), check=False)
        events = [Event.from_json(decode_json(line.encode())) for line in done.out.splitlines()]
        assert events, f"the executor ended with {done.status}: {done.err}"
        return Answer(done.status, tuple(events))

    def request(self, operation: str, resources: str | Graphs, *, only: Sequence[str] = ()) -> Request:
        """Compile and make a request; contents are laid out on the host."""
        graphs = resources if isinstance(resources, Graphs) else compile_resources(self._folder, resources, self.host.name)
        self.resources = graphs.resources_of(self.host.name)
        for digest, data in graphs.blobs.items():
            write_files(self.host.path / BLOBS.lstrip("/"), {f"{digest[:2]}/{digest}": data})
        return Request(
            operation=operation,
            host=self.host.name,
            environment="production",
            resources=self.resources,
            only=tuple(parse_address(item) for item in only),
            blobs=BLOBS,
            state=STATE,
        )

    def plan(self, resources: str | Graphs, *, guards: bool = False) -> HostPlan:
        """Plan, changing nothing: what a walk over the machine says of it is the same after as before."""
        request = replace(self.request("plan", resources), guards=guards)
        before = self.walk()
        plan = self.send(request).plan
        assert list_changed(before, self.walk()) == []
        return plan

    def apply(self, resources: str | Graphs) -> Answer:
        """Apply."""
        return self.send(self.request("apply", resources))

    def apply_as_unit(self, resources: str | Graphs, *properties: str, is_awaited: bool = True) -> list[Event]:
        """Apply as a service of the host (with these properties), which is ended with it as the agent is; wait for the end of that, or
        for the host to be up again; give what the executor said.
        """
        files = {name: self.host.path / "var/lib" / name for name in ("request", "events")}
        files["request"].write_bytes(encode_canonical(self.request("apply", resources).to_json()))
        files["events"].write_bytes(b"")
        given = ("StandardInput=file:/var/lib/request", "StandardOutput=append:/var/lib/events", *properties)
        settings = [word for item in given for word in ("-p", item)]
        command = [
            "systemd-run",
            "-q",
            "--collect",
            *(["--wait"] if is_awaited else []),
            *settings,
            "/usr/bin/python3",
            *EXECUTOR[1:],
        ]
        if is_awaited:
            self.host.run(command, check=False)
        else:
            self.host.await_reboot(command)
        return [Event.from_json(decode_json(line)) for line in files["events"].read_bytes().splitlines()]

    def converge(self, resources: str | Graphs) -> Report:
        """Plan, apply, and check that what happened is what was planned, and that nothing is left to do."""
        planned = self.plan(resources, guards=True)
        report = self.apply(resources).report
        sure = {
            item.address for item in planned.changes if item.confidence == "exact"
        }  # what comes before may change how the rest is done
        happened = [(item.address, item.action if item.address in sure else "", item.result) for item in report.changes]
        expected = [(item.address, item.action if item.address in sure else "", "changed") for item in planned.changes]
        assert happened == expected, describe(report)
        before = self.walk()
        again = self.apply(resources)
        assert (again.report.result, again.plan.changes, again.report.changes) == ("converged", (), ()), describe(again.report)
        changed = [path for path in list_changed(before, self.walk()) if not path.startswith((f"{STATE}/", f"{BLOBS}/"))]
        assert changed == [], changed
        return report

    def rollback(self, run: str) -> Answer:
        """Undo a run."""
        return self.send(Request(operation="rollback", host=self.host.name, run=run, state=STATE))

    def walk(self) -> Mapping[str, str]:
        """Give mode, owner, size, mtime and ctime, by path, of everything that was ever touched on this host since it was made.

        That is what lies in the overlay's upper layer: touching a file of the root, even its times, copies it up.
        """
        found: dict[str, str] = {}
        for folder, directories, files in os.walk(self.host.folder / "upper"):
            for name in (*directories, *files):
                path = Path(folder, name)
                inside = f"/{path.relative_to(self.host.folder / 'upper')}"
                if not inside.startswith(UNWATCHED) and SUPERVISED not in inside:
                    with contextlib.suppress(FileNotFoundError):
                        info = path.lstat()
                        found[inside] = (
                            f"{info.st_mode:o} {info.st_uid} {info.st_gid} {info.st_size} {info.st_mtime_ns} {info.st_ctime_ns}"
                        )
        return found


def list_changed(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Give every path that is not as it was."""
    return sorted(path for path in {*before, *after} if before.get(path) != after.get(path))


def describe(report: Report) -> str:
    """Give a report as text for a failed assertion."""
    return json.dumps(report.to_json(), indent=1)
