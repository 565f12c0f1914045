"""100 mixed resources beside CFEngine: 60 files, 10 directories, 10 users, 10 groups, 10 guarded commands; first and again.

`python benchmarks/mixed.py` as root (CFEngine: Debian package cfengine3; without it only our own numbers are shown). It starts itself
again in a mount namespace of its own, where every round gets a copy of /etc: real `useradd` and `groupadd`, and the machine's own
accounts are never touched. CFEngine has no promise for groups: there they are commands, guarded by `groupexists`.
Goals: first and again at most 1 × CFEngine.
"""

from __future__ import annotations

import argparse
import functools
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.converge import Timed, content_of, in_own_process, name_of, time_process, write_request
from gitops.model.resource import Resource
from gitops.transport.local import executor_command, keep_executor
from gitops.transport.payload import build_payload

FILES, OTHERS = 60, 10
INSIDE = "--inside"
POLICY = """\
body common control { bundlesequence => { "main" }; }
body perms m(p) { mode => "$(p)"; }
bundle agent main {
"""


def main() -> None:
    """Run both in turn, in a mount namespace of our own; print medians and ratios."""
    options = argparse.ArgumentParser(description="time 100 mixed resources beside CFEngine")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--files", type=int, default=FILES)
    options.add_argument("--others", type=int, default=OTHERS)
    options.add_argument(INSIDE, action="store_true", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if not chosen.inside:
        namespace = ["unshare", "--mount", "--propagation", "private", "--fork", "--kill-child"]
        sys.exit(subprocess.run([*namespace, sys.executable, *sys.argv, INSIDE], check=False).returncode)
    peer = shutil.which("cf-agent")
    ours: list[Timed] = []
    theirs: list[Timed] = []
    with tempfile.TemporaryDirectory(prefix="gitops-mixed-") as folder:
        scratch = Path(folder)
        command = executor_command(keep_executor(build_payload(), scratch / "cache"))
        for number in range(chosen.rounds):
            ours.append(time_ours(chosen.files, chosen.others, scratch / f"ours-{number}", command))
            if peer is not None:
                theirs.append(time_theirs(chosen.files, chosen.others, scratch / f"peer-{number}", peer))
    print("run     ours s  cfengine s  ratio")
    for run in ("first", "again"):
        own = statistics.median(getattr(item, run) for item in ours)
        other = statistics.median(getattr(item, run) for item in theirs) if theirs else 0.0
        print(f"{run:<6} {own:>7.3f} {other:>11.3f} {own / other if other else 0:>6.2f}")


def time_ours(files: int, others: int, folder: Path, command: list[str]) -> Timed:
    """Apply a compiled graph twice."""
    (folder / "etc").mkdir(parents=True)
    request = folder / "request.json"
    in_own_process(write_request, functools.partial(list_mixed, files, others, folder), folder / "state", request)
    with own_accounts(folder, others):
        first, again = time_process(command, request), time_process(command, request)
    check(folder, files, others)
    return Timed(first[0], again[0], max(first[1], again[1]))


def list_mixed(files: int, others: int, folder: Path) -> tuple[Resource, ...]:
    """Give the resources."""
    found = [
        Resource("file", f"{folder}/{name_of(number)}", {"content": content_of(number), "mode": "0644"})
        for number in range(files)
    ]
    for number in range(others):
        marker = f"{folder}/ran-{number}"
        found += [
            Resource("directory", f"{folder}/folder-{number}", {"mode": "0755"}),
            Resource("group", f"benchgroup{number}", {}),
            Resource("user", f"benchuser{number}", {"shell": "/bin/sh"}),
            Resource("command", f"ran-{number}", {"argv": ["/usr/bin/touch", marker], "creates": marker}),
        ]
    return tuple(found)


def time_theirs(files: int, others: int, folder: Path, peer: str) -> Timed:
    """Run one policy twice."""
    (folder / "etc").mkdir(parents=True)
    numbers = range(others)
    lines = [
        "files:",
        *(
            f'"{folder}/{name_of(number)}" create => "true", content => "{content_of(number)}", perms => m("0644");'
            for number in range(files)
        ),
        *(f'"{folder}/folder-{number}/." create => "true", perms => m("0755");' for number in numbers),
        "users:",
        *(f'"benchuser{number}" policy => "present", shell => "/bin/sh";' for number in numbers),
        "commands:",
        *(f'"/usr/sbin/groupadd benchgroup{number}" if => not(groupexists("benchgroup{number}"));' for number in numbers),
        *(f'"/usr/bin/touch {folder}/ran-{number}" if => not(fileexists("{folder}/ran-{number}"));' for number in numbers),
    ]
    policy = folder / "policy.cf"
    policy.write_text(POLICY + "\n".join(lines) + "\n}\n", encoding="utf-8")
    policy.chmod(0o600)
    with own_accounts(folder, others):
        first, again = time_process([peer, "-K", "-f", str(policy)], None), time_process([peer, "-K", "-f", str(policy)], None)
    check(folder, files, others)
    return Timed(first[0], again[0], max(first[1], again[1]))


@contextmanager
def own_accounts(folder: Path, others: int) -> Generator[None]:
    """Put a copy of /etc over /etc, in this namespace alone; check the accounts in it before it goes."""
    copy = folder / "accounts"
    shutil.copytree("/etc", copy, symlinks=True)
    subprocess.run(["mount", "--bind", str(copy), "/etc"], check=True)
    try:
        yield
        users, groups = (Path(name).read_text(encoding="utf-8") for name in ("/etc/passwd", "/etc/group"))
        for number in range(others):
            if f"benchuser{number}:" not in users or f"benchgroup{number}:" not in groups:
                raise SystemExit(f"benchuser{number} or benchgroup{number} was not made")
    finally:
        subprocess.run(["umount", "/etc"], check=True)


def check(folder: Path, files: int, others: int) -> None:
    """Fail when the end state is not what was asked for."""
    whole = all((folder / name_of(number)).read_text(encoding="utf-8") == content_of(number) for number in range(files))
    made = all((folder / f"folder-{number}").is_dir() and (folder / f"ran-{number}").is_file() for number in range(others))
    if not (whole and made):
        raise SystemExit(f"{folder} is not as asked for")


if __name__ == "__main__":
    if os.geteuid() != 0:
        raise SystemExit("this makes real users in a namespace of its own: run it as root")
    main()
