"""No part of a secret comes out: not whole, not by line, not where a long output is cut."""

from __future__ import annotations

import base64
import json
import shlex
from html import escape
from urllib.parse import quote, quote_plus

import pytest
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


VALUES = ('hunter2 "quoted" value', "a/b+c=d&e f", "l'été à la mer", "back\\slash<&>'", "first line\nsecond \tline", "p" * 90)


@pytest.mark.parametrize("value", VALUES)
def test_a_value_goes_as_other_programs_spell_it(value: str) -> None:
    redactor = Redactor({"s": value})
    spelt = [
        json.dumps(value),
        json.dumps(value, ensure_ascii=False),
        json.dumps(value).replace("/", "\\/"),
        repr(value),
        ascii(value),
    ]
    spelt += [repr(value.encode()), quote(value), quote(value, safe=""), quote_plus(value), quote(value, safe="").lower()]
    spelt += [shlex.quote(value), escape(value), escape(value, quote=False), value.encode().hex(), repr({"k": [value, "'"]})]
    for text in spelt:
        shown = redactor.redact(f"<{text}>")
        assert MARK in shown, text
        assert len(shown.replace(MARK, "")) <= 20, (text, shown)


# What bash printed for each by `printf %q`, `declare -p`; then SQL, and doubled as configparser and make want it.
SHELL_SPELLINGS = {
    "p\"a'ss$w<or>d&x`k": (r"p\"a\'ss\$w\<or\>d\&x\`k", r"p\"a'ss\$w<or>d&x\`k", "p\"a''ss$w<or>d&x`k", "p\"a'ss$$w<or>d&x`k"),
    "back\\slash$1": (r"back\\slash\$1",),
    "a b c d!e": (r"a\ b\ c\ d\!e",),
    "#a#b~c:~d=~e": (r"\#a#b~c:\~d=\~e",),
    "~100%sure*?[x]": (r"\~100%sure\*\?\[x\]", "~100%%sure*?[x]"),
    "Kx^9~{2}=,+@:(;|)": (r"Kx\^9~\{2\}=\,+@:\(\;\|\)",),
    "ünï cöde9": (r"ünï\ cöde9", r"\xFCn\xEF c\xF6de9"),
}


@pytest.mark.parametrize(("value", "spelling"), [(value, form) for value, forms in SHELL_SPELLINGS.items() for form in forms])
def test_a_value_goes_as_shells_and_others_escape_it(value: str, spelling: str) -> None:
    assert Redactor({"s": value}).redact(f'declare -x PW="{spelling}"') == f'declare -x PW="{MARK}"'


@given(
    value=st.text(min_size=8, max_size=60),
    before=st.binary(max_size=5),
    after=st.binary(max_size=5),
    wrap=st.sampled_from((0, 8, 60)),
)
def test_base64_goes_wherever_the_value_stands_in_what_was_coded(value: str, before: bytes, after: bytes, wrap: int) -> None:
    if not value.strip():
        return
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        text = encode(before + value.encode() + after).decode()
        text = "\n".join(text[at : at + wrap] for at in range(0, len(text), wrap)) if wrap else text
        shown = Redactor({"s": value}).redact(text)
        assert MARK in shown
        assert len(shown.replace(MARK, "").replace("\n", "")) <= 2 * (4 * 5 // 3 + 4)


def test_short_values_have_no_codes_that_would_take_out_half_of_an_output() -> None:
    assert Redactor({"s": "abc"}).redact("YWJj 616263 abc") == f"YWJj 616263 {MARK}"


def test_a_code_at_the_bound_of_an_output_is_not_shown_in_part() -> None:
    value = "a secret of more than eight"
    code = base64.b64encode(value.encode()).decode()
    redactor = Redactor({"s": value})
    for shift in range(len(code)):
        shown = redactor.redact_tail("y" * 200 + code + "x" * 30, 30 + shift, is_cut=True)
        assert not any(code[at : at + 5] in shown for at in range(len(code) - 6)), shift


DUMPED = "hunter2/-correct.horse"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (DUMPED.encode().hex(":"), MARK),
        (DUMPED.encode().hex("-").upper(), MARK),
        (DUMPED.encode().hex(" "), MARK),
        (DUMPED.encode().hex(" ", -2), MARK),
        (DUMPED.encode().hex(" ", 4), MARK),
        (", ".join(f"0x{one:02x}" for one in DUMPED.encode()), f"0x{MARK}"),
        ("".join(f"\\x{one:02x}" for one in DUMPED.encode()), f"\\x{MARK}"),
        (DUMPED.encode()[:10].hex(":") + ":\n        " + DUMPED.encode()[10:].hex(":"), MARK),
        (f"abcdef {DUMPED.encode().hex(' ')} 0123", f"abcdef {MARK} 0123"),
    ],
)
def test_hex_goes_whatever_stands_between_its_bytes(text: str, left: str) -> None:
    assert Redactor({"a": DUMPED}).redact(f"dump: {text} end") == f"dump: {left} end"


@pytest.mark.parametrize(
    ("value", "spelling"),
    [
        ("db-pass word", r"db\x2dpass\x20word"),
        (".s/ecr-et", r"\x2es-ecr\x2det"),
        ("s/ecr-et", r"s-ecr\x2det"),
        ("pa\x1bss\x7fw\x01rd", "pa^[ss^?w^Ard"),
        ("p\tq\u00fcr", "p^IqM-CM-<r"),
        ("p\tq\u00fcr", "p\tqM-CM-<r"),
        ("one line\x07 more\nsecond\x02 one", "one line^G more$\nsecond^B one$"),
    ],
)
def test_a_value_goes_as_systemd_and_cat_spell_it(value: str, spelling: str) -> None:
    shown = Redactor({"a": value}).redact(f"<{spelling}>")
    assert shown.replace(MARK, "").replace("$", "").strip() in ("<>", "<\n>")


def test_looking_for_hex_takes_no_longer_than_the_text_is_long() -> None:
    text = "0x" * 400_000 + ": " * 400_000
    assert Redactor({str(number): f"value number {number}" for number in range(20)}).redact(text) == text
