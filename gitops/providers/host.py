"""Host: the machine as providers see it. The executor implements it on the real one, tests on a fake one.

Reading changes nothing. Every write is journalled with its before-image first; `prepare` does that for a whole batch with one
flush. Paths are those of the config; the host applies `--root` and walks them without following links it should not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable, FrozenSet, Mapping, Optional, Protocol, Sequence, Tuple

from gitops.model.acl import Acl
from gitops.model.codec import Json

Wants = Callable[[int], bool]


@dataclass(frozen=True)
class PathState:
    """What is at a path: `type` is absent, file, directory, symlink, other or unsafe (then `reason` says why).

    `parents` are missing directories above it, outermost first. `owner` and `group` are names where there are any, `uid` and `gid` their
    numbers. `links` are the names that a file has; `has_capabilities`: setcap(8) gave it some. `held` says why neither content nor
    metadata can change, `pinned` why what is there can be neither replaced nor removed, or nothing be made there; both are empty
    when nothing is known to stand in the way. `digest` is there when it was wanted, and the content could be read.
    """

    type: str
    mode: str = ""
    owner: str = ""
    group: str = ""
    size: int = 0
    target: str = ""
    parents: Tuple[str, ...] = ()
    reason: str = ""
    uid: int = -1
    gid: int = -1
    links: int = 1
    has_capabilities: bool = False
    held: str = ""
    pinned: str = ""
    digest: str = ""


@dataclass(frozen=True)
class Metadata:
    """Owner, group and mode to set; empty means: as it is, or the default of a new thing. So does no `acl`; an empty one means none but
    the mode. With an `acl`, `mode` is that of its base entries. Of `xattrs`, those named are set, or removed (None); others stay.
    `selinux` is a type or a context (`gitops.model.selinux`).
    """

    owner: str = ""
    group: str = ""
    mode: str = ""
    acl: Optional[Acl] = None
    xattrs: Optional[Mapping[str, Optional[str]]] = None
    selinux: str = ""


@dataclass(frozen=True)
class Attributes:
    """What a file or directory has beside owner and mode: every entry of its ACL, the base ones too, none when it has no more than its
    mode; and the attributes that were asked for and are there. None: not asked, or the file system keeps no such thing. `selinux` is its
    context, empty when it has none.
    """

    acl: Optional[Acl] = None
    xattrs: Optional[Mapping[str, bytes]] = None
    selinux: str = ""


@dataclass(frozen=True)
class FileWrite:
    """One file to write: its content as in the graph (None: empty), and an argument list that must accept the new file first."""

    path: str
    content: Json
    metadata: Metadata
    validate: Tuple[str, ...] = ()
    is_sensitive: bool = False


@dataclass(frozen=True)
class Unpacked:
    """One thing of an archive: its path below the target, `type` (file, directory, symlink), mode, digest and size, or a link's target."""

    path: str
    type: str
    mode: str = ""
    digest: str = ""
    size: int = 0
    target: str = ""


@dataclass(frozen=True)
class Finished:
    """How a command ended; the output is bounded and redacted."""

    status: int
    output: str


@dataclass(frozen=True)
class SessionUndo:
    """What a program is asked in order to undo something: `request` is {provider, item, protocol, op} (op undo of protocol 1 when the
    last two are missing); `hidden` belongs into the item's `before` and is kept in memory only; `is_refresh`: see `Host.note_undo`.
    """

    request: Mapping[str, Json]
    hidden: Mapping[str, Json] = field(default_factory=dict[str, Json])
    is_refresh: bool = False


class Session(Protocol):
    """A program that was started and is talked to line by line; bounded, and ended with all it started."""

    def send(self, line: bytes, seconds: float) -> None:
        """Write one line; `seconds` bound it and all that is received until the next. Raise HostError when it cannot be written."""
        ...

    def receive(self) -> bytes:
        """Give the next line without its end; raise HostError when none comes in time, it is too long, or the program ended."""
        ...

    def fill(self, content: Json) -> str:
        """Give a text of the graph with its secrets filled in, to be sent; raise MalformedError when one has no value here."""
        ...

    def redact(self, text: str) -> str:
        """Give what it said without the values of the run's secrets."""
        ...

    def hide(self, texts: Sequence[str]) -> None:
        """Take these texts, which it told in confidence, for secrets from now on."""
        ...

    def close(self, *, is_wanted: bool = True) -> None:
        """End it: by closing its input, or at once when it is not wanted any more."""
        ...


class Host(Protocol):
    """The machine. Failures are HostError; a path that must not be walked is PathState `unsafe` when read, HostError when written."""

    @property
    def managed(self) -> FrozenSet[str]:
        """Paths that the config manages on this host."""
        ...

    @property
    def keeps_sensitive(self) -> bool:
        """Whether a sensitive file's before-image can be kept (in memory only)."""
        ...

    @property
    def is_live(self) -> bool:
        """Whether this is the running machine itself, so that its kernel and daemons may be asked and told (false with `--root`)."""
        ...

    def inspect(self, path: str, *, wants: Optional[Wants] = None) -> PathState:
        """Say what is at a path; with its digest, when it is a regular file of a size (in bytes) that is wanted."""
        ...

    def read_attributes(self, path: str, declared: Metadata) -> Attributes:
        """Give what a file or directory has of that which is declared beside owner and mode; who is declared by number is named so."""
        ...

    def digest(self, path: str) -> str:
        """Give the SHA-256 of a regular file."""
        ...

    def digest_content(self, content: Json) -> str:
        """Give the SHA-256 of a content of the graph, secrets filled in."""
        ...

    def list_names(self, path: str) -> Sequence[str]:
        """List a directory, sorted; names that are not UTF-8 hold surrogates (see `steps.show_name`)."""
        ...

    def list_below(self, path: str) -> Tuple[Sequence[str], Sequence[str]]:
        """List the paths of all below a directory, what is inside before what holds it, and those left out: mount points and other file
        systems, which are never entered. Never behind a link.
        """
        ...

    def list_mounts(self, path: str) -> Sequence[str]:
        """List the mount points at or below a directory, sorted."""
        ...

    def read_text(self, path: str) -> str:
        """Read a small text file of the machine, empty when it is not there."""
        ...

    def prepare(self, paths: Sequence[str], *, is_sensitive: bool = False, has_content: bool = True) -> Mapping[str, str]:
        """Journal the before-images of paths that are about to change (without `has_content` only owner and mode are); give the reason
        of each that must stay as it is, since what is there cannot be kept. Raise HostError when the journal cannot be written: then
        nothing may change.
        """
        ...

    def write_files(self, writes: Sequence[FileWrite]) -> Mapping[str, str]:
        """Write files beside their places and rename them over; give the reason of each that failed, by path."""
        ...

    def make_directory(self, path: str, metadata: Metadata) -> None:
        """Make one directory (its parent is there)."""
        ...

    def make_symlink(self, path: str, target: str) -> None:
        """Make a link beside its place and rename it over."""
        ...

    def set_metadata(self, path: str, metadata: Metadata) -> None:
        """Set owner, group and mode of what is there."""
        ...

    def remove(self, path: str, *, is_recursive: bool = False) -> None:
        """Remove a file, a link or a directory."""
        ...

    def run(
        self,
        argv: Sequence[str],
        *,
        environment: Optional[Mapping[str, Json]] = None,
        directory: str = "",
        user: str = "",
        timeout: int = 0,
    ) -> Finished:
        """Run a command with a clean environment; environment values may hold secrets."""
        ...

    def fetch(self, url: str, digest: str, seconds: int) -> Json:
        """Bring a content from the network, going on where an earlier try broke off, and give it as `{blob, size}` for a FileWrite or
        `unpack`. Raise HostError when it cannot be had in that time, or does not have its SHA-256.
        """
        ...

    def fetch_commit(self, url: str, commit: str, ref: str, seconds: int) -> Json:
        """Bring the files of a commit of a Git repository and give them as an archive, `{blob, size}`; `ref` is a branch or tag to look
        for it in when the server gives no single commit. Raise HostError when it cannot be had in that time.
        """
        ...

    def unpack(self, content: Json, strip: int) -> Sequence[Unpacked]:
        """Take an archive (`{blob, size}`) apart; what is in it can then be written as contents. Sorted, parents first; raise HostError
        for one that must not be unpacked.
        """
        ...

    def start_session(self, executable: Json) -> Session:
        """Start a program that the graph names by digest (`{blob, size}`): what does not have its digest never runs."""
        ...

    def note_session_undo(self, executable: Json, undos: Sequence[SessionUndo]) -> None:
        """Journal, in one flush, what that program is to be asked to undo what follows; the program is kept with the run."""
        ...

    def feed(self, argv: Sequence[str], record: Sequence[Json]) -> Finished:
        """Run a command that reads one line from its standard input: fields with a colon between, secrets filled in. Raise HostError
        when a field would break the line.
        """
        ...

    def note_undo(self, argv: Sequence[str], why_not: str = "", *, record: Sequence[str] = (), is_refresh: bool = False) -> None:
        """Journal the command that undoes what follows, or why nothing can; a `record` that it is fed is kept in memory only, as a
        secret's before-image is. `is_refresh`: it lets something read again what the run wrote, so it is done when that is undone.
        """
        ...

    def mark_undo(self) -> int:
        """Give a mark of all that was journalled so far."""
        ...

    def void_undo(self, since: int, until: int, *, paths: Optional[Sequence[str]] = None) -> None:
        """Journal that nothing came of what was noted between two marks, so that nobody undoes what another did: of these paths, or
        without any of commands; what is a refresh stays.
        """
        ...

    def has_written_below(self, folders: Sequence[str]) -> bool:
        """Say whether this run has written below one of these folders since `mark_written`, or at all."""
        ...

    def mark_written(self) -> None:
        """Forget what this run has written so far: whoever had to read it has."""
        ...
