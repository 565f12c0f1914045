"""Junk anywhere in a whole project: every mistake becomes a diagnostic in words of the project, whatever stands where, and nothing crashes."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gitops.config.resources import known_attributes
from gitops.pipeline.project import Examined
from gitops.providers.registry import PROVIDERS
from tests.support.project import examine_files

PROJECT = """\
apiVersion: gitops/v1
kind: Project
metadata: {name: acme}
spec:
  vars: {domain: example.org, l: [1, a], m: {a: 1, b: {c: x}}}
  secrets: {pw: {from: env, key: PW}}
  environments:
    production:
      {source: main, release: release/production, hosts: {env: production}, approvals: {required: 1, from: ["team:sre"]}, drift: heal}
"""
HOST = """\
apiVersion: gitops/v1
kind: Host
metadata: {name: web-1, labels: {env: production, role: web}}
spec:
  address: 192.0.2.1
  vars: {zone: a}
  modules: [{name: app, params: {port: 8080, names: [a, b]}}]
  resources:
    - {file: /etc/motd, content: "hi ${vars.zone} ${secret.pw}", mode: "0600", needs: [package:nginx], when: {os.family: debian}}
    - {package: nginx, version: "1.2"}
    - {command: "x${each.key}", argv: [echo, "${each.value}"], for_each: [a, b]}
    - {user: bob, uid: 1000, groups: [a]}
    - {external: p/x, set: {a: b}}
    - {directory: /srv, recurse: true}
    - {service: nginx, enabled: true, when: {custom.cpu: x}}
"""
GROUP = """\
apiVersion: gitops/v1
kind: Group
metadata: {name: g}
spec: {selector: {role: [web, db]}, priority: 3, vars: {x: 1}, resources: [{file: /t, template: t.j2}]}
"""
MODULE = """\
apiVersion: gitops/v1
kind: Module
metadata: {name: app}
spec:
  params: {port: {type: integer, default: 80}, names: {type: array, items: {type: string}, default: []}}
  drift: report
  on_failure: revert
  resources:
    - {file: "/etc/app-${each.value}", content: "port ${params.port}", for_each: "${params.names}"}
"""
PROVIDER = """\
apiVersion: gitops/v1
kind: Provider
metadata: {name: p}
spec: {protocol: 2, executable: run, attributes: {a: {type: text, required: true}}, on_notify: reload}
"""
FACT = """\
apiVersion: gitops/v1
kind: Fact
metadata: {name: cpu}
spec: {program: files/fact, type: string, timeout: 3}
"""
DOCUMENTS: dict[str, Any] = {
    name: yaml.safe_load(text)
    for name, text in {
        "gitops.yaml": PROJECT,
        "h.yaml": HOST,
        "g.yaml": GROUP,
        "modules/app/module.yaml": MODULE,
        "providers/p/provider.yaml": PROVIDER,
        "facts.yaml": FACT,
    }.items()
}
FILES = {
    "providers/p/run": "#!/bin/sh\n",
    "files/fact": "#!/bin/sh\n",
    "templates/t.j2": "{{ vars.zone }} {{ hosts(role='web') | length }}\n",
}
KEYS = sorted(
    {"needs", "notify", "when", "for_each", "drift", *(key for kind in PROVIDERS for key in (kind, *known_attributes(kind)))}
)
JUNK: list[Any] = [
    None, True, 0, -1, 1.5, 10**30, "", "x", "${", "${vars.m}", "${vars.l}", "${secret.pw}", "${each.key}", "${host.labels}", "$${",
    "\u00e9", "/", "a/b", "-x", "*", [], [1], [[]], {}, {"a": 1}, {"a": {"b": [1]}}, [{"a": 1}], ["${vars.m}"], {"${vars.x}": 1},
    "a" * 3000, "0644", "/etc/motd", "${vars.m.b}", "${params.port}",
]  # fmt: skip
OURS = ("Node(", "ResourceNode", "object at 0x", "gitops.config", "gitops.compile", "Traceback")


def list_paths(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*above, key)
        yield from list_paths(inner, (*above, key))


def spoil(document: Any, chance: random.Random) -> None:
    """Put junk in the place of a value, or beside it under a key that some kind knows; or leave a value out."""
    *above, last = chance.choice(list(list_paths(document)))
    for key in above:
        document = document[key]
    way = chance.random()
    if way < 0.7:
        document[last] = chance.choice(JUNK)
    elif isinstance(document, list):
        document.append(chance.choice(JUNK))
    elif way < 0.85:
        document[chance.choice(KEYS)] = chance.choice(JUNK)
    else:
        document.pop(last)


def examine_spoilt(folder: Path, seed: int) -> Examined:
    chance = random.Random(seed)
    documents = json.loads(json.dumps(DOCUMENTS))
    for _ in range(chance.choice([1, 1, 2, 3])):
        spoil(documents[chance.choice(sorted(documents))], chance)
    return examine_files(folder, {**FILES, **{name: json.dumps(document) for name, document in documents.items()}})


def test_the_project_is_good_without_junk(tmp_path: Path) -> None:
    found = examine_files(tmp_path, {**FILES, **{name: json.dumps(document) for name, document in DOCUMENTS.items()}})
    assert found.diagnostics == ()


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_whatever_stands_where_is_told_in_words_of_the_project(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    found = examine_spoilt(tmp_path_factory.mktemp("junk"), seed)
    assert found.built is not None or found.diagnostics
    assert [item for item in found.diagnostics if item.code == "C606" or any(word in item.message for word in OURS)] == []


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("providers/p/provider.yaml", "protocol: 2", "protocol: -1", "`protocol` is -1"),
        ("providers/p/provider.yaml", "protocol: 2", "protocol: 1", "needs `protocol: 2`"),
        ("facts.yaml", "program: files/fact", "program: [a]", "the program of a fact is a list"),
        ("facts.yaml", "program: files/fact", "program: {a: b}", "the program of a fact is a map"),
        ("g.yaml", "template: t.j2", "template: [t.j2]", "got a list"),
        ("g.yaml", "template: t.j2", "template: {a: b}", "a map"),
    ],
)
def test_what_once_ended_a_compile_or_named_a_class_is_told(tmp_path: Path, name: str, old: str, new: str, words: str) -> None:
    texts = {"gitops.yaml": PROJECT, "h.yaml": HOST, "g.yaml": GROUP, "modules/app/module.yaml": MODULE}
    texts |= {"providers/p/provider.yaml": PROVIDER, "facts.yaml": FACT}
    assert old in texts[name]
    found = examine_files(tmp_path, {**FILES, **texts, name: texts[name].replace(old, new)}).diagnostics
    assert any(item.place.file == name and words in item.message for item in found), [item.message for item in found]
