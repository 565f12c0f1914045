"""Laws of `explain`: every value, edge and block has a place, and the winner is the value that is used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import Called, call
from tests.support.project import write_files

FILES = {
    "gitops.yaml": """\
apiVersion: gitops/v1
kind: Project
metadata: {name: acme}
spec:
  vars:
    domain: example.org
    url: "https://${vars.domain}/"
    workers: 1
  environments:
    production:
      hosts: {env: production}
""",
    "inventory.yaml": """\
apiVersion: gitops/v1
kind: Host
metadata: {name: web-1, labels: {env: production, role: web}}
spec:
  vars:
    workers: 8
  resources:
    - file: /etc/motd
      content: "${host.name} ${vars.workers}\\n"
---
apiVersion: gitops/v1
kind: Host
metadata: {name: web-2, labels: {env: production, role: web}}
---
apiVersion: gitops/v1
kind: Group
metadata: {name: web}
spec:
  selector: {role: web}
  priority: 10
  vars:
    workers: 4
  modules: [nginx]
  resources:
    - directory: /srv/www
""",
    "modules/nginx/module.yaml": """\
apiVersion: gitops/v1
kind: Module
metadata: {name: nginx}
spec:
  resources:
    - package: nginx
    - file: /etc/nginx/site.conf
      content: "${vars.domain}\\n"
      notify: [service:nginx]
    - service: nginx
      state: running
      needs: [directory:/srv/www]
""",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = dict(FILES)
    files["inventory.yaml"] = files["inventory.yaml"].replace("modules: [nginx]", "modules:\n    - {name: nginx}")
    return write_files(tmp_path, files)


def explain(folder: Path, *arguments: str) -> Called:
    return call("-C", folder, "explain", *arguments)


def document(folder: Path, *arguments: str) -> Any:
    called = explain(folder, *arguments, "--format", "json")
    assert called.status == 0, called.err
    assert called.json["schema"] == "gitops/explanation/v1"
    return called.json


def line_of(name: str, text: str) -> int:
    return next(number for number, line in enumerate(FILES[name].splitlines(), 1) if text in line)


def test_a_variable_shows_its_layers_and_which_won(folder: Path) -> None:
    (variable,) = document(folder, "web-1", "vars.workers")["variables"]
    assert variable["value"] == 8
    assert [(layer["source"], layer["value"], layer["wins"]) for layer in variable["layers"]] == [
        ("project", 1, False),
        ("group/web", 4, False),
        ("host/web-1", 8, True),
    ]
    assert variable["layers"][0]["file"] == "gitops.yaml"
    assert variable["layers"][0]["line"] == line_of("gitops.yaml", "workers: 1")
    text = explain(folder, "web-1", "vars.workers").out
    assert "* host/web-1" in text
    assert f"inventory.yaml:{line_of('inventory.yaml', 'workers: 8')}" in text


def test_a_reference_is_shown_as_written_and_as_used(folder: Path) -> None:
    (variable,) = document(folder, "web-2", "vars.url")["variables"]
    assert (variable["value"], variable["layers"][0]["value"]) == ("https://example.org/", "https://${vars.domain}/")


def test_an_address_shows_who_declared_it_with_whom_it_is_shared_and_what_it_reads(folder: Path) -> None:
    (address,) = document(folder, "web-1", "file:/etc/nginx/site.conf")["addresses"]
    assert address["source"] == "module/nginx"
    assert (address["file"], address["line"]) == ("modules/nginx/module.yaml", line_of("modules/nginx/module.yaml", "- file:"))
    assert (address["shared_by"], address["reads"]) == (2, ["vars.domain"])
    compiled = call("-C", folder, "compile", "--format", "json").json
    assert address["block"] in compiled["blocks"]
    (own,) = document(folder, "web-1", "file:/etc/motd")["addresses"]
    assert (own["source"], own["block"], own["shared_by"]) == ("host/web-1", None, 1)
    assert own["reads"] == ["host.name", "vars.workers"]
    (group,) = document(folder, "web-1", "directory:/srv/www")["addresses"]
    assert group["source"] == "group/web"


def test_an_address_shows_its_edges_with_their_reasons(folder: Path) -> None:
    (address,) = document(folder, "web-1", "service:nginx")["addresses"]
    edges = {
        (edge["direction"], edge["address"], edge["reason"], edge.get("token"), edge.get("line")) for edge in address["edges"]
    }
    module = "modules/nginx/module.yaml"
    assert edges == {
        ("after", "package:nginx", "automatic", "package:nginx", None),
        ("after", "directory:/srv/www", "needs", None, line_of(module, "needs:")),
        ("after", "file:/etc/nginx/site.conf", "notify", None, line_of(module, "notify:")),
    }
    text = explain(folder, "web-1", "service:nginx").out
    assert "(automatic: package:nginx)" in text
    (other,) = document(folder, "web-1", "package:nginx")["addresses"]
    assert ("before", "service:nginx") in {(edge["direction"], edge["address"]) for edge in other["edges"]}


def test_a_host_shows_everything_in_short(folder: Path) -> None:
    whole = document(folder, "web-1")
    assert (whole["environment"], [group["name"] for group in whole["groups"]]) == ("production", ["web"])
    assert {item["name"] for item in whole["variables"]} == {"vars.domain", "vars.url", "vars.workers"}
    compiled = call("-C", folder, "compile", "--format", "json").json
    declared = {f"{item['kind']}:{item['name']}" for item in compiled["hosts"]["web-1"]["resources"]}
    assert {item["address"] for item in whole["addresses"]} == declared
    text = explain(folder, "web-1").out
    assert all(address in text for address in declared)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["nobody"], "no host `nobody`"),
        (["web-1", "vars.worker"], "did you mean `vars.workers`?"),
        (["web-1", "file:/etc/mod"], "did you mean `file:/etc/motd`?"),
        (["web-1", "zzzzzzzzz"], "lists them all"),
    ],
)
def test_what_is_not_there_is_said_with_the_nearest(folder: Path, arguments: list[str], word: str) -> None:
    called = explain(folder, *arguments)
    assert (called.status, called.out) == (1, "")
    assert word in called.err
