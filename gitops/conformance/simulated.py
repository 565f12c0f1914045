"""A simulated machine: the real host's files below a throw-away root, and programs that are stood in for.

The root counts as the running machine, so that what kinds do live is tried too. Accounts, packages (pacman), services (sysvinit), kernel
parameters and modules are files below the root, changed by the stand-ins as the real programs would; any other program is not there,
unless the scenario itself brings it by its real path. `tests/hosts` does the same with the real programs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gitops.errors import HostError
from gitops.executor.host import KnownPaths, RealHost
from gitops.executor.journal import Journal
from gitops.model.codec import Json
from gitops.providers.host import Finished

Program = Callable[[Path, Sequence[str]], str]
FAILED = 1
FIRST_ID = 1000
DEPENDENCY = "dependency"  # why pacman has it; nothing when somebody asked for it
USER_FLAGS = {"-u": 2, "-g": 3, "-c": 4, "-d": 5, "-s": 6}
ACCOUNT_FILES = {"passwd": "etc/passwd", "group": "etc/group"}


class SimulatedHost(RealHost):
    """See the module. `calls` gets every argument list; `has_programs` false: none of the stand-ins is installed."""

    def __init__(
        self,
        *,
        root: str,
        blobs: str = "",
        secrets: Mapping[str, str] | None = None,
        known: Callable[[], KnownPaths] = KnownPaths,
        journal: Journal | None = None,
        run: str = "",
    ) -> None:
        super().__init__(root=root, blobs=blobs, secrets=secrets, known=known, journal=journal, run=run)
        self._root = Path(root)
        self.calls: list[list[str]] = []
        self.has_programs = True

    @property
    def is_live(self) -> bool:
        """It stands for the running machine."""
        return True

    def run(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, Json] | None = None,
        directory: str = "",
        user: str = "",
        timeout: int = 0,
    ) -> Finished:
        """Let the stand-in do it; a program with a path is run for real."""
        self.calls.append(list(argv))
        if argv[0].startswith("/"):
            return super().run(argv, environment=environment, directory=directory, user=user, timeout=timeout)
        program = PROGRAMS.get(argv[0]) if self.has_programs else None
        if program is None:
            raise HostError(f"cannot run {argv[0]}: No such file or directory", code="E112")
        try:
            return Finished(0, program(self._root, [word for word in argv[1:] if word != "--"]))
        except (OSError, KeyError, ValueError, IndexError) as error:
            return Finished(FAILED, f"{argv[0]}: {error}\n")
        finally:
            self.tree.forget()

    def fetch(self, url: str, digest: str, seconds: int) -> Json:  # noqa: ARG002  nothing takes time here
        """Give what the scenario brought; there is no network."""
        return self._take_content(url, digest)

    def fetch_commit(self, url: str, commit: str, ref: str, seconds: int) -> Json:  # noqa: ARG002  see fetch
        """Give what the scenario brought, by the digest that the address ends with."""
        return self._take_content(url, url.rpartition("/")[2])

    def _take_content(self, url: str, digest: str) -> Json:
        path = Path(self._blobs) / digest[:2] / digest
        if not path.is_file():
            raise HostError(f"{url} cannot be fetched: there is no network", code="E322")
        return {"blob": digest, "size": path.stat().st_size}


def _getent(root: Path, words: Sequence[str]) -> str:
    lines = _read_lines(root / ACCOUNT_FILES[words[0]])
    return "".join(f"{line}\n" for line in lines if line.partition(":")[0] in words[1:])


def _useradd(root: Path, words: Sequence[str]) -> str:
    name, flags = words[-1], _read_flags(words[:-1], switches=("-r", "-M", "-m", "-N", "-U"))
    rows = _read_rows(root, "passwd")
    number = flags.get("-u") or _next_id(rows)
    if "-U" in flags:
        _groupadd(root, ["-g", number, name])
    group = flags.get("-g") or name
    group = _read_rows(root, "group")[group][2] if not group.isdigit() else group
    home = flags.get("-d") or f"/home/{name}"
    rows[name] = [name, "x", number, group, flags.get("-c", ""), home, flags.get("-s") or "/bin/sh"]
    _write_rows(root, "passwd", rows)
    _set_groups(root, name, flags)
    if "-m" in flags:
        (root / home[1:]).mkdir(parents=True, exist_ok=True)
    return ""


def _usermod(root: Path, words: Sequence[str]) -> str:
    name, flags = words[-1], _read_flags(words[:-1])
    rows = _read_rows(root, "passwd")
    for flag, field in USER_FLAGS.items():
        if flag in flags:
            value = flags[flag]
            rows[name][field] = _read_rows(root, "group")[value][2] if flag == "-g" and not value.isdigit() else value
    _write_rows(root, "passwd", rows)
    _set_groups(root, name, flags)
    return ""


def _userdel(root: Path, words: Sequence[str]) -> str:
    rows = _read_rows(root, "passwd")
    del rows[words[-1]]
    _write_rows(root, "passwd", rows)
    _set_groups(root, words[-1], {"-G": ""})
    groups = _read_rows(root, "group")
    if groups.pop(words[-1], None):
        _write_rows(root, "group", groups)
    return ""


def _groupadd(root: Path, words: Sequence[str]) -> str:
    name, flags = words[-1], _read_flags(words[:-1], switches=("-r", "-f"))
    rows = _read_rows(root, "group")
    if name in rows and "-f" in flags:
        return ""
    if name in rows:
        raise ValueError(f"group `{name}` exists")
    rows[name] = [name, "x", flags.get("-g") or _next_id(rows), ""]
    _write_rows(root, "group", rows)
    return ""


def _groupmod(root: Path, words: Sequence[str]) -> str:
    rows = _read_rows(root, "group")
    rows[words[-1]][2] = _read_flags(words[:-1])["-g"]
    _write_rows(root, "group", rows)
    return ""


def _groupdel(root: Path, words: Sequence[str]) -> str:
    rows = _read_rows(root, "group")
    del rows[words[-1]]
    _write_rows(root, "group", rows)
    return ""


def _gpasswd(root: Path, words: Sequence[str]) -> str:
    rows = _read_rows(root, "group")
    rows[words[-1]][3] = _read_flags(words[:-1])["-M"]
    _write_rows(root, "group", rows)
    return ""


def _sysctl(root: Path, words: Sequence[str]) -> str:
    name, _, value = words[-1].partition("=")
    place = name if "/" in name else name.replace(".", "/")
    path = root / "proc/sys" / place
    if not path.is_file():
        raise ValueError(f"cannot stat /proc/sys/{place}")
    _write(path, f"{value}\n")
    return ""


def _modprobe(root: Path, words: Sequence[str]) -> str:
    folder = root / "sys/module" / words[-1].replace("-", "_")
    if "-r" in words:
        folder.rmdir()
    else:
        folder.mkdir(exist_ok=True)
    return ""


def _systemctl(root: Path, words: Sequence[str]) -> str:
    verb, units = words[0], [word for word in words[1:] if not word.startswith("--")]
    if verb == "show" and "--value" in words:
        return "loaded\n" if _unit_file(root, units[0]).is_file() else "not-found\n"
    if verb == "show":
        return "\n".join(_show_unit(root, unit) for unit in units)
    for unit in units:
        running = root / "run/units" / unit
        if verb in ("start", "restart"):
            if not _unit_file(root, unit).is_file():
                raise ValueError(f"Unit {unit} not found.")
            _write(running, "")
        elif verb == "stop":
            running.unlink(missing_ok=True)
        else:
            raise ValueError(f"no stand-in for {verb}")
    return ""


def _unit_file(root: Path, unit: str) -> Path:
    return root / "etc/systemd/system" / unit


def _show_unit(root: Path, unit: str) -> str:
    loaded = "loaded" if _unit_file(root, unit).is_file() else "not-found"
    active = "active" if (root / "run/units" / unit).exists() else "inactive"
    return f"LoadState={loaded}\nActiveState={active}\nNextElapseUSecMonotonic=1h\nNextElapseUSecRealtime=tomorrow\n"


def _service(root: Path, words: Sequence[str]) -> str:
    name, verb = words
    running = root / "run/services" / name
    if not (root / "etc/init.d" / name).is_file():
        raise ValueError(f"{name}: unrecognized service")
    if verb == "status" and not running.exists():
        raise ValueError(f"{name} is not running")
    if verb in ("start", "restart", "reload"):
        _write(running, "")
    elif verb == "stop":
        running.unlink(missing_ok=True)
    return ""


def _update_rc(root: Path, words: Sequence[str]) -> str:
    name, verb = words
    on, off = (root / "etc/rc2.d" / f"{letter}01{name}" for letter in "SK")
    if verb == "defaults" and (on.is_symlink() or off.is_symlink()):
        return ""
    old, new = (on, off) if verb == "disable" else (off, on)
    if not new.is_symlink():
        new.symlink_to(f"../init.d/{name}")
    old.unlink(missing_ok=True)
    return ""


def _pacman(root: Path, words: Sequence[str]) -> str:
    database = root / "var/lib/pacman/local"
    rows = {path.name: path.read_text(encoding="utf-8").split() for path in sorted(database.iterdir())}
    here = {name: row[0] for name, row in rows.items()}
    offered = dict(line.split(" ") for line in _read_lines(root / "var/lib/pacman/sync/core.db"))
    names = [word for word in words if not word.startswith("-") and word != "%n %v"]
    is_shown = "--print" in words
    if words[0] == "-Q":
        return "".join(f"{name} {here[name]}\n" for name in names if name in here)
    if words[0] == "-Qdq":
        return "".join(f"{name}\n" for name in names if rows.get(name, ())[1:] == [DEPENDENCY])
    if words[0] == "-D":
        for name in names:
            _write(database / name, " ".join([here[name], *([DEPENDENCY] if "--asdeps" in words else [])]) + "\n")
        return ""
    if words[0] == "-Si":
        return "".join(f"Name : {name}\nVersion : {offered[name]}\n" for name in names if name in offered)
    if words[0] == "-R":
        found = {name: here[name] for name in names}
    else:
        found = {name: offered[name] for name in (word.partition("=")[0] for word in names)}
    changing: dict[str, str] = {} if is_shown else found
    for name, version in changing.items():
        if words[0] == "-R":
            (database / name).unlink()
        else:
            _write(database / name, f"{version}\n")
    return "".join(f"{name} {version}\n" for name, version in found.items()) if is_shown else ""


def _sleep(root: Path, words: Sequence[str]) -> str:  # noqa: ARG001  time does not pass here
    return ""


PROGRAMS: Mapping[str, Program] = {
    "getent": _getent,
    "useradd": _useradd,
    "usermod": _usermod,
    "userdel": _userdel,
    "groupadd": _groupadd,
    "groupmod": _groupmod,
    "groupdel": _groupdel,
    "gpasswd": _gpasswd,
    "sysctl": _sysctl,
    "modprobe": _modprobe,
    "systemctl": _systemctl,
    "service": _service,
    "update-rc.d": _update_rc,
    "pacman": _pacman,
    "sleep": _sleep,
}


def _read_flags(words: Sequence[str], switches: Sequence[str] = ()) -> dict[str, str]:
    found: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        found[word] = "" if word in switches else next(rest)
    return found


def _next_id(rows: Mapping[str, Sequence[str]]) -> str:
    return str(max((int(row[2]) for row in rows.values() if int(row[2]) >= FIRST_ID), default=FIRST_ID) + 1)


def _set_groups(root: Path, name: str, flags: Mapping[str, str]) -> None:
    if "-G" not in flags:
        return
    rows, wanted = _read_rows(root, "group"), flags["-G"].split(",")
    for group, row in rows.items():
        members = [member for member in row[3].split(",") if member and member != name]
        row[3] = ",".join([*members, name] if group in wanted else members)
    _write_rows(root, "group", rows)


def _read_rows(root: Path, database: str) -> dict[str, list[str]]:
    return {line.partition(":")[0]: line.split(":") for line in _read_lines(root / ACCOUNT_FILES[database])}


def _write_rows(root: Path, database: str, rows: Mapping[str, Sequence[str]]) -> None:
    _write(root / ACCOUNT_FILES[database], "".join(f"{':'.join(row)}\n" for row in rows.values()))


def _read_lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def _write(path: Path, text: str) -> None:
    """Write whole or not at all, as such programs do."""
    temp = path.with_name(f".{path.name}.new")
    try:
        temp.write_text(text, encoding="utf-8")
        if path.exists():
            temp.chmod(path.stat().st_mode & 0o7777)
        temp.replace(path)
    except OSError:
        temp.unlink(missing_ok=True)
        raise
