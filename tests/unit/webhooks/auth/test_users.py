"""Users of the settings file: every mistake names its place; commits are mapped to users."""

from __future__ import annotations

from typing import Any

import pytest

from gitops.errors import UsageError
from webhooks.auth.passwords import hash_password
from webhooks.auth.users import Users, parse_users

HASH = str(hash_password("correct horse", bytes(16)))


def table(**more: Any) -> dict[str, Any]:
    return {"password": HASH, **more}


def test_no_users_is_nobody() -> None:
    assert parse_users(None) == Users()
    assert Users().find("alice") is None


def test_users_have_teams_and_addresses_in_small_letters() -> None:
    users = parse_users({"alice": table(teams=["sre"], emails=["Alice@Example.org"])})
    found = users.find("alice")
    assert found is not None
    assert (found.teams, found.emails) == (("sre",), ("alice@example.org",))


def test_the_hash_is_not_in_the_representation() -> None:
    assert "scrypt" not in repr(parse_users({"alice": table()}))


@pytest.mark.parametrize(
    ("name", "email", "expected"),
    [
        ("Somebody", "ALICE@example.org", "alice"),
        ("Bob", "bob@elsewhere.example", "bob"),
        ("Eve", "eve@example.org", "eve@example.org"),
        ("Eve", "", "Eve"),
    ],
)
def test_a_commit_is_its_users_by_address_then_by_name(name: str, email: str, expected: str) -> None:
    users = parse_users({"alice": table(emails=["alice@example.org"]), "bob": table()})
    assert users.of_commit(name, email) == expected


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (["alice"], "users"),
        ({"Alice Smith": table()}, "users.Alice Smith"),
        ({"alice": "x"}, "users.alice"),
        ({"alice": {}}, "users.alice.password"),
        ({"alice": table(colour="red")}, "colour"),
        ({"alice": table(teams="sre")}, "users.alice.teams"),
        ({"alice": table(emails=[1])}, "users.alice.emails"),
        ({"alice": table(emails=["x@example.org"]), "bob": table(emails=["X@example.org"])}, "x@example.org"),
    ],
)
def test_a_mistake_names_its_place(value: Any, place: str) -> None:
    with pytest.raises(UsageError, match=place):
        parse_users(value)
