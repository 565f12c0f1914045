"""Resolve secret references from the environment and from files. A missing value is an error before anything changes (exit 1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from gitops.errors import ConfigError
from gitops.model.resource import Resource
from gitops.model.secret import SecretRef, find_secrets

MAX_BYTES = 1024 * 1024


def resolve_secrets(
    resources: Iterable[Resource], environment: Mapping[str, str], *, allowed: frozenset[str] = frozenset(("env", "file"))
) -> dict[str, str]:
    """Give the values of every reference in the resources, by ident; raise ConfigError naming all that are missing."""
    references = {ref.ident: ref for resource in resources for ref in find_secrets(dict(resource.attributes))}
    values: dict[str, str] = {}
    missing: list[str] = []
    for ident, ref in sorted(references.items()):
        value = _read(ref, environment) if ref.source in allowed else None
        if value is None:
            missing.append(f"{ref.name} ({ident})")
        else:
            values[ident] = value
    if missing:
        raise ConfigError(
            f"secrets have no value here: {', '.join(missing)}",
            code="C402",
            hint="set the variable or make the file, readable by you alone",
        )
    return values


def _read(ref: SecretRef, environment: Mapping[str, str]) -> str | None:
    if ref.source == "env":
        value = environment.get(ref.key)
        return value if value is None or _is_text(value) else None
    try:
        with Path(ref.key).open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
        return data.decode("utf-8").rstrip("\n") if len(data) <= MAX_BYTES else None
    except (OSError, UnicodeDecodeError):
        return None


def _is_text(value: str) -> bool:
    """Say whether a variable holds UTF-8 (Python gives other bytes as surrogates, which no document can carry)."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
