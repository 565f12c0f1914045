"""The demo's voice: numbered chapters in plain words, commands as they are typed, output indented."""

from __future__ import annotations

from dataclasses import dataclass, field

import click

from gitops.render.escape import escape_terminal

RULE = "─"
WIDTH = 88
MOST_LINES = 60


@dataclass
class Voice:
    """Tells the story; counts its chapters."""

    chapter: int = field(default=0)

    def open(self, title: str) -> None:
        """Begin a chapter."""
        self.chapter += 1
        head = f"{RULE * 2} {self.chapter}. {title} "
        click.secho("\n" + head + RULE * max(2, WIDTH - len(head)), bold=True)

    def say(self, text: str) -> None:
        """Say what happens and why."""
        click.echo(text)

    def command(self, text: str) -> None:
        """Show a command."""
        click.secho(f"  $ {escape_terminal(text)}", fg="cyan")

    def quote(self, text: str, *, most: int = MOST_LINES) -> None:
        """Show output, cut after so many lines."""
        lines = text.rstrip("\n").split("\n")
        for line in lines[:most]:
            click.echo(f"    {escape_terminal(line)}".rstrip())
        if len(lines) > most:
            click.echo(f"    … {len(lines) - most} more lines")
