"""The rig: real systemd hosts on this machine, for tests.

Takes root, and the Debian packages that `scripts/test-packages` installs. Each host is a Debian root file system (made once,
`tests/support/roots.py`) under an overlay of its own, with systemd as process 1 in its own cgroup and network namespace; all hosts
hang on one bridge, 10.77.0.0/24, whose other end (10.77.0.1) lies in the controller's namespace. Use:

    with open_rig() as rig:                       # or the session fixture `rig` of tests/hosts/conftest.py
        web = rig.boot("web-1", "bookworm", binds=[("/some/folder", "/srv/folder")])   # bookworm: Python 3.11, bullseye: 3.9
        web.run(["systemctl", "is-active", "dbus"]).out      # as root, clean environment; `check=False` gives the status
        web.run(["tee", "/etc/motd"], data=b"hello")          # bytes to standard input
        web.start(["/usr/bin/server"])                        # a Popen inside the host, ended with it at the latest
        web.copy_in(Path("x"), "/opt/x"); web.path / "etc/motd"   # the host's files, seen from here
        web.add_packages(build_repository(folder, TinyPackage(...)))
        web.reboot(); web.power_off(); web.boot()             # files stay
        rig.boot("web-2", "bookworm", like=web)               # begins with the files of a host whose power is off
        web.remove()                                          # at the latest the rig does it
        rig.run([...])                                        # in the controller's network namespace, so 10.77.0.x is reachable

Everything is removed at the end, also after a failure or Ctrl-C: all of it lies in one private tmpfs, one cgroup, and namespaces held
only by that tmpfs. What a killed rig left behind is removed by the next one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, Unpack

from tests.support.cgroups import end_all, find_cgroup2, find_leader
from tests.support.roots import CACHE, get_root, get_roots, locked
from tests.support.tools import run_checked

TOOLS = {"mmdebstrap": "mmdebstrap", "systemd-nspawn": "systemd-container", "ip": "iproute2", "dpkg-scanpackages": "dpkg-dev"}
BOOT_SECONDS = 180.0
COMMAND_SECONDS = 120.0
REBOOT_STATUS = 133
NETWORK = "10.77.0"
NAME = "trueup-rig"
ENVIRONMENT = ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8")
# Joins the cgroup in $0 before it becomes the program, so that it ends with the host.
JOIN = 'echo $$ >"$0" && exec "$@"'
# A container that asks for a reboot ends with 133 and is started again.
SUPERVISE = f'echo $$ >"$0" || exit 1; while "$@"; [ $? -eq {REBOOT_STATUS} ]; do :; done'
NSPAWN = (
    "systemd-nspawn",
    "-q",
    "--register=no",
    "--keep-unit",
    "--capability=CAP_NET_ADMIN",
    "--kill-signal=SIGRTMIN+4",
    "--resolv-conf=off",
    "--timezone=off",
    "--link-journal=no",
    "--console=pipe",
)


@dataclass(frozen=True)
class Init:
    """How a host's first process is started, where its cgroup is, how it is asked whether all is started, and what brings it."""

    start: str = "/sbin/init"
    group: str = "payload"
    ask: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    looks: int = 1  # so often in a row it must say so


# The runlevel, once its scripts have ended.
ASK_AT_REST = "pgrep -x 'rc|startpar|openrc' >/dev/null || "
SCRIPTS = ("insserv", "startpar", "initscripts")
LOOKS = 6  # between the scripts of two runlevels none runs for a moment
INITS = {
    "systemd": Init("--boot", "payload/init.scope", ("systemctl", "is-system-running"), ("running", "degraded")),
    "sysvinit": Init(
        ask=("sh", "-c", ASK_AT_REST + "runlevel"), answers=("N 2",), packages=(*SCRIPTS, "sysv-rc", "sysvinit-core"), looks=LOOKS
    ),
    "openrc": Init(
        ask=("sh", "-c", ASK_AT_REST + "rc-status --runlevel"),
        answers=("default",),
        packages=(*SCRIPTS, "libeinfo1", "librc1", "openrc", "sysvinit-core"),
        looks=LOOKS,
    ),
    "runit": Init(
        ask=("pgrep", "runsvdir"),
        answers=tuple("123456789"),
        packages=(*SCRIPTS, "sysv-rc", "runit-helper", "sysuser-helper", "getty-run", "runit", "runit-init"),
        looks=LOOKS,
    ),
}


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    status: int
    out: str
    err: str


class Options(TypedDict, total=False):
    """What `Rig.make` takes beside a name and a suite."""

    binds: Sequence[tuple[str, str]]
    init: str
    like: TestHost | None


class TestHost:
    """One machine: see the module. Made by `Rig.boot`."""

    __test__ = False

    def __init__(self, rig: Rig, name: str, layers: str, *, number: int, binds: Sequence[tuple[str, str]], init: str) -> None:
        self.name = name
        self.address = f"{NETWORK}.{10 + number}"
        self.folder = rig.folder / name
        self.path = self.folder / "machine"
        self.namespace = self.folder / "network"
        self._group = rig.group / name
        self._binds = tuple(binds)
        self._init = INITS[init]
        self.layers = layers
        self._make_files()
        if self._init.packages:
            exchange_init(self.path, self._init.packages)
        self._connect(rig.namespace, f"v{number}")

    def boot(self) -> None:
        """Start it and wait until its init says that everything is started."""
        self._group.mkdir(exist_ok=True)
        binds = [f"--bind-ro={source}:{target}" for source, target in self._binds]
        command = [*NSPAWN, "-D", str(self.path), "-M", self.name, f"--network-namespace-path={self.namespace}", *binds]
        command.append(self._init.start)
        environment = {**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1", "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"}
        with (self.folder / "console").open("ab") as console:
            self._supervisor = subprocess.Popen(
                ["sh", "-c", SUPERVISE, str(self._group / "cgroup.procs"), *command],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env=environment,
                start_new_session=True,
            )
        self._await_start(0)

    def run(self, argv: Sequence[str], *, data: bytes = b"", check: bool = True, timeout: float = COMMAND_SECONDS) -> Done:
        """Run a program as root in the host; with `check`, any status but 0 fails the test."""
        done = subprocess.run(self._enter(argv), input=data, capture_output=True, timeout=timeout, check=False)
        found = Done(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))
        assert not check or found.status == 0, f"{self.name}: {' '.join(argv)} ended with {found.status}: {found.out}{found.err}"
        return found

    def start(self, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a program in the host, with pipes; it ends with the host at the latest."""
        pipe = subprocess.PIPE
        return subprocess.Popen(self._enter(argv), stdin=pipe, stdout=pipe, stderr=pipe)

    def copy_in(self, source: Path, target: str) -> None:
        """Copy a file or a folder from here to an absolute path in the host; parents are made."""
        place = self.path / target.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, place, symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy2(source, place)

    def add_packages(self, repository: Path) -> None:
        """Make a local repository (`tests/support/packages.py`) the host's only source of packages."""
        self.copy_in(repository, "/srv/packages")
        (self.path / "etc/apt/sources.list").write_text("deb [trusted=yes] file:/srv/packages ./\n", encoding="utf-8")
        self.run(["apt-get", "update", "-qq"])

    def reboot(self) -> None:
        """Restart in an orderly way and wait for it to be up again."""
        leader = self._leader()
        self.run(["systemctl", "reboot"], check=False)
        self._await_start(leader)

    def await_reboot(self, argv: Sequence[str]) -> None:
        """Run a program that makes the host restart some time after it has ended (one that is still there then would not end), and wait
        for it to be up again.
        """
        leader = self._leader()
        self.run(argv)
        self._await_start(leader)

    def power_off(self) -> None:
        """Cut the power: every process of the host ends at once. `boot` starts it again with the same files."""
        end_all(self._group)
        self._supervisor.wait()

    def remove(self) -> None:
        """Cut the power and throw its files away."""
        self.power_off()
        for place in (self.path, self.namespace):
            run_checked(["umount", "-l", str(place)])
        shutil.rmtree(self.folder)

    def console(self) -> str:
        """Give the end of what was printed while it started."""
        return (self.folder / "console").read_text(encoding="utf-8", errors="replace")[-3000:]

    def _make_files(self) -> None:
        for name in ("machine", "upper", "work"):
            (self.folder / name).mkdir(parents=True)
        self.folder.chmod(0o755)
        layers = f"lowerdir={self.layers},upperdir={self.folder}/upper,workdir={self.folder}/work"
        run_checked(["mount", "-t", "overlay", "overlay", "-o", layers, str(self.path)])
        (self.path / "etc/hostname").write_text(f"{self.name}\n", encoding="utf-8")
        (self.path / "etc/hosts").write_text(
            f"127.0.0.1 localhost\n127.0.1.1 {self.name}\n{NETWORK}.1 controller\n", encoding="utf-8"
        )

    def _connect(self, controller: Path, link: str) -> None:
        make_namespace(self.namespace)
        enter = ["nsenter", f"--net={controller}", "ip"]
        run_checked([*enter, "link", "add", link, "type", "veth", "peer", "name", "host0", "netns", str(self.namespace)])
        run_checked([*enter, "link", "set", link, "master", "rig0", "up"])
        inside = ["nsenter", f"--net={self.namespace}", "ip"]
        run_checked([*inside, "address", "add", f"{self.address}/24", "dev", "host0"])
        for name in ("lo", "host0"):
            run_checked([*inside, "link", "set", name, "up"])

    def _leader(self) -> int:
        return find_leader(self._group)

    def _enter(self, argv: Sequence[str]) -> list[str]:
        leader = self._leader()
        assert leader, f"{self.name} is not running: {self.console()}"
        procs = self._group / self._init.group / "cgroup.procs"
        return ["sh", "-c", JOIN, str(procs), "nsenter", "-t", str(leader), "-a", "--", "env", "-i", *ENVIRONMENT, *argv]

    def _await_start(self, old_leader: int) -> None:
        deadline, seen = time.monotonic() + BOOT_SECONDS, 0
        while True:
            status = self._supervisor.poll()
            assert status is None, f"{self.name}: systemd-nspawn ended with {status}: {self.console()}"
            seen = seen + 1 if self._is_started(old_leader) else 0
            if seen >= self._init.looks:
                return
            assert time.monotonic() < deadline, f"{self.name} did not start in {BOOT_SECONDS:.0f} s: {self.console()}"
            time.sleep(0.05)

    def _is_started(self, old_leader: int) -> bool:
        if self._leader() in (0, old_leader) or not (self._group / self._init.group).is_dir():
            return False
        return self.run(self._init.ask, check=False).out.strip().startswith(self._init.answers)


class Rig:
    """The controller's side of some hosts. Made by `open_rig`."""

    def __init__(self, folder: Path, group: Path) -> None:
        self.folder = folder
        self.group = group
        self.namespace = folder / "controller"
        self._count = 0
        make_namespace(self.namespace)
        for arguments in (
            ("link", "set", "lo", "up"),
            ("link", "add", "rig0", "type", "bridge"),
            ("address", "add", f"{NETWORK}.1/24", "dev", "rig0"),
            ("link", "set", "rig0", "up"),
        ):
            self.run(["ip", *arguments])

    def prepare(self, suites: Sequence[str]) -> None:
        """Make the roots of several suites at once, before hosts of them are booted (only to save time)."""
        get_roots(suites)

    def boot(self, name: str, suite: str, **options: Unpack[Options]) -> TestHost:
        """Make a host of a Debian suite (`make`), start it, and wait for it."""
        host = self.make(name, suite, **options)
        host.boot()
        return host

    def make(
        self,
        name: str,
        suite: str,
        *,
        binds: Sequence[tuple[str, str]] = (),
        init: str = "systemd",
        like: TestHost | None = None,
    ) -> TestHost:
        """Make a host that is not running yet; `binds` are (here, there), read-only; `like` is one whose files it begins with.

        Another `init` than systemd (`INITS`) needs a root that has its packages: the suite `many` (`tests/support/roots.py`).
        """
        layers = f"{like.folder}/upper:{like.layers}" if like else str(get_root(suite))
        host = TestHost(self, name, layers, number=self._count, binds=binds, init=init)
        self._count += 1
        return host

    def run(self, argv: Sequence[str], *, data: bytes = b"") -> str:
        """Run a program of this machine in the controller's network namespace; give its output."""
        return run_checked(["nsenter", f"--net={self.namespace}", *argv], data=data)


@contextlib.contextmanager
def open_rig() -> Generator[Rig]:
    """Give a rig without hosts; everything it ever made is gone at the end."""
    missing = sorted(package for tool, package in TOOLS.items() if shutil.which(tool) is None)
    assert os.geteuid() == 0, "test hosts need root"
    assert not missing, f"test hosts need these Debian packages: {' '.join(missing)} (scripts/test-packages installs them)"
    cgroups = find_cgroup2()
    with locked(CACHE / "stale.lock"):
        remove_stale(cgroups)
    group = cgroups / f"{NAME}-{os.getpid()}"
    folder = Path(tempfile.mkdtemp(prefix=f"{NAME}-{os.getpid()}-"))
    try:
        group.mkdir()
        run_checked(["mount", "-t", "tmpfs", "-o", "mode=0755", NAME, str(folder)])
        run_checked(["mount", "--make-rprivate", str(folder)])
        yield Rig(folder, group)
    finally:
        remove_rig(group, folder)


def exchange_init(root: Path, packages: Sequence[str]) -> None:
    """Put another init in systemd's place, from the packages that the root keeps in /srv/debs."""
    files = [f"/srv/debs/{next((root / 'srv/debs').glob(f'{name}_*.deb')).name}" for name in packages]
    enter = ["chroot", str(root), "env", "-i", *ENVIRONMENT, "DEBIAN_FRONTEND=noninteractive"]
    run_checked([*enter, "dpkg", "--force-depends", "--purge", "systemd-sysv"])
    run_checked([*enter, "dpkg", "--force-depends", "-i", *files])


def make_namespace(path: Path) -> None:
    """Make a network namespace that lives as long as its mount at a path."""
    path.touch()
    run_checked(["unshare", f"--net={path}", "true"])


def remove_rig(group: Path, folder: Path) -> None:
    """End all processes of a rig, take away its mounts (and with them its namespaces) and its folder."""
    end_all(group)
    for place in sorted(list_mounts(folder), reverse=True):
        run_checked(["umount", "-l", place])
    folder.rmdir()


def list_mounts(folder: Path) -> list[str]:
    """Give every mount point at or below a folder."""
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    places = [line.split(" ")[4] for line in lines]
    return [place for place in places if place == str(folder) or place.startswith(f"{folder}/")]


def remove_stale(cgroups: Path) -> None:
    """Remove what rigs of processes that are no more left behind (they were killed before they could)."""
    for group in cgroups.glob(f"{NAME}-*"):
        pid = group.name.rpartition("-")[2]
        if Path(f"/proc/{pid}").exists():
            continue
        for folder in Path(tempfile.gettempdir()).glob(f"{NAME}-{pid}-*"):
            remove_rig(group, folder)
        end_all(group)
