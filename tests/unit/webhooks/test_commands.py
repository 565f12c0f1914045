"""Commands are whole lines at the very start of a comment; what begins a later line is answered, and everything else is talk."""

from __future__ import annotations

import pytest

from webhooks.commands import BELOW, NOT_BARE, Command, parse_command

DIGEST = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("/gitops plan", Command("plan")),
        ("\n\r\n/gitops help\r\nthanks", Command("help")),
        ("/gitops", Command("help")),
        (f"/gitops approve {DIGEST}", Command("approve", DIGEST)),
        (f"/gitops approve `{DIGEST}`", Command("approve", DIGEST)),
        ("/gitops unapprove", Command("unapprove")),
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
        f"looks good\n> /gitops approve {DIGEST}",
        f"looks good\n  /gitops approve {DIGEST}",
        "looks good\n/gitops is what I typed",
        f"look:\n~~~\n/gitops approve {DIGEST}\n```\n/gitops unapprove\n~~~\nthat",
        f"```\n/gitops approve {DIGEST}\n```",
        f"/gitopsapprove {DIGEST}",
        f" > /gitops approve {DIGEST}",
        "- /gitops is the word",
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


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (f"looks good\n/gitops approve {DIGEST}", Command("approve", problem=BELOW)),
        (f"```\ncode\n```\r\n\r\n/gitops approve {DIGEST}", Command("approve", problem=BELOW)),
        ("thanks!\r/gitops plan", Command("plan", problem=BELOW)),
        (f"/gitops approve {DIGEST}\n/gitops approve {'f' * 64}", Command("approve", DIGEST, has_more=True)),
        ("/gitops dance\n/gitops plan", Command("help", problem="there is no such command", has_more=True)),
    ],
)
def test_a_command_below_another_line_is_not_done_and_says_so(body: str, wanted: Command) -> None:
    assert parse_command(body) == wanted


@pytest.mark.parametrize(
    "body",
    [
        "/gitops unapprove please",
        "I was wrong.\n\n/gitops unapprove",
        f"/gitops approve {DIGEST}\n/gitops unapprove",
        f"/gitops unapprove\n/gitops approve {DIGEST}",
    ],
)
def test_taking_back_counts_wherever_it_stands(body: str) -> None:
    assert parse_command(body) == Command("unapprove")


@pytest.mark.parametrize(
    "line", [" /gitops {}", "/GitOps {}", "- /gitops {}", "* `/gitops {}`", "**/gitops {}**", "\ufeff/gitops {}"]
)
def test_a_command_that_is_dressed_up_is_answered_and_takes_back_but_never_gives(line: str) -> None:
    for words in (f"approve {DIGEST}", "plan", "help"):
        assert parse_command(line.format(words)) == Command(words.split()[0], problem=NOT_BARE)
    for body in (
        line.format("unapprove"),
        "No.\n" + line.format("UNAPPROVE"),
        f"/gitops approve {DIGEST}\n" + line.format("unapprove"),
    ):
        assert parse_command(body) == Command("unapprove")


@pytest.mark.parametrize(
    "body", ["> /gitops unapprove", "a\n```\n/gitops unapprove\n```", "please /gitops unapprove", "/gitops unapproved"]
)
def test_talk_about_taking_back_takes_nothing_back(body: str) -> None:
    assert parse_command(body) in (None, Command("help", problem="there is no such command"))
