"""Templates: Jinja2 in a sandbox, rendered while compiling. A secret may be placed, and nothing else.

Sees vars, params, host, secret, and `hosts(label="value")`; Ansible's whitespace rules; undefined names are errors with the
template's own line. A secret is an opaque object: printing it leaves a mark that becomes a SecretRef, every other use of it is an
error.
"""

from __future__ import annotations

import inspect
import re
import traceback
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any

from jinja2 import TemplateError, TemplateSyntaxError, UndefinedError
from jinja2.exceptions import SecurityError
from jinja2.runtime import Undefined

from gitops.compile.marks import MARK, Secrets, TransformedSecretError, UnknownSecretError
from gitops.compile.patient import PROBE, TELL, compile_patiently
from gitops.compile.sandbox import Function, UnprintableError, Words, make_environment
from gitops.compile.scope import PEERS, CompileError, Names, Scope, fail
from gitops.compile.written import AlteredNumberError, tell_altered
from gitops.config.config import Config
from gitops.config.reader import suggest_among
from gitops.config.yaml import decode_text
from gitops.errors import ConfigError
from gitops.model.diagnostic import Diagnostic, Place
from gitops.model.limits import DEFAULTS
from gitops.model.secret import SecretRef, Text
from gitops.model.sourcetree import SourceTree

COMPILED = 256
MOST_FAILURES = 1000  # of statements, until no others are looked for
DECLARED = "declare it in gitops.yaml; it has"


FAILURES = (
    TemplateError,
    TransformedSecretError,
    UnknownSecretError,
    AlteredNumberError,
    UnprintableError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NameError,
    SyntaxError,
    TypeError,
    ValueError,
)
NAMED = (UndefinedError, UnknownSecretError, AlteredNumberError)
_LINE_END = re.compile(r"\r\n|\r|\n")
_OURS = {"Names": "map", "SecretMark": "secret", "Secrets": "secret", "Function": "function", "UnknownName": "undefined"}
_CLASS = re.compile(r"\b(?:[a-z]+\.)*(" + "|".join(_OURS) + r")\b")
_ENVIRONMENTS = {is_crlf: make_environment(is_crlf=is_crlf) for is_crlf in (False, True)}


class _EnoughError(Exception):
    """Nothing more can be said of a template that failed."""


def render_template(source: str, path: str, scope: Scope) -> Text:
    """Render a template of the project; raise CompileError with the template's own line."""
    placed: list[SecretRef] = []
    context = _make_context(scope, placed, path)
    template = _compile_or_fail(source, path)
    try:
        rendered = _render_bounded(template, context, path)
    except RecursionError as error:
        raise fail("C306", "the template is nested too deeply, or calls itself", _find_line(error, path)) from error
    except NAMED as error:
        first = _explain(error, path, scope).diagnostic
        raise CompileError(first, *(item for item in _find_others(source, path, scope) if item != first)) from error
    except FAILURES as error:
        raise _explain(error, path, scope) from error
    return _read_marks(rendered, placed, path)


def _make_context(scope: Scope, placed: list[SecretRef], path: str) -> dict[str, object]:
    roots = {root: Names(scope, root) for root in ("vars", "params", "host", "each")}
    return {**roots, "secret": Secrets(scope.secrets, placed), PEERS: _make_selection(scope, path)}


def _find_others(source: str, path: str, scope: Scope) -> list[Diagnostic]:
    """Find every name of a template that is not there, and every number that would read otherwise."""
    template = _compile_patiently(source, path, is_crlf=_has_crlf(source, path))
    found: list[Diagnostic] = []
    count = 0

    def tell(error: Exception | None) -> None:
        nonlocal count
        count += 1
        if error is None or count > MOST_FAILURES:
            raise _EnoughError
        if isinstance(error, NAMED):
            found.append(_explain(error, path, scope, template).diagnostic)
        elif not isinstance(error, (*FAILURES, RecursionError)):
            raise error

    def probe(value: object) -> None:
        if isinstance(value, Undefined):
            str(value)  # raises

    if template is not None:
        with suppress(*FAILURES, RecursionError, CompileError, _EnoughError):
            _render_bounded(template, {**_make_context(scope, [], path), TELL: tell, PROBE: probe}, path)
    return found


def read_template(tree: SourceTree, path: str) -> str:
    """Read a template's text; raise CompileError when it is none."""
    try:
        text = decode_text(tree.read(path), path)
    except ConfigError as error:
        raise fail(error.code, error.message, Place(path)) from error
    if isinstance(text, Diagnostic):
        raise CompileError(text)
    return text


def folder_beside(folder: str, name: str) -> str:
    """Give the path of `templates` or `files` of a module's folder, or of the project (an empty folder)."""
    return f"{folder}/{name}" if folder else name


def check_templates(config: Config, tree: SourceTree) -> list[Diagnostic]:
    """Find what is wrong with the templates that resources name, whoever uses them and whatever else is wrong with those."""
    owners = [("", item.resources) for item in (*config.hosts.values(), *config.groups.values())]
    owners.extend((module.folder, module.resources) for module in config.modules.values())
    named = [
        (folder, node.attributes["template"].text) for folder, nodes in owners for node in nodes if "template" in node.attributes
    ]
    paths = {f"{folder_beside(folder, 'templates')}/{name}" for folder, name in named if name}
    found = [_check_template(tree, path) for path in sorted(paths.intersection(tree.paths()))]
    return [item for item in found if item is not None]


def _check_template(tree: SourceTree, path: str) -> Diagnostic | None:
    if tree.kind(path) not in ("file", "executable"):
        return None  # told where it is used
    try:
        return check_syntax(read_template(tree, path), path)
    except CompileError as error:
        return error.diagnostic


def check_syntax(source: str, path: str) -> Diagnostic | None:
    """Give what is wrong with a template's syntax, whatever it is used for."""
    try:
        _compile_or_fail(source, path)
    except CompileError as error:
        return error.diagnostic
    return None


def _compile_or_fail(source: str, path: str) -> Any:
    try:
        return _compile(source, path, is_crlf=_has_crlf(source, path))
    except RecursionError as error:
        raise fail("C306", "the template is nested too deeply, or calls itself", Place(path)) from error
    except TemplateSyntaxError as error:
        raise fail("C302", f"template syntax: {error.message}", Place(path, error.lineno)) from error
    except FAILURES as error:  # Jinja computes what is constant while it compiles, and lets Python compile what it made
        raise _explain(error, path) from error


def _has_crlf(source: str, path: str) -> bool:
    """Say which line ends a template has: what it renders has the same. Two kinds in one cannot be kept."""
    first = ""
    for number, found in enumerate(_LINE_END.finditer(source), 1):
        first = first or found[0]
        if found[0] == "\r" or found[0] != first:
            names = {"\r\n": "CRLF", "\r": "a lone CR", "\n": "LF"}
            message = f"line {number} of the template ends with {names[found[0]]}, expected {names[first] if first != chr(13) else 'LF'}"
            hint = "keep one kind of line end (LF or CRLF), or use `source`, which keeps every byte"
            raise fail("C307", message, Place(path, number), hint=hint)
    return first == "\r\n"


def _make_selection(scope: Scope, path: str) -> Function:
    """Give the function `hosts`. What matches no host of the whole project is noted, as it is of a group."""

    def select(**labels: object) -> list[Mapping[str, object]]:
        found = scope.read_peers(labels)
        hint = "" if found else scope.explain_no_peers(labels)
        if hint:
            written = ", ".join(f"{name}={value!r}" for name, value in labels.items())
            message = f"`hosts({written[:100]})` of the template matches no host"
            scope.notes.append(Diagnostic("C211", message, _find_caller(path), severity="warning", hint=hint))
        return list(found)

    return Function(PEERS, select)


@lru_cache(maxsize=COMPILED)
def _compile(source: str, path: str, *, is_crlf: bool) -> Any:
    """Compile a template once for all hosts."""
    environment = _ENVIRONMENTS[is_crlf]
    code = environment.compile(source, path, path)
    return environment.template_class.from_code(environment, code, dict(environment.globals))


@lru_cache(maxsize=COMPILED)
def _compile_patiently(source: str, path: str, *, is_crlf: bool) -> Any:
    return compile_patiently(_ENVIRONMENTS[is_crlf], source, path)


def _render_bounded(template: Any, context: Mapping[str, object], path: str) -> str:
    parts: list[str] = []
    size = 0
    for part in template.generate(**context):
        size += len(part)
        if size > DEFAULTS.template_bytes:
            raise fail("C306", f"the template's output is larger than {DEFAULTS.template_bytes} characters", Place(path))
        parts.append(part)
    return "".join(parts)


def _explain(error: Exception, path: str, scope: Scope | None = None, template: Any = None) -> CompileError:
    """Say what failed and where; of a template that was compiled patiently, its own frames have lines of its code."""
    place = _find_line(error, path)
    if template is not None:
        place = Place(path, template.get_corresponding_lineno(place.line))
    if isinstance(error, NAMED):
        return _explain_name(error, place, scope)
    if isinstance(error, TransformedSecretError):
        return fail(
            "C404", "a secret may be placed, not transformed or compared", place, hint="write {{ secret.NAME }} and nothing more"
        )
    if isinstance(error, UnprintableError):
        return fail("C304", f"the template would print {error}", place, hint=error.hint)
    if isinstance(error, SecurityError):
        return fail("C304", f"the template tried something that is not allowed: {_in_our_words(error.message)}", place)
    if isinstance(error, SyntaxError):
        return fail("C306", f"the template cannot be run: {error.msg}", place, hint="nest fewer blocks")
    if isinstance(error, NameError):  # an infinite constant, as Jinja writes it down
        return fail("C304", "the template would print a number that is too large, or none", place, hint="look at the arithmetic")
    return fail("C304", f"the template failed: {type(error).__name__}: {_in_our_words(str(error))}", place)


def _explain_name(error: Exception, place: Place, scope: Scope | None) -> CompileError:
    if isinstance(error, AlteredNumberError):
        return CompileError(tell_altered(error.node, place))
    if isinstance(error, UndefinedError):
        words = error.message
        hint = words.hint if isinstance(words, Words) else ""
        return fail("C303", f"undefined in the template: {words}", place, hint=hint)
    name = str(error.args[0])
    known: Mapping[str, SecretRef] = {} if scope is None else scope.secrets
    return fail("C401", f"unknown secret `{name[:60]}`", place, hint=suggest_among(name, known, DECLARED))


def _in_our_words(text: str | None) -> str:
    """Name what people know instead of our classes."""
    return _CLASS.sub(lambda found: _OURS[found[1]], (text or "")[:200])


def _find_caller(path: str) -> Place:
    """Give the line of a template that is being rendered."""
    frame = inspect.currentframe()
    while frame is not None:
        template = frame.f_globals.get("__jinja_template__")
        if frame.f_code.co_filename == path and template is not None:
            return Place(path, template.get_corresponding_lineno(frame.f_lineno))
        frame = frame.f_back
    return Place(path)


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
