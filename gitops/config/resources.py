"""Resources as written: find the kind, check the keys, check literal values against the kind's Spec.

Values that hold `${` are checked by compile, after interpolation, with `check_values` of this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import cast

from gitops.config.config import ModuleUse, ResourceNode
from gitops.config.node import Node, name_type, to_plain
from gitops.config.reader import Findings, MapReader, suggest, unknown_key
from gitops.model.attribute import Attribute, attributes_of, decode_value, describe_type
from gitops.model.codec import Json
from gitops.model.diagnostic import Diagnostic, Place
from gitops.model.facts import FACTS, is_custom
from gitops.model.resource import DRIFTS
from gitops.providers.registry import PROVIDERS

COMMON = ("needs", "notify", "when", "for_each", "drift")
CONTENT = ("content", "source", "template")
FILLED_IN = ("executable", "protocol", "on_notify")
TEXTUAL = (
    "text",
    "content",
    "texts",
    "argv",
    "environment",
    "values",
    "mode",
    "path",
    "choice",
    "xattrs",
    "acl",
    "directory_acl",
    "selinux",
)
UNLESS_ABSENT = {"symlink": "target"}
TEXT_ATTRIBUTE = Attribute("text", "a file beside the module or project")


@cache
def known_attributes(kind: str) -> Mapping[str, Attribute]:
    """Give what a kind takes in config: its Spec's attributes, and beside a content `source` and `template`."""
    found = dict(attributes_of(PROVIDERS[kind].spec))
    for name in FILLED_IN if kind == "external" else ():
        del found[name]
    if "content" in found:
        found["source"] = found["template"] = TEXT_ATTRIBUTE
    return found  # shared: not to be changed


def read_resources(nodes: tuple[Node, ...], findings: Findings) -> tuple[ResourceNode, ...]:
    """Read a list of resources; the broken ones are left out."""
    found = [read_resource(node, findings) for node in nodes]
    return tuple(item for item in found if item is not None)


def read_resource(node: Node, findings: Findings) -> ResourceNode | None:
    """Read one resource, or add what is wrong and give None."""
    if not isinstance(node.value, dict):
        findings.add(
            "C105", f"a resource is {name_type(node)}, expected a map like `file: /etc/motd`", node.place, width=node.width
        )
        return None
    kind = find_kind(node, findings)
    if kind is None:
        findings.lost.update(f"{key}:{item.text}" for key, item in node.entries.items() if key in PROVIDERS)
        return None
    name = node.entries[kind]
    reader = MapReader(node, f"{kind}:{name.text}" if name.text else kind, findings)
    if not isinstance(name.value, str):
        findings.add("C105", f"the name of a {kind} is {name_type(name)}, expected a string", name.place, width=name.width)
        return None
    attributes = {key: item for key, item in node.entries.items() if key != kind and key not in COMMON}
    what = f"{kind}:{name.text}"
    is_known = _check_keys(kind, attributes, node, what, findings)
    problems = check_values(kind, attributes, what, place=node.key_place(kind), literal_only=True)
    for diagnostic in problems:
        findings.add_diagnostic(diagnostic)
    resource = ResourceNode(
        kind=kind,
        name=name,
        attributes={key: item for key, item in attributes.items() if key in known_attributes(kind)},
        keys=node.keys,
        place=node.key_place(kind),
        needs=reader.sequence("needs"),
        notify=reader.sequence("notify"),
        when=_read_when(reader, findings),
        asked=_find_asked(reader),
        for_each=reader.get("for_each"),
        drift=reader.choice("drift", DRIFTS, ""),
        is_checked=is_known and not problems,
    )
    if not is_known:
        findings.lost.add(f"{kind}:{name.text}")
    return resource if is_known else None


def find_kind(node: Node, findings: Findings) -> str | None:
    """Give the one key that names a kind and is not an attribute of another kind present (DESIGN §3)."""
    present = [key for key in node.entries if key in PROVIDERS]
    kinds = [key for key in present if not any(key in known_attributes(other) for other in present if other != key)]
    if len(kinds) == 1:
        return kinds[0]
    if len(kinds) > 1 or present:
        names = " and ".join(f"`{key}`" for key in present)
        findings.add("C107", f"two kinds in one resource: {names}", node.key_place(present[1]), hint="make it two resources")
        return None
    first = _guess_kind(node)
    hint = suggest(first, PROVIDERS) or "expected one of " + ", ".join(sorted(PROVIDERS))
    message = f"unknown kind of resource `{first[:80]}`" if first else "a resource that names no kind"
    findings.add("C103", message, node.key_place(first), hint=hint, width=len(first) or 1)
    return None


def _guess_kind(node: Node) -> str:
    """Give the key that was meant to be the kind: the first that no kind has as an attribute."""
    return next((key for key in node.entries if key not in COMMON and key not in _all_attributes()), "")


@cache
def _all_attributes() -> frozenset[str]:
    return frozenset(key for kind in PROVIDERS for key in known_attributes(kind))


def check_values(
    kind: str, attributes: Mapping[str, Node], what: str, *, place: Place, literal_only: bool = False
) -> list[Diagnostic]:
    """Check values against the kind's Spec, and that none is missing; `literal_only` leaves out those that hold `${`."""
    found = check_types(kind, attributes, what, literal_only=literal_only)
    known = known_attributes(kind)
    missing = [key for key, item in known.items() if item.is_required and key not in attributes]
    state = attributes.get("state")
    if kind in UNLESS_ABSENT and UNLESS_ABSENT[kind] not in attributes and (state is None or state.value == "present"):
        missing.append(UNLESS_ABSENT[kind])
    found.extend(
        Diagnostic("C106", f"{what}: `{key}` is missing, expected {describe_type(known[key])}", place) for key in missing
    )
    return found


def check_types(kind: str, attributes: Mapping[str, Node], what: str, *, literal_only: bool = False) -> list[Diagnostic]:
    """Check values against the kind's Spec."""
    known = known_attributes(kind)
    found: list[Diagnostic] = []
    for key, node in attributes.items():
        described = known.get(key)
        if described is None or (literal_only and has_reference(node)):
            continue
        if literal_only and described.type == "content" and isinstance(node.value, dict):
            found.append(Diagnostic("C105", f"{what}: `{key}`: got a map, expected a string", node.place, width=node.width))
            continue
        problem = check_value(described, node, f"{what}: `{key}`")
        if problem is not None:
            found.append(problem)
    return found


def check_value(described: Attribute, node: Node, what: str) -> Diagnostic | None:
    """Check one value as it was written: a number is no text, whatever a text of it would look like."""
    try:
        decode_value(described, cast("Json", to_plain(node)))
    except ValueError as error:
        hint = suggest_quotes(node, str(error)) if described.type in TEXTUAL else ""
        return Diagnostic("C105", f"{what}: {error}", node.place, hint=hint, width=node.width)
    return None


def suggest_quotes(node: Node, said: str = "") -> str:
    """Say where to quote the first number or boolean below a value: here, unless it was `said`, or where a variable has it."""
    stack: list[tuple[Node, bool]] = [(node, False)]
    while stack:
        item, is_brought = stack.pop()
        is_brought = is_brought or item.origin is not None
        if isinstance(item.value, int | float):
            if is_brought:
                return f"quote it where it is set: {item.origin or item.place}"
            return "" if "quote it" in said else "quote it"
        stack.extend((inner, is_brought) for inner in reversed((*item.items, *item.entries.values())))
    return ""


def has_reference(node: Node) -> bool:
    """Say whether `${` stands anywhere in a value."""
    if not isinstance(node.value, dict | tuple):
        return "${" in node.text
    return any(isinstance(item.value, str) and "${" in item.value for item in node.walk())


def read_uses(nodes: tuple[Node, ...], findings: Findings) -> tuple[ModuleUse, ...]:
    """Read `modules: [{name, params}]`; a plain string is a name."""
    found: list[ModuleUse] = []
    for node in nodes:
        if isinstance(node.value, str):
            found.append(ModuleUse(node.value, {}, node.place, node.width))
            continue
        reader = MapReader(node, "a module's use", findings)
        name = reader.require("name", "the module's name")
        reader.text("name")
        params = reader.table("params")
        reader.finish()
        if name is not None and isinstance(name.value, str):
            found.append(ModuleUse(name.value, params, name.place, name.width))
    return tuple(found)


def _check_keys(kind: str, attributes: Mapping[str, Node], node: Node, what: str, findings: Findings) -> bool:
    known = set(known_attributes(kind))
    for key in attributes:
        if key not in known:
            findings.add_diagnostic(unknown_key(key, known | set(COMMON), what, node.key_place(key)))
    given = [key for key in CONTENT if key in attributes]
    if len(given) > 1:
        findings.add("C110", f"{what}: give one of {', '.join(CONTENT)}, got {' and '.join(given)}", node.key_place(given[1]))
        return False
    return True


def _read_when(reader: MapReader, findings: Findings) -> dict[str, tuple[str, ...]]:
    when: dict[str, tuple[str, ...]] = {}
    node = reader.get("when")
    for fact, value in reader.table("when").items():
        if is_custom(fact):
            continue  # compile knows which there are
        if fact not in FACTS and node is not None:
            hint = suggest(fact, FACTS) or "expected one of " + ", ".join(FACTS)
            findings.add("C214", f"unknown fact `{fact[:60]}`", node.key_place(fact), hint=hint, width=len(fact))
            continue
        values = value.items or (value,)
        if all(isinstance(item.value, str) for item in values):
            when[fact] = tuple(item.text for item in values)
        else:
            findings.add("C105", f"`when`: {fact} is {name_type(value)}, expected a string or a list of strings", value.place)
    return when


def _find_asked(reader: MapReader) -> Node | None:
    """Give the `when` as written, if it asks a custom fact."""
    node = reader.get("when")
    return node if node is not None and any(map(is_custom, node.entries)) else None
