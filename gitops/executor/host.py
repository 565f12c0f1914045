"""The real machine: managed state is written through it alone, programs are run through it (by `programs`).

Every path goes through the Tree; every write is journalled before it is made, through the Writer.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any, Callable, Dict, FrozenSet, Mapping, Optional, Sequence, Tuple, cast

from gitops.errors import HostError
from gitops.executor.aliases import make_matcher, spell_out
from gitops.executor.contents import Contents, load_later
from gitops.executor.durable import write_all
from gitops.executor.extended import read_extended
from gitops.executor.journal import Entry, Journal, has_memory
from gitops.executor.tree import Tree, read_parts
from gitops.executor.writes import Writer
from gitops.model.codec import Json, digest_bytes, encode_canonical
from gitops.model.facts import FactProgram
from gitops.model.limits import DEFAULTS
from gitops.model.secret import fill_text, text_from_json
from gitops.providers.host import Attributes, FileWrite, Finished, Metadata, PathState, Session, SessionUndo, Unpacked, Wants
from gitops.providers.steps import describe_failure, show_name

PROCESS = "gitops.executor.process"
VALIDATOR_OUTPUT = 1000
NOT_KEPT = "sensitive content is not kept on disk"
TOO_LARGE = f"it was larger than {DEFAULTS.image_bytes >> 20} MiB, so it was not kept"
NO_RECORD = "what it needs is secret, and is not kept on disk"


@dataclass(frozen=True)
class KnownPaths:
    """Paths that the config manages, and those that hold, or held, a secret."""

    managed: FrozenSet[str] = frozenset()
    sensitive: FrozenSet[str] = frozenset()


class RealHost:
    """See `gitops.providers.host.Host`. `journal` None makes it read-only."""

    def __init__(
        self,
        *,
        root: str = "",
        blobs: str = "",
        secrets: Optional[Mapping[str, str]] = None,
        known: Callable[[], KnownPaths] = KnownPaths,
        journal: Optional[Journal] = None,
        run: str = "",
    ) -> None:
        self._blobs = blobs
        self._contents = Contents("" if journal is None else journal.contents_folder)
        self._secrets = dict(secrets or {})
        self._known = known
        self._journal = journal
        self._known_until = 0
        self._managed: Optional[FrozenSet[str]] = None
        self._is_sensitive: Optional[Callable[[str], bool]] = None
        self.tree = Tree(root.rstrip("/"))
        self.writer = Writer(self.tree, run, pour=self._pour, check=self._check)

    @cached_property
    def _programs(self) -> Any:
        return load_later("gitops.executor.programs").Programs(self._secrets, self._forget)

    def _forget(self) -> None:
        self.tree.forget()
        self._forget_names()

    def _forget_names(self) -> None:
        self._managed = self._is_sensitive = None

    @property
    def managed(self) -> FrozenSet[str]:
        """Paths that the config manages here, by every name that links on the way give them."""
        if self._managed is None:
            self._managed = spell_out(self._known().managed, self.tree)
        return self._managed

    @property
    def keeps_sensitive(self) -> bool:
        """Whether the before-image of a sensitive file can be kept (in memory)."""
        return has_memory()

    @property
    def is_live(self) -> bool:
        """Whether no other root than this machine's own is meant."""
        return not self.tree.root

    def close(self) -> None:
        """Close descriptors, and let go of what was fetched."""
        self.tree.walker.close()
        self._contents.close()

    def inspect(self, path: str, *, wants: Optional[Wants] = None) -> PathState:
        """Say what is at a path, links not followed; with its digest when it is a file of a size that is wanted."""
        return self.tree.inspect(path, wants)

    def read_attributes(self, path: str, declared: Metadata) -> Attributes:
        """Give what a file or directory has of that which is declared beside owner and mode."""
        return self.tree.read_attributes(path, declared)

    def digest(self, path: str) -> str:
        """Give the SHA-256 of a regular file."""
        return self.tree.digest(path)

    def digest_content(self, content: Json) -> str:
        """Give the SHA-256 of a content, secrets filled in."""
        if isinstance(content, dict) and "blob" in content:
            return str(content["blob"])
        return digest_bytes(self._text_bytes(content))

    def list_names(self, path: str) -> Sequence[str]:
        """List a directory, sorted."""
        return self.tree.list_names(path)

    def list_below(self, path: str) -> Tuple[Sequence[str], Sequence[str]]:
        """List all below a directory on its own file system, links not followed, and what is left out."""
        found, left = self.tree.list_below(path)
        return [below for below, _ in found], left

    def list_mounts(self, path: str) -> Sequence[str]:
        """List the mount points at or below a directory."""
        return self.tree.holds.list_mounts(path)

    def read_text(self, path: str) -> str:
        """Read a small text file, empty when it is not there."""
        return self.tree.read_text(path, DEFAULTS.document_bytes)

    def prepare(self, paths: Sequence[str], *, is_sensitive: bool = False, has_content: bool = True) -> Mapping[str, str]:
        """Journal what is at these paths, in one flush; give the reason of each that cannot be kept, and must stay as it is."""
        journal = self._writable()
        failures: Dict[str, str] = {}
        for path in paths:
            try:
                journal.add(self._take_image(path, is_sensitive=is_sensitive, has_content=has_content))
            except (HostError, OSError) as error:
                failures[path] = f"what is there cannot be kept, so it is not changed: {describe_failure(error)}"
        journal.flush()
        return failures

    def write_files(self, writes: Sequence[FileWrite]) -> Mapping[str, str]:
        """Write all beside their places, make them durable, rename; give reasons of failure by path."""
        self._writable()
        return self.writer.write_files(writes)

    def make_directory(self, path: str, metadata: Metadata) -> None:
        """Make one directory with its owner and mode."""
        self._writable()
        self.writer.make_directory(path, metadata)

    def make_symlink(self, path: str, target: str) -> None:
        """Make a link beside its place and rename it over."""
        self._writable()
        self.writer.make_symlink(path, target)
        self._forget_names()

    def set_metadata(self, path: str, metadata: Metadata) -> None:
        """Set owner, group and mode on the open file."""
        self._writable()
        self.writer.set_metadata(path, metadata)

    def remove(self, path: str, *, is_recursive: bool = False) -> None:
        """Remove what is there; a tree is journalled whole before the first of it goes."""
        self._writable()
        info = self.tree.inspect(path)
        if info.type != "directory":
            self.writer.remove_one(path, is_directory=False)
            return
        below = self.tree.list_doomed(path) if is_recursive else []
        failures = self.prepare([item for item, _ in below])
        if failures:
            name, reason = next(iter(failures.items()))
            raise HostError(f"{show_name(name)}: {reason}", code="E222")
        for item, is_directory in below:
            self.writer.remove_one(item, is_directory=is_directory)
        self.writer.remove_one(path, is_directory=True)

    def run(
        self,
        argv: Sequence[str],
        *,
        environment: Optional[Mapping[str, Json]] = None,
        directory: str = "",
        user: str = "",
        timeout: int = 0,
    ) -> Finished:
        """Run a program; raise HostError when it cannot start or does not end in time (then all it started is ended)."""
        done: Finished = self._programs.run(argv, environment or {}, directory=directory, user=user, seconds=timeout)
        return done

    def feed(self, argv: Sequence[str], record: Sequence[Json]) -> Finished:
        """Run a program with one line of fields on its standard input, secrets filled in."""
        done: Finished = self._programs.feed(argv, record)
        return done

    def feed_line(self, argv: Sequence[str], line: bytes) -> Finished:
        """Run a program with a line on its standard input, which never was on a disk or in an argument list."""
        done: Finished = self._programs.feed_line(argv, line)
        return done

    def fetch(self, url: str, digest: str, seconds: int) -> Json:
        """Bring a content from the network."""
        self._writable()
        return self._contents.fetch(url, digest, seconds)

    def fetch_commit(self, url: str, commit: str, ref: str, seconds: int) -> Json:
        """Bring the files of a commit, by the machine's own git."""
        self._writable()

        def run(argv: Sequence[str], environment: Mapping[str, Json], limit: int) -> Finished:
            return self.run(argv, environment=environment, timeout=limit)

        return self._contents.fetch_commit(url, commit, ref, run, seconds)

    def unpack(self, content: Json, strip: int) -> Sequence[Unpacked]:
        """Take an archive apart."""
        self._writable()
        digest = str(cast("Mapping[str, Json]", content)["blob"])
        return self._contents.unpack(self._find_content(digest), digest, strip)

    def start_session(self, executable: Json) -> Session:
        """Start a program of the graph, out of memory: what has its digest is what runs."""
        table = cast("Mapping[str, Json]", executable)
        digest = str(table["blob"])
        session: Session = self._programs.start_session(str(table.get("path") or self._blob_path(digest)), digest)
        return session

    def ask_fact(self, fact: FactProgram) -> str:
        """Run the program of a custom fact, out of memory like a provider's, and give the value that it told; else raise HostError."""
        return str(self._programs.ask_fact(self._blob_path(fact.blob), fact))

    def note_session_undo(self, executable: Json, undos: Sequence[SessionUndo]) -> None:
        """Keep the program with the run, and journal what it is to be asked, in one flush."""
        journal = self._writable()
        digest = str(cast("Mapping[str, Json]", executable)["blob"])
        program = load_later("gitops.executor.session").load_program(self._blob_path(digest), digest)
        try:
            image = journal.keep_image(program, is_sensitive=False)
        finally:
            os.close(program)
        for undo in undos:
            record = self._keep_record(encode_canonical(dict(undo.hidden))) if undo.hidden else ""
            why_not = NO_RECORD if undo.hidden and not record else ""
            entry = Entry(program=image, request=dict(undo.request), record=record, why_not=why_not, is_refresh=undo.is_refresh)
            journal.add(entry)
        journal.flush()

    def note_undo(self, argv: Sequence[str], why_not: str = "", *, record: Sequence[str] = (), is_refresh: bool = False) -> None:
        """Journal the command that undoes what follows, or why nothing can; a record is kept in memory, or not at all."""
        journal, image = self._writable(), ""
        if record:
            image = self._keep_record(load_later(PROCESS).join_record(record))
            if not image:
                argv, why_not = (), f"`{' '.join(argv)}` would need a secret that is not kept on disk"
        journal.add(Entry(undo=tuple(argv), why_not=why_not, record=image, is_refresh=is_refresh))
        journal.flush()

    def mark_undo(self) -> int:
        """Give a mark of all that was journalled so far."""
        return len(self._writable().noted)

    def void_undo(self, since: int, until: int, *, paths: Optional[Sequence[str]] = None) -> None:
        """Journal that nothing came of what was noted between two marks: of these paths, else of commands; a refresh stays."""
        journal, wanted = self._writable(), frozenset(paths or ())
        numbers = range(since, until)
        if paths is None:
            journal.void([number for number in numbers if journal.noted[number] == ("", False)])
        else:
            journal.void([number for number in numbers if journal.noted[number][0] in wanted])

    def has_written_below(self, folders: Sequence[str]) -> bool:
        """Say whether this run has written below one of these folders since `mark_written`, or at all."""
        fresh = () if self._journal is None else self._journal.noted[self._known_until :]
        return any(path.startswith(tuple(f"{folder}/" for folder in folders)) for path, _ in fresh)

    def mark_written(self) -> None:
        """Forget what this run has written so far: whoever had to read it has."""
        self._known_until = 0 if self._journal is None else len(self._journal.noted)

    def _keep_record(self, data: bytes) -> str:
        """Keep what an undo needs and no disk may hold; an empty text where there is no such storage."""
        source = load_later(PROCESS).keep_in_memory(data)
        try:
            return self._writable().keep_image(source, is_sensitive=True)
        finally:
            os.close(source)

    def _take_image(self, path: str, *, is_sensitive: bool, has_content: bool) -> Entry:
        if self._is_sensitive is None:
            self._is_sensitive = make_matcher(self._known().sensitive, self.tree)
        secret = is_sensitive or self._is_sensitive(path)
        before = self.tree.describe(path)
        if before["type"] == "file" and has_content:
            return self._take_file(path, before, is_sensitive=secret)
        if before["type"] == "file":
            before["image"] = None  # the content stays: no copy of it is needed
        if before["type"] in ("file", "directory"):
            before["xattrs"] = self.tree.read_extended(path)
        return Entry(path, before, is_sensitive=secret)

    def _take_file(self, path: str, before: Dict[str, Json], *, is_sensitive: bool) -> Entry:
        descriptor = self.tree.open_file(path)
        try:
            before["image"] = self._writable().keep_image(descriptor, is_sensitive=is_sensitive)
            before["xattrs"] = read_extended(descriptor, is_same_content=True)
            why_not = TOO_LARGE if os.fstat(descriptor).st_size > DEFAULTS.image_bytes else NOT_KEPT
        finally:
            os.close(descriptor)
        return Entry(path, before, why_not="" if before["image"] else why_not, is_sensitive=is_sensitive)

    def _pour(self, write: FileWrite, descriptor: int) -> None:
        content = write.content
        if isinstance(content, dict) and "blob" in content:
            self._pour_blob(str(content["blob"]), descriptor)
        else:
            write_all(descriptor, self._text_bytes(content))

    def _text_bytes(self, content: Json) -> bytes:
        return b"" if content is None else fill_text(text_from_json(content, "content"), self._secrets).encode("utf-8")

    def _pour_blob(self, digest: str, descriptor: int) -> None:
        """Copy a content from the run's folder; it must have its digest."""
        path = self._find_content(digest)
        try:
            source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise HostError(f"content {digest[:12]} is not in the run's folder: {error.strerror}", code="E233") from error
        found = sha256()
        try:
            for part in read_parts(source):
                found.update(part)
                write_all(descriptor, part)
        finally:
            os.close(source)
        if found.hexdigest() != digest:
            raise HostError(f"content {digest[:12]} does not have its digest", code="E234")

    def _find_content(self, digest: str) -> str:
        return self._contents.find(digest) or self._blob_path(digest)

    def _blob_path(self, digest: str) -> str:
        return os.path.join(self._blobs, digest[:2], digest)

    def _check(self, write: FileWrite, temp: str) -> None:
        """Let the declared command judge the new file, under the name that programs on this machine know it by."""
        real = f"{self.tree.real_folder(write.path)}/{temp}"
        done = self.run([part.replace("{path}", real) for part in write.validate])
        if done.status != 0:
            output = "" if write.is_sensitive else f": {done.output.strip()[-VALIDATOR_OUTPUT:]}"
            raise HostError(f"{write.validate[0]} did not accept the new file (status {done.status}){output}", code="E230")

    def _writable(self) -> Journal:
        if self._journal is None:
            raise HostError("this run may only read", code="E235")
        return self._journal
