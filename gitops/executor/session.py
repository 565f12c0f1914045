"""A program of the graph that is talked to line by line, run out of sealed memory that has its digest.

Takes the program's file and digest; gives a Session. Its lines, its complaints and its time are bounded, and its group ends with it.
"""

from __future__ import annotations

import fcntl
import os
import selectors
import subprocess
import time
from hashlib import sha256
from typing import IO, Callable, Dict, Mapping, Sequence

from gitops.errors import HostError
from gitops.executor.durable import write_all
from gitops.executor.process import CHUNK, GRACE_SECONDS, POLL_SECONDS, end_group, kill_group, take_output
from gitops.executor.redact import Redactor, Tail
from gitops.executor.tree import read_parts
from gitops.model.codec import Json
from gitops.model.limits import DEFAULTS
from gitops.model.secret import fill_text, text_from_json

SAID = 1000
CANCEL = b'{"id":0,"op":"cancel"}\n'


class ProgramSession:
    """See `gitops.providers.host.Session`: lines to and from a program, its complaints bounded, its group ended with it."""

    def __init__(self, running: subprocess.Popen[bytes], secrets: Mapping[str, str], forget: Callable[[], None]) -> None:
        self._running = running
        self._secrets = secrets
        self._hidden: Dict[str, str] = {}
        redactor = self._redactor = Redactor(secrets)
        self._forget = forget
        self._complaints = Tail(DEFAULTS.command_output + redactor.longest)
        self._out = b""
        self._buffer = bytearray()
        self._deadline = 0.0
        self._seconds = 0.0
        self._selector = selectors.DefaultSelector()
        self._pipes = {name: pipe.fileno() for name, pipe in _pipes_of(running).items()}
        for name, descriptor in self._pipes.items():
            os.set_blocking(descriptor, False)
            if name != "stdin":
                self._selector.register(descriptor, selectors.EVENT_READ, name)

    def send(self, line: bytes, seconds: float) -> None:
        """Write one line; what it answers meanwhile is kept."""
        self._deadline, self._seconds = time.monotonic() + seconds, seconds
        self._out = line + b"\n"
        self._selector.register(self._pipes["stdin"], selectors.EVENT_WRITE, "stdin")
        try:
            while self._out:
                self._turn()
        finally:
            self._selector.unregister(self._pipes["stdin"])

    def receive(self) -> bytes:
        """Give the next line."""
        while b"\n" not in self._buffer:
            if len(self._buffer) > DEFAULTS.provider_line:
                raise HostError(f"the provider wrote a line of more than {DEFAULTS.provider_line} bytes", code="E262")
            self._turn()
        line, _, rest = bytes(self._buffer).partition(b"\n")
        self._buffer = bytearray(rest)
        return line

    def fill(self, content: Json) -> str:
        """Put the secrets in."""
        return fill_text(text_from_json(content, "value"), self._secrets)

    def redact(self, text: str) -> str:
        """Take the secrets out."""
        return self._redactor.redact(text)

    def hide(self, texts: Sequence[str]) -> None:
        """Know more secrets, of this conversation alone."""
        self._hidden.update((text, text) for text in texts)
        self._redactor = Redactor({**self._secrets, **self._hidden})

    def close(self, *, is_wanted: bool = True) -> None:
        """Close its input (after `cancel`, when it is not wanted any more), give it a moment, end its group."""
        try:
            if not is_wanted:
                _write_quietly(self._pipes["stdin"], CANCEL)
            for name, pipe in _pipes_of(self._running).items():
                if name != "stderr" or is_wanted:
                    pipe.close()
            self._running.wait(GRACE_SECONDS)
            kill_group(self._running.pid)
        except subprocess.TimeoutExpired:
            end_group(self._running)
        finally:
            self._selector.close()
            for pipe in _pipes_of(self._running).values():
                pipe.close()
            if self._running.returncode is None:
                end_group(self._running)
            self._forget()

    def kill(self) -> None:
        """End its group as a power cut would (the conformance laws do this)."""
        kill_group(self._running.pid)

    def _turn(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise HostError(f"the provider took longer than {self._seconds:g} s and was ended{self._said()}", code="E111")
        for key, _ in self._selector.select(min(left, POLL_SECONDS)):
            if key.data == "stdin":
                self._out = self._out[self._write() :]
            elif key.data == "stderr":
                if not take_output(key.fd, self._complaints):
                    self._selector.unregister(key.fd)
            else:
                self._read(key.fd)

    def _write(self) -> int:
        try:
            return os.write(self._pipes["stdin"], self._out[:CHUNK])
        except BlockingIOError:
            return 0
        except BrokenPipeError:
            raise HostError(f"the provider ended without an answer{self._said()}", code="E262") from None

    def _read(self, descriptor: int) -> None:
        data = os.read(descriptor, CHUNK)
        if not data:
            raise HostError(f"the provider ended without an answer{self._said()}", code="E262")
        self._buffer += data

    def _said(self) -> str:
        text = self._redactor.redact_tail(self._complaints.text, SAID, is_cut=self._complaints.is_cut).strip()
        return f"; it said: {text}" if text else ""


def _pipes_of(running: subprocess.Popen[bytes]) -> Dict[str, IO[bytes]]:
    found = {"stdin": running.stdin, "stdout": running.stdout, "stderr": running.stderr}
    return {name: pipe for name, pipe in found.items() if pipe is not None}


def _write_quietly(descriptor: int, data: bytes) -> None:
    try:
        os.write(descriptor, data)
    except OSError:
        return


def load_program(path: str, digest: str, what: str = "the provider's program") -> int:
    """Copy a program into sealed memory; give its descriptor when it has its digest, so that nothing changes between look and run.
    `what` names it in messages.
    """
    try:
        source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise HostError(f"{what} {digest[:12]} is not in the run's folder: {error.strerror}", code="E233") from error
    found = sha256()
    try:
        program = os.memfd_create("provider", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except (AttributeError, OSError) as error:
        os.close(source)
        raise HostError("programs of the project need Linux (memfd_create)", code="E260") from error
    try:
        for part in read_parts(source):
            found.update(part)
            write_all(program, part)
        if found.hexdigest() != digest:
            raise HostError(f"{what} does not have the digest {digest[:12]}: it is not run", code="E234")
        fcntl.fcntl(program, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
    except BaseException:
        os.close(program)
        raise
    finally:
        os.close(source)
    os.lseek(program, 0, os.SEEK_SET)
    return program


def start_program(
    program: int, environment: Mapping[str, str], what: str = "the provider's program", *, is_talked_to: bool = True
) -> subprocess.Popen[bytes]:
    """Start what `load_program` holds, with pipes to talk through; one that is not talked to reads nothing."""
    try:
        return subprocess.Popen(
            [f"/proc/self/fd/{program}"],
            cwd="/",
            env=dict(environment),
            stdin=subprocess.PIPE if is_talked_to else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(program,),
            start_new_session=True,
        )
    except OSError as error:
        hint = "its first line names an interpreter that is not here, or it is for another machine"
        raise HostError(f"cannot run {what}: {error.strerror}", code="E112", hint=hint) from error
