"""The two unit files of a timer: when, and what. Every argument is written so that systemd reads it back as it was."""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple

MANAGED = "# Managed by trueup; changes made here are put back.\n"
FOLDER = "/etc/systemd/system"
WANTS = f"{FOLDER}/timers.target.wants"


def make_timer_file(name: str, settings: Sequence[Tuple[str, str]]) -> str:
    """Give the file of the timer: its settings, and that it is started at boot."""
    lines = "".join(f"{key}={value}\n" for key, value in settings)
    return f"{MANAGED}[Unit]\nDescription=Timer of {name}\n\n[Timer]\n{lines}\n[Install]\nWantedBy=timers.target\n"


def make_service_file(name: str, command: Sequence[str], user: str, timeout: Optional[int]) -> str:
    """Give the file of the service that the timer starts: it runs once and ends."""
    lines = ["Type=oneshot", f"User={user}"]
    if timeout is not None:
        lines.append(f"TimeoutStartSec={timeout}")
    lines.append(f"ExecStart={quote_command(command)}")
    return f"{MANAGED}[Unit]\nDescription={name}\n\n[Service]\n" + "".join(f"{line}\n" for line in lines)


def quote_command(argv: Sequence[str]) -> str:
    """Give an argument list as systemd.service(5) has it: no variables, no specifiers, no second command."""
    words: List[str] = [argv[0]]
    for argument in argv[1:]:
        plain = argument.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$").replace("\t", "\\t")
        words.append(f'"{plain}"')
    return " ".join(words)
