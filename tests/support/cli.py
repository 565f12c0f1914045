"""Call a verb in this process, as a shell would: exit status, standard output, standard error."""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gitops.cli.__main__ import run


@dataclass(frozen=True)
class Called:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def call(*arguments: object, env: Mapping[str, str] | None = None) -> Called:
    """Run `gitops ARGUMENTS`; `env` is added to the environment for the time of the call. Standard input is no terminal."""
    out, err = io.StringIO(), io.StringIO()
    before = dict(os.environ)
    os.environ.update(env or {})
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = run([str(item) for item in arguments])
    finally:
        os.environ.clear()
        os.environ.update(before)
    return Called(status, out.getvalue(), err.getvalue())
