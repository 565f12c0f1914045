"""`gitops demo` as a person runs it: every chapter happens, nothing is left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo")]
CHAPTERS = (
    "The stage",
    "A fleet by pull request",
    "A pull request changes the site on three hosts",
    "Somebody edits a file by hand",
    "Somebody tampers with the release branch",
    "A host would have to do more than was approved",
    "Who approved what runs here?",
    "Done",
)
ROOT = Path(__file__).parents[2]


def start(tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {
        "PATH": f"{ROOT / '.tools/bin'}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "LANG": "C.UTF-8",
    }
    environment.update({name: value for name, value in os.environ.items() if name.startswith("COVERAGE")})
    return subprocess.Popen(
        [sys.executable, "-m", "gitops.cli", "demo", *arguments],
        env={**environment, "PYTHONUNBUFFERED": "1"},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def test_the_demo_tells_the_whole_loop_and_leaves_nothing(tmp_path: Path) -> None:
    process = start(tmp_path, "--keep")
    output = ""
    watchdog = threading.Timer(240, lambda: os.killpg(process.pid, signal.SIGKILL))
    watchdog.start()
    try:
        assert process.stdout is not None
        for line in process.stdout:
            output += line
            if line.startswith("Serving until"):
                break
        url = re.search(r"The pages: (http://\S+)", output)
        assert url is not None, output[-3000:]
        page = httpx.get(f"{url[1]}pulls", follow_redirects=True, timeout=10)
        os.kill(process.pid, signal.SIGINT)
        output += process.stdout.read()
        status = process.wait(30)
    finally:
        watchdog.cancel()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert (status, page.status_code) == (0, 200), output[-3000:]
    assert [title for title in CHAPTERS if f". {title} ─" not in output] == []
    assert re.findall(r"exit (\d)\)", output).count("6") == 1
    assert re.findall(r"exit (\d)\)", output).count("3") == 1
    assert "/gitops approve " in output
    assert "you wrote some of it" in output
    assert "more than was approved: file:/etc/motd (replace)" in output
    assert list(tmp_path.glob("trueup-demo-*")) == []
