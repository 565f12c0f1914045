"""Signers: which keys signed a release, as the names of its signature files say. For people to read; agents verify by themselves."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from gitops.errors import RemoteError
from gitops.source.git import run_git
from webhooks.mirrors import Mirrors
from webhooks.records import ReleaseRecord

KEYS = 256
SUFFIX = ".sigstore.json"


def name_signers(mirrors: Mirrors, release: ReleaseRecord) -> str:
    """Give the ids of the keys; nothing while the mirror does not have the release (asked for again next time)."""
    try:
        return ", ".join(_list_keys(mirrors.path_of(release.repository), release.commit)) if release.commit else ""
    except (RemoteError, OSError):
        return ""


@lru_cache(maxsize=KEYS)
def _list_keys(repository: Path, commit: str) -> tuple[str, ...]:
    done = run_git(repository, ["ls-tree", "-z", "--name-only", "--end-of-options", f"{commit}:signatures"])
    names = done.output.decode("utf-8", "replace").split("\0")
    return tuple(name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX))
