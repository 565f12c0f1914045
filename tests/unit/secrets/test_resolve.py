"""Secrets: from the environment and from files; what is missing is named by reference, before anything changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitops.errors import ConfigError
from gitops.model.resource import Resource
from gitops.secrets.resolve import MAX_BYTES, resolve_secrets


def holding(*references: tuple[str, str, str]) -> Resource:
    parts = [{"secret": name, "from": source, "key": key} for name, source, key in references]
    return Resource("file", "/x", {"content": {"parts": ["a", *parts]}})


def test_values_come_by_ident_from_both_sources(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes("line one\nline two ü\n".encode())
    found = resolve_secrets([holding(("a", "env", "A"), ("b", "file", str(path)))], {"A": "value"})
    assert found == {"env:A": "value", f"file:{path}": "line one\nline two ü"}


def test_an_empty_value_is_a_value_and_no_secrets_need_nothing() -> None:
    assert resolve_secrets([holding(("a", "env", "A"))], {"A": ""}) == {"env:A": ""}
    assert resolve_secrets([Resource("file", "/x", {"content": "a"})], {}) == {}


def test_all_that_is_missing_is_named_and_no_value_is(tmp_path: Path) -> None:
    large, binary = tmp_path / "large", tmp_path / "binary"
    large.write_bytes(b"x" * (MAX_BYTES + 1))
    binary.write_bytes(b"\xff\xfe")
    references = [
        ("a", "env", "A"),
        ("b", "env", "B"),
        ("c", "file", "/no/where"),
        ("d", "file", str(large)),
        ("e", "file", str(binary)),
    ]
    with pytest.raises(ConfigError) as missing:
        resolve_secrets([holding(*references)], {"A": "the-value"})
    error = missing.value
    assert (error.code, error.exit_status) == ("C402", 1)
    assert all(f"{name} ({source}:{key})" in error.message for name, source, key in references[1:])
    assert "the-value" not in error.message


def test_a_value_that_is_not_text_is_refused_without_showing_it() -> None:
    with pytest.raises(ConfigError) as missing:
        resolve_secrets([holding(("a", "env", "A"))], {"A": "hunter\udcff"})
    assert "hunter" not in missing.value.message


def test_a_source_that_the_settings_do_not_allow_gives_nothing(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("x")
    with pytest.raises(ConfigError, match="b "):
        resolve_secrets([holding(("b", "file", str(path)))], {}, allowed=frozenset(("env",)))
