"""Compile 1,000 hosts × 50 resources from text: cold, again, and after a change of one module. Goals: ≤ 10 s cold, ≤ 1 s the change.

`python benchmarks/compile.py [HOSTS]` writes a project into a scratch folder and runs the real command line as processes of their own,
whole process measured. Cold means an empty cache. The shape is mean on purpose: of 50 resources 10 differ on every host.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

MODULES, PER_MODULE, OWN = 8, 5, 10
COLD_GOAL, CHANGE_GOAL = 10.0, 1.0

PROJECT = """\
apiVersion: gitops/v1
kind: Project
metadata: {name: fleet}
spec:
  vars: {domain: example.org}
  environments:
    production: {hosts: {env: production}}
"""
GROUP = """\
apiVersion: gitops/v1
kind: Group
metadata: {{name: zone-{zone}}}
spec:
  selector: {{zone: "{zone}"}}
  vars: {{zone: "{zone}", workers: {workers}}}
  modules: [{modules}]
"""
HOST = """\
---
apiVersion: gitops/v1
kind: Host
metadata: {{name: host-{number:05}, labels: {{env: production, zone: "{zone}", rack: "r{rack}"}}}}
spec:
  address: 192.0.2.{octet}
  vars: {{index: {number}}}
  modules: [own]
"""
OWN_MODULE = """\
apiVersion: gitops/v1
kind: Module
metadata: {{name: own}}
spec:
  resources:
    - file: /etc/own/name
      template: name.j2
{files}"""
OWN_FILE = """\
    - file: /etc/own/file-{number}
      content: "${{host.name}} ${{vars.index}} of ${{vars.domain}} {number}\\n"
      mode: "0640"
"""
MODULE = """\
apiVersion: gitops/v1
kind: Module
metadata: {{name: m{number}}}
spec:
  params: {{port: {{type: integer, default: {port}}}}}
  resources:
    - package: pkg-{number}
    - user: user-{number}
    - file: /etc/m{number}/site.conf
      template: site.conf.j2
      notify: [service:svc-{number}]
    - file: /etc/m{number}/workers
      content: "${{vars.workers}} ${{params.port}}\\n"
    - service: svc-{number}
      needs: [package:pkg-{number}]
"""


@dataclass(frozen=True)
class Timing:
    """One measured run."""

    what: str
    seconds: float
    processor: float
    goal: float
    megabytes: int


def main(arguments: list[str]) -> None:
    hosts = int(arguments[0]) if arguments else 1000
    with tempfile.TemporaryDirectory(prefix="trueup-bench-") as scratch:
        project = Path(scratch) / "project"
        write_project(project, hosts)
        environment = {**os.environ, "HOME": scratch, "XDG_CACHE_HOME": str(Path(scratch) / "cache")}
        cold = run("cold", project, environment, COLD_GOAL)
        again = run("again, nothing changed", project, environment, CHANGE_GOAL)
        write_module(project, 3, port=9999)
        change = run("one module changed", project, environment, CHANGE_GOAL)
        (project / "modules/own/templates/name.j2").write_text("changed {{ host.name }}\n")
        own = run("a module of every host changed", project, environment, COLD_GOAL)
    print(f"{hosts} hosts × {MODULES * PER_MODULE + OWN} resources, whole process\n")
    print(f"{'':34}{'seconds':>9}{'cpu':>7}{'goal':>8}  met{'MB':>7}")
    for item in (cold, again, change, own):
        is_met = "yes" if item.seconds <= item.goal else "NO "
        print(f"{item.what:34}{item.seconds:9.2f}{item.processor:7.2f}{item.goal:8.1f}  {is_met}{item.megabytes:7}")


def write_project(folder: Path, hosts: int) -> None:
    write(folder / "gitops.yaml", PROJECT)
    modules = ", ".join(f"m{number}" for number in range(MODULES))
    for zone in range(10):
        write(folder / f"groups/zone-{zone}.yaml", GROUP.format(zone=zone, workers=zone + 2, modules=modules))
    for file in range((hosts + 49) // 50):
        numbers = range(file * 50, min(hosts, file * 50 + 50))
        text = "".join(HOST.format(number=n, zone=n % 10, rack=n // 40, octet=n % 250 + 1) for n in numbers)
        write(folder / f"inventory/hosts-{file:03}.yaml", text)
    for number in range(MODULES):
        write_module(folder, number, port=8000 + number)
        write(folder / f"modules/m{number}/templates/site.conf.j2", "listen {{ params.port }};\nzone {{ vars.zone }};\n" * 20)
    write(folder / "modules/own/module.yaml", OWN_MODULE.format(files="".join(OWN_FILE.format(number=n) for n in range(OWN - 1))))
    write(
        folder / "modules/own/templates/name.j2",
        "{{ host.name }}.{{ vars.domain }}\n{% for n in range(20) %}{{ n }}\n{% endfor %}",
    )


def write_module(folder: Path, number: int, *, port: int) -> None:
    write(folder / f"modules/m{number}/module.yaml", MODULE.format(number=number, port=port))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def run(what: str, project: Path, environment: dict[str, str], goal: float) -> Timing:
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "gitops.cli.__main__", "-C", str(project), "compile"],
        env=environment,
        capture_output=True,
        check=False,
    )
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        raise SystemExit(done.stderr.decode())
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    return Timing(what, seconds, processor, goal, used.ru_maxrss // 1024)


if __name__ == "__main__":
    main(sys.argv[1:])
