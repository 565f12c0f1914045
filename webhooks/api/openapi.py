"""The API's own description (OpenAPI 3.1), made from the routes' table, so that programs can read what they may ask."""

from __future__ import annotations

from collections.abc import Mapping

from gitops import __version__
from gitops.model.codec import Json
from webhooks.api.lists import LISTS

ERROR: Mapping[str, Json] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "hint"],
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}, "hint": {"type": "string"}},
        }
    },
}
PAGE: Mapping[str, Json] = {
    "type": "object",
    "required": ["schema", "items", "total", "limit", "offset"],
    "properties": {
        "schema": {"type": "string"},
        "items": {"type": "array", "items": {"type": "object"}},
        "total": {"type": "integer"},
        "limit": {"type": "integer"},
        "offset": {"type": "integer"},
    },
}
ENROLMENT: Mapping[str, Json] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["schema", "token", "environment"],
    "properties": {
        "schema": {"const": "gitops/enrolment/v1"},
        "token": {"type": "string"},
        "environment": {"type": "string"},
    },
}


def describe_api() -> dict[str, Json]:
    """Give the document of `/openapi.json`."""
    paths: dict[str, Json] = {f"/api/v1/{name}": {"get": _list_operation(name)} for name in LISTS if name != "reports"}
    paths["/api/v1/reports"] = {
        "get": _list_operation("reports"),
        "post": _operation(
            "Send the report of a run, with the host's credential.", {"type": "object"}, {"202": "taken"}, (401, 403, 413, 422)
        ),
    }
    paths["/api/v1/plans/{id}"] = {"get": _operation("One plan, whole.", None, {"200": "the plan"}, (401, 404), ("id",))}
    paths["/api/v1/runs/{host}/{run}"] = {
        "get": _operation("One report.", None, {"200": "the report"}, (401, 404), ("host", "run"))
    }
    paths["/api/v1/hosts/{host}/enroll"] = {
        "post": _operation(
            "Exchange a one-time token for a credential.", ENROLMENT, {"201": "the credential"}, (401, 413, 422), ("host",)
        )
    }
    paths["/api/v1/hosts/{host}/token"] = {
        "post": _operation(
            "Make a one-time enrolment token; `?repository=…&environment=…` say for where.",
            None,
            {"201": "the token"},
            (401, 422),
            ("host",),
        )
    }
    paths["/webhooks/github"] = {
        "post": _operation("Deliver a GitHub webhook.", {"type": "object"}, {"202": "taken"}, (400, 401, 413, 415))
    }
    for name, words in (("healthz", "The process lives."), ("readyz", "The store answers."), ("metrics", "For Prometheus.")):
        paths[f"/{name}"] = {"get": {"summary": words, "responses": {"200": {"description": "yes"}}, "security": []}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Trueup", "version": __version__, "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        "paths": paths,
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Error": ERROR, "Page": PAGE},
        },
        "security": [{"bearer": []}],
    }


def _list_operation(name: str) -> dict[str, Json]:
    parameters: list[Json] = [
        {"name": key, "in": "query", "required": False, "schema": {"type": "integer", "minimum": 0}}
        for key in ("limit", "offset")
    ]
    answer: Json = {"description": "a page", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Page"}}}}
    return {"summary": f"List {name}.", "parameters": parameters, "responses": {"200": answer, **_errors((401, 422))}}


def _operation(
    summary: str, body: Json, good: Mapping[str, str], bad: tuple[int, ...], names: tuple[str, ...] = ()
) -> dict[str, Json]:
    found: dict[str, Json] = {
        "summary": summary,
        "responses": {**{status: {"description": words} for status, words in good.items()}, **_errors(bad)},
    }
    if names:
        found["parameters"] = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    if body is not None:
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return found


def _errors(statuses: tuple[int, ...]) -> dict[str, Json]:
    content: Json = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {str(status): {"description": "refused", "content": content} for status in statuses}
