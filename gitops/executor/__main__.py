"""The executor: one JSON request on stdin, JSON-lines events on stdout, an exit status of DESIGN §8. One screen."""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys
from dataclasses import replace
from typing import Optional

from gitops.errors import BugError, HostError, TrueupError, UsageError
from gitops.executor.run import run_apply, run_observe, run_plan, run_rollback, run_runs
from gitops.model.codec import decode_json
from gitops.model.limits import DEFAULTS
from gitops.model.parts import line_parts
from gitops.model.wire import Event, Request
from gitops.providers.steps import describe_failure

UMASK = 0o022

WRITTEN_AT_ONCE = 1 << 16
OPERATIONS = {
    "observe": run_observe,
    "plan": run_plan,
    "apply": run_apply,
    "rollback": run_rollback,
    "runs": run_runs,
}


def main() -> int:
    """Do the request on standard input."""
    return serve(None)


def serve(data: Optional[bytes], *, state: str = "", blobs: str = "") -> int:
    """Do one request (None: read it from standard input); every ending is an event. `state` and `blobs` are this machine's own
    folders, for who asks from afar and does not know them: a request that names a state keeps it.
    """
    contain()
    signal.signal(signal.SIGTERM, _interrupt)
    gc.disable()  # one request, then the end: collecting costs a tenth of the time and frees nothing
    try:
        request = _read_request(sys.stdin.buffer.read(DEFAULTS.request_bytes + 1) if data is None else data)
        request = replace(request, state=request.state or state, blobs=request.blobs or blobs)
        return OPERATIONS[request.operation](request, emit)
    except TrueupError as error:
        emit_error(error)
        return error.exit_status
    except OSError as error:
        failed = HostError(f"{describe_failure(error)}; the next run cleans up", code="E250")
        emit_error(failed)
        return failed.exit_status
    except KeyboardInterrupt:
        stopped = HostError("interrupted; the next run cleans up and goes on", code="E255")
        emit_error(stopped)
        return stopped.exit_status
    except Exception as error:
        emit_error(BugError(f"{type(error).__name__}: {_where(error)}", code="B020"))
        return 70


def _read_request(given: bytes) -> Request:
    if len(given) > DEFAULTS.request_bytes:
        raise UsageError(f"the request is larger than {DEFAULTS.request_bytes} bytes", code="U050")
    return Request.from_json(decode_json(given))


def contain() -> None:
    """Leave no memory with secrets behind in a core file, and let what is inherited decide no mode of what is made."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    os.umask(UMASK)


def emit(event: Event) -> None:
    """Write one line and flush it; whoever reads it gets UTF-8, whatever names the machine has."""
    waiting = bytearray()
    for part in line_parts(event.to_json()):
        waiting += part.encode("utf-8", "backslashreplace")
        if len(waiting) > WRITTEN_AT_ONCE:
            sys.stdout.buffer.write(bytes(waiting))
            waiting.clear()
    sys.stdout.buffer.write(bytes(waiting) + b"\n")
    sys.stdout.buffer.flush()


def emit_error(error: TrueupError) -> None:
    """Write an error event."""
    body = {"code": error.code, "message": error.message, "hint": error.hint, "exit": error.exit_status}
    emit(Event("error", body))


def _interrupt(_number: int, _frame: object) -> None:
    """End as by Ctrl-C: temporary files are removed, commands ended, the lock released."""
    raise KeyboardInterrupt


def _where(error: Exception) -> str:
    """Give file and line of the innermost frame; never the exception's text, which could hold a value."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "?" if trace is None else f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"


if __name__ == "__main__":
    sys.exit(main())
