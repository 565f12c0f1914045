"""Compile an untrusted commit in a bounded child process: nothing of it runs, nothing of it lasts, nothing of ours is within reach.

The parent (`compile_commit`) starts a fresh interpreter in a session of its own: an empty environment but PATH, a scratch folder as
HOME, limits on address space and processor time; it writes a JSON request, reads a bounded JSON answer, and kills the whole process
group (git and cue too) when the time on the clock, which is generous, is over. The child (`main`) reads
the repository and writes nothing but its answer.
"""

from __future__ import annotations

import contextlib
import math
import os
import resource
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gitops.config.load import PROJECT_FILE
from gitops.errors import BugError, ConfigError, MalformedError, RemoteError
from gitops.model.codec import Json, decode_json, encode_canonical
from gitops.model.diagnostic import Diagnostic, Place
from gitops.model.fields import Fields
from gitops.model.limits import DEFAULTS, MIB
from gitops.pipeline.answer import CompiledCommit, decode_answer, describe_config, encode_answer
from gitops.pipeline.bounds import SPARE_SECONDS, Bounds
from gitops.pipeline.ending import describe_breakage, describe_ending, stop
from gitops.pipeline.project import examine_tree
from gitops.source.commits import snapshot_commit
from gitops.source.merge import Conflict, merge
from gitops.source.snapshot import Snapshot

REQUEST_SCHEMA = "gitops/compile-request/v1"
FAILED_SCHEMA = "gitops/compile-failed/v1"
SCRATCH = "trueup-compile-"
NO_COMMIT = "C613"
MOST_NAMED = 50
SPACE_OF_GO = 4  # cue reserves address space that it does not use; its data is bounded all the same
WAITING = "a busy machine, or git or cue waiting for something: try again"
# What ends a whole service and reaches its children as well: the compile was not the reason.
PASSING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
ROOT = Path(__file__).resolve().parents[2]
START = "import sys; sys.path.append(sys.argv[1]); from gitops.pipeline.child import main; main()"


@dataclass(frozen=True)
class _Ended:
    """How a child ended, and what is known then."""

    status: int
    answer: CompiledCommit


@dataclass(frozen=True)
class Work:
    """What is compiled: a commit, or its merge into `target`; `subpath` is the project's folder in the repository."""

    repository: Path
    head: str
    target: str = ""
    subpath: str = ""


def compile_commit(
    repository: Path, head: str, *, target: str = "", subpath: str = "", bounds: Bounds | None = None
) -> CompiledCommit:
    """Compile a commit of a bare repository, or the merge of `head` into `target`, in a bounded child process.

    Both are full commit ids. Mistakes, conflicts, and whatever ended the child (C602, C606, C607) are in the answer; raises ConfigError
    (C613) for a commit that the repository does not have, RemoteError when git fails. Blocks for up to the bound; a child that is told
    to end is started once more, since that was meant for this process as a rule, which then ends by itself.
    """
    bounds = bounds or Bounds()
    request = _encode_request(Work(repository.absolute(), head, target, subpath), bounds)
    ended = _run_child(request, bounds)
    if -ended.status in PASSING:
        ended = _run_child(request, bounds)
    return ended.answer


def main() -> None:
    """Be the child: limit this process, read the request, write the answer."""
    try:
        work, bounds = _decode_request(sys.stdin.buffer.read(MIB))
    except MalformedError:
        # The parent was killed before it had written all of the request.
        _clean_up_alone()
        return
    _limit_process(bounds)
    try:
        written = encode_answer(answer_request(work, bounds))
    except (ConfigError, RemoteError) as error:
        kind = "remote" if isinstance(error, RemoteError) else "config"
        written = encode_canonical(
            {"schema": FAILED_SCHEMA, "kind": kind, "code": error.code, "message": error.message, "hint": error.hint}
        )
    except MemoryError:
        written = encode_answer(stop(bounds.too_much))
    try:
        sys.stdout.buffer.write(written)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        _clean_up_alone()


def _clean_up_alone() -> None:
    """The parent is gone (killed): remove the scratch folder that it made for us, and end without a word."""
    scratch = Path.cwd()
    if scratch.name.startswith(SCRATCH):
        shutil.rmtree(scratch, ignore_errors=True)
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def answer_request(work: Work, bounds: Bounds) -> CompiledCommit:
    """Read the tree, examine it, describe it; a tree that may not be read is a diagnostic."""
    try:
        snapshot = _read_tree(work)
    except ConfigError as error:
        if error.code == NO_COMMIT:
            raise
        return CompiledCommit(diagnostics=(Diagnostic(error.code, error.message, Place(PROJECT_FILE), hint=error.hint),))
    if isinstance(snapshot, Conflict):
        return _describe_conflict(snapshot)
    examined = examine_tree(snapshot, bounds=bounds)
    return describe_config(examined.config, examined.graphs, examined.environments, examined.diagnostics)


def _read_tree(work: Work) -> Snapshot | Conflict:
    if not work.target:
        return snapshot_commit(work.repository, work.head, work.subpath)
    for commit in (work.head, work.target):
        snapshot_commit(work.repository, commit)
    return merge(work.repository, work.target, work.head, work.subpath)


def _describe_conflict(conflict: Conflict) -> CompiledCommit:
    """Say it in git's words, a diagnostic for each clash, and name the files that no clash names; the flag is what counts."""
    hint = "merge the target branch into this one, or rebase it, then push"
    found = [Diagnostic("C615", item.message, Place(item.path or PROJECT_FILE), hint=hint) for item in conflict.clashes]
    said = "\n".join(f"{item.path}\n{item.message}" for item in conflict.clashes)
    rest = [name for name in conflict.files if name not in said]
    found.extend(Diagnostic("C615", f"git leaves {name} in conflict", Place(name), hint=hint) for name in rest[:MOST_NAMED])
    if len(rest) > MOST_NAMED:
        found.append(Diagnostic("C615", f"{len(rest) - MOST_NAMED} more files are in conflict", Place(PROJECT_FILE), hint=hint))
    return CompiledCommit(is_conflict=True, conflicts=conflict.files, diagnostics=tuple(found))


def _run_child(request: bytes, bounds: Bounds) -> _Ended:
    with tempfile.TemporaryDirectory(prefix=SCRATCH) as scratch:
        log = Path(scratch) / "stderr"
        with log.open("wb") as errors:
            process = subprocess.Popen(
                [sys.executable, "-I", "-c", START, str(ROOT)],
                cwd=scratch,
                env=_child_environment(Path(scratch)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
            try:
                output = _exchange(process, request, bounds)
            finally:
                _end_group(process)
        if isinstance(output, CompiledCommit):
            return _Ended(0, output)
        return _Ended(process.returncode, _read_output(output, process.returncode, log, bounds))


def _child_environment(scratch: Path) -> Mapping[str, str]:
    path = os.environ.get("PATH", os.defpath)
    return {"PATH": path, "HOME": str(scratch), "TMPDIR": str(scratch), "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _exchange(process: subprocess.Popen[bytes], request: bytes, bounds: Bounds) -> bytes | CompiledCommit:
    """Write the request, read the answer to its end; or say which bound it went beyond. The request fits into a pipe."""
    if process.stdin is None or process.stdout is None:
        raise BugError("a child without pipes")
    with process.stdin as stdin:
        try:
            stdin.write(request)
        except BrokenPipeError:
            return b""
    deadline = time.monotonic() + bounds.wall
    parts: list[bytes] = []
    size = 0
    with process.stdout as stdout, selectors.DefaultSelector() as selector:
        selector.register(stdout, selectors.EVENT_READ)
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not selector.select(left):
                return stop(bounds.too_slow, WAITING)
            part = os.read(stdout.fileno(), MIB)
            if not part:
                break
            parts.append(part)
            size += len(part)
            if size > DEFAULTS.request_bytes:
                return _describe_size()
    try:
        process.wait(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return stop(bounds.too_slow, WAITING)
    return b"".join(parts)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill all that is left of the child's session, even when the child itself is gone; reap it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _describe_size() -> CompiledCommit:
    message = f"the compiled project is larger than {DEFAULTS.request_bytes // MIB} MiB"
    return CompiledCommit(
        diagnostics=(Diagnostic("C602", message, Place(PROJECT_FILE), hint="use less, or smaller, `source` files"),)
    )


def _read_output(output: bytes, status: int, log: Path, bounds: Bounds) -> CompiledCommit:
    """Read an answer; raise what the child says that it failed with. Whatever else ended it is an answer as well."""
    if status != 0:
        return describe_ending(status, log, bounds)
    try:
        value = decode_json(output)
        if not isinstance(value, dict) or value.get("schema") != FAILED_SCHEMA:
            return decode_answer(output)
        failure = _read_failure(value)
    except MalformedError as error:
        return describe_breakage(f"the compiling process gave no answer that can be read ({error.message})")
    raise failure


def _read_failure(value: Json) -> ConfigError | RemoteError:
    fields = Fields(value, "failure")
    fields.schema(FAILED_SCHEMA)
    kind = RemoteError if fields.choice("kind", ("config", "remote")) == "remote" else ConfigError
    error = kind(fields.text("message"), code=fields.text("code"), hint=fields.text("hint"))
    fields.done()
    return error


def _encode_request(work: Work, bounds: Bounds) -> bytes:
    return encode_canonical(
        {
            "schema": REQUEST_SCHEMA,
            "repository": str(work.repository),
            "head": work.head,
            "target": work.target,
            "subpath": work.subpath,
            "milliseconds": int(bounds.seconds * 1000),
            "memory": bounds.memory,
        }
    )


def _decode_request(data: bytes) -> tuple[Work, Bounds]:
    fields = Fields(decode_json(data), "request")
    fields.schema(REQUEST_SCHEMA)
    work = Work(Path(fields.text("repository")), fields.text("head"), fields.text("target"), fields.text("subpath"))
    bounds = Bounds(fields.integer("milliseconds") / 1000, fields.integer("memory"))
    fields.done()
    if not work.head:
        raise MalformedError("request: `head` is empty", code="M014")
    return work, bounds


def _limit_process(bounds: Bounds) -> None:
    """Limit this process and its children for good: address space, processor seconds for the most hosts, no core files."""
    resource.setrlimit(resource.RLIMIT_AS, (bounds.memory, SPACE_OF_GO * bounds.memory))
    resource.setrlimit(resource.RLIMIT_DATA, (bounds.memory, bounds.memory))
    seconds = math.ceil(bounds.most_seconds + 2 * SPARE_SECONDS)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
