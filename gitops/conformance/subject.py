"""A provider to be tested: its folder, read and checked, with the cases that say what may be changed on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gitops.config.config import DeclaredProvider
from gitops.config.provider import DECLARATION, FOLDER, read_provider
from gitops.config.reader import Findings
from gitops.config.yaml import YamlError, parse_yaml
from gitops.errors import ConfigError, UsageError
from gitops.model.attribute import Attribute, decode_value
from gitops.model.codec import Json, decode_json
from gitops.model.diagnostic import InvalidConfigError, sort_diagnostics
from gitops.model.fields import Fields

CASES = "cases.json"


@dataclass(frozen=True)
class Case:
    """A thing that may be changed here: the values that it gets, and others that it gets next."""

    name: str
    values: Mapping[str, Json]
    other: Mapping[str, Json]
    is_removable: bool


@dataclass(frozen=True)
class Subject:
    """A provider to be tested: its declaration, its program, its cases, and the files that observing must leave alone."""

    declared: DeclaredProvider
    program: bytes
    cases: tuple[Case, ...]
    watch: tuple[str, ...]


def open_subject(folder: Path) -> Subject:
    """Read a provider's folder; raise InvalidConfigError or UsageError for what is wrong in it."""
    declared = open_declaration(folder)
    cases, watch = _read_cases(folder / CASES, declared)
    return Subject(declared, (folder / Path(declared.executable).name).read_bytes(), cases, watch)


def open_declaration(folder: Path) -> DeclaredProvider:
    """Read what a provider's folder declares; raise as `open_subject` does."""
    name = folder.resolve().name
    tree = _FolderTree(folder, f"{FOLDER}/{name}/")
    path = f"{FOLDER}/{name}/{DECLARATION}"
    findings = Findings()
    try:
        nodes = parse_yaml(tree.read(path), path)
    except KeyError:
        raise UsageError(f"{folder} has no {DECLARATION}", code="U080", hint="`gitops provider new NAME` makes one") from None
    except YamlError as error:
        raise InvalidConfigError([error.diagnostic]) from error
    if len(nodes) != 1 or "kind" not in nodes[0].entries or nodes[0].entries["kind"].value != "Provider":
        raise UsageError(f"{folder / DECLARATION} is not one Provider document", code="U080")
    declared = read_provider(nodes[0], path, tree, findings)
    if findings.found:
        raise InvalidConfigError(sort_diagnostics(findings.found))
    return declared


class _FolderTree:
    """The files of one folder, under a prefix."""

    def __init__(self, folder: Path, prefix: str) -> None:
        self._files = {prefix + path.name: path for path in sorted(folder.glob("*")) if path.is_file()}

    def paths(self) -> Sequence[str]:
        return tuple(self._files)

    def kind(self, path: str) -> str:
        return "symlink" if self._files[path].is_symlink() else "file"

    def size(self, path: str) -> int:
        return self._files[path].stat().st_size

    def read(self, path: str) -> bytes:
        return self._files[path].read_bytes()


def _read_cases(path: Path, declared: DeclaredProvider) -> tuple[tuple[Case, ...], tuple[str, ...]]:
    try:
        fields = Fields(decode_json(path.read_bytes()), CASES)
        cases = tuple(_read_case(item, declared) for item in fields.items("cases"))
        watch = fields.texts("watch")
        fields.done()
    except OSError as error:
        hint = "it names things that may be changed here; see docs/reference/provider-protocol.md"
        raise UsageError(f"cannot read {path}: {error.strerror}", code="U081", hint=hint) from error
    except ConfigError as error:
        raise UsageError(f"{path}: {error.message}", code="U081") from error
    if not cases:
        raise UsageError(f"{path} has no cases", code="U081")
    return cases, watch


def _read_case(value: Json, declared: DeclaredProvider) -> Case:
    fields = Fields(value, "case")
    case = Case(fields.text("name"), fields.table("set"), fields.table("other"), fields.flag("removable", default=True))
    fields.done()
    for values in (case.values, case.other):
        for key, item in values.items():
            if key not in declared.attributes:
                raise UsageError(f"case {case.name}: the provider declares no value `{key}`", code="U081")
            try:
                decode_value(_plain_of(declared.attributes[key]), item)
            except ValueError as error:
                raise UsageError(f"case {case.name}: `{key}`: {error}", code="U081") from error
    return case


def _plain_of(described: Attribute) -> Attribute:
    """Give what a case writes for a value: of a secret a made-up one, in the open."""
    return replace(described, type="text") if described.type == "secret" else described
