"""Secrets: from the environment and from files; what is missing is named by reference, before anything changes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitops.errors import ConfigError, UsageError
from gitops.model.resource import Resource
from gitops.secrets import resolve
from gitops.secrets.resolve import MAX_BYTES
from gitops.secrets.rules import Rules, make_rules, read_rules


def holding(*references: tuple[str, str, str]) -> Resource:
    parts = [{"secret": name, "from": source, "key": key} for name, source, key in references]
    return Resource("file", "/x", {"content": {"parts": ["a", *parts]}})


def resolve_secrets(resources: list[Resource], environment: dict[str, str]) -> dict[str, str]:
    return resolve.resolve_secrets(resources, environment, Rules(("*",), ("/",)))


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


def test_what_is_not_allowed_is_refused_and_the_setting_is_named(tmp_path: Path) -> None:
    rules = Rules(("APP_*", "DB"), (str(tmp_path / "in"),))
    inside, outside = tmp_path / "in" / "key", tmp_path / "in-other"
    inside.parent.mkdir()
    inside.write_text("x")
    outside.write_text("y")
    (tmp_path / "in" / "link").symlink_to(outside)
    (tmp_path / "in" / "good").symlink_to(inside)
    good = [("a", "env", "APP_PW"), ("b", "env", "DB"), ("c", "file", str(inside)), ("d", "file", str(tmp_path / "in" / "good"))]
    found = resolve.resolve_secrets([holding(*good)], {"APP_PW": "1", "DB": "2"}, rules)
    assert list(found.values()) == ["1", "2", "x", "x"]
    bad = {
        ("e", "env", "DBX"): "GITOPS_SECRETS_ENV allows APP_*, DB",
        ("e", "env", "PATH"): "GITOPS_SECRETS_ENV",
        ("f", "file", str(outside)): "GITOPS_SECRETS_FILES",
        ("f", "file", f"{tmp_path}/in/../in-other"): "GITOPS_SECRETS_FILES",
        ("f", "file", "/etc/shadow"): "GITOPS_SECRETS_FILES",
        ("f", "file", "in/key"): "GITOPS_SECRETS_FILES",
        ("f", "file", str(tmp_path / "in" / "link")): "a link leads out",
    }
    for reference, words in bad.items():
        with pytest.raises(ConfigError) as refused:
            resolve.resolve_secrets([holding(good[0], reference)], {"APP_PW": "1", "DBX": "2"}, rules)
        assert (refused.value.code, refused.value.exit_status) == ("C405", 1)
        assert words in refused.value.message


def test_by_default_one_prefix_and_one_folder_are_allowed() -> None:
    assert read_rules({}) == Rules(("GITOPS_SECRET_*",), ("/etc/gitops/secrets",))
    found = read_rules({"GITOPS_SECRETS_ENV": "A, B_*", "GITOPS_SECRETS_FILES": "/run/secrets:/srv"})
    assert (found.variables, found.folders) == (("A", "B_*"), ("/run/secrets", "/srv"))
    none = read_rules({"GITOPS_SECRETS_ENV": "", "GITOPS_SECRETS_FILES": ""})
    assert (none.variables, none.folders) == ((), ())
    with pytest.raises(ConfigError, match="allows no variable"):
        resolve.resolve_secrets([holding(("a", "env", "A"))], {"A": "1"}, none)


@pytest.mark.parametrize(("variables", "folders"), [(["A B"], None), (["*A"], None), (None, ["srv"]), (None, ["/srv/../etc"])])
def test_a_mistake_in_the_settings_names_them(variables: list[str] | None, folders: list[str] | None) -> None:
    with pytest.raises(UsageError, match="here: got"):
        make_rules(variables, folders, ("here", "here"))


def test_a_pipe_in_a_files_place_is_no_value_and_holds_nothing_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="no value here"):
        resolve_secrets([holding(("a", "file", str(tmp_path / "pipe")))], {})
