"""Plain CUE files: the documents of a project written in CUE, outside of modules.

The files of one folder and package are one instance, as CUE has it (no clause: package `documents`); any may import the project's
others. What an instance exports is a document, a list of documents, or fields that hold such, at most a few levels deep; what is
only meant for use inside is hidden (`_x`) or a definition (`#X`). Documents stand at the line of the field that gave them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from gitops.config.cue import OWN_CLAUSE, CueAnswer, CueEvaluator, Instance, make_diagnostic
from gitops.config.locator import Locator
from gitops.config.node import Node, from_plain, name_type
from gitops.config.reader import Findings
from gitops.config.yaml import decode_text, find_hidden
from gitops.errors import ConfigError
from gitops.model.diagnostic import Diagnostic, Place
from gitops.model.limits import DEFAULTS
from gitops.model.sourcetree import SourceTree

OWN_PACKAGE = "documents"
DEPTH = 4
_CLAUSE = re.compile(r"(?:\s|//[^\n]*(?:\n|\Z)|@[a-z]+\([^)\n]*\))*package[ \t]+([A-Za-z_]\w*)")


def read_library(tree: SourceTree, files: Sequence[str], findings: Findings) -> dict[str, bytes]:
    """Read the plain CUE files of a tree; unreadable ones are reported and left out."""
    library: dict[str, bytes] = {}
    for path in files:
        found = read_source(tree, path)
        if isinstance(found, Diagnostic):
            findings.add_diagnostic(found)
        else:
            library[path] = found
    return library


def read_source(tree: SourceTree, path: str) -> bytes | Diagnostic:
    """Read one CUE file, within bounds, with a package clause; or say why not."""
    if tree.size(path) > DEFAULTS.document_bytes:
        message = f"the file is too large: {tree.size(path)} bytes, at most {DEFAULTS.document_bytes} are read"
        return Diagnostic("C603", message, Place(path))
    try:
        data = tree.read(path)
    except ConfigError as error:
        return Diagnostic(error.code, error.message, Place(path))
    text = decode_text(data, path)
    if isinstance(text, Diagnostic):
        return text
    hidden = find_hidden(text, path)
    if hidden is not None:
        return hidden
    if path.startswith("cue.mod/") or _CLAUSE.match(text):
        return text.encode()
    return f"{OWN_CLAUSE}{text}".encode()  # on the first line, so that line numbers stay true


def read_documents(
    evaluator: CueEvaluator, library: Mapping[str, bytes], findings: Findings
) -> tuple[list[tuple[str, Node]], bool]:
    """Evaluate all plain files; give their documents with a path, and whether every instance could be read."""
    instances = list(_group(library))
    documents: list[tuple[str, Node]] = []
    is_whole = True
    for instance, answer in zip(instances, evaluator.evaluate(instances), strict=True):
        is_whole = is_whole and not answer.problems
        for problem in answer.problems:
            findings.add_diagnostic(make_diagnostic(problem))
        documents.extend(_read_answer(instance, answer, findings))
    return documents, is_whole


def _group(library: Mapping[str, bytes]) -> Iterator[Instance]:
    groups: dict[tuple[str, str], dict[str, bytes]] = {}
    for path, data in sorted(library.items()):
        if path.startswith("cue.mod/"):
            continue
        clause = _CLAUSE.match(data.decode())
        groups.setdefault((path.rpartition("/")[0], clause[1] if clause else OWN_PACKAGE), {})[path] = data
    for (_, package), sources in groups.items():
        yield Instance(sources, package=package)


def _read_answer(instance: Instance, answer: CueAnswer, findings: Findings) -> Iterator[tuple[str, Node]]:
    if answer.problems:
        return
    locator = Locator(instance.sources)
    first = min(instance.sources)
    yield from (
        (place.file, from_plain(value, place)) for value, place in _find(answer.value, locator, Place(first), findings, 0)
    )


def _find(
    value: object, locator: Locator, place: Place, findings: Findings, depth: int
) -> Iterator[tuple[dict[str, object], Place]]:
    if isinstance(value, list):
        for item in cast("list[object]", value):
            yield from _find(item, locator, place, findings, depth + 1)
        return
    if not isinstance(value, dict) or depth > DEPTH:
        found = name_type(from_plain(cast("object", value), place))
        hint = "hide what is no document: `_name` or `#Name`"
        findings.add("C101", f"a CUE file exports {found}, expected documents", place, hint=hint)
        return
    table = cast("dict[str, object]", value)
    if "kind" in table or "apiVersion" in table:
        yield table, _place_document(table, locator, place)
        return
    for key, item in table.items():
        yield from _find(item, locator, locator.find_field(key, place), findings, depth + 1)


def _place_document(table: Mapping[str, object], locator: Locator, place: Place) -> Place:
    metadata = table.get("metadata")
    name = cast("dict[str, object]", metadata).get("name") if isinstance(metadata, dict) else None
    return locator.find_text(f'name: "{name}"', place) if isinstance(name, str) else place
