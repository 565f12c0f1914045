"""Open a repository as dulwich has it, or say in one sentence why this program cannot work with it.

Repositories come in more forms than are supported here: SHA-256 object names, refs as reftable, partial clones, extensions of newer gits.
Each is ConfigError (exit 1), found before anything is read. What is no repository at all is dulwich's NotGitRepository, which callers name.
"""

from __future__ import annotations

from pathlib import Path

from dulwich.objects import ObjectID, ShaFile
from dulwich.repo import InvalidWorktreeConfiguration, Repo, UnsupportedExtension, UnsupportedVersion

from gitops.errors import ConfigError, RemoteError

SHA1 = "sha1"
PARTIAL = "partialclone"


def open_repository(path: Path, *, is_discovered: bool = False) -> Repo:
    """Open the repository at a path, or with `is_discovered` the one that a folder lies in; close it after use.

    Raise ConfigError for one that is not supported, NotGitRepository when there is none.
    """
    try:
        repo = Repo.discover(str(path)) if is_discovered else Repo(str(path))
    except UnsupportedExtension as error:
        raise _refuse_extension(path, str(error)) from None
    except UnsupportedVersion as error:
        raise _refuse(path, f"has the format version {error.version}", "expected 0 or 1") from None
    except (InvalidWorktreeConfiguration, ValueError):
        raise ConfigError(
            f"the config of the Git repository at {path} cannot be read", code="U025", hint="try `git status`"
        ) from None
    reason = _why_not(repo)
    if reason:
        repo.close()
        raise _refuse(path, *reason)
    return repo


def need_object(repo: Repo, ident: ObjectID) -> ShaFile:
    """Give an object; raise RemoteError when the repository lacks it: a shallow or partial clone, or a damaged one."""
    try:
        return repo[ident]
    except KeyError:
        raise RemoteError(
            f"the repository lacks the object {ident.decode('ascii', 'replace')[:40]}",
            code="R021",
            hint="`git fsck` names what is missing; fetch it, or clone again without --filter",
        ) from None


def _why_not(repo: Repo) -> tuple[str, str] | None:
    if repo.object_format.name != SHA1:
        return "names its objects by SHA-256, which is not supported yet", "make it with `git init --object-format=sha1`"
    if _is_reftable(repo):
        return "stores its refs as reftable, which is not supported yet", "`git refs migrate --ref-format=files` converts it"
    return None


def _is_reftable(repo: Repo) -> bool:
    try:
        return repo.get_config().get((b"extensions",), b"refstorage").lower() == b"reftable"
    except KeyError:
        return False


def _refuse_extension(path: Path, name: str) -> ConfigError:
    if name.lower() == PARTIAL:
        return _refuse(path, "is a partial clone, whose missing objects are never fetched here", "clone it without --filter")
    return _refuse(path, f"uses the extension `{name[:80]}`, which is not supported", "work on a plain clone of it")


def _refuse(path: Path, what: str, hint: str) -> ConfigError:
    return ConfigError(f"the Git repository at {path} {what}", code="U025", hint=hint)
