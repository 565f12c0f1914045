"""Laws of attributes: every problem at once, decoding agrees with checking, nothing wrong gets through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from gitops.errors import MalformedError
from gitops.model.acl import AclEntry
from gitops.model.attribute import (
    Attribute,
    attribute,
    attributes_of,
    check_attributes,
    decode_spec,
    decode_value,
    describe_type,
    is_managed_path,
    normalise_mode,
)
from gitops.model.secret import SecretRef

D = "ab" * 32


@dataclass(frozen=True)
class ThingSpec:
    name: str
    text: str | None = attribute("text", "t")
    count: int | None = attribute("integer", "i", bounds=(1, 9))
    lower: int | None = attribute("integer", "i", bounds=(1, None))
    free: int | None = attribute("integer", "i")
    flag: bool = attribute("boolean", "b", default=False)
    state: str = attribute("choice", "c", choices=("on", "off"), default="on")
    mode: str | None = attribute("mode", "m")
    path: str | None = attribute("path", "p")
    argv: Any = attribute("argv", "a", is_required=True)  # noqa: RUF009  attribute() only describes a field
    texts: Any = attribute("texts", "ts")  # noqa: RUF009  attribute() only describes a field
    env: Any = attribute("environment", "e")  # noqa: RUF009  attribute() only describes a field
    acl: Any = attribute("acl", "l")  # noqa: RUF009  attribute() only describes a field
    folder_acl: Any = attribute("directory_acl", "l")  # noqa: RUF009  attribute() only describes a field
    xattrs: Any = attribute("xattrs", "x")  # noqa: RUF009  attribute() only describes a field
    selinux: Any = attribute("selinux", "s")  # noqa: RUF009  attribute() only describes a field
    content: Any = attribute("content", "c")  # noqa: RUF009  attribute() only describes a field
    extra: str = "not an attribute"


REF = {"secret": "pw", "from": "env", "key": "PW"}


@pytest.mark.parametrize(
    ("key", "value", "decoded"),
    [
        ("text", "x", "x"),
        ("count", 9, 9),
        ("free", -5, -5),
        ("flag", True, True),
        ("state", "off", "off"),
        ("mode", "644", "0644"),
        ("mode", "1777", "1777"),
        ("path", "/a b/ü:'\"", "/a b/ü:'\""),
        ("argv", ["a", "b"], ("a", "b")),
        ("texts", [], ()),
        ("acl", ["user:bob:r"], (AclEntry("user", "bob", "r--"),)),
        ("folder_acl", ["default:mask::rx"], (AclEntry("mask", "", "r-x", is_default=True),)),
        ("xattrs", {"user.a b": "x", "user.b": None}, {"user.a b": "x", "user.b": None}),
        ("selinux", "etc_t", "etc_t"),
        ("env", {"A_1": "x"}, {"A_1": ("x",)}),
        ("content", "", ()),
        ("content", {"parts": ["a", REF]}, ("a", SecretRef("pw", "env", "PW"))),
        ("content", {"blob": D, "size": 0}, {"blob": D, "size": 0}),
    ],
)
def test_right_values_are_decoded(key: str, value: Any, decoded: Any) -> None:
    given = {"argv": ["x"], key: value}
    assert check_attributes(ThingSpec, given) == ()
    assert getattr(decode_spec(ThingSpec, "n", given), key) == decoded


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [
        ("text", 1, "the number 1"),
        ("text", "a\0", "NUL"),
        ("count", 0, "from 1 to 9"),
        ("count", 10, "from 1 to 9"),
        ("count", True, "a boolean"),
        ("count", "1", "a string"),
        ("lower", 0, "an integer from 1"),
        ("free", None, "null"),
        ("free", 2**60, "an integer"),
        ("flag", "yes", "true or false"),
        ("flag", 1, "the number 1"),
        ("state", "of", "'of'"),
        ("state", [], "a list"),
        ("mode", 420, "quote it"),
        ("mode", True, "a boolean"),
        ("mode", "rwx", "octal"),
        ("mode", "99", "octal"),
        ("mode", None, "null"),
        ("path", "a", "absolute"),
        ("path", 3, "the number 3"),
        ("argv", [], "empty"),
        ("argv", [""], "empty"),
        ("argv", "ls -l", "a string"),
        ("texts", [1], "the number 1"),
        ("texts", ["a\0"], "NUL"),
        ("acl", "user:bob:r--", "a string"),
        ("acl", [7], "the number 7"),
        ("acl", ["default:user:bob:r--"], "only a directory"),
        ("folder_acl", ["user:bob"], "expected an entry like"),
        ("xattrs", [], "a list"),
        ("xattrs", {"trusted.a": "x"}, "begins with"),
        ("xattrs", {"user.": "x"}, "begins with"),
        ("xattrs", {"user." + "é" * 126: "x"}, "at most 255 bytes"),
        ("xattrs", {"system.posix_acl_default": "x"}, "`acl` declares"),
        ("xattrs", {"security.selinux": "x"}, "`selinux` declares"),
        ("xattrs", {"user.a": 1}, "the number 1"),
        ("xattrs", {"user.a": {"parts": []}}, "a map"),
        ("xattrs", {"user.a": "é" * 32769}, "more than 65536 bytes"),
        ("selinux", "a:b", "expected a type like"),
        ("selinux", 1, "the number 1"),
        ("env", [], "a list"),
        ("env", {"a b": "x"}, "letters"),
        ("env", {"A": 1}, "the number 1"),
        ("env", {"A": 1.1}, "the number 1.1"),
        ("env", {"A": {"more": 1}}, "unknown key"),
        ("content", {"blob": "x", "size": 1}, "sha256"),
        ("content", {"blob": D, "size": -1}, "sha256"),
        ("content", {"blob": D, "size": True}, "sha256"),
        ("content", {"blob": D}, "sha256"),
        ("content", ["x"], "a list"),
        ("content", {"parts": [{**REF, "from": "http"}]}, "one of env, file"),
        ("content", {"parts": "x"}, "a list"),
    ],
)
def test_wrong_values_say_what_was_got_and_expected(key: str, value: Any, word: str) -> None:
    given = {"argv": ["x"], key: value}
    (problem,) = check_attributes(ThingSpec, given)
    assert (problem.code, problem.key) == ("C105", key)
    assert word in problem.message
    with pytest.raises(MalformedError, match="`"):
        decode_spec(ThingSpec, "n", given)


def test_every_problem_is_found_at_once() -> None:
    found = check_attributes(ThingSpec, {"moed": "x", "count": 0, "text": 1})
    assert [(item.code, item.key) for item in found] == [("C105", "count"), ("C104", "moed"), ("C105", "text"), ("C106", "argv")]
    assert "content, count" in found[1].expected


@pytest.mark.parametrize(("given", "code"), [({"argv": ["x"], "moed": 1}, "C104"), ({}, "C106")])
def test_decoding_stops_at_the_first_problem(given: dict[str, Any], code: str) -> None:
    with pytest.raises(MalformedError) as stop:
        decode_spec(ThingSpec, "n", given)
    assert stop.value.code == code


def test_attributes_are_those_declared_in_their_order() -> None:
    known = attributes_of(ThingSpec)
    assert list(known)[:3] == ["text", "count", "lower"]
    assert "extra" not in known
    assert "name" not in known
    assert describe_type(known["state"]) == "one of on, off"
    assert describe_type(known["lower"]) == "an integer from 1"
    assert describe_type(known["free"]) == "an integer"
    assert decode_value(known["free"], 7) == 7


@pytest.mark.parametrize("path", ["/a", "/a/b c", "/ü", "/a/...", "/-"])
def test_managed_paths(path: str) -> None:
    assert is_managed_path(path)


@pytest.mark.parametrize("path", ["", "/", "a", "/a/", "//a", "/a//b", "/./a", "/a/..", "/a\n", "/a\x7f", "/a\0"])
def test_paths_that_may_not_be_managed(path: str) -> None:
    assert not is_managed_path(path)


def test_modes_get_four_digits() -> None:
    assert [normalise_mode(text) for text in ("644", "0644", "1777")] == ["0644", "0644", "1777"]


@pytest.mark.parametrize("value", [3, "3", [], [300], [True]])
def test_a_list_of_exit_statuses_is_one_or_refused(value: Any) -> None:
    integers = Attribute("integers", "exit statuses")
    with pytest.raises(ValueError, match="expected"):
        decode_value(integers, value)
    assert decode_value(integers, [0, 255]) == (0, 255)
