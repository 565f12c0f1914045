"""Rules of the house that no off-the-shelf tool checks: who may run processes, who may read the environment, budgets."""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("gitops", "agent", "webhooks")
MAY_RUN_PROCESSES = (
    "gitops/executor/probe.py",
    "gitops/executor/process.py",
    "gitops/executor/session.py",
    "gitops/pipeline/child.py",
    "gitops/source/",
    "gitops/transport/",
    "gitops/policy/",
    "gitops/config/cue.py",
    "gitops/signatures/",
    "gitops/cli/demo",
    "agent/",
)
MAY_READ_ENVIRONMENT = ("gitops/cli/", "agent/settings.py", "webhooks/settings.py")
# What these take from the environment is passed on to a child, or is the machine's own business.
PASSES_ENVIRONMENT_ON = (
    "gitops/source/git.py",
    "gitops/transport/local.py",
    "gitops/transport/bootstrap.py",
)
MAY_CATCH_ALL = (
    "gitops/cli/__main__.py",
    "gitops/executor/__main__.py",
    "gitops/pipeline/child.py",
    "agent/loop.py",
    "webhooks/jobs/",
)
PROJECT = re.compile(r"(gitops|agent|webhooks)(\.|$)")
MODULE_LINES, FUNCTION_LINES, LONG_FUNCTION, LONG_SHARE, METHODS, PROTOCOL_METHODS = 600, 60, 50, 0.02, 15, 5
PORTS = 5


def sources() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path in sources():
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{name_of(path)}:{node.lineno} {node.name}", node


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [item.name for item in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [node.module]
    return []


def test_only_these_places_run_processes() -> None:
    found = [
        name_of(path)
        for path in sources()
        for node in ast.walk(tree_of(path))
        if any(name in ("subprocess", "pty", "multiprocessing") for name in imported(node))
    ]
    assert [name for name in found if not name.startswith(MAY_RUN_PROCESSES)] == []


def is_shell(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or not isinstance(node.func.value, ast.Name):
        return False
    owner, called = node.func.value.id, node.func.attr
    is_process = owner == "subprocess" and any(item.arg == "shell" for item in node.keywords)
    return is_process or (owner == "os" and called in ("system", "popen"))


def test_no_shell_is_ever_used() -> None:
    assert [f"{name_of(path)}:{node.lineno}" for path in sources() for node in ast.walk(tree_of(path)) if is_shell(node)] == []


def test_only_these_places_read_the_environment() -> None:
    found = {
        name_of(path)
        for path in sources()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute)
        and node.attr in ("environ", "getenv")
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
    }
    allowed = (*MAY_READ_ENVIRONMENT, *PASSES_ENVIRONMENT_ON, "gitops/pipeline/child.py", "gitops/config/cuebinary.py")
    assert sorted(name for name in found if not name.startswith(allowed)) == []


def test_blind_excepts_stand_only_in_the_outermost_loops() -> None:
    found = [
        f"{name_of(path)}:{node.lineno}"
        for path in sources()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")))
        and not any(isinstance(item, ast.Raise) and item.exc is None for item in ast.walk(node))
    ]
    assert [name for name in found if not name.startswith(MAY_CATCH_ALL)] == []


def test_project_imports_stand_at_the_top_of_the_file() -> None:
    found: list[str] = []
    for path in sources():
        top = set(map(id, tree_of(path).body))
        found.extend(
            f"{name_of(path)}:{node.lineno}"
            for node in ast.walk(tree_of(path))
            if any(PROJECT.match(name) for name in imported(node)) and id(node) not in top
        )
    assert found == []


def test_third_party_imports_are_lazy_only_in_the_command_line() -> None:
    found: list[str] = []
    for path in sources():
        if name_of(path).startswith("gitops/cli/"):
            continue
        found.extend(
            f"{name_of(path)}:{item.lineno}"
            for node in ast.walk(tree_of(path))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            for item in ast.walk(node)
            if isinstance(item, ast.Import | ast.ImportFrom)
        )
    assert found == []


def test_modules_keep_their_budget() -> None:
    lines = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in sources()}
    assert {name: count for name, count in lines.items() if count > MODULE_LINES} == {}
    assert statistics.median(lines.values()) < 180


def test_functions_keep_their_budget() -> None:
    lengths = {name: (node.end_lineno or node.lineno) - node.lineno + 1 for name, node in functions()}
    assert {name: count for name, count in lengths.items() if count > FUNCTION_LINES} == {}
    assert sum(1 for count in lengths.values() if count > LONG_FUNCTION) / len(lengths) <= LONG_SHARE


def test_classes_keep_their_budget() -> None:
    too_many: dict[str, int] = {}
    for path in sources():
        for node in ast.walk(tree_of(path)):
            if not isinstance(node, ast.ClassDef):
                continue
            methods = [item for item in node.body if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)]
            public = [item for item in methods if not item.name.startswith("_")]
            is_protocol = any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases)
            # The machine as providers see it (CONVENTIONS 10) may have more methods than other seams, and so has its implementation.
            is_machine = name_of(path) in ("gitops/providers/host.py", "gitops/executor/host.py")
            if not is_machine and (len(public) > METHODS or (is_protocol and len(methods) > PROTOCOL_METHODS)):
                too_many[f"{name_of(path)}:{node.name}"] = len(methods)
    assert too_many == {}


def test_every_module_says_what_it_is_for() -> None:
    assert [name_of(path) for path in sources() if not ast.get_docstring(tree_of(path))] == []


def test_names_say_the_role() -> None:
    vague = re.compile(r"(Manager|Helper|Util|Utils|Misc)$")
    found = [
        f"{name_of(path)}:{node.name}"
        for path in sources()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ClassDef) and vague.search(node.name)
    ]
    assert found == []
    assert [name_of(path) for path in sources() if path.stem in ("utils", "util", "helpers", "misc", "common")] == []


def test_nobody_takes_more_than_five_ports() -> None:
    """CONVENTIONS 24: a handler or a page takes the ports it uses; only the composition root knows all."""
    ports = {
        f"{name_of(path)}:{node.name}": sum(isinstance(item, ast.AnnAssign) for item in node.body)
        for path in sources()
        if name_of(path).startswith("webhooks/")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ClassDef) and node.name.endswith(("Ports", "Door", "Desk", "Inbox", "Stages", "Pages"))
    }
    assert len(ports) > 10
    assert {name: count for name, count in ports.items() if count > PORTS} == {}
    knowing = [name_of(path) for path in sources() if "from webhooks.parts import" in path.read_text(encoding="utf-8")]
    assert knowing == ["webhooks/app.py"]
