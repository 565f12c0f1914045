"""The executor's archive: standard library only, the same bytes whenever it is built, and Python 3.9 syntax."""

from __future__ import annotations

import ast
import hashlib
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from gitops.transport.payload import build_payload

ROOT = Path(__file__).parents[2]


def members() -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(build_payload())) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_the_payload_imports_only_itself_and_the_standard_library() -> None:
    found: set[str] = set()
    for name, text in members().items():
        for node in ast.walk(ast.parse(text, name)):
            if isinstance(node, ast.Import):
                found.update(item.name.partition(".")[0] for item in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0
                found.add(str(node.module).partition(".")[0])
    assert found - set(sys.stdlib_module_names) == {"gitops"}


def test_the_payload_holds_every_module_that_it_imports() -> None:
    names = set(members())
    for name, text in members().items():
        for node in ast.walk(ast.parse(text, name)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("gitops"):
                path = str(node.module).replace(".", "/")
                assert f"{path}.py" in names or f"{path}/__init__.py" in names, f"{name} imports {node.module}"


def test_the_payload_is_python_3_9_syntax() -> None:
    for name, text in members().items():
        ast.parse(text, name, feature_version=(3, 9))


def test_the_payload_is_the_same_bytes_in_another_process_and_place(tmp_path: Path) -> None:
    program = (
        "import hashlib; from gitops.transport.payload import build_payload; print(hashlib.sha256(build_payload()).hexdigest())"
    )
    environment = {"PATH": os.environ["PATH"], "TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == hashlib.sha256(build_payload()).hexdigest()


def test_the_payload_knows_no_control_side_room() -> None:
    rooms = {name.split("/")[1] for name in members() if name.count("/") > 1}
    assert rooms == {"executor", "plan", "providers", "model"}
