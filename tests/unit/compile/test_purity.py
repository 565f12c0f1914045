"""Same commit, same bytes: whatever the order of files and hosts, the hash seed, the folder, the user's settings."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from gitops.source.snapshot import snapshot_folder
from tests.support.project import PROJECT, write_files

ROOT = Path(__file__).parents[3]
SEEDS, ORDERS = 4, 50
GROUPS = """\
apiVersion: gitops/v1
kind: Group
metadata: {name: all}
spec:
  selector: {}
  vars: {users: {bob: {uid: 2000}, alice: {uid: 2001}}, n: 1, f: 1.5, big: "9007199254740993"}
  modules: [base]
---
apiVersion: gitops/v1
kind: Group
metadata: {name: later}
spec:
  selector: {zone: [a, b]}
  priority: 5
  vars: {n: 2}
  modules: [{name: web, params: {ports: [80, 443], extra: {b: 1, a: [true, null]}}}]
---
apiVersion: gitops/v1
kind: Group
metadata: {name: early}
spec:
  selector: {zone: b}
  priority: 5
  vars: {n: 3, of_early: "${vars.n}"}
  resources:
    - {file: /etc/early, content: "${host.name} ${host.labels.zone} ${vars.n}"}
"""
BASE = """\
apiVersion: gitops/v1
kind: Module
metadata: {name: base}
spec:
  resources:
    - {user: "${each.key}", uid: "${each.value.uid}", for_each: "${vars.users}"}
    - {file: /etc/all, template: all.j2, when: {os.family: [redhat, debian]}}
    - {file: /etc/secret, content: "x ${secret.token} y"}
    - {file: /etc/bin, source: data.bin}
"""
WEB = """\
apiVersion: gitops/v1
kind: Module
metadata: {name: web}
spec:
  drift: report
  params: {ports: {type: array}, extra: {type: object}, name: {type: string, default: "ü"}}
  resources:
    - {package: nginx, notify: [service:nginx]}
    - {service: nginx, enabled: true, needs: [package:nginx, "file:/etc/ports"]}
    - {file: /etc/ports, template: ports.j2}
"""
CUE = 'package module\n\n#Params: {}\n\nresources: [for name, user in vars.users {file: "/home/\\(name)", content: "\\(user.uid) \\(host.labels.zone)"}]\n'
ALL = "{% for name, user in vars.users.items() %}{{ name }} {{ user.uid }} {{ vars.f }}\n{% endfor %}{% for name in vars %}{{ name }},{% endfor %}"
FILES: Mapping[str, str | bytes] = {
    "gitops.yaml": PROJECT + "  secrets: {token: {from: env, key: TOKEN}}\n",
    "groups.yaml": GROUPS,
    "modules/base/module.yaml": BASE,
    "modules/base/templates/all.j2": ALL,
    "modules/base/files/data.bin": bytes(range(256)) * 40,
    "modules/web/module.yaml": WEB,
    "modules/web/templates/ports.j2": "{{ params.ports | join(' ') }} {{ params.extra }} {{ params.name }}",
    "modules/cue/module.cue": CUE,
}
# Runs in a fresh interpreter: one hash seed, many orders. Prints one digest per order.
PROGRAM = """\
import hashlib, json, random, sys
from pathlib import Path
from gitops.model.codec import encode_canonical
from gitops.pipeline.project import build_tree
from gitops.release.tree import layout_graphs
from gitops.source.snapshot import Entry, Snapshot

folder, seed, orders = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
hosts = json.loads((folder / "hosts.json").read_text())
others = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != "hosts.json"}

class Shuffled(Snapshot):
    def paths(self):
        found = list(self.entries)
        dice.shuffle(found)
        return found

for order in range(orders):
    dice = random.Random(f"{seed} {order}")
    shuffled = list(hosts)
    dice.shuffle(shuffled)
    cut = dice.randrange(len(shuffled))
    files = dict(others)
    files["a.yaml"] = "---\\n".join(shuffled[:cut]).encode()
    files[f"z{order % 7}.yaml"] = "---\\n".join(shuffled[cut:]).encode()
    names = list(files)
    dice.shuffle(names)
    tree = Shuffled("", {name: Entry("file", len(files[name])) for name in names}, files.__getitem__)
    digest = hashlib.sha256()
    for _, graphs in sorted(build_tree(tree).compiled.graphs.items()):
        for path, data in sorted(layout_graphs(graphs).files.items()):
            digest.update(path.encode() + data)
    print(digest.hexdigest())
"""


def hosts() -> list[str]:
    return [
        f"apiVersion: gitops/v1\nkind: Host\nmetadata: {{name: h{number}, labels: {{env: production, zone: {'abc'[number % 3]}}}}}\n"
        f"spec: {{vars: {{own: {number % 2}}}, modules: [cue]}}\n"
        for number in range(9)
    ]


def test_orders_and_hash_seeds_give_identical_bytes(tmp_path: Path) -> None:
    folder = write_files(tmp_path, {**FILES, "hosts.json": json.dumps(hosts())})
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(folder), str(seed), str(ORDERS)],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in range(SEEDS)
    ]
    found = [line for process in processes for line in process.communicate(timeout=240)[0].split()]
    assert len(found) == SEEDS * ORDERS
    assert len(set(found)) == 1


def compile_to(out: Path, folder: Path, env: Mapping[str, str], umask: int) -> dict[str, bytes]:
    subprocess.run(
        [sys.executable, "-m", "gitops.cli.__main__", "-C", str(folder), "compile", "--out", str(out)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **env},
        umask=umask,
        check=True,
        timeout=60,
        capture_output=True,
    )
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_checkouts_of_other_users_places_locales_and_zones_give_identical_bytes(tmp_path: Path) -> None:
    files = {**FILES, "hosts.yaml": "---\n".join(hosts())}
    here = write_files(tmp_path / "a", files)
    shuffled = list(files.items())
    random.Random(1).shuffle(shuffled)
    there = write_files(tmp_path / "somewhere else" / "ünïcode", dict(shuffled))
    first = compile_to(
        tmp_path / "x", here, {"HOME": str(tmp_path / "h1"), "USER": "alice", "LANG": "C", "TZ": "UTC"}, umask=0o022
    )
    second = compile_to(
        tmp_path / "y",
        there,
        {"HOME": str(tmp_path / "h2"), "USER": "bob", "LANG": "tr_TR.UTF-8", "LC_ALL": "de_DE.UTF-8", "TZ": "Asia/Kathmandu"},
        umask=0o077,
    )
    assert len(first) > 10
    assert first == second


def test_a_snapshot_lists_paths_sorted_whatever_the_disk_says(tmp_path: Path) -> None:
    snapshot = snapshot_folder(write_files(tmp_path, {"b": "", "a/z": "", "a.b": "", "ü": ""}))
    assert list(snapshot.paths()) == ["a.b", "a/z", "b", "ü"]
