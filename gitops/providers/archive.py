"""Archives: a tar or zip of the project or from the network, unpacked into a folder, file by file as if each had been declared.

Drift is found without the archive, by the list of digests that lies in the folder; see `gitops.providers.unpacked`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional, cast

from gitops.model.attribute import attribute
from gitops.model.codec import Json
from gitops.providers.download import SECONDS, find_mistake, show_source
from gitops.providers.host import Host
from gitops.providers.unpacked import Target, UnpackedProvider

MAX_STRIP = 10


@dataclass(frozen=True)
class ArchiveSpec:
    """An archive that is unpacked into a folder."""

    path: str
    content: Any = attribute("content", "the archive: `source`, a file of the project; or `url`")
    url: Optional[str] = attribute("text", "where the archive is: `https://…` or `http://…`")
    sha256: Optional[str] = attribute("text", "with `url`: the SHA-256 that it must have")
    strip: int = attribute("integer", "how many leading folders of each name are taken off", default=0, bounds=(0, MAX_STRIP))
    owner: Optional[str] = attribute("text", "user name of all that is unpacked; else the running user")
    group: Optional[str] = attribute("text", "group name of all that is unpacked")
    timeout: int = attribute("integer", "seconds that fetching may take in all", default=SECONDS, bounds=(1, 86400))
    state: str = attribute("choice", "present or absent", default="present", choices=("present", "absent"))

    @property
    def digest(self) -> str:
        """The archive's SHA-256."""
        content = cast("Json", self.content)  # pyright: ignore[reportUnknownMemberType]  decoded by hand
        return str(content["blob"]) if isinstance(content, dict) else str(self.sha256 or "")


class ArchiveProvider(UnpackedProvider[ArchiveSpec]):
    """See the module."""

    kind = "archive"
    spec = ArchiveSpec
    summary = "an archive, unpacked into a folder"

    def find_mistake(self, spec: ArchiveSpec) -> str:
        """One source, and with an address its digest."""
        if spec.state == "absent":
            return ""
        if (spec.url is None) == (spec.content is None):
            return "either `source` names the archive, a file of the project, or `url` where it is"
        if spec.url is not None:
            return find_mistake(spec.url, spec.sha256 or "")
        if not isinstance(spec.content, dict):
            return "the archive is no binary file of the project (`source`)"
        return "`sha256` goes with `url` only" if spec.sha256 is not None else ""

    def make_target(self, spec: ArchiveSpec) -> Target:
        """The folder, and the archive's digest."""
        return Target(spec.path, spec.digest, spec.strip, spec.owner, spec.group, spec.state == "absent")

    def show(self, spec: ArchiveSpec) -> Json:
        """Its address, or its digest."""
        return show_source(spec.url, spec.digest) if spec.url else f"sha256 {spec.digest[:12]}"

    def bring(self, spec: ArchiveSpec, host: Host) -> Json:
        """Fetch it, or take that of the project."""
        return host.fetch(spec.url, spec.digest, spec.timeout) if spec.url is not None else cast("Json", spec.content)
