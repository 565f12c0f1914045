"""A document in parts says what it says as a whole."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops.errors import MalformedError
from gitops.model import parts
from gitops.model.codec import Rows, encode_canonical
from gitops.model.parts import encode_parts, encode_table, line_parts, list_rows

TEXTS = st.text(max_size=3)
LEAVES = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXTS
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=9) | st.dictionaries(TEXTS, inner, max_size=9), max_leaves=30)


@pytest.fixture(autouse=True)
def small_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "FEW", 2)
    monkeypatch.setattr(parts, "MANY", 3)


@given(TREES)
def test_the_canonical_parts_are_the_canonical_form(tree: Any) -> None:
    assert b"".join(encode_parts(tree)) == encode_canonical(tree)


@given(TREES)
def test_the_parts_of_a_line_keep_the_order_of_keys(tree: Any) -> None:
    assert "".join(line_parts(tree)) == json.dumps(tree, ensure_ascii=False, separators=(",", ":"))


@given(st.lists(TREES, max_size=9))
def test_rows_are_written_like_the_list_that_they_stand_for(items: list[Any]) -> None:
    rows, whole = Rows(items, lambda item: {"item": item}), list_rows(items, lambda item: {"item": item})
    assert (list(rows), len(rows)) == (whole, len(items))
    assert encode_canonical({"rows": rows}) == b"".join(encode_parts({"rows": rows})) == encode_canonical({"rows": whole})
    assert json.loads("".join(line_parts({"rows": rows}))) == {"rows": whole}


@given(st.dictionaries(TEXTS, LEAVES, max_size=9))
def test_a_table_is_made_key_by_key(table: dict[str, Any]) -> None:
    assert b"".join(encode_table(table, table.__getitem__)) == encode_canonical(table)


def test_few_rows_are_made_at_a_time() -> None:
    made: list[int] = []
    written = encode_parts(Rows(range(10), lambda item: (made.append(item), item)[1]))
    next(written)
    assert made == [0, 1, 2]


def test_what_has_no_canonical_form_has_no_parts() -> None:
    for value in (1.5, [1, 2, 3, 1.5], Rows([2**53], int), {"a": {"b": {1, 2}}}):
        with pytest.raises(MalformedError):
            b"".join(encode_parts(value))  # type: ignore[arg-type]
