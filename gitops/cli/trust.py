"""`gitops trust init` and `trust rotate`: the document that agents pin, and the next version of it with its signatures.

A root is made from public keys and the project's environments. The next one takes from the old what is not given anew; its signatures
lie beside it in the layout that releases carry (`2.json`, `2.sigs/<key id>.sigstore.json`). Who keeps keys apart signs in turns.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from gitops.cli.output import format_option, print_json, print_message, read_file
from gitops.cli.project import open_project
from gitops.cli.rootfiles import read_signatures_beside, signatures_beside
from gitops.errors import UsageError
from gitops.model.limits import DEFAULTS
from gitops.model.trustroot import COMMIT_SIGNATURE, TrustedKey, TrustRoot, read_trust_root
from gitops.pipeline.release import trust_of
from gitops.signatures.bundle import BundleVerifier, sign_message
from gitops.signatures.keys import read_public_key, read_signing_key
from gitops.trust.layout import SIGNATURE_END
from gitops.trust.rotation import count_signers

HELD = 3


@click.group()
def command() -> None:
    """Make the document that agents pin, and its next version."""


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
    project = open_project(directory).built.config.project
    if not project.environments:
        raise UsageError("the project has no environment", code="U022", hint="declare one in gitops.yaml, under `environments`")
    environments = {name: trust_of(item) for name, item in project.environments.items()}
    root = TrustRoot(project.name, 1, trusted, threshold, environments, commit_signature=commit_signature)
    _check_threshold(root)
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


@command.command()
@click.option("--root", "old", type=click.Path(path_type=Path), required=True, help="The trust root that holds now.")
@click.option(
    "--key", "keys", type=click.Path(path_type=Path), multiple=True, help="A public key of the next; default: those of the old."
)
@click.option("--threshold", type=click.IntRange(1), help="How many of the keys must sign; default: as before.")
@click.option("--commit-signature", type=click.Choice(COMMIT_SIGNATURE), help="Default: as before.")
@click.option("--project", "is_anew", is_flag=True, help="Take environments and approvals from the project at -C again.")
@click.option(
    "--sign-with", "signers", type=click.Path(path_type=Path), multiple=True, required=True, help="A private key, old or new."
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The next root; signatures go beside it.")
@format_option
@click.pass_obj
def rotate(
    directory: Path,
    old: Path,
    keys: tuple[Path, ...],
    threshold: int | None,
    commit_signature: str | None,
    is_anew: bool,
    signers: tuple[Path, ...],
    out: Path,
    format_name: str,
) -> int:
    """Write the next version of a trust root and sign it. Agents follow when the old and the new threshold signed.

    The same command with other keys adds their signatures. Exit 3: written, and signatures are still missing.
    """
    before = read_trust_root(read_file(old, DEFAULTS.manifest_bytes))
    trusted = _read_keys(keys) or dict(before.keys)
    project = open_project(directory).built.config.project if is_anew else None
    if project is not None and project.name != before.repository:
        raise UsageError(f"the project is {project.name}, the trust root is for {before.repository}", code="U094")
    root = replace(
        before,
        version=before.version + 1,
        keys=trusted,
        threshold=before.threshold if threshold is None else threshold,
        commit_signature=commit_signature or before.commit_signature,
        environments=before.environments
        if project is None
        else {name: trust_of(item) for name, item in project.environments.items()},
    )
    _check_threshold(root)
    _sign_root(root, before, signers, out)
    missing = _count_missing(before, root, out)
    _print_rotated(root, missing, out, format_name)
    return HELD if any(missing.values()) else 0


def _sign_root(root: TrustRoot, before: TrustRoot, signers: tuple[Path, ...], out: Path) -> None:
    signing = [read_signing_key(path) for path in signers]
    for path, key in zip(signers, signing, strict=True):
        if key.public.ident not in {**before.keys, **root.keys}:
            raise UsageError(f"{path} is a key of neither root", code="U094", hint="only old and new keys' signatures count")
    data = root.to_bytes()
    if not (out.is_file() and read_file(out, DEFAULTS.manifest_bytes) == data):
        _write(out, data)
    folder = signatures_beside(out)
    for key in signing:
        path = folder / f"{key.public.ident}{SIGNATURE_END}"
        if not path.exists():
            folder.mkdir(exist_ok=True)
            _write(path, sign_message(key, data))


def _count_missing(before: TrustRoot, root: TrustRoot, out: Path) -> dict[str, int]:
    """Give how many signatures the old and the new threshold still want."""
    signatures, data = read_signatures_beside(out), root.to_bytes()
    return {
        name: max(0, one.threshold - count_signers(one, data, signatures, BundleVerifier()))
        for name, one in (("old", before), ("new", root))
    }


def _print_rotated(root: TrustRoot, missing: dict[str, int], out: Path, format_name: str) -> None:
    if format_name == "json":
        document = {
            "schema": "gitops/rotated/v1",
            "file": str(out),
            "digest": root.digest,
            "version": root.version,
            "keys": sorted(root.keys),
            "missing": {"old": missing["old"], "new": missing["new"]},
        }
        print_json(document)
        return
    click.echo(f"{out}  {root.repository} version {root.version}  {root.digest[:12]}  {root.threshold} of {len(root.keys)} keys")
    wanted = [f"{count} of the {name} keys" for name, count in missing.items() if count]
    if wanted:
        print_message(
            f"agents do not follow it yet: it still wants signatures by {' and '.join(wanted)}; run this again with them"
        )
    else:
        print_message(f"next: gitops release --force --trust-root OLD --trust-root {out} carries it to the agents")


def _check_threshold(root: TrustRoot) -> None:
    if root.threshold > len(root.keys):
        raise UsageError(
            f"{root.threshold} of {len(root.keys)} keys cannot sign", code="U093", hint="give more --key, or less --threshold"
        )


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
