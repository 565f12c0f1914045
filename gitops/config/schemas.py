"""JSON Schemas of what people write, made from the Specs: every kind of document, every kind of resource, and all at once.

`python -m gitops.config.schemas FOLDER` writes them, with those of stored documents, below FOLDER/json, and the CUE definitions below
FOLDER/cue. Values may hold `${…}`, so a typed attribute also takes such a string. Pure but for `main`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from gitops.config.cueschema import write_definitions
from gitops.config.documents import API_VERSION, CONNECTIONS, KINDS
from gitops.config.printedschemas import PRINTED
from gitops.config.provider import VALUE_TYPES
from gitops.config.providerschemas import PROVIDER
from gitops.config.resources import CONTENT, known_attributes
from gitops.config.storedschemas import DIALECT, STORED
from gitops.model.attribute import Attribute, describe_type
from gitops.model.codec import Json
from gitops.model.facts import CUSTOM_DOC, CUSTOM_PATTERN, FACT_SECONDS, FACT_TYPES, FACTS
from gitops.model.limits import DEFAULTS
from gitops.model.resource import DRIFTS, ON_FAILURE
from gitops.model.secret import SOURCES
from gitops.providers.conversation import PROTOCOLS
from gitops.providers.external import REFRESHES
from gitops.providers.registry import PROVIDERS

Schema = dict[str, Json]

REFERENCE: Schema = {"type": "string", "pattern": r"\$\{"}
NAME: Schema = {"type": "string", "pattern": r"^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$"}
TEXT: Schema = {"type": "string"}
TEXTS: Schema = {"type": "array", "items": TEXT}
ACL_ENTRY = r"^((user|group):[^:]+|mask:):[rwx-]{1,3}$"
DIRECTORY_ACL_ENTRY = r"^((default:)?((user|group):[^:]+|mask:)|default:(user|group|other):):[rwx-]{1,3}$"
SELINUX = r"^[A-Za-z0-9_.]+(:[A-Za-z0-9_.]+:[A-Za-z0-9_.]+(:[A-Za-z0-9_.,:-]+)?)?$"
VARS: Schema = {"type": "object", "description": "values by name; ${vars.x} reads one"}
LABELS: Schema = {"type": "object", "additionalProperties": TEXT}
SELECTOR: Schema = {
    "type": "object",
    "description": "labels that must all match; a list of values means any of them; {} is every host",
    "additionalProperties": {"anyOf": [TEXT, TEXTS]},
}


def make_schemas() -> dict[str, Schema]:
    """Give every schema by name, each complete in itself."""
    found: dict[str, Schema] = {}
    definitions = _definitions()
    for name in ("project", "host", "group", "module", "provider", "fact", "resource"):
        found[name] = _complete(name, definitions[name], definitions)
    for kind in sorted(PROVIDERS):
        found[f"resource-{kind}"] = _complete(f"resource-{kind}", definitions[f"resource-{kind}"], definitions)
    found["gitops"] = _complete("gitops", _any_document(), definitions)
    found.update({name: dict(schema) for name, schema in {**STORED, **PRINTED, **PROVIDER}.items()})
    return dict(sorted(found.items()))


def render_schema(schema: Mapping[str, Json]) -> str:
    """Give the text of a schema's file."""
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def write_schemas(folder: Path) -> None:
    """Write all schemas and definitions below a folder; files that are no longer made are removed."""
    wanted = {f"json/{name}.json": render_schema(schema) for name, schema in make_schemas().items()}
    wanted["cue/gitops.cue"] = write_definitions()
    for path, text in wanted.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    for old in [*folder.glob("json/*.json"), *folder.glob("cue/*.cue")]:
        if old.relative_to(folder).as_posix() not in wanted:
            old.unlink()


def main(arguments: list[str]) -> int:
    """Write the schemas below the folder named."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m gitops.config.schemas FOLDER\n")
        return 1
    write_schemas(Path(arguments[0]))
    return 0


def describe_attribute(described: Attribute) -> Schema:
    """Give the schema of one attribute's value as written in config."""
    plain = _plain_type(described)
    schema: Schema = plain if plain.get("type") == "string" and "pattern" not in plain else {"anyOf": [plain, REFERENCE]}
    return {**schema, "description": f"{described.doc} ({describe_type(described)})"}


def _plain_type(described: Attribute) -> Schema:
    if described.type == "integer":
        bounds: Schema = {}
        if described.minimum is not None:
            bounds["minimum"] = described.minimum
        if described.maximum is not None:
            bounds["maximum"] = described.maximum
        return {"type": "integer", **bounds}
    if described.type == "choice":
        return {"enum": list(described.choices)}
    table: dict[str, Schema] = {
        "boolean": {"type": "boolean"},
        "mode": {"type": "string", "pattern": "^(0?[0-7]{3}|[0-7]{4})$"},
        "path": {"type": "string", "pattern": "^/"},
        "argv": {"type": "array", "items": TEXT, "minItems": 1},
        "texts": TEXTS,
        "selinux": {"type": "string", "pattern": SELINUX},
        "xattrs": {
            "type": "object",
            "propertyNames": {"pattern": r"^user\.."},
            "additionalProperties": {"type": ["string", "null"]},
        },
        "integers": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 255}, "minItems": 1},
        "acl": {"type": "array", "items": {"anyOf": [{"type": "string", "pattern": ACL_ENTRY}, REFERENCE]}},
        "directory_acl": {"type": "array", "items": {"anyOf": [{"type": "string", "pattern": DIRECTORY_ACL_ENTRY}, REFERENCE]}},
        "environment": {"type": "object", "additionalProperties": TEXT},
        "values": {"type": "object", "propertyNames": {"pattern": "^[a-z][a-z0-9_]{0,62}$"}},
    }
    return table.get(described.type, TEXT)


def _definitions() -> dict[str, Schema]:
    found: dict[str, Schema] = {
        "project": _document("Project", _project_spec(), has_spec=False),
        "host": _document("Host", _host_spec(), labels=True),
        "group": _document("Group", _group_spec()),
        "module": _document("Module", _module_spec()),
        "provider": _document("Provider", _provider_spec()),
        "fact": _document("Fact", _fact_spec()),
        "resource": {"anyOf": [_ref(f"resource-{kind}") for kind in sorted(PROVIDERS)]},
        "resources": {"type": "array", "items": _ref("resource")},
        "uses": {"type": "array", "items": {"anyOf": [NAME, _closed({"name": TEXT, "params": VARS}, "name")]}},
    }
    found.update({f"resource-{kind}": _resource(kind) for kind in sorted(PROVIDERS)})
    return found


def _resource(kind: str) -> Schema:
    known = known_attributes(kind)
    properties: Schema = {kind: {"type": "string", "description": f"the {kind}'s name", "minLength": 1}}
    properties.update({name: describe_attribute(item) for name, item in known.items()})
    properties.update(
        {
            "needs": {**TEXTS, "description": "addresses that come first, like package:nginx"},
            "notify": {**TEXTS, "description": "addresses that restart, reload or run when this changed"},
            "when": _when(),
            "for_each": {
                "anyOf": [REFERENCE, {"type": ["array", "object"]}],
                "description": "repeat: ${each.key}, ${each.value}",
            },
            "drift": {"enum": list(DRIFTS), "description": "what to do when the machine differs"},
        }
    )
    schema = _closed(properties, kind, *[name for name, item in known.items() if item.is_required])
    if "content" in known:
        pairs = [(one, other) for one in CONTENT for other in CONTENT if one < other]
        schema["not"] = {"anyOf": [{"required": [one, other]} for one, other in pairs]}
    return {**schema, "description": PROVIDERS[kind].summary}


def _when() -> Schema:
    known = _closed({fact: {"anyOf": [TEXT, TEXTS], "description": doc} for fact, doc in FACTS.items()})
    one: Schema = {"type": ["string", "integer", "boolean"]}
    custom: Schema = {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}], "description": CUSTOM_DOC}
    return {**known, "patternProperties": {CUSTOM_PATTERN: custom}}


def _project_spec() -> Schema:
    secret = _closed({"from": {"enum": list(SOURCES)}, "key": TEXT}, "key")
    approvals = _closed({"required": {"type": "integer", "minimum": 0}, "from": TEXTS, "signed": {"type": "boolean"}})
    environment = _closed(
        {"source": TEXT, "release": TEXT, "hosts": SELECTOR, "approvals": approvals, "drift": {"enum": list(DRIFTS)}}, "hosts"
    )
    return _closed(
        {
            "vars": VARS,
            "secrets": {"type": "object", "additionalProperties": secret},
            "environments": {"type": "object", "propertyNames": NAME, "additionalProperties": environment},
        }
    )


def _host_spec() -> Schema:
    return _closed(
        {
            "address": TEXT,
            "connection": {"enum": list(CONNECTIONS)},
            "vars": VARS,
            "modules": _ref("uses"),
            "resources": _ref("resources"),
        }
    )


def _group_spec() -> Schema:
    return _closed(
        {
            "selector": SELECTOR,
            "priority": {"type": "integer"},
            "vars": VARS,
            "modules": _ref("uses"),
            "resources": _ref("resources"),
        },
        "selector",
    )


def _module_spec() -> Schema:
    parameter: Schema = {"type": "object", "description": "JSON Schema of the parameter, with a default unless it is required"}
    return _closed(
        {
            "params": {"type": "object", "additionalProperties": parameter},
            "resources": _ref("resources"),
            "drift": {"enum": list(DRIFTS)},
            "on_failure": {"enum": list(ON_FAILURE), "description": "what a run does when something of this module fails"},
        }
    )


def _provider_spec() -> Schema:
    bounds: Schema = {"minimum": {"type": "integer"}, "maximum": {"type": "integer"}}
    value = _closed(
        {"type": {"enum": list(VALUE_TYPES)}, "doc": TEXT, "choices": TEXTS, **bounds, "required": {"type": "boolean"}}
    )
    return _closed(
        {
            "executable": {"type": "string", "description": "the program's file, beside provider.yaml"},
            "protocol": {"enum": list(PROTOCOLS)},
            "on_notify": {"enum": list(REFRESHES)},
            "attributes": {"type": "object", "additionalProperties": value},
        },
        "executable",
    )


def _fact_spec() -> Schema:
    most = DEFAULTS.fact_seconds
    timeout: Schema = {"type": "integer", "minimum": 1, "maximum": most, "default": FACT_SECONDS, "description": "seconds"}
    return _closed(
        {
            "program": {"type": "string", "minLength": 1, "description": "the program's file, from the project's folder"},
            "type": {"enum": list(FACT_TYPES), "default": FACT_TYPES[0]},
            "timeout": timeout,
        },
        "program",
    )


def _document(kind: str, spec: Schema, *, labels: bool = False, has_spec: bool = True) -> Schema:
    metadata = _closed({"name": NAME, **({"labels": LABELS} if labels else {})}, "name")
    required = ["apiVersion", "kind", "metadata", *(["spec"] if has_spec and kind in ("Group", "Provider", "Fact") else [])]
    return _closed({"apiVersion": {"const": API_VERSION}, "kind": {"const": kind}, "metadata": metadata, "spec": spec}, *required)


def _any_document() -> Schema:
    kinds = {kind: kind.lower() for kind in KINDS}
    choices: list[Json] = [
        {"if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]}, "then": _ref(name)}
        for kind, name in kinds.items()
    ]
    return {
        "type": "object",
        "required": ["apiVersion", "kind", "metadata"],
        "properties": {"apiVersion": {"const": API_VERSION}, "kind": {"enum": list(kinds)}},
        "allOf": choices,
    }


def _closed(properties: Mapping[str, Json], *required: str) -> Schema:
    schema: Schema = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    return {**schema, "required": list(required)} if required else schema


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _complete(name: str, schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """Add the dialect, the id, and the definitions that are reached."""
    needed: dict[str, Json] = {}
    stack: list[str] = _references(schema)
    while stack:
        found = stack.pop()
        if found not in needed:
            needed[found] = definitions[found]
            stack.extend(_references(definitions[found]))
    head: Schema = {"$schema": DIALECT, "$id": f"urn:trueup:schema:{name}:v1", "title": name, **schema}
    return {**head, "$defs": needed} if needed else head


def _references(schema: Schema) -> list[str]:
    text = json.dumps(schema)
    return sorted({part.partition('"')[0] for part in text.split("#/$defs/")[1:]})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
