"""Commands are whole lines at the very start of a comment; everything else is talk."""

from __future__ import annotations

import pytest

from webhooks.commands import Command, parse_command

DIGEST = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("/gitops plan", Command("plan")),
        ("\n\r\n/gitops help\r\nthanks", Command("help")),
        ("/gitops", Command("help")),
        (f"/gitops approve {DIGEST}", Command("approve", DIGEST)),
        (f"/gitops approve `{DIGEST}`", Command("approve", DIGEST)),
        (f"/gitops   approve\t{DIGEST}  \nlooks good", Command("approve", DIGEST)),
    ],
)
def test_a_command_is_read(body: str, wanted: Command) -> None:
    assert parse_command(body) == wanted


@pytest.mark.parametrize(
    "body",
    [
        "",
        "   ",
        f"> /gitops approve {DIGEST}",
        f"please /gitops approve {DIGEST}",
        f"looks good\n/gitops approve {DIGEST}",
        f"```\n/gitops approve {DIGEST}\n```",
        f" /gitops approve {DIGEST}",
        f"/gitopsapprove {DIGEST}",
        f"/GITOPS approve {DIGEST}",
    ],
)
def test_talk_about_commands_is_no_command(body: str) -> None:
    assert parse_command(body) is None


@pytest.mark.parametrize(
    ("argument", "word"),
    [
        (DIGEST[:12], "not whole"),
        (DIGEST + "0", "not whole"),
        (DIGEST.upper(), "not whole"),
        ("", "names no digest"),
        (f"{DIGEST} {DIGEST}", "names no digest"),
        ("everything", "no digest"),
    ],
)
def test_a_digest_that_is_not_whole_is_refused_with_the_reason(argument: str, word: str) -> None:
    found = parse_command(f"/gitops approve {argument}")
    assert found is not None
    assert (found.kind, found.digest) == ("approve", "")
    assert word in found.problem


def test_an_unknown_command_gets_help() -> None:
    assert parse_command("/gitops merge") == Command("help", problem="there is no such command")
