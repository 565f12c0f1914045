"""Things of external providers: values checked against the declaration, and the program named by its digest. It is read, never run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gitops.compile.interpolate import holds_secret, is_secret_text
from gitops.compile.pointers import check_content
from gitops.compile.scope import CompileError, fail
from gitops.config.config import DeclaredProvider
from gitops.config.node import Node, to_json
from gitops.config.reader import suggest, unknown_key
from gitops.config.resources import check_value
from gitops.model.attribute import decode_value, describe_type
from gitops.model.codec import Json, digest_bytes
from gitops.model.diagnostic import Place
from gitops.model.sourcetree import SourceTree


@dataclass(frozen=True)
class ExternalThing:
    """What compile adds to the resource, and the program's bytes."""

    attributes: Mapping[str, Json]
    digest: str = ""
    program: bytes = b""


def compile_external(
    name: str,
    values: Node | None,
    *,
    is_absent: bool,
    place: Place,
    providers: Mapping[str, DeclaredProvider],
    tree: SourceTree,
) -> ExternalThing:
    """Check one thing of a provider and give what its graph holds; raise CompileError with the first mistake."""
    provider_name, slash, thing = name.partition("/")
    if not slash or not thing or any(ord(letter) < ord(" ") for letter in thing):
        raise fail(
            "C219", f"external: {name[:80]!r} is not PROVIDER/THING", place, hint="like `external: redis-config/maxmemory`"
        )
    provider = providers.get(provider_name)
    if provider is None:
        hint = suggest(provider_name, providers) or f"declare it in providers/{provider_name}/provider.yaml"
        raise fail("C219", f"unknown external provider `{provider_name[:60]}`", place, hint=hint)
    if not provider.executable:
        return ExternalThing({})  # told already
    checked = _check_values(f"external:{name}", values, provider, place, is_absent=is_absent)
    program = tree.read(provider.executable)
    check_content(program, provider.executable, f"external: {name[:80]}", place)
    digest = digest_bytes(program)
    executable: Json = {"blob": digest, "size": len(program)}
    more: dict[str, Json] = {"on_notify": provider.on_notify} if provider.on_notify else {}
    return ExternalThing({"set": checked, "executable": executable, "protocol": provider.protocol, **more}, digest, program)


def _check_values(
    what: str, values: Node | None, provider: DeclaredProvider, place: Place, *, is_absent: bool
) -> dict[str, Json]:
    entries = values.entries if values is not None else {}
    found: dict[str, Json] = {}
    for key, node in entries.items():
        described = provider.attributes.get(key)
        if described is None:
            raise CompileError(unknown_key(key, provider.attributes, what, node.place))
        if described.type == "secret":
            _check_reference(f"{what}: `{key}`", node)
        elif holds_secret(node):
            hint = "its provider may declare the value as `type: secret`; then nobody sees it"
            raise fail("C403", f"{what}: a secret in `{key}` would be seen by everybody", node.place, hint=hint)
        problem = check_value(described, node, f"{what}: `{key}`")
        if problem is not None:
            raise CompileError(problem)
        value = to_json(node)
        found[key] = decode_value(described, value) if described.type == "mode" else value
    missing = [key for key, item in sorted(provider.attributes.items()) if item.is_required and key not in found]
    if missing and not is_absent:
        expected = describe_type(provider.attributes[missing[0]])
        raise fail("C106", f"{what}: `{missing[0]}` is missing in `set`, expected {expected}", place)
    return found


def _check_reference(what: str, node: Node) -> None:
    """Refuse what everybody could read, and data that only looks like a reference."""
    if not is_secret_text(node):
        hint = "declare it in gitops.yaml under `secrets`"
        raise fail(
            "C105", f"{what}: expected a reference to a secret like ${{secret.name}}, not the value", node.place, hint=hint
        )
