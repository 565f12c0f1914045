"""What a resource declares, in words for people: each attribute, condition, edge, program and secret by name.

Whatever enters a digest that is approved is a field here, so that a plan and a diff show each change of it. Content stands as digest and
size, what is declared sensitive is named and never shown, a secret stands as its reference and again with where it comes from. Not
imported by the executor.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Set, Tuple, cast

from gitops.model.address import Address
from gitops.model.codec import Json, digest_bytes, encode_canonical
from gitops.model.plan import Change, FieldChange, HostPlan
from gitops.model.resource import Resource
from gitops.model.secret import find_secrets, is_text, show_text, text_from_json
from gitops.plan.risk import judge_risk
from gitops.plan.textdiff import Differ, is_whole

SOURCE = "secret "
CONTENT = "content"
Compare = Callable[[Optional[Resource], Resource], Tuple[FieldChange, ...]]


def compare_declared(before: Optional[Resource], after: Optional[Resource]) -> Tuple[FieldChange, ...]:
    """Give every field that the two declare otherwise: secrets first, then by name."""
    old = {} if before is None else describe_declared(before)
    new = {} if after is None else describe_declared(after)
    names = sorted(set(old) | set(new), key=lambda name: (not name.startswith(SOURCE), name))
    return tuple(FieldChange(name, old.get(name), new.get(name)) for name in names if not _is_same(old.get(name), new.get(name)))


def describe_declared(resource: Resource) -> Dict[str, Json]:
    """Give what a resource declares by name."""
    table = {key: value for key, value in resource.to_json().items() if key not in ("kind", "name", "attributes", "facts")}
    for fact, program in resource.facts.items():
        table[fact] = f"{program.type} by program {program.blob} ({program.size} bytes), {program.timeout} s at most"
    is_sensitive = resource.attributes.get("sensitive") is True
    for key, value in resource.attributes.items():
        table[key] = _describe_content(value, is_sensitive=is_sensitive) if key == CONTENT else _describe_value(value)
    for ref in find_secrets(dict(resource.attributes)):
        name = f"{SOURCE}{ref.name}"
        known = table.get(name)
        table[name] = f"{ref.source} {ref.key}" if known is None else f"{known}, {ref.source} {ref.key}"
    return table


def is_secret_moved(fields: Sequence[FieldChange]) -> bool:
    """Say whether a secret that was there comes from elsewhere now, under its own name or another."""
    secrets = [field for field in fields if field.name.startswith(SOURCE)]
    if any(field.before is not None and field.after is not None for field in secrets):
        return True
    before = {str(field.before) for field in secrets if field.before is not None}
    after = {str(field.after) for field in secrets if field.after is not None}
    return bool(before) and not after <= before


def make_compare() -> Compare:
    """Give a function that compares each pair of resources once: hosts share the resources of their blocks."""
    known: Dict[Tuple[int, int], Tuple[Optional[Resource], Resource, Tuple[FieldChange, ...]]] = {}

    def compare(before: Optional[Resource], after: Resource) -> Tuple[FieldChange, ...]:
        key = (id(before), id(after))
        if key not in known:
            known[key] = (before, after, compare_declared(before, after))
        return known[key][2]

    return compare


def add_declared(
    plan: HostPlan, before: Mapping[Address, Resource], after: Mapping[Address, Resource], compare: Compare, differ: Differ
) -> HostPlan:
    """Give the plan with what is declared otherwise on each line, and with a silent line for what is so without any."""
    wanted = {address for address, _ in plan.scope.intents if address in after}
    changes: List[Change] = []
    shown: Set[Address] = set()
    for change in plan.changes:
        resource = after.get(change.address)
        if resource is None or change.address not in wanted or change.address in shown:
            changes.append(change)
            continue
        shown.add(change.address)
        changes.append(_add_fields(change, compare(before.get(change.address), resource)))
    silent: List[Change] = []
    for address in sorted(wanted - shown):
        old, new = before.get(address), after[address]
        classification = "initial" if old is None else "intentional"
        action = "create" if old is None else "update"
        risk = judge_risk(address, action=action, classification=classification, confidence="exact")
        line = Change(address, action, classification, risk=risk, diff=differ(old, new))
        silent.append(_add_fields(line, compare(old, new)))
    return replace(plan, changes=tuple(changes), silent=tuple(silent))


def add_secrets(plan: HostPlan, resources: Sequence[Resource]) -> HostPlan:
    """Give the plan of a machine, which knows no release, with where the secrets of each line come from."""
    by_address = {resource.address: resource for resource in resources}
    changes = [
        _add_fields(change, tuple(field for field in compare_declared(None, found) if field.name.startswith(SOURCE)))
        if found is not None and change.action != "refused"
        else change
        for change in plan.changes
        for found in (by_address.get(change.address),)
    ]
    return replace(plan, changes=tuple(changes))


def spell_content(value: Json) -> Json:
    """Give `{digest, size}` with all of the digest: a short one can be forged."""
    if isinstance(value, dict) and set(value) == {"digest", "size"}:
        return f"{value['size']} bytes, SHA-256 {value['digest']}"
    return value


def _add_fields(change: Change, declared: Tuple[FieldChange, ...]) -> Change:
    """Add what the line does not say already; text that the diff shows whole needs no digest."""
    known = {field.name: field for field in change.fields}
    added: List[FieldChange] = []
    for field in declared:
        said = known.get(field.name)
        if field.name == CONTENT and change.diff and is_whole(change.diff):
            continue
        if field.name == CONTENT:
            added.append(FieldChange("declared content", spell_content(field.before), spell_content(field.after)))
        elif said is None:
            added.append(field)
        elif not _is_same([said.before, said.after], [field.before, field.after]):
            added.append(replace(field, name=f"declared {field.name}"))
    risk = "high" if is_secret_moved(declared) else change.risk
    secrets = [field for field in added if field.name.startswith(SOURCE)]
    others = [field for field in added if not field.name.startswith(SOURCE)]
    return replace(change, risk=risk, fields=(*secrets, *change.fields, *others))


def _is_same(one: Json, other: Json) -> bool:
    """Compare as digests do: Python takes 1 and true for equal."""
    return encode_canonical(one) == encode_canonical(other)


def _describe_content(value: Json, *, is_sensitive: bool) -> Json:
    if isinstance(value, dict) and "blob" in value and not is_sensitive:
        return {"digest": value["blob"], "size": value["size"]}
    if isinstance(value, str) and not is_sensitive:
        data = value.encode("utf-8")
        return {"digest": digest_bytes(data), "size": len(data)}
    return _describe_value(value) if is_text(value) else "sensitive content"


def _describe_value(value: Json) -> Json:
    if isinstance(value, dict):
        table = cast("Mapping[str, Json]", value)
        if is_text(table):
            return show_text(text_from_json(table, "text"))
        return {name: _describe_value(item) for name, item in table.items()}
    return value
