"""What an operator of this machine decides for its agent: the only reader of the environment in the agent.

`DIR/agent/settings.json` (`gitops/agent-settings/v1`, every key optional) and variables: `GITOPS_STATE_DIR`, `GITOPS_AGENT_INTERVAL`,
`GITOPS_SSH_COMMAND`. A release never changes what stands here: which sources may give secrets is the machine's own word.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gitops.errors import MalformedError, UsageError
from gitops.model.codec import decode_json
from gitops.model.fields import Fields
from gitops.model.limits import DEFAULTS, MIB
from gitops.secrets.rules import AGENT_FOLDERS, AGENT_VARIABLES, Rules, make_rules

SETTINGS_SCHEMA = "gitops/agent-settings/v1"
SSH_COMMAND = "ssh -o BatchMode=yes -o ConnectTimeout=15 -o ServerAliveInterval=10 -o ServerAliveCountMax=3"
INTERVAL, LEAST_INTERVAL = 300, 10
JITTER_SHARE = 10
PASSED_ON = re.compile(r"(PATH|HOME|USER|LOGNAME|SSH_AUTH_SOCK|SSL_CERT_(FILE|DIR)|(HTTPS?|ALL|NO)_PROXY)\Z", re.IGNORECASE)


AGENT_RULES = make_rules(None, None, (AGENT_VARIABLES, AGENT_FOLDERS))


@dataclass(frozen=True)
class Settings:
    """Seconds between runs and how far each may stray, seconds that a fetch may take, where secrets may come from, how to call ssh,
    bounds of the spool, and the environment in which secrets are looked up.
    """

    interval: int = INTERVAL
    jitter: int = INTERVAL // JITTER_SHARE
    fetch_seconds: int = DEFAULTS.git_seconds
    lock_seconds: int = DEFAULTS.lock_seconds
    secret_rules: Rules = AGENT_RULES
    ssh_command: str = SSH_COMMAND
    spool_reports: int = 1000
    spool_bytes: int = 64 * MIB
    environment: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    @property
    def fetch_environment(self) -> dict[str, str]:
        """The variables that a fetch may see: paths, proxies, certificates, the ssh agent; never where secrets live."""
        found = {name: value for name, value in self.environment.items() if PASSED_ON.match(name)}
        return {"PATH": os.defpath, **found, "LANG": "C.UTF-8"}


def read_settings(state: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings of a state folder; a mistake in them is exit 1 and names the file."""
    variables = dict(os.environ) if environment is None else dict(environment)
    path = state / "agent" / "settings.json"
    try:
        with path.open("rb") as stream:
            fields = Fields(decode_json(stream.read(DEFAULTS.document_bytes)), "agent settings")
        fields.schema(SETTINGS_SCHEMA)
    except FileNotFoundError:
        fields = Fields({}, "agent settings")
    except (MalformedError, OSError) as error:
        raise UsageError(f"{path}: {error}", code="U083") from error
    try:
        return _read(fields, variables)
    except MalformedError as error:
        raise UsageError(f"{path}: {error.message}", code="U083", hint="see the agent's how-to for the keys") from error


def default_state(given: Path | None, environment: Mapping[str, str] | None = None) -> Path:
    """Give the state folder: the one given, GITOPS_STATE_DIR, /var/lib/gitops for root, else the XDG state folder."""
    variables = os.environ if environment is None else environment
    if given is not None:
        return given.absolute()
    if variables.get("GITOPS_STATE_DIR"):
        return Path(variables["GITOPS_STATE_DIR"]).absolute()
    if os.geteuid() == 0:
        return Path("/var/lib/gitops")
    return Path(variables.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "gitops"


def _read(fields: Fields, variables: Mapping[str, str]) -> Settings:
    interval = fields.integer("interval", INTERVAL)
    if variables.get("GITOPS_AGENT_INTERVAL"):
        interval = parse_interval(variables["GITOPS_AGENT_INTERVAL"])
    if interval < LEAST_INTERVAL:
        raise MalformedError(f"`interval` is at least {LEAST_INTERVAL} seconds, got {interval}", code="M063")
    found = Settings(
        interval=interval,
        jitter=fields.integer("jitter", interval // JITTER_SHARE),
        fetch_seconds=fields.integer("fetch_seconds", DEFAULTS.git_seconds),
        lock_seconds=fields.integer("lock_seconds", DEFAULTS.lock_seconds),
        secret_rules=_read_rules(fields),
        ssh_command=variables.get("GITOPS_SSH_COMMAND") or fields.text("ssh_command", SSH_COMMAND),
        spool_reports=fields.integer("spool_reports", 1000),
        spool_bytes=fields.integer("spool_bytes", 64 * MIB),
        environment=variables,
    )
    fields.text("ssh_command", "")
    fields.done()
    if min(found.jitter, found.lock_seconds) < 0 or min(found.fetch_seconds, found.spool_reports, found.spool_bytes) < 1:
        raise MalformedError("numbers are positive", code="M063")
    return found


def _read_rules(fields: Fields) -> Rules:
    """Read `secrets: {env: [names], files: [folders]}`; what is left out has its default."""
    if not fields.has("secrets"):
        return AGENT_RULES
    table = Fields(fields.raw("secrets"), "agent settings: secrets")
    variables = table.texts("env") if table.has("env") else None
    folders = table.texts("files") if table.has("files") else None
    table.done()
    return make_rules(variables, folders, (AGENT_VARIABLES, AGENT_FOLDERS))


UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_interval(text: str) -> int:
    """Give the seconds of `90`, `90s`, `15m`, `2h` or `1d`; raise UsageError otherwise."""
    number, unit = (text[:-1], text[-1:]) if text[-1:] in UNITS else (text, "s")
    if not number.isascii() or not number.isdigit() or int(number) < 1 or len(number) > 6:  # noqa: PLR2004  30 years in minutes
        raise UsageError(f"not a time span: got {text[:40]!r}, expected like 90s, 15m, 2h or 1d", code="U081")
    return int(number) * UNITS[unit]
