"""A scratch root with a state of its own, and the executor's operations on it, called in this process."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from gitops.executor.run import run_apply, run_observe, run_plan, run_rollback, run_runs
from gitops.model.codec import Json, decode_json, digest_bytes, encode_canonical
from gitops.model.observation import Observation
from gitops.model.parts import line_parts
from gitops.model.plan import HostPlan
from gitops.model.report import Report
from gitops.model.resource import Resource
from gitops.model.wire import Event, Request

Tree = dict[str, tuple[object, ...]]


@dataclass
class Rooted:
    """`folder/root` is the machine's root, `folder/state` what it remembers."""

    folder: Path
    status: int = -1
    events: list[Event] = field(default_factory=list[Event])

    def __post_init__(self) -> None:
        for name in ("root", "blobs"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def request(self, operation: str, resources: tuple[Resource, ...] = (), **more: Any) -> Request:
        more.setdefault("root", str(self.root))
        more.setdefault("lock_timeout", 0)
        return Request(operation, "web-1", resources=resources, blobs=str(self.folder / "blobs"), state=str(self.state), **more)

    def send(self, request: Request) -> dict[str, Any]:
        """Run a request that went over the wire; give the last body of each event, as JSON that went back over it."""
        operations = {
            "apply": run_apply,
            "plan": run_plan,
            "observe": run_observe,
            "rollback": run_rollback,
            "runs": run_runs,
        }
        self.events = []
        arrived = Request.from_json(decode_json(encode_canonical(request.to_json())))
        self.status = operations[request.operation](arrived, self._take)
        return {event.event: decode_json(encode_canonical(event.body)) for event in self.events}

    def _take(self, event: Event) -> None:
        """Take an event as it comes over the wire."""
        self.events.append(Event.from_json(decode_json("".join(line_parts(event.to_json())))))

    def apply(self, *resources: Resource, **more: Any) -> Report:
        return Report.from_json(self.send(self.request("apply", resources, **more))["report"])

    def plan(self, *resources: Resource, **more: Any) -> HostPlan:
        return HostPlan.from_json(self.send(self.request("plan", resources, **more))["plan"])

    def observe(self, *resources: Resource, **more: Any) -> Observation:
        return Observation.from_json(self.send(self.request("observe", resources, **more))["observation"])

    def rollback(self, run: str) -> Report:
        return Report.from_json(self.send(self.request("rollback", run=run, root=""))["report"])

    def undo_plan(self, run: str) -> list[dict[str, Any]]:
        return self.send(self.request("rollback", run=run, root="", dry_run=True))["runs"]["undo"]

    def runs(self) -> list[dict[str, Any]]:
        return self.send(self.request("runs"))["runs"]["runs"]

    def blob(self, data: bytes) -> Json:
        """Put a content where the executor finds it and give the attribute's value."""
        digest = digest_bytes(data)
        path = self.folder / "blobs" / digest[:2] / digest
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return {"blob": digest, "size": len(data)}

    def write(self, path: str, content: str | bytes = "", mode: int = 0o644) -> Path:
        """Put a file below the root."""
        real = self.root / path.lstrip("/")
        real.parent.mkdir(parents=True, exist_ok=True)
        real.write_bytes(content.encode() if isinstance(content, str) else content)
        real.chmod(mode)
        return real

    def read(self, path: str) -> str:
        return (self.root / path.lstrip("/")).read_text(encoding="utf-8")

    def mode(self, path: str) -> str:
        return f"{stat.S_IMODE((self.root / path.lstrip('/')).lstat().st_mode):04o}"

    def make_tree(self, tree: Mapping[str, Mapping[str, str]]) -> None:
        """Make what a case file describes: `{file, mode}`, `{directory: mode}`, `{symlink: target}` by path."""
        for path, thing in sorted(tree.items()):
            real = self.root / path[1:]
            if "directory" in thing:
                real.mkdir()
            elif "symlink" in thing:
                real.symlink_to(thing["symlink"])
            else:
                real.write_text(thing["file"], encoding="utf-8")
        for path, thing in sorted(tree.items()):
            if "symlink" not in thing:
                (self.root / path[1:]).chmod(int(thing.get("directory") or thing["mode"], 8))

    def target(self, path: str) -> str:
        """Give a link's target as it is written."""
        return os.readlink(self.root / path[1:])  # noqa: PTH115  pathlib would tidy it

    def names(self, path: str) -> list[str]:
        """List a directory."""
        return sorted(item.name for item in (self.root / path.lstrip("/")).iterdir())

    def tree(self, *, is_exact: bool = False) -> Tree:
        """Describe everything below the root; exactly: with the times of content and of metadata."""
        return dict(describe_tree(self.root, is_exact=is_exact))

    def temps(self) -> list[str]:
        return [path for path in self.tree() if "/.gitops-" in path]


@contextmanager
def quick_folder(otherwise: Path) -> Generator[Path]:
    """Give a folder in memory where there is one: flushing costs nothing there. Before Linux 6.6 none keeps the attributes of users."""
    memory = Path("/dev/shm")
    is_there = memory.is_dir() and os.access(memory, os.W_OK) and keeps_attributes(memory)
    with tempfile.TemporaryDirectory(prefix="gitops-test-", dir=memory if is_there else otherwise) as folder:
        yield Path(folder)


def keeps_attributes(folder: Path) -> bool:
    """Say whether the file system of a folder keeps attributes of users."""
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        try:
            os.setxattr(file.name, "user.test", b"x")
        except OSError:
            return False
    return True


def describe_tree(root: Path, *, is_exact: bool = False) -> Iterator[tuple[str, tuple[object, ...]]]:
    waiting = [root]
    while waiting:
        for path in waiting.pop().iterdir():
            info = path.lstat()
            times = (info.st_mtime_ns, info.st_ctime_ns) if is_exact else ()
            yield f"/{path.relative_to(root)}", (info.st_mode, info.st_uid, info.st_gid, _inside(path, info), *times)
            if stat.S_ISDIR(info.st_mode):
                waiting.append(path)


def _inside(path: Path, info: os.stat_result) -> bytes:
    if stat.S_ISREG(info.st_mode):
        return path.read_bytes()
    return os.fsencode(os.readlink(path)) if stat.S_ISLNK(info.st_mode) else b""  # noqa: PTH115  pathlib would tidy it


def file(path: str, content: Json = None, **more: Any) -> Resource:
    return _make("file", path, {} if content is None else {"content": content}, more)


def directory(path: str, **more: Any) -> Resource:
    return _make("directory", path, {}, more)


def symlink(path: str, target: str = "", **more: Any) -> Resource:
    return _make("symlink", path, {"target": target} if target else {}, more)


def command(name: str, *argv: str, **more: Any) -> Resource:
    return _make("command", name, {"argv": list(argv)}, more)


def secret(name: str = "password", key: str = "PASSWORD") -> Json:
    """Give a content that is one secret."""
    return {"parts": [{"secret": name, "from": "env", "key": key}]}


def _make(kind: str, name: str, attributes: dict[str, Json], more: dict[str, Any]) -> Resource:
    edges = {key: tuple(more.pop(key)) for key in ("needs", "notify") if key in more}
    when = cast("dict[str, tuple[str, ...]]", more.pop("when", {}))
    drift, on_failure = str(more.pop("drift", "heal")), str(more.pop("on_failure", "continue"))
    return Resource(kind, name, {**attributes, **more}, when=when, drift=drift, on_failure=on_failure, **edges)
