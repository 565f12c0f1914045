"""`gitops demo`: the whole loop in a temporary directory; nothing on this machine is touched, no root is needed."""

from __future__ import annotations

import signal
import tempfile
import time
from pathlib import Path

import click

from gitops.cli.demo.stage import set_stage, start_service
from gitops.cli.demo.story import Story
from gitops.cli.demo.voice import Voice


@click.command()
@click.option("--keep", "is_kept", is_flag=True, help="Keep serving afterwards, until Ctrl-C.")
def command(is_kept: bool) -> int:
    """Run the whole loop: pull request, plan, approval, signed release, agents; then drift, tampering, and more than was approved."""
    voice, began = Voice(), time.monotonic()
    signal.signal(signal.SIGTERM, _interrupt)
    with tempfile.TemporaryDirectory(prefix="trueup-demo-") as folder:
        voice.open("The stage")
        voice.say("A bare repository, a service and three agents, each a process of its own. The machines are only folders.")
        stage, alice = set_stage(Path(folder).resolve())
        service, desk = start_service(stage)
        try:
            voice.say(f"Everything is below {stage.folder}; the service listens on {desk.url}")
            Story(stage, desk, alice, voice).tell()
            voice.open("Done")
            voice.say(f"That took {time.monotonic() - began:.0f} s. The pages: {desk.url}/")
            if is_kept:
                people = ", ".join(f"{name} / {password}" for name, password in desk.passwords.items())
                voice.say(f"Log in as: {people}\nServing until Ctrl-C; then everything is removed.")
                service.wait()
        except KeyboardInterrupt:
            voice.say("\nStopping.")
        finally:
            service.stop()
    return 0


def _interrupt(_number: int, _frame: object) -> None:
    """End as Ctrl-C does, so that the service is stopped and the folder removed."""
    raise KeyboardInterrupt
