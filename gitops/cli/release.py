"""`gitops release`: build, sign, commit and publish a release; make keys; put an old content back under a new serial."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from gitops.cli.output import format_option, print_json, print_message, read_file
from gitops.cli.project import open_project
from gitops.cli.rootfiles import read_roots
from gitops.errors import MalformedError, UsageError
from gitops.model.approval import Approval, read_approval
from gitops.model.codec import Json, format_time
from gitops.model.limits import DEFAULTS
from gitops.pipeline.release import Released, ReleaseOrder, make_release, roll_back
from gitops.signatures.keys import TYPES, generate_key, read_signing_key, write_key
from gitops.source.repository import locate, resolve

PAUSE = 0.05
LONGEST_PAUSE = 2.0


@click.group(invoke_without_command=True)
@click.option("--env", "environment", default="", help="The environment.")
@click.option("--rev", default="HEAD", show_default=True, help="The source commit.")
@click.option("--key", "keys", type=click.Path(path_type=Path), multiple=True, help="Sign with this private key; again: co-sign.")
@click.option("--repo", "url", default="", metavar="URL", help="Push there; by default the branch moves in this repository.")
@click.option("--approvals", type=click.Path(path_type=Path, file_okay=False), help="A folder of approvals (*.json).")
@click.option(
    "--trust-root",
    "trust_roots",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Verify the tip with it, and put it into the release; again after a rotation: the older and the newer.",
)
@click.option("--force", "is_forced", is_flag=True, help="Issue again what is released, for a fresh expiry.")
@click.option("--expires", "days", type=click.IntRange(1, 3650), default=90, show_default=True, help="Days until it expires.")
@click.option("--rollback-to", "serial", type=click.IntRange(1), help="Release the content of this serial again.")
@format_option
@click.pass_context
def command(
    context: click.Context,
    environment: str,
    rev: str,
    keys: tuple[Path, ...],
    url: str,
    approvals: Path | None,
    trust_roots: tuple[Path, ...],
    is_forced: bool,
    days: int,
    serial: int | None,
    format_name: str,
) -> int:
    """Build, sign, commit and publish a release. Exit 3: approvals are missing, 6: the tip cannot be verified, 7: no remote."""
    if context.invoked_subcommand is not None:
        return 0
    if not environment or not keys:
        hint = "`gitops release keygen --out FILE` makes a key"
        raise UsageError("`gitops release` needs --env and --key", code="U092", hint=hint)
    order = replace(
        _make_order(context.obj, environment, rev, keys),
        url=_absolute(url),
        approvals=() if approvals is None else _read_approvals(approvals),
        is_forced=is_forced,
        valid=timedelta(days=days),
    )
    if trust_roots:
        found = read_roots(trust_roots)
        order = replace(order, root=found.root, older=found.older, trust_files=found.files)
    released = make_release(order, pause=_pause) if serial is None else roll_back(order, serial, pause=_pause)
    _print_released(released, order.environment.release, format_name)
    return 0


@command.command()
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="The private key; FILE.pub and FILE.pem lie beside it."
)
@click.option("--type", "kind", type=click.Choice(TYPES), default=TYPES[0], show_default=True)
@format_option
def keygen(out: Path, kind: str, format_name: str) -> int:
    """Make a signing key: FILE (private, 0600), FILE.pub (OpenSSH), FILE.pem (for cosign and openssl)."""
    key = generate_key(kind)
    try:
        write_key(key, out)
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error.strerror}", code="U071") from error
    if format_name == "json":
        print_json({"schema": "gitops/key/v1", "id": key.public.ident, "type": kind, "file": str(out)})
    else:
        click.echo(f"{out}  {kind}  {key.public.ident}")
        print_message(f"next: gitops trust init --key {out}.pub --out trust.json")
    return 0


def _make_order(directory: Path, environment: str, rev: str, keys: tuple[Path, ...]) -> ReleaseOrder:
    signing = [read_signing_key(path) for path in keys]
    location = locate(directory)
    commit = resolve(location.root, rev)
    opened = open_project(directory, commit)
    project = opened.built.config.project
    if environment not in project.environments:
        known = ", ".join(sorted(project.environments)) or "none"
        raise UsageError(f"there is no environment `{environment}`", code="U022", hint=f"the project has: {known}")
    return ReleaseOrder(
        repository=location.root,
        project=project.name,
        environment=project.environments[environment],
        commit=commit,
        graphs=opened.built.compiled.graphs[environment],
        key=signing[0],
        now=datetime.now(UTC),
        cosigners=tuple(signing[1:]),
        subpath=location.subpath,
    )


def _read_approvals(folder: Path) -> tuple[Approval, ...]:
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", code="U021", hint="approvals are files named <sha256>.json")
    found: list[Approval] = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(read_approval(read_file(path, DEFAULTS.blob_bytes)))
        except MalformedError as error:
            raise UsageError(f"{path}: {error.message}", code=error.code) from error
    return tuple(found)


def _absolute(url: str) -> str:
    """Make a path absolute: git runs in the repository, not here."""
    return str(Path(url).resolve()) if url and "://" not in url and Path(url).exists() else url


def _pause(attempt: int) -> None:
    time.sleep(random.SystemRandom().uniform(0.2, 1.0) * min(LONGEST_PAUSE, PAUSE * 2**attempt))


def _print_released(released: Released, branch: str, format_name: str) -> None:
    manifest = released.manifest
    if format_name == "json":
        table: dict[str, Json] = {
            "schema": "gitops/released/v1",
            "repository": manifest.repository,
            "environment": manifest.environment,
            "serial": released.serial,
            "commit": released.commit,
            "digest": released.digest,
            "is_new": released.is_new,
            "reason": released.reason,
            "source": manifest.commit,
            "expires": format_time(manifest.expires),
            "approvals": list(manifest.approvals),
            "rollback_of": manifest.rollback_of,
        }
        print_json(table)
    elif released.is_new:
        click.echo(
            f"released {manifest.environment} {released.serial}  {released.digest[:12]}  on {branch} at {released.commit[:12]}"
        )
    else:
        click.echo(f"nothing to release: {released.reason} (release {released.serial})")
