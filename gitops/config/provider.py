"""The Provider document: a program of the project that manages things of its own, and the values that these have.

It lies at `providers/NAME/provider.yaml` and its program beside it. Nothing here runs the program; its bytes are only read by compile.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from gitops.config.config import DeclaredProvider
from gitops.config.documents import open_document
from gitops.config.node import Node
from gitops.config.programs import check_program
from gitops.config.reader import Findings, MapReader
from gitops.model.attribute import VALUE_NAME, Attribute
from gitops.model.sourcetree import SourceTree
from gitops.providers.conversation import PROTOCOLS, SINCE_SECRETS
from gitops.providers.external import REFRESHES

FOLDER = "providers"
DECLARATION = "provider.yaml"
VALUE_TYPES = ("text", "integer", "boolean", "choice", "mode", "path", "texts", "secret")


def read_provider(node: Node, path: str, tree: SourceTree, findings: Findings) -> DeclaredProvider:
    """Read a Provider document that lies at `path`."""
    _, spec, name, _ = open_document(node, "Provider", findings)
    expected = path.removeprefix(f"{FOLDER}/").removesuffix(f"/{DECLARATION}")
    is_broken = bool(name) and name != expected
    if is_broken:
        hint = "the folder has the provider's name"
        message = f"the provider `{name}` is declared in {path}, not in {FOLDER}/{name}/{DECLARATION}"
        findings.add("C109", message, node.place, hint=hint)
    protocol = spec.integer("protocol", PROTOCOLS[0])
    if protocol not in PROTOCOLS:
        place = spec.node.entries["protocol"].place
        spoken = " and ".join(map(str, PROTOCOLS))
        findings.add("C105", f"provider {name}: `protocol` is {protocol}, this version speaks {spoken}", place)
        is_broken = True
    executable = _read_executable(spec, path, tree, findings)
    attributes = {key: _read_attribute(key, item, findings) for key, item in spec.table("attributes").items()}
    on_notify = spec.choice("on_notify", REFRESHES, "")
    needing = [what for what, needs in _list_newer(attributes, on_notify) if needs]
    if protocol < SINCE_SECRETS and needing:
        findings.add("C105", f"provider {name}: {needing[0]} needs `protocol: {SINCE_SECRETS}`", node.place)
        is_broken = True
    spec.finish()
    if is_broken:
        # Known, so that nothing follows from the mistake, and not used.
        return DeclaredProvider(expected if name else "", "", protocol, attributes, node.place)
    return DeclaredProvider(name, executable, protocol, attributes, node.place, on_notify)


def _list_newer(attributes: Mapping[str, Attribute], on_notify: str) -> Sequence[tuple[str, bool]]:
    """Give what only newer protocols know, and whether it is declared."""
    return (
        ("an attribute of the type `secret`", any(item.type == "secret" for item in attributes.values())),
        ("`on_notify`", bool(on_notify)),
    )


def _read_executable(spec: MapReader, path: str, tree: SourceTree, findings: Findings) -> str:
    node = spec.require("executable", "the program's file name")
    spec.text("executable")
    if node is None or not isinstance(node.value, str):
        return ""
    folder = path.rpartition("/")[0]
    found = f"{folder}/{node.value}"
    if not node.value or "/" in node.value or node.value in (".", ".."):
        findings.add("C305", f"{node.value[:80]!r} is not a file of {folder}/", node.place, width=node.width)
        return ""
    return check_program(found, node, tree, findings)


def _read_attribute(name: str, node: Node, findings: Findings) -> Attribute:
    reader = MapReader(node, f"attribute {name[:60]}", findings)
    if not re.match(VALUE_NAME, name):
        findings.add(
            "C109", f"{name[:60]!r} is not a valid name of a value", node.place, hint="lower-case letters, digits and `_`"
        )
    found = Attribute(
        reader.choice("type", VALUE_TYPES, "text"),
        reader.text("doc"),
        reader.texts("choices"),
        reader.integer("minimum", 0) if reader.get("minimum") is not None else None,
        reader.integer("maximum", 0) if reader.get("maximum") is not None else None,
        reader.flag("required", default=False),
    )
    reader.finish()
    if (found.type == "choice") != bool(found.choices):
        findings.add("C105", f"attribute {name[:60]}: `choices` belongs to the type `choice`, which needs it", node.place)
    return found
