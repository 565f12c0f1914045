"""JSON Schemas of the external providers' protocol, of the cases that test one, and of what the test prints.

What a provider must be able to read and may answer; docs/reference/provider-protocol.md says what it means.
"""

from __future__ import annotations

from collections.abc import Mapping

from gitops.config.storedschemas import COUNT, DIALECT, FLAG, INTEGER, TEXT, Schema, choice, closed, document, many, table
from gitops.model.codec import Json
from gitops.providers.conversation import EVENTS
from gitops.providers.external import REFRESHES

VALUE: Schema = {"anyOf": [TEXT, INTEGER, FLAG, many(TEXT)]}
VALUES = table(VALUE, "[a-z][a-z0-9_]{0,62}")
STATE = closed({"exists": FLAG, "values": VALUES})
RANGE = closed({"min": COUNT, "max": COUNT})
NUMBER: Schema = {"type": "integer", "minimum": 0}


def _request(operation: str, required: Mapping[str, Json] | None = None) -> Schema:
    return closed({"id": NUMBER, "op": {"const": operation}, **(required or {})})


def _answer(event: str, body: Json) -> Schema:
    return closed({"id": NUMBER, "event": {"const": event}, "body": body})


def _titled(name: str, schema: Schema) -> Schema:
    return {"$schema": DIALECT, "$id": f"urn:trueup:schema:{name}:v1", "title": name, **schema}


BEFORE = closed({"exists": FLAG, "values": VALUES}, {"kept": TEXT})
APPLIED = closed({"name": TEXT, "action": choice("create", "update", "remove"), "set": VALUES, "before": STATE})
OBSERVED = closed(
    {"name": TEXT, "exists": FLAG}, {"values": VALUES, "matches": table(FLAG, "[a-z][a-z0-9_]{0,62}"), "kept": TEXT}
)
DONE = closed({"name": TEXT, "result": choice("changed", "failed")}, {"message": TEXT})
CASE = closed({"name": TEXT, "set": VALUES, "other": VALUES}, {"removable": FLAG})
VERDICT = closed({"law": TEXT, "case": TEXT, "holds": FLAG, "reason": TEXT})
BODIES: Mapping[str, Json] = {
    "item": {"anyOf": [OBSERVED, DONE]},
    "progress": closed({"message": TEXT}),
    "result": {"type": "object"},
    "error": closed({"code": TEXT, "message": TEXT}),
}
PROVIDER: Mapping[str, Schema] = {
    "provider-request": _titled(
        "provider-request",
        {
            "anyOf": [
                _request("hello", {"protocol": RANGE}),
                _request("describe"),
                _request("observe", {"items": many(closed({"name": TEXT, "set": VALUES}, {"keep": FLAG}))}),
                _request("apply", {"items": many(APPLIED)}),
                _request("undo", {"items": many(closed({"name": TEXT, "before": BEFORE}))}),
                _request("refresh", {"items": many(closed({"name": TEXT, "action": choice(*REFRESHES)}))}),
                _request("cancel"),
            ]
        },
    ),
    "provider-answer": _titled("provider-answer", {"anyOf": [_answer(event, BODIES[event]) for event in EVENTS]}),
    "provider-cases": _titled("provider-cases", closed({"cases": many(CASE)}, {"watch": many(TEXT)})),
    "provider-test": document("gitops/provider-test/v1", {"provider": TEXT, "verdicts": many(VERDICT)}),
}
