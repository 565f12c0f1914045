"""`gitops serve`: the service on a socket, until SIGINT or SIGTERM; what still runs then is resumed at the next start."""

from __future__ import annotations

import json
import logging
import signal
import socket
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click
import uvicorn

from gitops.errors import UsageError
from webhooks.app import create_app
from webhooks.settings import read_settings

GRACE_SECONDS = 10
BACKLOG = 256
LIMIT = 4000
KEEP_ALIVE = 30


@click.command()
@click.option("--settings", "file", type=click.Path(path_type=Path, dir_okay=False), help="A YAML file of settings.")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="The folder of database and mirrors.")
@click.option("--listen", default="", metavar="ADDR:PORT", help="Where to listen; port 0 takes a free one.")
@click.option("--repo", type=click.Path(path_type=Path, file_okay=False), help="Put the `local` forge on this bare repository.")
@click.option(
    "--log", "log_format", type=click.Choice(("text", "json")), default="text", show_default=True, help="One line each."
)
def command(file: Path | None, data: Path | None, listen: str, repo: Path | None, log_format: str) -> int:
    """Run the service: webhooks, API and pages."""
    given = {"data_dir": data, "listen": listen, "local_repository": repo}
    settings = read_settings(file, {name: str(value) for name, value in given.items() if value})
    listening = _listen(settings.host, settings.port)
    url = _url_of(settings.host, listening.getsockname()[1])
    app = create_app(replace(settings, public_url=settings.public_url or url))
    _set_up_log(log_format)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=KEEP_ALIVE,
        limit_concurrency=LIMIT,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
    )
    click.echo(f"Trueup listens on {url}")
    sys.stdout.flush()
    for number in (signal.SIGINT, signal.SIGTERM):
        # uvicorn stops gracefully, then raises the signal once more: having stopped as asked is exit 0.
        signal.signal(number, lambda _number, _frame: None)
    uvicorn.Server(config).run(sockets=[listening])
    return 0


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise UsageError(
            f"cannot listen on {host}:{port}: {error.strerror}", code="U079", hint="give another --listen"
        ) from error
    listening.listen(BACKLOG)
    return listening


def _url_of(host: str, port: int) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104  only compared
    return f"http://{shown}:{port}"


def _set_up_log(log_format: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _JsonFormatter() if log_format == "json" else logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s")
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    for noisy in ("httpx", "httpcore", "apscheduler", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


class _JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        table = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            table["exception"] = self.formatException(record.exc_info)
        return json.dumps(table, ensure_ascii=False)
