"""The programs of the demo, each a process of its own: the service, and verbs of `gitops` as agents and operators start them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

GITOPS = (sys.executable, "-m", "gitops.cli")
PASSED_ON = ("PATH", "LANG", "GITOPS_CUE")
VERB_SECONDS = 60
STOP_SECONDS = 10


@dataclass(frozen=True)
class Ended:
    """How a verb ended."""

    status: int
    output: str
    errors: str


def run_verb(*arguments: object, home: Path) -> Ended:
    """Run `gitops ARGUMENTS` to its end, with a home of the demo's own."""
    done = subprocess.run(
        [*GITOPS, *(str(item) for item in arguments)],
        env=_environment(home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=VERB_SECONDS,
        check=False,
    )
    return Ended(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))


class Service:
    """The running service."""

    def __init__(self, arguments: list[str], *, home: Path, log: Path) -> None:
        self.log = log
        with log.open("wb") as stream:
            self._process = subprocess.Popen(
                [*GITOPS, "serve", *arguments],
                env=_environment(home),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def is_running(self) -> bool:
        """Say whether the process still runs."""
        return self._process.poll() is None

    def wait(self) -> None:
        """Wait until the service ends by itself or somebody interrupts."""
        self._process.wait()

    def stop(self) -> None:
        """End the service and what it started, gently first."""
        if self.is_running:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()


def _environment(home: Path) -> dict[str, str]:
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    # Its own home: neither the developer's git config nor earlier runs of anything play a part.
    return {**passed, "HOME": str(home), "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}
