"""Input that means harm ends soon and small; input that only looks odd is fine."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from gitops.errors import ConfigError
from gitops.model.diagnostic import Place
from gitops.pipeline.bounds import Bounds, keep_bounds
from gitops.pipeline.project import Examined, build_tree, examine_tree
from gitops.source import snapshot
from gitops.source.commits import snapshot_commit
from gitops.source.snapshot import snapshot_folder
from tests.support.project import HOST, PROJECT, SMALL, Repository, write_files

ROOT = Path(__file__).parents[3]
MODULE = """\
apiVersion: gitops/v1
kind: Module
metadata: {name: m}
spec:
  params: {name: {type: string, pattern: "^(a+)+$"}}
  resources: [{package: x}]
"""
LOOP = "{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}"


def examine(folder: Path, files: Mapping[str, str | bytes], **options: object) -> Examined:
    return examine_tree(snapshot_folder(write_files(folder, files)), **options)  # type: ignore[arg-type]


def host(text: str) -> str:
    return HOST.partition("spec:")[0] + f"spec:\n{text}"


def test_a_pattern_that_never_ends_is_ended_where_its_value_stands(tmp_path: Path) -> None:
    use = host("  modules:\n    - name: m\n      params: {name: " + "a" * 40 + "!}\n")
    started = time.monotonic()
    found = examine(tmp_path, {"gitops.yaml": PROJECT, "m.yaml": MODULE, "web.yaml": use}, bounds=Bounds(1)).diagnostics
    assert time.monotonic() - started < 120
    assert [(item.code, item.place) for item in found] == [("C606", Place("web.yaml", 7, 22))]


def test_a_template_that_never_ends_is_named_with_its_line(tmp_path: Path) -> None:
    files = {
        "gitops.yaml": PROJECT,
        "web.yaml": host("  resources: [{file: /a, template: t.j2}]\n"),
        "templates/t.j2": "\n\n" + LOOP,
    }
    found = examine(tmp_path, files, bounds=Bounds(0.5)).diagnostics
    assert [(item.code, item.place) for item in found] == [("C606", Place("templates/t.j2", 3))]
    assert "longer than 0.5 s" in found[0].message


@pytest.mark.parametrize(
    "template", ["{{ 'a' * 10**10 }}", "{% set x = [0] * 10**10 %}", "{{ 'a'.ljust(10**10) }}", "{{ '%10000000000d' % 1 }}"]
)
def test_memory_without_end_is_a_diagnostic(tmp_path: Path, template: str) -> None:
    """In a process of its own, as the command line runs, with the real bound."""
    files = {"gitops.yaml": PROJECT, "web.yaml": host("  resources: [{file: /a, template: t.j2}]\n"), "templates/t.j2": template}
    folder = write_files(tmp_path, files)
    done = subprocess.run(
        [sys.executable, "-m", "gitops.cli.__main__", "-C", str(folder), "validate"],
        cwd=ROOT, env={**os.environ}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "error[C606]" in done.stderr or "error[C304]" in done.stderr
    assert "templates/t.j2:1" in done.stderr


def test_a_call_that_never_comes_back_ends_the_process_and_says_why(tmp_path: Path) -> None:
    stuck = "{% set a = 'a' * 10**7 %}{% set n = 10**7 %}{% if (a ~ 'b') in [a ~ 'c'] * n %}{% endif %}"
    files = {"gitops.yaml": PROJECT, "web.yaml": host("  resources: [{file: /a, template: t.j2}]\n"), "templates/t.j2": stuck}
    folder = write_files(tmp_path, files)
    program = (
        "import sys; from pathlib import Path; from gitops.pipeline import bounds; from gitops.pipeline.project import examine_tree;"
        "from gitops.source.snapshot import snapshot_folder; bounds.SPARE_SECONDS = 1;"
        "examine_tree(snapshot_folder(Path(sys.argv[1])), bounds=bounds.Bounds(1))"
    )
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert time.monotonic() - started < 120
    assert done.returncode == -signal.SIGXCPU
    assert done.stderr.splitlines()[0] == "error[C606]: compiling takes longer than 1 s of processor time for each thousand hosts"
    assert "Traceback" not in done.stderr
    assert 'File "' not in done.stderr


LIMITS = (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_CORE)


def test_bounds_leave_the_process_as_it_was() -> None:
    before = [resource.getrlimit(kind) for kind in LIMITS]
    with keep_bounds(Bounds(5)):
        assert [resource.getrlimit(kind) for kind in LIMITS] != before
        assert signal.getitimer(signal.ITIMER_PROF)[0] > 0
        with keep_bounds(Bounds(1)):
            pass
        assert signal.getitimer(signal.ITIMER_PROF)[0] > 1
    assert [resource.getrlimit(kind) for kind in LIMITS] == before
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)


def test_waiting_costs_nothing() -> None:
    """A busy machine gives a compile its second of processor time late; here it waits for another process instead."""
    with keep_bounds(Bounds(0.5)):
        subprocess.run(["/bin/sh", "-c", "sleep 1.2"], check=True, timeout=30)


def test_the_alarm_never_ends_the_process_nor_outlives_the_compile() -> None:
    """As a command that is late: the limit comes while it ends, again and again; the process ends as it means to."""
    program = (
        "import time; from gitops.pipeline import bounds; bounds.AGAIN_SECONDS = 0.001\n"
        "def burn(seconds):\n"
        "    end = time.process_time() + seconds\n"
        "    while time.process_time() < end: pass\n"
        "for number in range(200):\n"
        "    try:\n"
        "        with bounds.keep_bounds(bounds.Bounds(0.002)): burn(0.0005 * (number % 8))\n"
        "    except bounds.LimitReachedError: pass\n"
        "burn(0.1); print('ended')"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ended\n", "")


@pytest.mark.parametrize(("hosts", "seconds"), [(0, 20), (1000, 20), (1500, 30), (10_000, 200), (1_000_000, 200)])
def test_the_bound_grows_with_the_hosts_and_not_for_ever(hosts: int, seconds: float) -> None:
    assert Bounds().for_hosts(hosts) == seconds
    with keep_bounds(Bounds()) as allow:
        allow(hosts)
        assert seconds - 5 < signal.getitimer(signal.ITIMER_PROF)[0] < seconds + 0.1


def test_numbers_and_powers_without_end_are_stopped(tmp_path: Path) -> None:
    files = {
        "gitops.yaml": PROJECT,
        "web.yaml": host("  resources: [{file: /a, template: t.j2}]\n"),
        "templates/t.j2": "{{ (10**(10**7))**(10**3) }}",
    }
    program = (
        "import sys; from pathlib import Path; from gitops.pipeline.bounds import Bounds\n"
        "from gitops.pipeline.project import examine_tree; from gitops.source.snapshot import snapshot_folder\n"
        "print(examine_tree(snapshot_folder(Path(sys.argv[1])), bounds=Bounds(1)).diagnostics[0].code)"
    )
    # One power may be one call that never comes back, which the kernel ends, and the process with it.
    argv = [sys.executable, "-c", program, str(write_files(tmp_path, files))]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    is_ended = done.returncode == -signal.SIGXCPU and "error[C606]" in done.stderr
    assert is_ended or (done.returncode, done.stdout) in ((0, "C606\n"), (0, "C304\n"))


@pytest.mark.parametrize(
    ("link", "target", "files"),
    [
        ("modules/m/files/passwd", "/etc/passwd", {"modules/m/module.yaml": MODULE}),
        ("inventory/more.yaml", "../gitops.yaml", {}),
        ("templates/x.j2", "/etc/passwd", {}),
        ("files/out", "..", {}),
    ],
)
def test_a_link_in_the_tree_is_told_and_never_followed(tmp_path: Path, link: str, target: str, files: dict[str, str]) -> None:
    folder = write_files(tmp_path / "a", {**SMALL, **files})
    (folder / link).parent.mkdir(parents=True, exist_ok=True)
    (folder / link).symlink_to(target)
    found = examine_tree(snapshot_folder(folder)).diagnostics
    assert [(item.code, item.place.file) for item in found] == [("C610", link)]
    repository = Repository(folder)
    repository.git("init", "-q")
    commit = repository.commit({})
    assert examine_tree(snapshot_commit(folder, commit)).diagnostics == found


def test_a_linked_source_is_refused_where_it_is_used(tmp_path: Path) -> None:
    folder = write_files(tmp_path, {"gitops.yaml": PROJECT, "web.yaml": host("  resources:\n    - {file: /a, source: p}\n")})
    (folder / "files").mkdir()
    (folder / "files/p").symlink_to("/etc/passwd")
    found = examine_tree(snapshot_folder(folder)).diagnostics
    assert [(item.code, item.place.file) for item in found] == [("C610", "files/p"), ("C610", "web.yaml")]


ODD = {
    "a BOM": {"web.yaml": b"\xef\xbb\xbf" + HOST.encode()},
    "CRLF": {"web.yaml": HOST.replace("\n", "\r\n")},
    "empty documents": {"web.yaml": "---\n---\n# nothing\n---\n" + HOST + "---\n"},
    "an empty file": {"web.yaml": HOST, "x.yaml": "", "y.yaml": "# only words\n", "z.yaml": "---\n...\n"},
    "an empty spec": {"web.yaml": HOST, "x.yaml": "apiVersion: gitops/v1\nkind: Module\nmetadata: {name: m}\nspec:\n"},
    "YAML 1.1's truths as text": {"web.yaml": HOST.replace('"hello\\n"', "yes"), "x.yaml": ""},
    "a date as text": {"web.yaml": HOST.replace('"hello\\n"', "2026-11-24")},
    "other files": {"web.yaml": HOST, "README.md": "\0", ".github/workflows/x.yaml": "a: [", "x.yaml.bak": "a: ["},
    "YAML in files/": {
        "web.yaml": HOST,
        "files/x.yaml": "a: [",
        "modules/m/templates/y.yaml": "{{",
        "modules/m/files/deep/z.cue": "[",
    },
    "anchors and merge keys": {"web.yaml": HOST.replace("resources:", "vars: {a: &a {x: 1}, b: {<<: *a, y: 2}}\n  resources:")},
    "a long key": {"web.yaml": HOST.replace("resources:", f"vars: {{{'k' * 500}: 1}}\n  resources:")},
    "a comment before the CUE clause": {"web.yaml": HOST, "x.cue": "// words\n\npackage x\n"},
}


@pytest.mark.parametrize("name", sorted(ODD))
def test_what_only_looks_odd_is_fine(tmp_path: Path, name: str) -> None:
    found = examine(tmp_path, {"gitops.yaml": PROJECT, **ODD[name]})
    assert found.diagnostics == ()
    assert build_tree(snapshot_folder(tmp_path)).compiled.graphs["production"].hosts.keys() == {"web-1"}


def test_too_many_files_or_too_large_ones_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_files(tmp_path, {"a": "x" * 100, "b": "y"})
    monkeypatch.setattr(snapshot, "DEFAULTS", replace(snapshot.DEFAULTS, source_files=1))
    with pytest.raises(ConfigError, match="more than 1 files"):
        snapshot_folder(folder)
    monkeypatch.setattr(snapshot, "DEFAULTS", replace(snapshot.DEFAULTS, source_files=10, source_bytes=50))
    with pytest.raises(ConfigError) as caught:
        snapshot_folder(folder)
    assert caught.value.code == "C602"


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"x\xff.yaml")).write_text("a: 1")
    with pytest.raises(ConfigError) as caught:
        snapshot_folder(tmp_path)
    assert caught.value.code == "C612"
