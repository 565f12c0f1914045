"""What stands in Git in the place of a content that is kept elsewhere, or only as a cipher: Git LFS, git-annex, git-crypt.

A commit holds the pointer; shipping that would put three lines of text where somebody meant a certificate or a picture.
"""

from __future__ import annotations

from gitops.compile.scope import fail
from gitops.model.diagnostic import Place

MOST_POINTER_BYTES = 1024  # the LFS specification's own bound
# https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md, git-annex's "pointer files", git-crypt's header.
BEGINNINGS = (
    (b"version https://git-lfs.github.com/spec/", "a pointer of Git LFS, not the file that it stands for"),
    (b"version https://hawser.github.com/spec/", "a pointer of Git LFS, not the file that it stands for"),
    (b"/annex/objects/", "a pointer of git-annex, not the file that it stands for"),
)
CIPHER = b"\0GITCRYPT\0"
HINT = "keep the file itself in Git, or bring it with `download` (by address and sha256); secrets are `${secret.NAME}`"


def check_content(data: bytes, path: str, what: str, place: Place) -> None:
    """Raise CompileError (C617) when a file of the project is not the content that it is taken for."""
    if data.startswith(CIPHER):
        raise fail("C617", f"{what}: {path} is encrypted by git-crypt in the commit", place, hint=HINT)
    for beginning, words in BEGINNINGS:
        if len(data) <= MOST_POINTER_BYTES and data.startswith(beginning):
            raise fail("C617", f"{what}: {path} is {words}", place, hint=HINT)
