"""`gitops token HOST`: a one-time enrolment token, from the service's own data folder here, or from a service over HTTP."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from gitops.cli.output import format_option, print_json, print_message, read_file
from gitops.errors import RemoteError, UsageError
from gitops.model.codec import format_time
from webhooks.api.hosts import TOKEN_BYTES, VALID, Place, issue_token
from webhooks.http import JsonClient, refuse
from webhooks.settings import read_settings
from webhooks.store.store import SQLITE, open_store

TOKEN_LIMIT = 4096
DENIED = 401
MALFORMED = 422


@click.command()
@click.argument("host")
@click.option("--env", "environment", default="", help="The host's environment; without it, the host says when it enrols.")
@click.option("--repository", default="", metavar="NAME", help="The host's repository, where the service watches several.")
@click.option("--settings", "file", type=click.Path(path_type=Path, dir_okay=False), help="The service's settings file.")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="The service's data folder, on this machine.")
@click.option("--service", "url", default="", metavar="URL", help="Ask a service elsewhere.")
@click.option("--token-file", type=click.Path(path_type=Path, dir_okay=False), help="The administrator's token for --service.")
@format_option
def command(
    host: str,
    environment: str,
    repository: str,
    file: Path | None,
    data: Path | None,
    url: str,
    token_file: Path | None,
    format_name: str,
) -> int:
    """Make a one-time token with which HOST can enrol within an hour. Exit 7: the service cannot be reached."""
    place = Place(repository, environment)
    token, expires = _ask(host, place, url, token_file) if url else _make(host, place, file, data)
    if format_name == "json":
        print_json({"schema": "gitops/token/v1", "host": host, "token": token, "expires": expires})
        return 0
    click.echo(token)
    print_message(f"for {host}, once, until {expires}: gitops agent enroll --name {host} --token-file FILE …")
    return 0


def _make(host: str, place: Place, file: Path | None, data: Path | None) -> tuple[str, str]:
    settings = read_settings(file, {"data_dir": str(data)} if data else {})
    path = Path(settings.database_url.removeprefix(SQLITE))
    if settings.database_url.startswith(SQLITE) and not path.exists():
        hint = "name its folder with --data, or ask it with --service URL --token-file FILE"
        raise UsageError(f"there is no service's database at {path}", code="U080", hint=hint)
    store, now = open_store(settings.database_url), datetime.now(UTC)
    try:
        token = issue_token(store, host, fresh=secrets.token_bytes(TOKEN_BYTES), now=now, place=place)
    finally:
        store.close()
    return token, format_time(now + VALID)


def _ask(host: str, place: Place, url: str, token_file: Path | None) -> tuple[str, str]:
    if token_file is None:
        raise UsageError("--service needs --token-file", code="U080", hint="a file with the service's GITOPS_ADMIN_TOKEN")
    if not host or "/" in host:
        raise UsageError(f"{host[:80]!r} is no name of a host", code="U076")
    secret = read_file(token_file, TOKEN_LIMIT).decode("utf-8", "replace").strip()
    client = JsonClient(url, {"Authorization": f"Bearer {secret}"})
    try:
        answer = client.ask("POST", f"/api/v1/hosts/{host}/token?{urlencode(vars(place))}")
    finally:
        client.close()
    if answer.status in (DENIED, MALFORMED):
        raise UsageError(f"the service refused: {refuse(answer, host).message}", code="U080", hint="is the token right?")
    body: Any = answer.body
    if not answer.is_good:
        raise refuse(answer, host)
    try:
        return str(body["token"]), str(body["expires"])
    except (KeyError, TypeError):
        raise RemoteError("the service answered what is no token", code="R201") from None
