"""Run the executor on a host over the system's OpenSSH: one connection in, everything on its stdin, events out.

Takes a request and the contents it needs, gives what the executor said. The user's ssh_config, agents, certificates and jump hosts count;
an unknown host key is refused. Nothing of the request is in an argument list, and nothing that comes back is believed before the
host has answered with this run's nonce. All that is read is bounded: a host is as likely to be hostile as its administrator is careless.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import shlex
import subprocess
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO

from gitops.errors import ConfigError, HostError, MalformedError, RemoteError, TrueupError
from gitops.model.codec import decode_json, encode_canonical
from gitops.model.limits import DEFAULTS, Limits
from gitops.model.wire import Event, Request
from gitops.transport.bootstrap import digest_members
from gitops.transport.local import Executed, Tell, inline, raise_error, read_members
from gitops.transport.payload import build_payload

DESTINATION = re.compile(
    r"(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9_.-]{0,63})@)?"
    r"(?:\[(?P<six>[0-9A-Fa-f:.]{2,64})\]|(?P<name>[A-Za-z0-9][A-Za-z0-9._-]{0,252})|(?P<bare>[0-9A-Fa-f:]*:[0-9A-Fa-f:.]{1,64}))"
    r"(?::(?P<port>[0-9]{1,5}))?"
)
BECOME: Mapping[str, tuple[str, ...]] = {"": (), "sudo": ("sudo", "-n", "-H", "--"), "doas": ("doas", "-n")}
SHARED_IMPORT = re.compile(r"\nfrom gitops\.[a-z.]+ import (?:\([^)]*\)|[^\n(]+)")
TOO_OLD = "is too old: 3.9 or newer is needed"
PASSED_ON = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "SSH_AUTH_SOCK",
    "SSH_AGENT_PID",
    "KRB5CCNAME",
)
ERROR_BYTES = 8192
SOCKET_BYTES = 104 - 40 - 20
LEAVE_SECONDS = 2
UNREACHABLE, NOT_FOUND = 255, 127
KILLED_HINT = "the next run cleans up and goes on"
FIXED = (
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "RequestTTY=no",
    "RemoteCommand=none",
    "PermitLocalCommand=no",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=4",
    "LogLevel=ERROR",
)


@dataclass(frozen=True)
class Ssh:
    """How hosts are reached: whom to become, the folder of shared connections, the ssh_config (empty: the user's own), the environment."""

    sockets: Path | None = None
    become: str = ""
    config: str = ""
    program: str = "ssh"
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    limits: Limits = DEFAULTS


@dataclass(frozen=True)
class Destination:
    """Where ssh goes: a name or address that ssh cannot take for anything else."""

    host: str
    user: str = ""
    port: int = 0

    @staticmethod
    def parse(text: str) -> Destination:
        """Read `[user@]host[:port]`; raise ConfigError for all else: an option, blanks, or what a ProxyCommand's shell would run."""
        found = DESTINATION.fullmatch(text)
        port = int(found["port"] or 0) if found else 0
        if found is None or port > 65535:  # noqa: PLR2004  the largest port
            raise ConfigError(
                f"not an address: got {text[:80]!r}, expected [user@]host[:port]",
                code="C360",
                hint="letters, digits, `.`, `-`, `_`; an IPv6 address with a port stands in brackets",
            )
        return Destination(found["six"] or found["name"] or found["bare"], found["user"] or "", port)


@dataclass(frozen=True)
class Payload:
    """The executor's files and their digest, by which hosts keep them."""

    members: Mapping[str, bytes]
    tree: str

    @staticmethod
    def make() -> Payload:
        """Take the files out of the archive."""
        members = read_members(build_payload())
        return Payload(members, digest_members(members))


def run_ssh(
    request: Request,
    destination: Destination,
    ssh: Ssh,
    *,
    payload: Payload,
    blobs: Mapping[str, bytes],
    tell: Tell | None = None,
) -> Executed:
    """Run a request there; raise the error that the executor reports, or what went wrong on the way.

    `blobs`: the contents that the host needs, by digest. When the connection is lost after the request was sent, the run goes on there.
    """
    with Session(destination, ssh, payload) as session:
        return session.ask(request, blobs, tell)


class Session:
    """One connection, at whose end a program waits for requests; it is opened, and the host's word awaited, when it is made.

    A request that was sent goes on there to its end whatever becomes of the session.
    """

    def __init__(self, destination: Destination, ssh: Ssh, payload: Payload) -> None:
        program = bootstrap_source()
        self._nonce = secrets.token_hex(16)
        self._process = _start(ssh_command(destination, ssh, len(program)), ssh)
        self._talk = _Talk(self._process, destination, ssh)
        try:
            self._talk.send([program, _line({"nonce": self._nonce, "tree": payload.tree})])
            self._members: Mapping[str, bytes] = {} if self._talk.await_hello(self._nonce) else payload.members
        except BaseException:
            self._talk.close(is_wanted=False)
            raise

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._talk.close(is_wanted=kind is None)

    @property
    def is_alive(self) -> bool:
        """Whether the connection is still there, as far as can be known without using it."""
        return self._process.poll() is None

    def ask(self, request: Request, blobs: Mapping[str, bytes], tell: Tell | None = None) -> Executed:
        """Send a request with the contents that it needs, and give what the executor said; raise as `run_ssh` does."""
        body = encode_canonical(request.to_json())
        sizes = {"members": _sizes(self._members), "blobs": _sizes(blobs), "request": len(body)}
        self._talk.send([_line(sizes), *self._members.values(), *blobs.values(), body])
        events: list[Event] = []
        status = self._talk.read_events(self._nonce, events, tell)
        self._members = {}
        raise_error(events, status)
        return Executed(status, tuple(events))

    def close(self) -> None:
        """Let the host go."""
        self._talk.close(is_wanted=True)


def ssh_command(destination: Destination, ssh: Ssh, size: int) -> list[str]:
    """Give ssh's argument list; the only thing about the run in it is how long the program is that follows on stdin."""
    options = [*FIXED, f"ConnectTimeout={ssh.limits.connect_seconds}"]
    if ssh.sockets is not None and len(str(ssh.sockets).encode()) <= SOCKET_BYTES:
        path = str(ssh.sockets).replace("%", "%%")
        options += ["ControlMaster=auto", "ControlPersist=60", f'ControlPath="{path}/%C"']
    command = [ssh.program, "-T", *(["-F", ssh.config] if ssh.config else [])]
    for option in options:
        command += ["-o", option]
    command += ["-l", destination.user] if destination.user else []
    command += ["-p", str(destination.port)] if destination.port else []
    program = (
        f'import sys;v=sys.version_info;v<(3,9) and sys.exit("gitops: Python "+sys.version.split()[0]+" {TOO_OLD}");'
        f"exec(sys.stdin.buffer.read({size}))"
    )
    remote = [*BECOME[ssh.become], "python3", "-I", "-S", "-B", "-c"]
    return [*command, "--", destination.host, f"{' '.join(remote)} {shlex.quote(program)}"]


@cache
def bootstrap_source() -> bytes:
    """Give the program that runs first on the host: the texts that it shares with this side, then its own without their imports."""
    shared = "\n".join(inline(name) for name in ("gitops.executor.ownfolder", "gitops.transport.pack"))
    return (shared + SHARED_IMPORT.sub("\n", inline("gitops.transport.bootstrap"))).encode()


def pass_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Give ssh what it needs of the environment: secrets that lie there stay out of the connections that outlive this process."""
    return {name: value for name, value in environment.items() if name in PASSED_ON or name.startswith("LC_")}


class _Talk:
    """One conversation: what is sent, what comes back within its bounds, and why it failed."""

    def __init__(self, process: subprocess.Popen[bytes], destination: Destination, ssh: Ssh) -> None:
        self._process, self._where, self._limits, self._become = process, destination.host, ssh.limits, ssh.become
        self._errors = _Drain(process.stderr)
        self._is_late = False
        self._timer = self._set_timer(ssh.limits.hello_seconds)

    def close(self, *, is_wanted: bool) -> None:
        """End it: by saying that nothing more comes, or at once when it is not wanted any more."""
        self._timer.cancel()
        self._close_stream(self._process.stdin)
        if is_wanted:
            with contextlib.suppress(subprocess.TimeoutExpired):  # it has said its last word; give it the time to leave by itself
                self._process.wait(LEAVE_SECONDS)
        self._process.kill()
        self._process.wait()
        self._close_stream(self._process.stdout)

    @staticmethod
    def _close_stream(stream: IO[bytes] | None) -> None:
        with contextlib.suppress(OSError):
            if stream is not None:
                stream.close()

    def send(self, parts: Iterable[bytes]) -> None:
        """Send; a host that hangs up is noticed when its answer is read."""
        stream = self._process.stdin
        with contextlib.suppress(OSError):
            if stream is not None:
                for part in parts:
                    stream.write(part)
                stream.flush()

    def await_hello(self, nonce: str) -> bool:
        """Skip what a login shell prints, up to a bound, and say whether the host has the executor."""
        answers = {f"gitops {nonce} have".encode(): True, f"gitops {nonce} need".encode(): False}
        left = self._limits.banner_bytes
        for line in self._lines(left):
            if line.rstrip(b"\r\n") in answers:
                return answers[line.rstrip(b"\r\n")]
            left -= len(line)
            if left <= 0:
                raise RemoteError(
                    f"{self._where} answers with something else: more than {self._limits.banner_bytes} bytes before the executor's word",
                    code="R042",
                    hint="a login shell that is not interactive must not print; see ~/.bashrc there",
                )
        raise self._explain()

    def read_events(self, nonce: str, events: list[Event], tell: Tell | None) -> int:
        """Read events until the word that the run has ended, and give its exit status."""
        self._timer.cancel()
        self._timer = self._set_timer(self._limits.push_seconds)
        ending, left = f"gitops {nonce} end ".encode(), self._limits.push_bytes
        for line in self._lines(self._limits.event_bytes):
            left -= len(line)
            if left < 0:
                raise RemoteError(f"{self._where} said more than {self._limits.push_bytes} bytes", code="R043")
            if line.startswith(ending):
                self._timer.cancel()
                return self._ended(line[len(ending) :].strip())
            if line.strip():
                events.append(_read_event(line, self._where))
                if tell is not None:
                    tell(events[-1])
        raise self._lost()

    def _ended(self, word: bytes) -> int:
        status = int(word) if re.fullmatch(rb"-?[0-9]{1,3}", word) else 70
        if status < 0:
            raise HostError(f"the executor on {self._where} was killed (signal {-status})", code="E265", hint=KILLED_HINT)
        return status

    def _lines(self, limit: int) -> Iterator[bytes]:
        stream = self._process.stdout
        while stream is not None and (line := stream.readline(limit)):
            yield line

    def _lost(self) -> TrueupError:
        said = self._errors.text()
        if "gitops: " in said:
            return HostError(f"{self._where}: {said[said.index('gitops: ') + 8 :].splitlines()[0]}", code="E264")
        if self._is_late:
            return RemoteError(f"{self._where} did not end within {self._limits.push_seconds} s", code="R041", hint=KILLED_HINT)
        return RemoteError(
            f"the connection to {self._where} was lost during the run",
            code="R044",
            hint="the run goes on there to its end; the same command shows what is left to do",
        )

    def _explain(self) -> TrueupError:
        """Say why the host never answered, from ssh's own exit status and words."""
        if self._is_late:
            return RemoteError(f"{self._where} did not answer within {self._limits.hello_seconds} s", code="R041")
        try:
            status = self._process.wait(5)
        except subprocess.TimeoutExpired:
            status = UNREACHABLE
        return explain_silence(self._where, status, self._errors.text(), self._become)

    def _set_timer(self, seconds: float) -> threading.Timer:
        timer = threading.Timer(seconds, self._end)
        timer.daemon = True
        timer.start()
        return timer

    def _end(self) -> None:
        self._is_late = True
        self._process.kill()


class _Drain:
    """Reads a stream to its end and keeps the last of it, so that nobody blocks and nothing grows."""

    def __init__(self, stream: IO[bytes] | None) -> None:
        self._stream, self._kept = stream, b""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while self._stream is not None and (part := self._stream.read1(ERROR_BYTES)):  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType, reportUnknownMemberType]
                self._kept = (self._kept + bytes(part))[-ERROR_BYTES:]  # pyright: ignore[reportUnknownArgumentType]

    def text(self) -> str:
        """Give the end of what was said; a shared connection may hold the stream open, so do not wait for long."""
        self._thread.join(1)
        return self._kept.decode("utf-8", "replace")


def explain_silence(host: str, status: int, said: str, become: str) -> TrueupError:
    """Turn ssh's exit status and last words into who must do what."""
    last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "no reason given")[:300]
    if TOO_OLD in said:
        return HostError(f"{host}: {last.removeprefix('gitops: ')}", code="E266", hint="install a newer python3 there")
    if "gitops: " in said:
        return HostError(f"{host}: {last.removeprefix('gitops: ')}", code="E264")
    if become and any(line.startswith((f"{become}:", f"{become} ")) or f"{become}: " in line for line in said.splitlines()):
        return HostError(
            f"{host}: {become} refuses: {last}", code="E267", hint=f"let this user run python3 with {become} without a password"
        )
    if status == NOT_FOUND or "not found" in last:
        what = become if become and become in last else "python3"
        return HostError(f"{host} has no {what} ({last})", code="E266", hint="Python 3.9 or newer is all that a host needs")
    if "Host key verification failed" in said or "HOST IDENTIFICATION HAS CHANGED" in said:
        changed = "has another host key than the known one" if "CHANGED" in said else "has a host key that is not known here"
        return RemoteError(
            f"{host} {changed}; nothing was sent",
            code="R045",
            hint=f"compare its fingerprint by another way, then connect once with `ssh {host}`, or add it to known_hosts",
        )
    if status == UNREACHABLE:
        return RemoteError(f"cannot reach {host}: {last}", code="R040", hint=f"`ssh {host}` should work without a question")
    return HostError(f"{host} did not start the executor (status {status}): {last}", code="E264")


def _start(command: Sequence[str], ssh: Ssh) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # its deadlines are timers; a session of its own, so that Ctrl-C here cuts no run in half
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=pass_environment(ssh.environment),
            start_new_session=True,
        )
    except FileNotFoundError:
        raise HostError(f"there is no `{ssh.program}` here", code="E268", hint="install an OpenSSH client") from None


def _sizes(parts: Mapping[str, bytes]) -> list[tuple[str, int]]:
    return [(name, len(data)) for name, data in parts.items()]


def _line(value: Mapping[str, object]) -> bytes:
    return json.dumps(value).encode() + b"\n"


def _read_event(line: bytes, host: str) -> Event:
    try:
        return Event.from_json(decode_json(line))
    except MalformedError as error:
        raise RemoteError(f"{host} sent something that is no event of the executor: {error.message}", code="R042") from error
