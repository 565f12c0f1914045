"""Render a template once more that failed, to find its other undefined names: what fails is passed over, not the end.

Takes the code that Jinja makes of a template and guards each of its statements. A block whose condition or list fails is passed over
whole, and what it would have set is unset, so that whatever hangs on it fails too and is no mistake of its own. Where that cannot be
unset (a namespace of another function) it ends. Gives no text.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from jinja2 import Environment, Template

TELL, PROBE = " tell", " probe"  # no template can name these
_LENIENT = frozenset(("default", "d"))


def compile_patiently(environment: Environment, source: str, path: str) -> Template | None:
    """Compile a template whose statements call `TELL` of the context with what they raise (None: end), and `PROBE` for its parts.

    None when it is too deep for Python to be guarded.
    """
    tree = ast.parse(environment.compile(source, path, path, raw=True))
    filters = {name: found for node in ast.walk(tree) for name, found in _find_filter(node)}
    guard = _Guard(filters)
    for function in tree.body:
        if isinstance(function, ast.FunctionDef):
            guard.enter(function)
    try:
        code = compile(ast.fix_missing_locations(tree), path, "exec")
    except (SyntaxError, RecursionError):
        return None
    return environment.template_class.from_code(environment, code, dict(environment.globals))


def _find_filter(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Give the variable that Jinja's code has for a filter, and the filter's name."""
    match node:
        case ast.Assign(
            targets=[ast.Name(name)],
            value=ast.Subscript(value=ast.Attribute(attr="filters"), slice=ast.Constant(value=str(found))),
        ):
            yield name, found
        case _:
            return


class _Guard:
    """Guards the statements of a template's functions."""

    def __init__(self, filters: dict[str, str]) -> None:
        self._filters = filters

    def enter(self, function: ast.FunctionDef) -> None:
        """Guard the statements of a function, its own functions included."""
        own = {node.id for node in _walk_own(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        function.body = self._guard_all(function.body, own)

    def _guard_all(self, body: list[ast.stmt], own: set[str]) -> list[ast.stmt]:
        return [guarded for statement in body for guarded in self._guard(statement, own)]

    def _guard(self, statement: ast.stmt, own: set[str]) -> list[ast.stmt]:
        match statement:
            case ast.FunctionDef():
                self.enter(statement)
                return [statement]
            case ast.Pass() | ast.Return() | ast.Try() | ast.Nonlocal():
                return [statement]
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=buffer, attr="extend"), args=[ast.Tuple(elts=parts)])):
                return [_guard_one(_append(buffer, part), (), self._probe(part), is_last=False) for part in parts]
            case _:
                pass
        names, is_own = _find_stored(statement, own)
        probes = self._probe(_find_expression(statement))
        self._guard_inside(statement, own)
        return [_guard_one(statement, names, probes, is_last=not is_own)]

    def _guard_inside(self, statement: ast.stmt, own: set[str]) -> None:
        if isinstance(statement, ast.If):
            statement.body = self._guard_all(statement.body, own)
            if len(statement.orelse) == 1 and isinstance(statement.orelse[0], ast.If):
                self._guard_inside(statement.orelse[0], own)  # an elif: what its condition lacks ends the whole
            else:
                statement.orelse = self._guard_all(statement.orelse, own)
        elif isinstance(statement, ast.For):
            statement.body = self._guard_all(statement.body, own)
            statement.orelse = self._guard_all(statement.orelse, own)

    def _probe(self, expression: ast.expr | None) -> list[ast.stmt]:
        """Give statements that look at each part of what failed by itself."""
        return [_guard_one(_call(PROBE, part), (), [], is_last=False) for part in self._list_parts(expression)]

    def _list_parts(self, expression: ast.expr | None) -> Iterator[ast.expr]:
        """List the names in an expression that it needs whatever the others are."""
        match expression:
            case ast.Yield(value=inner) | ast.Await(value=inner):
                yield from self._list_parts(inner)
            case ast.BinOp(left=left, right=right):
                yield from self._list_parts(left)
                yield from self._list_parts(right)
            case ast.Compare(left=left, comparators=[right, *_]):
                yield from self._list_parts(left)
                yield from self._list_parts(right)
            case ast.UnaryOp(operand=inner) | ast.BoolOp(values=[inner, *_]):
                yield from self._list_parts(inner)
            case ast.IfExp(body=ast.Call(func=ast.Name("undefined"))) | ast.Call(func=ast.Attribute(attr="getattr" | "getitem")):
                yield expression
            case ast.IfExp(test=test):
                yield from self._list_parts(test)
            case ast.Call():
                yield from self._list_arguments(expression)
            case _:
                return

    def _list_arguments(self, call: ast.Call) -> Iterator[ast.expr]:
        match call:
            case ast.Call(func=ast.Name("markup_join" | "str_join"), args=[ast.Tuple(elts=parts)]):
                for part in parts:
                    yield from self._list_parts(part)
            case ast.Call(func=ast.Name("str" | "LoopContext") | ast.Attribute(attr="finalize"), args=[first, *_]):
                yield from self._list_parts(first)
            case ast.Call(func=ast.Name(name), args=[first, *_]) if self._filters.get(name, "d") not in _LENIENT:
                yield from self._list_parts(first)
            case _:
                return


def _walk_own(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """Walk a function without the functions in it."""
    stack: list[ast.AST] = list(function.body)
    while stack:
        node = stack.pop()
        if not isinstance(node, ast.FunctionDef):
            yield node
            stack.extend(ast.iter_child_nodes(node))


def _find_expression(statement: ast.stmt) -> ast.expr | None:
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr="append"), args=[value])):
            return value
        case ast.Expr(value=value) | ast.Assign(value=value):
            return value
        case ast.If(test=value) | ast.For(iter=value):
            return value
        case _:
            return None


def _find_stored(statement: ast.stmt, own: set[str]) -> tuple[list[str], bool]:
    """List the template's variables that a statement sets, in whole or in part; and say whether all are of this function."""
    whole = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    parts = {
        node.value.id
        for node in ast.walk(statement)
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name)
    }
    names = {name for name in whole | parts if name.startswith(("l_", "t_"))}
    return sorted(names & own), names - whole <= own


def _guard_one(statement: ast.stmt, names: list[str] | tuple[()], probes: list[ast.stmt], *, is_last: bool) -> ast.stmt:
    """Write `try: statement; except Exception as error: TELL(error)`, the probes, `name = None; del name`; at `is_last` end it all."""
    handler: list[ast.stmt] = [_call(TELL, ast.Name("error", ast.Load())), *probes]
    for name in names:
        handler.append(ast.Assign([ast.Name(name, ast.Store())], ast.Constant(None)))
        handler.append(ast.Delete([ast.Name(name, ast.Del())]))
    if is_last:
        handler.append(_call(TELL, ast.Constant(None)))
    caught = ast.ExceptHandler(ast.Name("Exception", ast.Load()), "error", handler)
    return ast.copy_location(ast.Try([statement], [caught], [], []), statement)


def _call(name: str, argument: ast.expr) -> ast.stmt:
    function = ast.Subscript(ast.Name("context", ast.Load()), ast.Constant(name), ast.Load())
    return ast.Expr(ast.Call(function, [argument], []))


def _append(buffer: ast.expr, part: ast.expr) -> ast.stmt:
    """Write one `append` of an `extend`."""
    return ast.copy_location(ast.Expr(ast.Call(ast.Attribute(buffer, "append", ast.Load()), [part], [])), part)
