"""Files from the network: fetched when what is there does not have the declared SHA-256, and believed only when they do.

In everything else a `file`: written beside its place and renamed, undone, refused where a directory is. Planning asks no network. What a
broken connection left is gone on with; what an address gives that has another digest fails and changes nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, Iterator, Optional, Sequence, Tuple

from gitops.errors import HostError
from gitops.model.attribute import attribute
from gitops.model.codec import Json
from gitops.model.report import Outcome
from gitops.providers.base import ITSELF, Step
from gitops.providers.file import FileSpec
from gitops.providers.generated import GeneratedProvider
from gitops.providers.host import Host
from gitops.providers.steps import describe_failure

URL = re.compile(r"https?://[^\s/@?#]+(:[0-9]+)?(/[!-~]*)?\Z")
SHA256 = re.compile(r"[0-9a-f]{64}\Z")
SECONDS = 600


@dataclass(frozen=True)
class DownloadSpec:
    """A file from the network."""

    path: str
    url: str = attribute("text", "where it is: `https://…` or `http://…`", is_required=True)
    sha256: str = attribute("text", "the SHA-256 that it must have", is_required=True)
    owner: Optional[str] = attribute("text", "user name; a new file belongs to the running user")
    group: Optional[str] = attribute("text", "group name")
    mode: Optional[str] = attribute("mode", "permissions; a new file gets 0644")
    timeout: int = attribute("integer", "seconds that fetching may take in all", default=SECONDS, bounds=(1, 86400))
    validate: Optional[Tuple[str, ...]] = attribute("argv", "a command that must accept the new file; `{path}` stands for it")
    state: str = attribute("choice", "present or absent", default="present", choices=("present", "absent"))

    @property
    def name(self) -> str:
        """Its path."""
        return self.path


class DownloadProvider(GeneratedProvider[DownloadSpec]):
    """See the module."""

    kind = "download"
    spec = DownloadSpec
    summary = "a file from the network, by its digest"
    reach = ITSELF

    def find_mistake(self, spec: DownloadSpec) -> str:
        """Check address and digest."""
        return find_mistake(spec.url, spec.sha256)

    def make_file(self, spec: DownloadSpec) -> FileSpec:
        """The file, its size not known before it is there."""
        content: Json = {"blob": spec.sha256, "size": 0}
        return FileSpec(spec.path, content, spec.owner, spec.group, spec.mode, validate=spec.validate, state=spec.state)

    def show(self, spec: DownloadSpec) -> Json:
        """Where it comes from, and what it must be."""
        return show_source(spec.url, spec.sha256)

    def apply(self, steps: Sequence[Step[DownloadSpec]], host: Host) -> Iterator[Outcome]:
        """Fetch one after the other, then write what came as one batch."""
        failed: Dict[str, str] = {}
        for step in steps:
            if step.action != "remove" and any(item.name == "content" for item in step.difference.fields):
                try:
                    host.fetch(step.spec.url, step.spec.sha256, step.spec.timeout)
                except (HostError, OSError) as error:
                    failed[step.address] = describe_failure(error)
        done = {item.address: item for item in super().apply([step for step in steps if step.address not in failed], host)}
        for step in steps:
            yield done.get(step.address) or Outcome(step.address, step.action, "failed", failed[step.address])


def find_mistake(url: str, digest: str) -> str:
    """Say what of an address and a digest cannot be meant; empty when nothing."""
    if not URL.match(url):
        return "`url` must be like https://downloads.example.org/x.tar.gz, without a user or password"
    if not SHA256.match(digest):
        return "`sha256` must be 64 small hexadecimal digits; `sha256sum FILE` prints it"
    return ""


def show_source(url: str, digest: str) -> str:
    """Name where a content comes from and what it must be."""
    return f"{url} (sha256 {digest[:12]})"
