"""The files of a commit of a Git repository, in a folder: no `.git`, nothing that a repository could have run.

`commit` is a whole commit id, since branches and tags move and a plan would not be true for long. It is fetched alone where the server
allows that, else by way of the branch or tag that `ref` names. `root`'s own SSH keys and known hosts count; no prompt, no config of Git
and none of the repository's hooks, filters or attributes do. Submodules and large-file pointers stay what they are. See
`gitops.providers.unpacked` for the rest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

from gitops.model.attribute import attribute
from gitops.model.codec import Json
from gitops.providers.download import SECONDS
from gitops.providers.host import Host
from gitops.providers.unpacked import Target, UnpackedProvider

HOST = r"[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]+)?"
USER = r"[A-Za-z0-9_][A-Za-z0-9_.-]*@"
URL = re.compile(
    rf"(https?://{HOST}/[!-~]*|ssh://({USER})?{HOST}/[!-~]*|file:///[!-~]*|{USER}[A-Za-z0-9][A-Za-z0-9.-]*:[!-~]+)\Z"
)
COMMIT = re.compile(r"[0-9a-f]{40}\Z")
REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}\Z")


@dataclass(frozen=True)
class GitCheckoutSpec:
    """The files of a commit."""

    path: str
    repository: str = attribute("text", "its address: `https://…`, `ssh://…`, `user@host:path` or `file:///…`", is_required=True)
    commit: str = attribute("text", "the whole id of the commit, 40 hexadecimal digits", is_required=True)
    ref: Optional[str] = attribute("text", "a branch or tag that has it, for servers that give no single commit")
    owner: Optional[str] = attribute("text", "user name of all files; else the running user")
    group: Optional[str] = attribute("text", "group name of all files")
    timeout: int = attribute("integer", "seconds that fetching may take", default=SECONDS, bounds=(1, 86400))
    state: str = attribute("choice", "present or absent", default="present", choices=("present", "absent"))


class GitCheckoutProvider(UnpackedProvider[GitCheckoutSpec]):
    """See the module."""

    kind = "git_checkout"
    spec = GitCheckoutSpec
    summary = "the files of a commit of a Git repository"

    def find_mistake(self, spec: GitCheckoutSpec) -> str:
        """Check the address and the commit."""
        if not URL.match(spec.repository):
            return "`repository` must be like https://git.example.org/app.git or git@git.example.org:app.git, without a password"
        if not COMMIT.match(spec.commit):
            return "`commit` must be a whole commit id (40 small hexadecimal digits): branches and tags move"
        if spec.ref is not None and not REF.match(spec.ref):
            return "`ref` is no name of a branch or tag"
        return ""

    def make_target(self, spec: GitCheckoutSpec) -> Target:
        """The folder, and the commit."""
        return Target(spec.path, spec.commit, 0, spec.owner, spec.group, spec.state == "absent")

    def show(self, spec: GitCheckoutSpec) -> Json:
        """Where from, and which."""
        return f"{spec.repository} at {spec.commit[:12]}"

    def bring(self, spec: GitCheckoutSpec, host: Host) -> Json:
        """Fetch the commit."""
        return host.fetch_commit(spec.repository, spec.commit, spec.ref or "", spec.timeout)
