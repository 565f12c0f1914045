"""The executor's archive: one zipapp of the machine side, the same bytes whenever and wherever it is built.

Names are sorted, dates fixed, members stored (what a compressor gives depends on its version), nothing but `.py` files of the
machine-side rooms. The SHA-256 of the archive is its identity.
"""

from __future__ import annotations

import io
import zipfile
from importlib.resources import files
from importlib.resources.abc import Traversable

ROOMS = ("executor", "plan", "providers", "model")
QUICK = "dataclasses.py"  # found before the standard one, since the folder of the archive comes first
LEFT_OUT = (
    *("declared.py", "fleet.py", "fold.py", "graphdiff.py", "hosts.py", "settled.py", "textdiff.py", "touched.py"),
    *("addressed.py", "approval.py", "fleetplan.py", "scopetree.py", "variants.py"),
    QUICK,
)
SLOW, QUICK_FORMS = b"\nfrom typing import ", b"\nfrom gitops.executor.typing import "
EPOCH = (1980, 1, 1, 0, 0, 0)
MAIN = b'"""Start the executor."""\n\nimport sys\n\nfrom gitops.executor.__main__ import main\n\nsys.exit(main())\n'
PACKAGE = b'"""The machine side of Trueup."""\n'
UNIX = 3
REGULAR_FILE = 0o100644 << 16


def build_payload() -> bytes:
    """Give the archive's bytes."""
    root = files("gitops")
    members: dict[str, bytes] = {"__main__.py": MAIN, "gitops/__init__.py": PACKAGE}
    members["gitops/errors.py"] = root.joinpath("errors.py").read_bytes()
    members[QUICK] = root.joinpath("executor", QUICK).read_bytes().replace(SLOW, QUICK_FORMS)
    for room in ROOMS:
        _collect(root.joinpath(room), f"gitops/{room}", members)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, EPOCH)
            info.external_attr = REGULAR_FILE
            info.create_system = UNIX
            archive.writestr(info, members[name])
    return buffer.getvalue()


def _collect(folder: Traversable, prefix: str, members: dict[str, bytes]) -> None:
    for item in folder.iterdir():
        if item.is_dir() and item.name != "__pycache__":
            _collect(item, f"{prefix}/{item.name}", members)
        elif item.name.endswith(".py") and item.name not in LEFT_OUT:
            members[f"{prefix}/{item.name}"] = item.read_bytes().replace(SLOW, QUICK_FORMS)
