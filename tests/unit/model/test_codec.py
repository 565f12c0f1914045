"""Laws of the codec: one form for each value, and no other form is taken for it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops.errors import MalformedError
from gitops.model.codec import (
    MAX_INTEGER,
    decode_canonical,
    decode_json,
    digest_bytes,
    digest_json,
    encode_canonical,
    format_time,
    is_digest,
    make_encoder,
    parse_time,
)
from tests.support.nouns import json_values, times


@given(json_values)
def test_what_is_encoded_decodes_to_the_same_value(value: object) -> None:
    assert decode_canonical(encode_canonical(value)) == value  # pyright: ignore[reportArgumentType]


@given(
    st.dictionaries(st.text(st.characters(exclude_categories=("Cs",)), max_size=5), st.integers(-9, 9), max_size=6), st.randoms()
)
def test_order_of_keys_never_matters(table: dict[str, int], random: object) -> None:
    keys = list(table)
    random.shuffle(keys)  # pyright: ignore
    assert digest_json({key: table[key] for key in keys}) == digest_json(table)


@given(json_values, st.sampled_from([" ", "\n", "\t"]))
def test_any_other_layout_is_refused(value: object, blank: str) -> None:
    data = encode_canonical(value)  # pyright: ignore[reportArgumentType]
    with pytest.raises(MalformedError, match="canonical"):
        decode_canonical(data + blank.encode())


@pytest.mark.parametrize(
    "text",
    ['{"b":1,"a":2}', '{"a" :1}', '"\\u0061"', "[1, 2]", "-0", '"\\/"', "01"],
)
def test_a_second_spelling_is_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        decode_canonical(text.encode())


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('{"a":1,"a":2}', "duplicate key 'a'"),
        ("1.5", "floats"),
        ("1e3", "floats"),
        ("NaN", "floats"),
        ("Infinity", "floats"),
        ("{", "not JSON"),
        ("\ufeff{}", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("9" * 10_000, "not JSON"),
    ],
)
def test_what_json_allows_and_we_do_not(text: str, word: str) -> None:
    with pytest.raises(MalformedError, match=word):
        decode_json(text)


def test_bytes_that_are_not_utf8_are_refused() -> None:
    with pytest.raises(MalformedError, match="not JSON"):
        decode_json(b'"\xff"')


def test_a_lone_surrogate_has_no_canonical_form() -> None:
    with pytest.raises(MalformedError):
        decode_canonical(b'"\\ud800"')


def deep() -> list[object]:
    value: list[object] = []
    for _ in range(100_000):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [1.5, float("nan"), MAX_INTEGER + 1, -MAX_INTEGER - 1, {1: 2}, {1: 2, "a": 3}, {"a": object()}, [b"x"], {1, 2}, deep()],
)
def test_values_without_a_canonical_form_are_refused(value: object) -> None:
    with pytest.raises(MalformedError) as stop:
        encode_canonical(value)  # pyright: ignore[reportArgumentType]
    assert stop.value.code == "M001"


def test_keys_are_sorted_by_code_point_and_text_stays_utf8() -> None:
    assert encode_canonical({"ü": 1, "z": 2, "Z": 3, "🦀": 4}) == '{"Z":3,"z":2,"ü":1,"🦀":4}'.encode()


@given(json_values)
def test_the_canonical_form_is_plain_json(value: object) -> None:
    assert json.loads(encode_canonical(value)) == value  # pyright: ignore[reportArgumentType]


@given(times)
def test_times_survive(at: datetime) -> None:
    assert parse_time(format_time(at)) == at


def test_times_are_written_in_utc_and_cut_to_seconds() -> None:
    at = datetime(2026, 11, 24, 16, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=1)))
    assert format_time(at) == "2026-11-24T15:00:00Z"
    with pytest.raises(MalformedError, match="zone"):
        format_time(datetime(2026, 1, 1))  # noqa: DTZ001  the case


@pytest.mark.parametrize(
    "text",
    ["", "2026-11-24", "2026-11-24T15:00:00+00:00", "2026-1-24T15:00:00Z", "2026-11-24T15:00:00.5Z", "2026-13-01T00:00:00Z"],
)
def test_any_other_spelling_of_a_time_is_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        parse_time(text)


def test_digests_are_64_lower_case_hex_digits() -> None:
    assert is_digest(digest_bytes(b""))
    assert digest_bytes(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert not is_digest("A" * 64)
    assert not is_digest("a" * 63)
    assert not is_digest("g" * 64)
    assert parse_time("2026-11-24T15:00:00Z").tzinfo == UTC


class Name(str):
    """A text by another class."""

    __slots__ = ()


def test_texts_of_another_class_are_texts() -> None:
    assert encode_canonical({Name("b"): Name("x"), "a": [Name("y"), None, True]}) == b'{"a":["y",null,true],"b":"x"}'


def test_a_value_that_holds_itself_has_no_canonical_form() -> None:
    ring: list[object] = []
    ring.append(ring)
    with pytest.raises(MalformedError):
        encode_canonical(ring)  # pyright: ignore[reportArgumentType]  no JSON, on purpose


@pytest.mark.parametrize("ensures_ascii", [False, True])
@given(value=json_values)
def test_what_encodes_is_the_same_with_and_without_the_compiled_part(*, ensures_ascii: bool, value: object) -> None:
    settings = json.JSONEncoder(ensure_ascii=ensures_ascii, sort_keys=True, separators=(",", ":"))
    quick = make_encoder(settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json.encoder, "c_make_encoder", None)
        slow = make_encoder(settings)
        assert slow(value) == quick(value)  # pyright: ignore[reportArgumentType]  anything at all
