"""Canonical JSON, digests and times: the only way in and out for what is compared, signed or stored.

Canonical (DESIGN §5): UTF-8, keys sorted by code point, no insignificant blanks, no floats, no duplicate keys, integers
within 2**53. Takes JSON values, gives bytes, and back; does no I/O and knows no noun.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timezone
from typing import Any, Callable, Collection, Dict, Generic, List, Mapping, Sequence, Tuple, TypeVar, Union, cast, overload

from gitops.errors import MalformedError

Json = Union[None, bool, int, str, Sequence["Json"], Mapping[str, "Json"]]

T = TypeVar("T")

MAX_INTEGER = 2**53 - 1
DIGEST_LENGTH = 64
_HEX = frozenset("0123456789abcdef")
_TEXT, _EXACT = frozenset((str,)), frozenset((str, bool, type(None)))


class Rows(Sequence[Json], Generic[T]):
    """A list of what `make` gives of each item, made when it is written: a large document is then never there as a whole (`parts`)."""

    def __init__(self, items: Sequence[T], make: Callable[[T], Json]) -> None:
        self._items = items
        self._make = make

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, place: int) -> Json: ...
    @overload
    def __getitem__(self, place: slice) -> List[Json]: ...
    def __getitem__(self, place: Union[int, slice]) -> Union[Json, List[Json]]:
        if isinstance(place, slice):
            return [self._make(item) for item in self._items[place]]
        return self._make(self._items[place])


def encode_canonical(value: Json) -> bytes:
    """Give the canonical bytes of a JSON value; raise MalformedError for what has none (floats, huge integers, other types)."""
    try:
        data = _encode(value).encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise MalformedError(f"value has no canonical JSON form: {error}", code="M001") from error
    _refuse_inexact(value)
    return data


def decode_canonical(data: bytes) -> Json:
    """Read canonical bytes; raise MalformedError when one byte differs from the canonical form of what they say."""
    value = decode_json(data)
    if encode_canonical(value) != data:
        raise MalformedError("the document is not canonical JSON (key order, blanks or escapes differ)", code="M002")
    return value


def decode_json(data: Union[bytes, str]) -> Json:
    """Read strict JSON of any layout: UTF-8, no duplicate keys, no floats, no NaN; raise MalformedError otherwise."""
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        return cast(Json, json.loads(text, object_pairs_hook=_unique, parse_float=_no_float, parse_constant=_no_float))
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"not JSON as this program reads it: {error}", code="M003") from error


def decode_foreign(data: Union[bytes, str]) -> Any:
    """Read JSON that others write, floats as they come, but no key twice: two readers would take it for two documents."""
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        return json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"not JSON as this program reads it: {error}", code="M003") from error


def digest_bytes(data: bytes) -> str:
    """Give the SHA-256 of bytes as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def digest_json(value: Json) -> str:
    """Give the SHA-256 of a value's canonical form as 64 lower-case hex digits."""
    return hashlib.sha256(encode_canonical(value)).hexdigest()


def is_digest(text: str) -> bool:
    """Say whether a text is 64 lower-case hex digits."""
    return len(text) == DIGEST_LENGTH and _HEX.issuperset(text)


def format_time(moment: datetime) -> str:
    """Give an aware time as RFC 3339 in UTC with whole seconds and `Z`; fractions are cut off."""
    if moment.tzinfo is None:
        raise MalformedError("a time without a zone cannot be written", code="M004")
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> datetime:
    """Read the one time format that `format_time` writes; raise MalformedError for any other."""
    try:
        moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        raise MalformedError(f"not a time: got {text[:40]!r}, expected like 2026-11-24T15:00:00Z", code="M004") from None
    if format_time(moment) != text:
        raise MalformedError(f"not a canonical time: got {text[:40]!r}", code="M004")
    return moment


def _refuse_inexact(value: Any) -> None:
    stack: List[Any] = [value]
    while stack:
        item = stack.pop()
        if type(item) is str or item is None or isinstance(item, (str, bool)):  # the first is what most are, and quickest to ask
            continue
        if isinstance(item, int):
            if abs(item) > MAX_INTEGER:
                raise MalformedError("an integer beyond 2**53 has no canonical form; write it as a string", code="M001")
        elif isinstance(item, dict):
            stack.extend(_values_of(cast("Dict[Any, Any]", item)))
        elif isinstance(item, (list, tuple, Rows)):
            stack.extend(_rest_of(cast("Sequence[Any]", item)[:]))
        else:
            raise MalformedError(f"a {type(item).__name__} has no canonical form; write decimals as strings", code="M001")


def _list_rows(value: Any) -> Any:
    if isinstance(value, Rows):
        return value[:]  # pyright: ignore[reportUnknownVariableType]  of anything
    raise TypeError(f"a {type(value).__name__} has no JSON form")


def make_encoder(settings: json.JSONEncoder) -> Callable[[Json], str]:
    """Give what encodes one value after the other with these settings: made once, where `encode` prepares itself for each of thousands.

    What holds itself raises RecursionError. Without the standard library's compiled part, which some Pythons lack, it is `encode`.
    """
    make: Any = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return settings.encode
    spell: Any = json.encoder.encode_basestring_ascii if settings.ensure_ascii else getattr(json.encoder, "encode_basestring")  # noqa: B009  the stubs do not know it
    separators = (settings.key_separator, settings.item_separator)
    encode = make(None, settings.default, spell, None, *separators, settings.sort_keys, settings.skipkeys, settings.allow_nan)
    return lambda value: "".join(encode(value, 0))


_encode = make_encoder(
    json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_list_rows)
)


def _values_of(table: Dict[Any, Any]) -> Collection[Any]:
    if not _TEXT.issuperset(map(type, table)) and not all(isinstance(key, str) for key in table):
        raise MalformedError("keys of a canonical document are strings", code="M001")
    return _rest_of(table.values())


def _rest_of(items: Collection[Any]) -> Collection[Any]:
    """Give the items, or none when all are texts and the like, as they mostly are: nothing of them is inexact, and one question tells."""
    return () if _EXACT.issuperset(map(type, items)) else items


def _unique(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        seen: Dict[str, int] = {}
        for key, _ in pairs:
            seen[key] = seen.get(key, 0) + 1
        twice = sorted(key for key, count in seen.items() if count > 1)
        raise ValueError(f"duplicate key {twice[0][:80]!r}")
    return table


def _no_float(text: str) -> Any:
    raise ValueError(f"floats are not allowed: {text[:40]}")
