"""Load a project: every document of a tree, every mistake, one Config.

Takes a SourceTree, gives a Config (None when something essential is missing) and all diagnostics, sorted. A file that cannot be
read does not hide mistakes in the others, and `broken` says which they were, so that nothing follows from what they lack.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from gitops.config.config import Config, DeclaredFact, DeclaredProvider, Group, HostDocument, Module, Project
from gitops.config.cue import CueEvaluator, CueTool
from gitops.config.cuedocuments import read_documents, read_library
from gitops.config.documents import KINDS, NAME_HINT, read_group, read_host, read_module, read_project
from gitops.config.fact import read_fact
from gitops.config.nearnames import describe_near_name, find_near_names
from gitops.config.node import Node, name_type
from gitops.config.provider import DECLARATION, FOLDER, read_provider
from gitops.config.reader import Findings, suggest
from gitops.config.yaml import YamlError, parse_yaml
from gitops.errors import ConfigError
from gitops.model.address import is_object_name
from gitops.model.diagnostic import Diagnostic, Place, sort_diagnostics
from gitops.model.limits import DEFAULTS
from gitops.model.sourcetree import SourceTree

PROJECT_FILE = "gitops.yaml"
MODULE_FILES = ("/module.yaml", "/module.yml", "/module.cue")
DATA_FOLDERS = ("files", "templates")
Noun = TypeVar("Noun", HostDocument, Group, Module, Project, DeclaredProvider, DeclaredFact)


@dataclass(frozen=True)
class Loaded:
    """What was read. `is_whole` says that no document is missing for a mistake in it, so that what is not there is really missing.

    A config that is not whole may stand without its Project; `cue` evaluates the instances of its modules.
    """

    config: Config | None
    diagnostics: tuple[Diagnostic, ...]
    cue: CueEvaluator
    is_whole: bool = True


def load_config(tree: SourceTree, *, cue: CueTool | None = None) -> Loaded:
    """Read every document of the project; `cue` says where the binary is and where results are kept."""
    findings = Findings()
    yaml_files, cue_files, is_listed = _list_files(tree, findings)
    documents, is_whole = _read_yaml(tree, yaml_files, findings)
    is_whole = is_whole and is_listed
    library = read_library(tree, cue_files, findings)
    evaluator = CueEvaluator(cue or CueTool(), library)
    found, is_read = read_documents(evaluator, library, findings)
    documents.extend(found)
    is_whole = is_whole and is_read and len(library) == len(cue_files)
    collected = _Collected()
    for path, node in documents:
        _take_document(collected, path, node, tree, findings)
    _add_cue_modules(collected, tree, findings)
    is_whole = is_whole and collected.is_whole
    project = _one_project(collected.projects, findings, is_whole=is_whole)
    config = None
    if project is not None or not is_whole:
        nowhere = Project("", {}, {}, {}, Place(PROJECT_FILE))
        config = Config(
            project or nowhere,
            collected.hosts,
            collected.groups,
            collected.modules,
            frozenset(findings.lost),
            collected.providers,
            collected.facts,
        )
    return Loaded(config, sort_diagnostics(findings.found), evaluator, is_whole)


def is_document(path: str, module_folders: Collection[str] = ()) -> bool:
    """Say whether a path holds documents: YAML or CUE, not in `files/` or `templates/` of the project or of a module's folder."""
    parts = path.split("/")
    if any(part.startswith(".") for part in parts) or not path.endswith((".yaml", ".yml", ".cue")):
        return False
    if parts[0] in DATA_FOLDERS and len(parts) > 1:
        return False
    if len(parts) > 2 and parts[0] == FOLDER:  # noqa: PLR2004  providers/NAME/…: the rest of the folder is the program's own
        return parts[2:] == [DECLARATION]
    if len(parts) > 3 and parts[0] == "modules" and parts[2] in DATA_FOLDERS:  # noqa: PLR2004  modules/NAME/files/…
        return False
    above = (("/".join(parts[:depth]), parts[depth]) for depth in range(1, len(parts) - 1))
    return not any(name in DATA_FOLDERS and folder in module_folders for folder, name in above)


def module_cue_files(tree: SourceTree, folder: str) -> tuple[str, str]:
    """Give the paths of a module's module.cue and params.cue, empty when it has none."""
    return _existing(tree, f"{folder}/module.cue"), _existing(tree, f"{folder}/params.cue")


def _existing(tree: SourceTree, path: str) -> str:
    try:
        return path if tree.kind(path) in ("file", "executable") else ""
    except KeyError:
        return ""


def _list_files(tree: SourceTree, findings: Findings) -> tuple[list[str], list[str], bool]:
    """Give the YAML and CUE files that hold documents; the last says that no file was passed over for a name that is nearly right."""
    paths = [path for path in tree.paths() if not any(part.startswith(".") for part in path.split("/"))]
    folders = frozenset(path.rpartition("/")[0] for path in paths if path.endswith(MODULE_FILES))
    files = [path for path in paths if tree.kind(path) in ("file", "executable")]
    near = find_near_names(frozenset(files), lambda path: is_document(path, folders))
    for path, expected in near.items():
        findings.add_diagnostic(describe_near_name(path, expected))
    for path in sorted({*paths} - {*files}):
        if _is_project_file(path):
            findings.add("C610", f"{path} is a {tree.kind(path)}; only plain files are read", Place(path), hint="copy the file")
    documents = [path for path in files if path not in near and is_document(path, folders)]
    cue_files = [path for path in documents if path.endswith(".cue") and not _is_module_cue(path)]
    return [path for path in documents if not path.endswith(".cue")], cue_files, not near


def _is_project_file(path: str) -> bool:
    return is_document(path) or path.split("/", maxsplit=1)[0] in ("modules", *DATA_FOLDERS)


def _is_module_cue(path: str) -> bool:
    parts = path.split("/")
    return len(parts) == 3 and parts[0] == "modules" and parts[-1] in ("module.cue", "params.cue")  # noqa: PLR2004  modules/NAME/file


def _read(tree: SourceTree, path: str) -> bytes:
    if tree.size(path) > DEFAULTS.document_bytes:
        message = f"the file is too large: {tree.size(path)} bytes, at most {DEFAULTS.document_bytes} are read"
        raise YamlError(Diagnostic("C603", message, Place(path), hint="split it, or use `source` for data"))
    try:
        return tree.read(path)
    except ConfigError as error:
        raise YamlError(Diagnostic(error.code, error.message, Place(path))) from error


@dataclass
class _Collected:
    """The documents by kind and name; `is_whole` until one of them has no usable kind or name."""

    projects: dict[str, Project] = field(default_factory=dict[str, Project])
    hosts: dict[str, HostDocument] = field(default_factory=dict[str, HostDocument])
    groups: dict[str, Group] = field(default_factory=dict[str, Group])
    modules: dict[str, Module] = field(default_factory=dict[str, Module])
    providers: dict[str, DeclaredProvider] = field(default_factory=dict[str, DeclaredProvider])
    facts: dict[str, DeclaredFact] = field(default_factory=dict[str, DeclaredFact])
    is_whole: bool = True


def _take_document(into: _Collected, path: str, node: Node, tree: SourceTree, findings: Findings) -> None:
    kind = _kind_of(node, findings)
    is_entered = False
    if kind == "Project":
        is_entered = _enter(into.projects, read_project(node, findings), "Project", findings)
    elif kind == "Host":
        is_entered = _enter(into.hosts, read_host(node, findings), "Host", findings)
    elif kind == "Group":
        is_entered = _enter(into.groups, read_group(node, findings), "Group", findings)
    elif kind == "Module":
        is_entered = _enter(into.modules, _read_module(node, path, tree, findings), "Module", findings)
    elif kind == "Provider":
        is_entered = _enter(into.providers, read_provider(node, path, tree, findings), "Provider", findings)
    elif kind == "Fact":
        is_entered = _enter(into.facts, read_fact(node, tree, findings), "Fact", findings)
    into.is_whole = into.is_whole and is_entered


def _read_yaml(tree: SourceTree, files: list[str], findings: Findings) -> tuple[list[tuple[str, Node]], bool]:
    documents: list[tuple[str, Node]] = []
    is_whole = True
    for path in files:
        try:
            nodes = parse_yaml(_read(tree, path), path)
        except YamlError as error:
            findings.add_diagnostic(error.diagnostic)
            is_whole = False
        else:
            documents.extend((path, node) for node in nodes)
    return documents, is_whole


def _read_module(node: Node, path: str, tree: SourceTree, findings: Findings) -> Module:
    folder = path.rpartition("/")[0]
    module = read_module(node, findings, folder)
    _, params_cue = module_cue_files(tree, folder)
    if params_cue and module.params:
        places = (next(iter(module.params.values())).place, Place(params_cue))
        message = f"module `{module.name}` declares its parameters twice: here and in {params_cue}"
        findings.add_diagnostic(Diagnostic("C110", message, places[0], related=(places[1],), hint="keep one"))
    return replace(module, params_cue=params_cue)


def _add_cue_modules(into: _Collected, tree: SourceTree, findings: Findings) -> None:
    for path in tree.paths():
        folder, _, name = path.rpartition("/")
        if name == "module.cue" and _is_module_cue(path) and tree.kind(path) in ("file", "executable"):
            module = folder.rpartition("/")[2]
            if not is_object_name(module):
                findings.add("C109", f"{module[:80]!r} is not a valid name of a module", Place(path), hint=NAME_HINT)
                continue
            _enter(into.modules, Module(module, folder, {}, (), "", Place(path), module_cue=path), "Module", findings)


def _kind_of(node: Node, findings: Findings) -> str:
    if not isinstance(node.value, dict):
        findings.add("C101", f"a document is {name_type(node)}, expected a map with `apiVersion` and `kind`", node.place)
        return ""
    kind = node.entries.get("kind")
    if kind is None or kind.value not in KINDS:
        place = node.place if kind is None else kind.place
        got = "has no `kind`" if kind is None else f"is of the unknown kind {name_type(kind)}"
        hint = (suggest(kind.text, KINDS) if kind is not None else "") or "expected one of " + ", ".join(KINDS)
        findings.add("C101", f"a document {got}", place, hint=hint)
        return ""
    return kind.text


def _enter(table: dict[str, Noun], noun: Noun, kind: str, findings: Findings) -> bool:
    """Enter a document; say whether the name that it defines is known from now on."""
    if not noun.name:
        return False
    first = table.get(noun.name)
    if first is None:
        table[noun.name] = noun
        return True
    message = f"{kind} `{noun.name}` is here twice"
    findings.add_diagnostic(Diagnostic("C108", message, noun.place, related=(first.place,), hint="rename or remove one"))
    return True


def _one_project(projects: Mapping[str, Project], findings: Findings, *, is_whole: bool) -> Project | None:
    if len(projects) == 1:
        return next(iter(projects.values()))
    if projects:
        places = sorted(project.place for project in projects.values())
        findings.add_diagnostic(
            Diagnostic("C102", "the project has more than one Project document", places[1], related=(places[0],))
        )
    elif is_whole and not any(item.place.file == PROJECT_FILE for item in findings.found):
        hint = "`gitops init` makes one" if not findings.found else ""
        findings.add("C102", f"no Project document: {PROJECT_FILE} is missing or empty", Place(PROJECT_FILE), hint=hint)
    return None
