"""The ledger: what was last applied here, by address; and what is still owed (`gitops.executor.pending`).

Files of one part of the state, `base`. A run keeps how it changed the ledger in its own folder, so that undoing the run takes
exactly that change back.
"""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, FrozenSet, Iterator, Mapping, Optional, Sequence, cast

from gitops.errors import MalformedError, UsageError
from gitops.executor.durable import write_durably, write_together
from gitops.model.address import Address
from gitops.model.codec import Json, decode_json, encode_canonical
from gitops.model.fields import Fields
from gitops.model.parts import encode_table
from gitops.model.resource import Resource

LEDGER = "ledger.json"
PENDING = "pending.json"
LEDGER_CHANGE = "ledger-change.json"
Ledger = Mapping[Address, Resource]
TEXT = frozenset((str,))


def read_ledger(base: str, declared: Sequence[Resource] = ()) -> Dict[Address, Resource]:
    """Give what was last applied, by address: where it says exactly what one of the declared resources says, that very object, so that
    it is read, prepared and digested once.
    """
    path = os.path.join(base, LEDGER)
    if not os.path.exists(path):
        return {}
    known = {resource.address: resource for resource in declared}
    found = [_read_resource(item, known.get(Address(name))) for name, item in read_object(path, "").items()]
    return {resource.address: resource for resource in found}


def _read_resource(item: Json, declared: Optional[Resource]) -> Resource:
    return declared if declared is not None and is_exactly(item, declared) else Resource.from_json(item)


def is_exactly(item: Json, resource: Resource) -> bool:
    """Say whether a JSON value is that of a resource; what Python alone takes for the same (1 and true) is not."""
    table = resource.to_json()
    has_texts_only = not resource.facts and TEXT.issuperset(map(type, resource.attributes.values()))
    return item == table and (has_texts_only or encode_canonical(item) == encode_canonical(table))


def write_ledger(base: str, ledger: Ledger) -> None:
    """Replace the ledger."""
    write_together({os.path.join(base, LEDGER): encode_ledger(ledger)})


def encode_ledger(ledger: Ledger) -> Iterator[bytes]:
    """Give the ledger's file in parts."""
    return encode_table(ledger, lambda name: ledger[Address(name)].to_json())


def encode_change(before: Ledger, after: Ledger, digest: Callable[[Resource], str]) -> Iterator[bytes]:
    """Give the file of a change in parts: what was there, and the digest of what is, which the planner may have at hand."""

    def describe(name: str) -> Json:
        old, new = before.get(Address(name)), after.get(Address(name))
        return {"before": None if old is None else old.to_json(), "after": "" if new is None else digest(new)}

    return encode_table((address for address in {*before, *after} if before.get(address) != after.get(address)), describe)


def restore_ledger(base: str, run_folder: str) -> None:
    """Take a run's change of the ledger back, but for what later runs have changed again."""
    path = os.path.join(run_folder, LEDGER_CHANGE)
    if not os.path.exists(path):
        return  # the run did not get so far
    ledger = read_ledger(base)
    for name, change in read_object(path, "").items():
        address, fields = Address(name), Fields(change, "ledger change")
        before, after, now = fields.raw("before"), fields.text("after"), ledger.get(address)
        if ("" if now is None else now.desired) != after:
            continue
        if before is None:
            ledger.pop(address, None)
        else:
            ledger[address] = Resource.from_json(before)
    write_ledger(base, ledger)


def read_pending(base: str) -> FrozenSet[str]:
    """Give the addresses whose restart, reload or run is still owed."""
    path = os.path.join(base, PENDING)
    return frozenset(read_object(path, "")) if os.path.exists(path) else frozenset()


def write_pending(base: str, addresses: FrozenSet[str]) -> None:
    """Replace what is owed; nothing is written when it stays the same."""
    if addresses != read_pending(base):
        table: Dict[str, Json] = dict.fromkeys(addresses, True)
        write_durably(os.path.join(base, PENDING), encode_canonical(table))


def read_object(path: str, missing: str) -> Dict[str, Json]:
    """Read a JSON object of the state; raise UsageError (`missing`) when there is none, MalformedError naming a damaged file."""
    try:
        with open(path, "rb") as stream:
            value = decode_json(stream.read())
    except FileNotFoundError:
        raise UsageError(missing or f"{path} is missing", code="U031", hint="`gitops runs list` shows the runs") from None
    except MalformedError as error:
        raise MalformedError(
            f"{path} is damaged: {error.message}", code="E241", hint="move it away; what it knew is lost"
        ) from error
    if not isinstance(value, dict):
        raise MalformedError(f"{path} is not an object", code="E241")
    return cast(Dict[str, Json], dict(cast(Mapping[str, Any], value)))
