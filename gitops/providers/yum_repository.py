"""Sources of packages for dnf and yum: one file of /etc/yum.repos.d each.

The name is the file's and the repository's. Packages must be signed by a key of `gpgkey` unless `gpgcheck: false` says otherwise; declare
a key on the machine as a `file`, so that reviewers approve its very bytes. Packages of the same host come after it by themselves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Optional, Tuple

from gitops.model.attribute import attribute
from gitops.model.codec import Json
from gitops.providers.base import ITSELF, Relations
from gitops.providers.file import FileSpec
from gitops.providers.generated import MANAGED, GeneratedProvider
from gitops.providers.packages.packager import SOURCES

FOLDER = "/etc/yum.repos.d"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}\Z")
URI = re.compile(r"(https?|file)://[^\s@]*\Z")
LINE = re.compile(r"[^\x00-\x1f\x7f]{1,200}\Z")
LOCAL = "file://"


@dataclass(frozen=True)
class YumRepositorySpec:
    """A source of packages for dnf and yum."""

    name: str
    baseurl: Optional[Tuple[str, ...]] = attribute("texts", "where it is; dnf's variables such as `$releasever` are its own")
    metalink: Optional[str] = attribute("text", "instead of `baseurl`: where its mirrors are listed")
    gpgkey: Optional[Tuple[str, ...]] = attribute(
        "texts", "keys, one of which must have signed each package; `file:///…` or `https://…`"
    )
    gpgcheck: bool = attribute("boolean", "whether packages must be signed", default=True)
    repo_gpgcheck: bool = attribute("boolean", "whether its lists must be signed, too", default=False)
    description: Optional[str] = attribute("text", "shown by dnf; else the name")
    priority: Optional[int] = attribute("integer", "the lower the number, the sooner it is asked", bounds=(1, 99))
    enabled: bool = attribute("boolean", "whether dnf uses it", default=True)
    state: str = attribute("choice", "present or absent", default="present", choices=("present", "absent"))


class YumRepositoryProvider(GeneratedProvider[YumRepositorySpec]):
    """See the module."""

    kind = "yum_repository"
    spec = YumRepositorySpec
    summary = "a source of packages for dnf and yum"
    reach = ITSELF
    needs_linux = True

    def find_mistake(self, spec: YumRepositorySpec) -> str:
        """Check the name and every address; what would be signed by nobody must be said."""
        if not NAME.match(spec.name):
            return f"{spec.name[:80]!r} is not a name of letters, digits, `_`, `.`, `:` and `-`"
        addresses = (*(spec.baseurl or ()), *((spec.metalink,) if spec.metalink else ()), *(spec.gpgkey or ()))
        if not all(URI.match(address) for address in addresses):
            return "an address is like https://packages.example.org/el9 or file:///srv/packages, without a user or password"
        if spec.description is not None and not LINE.match(spec.description):
            return "`description` must be one line of at most 200 characters that is not empty"
        if spec.state == "present" and bool(spec.baseurl) == bool(spec.metalink):
            return "either `baseurl` or `metalink` says where it is"
        if spec.state == "present" and (spec.gpgcheck or spec.repo_gpgcheck) and not spec.gpgkey:
            return "`gpgkey` must name the keys, or `gpgcheck: false` say that nobody need sign its packages"
        return ""

    def make_file(self, spec: YumRepositorySpec) -> FileSpec:
        """The file."""
        fields = (
            ("name", spec.description or spec.name),
            ("baseurl", "\n        ".join(spec.baseurl or ())),
            ("metalink", spec.metalink or ""),
            ("enabled", "1" if spec.enabled else "0"),
            ("gpgcheck", "1" if spec.gpgcheck else "0"),
            ("repo_gpgcheck", "1" if spec.repo_gpgcheck else "0"),
            ("gpgkey", "\n       ".join(spec.gpgkey or ())),
            ("priority", "" if spec.priority is None else str(spec.priority)),
        )
        content = f"{MANAGED}[{spec.name}]\n" + "".join(f"{name}={value}\n" for name, value in fields if value)
        return FileSpec(f"{FOLDER}/{spec.name}.repo", (content,), mode="0644", state=spec.state)

    def show(self, spec: YumRepositorySpec) -> Json:
        """Where it is and who signs."""
        said = f"signed by {' or '.join(spec.gpgkey or ())}" if spec.gpgcheck else "unsigned"
        return f"{' '.join(spec.baseurl or (spec.metalink or '',))} ({said})"

    def relate(self, spec: YumRepositorySpec) -> Relations:
        """As its file, after its keys on this machine; before all packages."""
        found = super().relate(spec)
        if not found.owns:
            return found
        keys = tuple(f"path:{key[len(LOCAL) :]}" for key in spec.gpgkey or () if key.startswith(LOCAL))
        return replace(found, provides=(*found.provides, SOURCES), wants=(*found.wants, *keys))
