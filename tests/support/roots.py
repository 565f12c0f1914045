"""Root file systems of Debian releases for test hosts, made once by mmdebstrap and kept in a cache outside the checkout.

Mirror and component come from this machine's own apt configuration; nothing here names one. A root is never changed after it is
made: hosts lie over it (overlayfs). Two processes that want the same root at once: one makes it, the other waits.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.tools import run_checked

# Read when the module is imported: tests get a home of their own later.
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trueup-test-roots"
PACKAGES = ("systemd", "systemd-sysv", "dbus", "python3", "passwd", "iproute2", "procps")
# The suite MANY is bookworm with other package managers, what generates locales, and the packages of other inits in /srv/debs.
MANAGERS = (
    "dnf",
    "dnf-plugins-core",
    "rpm",
    "createrepo-c",
    "pacman-package-manager",
    "makepkg",
    "libarchive-tools",
    "locales",
    "gnupg",
)
INITS = (
    *("insserv", "startpar", "initscripts", "sysv-rc", "sysvinit-core", "libeinfo1", "librc1", "openrc"),
    *("runit-helper", "sysuser-helper", "getty-run", "runit", "runit-init"),
)
KEEP_INITS = f'mkdir -p "$1/srv/debs" && chroot "$1" sh -c "cd /srv/debs && apt-get download {" ".join(INITS)}"'
# The suite STACK_SUITE is bookworm with an SSH server, git and doas, and in /srv/packages what the project `examples/stack` installs, with all it needs.
SERVER = ("openssh-server", "git", "opendoas")
STACK = ("sudo", "nginx-light", "postgresql", "python3-psycopg2", "cron", "nftables")
KEEP_STACK = (
    f'chroot "$1" apt-get install -y -q --download-only --no-install-recommends {" ".join(STACK)} && mkdir -p "$1/srv/packages"'
    ' && mv "$1"/var/cache/apt/archives/*.deb "$1/srv/packages" && cd "$1/srv/packages" && dpkg-scanpackages -m . >Packages'
)
# The suites of zypper, which does not go together with dnf's plugins: bookworm has it as of 2021, trixie as of 2025.
ZYPPER = ("zypper", "rpm", "createrepo-c")
# dnf 5 (Fedora's since 41) is in sid alone, whose index is dated within days: of a mirror that stands still it is expired, and signed as ever.
DNF5, DNF5_PACKAGES = "dnf5", ("dnf5", "rpm", "createrepo-c")
NO_DOCS = ("man", "doc", "locale", "info")
BUILD_SECONDS = 600


@dataclass(frozen=True)
class Recipe:
    """What a suite that is no Debian release is made of."""

    packages: tuple[str, ...]
    kept: tuple[str, ...]
    hook: str
    release: str = "bookworm"


MANY = "many"
STACK_SUITE = "stack"
ZYPPER_SUITES = {"zypper": "bookworm", "zypper-trixie": "trixie"}
RECIPES = {
    MANY: Recipe(MANAGERS, INITS, KEEP_INITS),
    DNF5: Recipe(DNF5_PACKAGES, (), "", "sid"),
    STACK_SUITE: Recipe(SERVER, STACK, KEEP_STACK),
    **{suite: Recipe(ZYPPER, (), "", release) for suite, release in ZYPPER_SUITES.items()},
}


def get_roots(suites: Sequence[str], cache: Path = CACHE) -> dict[str, Path]:
    """Give the root of each suite (such as `bookworm`); missing ones are made, all at once."""
    with ThreadPoolExecutor(max(len(suites), 1)) as pool:
        waiting = {suite: pool.submit(get_root, suite, cache) for suite in suites}
        return {suite: future.result() for suite, future in waiting.items()}


def get_root(suite: str, cache: Path = CACHE) -> Path:
    """Give one root; safe in many processes at once."""
    own = RECIPES.get(suite)
    recipe = hashlib.sha256(repr((PACKAGES, NO_DOCS, *((own.packages, own.kept) if own else ()))).encode()).hexdigest()[:12]
    root = cache / f"{suite}-{recipe}"
    if root.is_dir():
        return root
    cache.mkdir(mode=0o755, parents=True, exist_ok=True)
    with locked(cache / f"{suite}.lock"):
        if not root.is_dir():
            _make_root(suite, root)
    return root


def read_mirror() -> str:
    """Give the address from which this machine's apt takes its own release."""
    codename = ""
    for line in Path("/etc/os-release").read_text(encoding="utf-8").splitlines():
        if line.startswith("VERSION_CODENAME="):
            codename = line.partition("=")[2].strip('"')
    listed = run_checked(["apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)", "Created-By: Packages"])
    for line in listed.splitlines():
        release, component, address = line.split(" ", 2)
        if (release, component) == (codename, "main"):
            return address
    raise AssertionError(
        f"this machine's apt has no source for {codename or 'its own release'}/main, so no test host can be made"
    )


def _make_root(suite: str, root: Path) -> None:
    building = root.parent / f".building-{suite}"
    shutil.rmtree(building, ignore_errors=True)
    log = root.parent / f"{suite}.log"
    own = RECIPES.get(suite, Recipe((), (), "", suite))
    packages = (*PACKAGES, *own.packages)
    command = ["mmdebstrap", "--variant=apt", f"--include={','.join(packages)}", '--aptopt=Acquire::Languages "none"']
    if own.release == "sid":
        command.append('--aptopt=Acquire::Check-Valid-Until "false"')
    if own.hook:
        command.append(f"--customize-hook={own.hook}")
    command.extend(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in NO_DOCS)
    with log.open("wb") as stream:
        done = subprocess.run(
            [*command, own.release, str(building), read_mirror()],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            timeout=BUILD_SECONDS,
            check=False,
        )
    assert done.returncode == 0, f"mmdebstrap {suite} failed:\n{log.read_text(errors='replace')[-3000:]}"
    _make_neutral(building)
    building.rename(root)


def _make_neutral(root: Path) -> None:
    """Take out what belongs to this machine; a copied resolver would make every look-up wait for ten seconds."""
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    for name in ("etc/resolv.conf", "etc/machine-id", "etc/apt/sources.list"):
        (root / name).write_bytes(b"")
    root.chmod(0o755)


@contextmanager
def locked(path: Path) -> Generator[None]:
    """Hold a lock that other processes wait for."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
