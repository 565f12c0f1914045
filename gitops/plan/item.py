"""Item: a resource with its kind's provider, its decoded Spec and its relations; what the planner works on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, FrozenSet, Iterable, List, Mapping, Optional, Tuple

from gitops.errors import MalformedError
from gitops.model.address import Address
from gitops.model.attribute import decode_spec
from gitops.model.codec import encode_canonical
from gitops.model.observation import State
from gitops.model.plan import Difference
from gitops.model.resource import Resource
from gitops.providers.base import Provider, Relations

Providers = Mapping[str, Provider[Any]]
NEEDS_LINUX = "needs_linux"  # in a state: the machine's kernel is another, and nothing else was looked at
_ALL_RELATED: FrozenSet[str] = frozenset()
TWIN = "twin"  # in a state: the address of another resource that means the same path, by a link on the way


@dataclass(frozen=True)
class Item:
    """One resource, ready to be planned."""

    resource: Resource
    provider: Provider[Any]
    spec: Any
    relations: Relations

    def diff(self, state: State) -> Optional[Difference]:
        """Say what must be done, or None; refused is what needs Linux on another kernel, and what another resource would undo."""
        if self.provider.needs_linux and state.get(NEEDS_LINUX):
            return Difference("refused", reason=f"`{self.resource.kind}` needs Linux, which this machine does not run")
        if state.get(TWIN):
            return Difference("refused", reason=f"by a link on the way it is the same as {state[TWIN]} here: declare it once")
        found: Optional[Difference] = self.provider.diff(self.spec, state)
        return found


class Preparer:
    """Prepare resources, each once: hosts share the resources of their blocks, and so the work."""

    def __init__(self, providers: Providers) -> None:
        self._providers = providers
        self._items: Dict[int, Item] = {}
        self._desired: Dict[int, str] = {}
        self._related: Dict[Tuple[object, ...], int] = {}
        self._digested: List[Resource] = []  # held, so that no other object gets the id of one

    def prepare(self, resource: Resource) -> Item:
        """Give the item of a resource; raise MalformedError (code C103) for an unknown kind or bad attributes."""
        found = self._items.get(id(resource))
        if found is None or found.resource is not resource:
            found = prepare_item(resource, self._providers)
            self._items[id(resource)] = found
        return found

    def prepare_all(self, resources: Iterable[Resource]) -> Tuple[Item, ...]:
        """Give the items in the order of the resources."""
        return tuple(self.prepare(resource) for resource in resources)

    def are_same(self, one: Resource, other: Resource) -> bool:
        """Say whether both desire exactly the same; one object does, and is not digested for it."""
        return one is other or self.desired_of(one) == self.desired_of(other)

    def relate(self, resource: Resource) -> Tuple[Address, int]:
        """Give the address and a number: resources with equal ones have the same edges, whatever else differs (`Provider.unrelated`)."""
        provider = self._providers.get(resource.kind)
        unrelated = _ALL_RELATED if provider is None else provider.unrelated
        said = (
            (name, value if type(value) is str else encode_canonical(value))
            for name, value in sorted(resource.attributes.items())
            if name not in unrelated
        )
        key = (resource.address, resource.needs, resource.notify, *said)
        return resource.address, self._related.setdefault(key, len(self._related))

    def desired_of(self, resource: Resource) -> str:
        """Give `resource.desired`, computed once."""
        found = self._desired.get(id(resource))
        if found is None:
            found = self._desired[id(resource)] = resource.desired
            self._digested.append(resource)
        return found


def prepare_item(resource: Resource, providers: Providers) -> Item:
    """Decode one resource; raise MalformedError naming the address when its kind is unknown or an attribute is wrong."""
    provider = providers.get(resource.kind)
    if provider is None:
        raise MalformedError(f"{resource.address}: unknown kind `{resource.kind}`", code="C103")
    try:
        spec = decode_spec(provider.spec, resource.name, resource.attributes)
    except MalformedError as error:
        raise MalformedError(f"{resource.address}: {error.message}", code=error.code) from error
    return Item(resource, provider, spec, provider.relate(spec))
