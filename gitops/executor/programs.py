"""Programs that one host runs: commands of this machine, and programs of the graph, out of memory that has their digest.

Commands get a clean environment, no terminal, and a timeout that ends all they started; their output is bounded while it comes, and
redacted before it is cut. Imported when the first program is to run: most runs that find nothing to do run none, and `subprocess` alone
costs them 3 ms.
"""

from __future__ import annotations

import os
from typing import Callable, Dict, Mapping, Sequence

from gitops.errors import HostError
from gitops.executor.probe import WHAT, take_fact
from gitops.executor.process import NO_INPUT, find_account, follow, join_record, keep_in_memory, start
from gitops.executor.redact import Redactor, Tail
from gitops.executor.session import ProgramSession, load_program, start_program
from gitops.model.codec import Json
from gitops.model.facts import FactProgram
from gitops.model.limits import DEFAULTS
from gitops.model.secret import fill_text, find_secrets, text_from_json
from gitops.providers.host import Finished

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SAID = 1000


class Programs:
    """What runs with the secrets of one run. `forget` lets go of open folders: one that is held open cannot be unmounted."""

    def __init__(self, secrets: Mapping[str, str], forget: Callable[[], None]) -> None:
        self._secrets = secrets
        self._redactor = Redactor(secrets)
        self._forget = forget

    def run(
        self,
        argv: Sequence[str],
        environment: Mapping[str, Json],
        *,
        directory: str = "",
        user: str = "",
        seconds: int = 0,
        source: int = NO_INPUT,
    ) -> Finished:
        """Run a command; see `Host.run`. `source` is an open file that it reads."""
        values = {name: fill_text(text_from_json(item, name), self._secrets) for name, item in environment.items()}
        account = find_account(user)
        self._forget()
        running = start(argv, {**_clean_environment(account.home), **values}, directory or "/", account, source=source)
        tail = Tail(DEFAULTS.command_output + self._redactor.longest)
        seconds = seconds or DEFAULTS.command_seconds
        try:
            is_ended = follow(running, tail, seconds)
        finally:
            self._forget()
        text = self._redactor.redact_tail(tail.text, DEFAULTS.command_output, is_cut=tail.is_cut)
        if not is_ended:
            said = f"; it said: {text.strip()[-SAID:]}" if text.strip() and not find_secrets(environment) else ""
            raise HostError(f"{argv[0]} took longer than {seconds} s and was ended{said}", code="E111")
        return Finished(running.returncode, text)

    def feed(self, argv: Sequence[str], record: Sequence[Json]) -> Finished:
        """Run a command with one line of fields on its standard input, secrets filled in."""
        return self.feed_line(argv, join_record([fill_text(text_from_json(item, "record"), self._secrets) for item in record]))

    def feed_line(self, argv: Sequence[str], line: bytes) -> Finished:
        """Run a command with a line on its standard input, which never was on a disk or in an argument list."""
        source = keep_in_memory(line)
        try:
            return self.run(argv, {}, source=source)
        finally:
            os.close(source)

    def start_session(self, path: str, digest: str) -> ProgramSession:
        """Start a program that is talked to."""
        program = load_program(path, digest)
        try:
            running = start_program(program, _clean_environment(find_account("").home))
        finally:
            os.close(program)
        return ProgramSession(running, self._secrets, self._forget)

    def ask_fact(self, path: str, fact: FactProgram) -> str:
        """Run the program of a custom fact, and give the value that it told."""
        program = load_program(path, fact.blob, WHAT)
        try:
            running = start_program(program, _clean_environment(find_account("").home), WHAT, is_talked_to=False)
        finally:
            os.close(program)
        return take_fact(running, fact, self._redactor)


def _clean_environment(home: str) -> Dict[str, str]:
    return {"PATH": PATH, "HOME": home, "LANG": "C.UTF-8"}
