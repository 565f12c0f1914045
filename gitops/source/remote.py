"""Talk to a remote for a repository without obeying that repository's own config, which may be somebody else's.

Fetches and pushes run in an empty bare repository of a moment that shares the objects: what is fetched lands in the repository, and
no `core.sshCommand`, `credential.helper`, `insteadOf` or `remote.*` of it is read. Who needs another ssh sets GIT_SSH_COMMAND or
`~/.ssh/config`; a token comes from `access` or GIT_ASKPASS.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from gitops.source.git import GitResult, run_git

MOST_REFS = 2_000
HEADER = "# pack-refs with: sorted\n"


def run_remote(
    repository: Path, arguments: Sequence[str], *, access: Mapping[str, str] | None = None, accept: Sequence[int] = (0,)
) -> GitResult:
    """Run `fetch`, `push` or `ls-remote` with an address (no remote's name); raise RemoteError as `run_git` does."""
    with tempfile.TemporaryDirectory(prefix="trueup-remote-") as scratch:
        bare = Path(scratch) / "repo"
        run_git(Path(scratch), ["init", "-q", "--bare", str(bare)])
        _share_history(repository, bare)
        environment = {**(access or {}), "GIT_OBJECT_DIRECTORY": str(locate_inside(repository, "objects"))}
        return run_git(bare, arguments, environment=environment, accept=accept)


def locate_inside(repository: Path, name: str) -> Path:
    """Give the path of a part of Git's folder (`objects`, `shallow`), linked work trees included."""
    done = run_git(repository, ["rev-parse", "--git-path", name])
    return (repository / done.output.decode().strip()).resolve()


def _share_history(repository: Path, bare: Path) -> None:
    """Tell the empty repository what is there, so that a fetch brings only what is new, and where a shallow history ends."""
    done = run_git(repository, ["for-each-ref", f"--count={MOST_REFS}", "--sort=-creatordate", "--format=%(objectname)"])
    commits = dict.fromkeys(done.output.decode("ascii", "replace").split())
    rows = "".join(f"{commit} refs/known/{number:06}\n" for number, commit in enumerate(commits))
    (bare / "packed-refs").write_text(HEADER + rows, encoding="ascii")
    shallow = locate_inside(repository, "shallow")
    if shallow.is_file():
        shutil.copyfile(shallow, bare / "shallow")
