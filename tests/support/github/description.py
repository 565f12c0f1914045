"""GitHub's own description of its API: checks requests and responses, and makes the least value that a schema allows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from openapi_core import Config, OpenAPI
from openapi_core.testing import MockRequest, MockResponse

FOLDER = Path(__file__).parent
LEAST: Mapping[str, Any] = {"string": "x", "integer": 1, "number": 1, "boolean": False, "array": [], "object": {}}
FORMATS: Mapping[str, str] = {"date-time": "2026-11-25T00:00:00Z", "uri": "https://api.github.com/x", "email": "x@example.org"}


@cache
def read_cut() -> dict[str, Any]:
    """Give the cut as data."""
    return json.loads((FOLDER / "openapi.json").read_text(encoding="utf-8"))


class Description:
    """Validates what goes over the wire; `check_*` give a sentence for what does not fit, or an empty text."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._api = OpenAPI.from_dict({**read_cut(), "servers": [{"url": base}]}, config=Config(spec_validator_cls=None))

    def check_request(self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes) -> str:
        request = self._request(method, path, query, headers, body)
        try:
            self._api.validate_request(request)
        except Exception as error:  # noqa: BLE001  every kind of mismatch is one sentence
            return f"request {method} {path}: {_chain(error)}"
        return ""

    def check_response(self, method: str, path: str, status: int, body: bytes) -> str:
        request = self._request(method, path, {}, {}, b"{}" if method in ("POST", "PATCH") else b"")
        response = MockResponse(body, status_code=status, content_type="application/json")
        try:
            self._api.validate_response(request, response)
        except Exception as error:  # noqa: BLE001  same
            return f"response {status} to {method} {path}: {_chain(error)}"
        return ""

    def _request(self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes) -> MockRequest:
        return MockRequest(
            self._base,
            method.lower(),
            path,
            args=dict(query),
            headers=dict(headers),
            data=body or None,
            content_type="application/json",
        )


def make_least(name: str) -> Any:
    """Give the least valid value of a named schema: required properties only."""
    return _least({"$ref": f"#/components/schemas/{name}"}, 0)


def _least(schema: Mapping[str, Any], depth: int) -> Any:
    schema = _resolve(schema)
    if schema.get("nullable") and depth > 1:
        return None
    for key in ("oneOf", "anyOf"):
        if key in schema:
            return _least(schema[key][0], depth)
    if "allOf" in schema:
        merged: dict[str, Any] = {}
        for part in schema["allOf"]:
            merged.update(_least(part, depth))
        return merged
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object")
    if kind == "string":
        return FORMATS.get(schema.get("format", ""), LEAST["string"])
    if kind == "object":
        properties = schema.get("properties", {})
        return {name: _least(properties.get(name, {}), depth + 1) for name in schema.get("required", ())}
    return LEAST[kind]


def _resolve(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        found: Any = read_cut()
        for part in str(schema["$ref"]).removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    return schema


def _chain(error: BaseException) -> str:
    words = [f"{type(error).__name__}: {error}"]
    cause = error.__cause__
    while cause is not None:
        words.append(str(cause))
        cause = cause.__cause__
    details = [
        f"{'/'.join(map(str, item.absolute_path))}: {item.message}" for item in getattr(error.__cause__, "schema_errors", [])
    ]
    return "; ".join([*words, *details])[:1000]
