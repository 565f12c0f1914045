"""No part of a secret comes out: not whole, not by line, not where a long output is cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gitops.executor.redact import MARK, Redactor, Tail


def test_values_go_whole_by_line_and_without_outer_blanks() -> None:
    redactor = Redactor({"a": "pass word", "b": "first line\n  second line\n}", "c": "  padded  "})
    text = redactor.redact("x pass word y\nfirst line\nsecond line\n} and padded.")
    assert text == f"x {MARK} y\n{MARK}\n{MARK}\n}} and {MARK}."


def test_overlapping_values_leave_no_rest_of_either() -> None:
    assert Redactor({"a": "abcdef", "b": "defghi"}).redact("--abcdefghi--") == f"--{MARK}--"


def test_a_value_inside_another_goes_with_it() -> None:
    assert Redactor({"a": "secret", "b": "secret-and-more"}).redact("[secret-and-more]") == f"[{MARK}]"


def test_empty_and_blank_values_change_nothing() -> None:
    assert Redactor({"a": "", "b": "  \n "}).redact("some text") == "some text"


@given(
    secret=st.text("abc", min_size=5, max_size=12),
    before=st.text("xyz", max_size=80),
    after=st.text("xyz", max_size=40),
    piece=st.integers(1, 30),
)
def test_the_tail_of_an_output_never_shows_part_of_a_secret(secret: str, before: str, after: str, piece: int) -> None:
    limit = 20
    redactor = Redactor({"s": secret})
    tail = Tail(limit + redactor.longest)
    whole = (before + secret + after + secret + before).encode()
    for start in range(0, len(whole), piece):
        tail.add(whole[start : start + piece])
    shown = redactor.redact_tail(tail.text, limit, is_cut=tail.is_cut)
    assert not set("ab") & set(shown.replace(MARK, ""))
    assert "c" not in shown.replace(MARK, "")


def test_an_endless_output_is_held_within_its_bound() -> None:
    tail = Tail(1000)
    for _ in range(1000):
        tail.add(b"x" * 999)
    assert tail.is_cut
    assert len(tail.text) <= 2000
