"""What is mounted: the kernel's table (/proc/self/mountinfo), and whether what is at a place is what a line of fstab says.

Where that cannot be told (a label that udev does not show, an image behind a loop device) it counts as the same: nothing that works is
taken away on a guess.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, List, Optional, Sequence, Tuple

from gitops.errors import HostError
from gitops.providers.host import Host
from gitops.providers.mounts.fstab import FstabEntry, unescape

TABLE = "/proc/self/mountinfo"
MAX_LINKS = 40
BEFORE_DASH = 6
TAG = re.compile(r"(UUID|LABEL|PARTUUID|PARTLABEL)=([A-Za-z0-9_.:-]+)\Z")
REMOTE = ("nfs", "nfs4", "cifs", "smb3")
SAME_TYPE: Dict[str, str] = {"nfs4": "nfs", "smb3": "cifs", "msdos": "vfat"}
FUSE = ("ntfs", "ntfs-3g", "sshfs", "glusterfs", "s3fs")
OPPOSITE: Dict[str, str] = {"ro": "rw", "nosuid": "suid", "nodev": "dev", "noexec": "exec", "sync": "async", "noatime": "atime"}
IMPLIED: Dict[str, Tuple[str, ...]] = {
    "user": ("nosuid", "nodev", "noexec"),
    "users": ("nosuid", "nodev", "noexec"),
    "owner": ("nosuid", "nodev"),
    "group": ("nosuid", "nodev"),
}


@dataclass(frozen=True)
class Mount:
    """One row: the file system's number, which part of it is shown, where, how, and from what."""

    number: str
    root: str
    path: str
    options: Tuple[str, ...]
    fstype: str
    source: str
    super_options: Tuple[str, ...]

    @property
    def flags(self) -> Tuple[str, ...]:
        """Those of the flags that OPPOSITE names which it has."""
        return tuple(flag for flag in OPPOSITE if flag in self.options or (flag == "sync" and flag in self.super_options))


def read_mounts(host: Host) -> Sequence[Mount]:
    """Give all that is mounted, the newest last; raise HostError where the kernel does not tell: a machine has at least its root."""
    found = [row for row in map(read_row, host.read_text(TABLE).splitlines()) if row is not None]
    if not found:
        raise HostError(f"the kernel does not tell what is mounted ({TABLE} is missing or empty)", code="E316")
    return found


def read_row(line: str) -> Optional[Mount]:
    """Give one row (proc(5)); None for what is none."""
    left, dash, right = line.partition(" - ")
    first, second = left.split(" "), right.split(" ")
    if not dash or len(first) < BEFORE_DASH or len(second) < 2:  # noqa: PLR2004  type and source
        return None
    root, path, options = (unescape(item) for item in first[3:6])
    super_options = second[2] if len(second) > 2 else ""  # noqa: PLR2004  type, source, options
    return Mount(first[2], root, path, tuple(options.split(",")), second[0], unescape(second[1]), tuple(super_options.split(",")))


def find_mount(mounts: Sequence[Mount], path: str) -> Optional[Mount]:
    """Give what is seen at a mount point: the newest; an automount that waits there is not yet a mount."""
    found = [mount for mount in mounts if mount.path == path]
    return found[-1] if found and found[-1].fstype != "autofs" else None


def is_wanted(entry: FstabEntry, mount: Mount, mounts: Sequence[Mount], host: Host) -> bool:
    """Say whether a mount is what a line says."""
    if entry.is_bind:
        source = resolve(entry.device, host)
        holder = _find_holder(mounts, source)
        return holder is None or (mount.number, mount.root) == (holder.number, _join(holder, source))
    if not _is_same_type(entry.fstype, mount.fstype):
        return False
    if entry.fstype in REMOTE:
        return entry.device.rstrip("/") == mount.source.rstrip("/")
    device = _device_of(entry.device)
    if not device or not mount.source.startswith("/dev/") or host.inspect(device).type == "absent":
        return True
    return resolve(device, host) == resolve(mount.source, host)


def wanted_flags(entry: FstabEntry) -> Dict[str, bool]:
    """Give the flags that a line says something of: set or not; what it does not name is the kernel's business."""
    found: Dict[str, bool] = {}
    for word in entry.words:
        for flag in IMPLIED.get(word, ()):
            found[flag] = True
        for flag, opposite in OPPOSITE.items():
            if word in (flag, opposite):
                found[flag] = word == flag
    return found


def resolve(path: str, host: Host) -> str:
    """Follow the links of a path, as far as there are any, within a bound."""
    done, coming, links = "", path.split("/")[::-1], 0
    while coming:
        name = coming.pop()
        if name in ("", "."):
            continue
        if name == "..":
            done = done.rpartition("/")[0]
            continue
        found = host.inspect(f"{done}/{name}")
        if found.type != "symlink" or links == MAX_LINKS:
            done = f"{done}/{name}"
            continue
        links += 1
        done = "" if found.target.startswith("/") else done
        coming.extend(found.target.split("/")[::-1])
    return done or "/"


def _find_holder(mounts: Sequence[Mount], path: str) -> Optional[Mount]:
    """Give the mount that a path lies in."""
    above: List[Mount] = [mount for mount in mounts if mount.path == "/" or f"{path}/".startswith(f"{mount.path}/")]
    return max(reversed(above), key=lambda mount: len(mount.path), default=None)


def _join(holder: Mount, path: str) -> str:
    below = path if holder.path == "/" else path[len(holder.path) :]
    return f"{holder.root.rstrip('/')}{below}".rstrip("/") or "/"


def _is_same_type(declared: str, found: str) -> bool:
    if declared == "auto" or SAME_TYPE.get(declared, declared) == SAME_TYPE.get(found, found):
        return True
    return (declared in FUSE or declared.startswith("fuse")) and found.startswith("fuse")


def _device_of(device: str) -> str:
    found = TAG.match(device)
    if found is not None:
        return f"/dev/disk/by-{found[1].lower()}/{found[2]}"
    return device if device.startswith("/dev/") else ""
