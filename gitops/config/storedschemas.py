"""JSON Schemas of what this program stores, signs and prints, by name; the nouns of `gitops.model` are what they describe.

Written by hand, since decoding is: a test checks that what the nouns write is valid here and that what they refuse is not. Every object
is closed, as the decoders are.
"""

from __future__ import annotations

from collections.abc import Mapping

from gitops.model.approval import APPROVAL_SCHEMA, PROOFS
from gitops.model.codec import MAX_INTEGER, Json
from gitops.model.diagnostic import SEVERITIES
from gitops.model.facts import CUSTOM_DOC, CUSTOM_PATTERN, FACT_TYPES, FACTS, OBSERVED
from gitops.model.fleetplan import PLAN_SCHEMA
from gitops.model.graph import BLOCK_SCHEMA, GRAPH_SCHEMA
from gitops.model.limits import DEFAULTS
from gitops.model.manifest import MANIFEST_SCHEMA
from gitops.model.observation import OBSERVATION_SCHEMA
from gitops.model.plan import ACTIONS, CLASSES, CONFIDENCES, HOST_PLAN_SCHEMA, RISKS
from gitops.model.report import ITEM_RESULTS, REPORT_SCHEMA, RESULTS
from gitops.model.resource import DRIFTS, ON_FAILURE
from gitops.model.scope import REMOVED, VERBS
from gitops.model.secret import SOURCES
from gitops.model.trustroot import COMMIT_SIGNATURE, KEY_TYPES, TRUST_ROOT_SCHEMA
from gitops.model.wire import EVENT_SCHEMA, EVENTS, OPERATIONS, REQUEST_SCHEMA

Schema = dict[str, Json]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DIGEST_PATTERN = "[0-9a-f]{64}"
ADDRESS_PATTERN = "[a-z][a-z0-9_]{0,62}:[\\s\\S]+"


def closed(required: Mapping[str, Json], optional: Mapping[str, Json] | None = None) -> Schema:
    """Describe an object with these keys and no others."""
    properties = {**required, **(optional or {})}
    return {"type": "object", "properties": properties, "required": sorted(required), "additionalProperties": False}


def document(schema: str, required: Mapping[str, Json], optional: Mapping[str, Json] | None = None) -> Schema:
    """Describe a document that names its schema."""
    _, name, version = schema.split("/")
    head: Schema = {"$schema": DIALECT, "$id": f"urn:trueup:schema:{name}:{version}", "title": name}
    return {**head, **closed({"schema": {"const": schema}, **required}, optional)}


def many(item: Json) -> Schema:
    """Describe a list."""
    return {"type": "array", "items": item}


def table(value: Json, keys: str = "") -> Schema:
    """Describe an object with free keys, or with keys of a pattern."""
    schema: Schema = {"type": "object", "additionalProperties": value}
    return {**schema, "propertyNames": {"pattern": f"^{keys}$"}} if keys else schema


def choice(*values: str) -> Schema:
    """Describe one of some strings."""
    return {"enum": list(values)}


def maybe(schema: Json) -> Schema:
    """Describe a value or null."""
    return {"anyOf": [{"type": "null"}, schema]}


def pair(*items: Json) -> Schema:
    """Describe a list of exactly these items."""
    return {"type": "array", "prefixItems": list(items), "items": False, "minItems": len(items)}


TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
INTEGER: Schema = {"type": "integer", "minimum": -MAX_INTEGER, "maximum": MAX_INTEGER}
COUNT: Schema = {"type": "integer", "minimum": 0, "maximum": MAX_INTEGER}
SERIAL: Schema = {"type": "integer", "minimum": 1, "maximum": MAX_INTEGER}
DIGEST: Schema = {"type": "string", "pattern": f"^{DIGEST_PATTERN}$"}
DIGEST_OR_NOTHING: Schema = {"type": "string", "pattern": f"^({DIGEST_PATTERN})?$"}
ADDRESS: Schema = {"type": "string", "pattern": f"^{ADDRESS_PATTERN}$"}
TIME: Schema = {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"}
ANYTHING: Schema = {}
OBJECT: Schema = {"type": "object"}

SECRET = closed({"secret": TEXT, "from": choice(*SOURCES), "key": TEXT})
PARTS = closed({"parts": many({"anyOf": [TEXT, SECRET]})})
FACT_PROGRAM = closed(
    {
        "program": closed({"blob": DIGEST, "size": COUNT}),
        "type": choice(*FACT_TYPES),
        "timeout": {"type": "integer", "minimum": 1, "maximum": DEFAULTS.fact_seconds},
    }
)
RESOURCE = closed(
    {"kind": TEXT, "name": TEXT, "attributes": OBJECT},
    {
        "needs": many(ADDRESS),
        "notify": many(ADDRESS),
        "when": table(many(TEXT)),
        "drift": choice(*DRIFTS),
        "on_failure": choice(*ON_FAILURE),
        "facts": table(FACT_PROGRAM, CUSTOM_PATTERN[1:-1]),
    },
)
INTENTS = closed({"hosts": many(TEXT), "items": many(pair(ADDRESS, {"anyOf": [DIGEST, {"const": REMOVED}]}))})
EFFECTS = closed({"hosts": many(TEXT), "items": many(pair(ADDRESS, choice(*VERBS), DIGEST_OR_NOTHING))})
SCOPE = closed({"intents": many(INTENTS), "effects": many(EFFECTS)})
CHANGE = closed(
    {
        "address": ADDRESS,
        "action": choice(*ACTIONS),
        "class": choice(*CLASSES),
        "confidence": choice(*CONFIDENCES),
        "risk": choice(*RISKS),
        "diff": many(TEXT),
    },
    {
        "after": DIGEST,
        "fields": many(closed({"name": TEXT, "before": ANYTHING, "after": ANYTHING})),
        "causes": many(ADDRESS),
        "reason": TEXT,
        "upper_bound": FLAG,
        "behind": FLAG,
        "differs": closed({"variants": COUNT, "sample": TEXT, "index": DIGEST}),
    },
)
GROUP = closed({"hosts": many(TEXT), "changes": many(CHANGE)}, {"unmanaged": many(ADDRESS)})
SUBJECT = closed(dict.fromkeys(("repository", "environment", "pull", "base", "head", "target"), TEXT))
OUTCOME = closed({"address": ADDRESS, "action": choice(*ACTIONS), "result": choice(*ITEM_RESULTS)}, {"message": TEXT})
PLACE = closed({"file": TEXT, "line": COUNT, "column": COUNT})
DIAGNOSTIC = closed(
    {"code": TEXT, "severity": choice(*SEVERITIES), "file": TEXT, "line": COUNT, "column": COUNT, "message": TEXT, "hint": TEXT},
    {"notes": many(TEXT), "related": many(PLACE)},
)
PLAN = document(
    PLAN_SCHEMA,
    {
        "subject": SUBJECT,
        "change_digest": DIGEST,
        "summary": table(COUNT),
        "groups": many(GROUP),
        "scope": closed({"root": DIGEST, "hosts": COUNT}),
        "observed": table(maybe(TIME)),
        "unchanged": COUNT,
        "hosts": COUNT,
    },
    {"reported": many(GROUP), "silent": many(GROUP), "content_digest": DIGEST},
)
HOST_PLAN = document(
    HOST_PLAN_SCHEMA,
    {
        "host": TEXT,
        "observed": maybe(TIME),
        "changes": many(CHANGE),
        "unchanged": COUNT,
        "unmanaged": many(ADDRESS),
        "reported": many(CHANGE),
        "implied": many(RESOURCE),
        "scope": SCOPE,
    },
    {"content_digest": DIGEST, "summary": OBJECT, "groups": many(GROUP), "notes": table(TEXT)},
)
FACT_NAMES: Schema = {
    "properties": {name: {"type": "string", "description": doc} for name, doc in {**FACTS, **OBSERVED}.items()},
    "patternProperties": {CUSTOM_PATTERN: {"type": "string", "description": CUSTOM_DOC}},
}
FACT_TABLE: Schema = {**table(TEXT), **FACT_NAMES}
KNOWN_FACTS: Schema = {
    "$schema": DIALECT,
    "$id": "urn:trueup:schema:facts:v1",
    "title": "facts",
    "type": "object",
    **FACT_NAMES,
    "additionalProperties": False,
}
OBSERVATION = document(
    OBSERVATION_SCHEMA,
    {"host": TEXT, "at": TIME, "facts": FACT_TABLE, "states": table(OBJECT, ADDRESS_PATTERN), "serial": COUNT},
    {"probes": table(closed({"program": DIGEST}, {"trouble": TEXT}), CUSTOM_PATTERN[1:-1]), "as_released": many(DIGEST)},
)
REPORT = document(
    REPORT_SCHEMA,
    {
        "run": TEXT,
        "host": TEXT,
        "result": choice(*RESULTS),
        "started": TIME,
        "finished": TIME,
        "changes": many(OUTCOME),
        "unchanged": COUNT,
        "environment": TEXT,
        "serial": COUNT,
        "release": DIGEST_OR_NOTHING,
        "reason": TEXT,
        "drifted": many(ADDRESS),
        "agent": TEXT,
    },
    {"observation": OBSERVATION},
)
APPROVALS_DEMANDED = closed({"required": COUNT, "from": many(TEXT), "signed": FLAG})

STORED: Mapping[str, Schema] = {
    "manifest": document(
        MANIFEST_SCHEMA,
        {
            "min_agent": TEXT,
            "repository": TEXT,
            "environment": TEXT,
            "serial": SERIAL,
            "previous": maybe(closed({"serial": SERIAL, "digest": DIGEST})),
            "source": closed({"commit": TEXT}),
            "issued": TIME,
            "expires": TIME,
            "compiler": TEXT,
            "shards": table(DIGEST, "[0-9a-f]{2}"),
            "plan": maybe(DIGEST),
            "approvals": many(DIGEST),
            "extensions": OBJECT,
        },
        {"rollback_of": SERIAL},
    ),
    "index": {
        "$schema": DIALECT,
        "$id": "urn:trueup:schema:index:v1",
        "title": "index",
        "description": "hosts/HH/index.json: the digest of each host's graph",
        **table(DIGEST),
    },
    "facts": KNOWN_FACTS,
    "graph": document(GRAPH_SCHEMA, {"host": TEXT, "environment": TEXT, "blocks": many(DIGEST), "resources": many(RESOURCE)}),
    "block": document(BLOCK_SCHEMA, {"name": TEXT, "resources": many(RESOURCE)}),
    "approval": document(
        APPROVAL_SCHEMA,
        {
            "repository": TEXT,
            "environment": TEXT,
            "pull": TEXT,
            "change_digest": DIGEST,
            "policy_digest": TEXT,
            "scope": SCOPE,
            "approver": TEXT,
            "teams": many(TEXT),
            "issued": TIME,
            "expires": TIME,
            "proof": closed({"kind": choice(*PROOFS), "reference": TEXT, "signature": TEXT}),
        },
    ),
    "trust-root": document(
        TRUST_ROOT_SCHEMA,
        {
            "repository": TEXT,
            "version": SERIAL,
            "keys": table(
                closed({"type": choice(*KEY_TYPES), "spki": {"type": "string", "pattern": "^([0-9a-f]{2})+$"}}), DIGEST_PATTERN
            ),
            "threshold": SERIAL,
            "environments": table(closed({"branch": TEXT, "approvals": APPROVALS_DEMANDED})),
            "commit_signature": choice(*COMMIT_SIGNATURE),
            "extensions": OBJECT,
        },
    ),
    "plan": PLAN,
    "host-plan": HOST_PLAN,
    "observation": OBSERVATION,
    "report": REPORT,
    "request": document(
        REQUEST_SCHEMA,
        {
            "operation": choice(*OPERATIONS),
            "host": TEXT,
            "run": TEXT,
            "environment": TEXT,
            "resources": many(RESOURCE),
            "baseline": maybe(many(RESOURCE)),
            "approved": maybe(SCOPE),
            "secrets": table(TEXT),
            "only": many(ADDRESS),
            "prune": many(ADDRESS),
            "blobs": TEXT,
            "state": TEXT,
            "root": TEXT,
            "guards": FLAG,
            "dry_run": FLAG,
            "lock_timeout": COUNT,
            "serial": COUNT,
            "release": DIGEST_OR_NOTHING,
        },
    ),
    "event": document(EVENT_SCHEMA, {"event": choice(*EVENTS), "body": ANYTHING}),
    "enrolment": document("gitops/enrolment/v1", {"token": TEXT, "environment": TEXT}),
    "credential": document("gitops/credential/v1", {"host": TEXT, "credential": TEXT}),
}
