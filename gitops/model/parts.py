"""Large documents, written part by part: as one tree and one text they would take more memory than all that they say.

`Rows` is a list whose items are made when they are written. What is joined of the canonical parts is what `encode_canonical` gives of
the same document; the parts of a line keep the order of its keys.
"""

from __future__ import annotations

import json
from typing import Any, Callable, Iterable, Iterator, List, Mapping, Sequence, Tuple, TypeVar, cast

from gitops.model.codec import Json, Rows, encode_canonical, make_encoder

T = TypeVar("T")

FEW = 32  # what has more items holds like things: it is cut, and not looked into
MANY = 256
SMALL_DEPTH = 2
_dump_line = make_encoder(json.JSONEncoder(ensure_ascii=False, separators=(",", ":")))

Dump = Callable[[Json], str]
Listing = Callable[[Sequence[Any], Callable[[Any], Json]], Sequence[Json]]


def dump_canonical(value: Json) -> str:
    """Give the canonical form as text."""
    return encode_canonical(value).decode("utf-8")


def list_rows(items: Sequence[T], make: Callable[[T], Json]) -> List[Json]:
    """Give the same as a list."""
    return [make(item) for item in items]


def encode_parts(value: Json) -> Iterator[bytes]:
    """Give the canonical bytes of a document in parts; raise MalformedError for what has none, when its part comes."""
    return map(_to_bytes, _cut(value, dump_canonical, is_sorted=True))


def encode_table(names: Iterable[str], make: Callable[[str], Json], dump: Dump = dump_canonical) -> Iterator[bytes]:
    """Give the bytes of the object that has these keys, sorted, and what is made of each, in parts."""
    keys = sorted(names)
    return map(_to_bytes, _join_many("{}", len(keys), lambda some: dump({key: make(key) for key in keys[some]})))


def line_parts(value: Json) -> Iterator[str]:
    """Give a document on one line, in parts; a small one in one."""
    if _is_small(value):
        return iter((_dump_line(value),))
    return _cut(value, _dump_line, is_sorted=False)


def _to_bytes(part: str) -> bytes:
    return part.encode("utf-8")


def _is_small(value: Json, depth: int = 0) -> bool:
    """Say whether a value is written in one part: a few scalars, or a few of the like."""
    if isinstance(value, dict):
        table = cast("Mapping[str, Json]", value)
        return len(table) <= FEW and depth < SMALL_DEPTH and all(_is_small(item, depth + 1) for item in table.values())
    return not isinstance(value, (list, tuple, Rows))


def _cut(value: Json, dump: Dump, *, is_sorted: bool) -> Iterator[str]:
    if isinstance(value, dict):
        table = cast("Mapping[str, Json]", value)
        keys: List[str] = sorted(table) if is_sorted else list(table)
        if len(keys) <= FEW:
            pairs = ((f"{dump(key)}:", table[key]) for key in keys)
            yield from _join_few("{}", pairs, dump, is_sorted=is_sorted)
        else:
            yield from _join_many("{}", len(keys), lambda some: dump({key: table[key] for key in keys[some]}))
    elif isinstance(value, (list, Rows)):
        items = cast("Sequence[Json]", value)
        if len(items) <= FEW:
            yield from _join_few("[]", (("", item) for item in items), dump, is_sorted=is_sorted)
        else:
            yield from _join_many("[]", len(items), lambda some: dump(list(items[some])))
    else:
        yield dump(value)


def _join_few(ends: str, items: Iterable[Tuple[str, Json]], dump: Dump, *, is_sorted: bool) -> Iterator[str]:
    """Give each item, which may be large, in parts of its own."""
    lead = ends[0]
    for name, item in items:
        yield lead + name
        yield from _cut(item, dump, is_sorted=is_sorted)
        lead = ","
    yield ends if lead == ends[0] else ends[1]


def _join_many(ends: str, count: int, dump_some: Callable[[slice], str]) -> Iterator[str]:
    lead = ends[0]
    for start in range(0, count, MANY):
        yield lead + dump_some(slice(start, start + MANY))[1:-1]
        lead = ","
    yield ends if lead == ends[0] else ends[1]
