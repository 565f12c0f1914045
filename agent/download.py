"""The child that talks to the remote: `python -m agent.download`, one JSON request on stdin, one JSON answer on stdout.

What a remote sends is inflated and indexed here, in a process that has bounds of its own (memory, file size, processor time, wall
clock) and none of the agent's secrets, so that no remote can hang, bloat or crash the agent, which must go on healing. Brings
objects into the quarantine and believes none of them; which contents a host needs is only guessed from what the tree says.
"""

from __future__ import annotations

import contextlib
import errno
import json
import resource
import signal
import socket
import sys
import zlib
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import urllib3
from dulwich.client import GitClient, LocalGitClient, get_transport_and_path
from dulwich.errors import GitProtocolError, NotGitRepository
from dulwich.objects import ObjectID
from dulwich.refs import Ref
from dulwich.repo import Repo

from agent.bounds import bound_memory
from agent.documents import DOWNLOAD_SCHEMA, FETCH_MEMORY
from agent.packs import bound_packs
from agent.quarantine import BROKEN, COMPLETE, list_folder, name_own, name_signed, open_store, read_commit
from gitops.errors import MalformedError, RemoteError, TrueupError, TrustError
from gitops.model.candidate import find_limit
from gitops.model.codec import decode_json
from gitops.model.fields import Fields
from gitops.model.graph import Block, HostGraph
from gitops.model.limits import DEFAULTS, MIB
from gitops.model.manifest import read_manifest
from gitops.model.resource import Resource
from gitops.source.objects import Objects
from gitops.source.release import list_history
from gitops.trust.contents import find_blobs

OUT_OF_MEMORY = -4
MOST_WANTS = 2000
SHA1_LETTERS = 40


@dataclass(frozen=True)
class Download:
    """What to bring: the branch's tip with what a host needs of it, unless it is `known`; with `depth`, its last releases too."""

    url: str
    branch: str
    store: Path
    host: str
    known: str = ""
    depth: int = 1
    tip: str = ""
    ssh_command: str = ""
    seconds: int = DEFAULTS.git_seconds
    memory: int = FETCH_MEMORY


def main() -> int:
    """Do one request; every ending that was foreseen is an answer."""
    try:
        request = read_request(sys.stdin.buffer.read(DEFAULTS.document_bytes))
        set_bounds(request.seconds, request.memory)
        answer: dict[str, object] = {"tip": download(request)}
    except TrueupError as error:
        answer = {"error": {"code": error.code, "message": error.message, "hint": error.hint, "exit": error.exit_status}}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)  # what has an answer is not ended by the clock while the interpreter ends
    sys.stdout.write(json.dumps({"schema": DOWNLOAD_SCHEMA, **answer}))
    return 0


def read_request(data: bytes) -> Download:
    """Read the request at the child's door."""
    fields = Fields(decode_json(data), "download")
    fields.schema(DOWNLOAD_SCHEMA)
    found = Download(
        url=fields.text("url"),
        branch=fields.text("branch"),
        store=Path(fields.text("store")),
        host=fields.text("host"),
        known=fields.text("known"),
        depth=fields.integer("depth"),
        tip=fields.text("tip"),
        ssh_command=fields.text("ssh_command"),
        seconds=fields.integer("seconds"),
        memory=fields.integer("memory"),
    )
    fields.done()
    return found


def set_bounds(seconds: int, memory: int) -> None:
    """Bound this process for good."""
    bound_memory(memory)
    resource.setrlimit(resource.RLIMIT_FSIZE, (DEFAULTS.release_bytes, DEFAULTS.release_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    socket.setdefaulttimeout(DEFAULTS.http_seconds)

    def stop(_signal: int, _frame: object) -> None:
        raise RemoteError(f"the remote took longer than {seconds} seconds", code="R112")

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)


def download(request: Download) -> str:
    """Bring what is asked for and give the tip's commit id; raise RemoteError (exit 7) or, beyond the bounds, TrustError (exit 6)."""
    try:
        remote = _Remote(request)
        tip = request.tip or remote.find_tip()
        if tip != request.known:
            with open_store(request.store, may_rotate=request.depth == 1) as repo:
                bound_packs(repo.object_store)
                remote.bring(repo, tip)
                if request.depth > 1:
                    remote.bring_chain(repo, tip)
    except MemoryError:
        raise _too_large() from None
    except OSError as error:
        raise _too_large() if error.errno == errno.EFBIG else RemoteError(_words(error), code="R110") from error
    except NotGitRepository as error:
        raise RemoteError("there is no Git repository", code="R110", hint="check the address, and that it may be read") from error
    except (GitProtocolError, urllib3.exceptions.HTTPError) as error:
        raise RemoteError(_words(error), code="R110") from error
    except BROKEN as error:
        if isinstance(error, zlib.error) and str(error).startswith(f"Error {OUT_OF_MEMORY}"):
            raise _too_large() from None
        message = f"the remote sent what is not Git ({type(error).__name__})"
        raise RemoteError(message, code="R113") from error
    return tip


class _Remote:
    """One remote for one request."""

    def __init__(self, request: Download) -> None:
        self._request = request
        self._client, self._path = _connect(request)
        self._ref = f"refs/heads/{request.branch}".encode()
        self._left = DEFAULTS.release_bytes

    def find_tip(self) -> str:
        path = self._path.encode()
        found = self._client.get_refs(path, ref_prefix=[self._ref]).refs.get(Ref(self._ref))
        if found is None:
            raise RemoteError(
                f"the remote has no branch `{self._request.branch}`", code="R111", hint="nothing was released yet, or it moved"
            )
        if len(found) != SHA1_LETTERS:
            message = "the remote names what it holds by SHA-256 (`git init --object-format=sha256`), which is not supported"
            raise RemoteError(
                message, code="R115", hint="make the repository with `--object-format=sha1` and push the branch there"
            )
        return found.decode()

    def bring(self, repo: Repo, tip: str) -> None:
        """Bring the tip, and what this host needs of it; whole when the server filters nothing."""
        if ObjectID(tip.encode()) not in repo.object_store:
            self._fetch(repo, [ObjectID(tip.encode())], depth=1)
        tree = read_commit(repo, tip).tree
        found = _Tree(repo, tree)
        self._bring_signed(repo, found)
        self._bring_paths(repo, found, name_own(self._request.host))
        with contextlib.suppress(MalformedError, KeyError, ValueError):  # what is wrong is for the checks to say
            graph = HostGraph.from_json(decode_json(found.read(name_own(self._request.host)[1])))
            blocks = [f"blobs/{digest[:2]}/{digest}" for digest in graph.blocks]
            self._bring_paths(repo, found, blocks)
            self._bring_paths(repo, found, _name_contents(found, graph, blocks))
        if all(entry.ident in repo.object_store for entry in found.objects.list_tree(tree).values()):
            repo.refs[Ref(COMPLETE)] = ObjectID(tip.encode())

    def bring_chain(self, repo: Repo, tip: str) -> None:
        """Bring the releases before the tip: what is signed in them, and who approved."""
        self._fetch(repo, [ObjectID(tip.encode())], depth=self._request.depth)
        for ancestor in list_history(self._request.store, tip, self._request.depth - 1):
            self._bring_signed(repo, _Tree(repo, read_commit(repo, ancestor).tree))

    def _bring_signed(self, repo: Repo, found: _Tree) -> None:
        """Bring the manifest with its signatures, then the approvals that it names: nothing that merely lies beside them."""
        self._bring_paths(repo, found, name_signed(found.objects, found.tree))
        with contextlib.suppress(MalformedError, KeyError):
            named = [f"approvals/{digest}.json" for digest in read_manifest(found.read("manifest.json")).approvals]
            if not set(list_folder(found.objects, found.tree, "approvals")) <= set(named):
                raise TrustError("the release holds approvals that its manifest does not name", code="T106")
            self._bring_paths(repo, found, named)

    def _bring_paths(self, repo: Repo, found: _Tree, paths: list[str]) -> None:
        """Bring files by path, and refuse those that are larger than their names may hold."""
        wanted = {path: entry for path in paths if (entry := found.objects.find(found.tree, path)) is not None}
        missing = sorted({entry.ident for entry in wanted.values() if entry.ident not in repo.object_store})
        for start in range(0, len(missing), MOST_WANTS):
            self._fetch(repo, missing[start : start + MOST_WANTS], depth=None)
        for path, entry in wanted.items():
            self._left -= found.objects.size(entry.ident)
            if self._left < 0:
                raise _too_large()
            if found.objects.size(entry.ident) > find_limit(path):
                raise TrustError(f"{path[:200]} is larger than {find_limit(path)} bytes", code="T106")

    def _fetch(self, repo: Repo, wants: list[ObjectID], depth: int | None) -> None:
        def choose(refs: Mapping[Ref, ObjectID], depth: int | None = None) -> list[ObjectID]:  # noqa: ARG001  dulwich names them
            return wants

        self._client.fetch(
            self._path,
            repo,
            determine_wants=choose,
            depth=depth,
            ref_prefix=[self._ref],
            filter_spec=b"blob:none" if depth else None,
        )


def _connect(request: Download) -> tuple[GitClient, str]:
    scheme, separator, _ = request.url.partition("://")
    if separator and scheme not in ("file", "http", "https", "ssh"):
        raise RemoteError(f"the address begins with {scheme}://, expected file, http, https or ssh", code="R114")
    client, path = get_transport_and_path(request.url, ssh_command=request.ssh_command or None, thin_packs=False, quiet=True)
    return (_LocalClient(thin_packs=False, quiet=True) if isinstance(client, LocalGitClient) else client), path


class _LocalClient(LocalGitClient):
    """Looks for no symbolic refs: dulwich asserts that whatever lies below `refs` has the name of one, and `refs/save` has not."""

    @classmethod
    def _open_repo(cls, path: str | bytes) -> closing[Repo]:
        repo = Repo(path if isinstance(path, str) else path.decode())
        vars(repo.refs)["get_symrefs"] = dict
        return closing(repo)


class _Tree:
    """The tree of one release in the quarantine."""

    def __init__(self, repo: Repo, tree: bytes) -> None:
        self.objects, self.tree = Objects(repo), tree

    def read(self, path: str) -> bytes:
        """Give a file's bytes within its bound; raise KeyError when it is not there."""
        entry = self.objects.find(self.tree, path)
        if entry is None:
            raise KeyError(path)
        return self.objects.blob(path, entry.ident, find_limit(path))


def _name_contents(found: _Tree, graph: HostGraph, blocks: list[str]) -> list[str]:
    resources: list[Resource] = list(graph.resources)
    for path in blocks:
        resources.extend(Block.from_json(decode_json(found.read(path))).resources)
    return [f"blobs/{digest[:2]}/{digest}" for digest in sorted(find_blobs(resources))]


def _too_large() -> TrustError:
    message = f"the remote sent more than this agent takes ({DEFAULTS.release_bytes // MIB} MiB, or what this machine can spare)"
    return TrustError(message, code="T113", hint="if the release is really that large, raise the limits of this agent")


def _words(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return f"the remote cannot be reached: {text[:300]}"


if __name__ == "__main__":
    sys.exit(main())
