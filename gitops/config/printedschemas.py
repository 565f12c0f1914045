"""JSON Schemas of what verbs print for programs and nothing stores: results of compile, diff, explain, apply, release, verify, trust."""

from __future__ import annotations

from collections.abc import Mapping

from gitops.config.storedschemas import (
    ADDRESS,
    ANYTHING,
    COUNT,
    DIAGNOSTIC,
    DIGEST,
    DIGEST_OR_NOTHING,
    FLAG,
    HOST_PLAN,
    OBJECT,
    PLAN,
    REPORT,
    RESOURCE,
    SERIAL,
    TEXT,
    TIME,
    Schema,
    choice,
    closed,
    document,
    many,
    maybe,
    table,
)
from gitops.model.report import RESULTS
from gitops.model.trustroot import KEY_TYPES

FIELD = closed({"name": TEXT, "before": ANYTHING, "after": ANYTHING})
DIFFERENCE = closed(
    {"address": ADDRESS, "change": choice("removed", "changed", "added"), "fields": many(FIELD), "diff": many(TEXT)}
)
LINE = {"file": TEXT, "line": COUNT}
LAYER = closed({"source": TEXT, **LINE, "value": ANYTHING, "wins": FLAG})
EDGE = closed({"direction": TEXT, "address": ADDRESS, "reason": TEXT}, {"token": TEXT, **LINE})
RUN = closed(
    {"run": TEXT, "host": TEXT, "result": choice(*RESULTS), "started": TIME, "finished": {"anyOf": [TIME, {"const": ""}]}}
)
ERROR = closed({"code": TEXT, "message": TEXT, "hint": TEXT})
HOST_ERROR = closed({"host": TEXT, "code": TEXT, "message": TEXT, "hint": TEXT, "exit": COUNT})
RELEASE = closed({"serial": SERIAL, "digest": DIGEST, "commit": TEXT, "issued": TIME, "expires": TIME, "lists_this_host": FLAG})

PRINTED: Mapping[str, Schema] = {
    "diagnostics": document("gitops/diagnostics/v1", {"diagnostics": many(DIAGNOSTIC)}),
    "compiled": document(
        "gitops/compiled/v1",
        {
            "environment": TEXT,
            "hosts": table(closed({"digest": DIGEST, "resources": many(RESOURCE)})),
            "blocks": many(DIGEST),
        },
    ),
    "diff": document(
        "gitops/diff/v1",
        {
            "before": TEXT,
            "after": TEXT,
            "environments": many(
                closed(
                    {
                        "environment": TEXT,
                        "groups": many(closed({"hosts": many(TEXT), "changes": many(DIFFERENCE)})),
                        "entered": many(TEXT),
                        "left": many(TEXT),
                        "hosts": COUNT,
                    }
                )
            ),
        },
    ),
    "explanation": document(
        "gitops/explanation/v1",
        {
            "host": TEXT,
            **LINE,
            "environment": TEXT,
            "groups": many(closed({"name": TEXT, **LINE})),
            "variables": many(closed({"name": TEXT, "value": ANYTHING, "layers": many(LAYER)})),
            "addresses": many(
                closed(
                    {
                        "address": ADDRESS,
                        "source": TEXT,
                        **LINE,
                        "block": maybe(DIGEST),
                        "shared_by": COUNT,
                        "reads": many(TEXT),
                        "edges": many(EDGE),
                    }
                )
            ),
        },
    ),
    "applied": document("gitops/applied/v1", {"plan": HOST_PLAN, "reports": many(REPORT)}),
    "pushed": document(
        "gitops/pushed/v1", {"plan": PLAN, "reports": many(REPORT), "errors": many(HOST_ERROR), "not_begun": many(TEXT)}
    ),
    "runs": document("gitops/runs/v1", {"runs": many(RUN)}),
    "undo": document(
        "gitops/undo/v1",
        {
            "run": TEXT,
            "host": maybe(TEXT),
            "root": TEXT,
            "undo": many(closed({"what": TEXT, "undoable": FLAG, "reason": TEXT, "warning": TEXT})),
        },
    ),
    "key": document("gitops/key/v1", {"id": DIGEST, "type": choice(*KEY_TYPES), "file": TEXT}),
    "imported": document(
        "gitops/imported/v1", {"files": many(TEXT), "hosts": COUNT, "groups": COUNT, "diagnostics": many(DIAGNOSTIC)}
    ),
    "rotated": document(
        "gitops/rotated/v1",
        {
            "file": TEXT,
            "digest": DIGEST,
            "version": SERIAL,
            "keys": many(DIGEST),
            "missing": closed({"old": COUNT, "new": COUNT}),
        },
    ),
    "trust": document("gitops/trust/v1", {"file": TEXT, "digest": DIGEST, "version": SERIAL, "keys": many(DIGEST)}),
    "released": document(
        "gitops/released/v1",
        {
            "repository": TEXT,
            "environment": TEXT,
            "serial": SERIAL,
            "commit": TEXT,
            "digest": DIGEST,
            "is_new": FLAG,
            "reason": TEXT,
            "source": TEXT,
            "expires": TIME,
            "approvals": many(DIGEST),
            "rollback_of": COUNT,
        },
    ),
    "verification": document(
        "gitops/verification/v1",
        {
            "commit": TEXT,
            "valid": FLAG,
            "serial": COUNT,
            "digest": DIGEST_OR_NOTHING,
            "checks": many(closed({"number": {"type": ["integer", "string"]}, "name": TEXT, "passed": FLAG, "detail": TEXT})),
            "error": maybe(ERROR),
        },
    ),
    "agent-status": document(
        "gitops/agent-status/v1",
        {
            "enrolment": closed(
                {"repo": TEXT, "branch": TEXT, "environment": TEXT, "host": TEXT, "service": TEXT, "trust_root": DIGEST}
            ),
            "tip": TEXT,
            "release": maybe(RELEASE),
            "good": maybe(RELEASE),
            "newest_issued": maybe(TIME),
            "failure": maybe(OBJECT),
            "pause": maybe(closed({"until": TIME, "reason": TEXT})),
            "last": maybe(OBJECT),
            "spool": closed({"waiting": COUNT, "dropped": COUNT, "refused": COUNT}),
        },
    ),
    "schemas": document("gitops/schemas/v1", {"names": many(TEXT)}),
}
