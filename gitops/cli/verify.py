"""`gitops verify`: the agent's checks by number, without applying; the whole tree, its history, its source compiled again."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from gitops.cli.output import format_option, print_error, print_json, read_file
from gitops.errors import RemoteError, UsageError
from gitops.model.codec import Json
from gitops.model.limits import DEFAULTS
from gitops.model.trustroot import TrustRoot, read_trust_root
from gitops.pipeline.verify import Verification, VerifyOrder, verify_branch
from gitops.render.escape import escape_terminal
from gitops.source.repository import find_ref, locate, update_mirror

SOURCE_REFS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")


@click.command()
@click.option("--trust-root", type=click.Path(path_type=Path), required=True, help="The document that agents pin.")
@click.option("--env", "environment", required=True, help="The environment.")
@click.option("--repo", "url", default="", metavar="URL", help="Verify this repository's branch; by default the one of -C.")
@click.option("--ref", default="", help="The branch; by default the one that the trust root names.")
@click.option("--since", type=click.IntRange(1), default=1, show_default=True, help="Believe this serial, verify from it on.")
@click.option("--rebuild", "is_rebuild", is_flag=True, help="Compile the source commit again and compare every byte.")
@format_option
@click.pass_obj
def command(
    directory: Path, trust_root: Path, environment: str, url: str, ref: str, since: int, is_rebuild: bool, format_name: str
) -> int:
    """Check a release as an agent would, and its whole tree and history. Exit 6: refused, 7: not reachable."""
    root = read_trust_root(read_file(trust_root, DEFAULTS.manifest_bytes))
    full = _full_ref(ref, root, environment)
    with _opened(directory, url, full, is_rebuild=is_rebuild) as repository:
        commit = find_ref(repository, full)
        if not commit:
            raise RemoteError(f"the repository has no branch {full}", code="R020", hint="fetch it, or give --repo or --ref")
        order = VerifyOrder(repository, commit, root, environment, datetime.now(UTC), since=since, is_rebuild=is_rebuild)
        found = verify_branch(order)
    if format_name == "json":
        print_json(_describe(found))
    else:
        _print(found)
    if found.refusal is not None:
        print_error(found.refusal)
        return found.refusal.exit_status
    return 0


def _full_ref(ref: str, root: TrustRoot, environment: str) -> str:
    if not ref and environment not in root.environments:
        known = ", ".join(sorted(root.environments)) or "none"
        raise UsageError(f"the trust root knows no environment `{environment}`", code="U022", hint=f"it knows: {known}")
    name = ref or root.environments[environment].branch
    return name if name.startswith("refs/") else f"refs/heads/{name}"


@contextmanager
def _opened(directory: Path, url: str, ref: str, *, is_rebuild: bool) -> Generator[Path]:
    """Give a repository that has the branch: the one of -C, or a mirror that lives as long as the command."""
    if not url:
        yield locate(directory).root
        return
    address = str(Path(url).resolve()) if "://" not in url and Path(url).exists() else url
    with tempfile.TemporaryDirectory(prefix="gitops-verify-") as scratch:
        mirror = Path(scratch) / "mirror.git"
        update_mirror(address, mirror, (f"+{ref}:{ref}", *(SOURCE_REFS if is_rebuild else ())))
        yield mirror


def _print(found: Verification) -> None:
    for item in found.checks:
        sign = "✓" if item.is_passed else "✗"
        detail = f": {escape_terminal(item.detail)}" if item.detail else ""
        click.echo(f"{sign} {item.number:>2}  {item.name}{detail}")
    if found.refusal is None and found.manifest is not None:
        manifest = found.manifest
        name = f"{manifest.repository}/{manifest.environment}"
        click.echo(
            f"release {manifest.serial} of {name} from {manifest.commit[:12]} holds until {manifest.expires:%Y-%m-%d %H:%M} UTC"
        )


def _describe(found: Verification) -> dict[str, Json]:
    checks: list[Json] = [
        {"number": item.number, "name": item.name, "passed": item.is_passed, "detail": item.detail} for item in found.checks
    ]
    refusal = found.refusal
    return {
        "schema": "gitops/verification/v1",
        "commit": found.commit,
        "valid": refusal is None,
        "serial": 0 if found.manifest is None else found.manifest.serial,
        "digest": "" if found.manifest is None else found.manifest.digest,
        "checks": checks,
        "error": None if refusal is None else {"code": refusal.code, "message": refusal.message, "hint": refusal.hint},
    }
