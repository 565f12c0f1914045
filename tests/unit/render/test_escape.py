"""Laws of escaping: whatever an attacker writes is shown as text; nothing in it is live, hidden or breaks out."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from gitops.render.escape import (
    BREAK,
    code_span,
    escape_diff_line,
    escape_html,
    escape_line,
    escape_terminal,
    fence,
    link,
    plain_markdown,
)

PIECES = [
    "@alice", "@team/sre", "#123", "acme/site#7", "GH-12", "!7", "a@example.org", "https://example.org/x", "http://192.0.2.1", "www.example.org",
    "[x](https://example.org)", "![x](https://example.org/y.png)", "<https://example.org>", "<b>", "<img src=x onerror=y>", "<script>", "<!-- -->", "-->",
    "</details>", "</code>", "`", "``", "```", "~~~", "|", "\\|", "\\\\|", "\\", "\n", "\r", "\r\n", "\t", "    x", "\u202e", "\u2066", "\x1b[31m", "\x00", "\u200b", "\u2028",
    "&#64;alice", "&lt;b&gt;", "&commat;", "*x*", "_x_", "**", "~~x~~", "# x", "> x", "- x", "1. x", "1) x", "+ x", "---", "===", "[x]: https://example.org", "[^1]",
    "$x$", ":tada:", "ftp://example.org", "mailto:a@example.org", "xmpp:a@example.org", "\U000e0041", "\xad", " ", "  ", "é", "名", "x" * 30,
]  # fmt: skip
attacks = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=8).map("".join)
MARKDOWN = MarkdownIt("gfm-like", {"html": True, "linkify": False}).enable("table")
HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200c-\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]")


def flatten(tokens: list[Token]) -> list[Token]:
    return [inner for token in tokens for inner in (token, *(flatten(token.children) if token.children else ()))]


def shown_text(markdown: str) -> str:
    """Render and give the text that a reader sees (also what a forge searches for mentions)."""
    found: list[str] = []

    class Reader(HTMLParser):
        def handle_data(self, data: str) -> None:
            found.append(data)

    reader = Reader()
    reader.feed(MARKDOWN.render(markdown))
    reader.close()
    return "".join(found)


def assert_dead(markdown: str, *, allowed_html: tuple[str, ...] = ()) -> None:
    """No link, image or tag; and outside code nothing that a forge would make one of in the rendered text."""
    for token in flatten(MARKDOWN.parse(markdown)):
        assert token.type not in (
            "link_open",
            "image",
            "html_block",
            "heading_open",
            "blockquote_open",
            "hr",
            "s_open",
            "em_open",
            "strong_open",
        ), token
        if token.type == "html_inline":
            assert token.content in allowed_html, token
        if token.type == "text":
            assert not re.search(r"@\w|#\d|GH-\d|!\d|://|www\.\w", token.content), token
    assert not HIDDEN.search(markdown.replace(BREAK, ""))


@given(attacks)
@settings(max_examples=400)
def test_plain_text_is_dead_and_shows_what_it_holds(text: str) -> None:
    made = plain_markdown(text)
    assert_dead(f"before {made} after")
    assert "\n" not in made
    shown = shown_text(f"x{made}x").strip("\n").replace(BREAK, "")
    assert shown == f"x{escape_terminal(text)}x".replace("\t", " ") or "  " in text or "\t" in text


@given(attacks)
@settings(max_examples=400)
def test_code_is_dead_and_shows_what_it_holds(text: str) -> None:
    made = code_span(text)
    assert_dead(f"before {made} after", allowed_html=("<code>", "</code>"))
    assert shown_text(f"x{made}x").strip("\n").replace(BREAK, "") == f"x{escape_terminal(text)}x".replace("\t", " ")


@given(attacks, attacks)
@settings(max_examples=400)
def test_a_table_row_keeps_its_cells(first: str, second: str) -> None:
    table = f"| a | b | c |\n|---|---|---|\n| {code_span(first)} | {plain_markdown(second)} | end |\n\nafter\n"
    tokens = MARKDOWN.parse(table)
    assert [token.type for token in tokens].count("td_open") == 3
    assert [token.type for token in tokens].count("tr_open") == 2
    assert_dead(table, allowed_html=("<code>", "</code>"))
    # GitHub splits cells before it reads code: no pipe but those of the table may be left.
    assert len(re.findall(r"\|", table.split("\n")[2])) == 4


@given(attacks, attacks)
@settings(max_examples=400)
def test_a_fence_outgrows_what_it_holds(first: str, second: str) -> None:
    text = f"{first}\n{second}"
    made = fence(text, "diff")
    tokens = MARKDOWN.parse(f"{made}\n\nafter\n")
    assert [token.type for token in tokens] == ["fence", "paragraph_open", "inline", "paragraph_close"]
    assert tokens[0].content == "\n".join(escape_diff_line(line) for line in text.split("\n")) + "\n"
    assert not HIDDEN.search(made)


@given(st.text(max_size=40) | attacks)
def test_terminals_get_one_line_without_control(text: str) -> None:
    made = escape_terminal(text)
    assert "\n" not in made
    assert "\x1b" not in made
    assert not HIDDEN.search(made)
    assert not HIDDEN.search(escape_line(text.replace("\n", "")))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("a\nb", "a\\nb"),
        ("\u202egnp", "\\u202egnp"),
        ("\U000e0041", "\\U000e0041"),
        ("a\tb é", "a\tb é"),
        ("\r", "\\x0d"),
    ],
)
def test_invisible_characters_are_written_out(text: str, shown: str) -> None:
    assert escape_terminal(text) == shown


@pytest.mark.parametrize("text", ["a`b", "``", "`", " a", "a ", "", " ", "a|b", "a`|[x](https://example.org)", "`@alice`"])
def test_code_that_is_hard_to_write_stays_code(text: str) -> None:
    made = code_span(text)
    assert_dead(made, allowed_html=("<code>", "</code>"))
    assert shown_text(f"x{made}x").strip("\n").replace(BREAK, "") == f"x{text}x"


@given(attacks)
def test_html_is_escaped(text: str) -> None:
    made = escape_html(text)
    assert html.unescape(made) == html.unescape(made)
    assert not set("<>\"'") & set(made)


@pytest.mark.parametrize("url", ["", "javascript:alert(1)", "https://x.example.org/) [y](z", "https://x\ny", 'https://x"', "//x"])
def test_only_plain_web_addresses_are_linked(url: str) -> None:
    assert link("words", url) == ""


def test_our_own_link_is_one() -> None:
    assert link("The plan", "https://plans.example.org/p/7?x=1") == "[The plan](https://plans.example.org/p/7?x=1)"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("+a\u00a0b", "+a\\xa0b"),
        ("+e\u0301t\u00e9", "+e\\u0301t\u00e9"),
        ("-end  ", "-end\\x20\\x20"),
        ("-end\t", "-end\\x09"),
        (" kept ", " kept "),
        ("+x\r", "+x\\x0d"),
        ("+\u3164\u2800\ufe0f\u2009", "+\\u3164\\u2800\\ufe0f\\u2009"),
        ("+\u212b", "+\\u212b"),
        ("+caf\u00e9 \u00fc \u4e2d\u6587", "+caf\u00e9 \u00fc \u4e2d\u6587"),
    ],
)
def test_differences_that_nobody_sees_are_shown_in_diffs(line: str, shown: str) -> None:
    assert escape_diff_line(line) == shown
    assert shown in fence(line, "diff")
