"""Packages through apt and dpkg: one query for all, one transaction for all.

`present` takes any version, `latest` the candidate that apt knows, `version` exactly that one. Recommended packages are not pulled
in and nothing asks questions; config files that an administrator changed are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterator, List, Mapping, Optional, Sequence

from gitops.errors import HostError
from gitops.model.attribute import attribute
from gitops.model.codec import Json
from gitops.model.observation import State
from gitops.model.plan import Difference, FieldChange
from gitops.model.report import Outcome
from gitops.providers.base import Possible, Provider, Relations, Step
from gitops.providers.host import Host

TRANSACTION_SECONDS = 1800
QUERY = ("dpkg-query", "-W", "-f", "${Package} ${db:Status-Status} ${Version}\\n")
APT = ("apt-get", "-y", "-q", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold", "-o", "DPkg::Lock::Timeout=60")
QUIET: Mapping[str, Json] = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1"}


@dataclass(frozen=True)
class PackageSpec:
    """A package of the system's package manager."""

    name: str
    version: Optional[str] = attribute("text", "exactly this version")
    state: str = attribute("choice", "present, absent or latest", default="present", choices=("present", "absent", "latest"))


class PackageProvider(Provider[PackageSpec]):
    """See the module."""

    kind = "package"
    spec = PackageSpec
    summary = "a package (apt)"

    def observe(self, specs: Sequence[PackageSpec], host: Host) -> Mapping[str, State]:
        """State: `installed` version or empty; `candidate` for those that want the latest."""
        done = host.run([*QUERY, *(spec.name for spec in specs)])
        installed = _read_installed(done.output)
        latest = [spec.name for spec in specs if spec.state == "latest"]
        candidates = _read_candidates(host.run(["apt-cache", "policy", *latest]).output) if latest else {}
        states: Dict[str, State] = {}
        for spec in specs:
            state: Dict[str, Json] = {"installed": installed.get(spec.name, "")}
            if spec.state == "latest":
                state["candidate"] = candidates.get(spec.name, "")
            states[spec.name] = state
        return states

    def diff(self, spec: PackageSpec, state: State) -> Optional[Difference]:
        """Compare versions."""
        installed = str(state.get("installed") or "")
        if spec.state == "absent":
            return Difference("remove", (FieldChange("version", installed, None),)) if installed else None
        wanted = spec.version or (str(state.get("candidate") or "") if spec.state == "latest" else "")
        if not installed:
            return Difference("create", (FieldChange("version", None, wanted or "any"),))
        if spec.state == "latest" and "candidate" not in state:  # observed before anybody asked for it
            return Difference("update", (FieldChange("version", installed, "latest"),), confidence="conditional")
        if wanted and wanted != installed:
            return Difference("update", (FieldChange("version", installed, wanted),))
        return None

    def apply(self, steps: Sequence[Step[PackageSpec]], host: Host) -> Iterator[Outcome]:
        """One apt transaction for the batch; when it fails, each package is told by what is then installed."""
        wanted = [_argument(step) for step in steps]
        for step in steps:
            _note_undo(step, host)
        done = host.run([*APT, "install", "--allow-downgrades", "--", *wanted], environment=QUIET, timeout=TRANSACTION_SECONDS)
        if done.status == 0:
            for step in steps:
                yield Outcome(step.address, step.action, "changed")
            return
        states = self.observe([step.spec for step in steps], host)
        for step in steps:
            is_done = self.diff(step.spec, states[step.spec.name]) is None
            reason = "" if is_done else f"apt-get ended with {done.status}: {done.output.strip()[-1000:]}"
            yield Outcome(step.address, step.action, "changed" if is_done else "failed", reason)

    def relate(self, spec: PackageSpec) -> Relations:
        """A package comes before the service and the files of its name that want it."""
        return Relations((f"package:{spec.name}",), (), is_absent=spec.state == "absent")

    def bound(self, spec: PackageSpec) -> Sequence[Possible]:
        """At most: install or remove it."""
        return (Possible("remove" if spec.state == "absent" else "set"),)


def _argument(step: Step[PackageSpec]) -> str:
    if step.action == "remove":
        return f"{step.spec.name}-"
    return f"{step.spec.name}={step.spec.version}" if step.spec.version else step.spec.name


def _note_undo(step: Step[PackageSpec], host: Host) -> None:
    before = str(step.state.get("installed") or "")
    name = step.spec.name
    if before:
        host.note_undo([*APT, "install", "--allow-downgrades", "--", f"{name}={before}"])
    else:
        host.note_undo([*APT, "remove", "--", name])


def _read_installed(output: str) -> Dict[str, str]:
    found: Dict[str, str] = {}
    for line in output.splitlines():
        parts: List[str] = line.split(" ")
        if len(parts) == 3 and parts[1] == "installed":  # noqa: PLR2004  name, status, version
            found[parts[0]] = parts[2]
    return found


def _read_candidates(output: str) -> Dict[str, str]:
    found: Dict[str, str] = {}
    name = ""
    for line in output.splitlines():
        if line and not line.startswith(" "):
            name = line.rstrip(":")
        elif line.strip().startswith("Candidate:"):
            version = line.split(":", 1)[1].strip()
            if version == "(none)":
                raise HostError(f"apt knows no package {name}", code="E120", hint="check the name, or run apt-get update")
            found[name] = version
    return found
