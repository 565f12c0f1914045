"""References to secrets and texts that hold some: a secret's value is never part of a noun that travels.

A Text is a sequence of parts, literal strings and SecretRefs. A reference names its source itself, so that what is
approved covers where the value comes from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Mapping, Sequence, Tuple, Union, cast

from gitops.errors import MalformedError
from gitops.model.codec import Json
from gitops.model.fields import Fields

SOURCES = ("env", "file")
REFERENCE = {"secret", "from", "key"}


@dataclass(frozen=True)
class SecretRef:
    """Where a value will come from, on the machine, at the last moment."""

    name: str
    source: str
    key: str

    @property
    def ident(self) -> str:
        """The key under which a resolved value travels to the executor: `env:DB_PASSWORD`."""
        return f"{self.source}:{self.key}"

    def to_json(self) -> Dict[str, Json]:
        """Give `{secret, from, key}`."""
        return {"secret": self.name, "from": self.source, "key": self.key}


Part = Union[str, SecretRef]
Text = Tuple[Part, ...]


def text_to_json(text: Text) -> Json:
    """Give a plain string when no secret is in it, else `{parts: [...]}`."""
    if len(text) == 1 and isinstance(text[0], str):  # as nearly every text of a graph
        return text[0]
    if all(isinstance(part, str) for part in text):
        return "".join(cast("Sequence[str]", text))
    return {"parts": [part if isinstance(part, str) else part.to_json() for part in text]}


def is_text(value: Json) -> bool:
    """Say whether a value is a text that holds a secret, and no map of people's that happens to have a key of that name."""
    if not isinstance(value, dict) or set(value) != {"parts"}:
        return False
    parts = value["parts"]
    return isinstance(parts, (list, tuple)) and any(isinstance(part, dict) and set(part) == REFERENCE for part in parts)


def text_from_json(value: Json, where: str) -> Text:
    """Read what `text_to_json` wrote."""
    if isinstance(value, str):
        return (value,) if value else ()
    fields = Fields(value, where)
    parts = tuple(item if isinstance(item, str) else secret_from_json(item, where) for item in fields.items("parts"))
    fields.done()
    return parts


def secret_from_json(value: Json, where: str) -> SecretRef:
    """Read a reference; raise MalformedError for an unknown source."""
    fields = Fields(value, where)
    found = SecretRef(name=fields.text("secret"), source=fields.choice("from", SOURCES), key=fields.text("key"))
    fields.done()
    return found


def find_secrets(value: Json) -> Tuple[SecretRef, ...]:
    """List the references anywhere inside a JSON value, without repeats, in order of their ident."""
    found: Dict[str, SecretRef] = {}
    stack: List[Json] = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            table = cast("Mapping[str, Json]", item)
            if is_text(table):
                for part in text_from_json(table, "secret"):
                    if isinstance(part, SecretRef):
                        found[f"{part.ident}\n{part.name}"] = part
            else:
                stack.extend(table.values())
        elif isinstance(item, (list, tuple)):
            stack.extend(cast("Sequence[Json]", item))
    return tuple(found[key] for key in sorted(found))


def show_text(text: Text) -> str:
    """Give a text for people: references stand as `${secret.name}`."""
    return "".join(part if isinstance(part, str) else "${secret." + part.name + "}" for part in text)


def fill_text(text: Text, values: Mapping[str, str]) -> str:
    """Put resolved values in (keys: idents); raise MalformedError naming the reference, never a value, when one is missing."""
    filled: List[str] = []
    for part in text:
        if isinstance(part, str):
            filled.append(part)
        elif part.ident in values:
            filled.append(values[part.ident])
        else:
            raise MalformedError(f"secret `{part.name}` ({part.ident}) has no value here", code="C402")
    return "".join(filled)
