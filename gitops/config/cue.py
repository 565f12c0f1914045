"""CUE through the `cue` binary: the only place of the config room that runs a process.

Takes instances (a few files and, for a module, its inputs), gives JSON values or mistakes with file:line:column. All instances of a
call are one process; only when it fails are they halved until those that fail stand alone. Results are cached by the digest of all
that went in. The process gets a scratch folder, no registry, no environment, bounds of time and memory; never `cue cmd`.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import resource
import subprocess
import tempfile
import time
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from gitops.config.cuebinary import find_cue
from gitops.config.locator import Locator
from gitops.config.node import SpelledFloat
from gitops.errors import BugError
from gitops.executor.ownfolder import evict_own, open_own, read_own, touch_own, write_own
from gitops.model.codec import digest_bytes, digest_json
from gitops.model.diagnostic import Diagnostic, Place
from gitops.model.limits import DEFAULTS, MIB

MINIMUM = (0, 17, 1)
INPUTS = "trueup_inputs.cue"
UNITS = "trueup_units"
MODULE_FILE = 'module: "trueup.invalid/project@v0"\nlanguage: version: "v0.17.0"\n'
MEMORY = 768 * MIB
MAX_ARGUMENTS = 500
MOST_DIGITS = 301  # with a sign, as in YAML
TOO_SLOW = f"CUE was not done after {DEFAULTS.cue_wall_seconds} s, though it did not use up its processor time"
MOST_KEPT = 2000
OWN_CLAUSE = "package documents, "  # put before files without a clause, on their first line
HINT = "install cue 0.17.1 or later, or point GITOPS_CUE to it"
_VERSION = re.compile(r"cue version v?(\d+)\.(\d+)\.(\d+)")
_PLACE = re.compile(r"\s+(?:\./)?(.+?):(\d+):(\d+)\s*\Z")
_IMPORT = re.compile(rb'"[\w-]+\.[\w.-]+/[\w./@:-]+"')  # a path with a domain: not of the standard library
_DISJUNCTION = re.compile(r"\d+ errors in empty disjunction\Z")


@dataclass(frozen=True)
class Instance:
    """What is evaluated together: sources by project path, all of one package, and generated inputs for a module's unit.

    `package` is that of plain documents; a unit (`is_unit`) is a module with its inputs.
    """

    sources: Mapping[str, bytes]
    inputs: str = ""
    package: str = ""
    is_unit: bool = False


@dataclass(frozen=True)
class CueProblem:
    """One mistake as cue tells it: the path of the value (`params.port`), the message, the place; `is_input` when it is at the inputs."""

    path: str
    message: str
    place: Place
    is_input: bool = False
    code: str = "C502"


@dataclass(frozen=True)
class CueAnswer:
    """The value of an instance, or what is wrong with it."""

    value: object = None
    problems: tuple[CueProblem, ...] = ()


@dataclass(frozen=True)
class CueTool:
    """Where to look for cue, where to keep results (nowhere when None), how much processor time it may take in all."""

    setting: str = ""
    cache: Path | None = None
    seconds: float = DEFAULTS.cue_seconds


class CueEvaluator:
    """Evaluates instances of one tree; `library` are the tree's other CUE files, which instances may import."""

    def __init__(self, tool: CueTool, library: Mapping[str, bytes]) -> None:
        self._tool = tool
        self._library = library
        self._library_digest = digest_json({path: digest_bytes(data) for path, data in library.items()})
        self._deadline = 0.0
        self._spent = 0.0

    def evaluate(self, instances: Sequence[Instance]) -> list[CueAnswer]:
        """Give an answer for every instance, in order."""
        if not instances:
            return []
        binary = find_cue(self._tool.setting)
        version = read_version(binary) if binary else None
        if version is None or version < MINIMUM:
            return self._refuse(instances, binary, version)
        keys = [self._key(item, version) for item in instances]
        answers = {key: found for key in set(keys) if (found := self._cached(key)) is not None}
        missing = {key: item for key, item in zip(keys, instances, strict=True) if key not in answers}
        if missing:
            self._deadline, self._spent = time.monotonic() + DEFAULTS.cue_wall_seconds, 0.0
            with tempfile.TemporaryDirectory(prefix="trueup-cue-") as scratch:
                answers.update(self._run_all(binary, Path(scratch), missing))
            self._evict()
        return [_check_numbers(item, answers[key]) for key, item in zip(keys, instances, strict=True)]

    def _refuse(self, instances: Sequence[Instance], binary: str, version: tuple[int, int, int] | None) -> list[CueAnswer]:
        needed = ".".join(map(str, MINIMUM))
        got = f"version {'.'.join(map(str, version))}" if version else ("an unknown version" if binary else "none")
        message = f"this project needs cue {needed} or later, got {got}"
        first = min(path for item in instances for path in item.sources)
        problem = CueProblem("", message, Place(first), code="C501")
        return [CueAnswer(problems=(problem,)) for _ in instances]

    def _key(self, item: Instance, version: tuple[int, int, int]) -> str:
        return digest_json(
            {
                "format": 2,
                "cue": list(version),
                "library": self._library_digest,
                "sources": {path: digest_bytes(data) for path, data in item.sources.items()},
                "inputs": item.inputs,
                "package": item.package,
            }
        )

    def _cached(self, key: str) -> CueAnswer | None:
        if self._tool.cache is None:
            return None
        try:
            with open_own(str(self._tool.cache / "cue")) as folder:
                values = _decode(read_own(folder, key, DEFAULTS.cached_entry_bytes))
                touch_own(folder, key)
                return CueAnswer(values[0][0])
        except (OSError, ValueError, IndexError, RecursionError):
            return None

    def _keep(self, key: str, data: bytes) -> None:
        if self._tool.cache is None or len(data) > DEFAULTS.cached_entry_bytes:
            return
        with contextlib.suppress(OSError), open_own(str(self._tool.cache / "cue"), make=True) as folder:
            write_own(folder, key, data)

    def _evict(self) -> None:
        if self._tool.cache is not None:
            with contextlib.suppress(OSError), open_own(str(self._tool.cache / "cue")) as folder:
                evict_own(folder, MOST_KEPT, DEFAULTS.cached_bytes)

    def _run_all(self, binary: str, scratch: Path, missing: Mapping[str, Instance]) -> dict[str, CueAnswer]:
        layout = _lay_out(scratch, self._library, missing)
        pending = [list(missing)[start : start + MAX_ARGUMENTS] for start in range(0, len(missing), MAX_ARGUMENTS)]
        answers: dict[str, CueAnswer] = {}
        while pending:
            keys = pending.pop()
            done = self._run(binary, layout, keys)
            values = _decode(done.output) if not done.problem and not done.error else []
            if len(values) == len(keys):
                for key, (value, text) in zip(keys, values, strict=True):
                    answers[key] = CueAnswer(value)
                    self._keep(key, text.encode())
            elif len(keys) == 1 or done.problem:
                answers.update({key: _explain(missing[key], layout.names[key], done) for key in keys})
            else:
                middle = len(keys) // 2
                pending.extend([keys[middle:], keys[:middle]])
        return answers

    def _run(self, binary: str, layout: _Layout, keys: Sequence[str]) -> _Done:
        left, seconds = self._deadline - time.monotonic(), self._tool.seconds - self._spent
        if left <= 0 or seconds <= 0:
            return _Done(problem=self._too_long() if seconds <= 0 else TOO_SLOW)
        before = _spent_by_children()
        arguments = [binary, "export", "--out", "json", *(layout.arguments[key] for key in keys)]
        home = layout.root / ".home"
        environment = {"HOME": str(home), "CUE_CACHE_DIR": str(home / "cache"), "CUE_REGISTRY": "none", "LC_ALL": "C"}
        with (layout.root / ".out").open("w+b") as output, (layout.root / ".err").open("w+b") as errors:
            process = _start(arguments, layout.root, environment, output=output, errors=errors)
            _bound(process, seconds)
            try:
                status = process.wait(left)
            except subprocess.TimeoutExpired:
                return _Done(problem=TOO_SLOW)
            finally:
                process.kill()
                process.wait()
                self._spent += _spent_by_children() - before
            if self._spent >= self._tool.seconds and status != 0:
                return _Done(problem=self._too_long())
            output.seek(0)
            errors.seek(0)
            return _read_done(status, output.read(DEFAULTS.cue_output + 1), errors.read(MIB))

    def _too_long(self) -> str:
        return f"CUE takes longer than {self._tool.seconds:g} s of processor time"


@dataclass(frozen=True)
class _Layout:
    """The scratch folder: what names each instance on the command line, and the real path of each path in it."""

    root: Path
    arguments: dict[str, str] = field(default_factory=dict[str, str])
    names: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])


@dataclass(frozen=True)
class _Done:
    output: bytes = b""
    error: str = ""
    problem: str = ""


def read_version(binary: str) -> tuple[int, int, int] | None:
    """Ask a binary for its version; None when it does not say one."""
    try:
        with tempfile.TemporaryDirectory(prefix="trueup-cue-") as home, _ample_space():
            done = subprocess.run(
                [binary, "version"], env={"HOME": home}, stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False
            )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _VERSION.search(done.stdout.decode("utf-8", "replace"))
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def make_diagnostic(problem: CueProblem) -> Diagnostic:
    """Make the diagnostic of a problem that stands in a file of the project."""
    where = f"{problem.path}: " if problem.path else ""
    hint = HINT if problem.code == "C501" else ""
    return Diagnostic(
        problem.code, f"{where}{problem.message}" if hint else f"CUE: {where}{problem.message}", problem.place, hint=hint
    )


def _start(
    arguments: list[str], folder: Path, environment: Mapping[str, str], *, output: Any, errors: Any
) -> subprocess.Popen[bytes]:
    """Start cue. Go reserves address space that it does not use, so its data is bounded and not its space."""
    with _ample_space():
        return subprocess.Popen(
            arguments, cwd=folder, env=dict(environment), stdin=subprocess.DEVNULL, stdout=output, stderr=errors
        )


def _bound(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Bound its data, what it writes, and its processor time."""
    for name, most in (("RLIMIT_DATA", MEMORY), ("RLIMIT_CPU", math.ceil(seconds)), ("RLIMIT_FSIZE", DEFAULTS.cue_output)):
        kind = getattr(resource, name)
        hard = resource.prlimit(process.pid, kind)[1]
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.prlimit(process.pid, kind, (bound, bound))


def _spent_by_children() -> float:
    """Give the processor time of the processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextmanager
def _ample_space() -> Generator[None]:
    """Lift this process's own soft bound of address space while a process starts."""
    space = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (space[1], space[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, space)


def _read_done(status: int, output: bytes, errors: bytes) -> _Done:
    error = errors.decode("utf-8", "replace")
    if status < 0 or "fatal error: " in error or "\ngoroutine " in error:
        return _Done(error=error, problem=f"CUE takes more than {MEMORY // MIB} MiB of memory, or writes too much")
    if status != 0:
        return _Done(error=error.strip() or f"cue ended with status {status}")
    return _Done(output=output)


def _lay_out(scratch: Path, library: Mapping[str, bytes], missing: Mapping[str, Instance]) -> _Layout:
    layout = _Layout(scratch)
    (scratch / ".home").mkdir()
    is_used = any(_IMPORT.search(data) for item in missing.values() for data in item.sources.values())
    _write(scratch, {"cue.mod/module.cue": MODULE_FILE.encode(), **(library if is_used else {})})
    for number, (key, item) in enumerate(missing.items()):
        folder = f"{UNITS}/{number}"
        placed = {f"{folder}/{path.rpartition('/')[2]}": path for path in item.sources}
        _write(scratch, {name: item.sources[path] for name, path in placed.items()})
        if item.is_unit:
            _write(scratch, {f"{folder}/{INPUTS}": item.inputs.encode()})
            placed[f"{folder}/{INPUTS}"] = ""
        layout.arguments[key] = f"./{folder}" if item.is_unit else f"./{folder}:{item.package}"
        layout.names[key] = {**{path: path for path in library}, **placed}
    return layout


def _write(root: Path, files: Mapping[str, bytes]) -> None:
    """Write files below a folder; a name that leads out of it never came from a snapshot."""
    for name, data in files.items():
        path = root / name
        if ".." in path.parts or not path.is_relative_to(root):
            raise BugError(f"a project path leads out of the project: {name[:200]!r}", code="B021")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _decode(output: bytes) -> list[tuple[object, str]]:
    """Read JSON values one after another, as `cue export` writes several instances; each with its own text."""
    text = output.decode("utf-8")
    decoder = json.JSONDecoder(parse_int=_read_integer, parse_float=SpelledFloat)
    values: list[tuple[object, str]] = []
    position = 0
    while position < len(text):
        value, end = cast("tuple[object, int]", decoder.raw_decode(text, position))
        values.append((value, text[position:end]))
        position = end
        while position < len(text) and text[position].isspace():
            position += 1
    return values


def _read_integer(text: str) -> int | float:
    """Read a whole number of up to so many digits; a longer one is no number that anything here can hold."""
    return int(text) if len(text) <= MOST_DIGITS else math.inf


def _check_numbers(item: Instance, answer: CueAnswer) -> CueAnswer:
    """Refuse an answer with a number that Python takes for infinite, such as `1e999`, or would take too long over."""
    path = _find_infinite(answer.value)
    if path is None:
        return answer
    names = [part for part in path if isinstance(part, str)]
    first = Place(min(item.sources))
    place = Locator(item.sources).find_field(names[-1], first) if names else first
    problem = CueProblem(".".join(map(str, path)), "the number is too large", place, code="C105")
    return CueAnswer(problems=(problem,))


def _find_infinite(value: object) -> tuple[str | int, ...] | None:
    stack: list[tuple[tuple[str | int, ...], object]] = [((), value)]
    while stack:
        path, item = stack.pop()
        if isinstance(item, float) and not math.isfinite(item):
            return path
        if isinstance(item, dict):
            stack.extend(((*path, key), inner) for key, inner in cast("dict[str, object]", item).items())
        elif isinstance(item, list):
            stack.extend(((*path, number), inner) for number, inner in enumerate(cast("list[object]", item)))
    return None


def _explain(item: Instance, names: Mapping[str, str], done: _Done) -> CueAnswer:
    first = Place(min(item.sources))
    if done.problem:
        return CueAnswer(problems=(CueProblem("", done.problem, first, code="C606"),))
    without_clause = [path for path, data in item.sources.items() if data.startswith(OWN_CLAUSE.encode())]
    problems = parse_errors(done.error, names, first, without_clause)
    return CueAnswer(problems=problems or (CueProblem("", done.error[:400] or "cue gave no value", first),))


def parse_errors(
    text: str, names: Mapping[str, str], default: Place, without_clause: Collection[str] = ()
) -> tuple[CueProblem, ...]:
    """Read cue's own error text: `path: message:` and below it, indented, the places. `names` gives project paths, empty for inputs."""
    problems: list[CueProblem] = []
    head, places = "", list[tuple[str, int, int]]()
    for line in [*text.splitlines(), ""]:
        found = _PLACE.match(line) if line.startswith((" ", "\t")) else None
        if found:
            places.append((found[1], int(found[2]), int(found[3])))
            continue
        if line.startswith((" ", "\t")):
            continue
        if head and (places or not _DISJUNCTION.search(head)):
            problems.append(_problem(head, places, names, default, without_clause))
        head, places = line.strip().removesuffix(":"), []
    return tuple(dict.fromkeys(problems))


def _problem(
    head: str, places: list[tuple[str, int, int]], names: Mapping[str, str], default: Place, without_clause: Collection[str]
) -> CueProblem:
    path, _, message = head.partition(": ")
    if not message or " " in path.strip():
        path, message = "", head
    own = [
        Place(names[file], line, column - (len(OWN_CLAUSE) if line == 1 and names[file] in without_clause else 0))
        for file, line, column in places
        if names.get(file)
    ]
    is_input = any(names.get(file) == "" for file, _, _ in places)
    chosen = default if not own else own[-1] if "undefined field" in message else own[0]
    return CueProblem(path, message[:400], chosen, is_input)
