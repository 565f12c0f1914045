"""The quick `dataclasses` of the archive: each noun of the machine side is the same by it as by the standard one."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from gitops.executor.dataclasses import FrozenInstanceError, dataclass, field, fields, replace
from gitops.transport.local import executor_command, inline, keep_executor
from gitops.transport.pack import make_pack
from gitops.transport.payload import build_payload

DESCRIBE = """\
import sys, json, importlib, {first}
{start}
import dataclasses

def attempt(do):
    try:
        return repr(do())
    except Exception as error:
        return type(error).__name__

def describe(noun):
    names = [item.name for item in dataclasses.fields(noun)]
    one, same, other = noun(*range(len(names))), noun(**dict(zip(names, range(len(names))))), noun(*range(1, len(names) + 1))
    changed = dataclasses.replace(one, **{{names[0]: 1}})
    return {{
        "file": dataclasses.__spec__.origin if {show} else "",
        "fields": [(item.name, sorted(item.metadata)) for item in dataclasses.fields(one)],
        "on the class": [(name, repr(vars(noun)[name])) for name in names if name in vars(noun)],
        "undeclared": attempt(noun), "least": attempt(lambda: noun("x")), "too many": attempt(lambda: noun(*names, 1)),
        "unknown": attempt(lambda: noun(*names, nothing=1)), "shown": attempt(lambda: one),
        "compared": [one == same, one != other, hash(one) == hash(same), one == 7, len({{one, same, other}})],
        "replaced": [repr(changed), changed == one, attempt(lambda: dataclasses.replace(one, nothing=1))],
        "set": attempt(lambda: setattr(one, names[0], 1)), "deleted": attempt(lambda: delattr(one, names[0])),
        "added": attempt(lambda: setattr(one, "nothing", 1)), "before": [attempt(lambda: one < other), attempt(lambda: one < 7)],
        "sorted": attempt(lambda: sorted([other, one])),
    }}

found = {{}}
for name in {modules!r}:
    module = importlib.import_module(name)
    for key, value in vars(module).items():
        if isinstance(value, type) and value.__module__ == name and hasattr(value, "__dataclass_fields__"):
            found[name + "." + key] = describe(value)
print(json.dumps(found))
"""


def describe_nouns(tmp_path: Path, *, first: str, is_shown: bool = False) -> dict[str, Any]:
    """Describe every noun of the archive; `first` is imported before the archive is looked into."""
    archive = build_payload()
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        members = {name: source.read(name) for name in source.namelist()}
        names = [name for name in source.namelist() if name.startswith("gitops/") and not name.endswith("__.py")]
    modules = [name.removesuffix(".py").replace("/", ".") for name in names]
    (tmp_path / "pack").write_bytes(make_pack(members))
    start = f"{inline('gitops.transport.pack')}\nimport_pack(open({str(tmp_path / 'pack')!r}, 'rb').read())"
    program = DESCRIBE.format(first=first, start=start, modules=modules, show=is_shown)
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_noun_is_the_same_by_the_quick_and_by_the_standard_module(tmp_path: Path) -> None:
    quick, standard = describe_nouns(tmp_path, first="os"), describe_nouns(tmp_path, first="dataclasses")
    assert quick == standard
    assert len(quick) > 80
    assert any(item["before"][0] == "True" for item in quick.values())


def test_the_archive_uses_its_own(tmp_path: Path) -> None:
    nouns = describe_nouns(tmp_path, first="os", is_shown=True)
    assert {item["file"] for item in nouns.values()} == {"pack/dataclasses"}


def test_a_run_imports_nothing_that_is_slow_to_start(tmp_path: Path) -> None:
    command = executor_command(keep_executor(build_payload(), tmp_path))
    done = subprocess.run(
        [*command[:-2], "-X", "importtime", *command[-2:]],
        input=json.dumps({"schema": "gitops/request/v1", "operation": "runs", "host": "h", "resources": []}),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "gitops.executor.run" in imported
    assert (
        imported & {"inspect", "shutil", "tempfile", "pathlib", "subprocess", "zipfile", "ssl", "http.client", "typing"} == set()
    )


@dataclass(frozen=True, order=True)
class Base:
    """Two attributes."""

    one: int
    many: Any = field(default_factory=list)


@dataclass(frozen=True)
class Child(Base):
    """One more."""

    word: str = field(default="w", metadata={"doc": "a word"})


def test_a_noun_is_made_of_its_attributes_and_has_its_bases() -> None:
    assert repr(Child(1)) == "Child(one=1, many=[], word='w')"
    assert Child(1).many is not Child(1).many
    assert [(item.name, dict(item.metadata)) for item in fields(Child)] == [
        ("one", {}),
        ("many", {}),
        ("word", {"doc": "a word"}),
    ]
    assert replace(Child(1), word="x") == Child(1, [], "x")


def test_a_noun_is_compared_with_its_own_kind_alone() -> None:
    assert Base(1) < Base(2)
    assert Child(1) != Base(1)
    assert hash(Base(1, ())) == hash(Base(1, ()))
    with pytest.raises(TypeError):
        assert Base(1) < Child(2)


def test_a_noun_never_changes() -> None:
    noun = Base(1)
    with pytest.raises(FrozenInstanceError, match=r"Base\.one"):
        noun.one = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del noun.many
    with pytest.raises(TypeError):
        dataclass(frozen=False)
