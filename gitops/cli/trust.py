"""`gitops trust init`: the document that agents pin, made from public keys and the project's environments."""

from __future__ import annotations

from pathlib import Path

import click

from gitops.cli.output import format_option, print_json, print_message
from gitops.cli.project import open_project
from gitops.errors import UsageError
from gitops.model.trustroot import COMMIT_SIGNATURE, TrustedKey, TrustRoot
from gitops.pipeline.release import trust_of
from gitops.signatures.keys import read_public_key


@click.group()
def command() -> None:
    """Make the document that agents pin."""


@command.command()
@click.option(
    "--key", "keys", type=click.Path(path_type=Path), multiple=True, required=True, help="A public key (K.pub or K.pem)."
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The new file.")
@click.option("--threshold", type=click.IntRange(1), default=1, show_default=True, help="How many of the keys must sign.")
@click.option("--commit-signature", type=click.Choice(COMMIT_SIGNATURE), default="warn", show_default=True)
@format_option
@click.pass_obj
def init(directory: Path, keys: tuple[Path, ...], out: Path, threshold: int, commit_signature: str, format_name: str) -> int:
    """Take the name, branches and approvals from the project at -C, and the keys given here."""
    trusted = _read_keys(keys)
    if threshold > len(trusted):
        raise UsageError(
            f"{threshold} of {len(trusted)} keys cannot sign", code="U093", hint="give more --key, or less --threshold"
        )
    project = open_project(directory).built.config.project
    if not project.environments:
        raise UsageError("the project has no environment", code="U022", hint="declare one in gitops.yaml, under `environments`")
    environments = {name: trust_of(item) for name, item in project.environments.items()}
    root = TrustRoot(project.name, 1, trusted, threshold, environments, commit_signature=commit_signature)
    _write(out, root.to_bytes())
    if format_name == "json":
        document = {
            "schema": "gitops/trust/v1",
            "file": str(out),
            "digest": root.digest,
            "version": root.version,
            "keys": sorted(trusted),
        }
        print_json(document)
    else:
        click.echo(f"{out}  {project.name} version {root.version}  {root.digest[:12]}  {threshold} of {len(trusted)} keys")
        print_message("bring it to your hosts by a way that you trust: agent enroll --trust-root pins it")
    return 0


def _read_keys(paths: tuple[Path, ...]) -> dict[str, TrustedKey]:
    found: dict[str, TrustedKey] = {}
    for path in paths:
        key = read_public_key(path)
        if key.ident in found:
            raise UsageError(
                f"{path} is a key that was given already", code="U093", hint="a key counts once, however often it is named"
            )
        found[key.ident] = key
    return found


def _write(path: Path, data: bytes) -> None:
    try:
        with path.open("xb") as stream:
            stream.write(data)
    except FileExistsError:
        raise UsageError(
            f"{path} exists", code="U043", hint="name a new file; a root in use is only replaced by rotation"
        ) from None
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}", code="U071") from error
