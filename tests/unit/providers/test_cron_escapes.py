"""What sh gets from cron is what was declared, character for character."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops.providers.cron import MAX_COMMAND, CronProvider, CronSpec

CRON = CronProvider()


def read_as_cron(line: str) -> str:
    """Do what the child of Debian's cron (do_command.c) and of cronie does with the command; an open `%` would begin its input."""
    found: list[str] = []
    is_escaped = False
    for letter in line:
        if is_escaped and letter in "%\\":
            found[-1] = letter
            is_escaped = False
            continue
        assert letter != "%", "the rest would be fed to the command"
        is_escaped = letter == "\\" and not is_escaped
        found.append(letter)
    return "".join(found)


@given(st.text(alphabet="\\%an '\"$", min_size=1, max_size=12).filter(lambda text: bool(text.strip())))
def test_cron_gives_sh_what_was_declared(command: str) -> None:
    spec = CronSpec("x", "@daily", command)
    assert CRON.find_mistake(spec) == ""
    assert read_as_cron(spec.escaped) == command
    assert spec.line == f"@daily root {spec.escaped}"


@pytest.mark.parametrize(
    ("command", "written"),
    [
        ("date +%F", r"date +\%F"),
        (r"printf '\n'", r"printf '\n'"),  # as it always stood there
        (r"echo \%", r"echo \\\%"),
        (r"echo \\", r"echo \\\\"),
        ("echo \\", "echo \\"),
    ],
)
def test_only_what_cron_reads_is_escaped(command: str, written: str) -> None:
    assert CronSpec("x", "@daily", command).escaped == written


@pytest.mark.parametrize("letter", ["%", "\\", "é"])
def test_a_command_that_cron_would_cut_is_refused(letter: str) -> None:
    long = CronSpec("x", "@daily", letter * (MAX_COMMAND // 2 + 1))
    assert "as cron reads it" in CRON.find_mistake(long)
    assert CRON.find_mistake(CronSpec("x", "@daily", letter * (MAX_COMMAND // 2 - 1))) == ""
