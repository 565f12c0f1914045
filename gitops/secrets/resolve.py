"""Resolve secret references from the environment and from files, where the rules allow it. What is missing or not allowed is an error
before anything changes (exit 1).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from gitops.errors import ConfigError
from gitops.model.resource import Resource
from gitops.model.secret import SecretRef, find_secrets
from gitops.secrets.rules import Rules

MAX_BYTES = 1024 * 1024
STRAIGHT = os.O_NOFOLLOW | os.O_CLOEXEC
FOLDER = STRAIGHT | os.O_DIRECTORY | getattr(os, "O_PATH", os.O_RDONLY)
FILE = STRAIGHT | os.O_RDONLY | os.O_NONBLOCK


def resolve_secrets(resources: Iterable[Resource], environment: Mapping[str, str], rules: Rules) -> dict[str, str]:
    """Give the values of every reference in the resources, by ident; raise ConfigError naming all that are not allowed, else all that
    are missing. Nothing is read while one is not allowed.
    """
    references = {ref.ident: ref for resource in resources for ref in find_secrets(dict(resource.attributes))}
    ordered = [ref for _, ref in sorted(references.items())]
    refused = [(ref, rules.find_refusal(ref)) for ref in ordered]
    _stop_at_refused([(ref, reason) for ref, reason in refused if reason])
    values: dict[str, str] = {}
    missing: list[str] = []
    led_out: list[tuple[SecretRef, str]] = []
    for ref in ordered:
        value = environment.get(ref.key) if ref.source == "env" else _read_file(ref, rules, led_out)
        if value is None or not _is_text(value):
            missing.append(f"{ref.name} ({ref.ident})")
        else:
            values[ref.ident] = value
    _stop_at_refused(led_out)
    if missing:
        raise ConfigError(
            f"secrets have no value here: {', '.join(missing)}",
            code="C402",
            hint="set the variable or make the file, readable by you alone",
        )
    return values


def _stop_at_refused(refused: list[tuple[SecretRef, str]]) -> None:
    if refused:
        listed = "; ".join(f"{ref.name} ({ref.ident}): {reason}" for ref, reason in refused)
        raise ConfigError(
            f"secrets may not be taken from there on this machine: {listed}",
            code="C405",
            hint="if that is what you want, add the name or the folder to the setting; nothing was read",
        )


def _read_file(ref: SecretRef, rules: Rules, led_out: list[tuple[SecretRef, str]]) -> str | None:
    try:
        path = rules.find_file(ref.key)
        if path is None:
            led_out.append((ref, f"a link leads out of what {rules.folders_setting} allows"))
            return None
        with open(_open_straight(path), "rb") as stream:
            data = stream.read(MAX_BYTES + 1) if stat.S_ISREG(os.fstat(stream.fileno()).st_mode) else None
        return None if data is None or len(data) > MAX_BYTES else data.decode("utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError, RuntimeError):  # RuntimeError: links in a circle, as Python 3.12 says it
        return None


def _open_straight(path: Path) -> int:
    """Open a file on whose way no link was found; raise OSError when there is one by now, in whatever part of it."""
    *folders, name = path.parts[1:]
    descriptor = os.open("/", FOLDER)
    try:
        for folder in folders:
            below = os.open(folder, FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        return os.open(name, FILE, dir_fd=descriptor)
    finally:
        os.close(descriptor)


def _is_text(value: str) -> bool:
    """Say whether a variable holds UTF-8 (Python gives other bytes as surrogates, which no document can carry)."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
