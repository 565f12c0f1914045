"""A program that tells one custom fact: run once, reads nothing, prints one value.

Takes a program that was started (out of sealed memory, see `session`) and the fact's type; gives the value as text. Its output and its
time are bounded, all it started in its group ends with it, and what it says is redacted and shown without control characters. Every
ending that is not exactly one fitting value and status 0 is a HostError that says why.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import time

from gitops.errors import HostError, MalformedError
from gitops.executor.process import CHUNK, POLL_SECONDS, end_group, kill_group, take_output
from gitops.executor.redact import Redactor, Tail
from gitops.model.codec import Json, decode_json
from gitops.model.facts import FactProgram, spell_fact
from gitops.model.limits import DEFAULTS
from gitops.providers.steps import show_name

WHAT = "the fact's program"
SAID = 400


def take_fact(running: subprocess.Popen[bytes], fact: FactProgram, redactor: Redactor) -> str:
    """Follow a program to its end and give the value that it told."""
    probe = _Probe(running, fact, redactor)
    try:
        output = probe.follow()
    finally:
        probe.close()
    text = read_value(output, fact.type)
    if redactor.redact(text) != text:
        raise HostError(f"{WHAT} told a value with a secret in it", code="E291")
    return text


def read_value(output: bytes, type_name: str) -> str:
    """Read one JSON scalar, or for a string also one plain line, and give it as facts are spelt."""
    try:
        text = output.decode("utf-8")
        line = text[:-1] if text.endswith("\n") else text
        if not line:
            raise ValueError("is empty")
        is_plain = type_name == "string" and not line.startswith('"')
        value: Json = line if is_plain else decode_json(line)
        return spell_fact(type_name, value)
    except UnicodeDecodeError as error:
        raise HostError(f"{WHAT} printed what is not UTF-8", code="E291") from error
    except MalformedError as error:
        raise HostError(f"{WHAT} printed what is not one JSON value", code="E291") from error
    except ValueError as error:
        raise HostError(
            f"{WHAT} printed a value that {error}", code="E291", hint=f"one line: a value of the type {type_name}"
        ) from error


class _Probe:
    """One run of a program: what it printed so far, what it complains of."""

    def __init__(self, running: subprocess.Popen[bytes], fact: FactProgram, redactor: Redactor) -> None:
        self._running = running
        self._seconds = fact.timeout
        self._redactor = redactor
        self._output = bytearray()
        self._complaints = Tail(DEFAULTS.command_output + redactor.longest)
        self._selector = selectors.DefaultSelector()
        found = {"stdout": running.stdout, "stderr": running.stderr}
        self._pipes = {name: pipe for name, pipe in found.items() if pipe is not None}
        for name, pipe in self._pipes.items():
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe.fileno(), selectors.EVENT_READ, name)

    def follow(self) -> bytes:
        """Give all that it printed; a child that outlived it is not waited for."""
        deadline = time.monotonic() + self._seconds
        while True:
            has_ended = self._running.poll() is not None
            if not self._turn(0 if has_ended else POLL_SECONDS) and has_ended:
                break
            if time.monotonic() > deadline:
                raise HostError(f"{WHAT} took longer than {self._seconds} s and was ended{self._said()}", code="E111")
        if self._running.returncode != 0:
            raise HostError(f"{WHAT} ended with status {self._running.returncode}{self._said()}", code="E290")
        return bytes(self._output)

    def close(self) -> None:
        """End it with all that it started."""
        if self._running.returncode is None:
            end_group(self._running)
        kill_group(self._running.pid)
        self._selector.close()
        for pipe in self._pipes.values():
            pipe.close()

    def _turn(self, seconds: float) -> bool:
        """Take what is there; False when there was nothing within that time."""
        if not self._selector.get_map():
            time.sleep(seconds)
            return False
        ready = self._selector.select(seconds)
        for key, _ in ready:
            is_open = take_output(key.fd, self._complaints) if key.data == "stderr" else self._read(key.fd)
            if not is_open:
                self._selector.unregister(key.fd)
        return bool(ready)

    def _read(self, descriptor: int) -> bool:
        data = os.read(descriptor, CHUNK)
        self._output += data
        if len(self._output) > DEFAULTS.fact_output:
            raise HostError(f"{WHAT} printed more than {DEFAULTS.fact_output} bytes and was ended", code="E291")
        return bool(data)

    def _said(self) -> str:
        text = self._redactor.redact_tail(self._complaints.text, SAID, is_cut=self._complaints.is_cut)
        words = show_name(" ".join(text.split()))
        return f"; it said: {words}" if words else ""
