"""Laws that a provider's answer must obey; one that breaks them is a bug of ours, not the user's (compare Terraform's plan checks)."""

from __future__ import annotations

from typing import FrozenSet, Sequence

from gitops.errors import BugError
from gitops.model.address import Address, list_above
from gitops.model.plan import CONFIDENCES, Difference

OWN_ACTIONS: FrozenSet[str] = frozenset(("create", "update", "replace", "remove", "run", "refused"))


def check_difference(address: Address, difference: Difference, paths: Sequence[str] = ()) -> Difference:
    """Give the difference back; raise BugError when it breaks a law.

    Restart and reload come only from notifications. A refusal says why and brings nothing else. An update names what it changes.
    Implied resources are directories above the thing itself, or above the `paths` that it writes; or the place of a thing that writes
    nothing there (a mount point).
    """
    broken = _find_broken(difference, address.partition(":")[2], paths)
    if broken:
        raise BugError(
            f"{address}: the provider's answer {difference.action} {broken}",
            code="B010",
        )
    return difference


def _find_broken(difference: Difference, thing: str, paths: Sequence[str]) -> str:
    if difference.action not in OWN_ACTIONS:
        return "is not an action of a provider's own"
    if difference.confidence not in CONFIDENCES:
        return "has an unknown confidence"
    if difference.action == "refused" and not difference.reason:
        return "gives no reason"
    if difference.action == "refused" and (difference.implied or difference.fields):
        return "brings changes"
    if difference.action == "update" and not difference.fields:
        return "names no attribute that changes"
    places = (thing,) if paths and thing not in paths else ()
    above = {*places, *(folder for path in (thing, *paths) for folder in list_above(path))}
    if any(item.name not in above for item in difference.implied) or any(item.kind != "directory" for item in difference.implied):
        return "implies something that is not a parent directory"
    return ""
