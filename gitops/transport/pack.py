"""The executor as one file: every module compiled, kept under the digest of its sources, and imported out of memory.

Takes sources, gives the bytes of a pack; takes those bytes, gives an importer. So what was read, and whose digest was right, is what
runs: no path is looked at between. Standard library only, and nothing of this project: the program that runs first on a host and the
one that starts the executor here hold this text too.
"""

from __future__ import annotations

import marshal
import sys
from typing import Any, Dict, Mapping, Optional, Tuple, cast

EDITION = "1"
PORTABLE = 2  # marshal's format that every Python 3 reads
make_spec = cast(Any, type)(sys.__spec__)  # without an import, which costs
Row = Tuple[bool, str, bytes]


class Pack:
    """Finds and loads the modules of a pack; for `sys.meta_path`."""

    def __init__(self, data: bytes) -> None:
        self._rows: Dict[str, Row] = marshal.loads(data)  # noqa: S302  its digest was right, in a file of this user's alone

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:  # noqa: ARG002  the import system names them
        """Give the spec of a module that is in here."""
        row = self._rows.get(name)
        if row is None:
            return None
        return make_spec(name, self, origin=f"pack/{name}", is_package=row[0])

    def create_module(self, spec: Any) -> None:
        """Leave making the module to the import system."""

    def exec_module(self, module: Any) -> None:
        """Run a module's code."""
        _, file, data = self._rows[module.__spec__.name]
        code: Any = compile(data, file[:-1], "exec", dont_inherit=True) if file.endswith("?") else marshal.loads(data)  # noqa: S302
        exec(code, module.__dict__)  # noqa: S102  what this is for


def name_pack(tree: str) -> str:
    """Give the name under which a pack of sources with this digest is kept: compiled code is of one Python only."""
    machinery: Any = sys.modules["_frozen_importlib_external"]
    return f"{tree}-{machinery.MAGIC_NUMBER.hex()}-{EDITION}"


def make_pack(members: Mapping[str, bytes], *, compiled: bool = True) -> bytes:
    """Give the pack of some sources by path (`gitops/errors.py`); not `compiled`, any Python can import it, slowly."""
    rows: Dict[str, Row] = {}
    for path, source in sorted(members.items()):
        name = path[: -len(".py")].replace("/", ".")
        is_package = name.endswith(".__init__")
        name = name[: -len(".__init__")] if is_package else name
        if compiled:
            code = compile(source, path, "exec", dont_inherit=True, optimize=0)
            rows[name] = (is_package, path, marshal.dumps(code))
        else:
            rows[name] = (is_package, f"{path}?", source)
    return marshal.dumps(rows, PORTABLE)


def import_pack(data: bytes) -> Optional[Pack]:
    """Let a pack's modules be found before all others."""
    pack: Any = Pack(data)
    sys.meta_path.insert(0, pack)
    return pack
