"""Templates: Jinja2 in a sandbox, rendered while compiling. A secret may be placed, and nothing else.

Sees vars, params, host, secret, and `hosts(label="value")`; Ansible's whitespace rules; undefined names are errors with the
template's own line. A secret is an opaque object: printing it leaves a mark that becomes a SecretRef, every other use of it is an
error. Marks hold a NUL, which no source or variable may, so that content cannot forge one.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NoReturn

from jinja2 import FunctionLoader, StrictUndefined, TemplateError, TemplateSyntaxError, UndefinedError
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from gitops.compile.scope import PEERS, CompileError, Names, Scope, fail
from gitops.config.reader import suggest
from gitops.model.diagnostic import Place
from gitops.model.limits import DEFAULTS
from gitops.model.secret import SecretRef, Text

MARK = "\0"
COMPILED = 256


class TransformedSecretError(Exception):
    """A template did more with a secret than place it."""


class SecretMark:
    """A secret in a template; `mark` is what printing it leaves."""

    def __init__(self, mark: str) -> None:
        self._mark = mark

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TransformedSecretError

    __str__ = __repr__ = __bool__ = __len__ = __iter__ = __eq__ = __ne__ = __lt__ = __add__ = __radd__ = __mod__ = _refuse  # type: ignore[assignment]
    __mul__ = __contains__ = __getitem__ = __format__ = __call__ = __hash__ = __gt__ = __int__ = __float__ = __html__ = _refuse  # type: ignore[assignment]


class Secrets:
    """The root `secret`; records which were placed."""

    def __init__(self, refs: Mapping[str, SecretRef], placed: list[SecretRef]) -> None:
        self._refs = refs
        self._placed = placed

    def __getitem__(self, key: str) -> object:
        if key not in self._refs:
            raise UnknownSecretError(key)
        self._placed.append(self._refs[key])
        return SecretMark(f"{MARK}{len(self._placed) - 1}{MARK}")

    def __iter__(self) -> Iterator[str]:
        raise TransformedSecretError

    def __len__(self) -> int:
        raise TransformedSecretError


class UnknownSecretError(Exception):
    """A template names a secret that nobody declared. No LookupError: Jinja would make it an undefined value."""


def _finalize(value: Any) -> Any:
    if isinstance(value, SecretMark):
        return value._mark  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  the one place that may see it
    if value is None:
        raise UndefinedError("the value is null")
    if isinstance(value, bool):
        return "true" if value else "false"
    return value


def _load_nothing(name: str) -> NoReturn:
    raise SecurityError(f"templates read no other templates: {name[:60]!r}")


_ENVIRONMENT = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined,
    trim_blocks=True,
    keep_trailing_newline=True,
    finalize=_finalize,
    autoescape=False,
    cache_size=0,
    loader=FunctionLoader(_load_nothing),
)
_ENVIRONMENT.globals = {name: _ENVIRONMENT.globals[name] for name in ("range", "dict", "namespace")}


def render_template(source: str, path: str, scope: Scope) -> Text:
    """Render a template of the project; raise CompileError with the template's own line."""
    placed: list[SecretRef] = []
    secrets = Secrets(scope.secrets, placed)
    context = {root: Names(scope, root) for root in ("vars", "params", "host", "each")}
    try:
        template = _compile(source, path)
        rendered = _render_bounded(template, {**context, "secret": secrets, PEERS: _make_selection(scope)}, path)
    except RecursionError as error:
        raise fail("C306", "the template is nested too deeply, or calls itself", _find_line(error, path)) from error
    except TemplateSyntaxError as error:
        raise fail("C302", f"template syntax: {error.message}", Place(path, error.lineno)) from error
    except (
        TemplateError,
        TransformedSecretError,
        UnknownSecretError,
        ArithmeticError,
        TypeError,
        ValueError,
        LookupError,
    ) as error:
        raise _explain(error, path, scope) from error
    return _read_marks(rendered, placed, path)


def _make_selection(scope: Scope) -> Callable[..., list[Mapping[str, object]]]:
    def hosts(**labels: object) -> list[Mapping[str, object]]:
        return list(scope.read_peers(labels))

    return hosts


@lru_cache(maxsize=COMPILED)
def _compile(source: str, path: str) -> Any:
    """Compile a template once for all hosts."""
    code = _ENVIRONMENT.compile(source, path, path)
    return _ENVIRONMENT.template_class.from_code(_ENVIRONMENT, code, dict(_ENVIRONMENT.globals))


def _render_bounded(template: Any, context: Mapping[str, object], path: str) -> str:
    parts: list[str] = []
    size = 0
    for part in template.generate(**context):
        size += len(part)
        if size > DEFAULTS.template_bytes:
            raise fail("C306", f"the template's output is larger than {DEFAULTS.template_bytes} characters", Place(path))
        parts.append(part)
    return "".join(parts)


def _explain(error: Exception, path: str, scope: Scope) -> CompileError:
    place = _find_line(error, path)
    if isinstance(error, TransformedSecretError):
        return fail(
            "C404", "a secret may be placed, not transformed or compared", place, hint="write {{ secret.NAME }} and nothing more"
        )
    if isinstance(error, UnknownSecretError):
        name = str(error.args[0])
        return fail(
            "C401", f"unknown secret `{name[:60]}`", place, hint=suggest(name, scope.secrets) or "declare it in gitops.yaml"
        )
    if isinstance(error, SecurityError):
        return fail("C304", f"the template tried something that is not allowed: {error.message}", place)
    if isinstance(error, UndefinedError):
        return fail(
            "C303",
            f"undefined in the template: {error.message}",
            place,
            hint="templates see vars, params, host, secret and hosts()",
        )
    return fail("C304", f"the template failed: {type(error).__name__}: {str(error)[:200]}", place)


def _find_line(error: BaseException, path: str) -> Place:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path and frame.lineno]
    return Place(path, lines[-1] if lines else 1)


def _read_marks(rendered: str, placed: list[SecretRef], path: str) -> Text:
    pieces = rendered.split(MARK)
    if len(pieces) % 2 == 0:
        raise fail("C304", "a NUL character in a template's value", Place(path))
    text: list[str | SecretRef] = []
    for number, piece in enumerate(pieces):
        if number % 2 == 0:
            text.extend([piece] if piece else [])
        elif piece.isascii() and piece.isdigit() and int(piece) < len(placed):
            text.append(placed[int(piece)])
        else:
            raise fail("C304", "a NUL character in a template's value", Place(path))
    return tuple(text)
