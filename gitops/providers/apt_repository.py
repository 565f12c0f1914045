"""Sources of packages for apt: one deb822 file of /etc/apt/sources.list.d each.

The name is the file's. `signed_by` is the key's file on the machine, armored (`.asc`) or not; declare it as a `file`, so that reviewers
approve its very bytes. Without a key apt takes nothing unless `trusted` says so. Packages of the same host come after it by themselves,
and fetch its lists when they need them; the key's file comes before it.
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

FOLDER = "/etc/apt/sources.list.d"
NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}\Z")
URI = re.compile(r"(https?://[^\s/@]+(/\S*)?|file:/\S*)\Z")
WORD = re.compile(r"[A-Za-z0-9_./+:~-]{1,100}\Z")
TYPES = ("deb", "deb-src")


@dataclass(frozen=True)
class AptRepositorySpec:
    """A source of packages for apt."""

    name: str
    uris: Tuple[str, ...] = attribute("texts", "where it is: `https://…`, `http://…` or `file:/…`", is_required=True)
    suites: Tuple[str, ...] = attribute("texts", "such as `bookworm`; a flat one ends with `/`", is_required=True)
    components: Optional[Tuple[str, ...]] = attribute("texts", "such as `main`; none for a flat one")
    signed_by: Optional[str] = attribute("path", "the file of the key that must have signed it")
    trusted: bool = attribute("boolean", "take it without any signature", default=False)
    types: Tuple[str, ...] = attribute("texts", "`deb`, `deb-src` or both", default=("deb",))
    architectures: Optional[Tuple[str, ...]] = attribute("texts", "only these; else the machine's")
    enabled: bool = attribute("boolean", "whether apt uses it", default=True)
    state: str = attribute("choice", "present or absent", default="present", choices=("present", "absent"))


class AptRepositoryProvider(GeneratedProvider[AptRepositorySpec]):
    """See the module."""

    kind = "apt_repository"
    spec = AptRepositorySpec
    summary = "a source of packages for apt"
    reach = ITSELF
    needs_linux = True

    def find_mistake(self, spec: AptRepositorySpec) -> str:
        """Check the name and every word; what would be signed by nobody must be said."""
        if not NAME.match(spec.name):
            return f"{spec.name[:80]!r} is not a name of small letters, digits, `_`, `.` and `-`"
        if not spec.uris or not all(URI.match(uri) for uri in spec.uris):
            return "`uris` must be addresses like https://packages.example.org/debian, without a user or password"
        words = (*spec.suites, *(spec.components or ()), *(spec.architectures or ()))
        if not spec.suites or not all(WORD.match(word) for word in words):
            return "`suites` (at least one), `components` and `architectures` are single words"
        if not spec.types or not set(spec.types) <= set(TYPES):
            return "`types` are `deb` and `deb-src`"
        if any(suite.endswith("/") for suite in spec.suites) == bool(spec.components):
            return "a flat suite (it ends with `/`) has no `components`, any other needs some"
        if spec.state == "present" and (spec.signed_by is None) != spec.trusted:
            return "either `signed_by` names the key's file, or `trusted: true` says that nobody need sign it"
        return ""

    def make_file(self, spec: AptRepositorySpec) -> FileSpec:
        """The file."""
        fields = (
            ("Enabled", "" if spec.enabled else "no"),
            ("Types", " ".join(spec.types)),
            ("URIs", " ".join(spec.uris)),
            ("Suites", " ".join(spec.suites)),
            ("Components", " ".join(spec.components or ())),
            ("Architectures", " ".join(spec.architectures or ())),
            ("Signed-By", spec.signed_by or ""),
            ("Trusted", "yes" if spec.trusted else ""),
        )
        content = MANAGED + "".join(f"{name}: {value}\n" for name, value in fields if value)
        return FileSpec(f"{FOLDER}/{spec.name}.sources", (content,), mode="0644", state=spec.state)

    def show(self, spec: AptRepositorySpec) -> Json:
        """In one line, as in the older format."""
        said = "unsigned" if spec.trusted else f"signed by {spec.signed_by}"
        return f"{' '.join(spec.uris)} {' '.join((*spec.suites, *(spec.components or ())))} ({said})"

    def relate(self, spec: AptRepositorySpec) -> Relations:
        """As its file, after its key; before all packages."""
        found = super().relate(spec)
        if not found.owns:
            return found
        wants = (*found.wants, f"path:{spec.signed_by}") if spec.signed_by else found.wants
        return replace(found, provides=(*found.provides, SOURCES), wants=wants)
