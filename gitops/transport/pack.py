"""The executor as one file: every module compiled, kept under the digest of its sources, and imported out of memory.

Takes sources, gives the bytes of a pack; takes those bytes, gives an importer. So what was read, and whose digest was right, is what
runs: no path is looked at between. Standard library only, and nothing of this project: the program that runs first on a host and the
one that starts the executor here hold this text too.
"""

from __future__ import annotations

import marshal
import sys
from _frozen_importlib import ModuleSpec  # both are there before anything is imported; `typing` and `importlib` cost 10 ms
from _frozen_importlib_external import MAGIC_NUMBER
from types import CodeType, ModuleType

EDITION = "2"
PORTABLE = 2  # marshal's format that every Python 3 reads
LENGTH = 8  # bytes that tell how long the table is that comes first
WITHOUT_DOCSTRINGS = 2  # see compile(); nobody reads them there, and they are a fourth of all
Row = tuple[bool, str, int, int]  # whether it is a package, its path, where its code begins and ends


class Pack:
    """Finds and loads the modules of a pack; for `sys.meta_path`."""

    def __init__(self, data: bytes) -> None:
        whole = memoryview(data)  # no copy of it is made, whole or in part
        end = LENGTH + int.from_bytes(whole[:LENGTH], "big")
        self._rows: dict[str, Row] = marshal.loads(whole[LENGTH:end])  # noqa: S302  its digest was right, in a file of this user's alone
        self._codes = whole[end:]

    def find_spec(self, name: str, path: object = None, target: object = None):  # noqa: ARG002  the import system names them
        """Give the spec of a module that is in here."""
        row = self._rows.get(name)
        if row is None:
            return None
        return ModuleSpec(name, self, origin=f"pack/{name}", is_package=row[0])  # pyright: ignore[reportArgumentType]  it is one by shape

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave making the module to the import system."""

    def exec_module(self, module: ModuleType) -> None:
        """Run a module's code."""
        _, file, start, end = self._rows[module.__name__]
        data = self._codes[start:end]
        code: CodeType = compile(data, file[:-1], "exec", dont_inherit=True) if file.endswith("?") else marshal.loads(data)  # noqa: S302  as above
        exec(code, module.__dict__)  # noqa: S102  what this is for


def name_pack(tree: str) -> str:
    """Give the name under which a pack of sources with this digest is kept: compiled code is of one Python only."""
    return f"{tree}-{MAGIC_NUMBER.hex()}-{EDITION}"


def make_pack(members: dict[str, bytes], *, compiled: bool = True) -> bytes:
    """Give the pack of some sources by path (`gitops/errors.py`); not `compiled`, any Python can import it, slowly."""
    rows: dict[str, Row] = {}
    codes = bytearray()
    for path, source in sorted(members.items()):
        name = path[: -len(".py")].replace("/", ".")
        is_package = name.endswith(".__init__")
        name = name[: -len(".__init__")] if is_package else name
        start = len(codes)
        if compiled:
            codes += marshal.dumps(compile(source, path, "exec", dont_inherit=True, optimize=WITHOUT_DOCSTRINGS))
        else:
            codes += source
        rows[name] = (is_package, path if compiled else f"{path}?", start, len(codes))
    table = marshal.dumps(rows, PORTABLE)
    return len(table).to_bytes(LENGTH, "big") + table + bytes(codes)


def import_pack(data: bytes) -> Pack:
    """Let a pack's modules be found before all others."""
    pack = Pack(data)
    sys.meta_path.insert(0, pack)
    return pack
