"""Trust roots as files: `2.json`, and beside it `2.sigs/` with a signature by each key, named as releases carry them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gitops.cli.output import read_file
from gitops.errors import UsageError
from gitops.model.limits import DEFAULTS
from gitops.model.trustroot import TrustRoot, read_trust_root
from gitops.signatures.bundle import BundleVerifier
from gitops.trust.layout import SIGNATURE_END
from gitops.trust.rotation import count_signers, verify_rotation


@dataclass(frozen=True)
class RootFiles:
    """The root that holds, those before it, and the files of `trust/` that a release carries them in."""

    root: TrustRoot
    older: tuple[TrustRoot, ...]
    files: Mapping[str, bytes]


def signatures_beside(path: Path) -> Path:
    """Give the folder of a trust root's signatures."""
    return path.parent / f"{path.stem}.sigs"


def read_signatures_beside(path: Path) -> dict[str, bytes]:
    """Give the signatures of a trust root by key id; none where there are none."""
    found = sorted(signatures_beside(path).glob(f"*{SIGNATURE_END}"))
    return {item.name[: -len(SIGNATURE_END)]: read_file(item, DEFAULTS.signature_bytes) for item in found}


def read_roots(paths: Sequence[Path]) -> RootFiles:
    """Read trust roots, one version after another in any order, for a release; the newest holds, and each must be a rotation of the one
    before it that agents will believe: raise TrustError when it is not, UsageError when a version is missing or unsigned.
    """
    files: dict[str, bytes] = {}
    roots: list[TrustRoot] = []
    for data, path in sorted(((read_file(path, DEFAULTS.manifest_bytes), path) for path in paths), key=_version_of):
        root, signatures = read_trust_root(data), read_signatures_beside(path)
        if roots and root.version != roots[-1].version + 1:
            message = f"trust roots of versions {roots[-1].version} and {root.version} do not follow one another"
            raise UsageError(message, code="U094", hint="give every version between them, each once")
        if roots:
            verify_rotation(roots[-1], data, signatures, BundleVerifier())
        elif root.version > 1 and count_signers(root, data, signatures, BundleVerifier()) < root.threshold:
            hint = f"agents follow it by {signatures_beside(path)}, which `gitops trust rotate` writes"
            raise UsageError(f"{path} is version {root.version}, and its own threshold has not signed it", code="U094", hint=hint)
        roots.append(root)
        files[f"{root.version}.json"] = data
        if root.version > 1:
            files.update({f"{root.version}.sigs/{ident}{SIGNATURE_END}": text for ident, text in signatures.items()})
    return RootFiles(roots[-1], tuple(roots[:-1]), files)


def _version_of(item: tuple[bytes, Path]) -> int:
    return read_trust_root(item[0]).version
