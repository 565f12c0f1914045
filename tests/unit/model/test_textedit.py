"""Lines and blocks put into texts and taken out again, for any text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops.errors import MalformedError
from gitops.model.textedit import (
    Anchor,
    BlockEdit,
    LineEdit,
    begins,
    count_line,
    find_block,
    put_block,
    put_line,
    take_block,
    take_line,
)

WORDS = st.lists(st.sampled_from(("a", "b = 1", "b = 2", "  b", "#b", "", "c\r", "x y")), max_size=8)
TEXTS = st.builds(lambda lines, end: "\n".join(lines) + end, WORDS, st.sampled_from(("", "\n")))
LINES = st.builds(
    LineEdit,
    st.sampled_from(("b = 1", "new", " indented")),
    st.sampled_from(((), ("b",), ("b", "#b"), ("nothing",))),
    st.builds(Anchor, after=st.sampled_from(("", "a", "x")), before=st.just("")),
)
BLOCKS = st.builds(BlockEdit, st.just("# B"), st.just("# E"), st.sampled_from(((), ("k",), ("k", "", "l"))))


@given(TEXTS, LINES)
def test_a_line_put_in_twice_is_put_in_once(text: str, edit: LineEdit) -> None:
    once = put_line(text, edit)
    assert put_line(once, edit) == once
    meant, exact = count_line(once, edit)
    assert exact >= 1
    assert not edit.replaces or meant == 1


@given(TEXTS, LINES)
def test_what_is_not_meant_keeps_its_bytes_and_order(text: str, edit: LineEdit) -> None:
    def others(whole: str) -> list[str]:
        return [line.rstrip("\r") for line in whole.split("\n") if line and not edit.is_meant(line.rstrip("\r"))]

    assert others(put_line(text, edit)) == others(text)
    assert others(take_line(text, edit)) == others(text)


@given(TEXTS, LINES)
def test_a_line_taken_out_is_gone_and_again_nothing(text: str, edit: LineEdit) -> None:
    once = take_line(text, edit)
    assert count_line(once, edit) == (0, 0)
    assert take_line(once, edit) == once


@given(TEXTS, BLOCKS)
def test_a_block_put_in_is_found_and_taken_out_leaves_the_rest(text: str, edit: BlockEdit) -> None:
    once = put_block(text, edit)
    assert put_block(once, edit) == once
    assert find_block(once, edit.begin, edit.end) == edit.body
    rest = take_block(once, edit)
    assert [line.rstrip("\r") for line in rest.splitlines()] == [line.rstrip("\r") for line in text.splitlines()]
    assert take_block(rest, edit) == rest


def test_the_endings_of_the_file_are_those_of_new_lines() -> None:
    assert put_line("a\r\nb", LineEdit("c")) == "a\r\nb\r\nc\r\n"
    assert put_line("a\r\nb 1\r\n", LineEdit("b 2", ("b",))) == "a\r\nb 2\r\n"
    assert put_block("a\r\n", BlockEdit("<", ">", ("k",))) == "a\r\n<\r\nk\r\n>\r\n"
    assert put_block("a\r\n<\r\nk\r\n>\r\n", BlockEdit("<", ">", ("l",))) == "a\r\n<\r\nl\r\n>\r\n"
    assert put_line("a\r\n", LineEdit("a")) == "a\r\n"


def test_only_a_line_feed_ends_a_line() -> None:
    text = "a\x0bb\u2028c\x85d\n"
    assert put_line(text, LineEdit("b")) == text + "b\n"


def test_a_beginning_is_literal_and_never_a_pattern() -> None:
    assert begins("  .* x", ".*")
    assert not begins("abc", ".*")
    assert not begins("abc", "")


def test_anchors_place_what_is_new() -> None:
    text = "[a]\n[b]\nz\n"
    assert put_block(text, BlockEdit("<", ">", (), Anchor(before="[b]"))) == "[a]\n<\n>\n[b]\nz\n"
    assert put_line(text, LineEdit("k", (), Anchor(after="[a]"))) == "[a]\nk\n[b]\nz\n"
    assert put_line(text, LineEdit("k", (), Anchor(after="[none]"))) == text + "k\n"


@pytest.mark.parametrize("text", ["<\n", ">\n", ">\n<\n", "<\n<\n>\n", "<\n>\n>\n"])
def test_markers_that_are_no_pair_are_refused(text: str) -> None:
    with pytest.raises(MalformedError, match="mend"):
        find_block(text, "<", ">")
