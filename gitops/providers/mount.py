"""Mounts: a line of /etc/fstab, and what is mounted on the running machine.

`mounted`: the line, and mounted now. `present`: the line alone. `unmounted`: the line, and not mounted now (the next boot mounts it, unless
`noauto` is among its options). `absent`: neither. Other lines of the file are never touched, and a line that says the same with other
blanks stays. The mount point is made where it is missing. Nothing is unmounted that this config did not name: where something else is
mounted than the line says, that is refused. What is busy is told as failed; it is never unmounted lazily or by force.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, cast

from gitops.errors import HostError, TrueupError
from gitops.model.attribute import attribute
from gitops.model.codec import Json
from gitops.model.observation import State
from gitops.model.plan import Difference, FieldChange
from gitops.model.report import Outcome
from gitops.model.resource import Resource
from gitops.model.textedit import put_line, split_lines, take_line
from gitops.providers.base import ANYTHING, Possible, Relations, Step
from gitops.providers.edits import EditProvider, Place
from gitops.providers.host import Host
from gitops.providers.mounts.fstab import FILE, FstabEdit, FstabEntry, compare_entries, has_comment, read_entry
from gitops.providers.mounts.mountinfo import OPPOSITE, Mount, find_mount, is_wanted, read_mounts, wanted_flags
from gitops.providers.mounts.outside import as_machine
from gitops.providers.services.systemd import BOOTED
from gitops.providers.steps import PARENT_MODE, bound_parents, describe_failure, imply_parents

STATES = ("mounted", "present", "unmounted", "absent")
LIVE, FLAGS, UNKNOWN = "live", "flags", "unknown"
WORD = re.compile(r"[^\s,#\x00-\x1f\x7f]+\Z")
TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}\Z")
DEVICE = re.compile(r"[^\x00-\x1f\x7f]{1,1000}\Z")
SECRET_OPTIONS = ("password", "pass", "passwd", "password2")
NEVER_TAKEN = ("/boot", "/dev", "/etc", "/proc", "/run", "/sys", "/usr", "/var")
READ_ONLY_TYPES = ("squashfs", "iso9660", "erofs", "udf", "cramfs", "romfs")
PACKAGES: Mapping[str, Tuple[str, ...]] = {
    "btrfs": ("btrfs-progs",),
    "cifs": ("cifs-utils",),
    "ext4": ("e2fsprogs",),
    "fuse.sshfs": ("sshfs", "fuse-sshfs"),
    "nfs": ("nfs-common", "nfs-utils"),
    "nfs4": ("nfs-common", "nfs-utils"),
    "ntfs-3g": ("ntfs-3g",),
    "xfs": ("xfsprogs",),
}
NOTHING = "not mounted"
PROGRAMS = {name: (f"/usr/bin/{name}", f"/bin/{name}") for name in ("mount", "umount")}
TIMEOUT = 120
OUTPUT_SHOWN = 400
MAX_LAYERS = 8
WRITABLE_BY_OTHERS = 0o022
RELOAD = ("systemctl", "daemon-reload")


@dataclass(frozen=True)
class MountSpec:
    """A mount point."""

    path: str
    device: Optional[str] = attribute(
        "text", "what is mounted: a device, `UUID=…`, `server:/export`, a folder (with `bind`), `tmpfs`"
    )
    fstype: Optional[str] = attribute("text", "the file system's type, as mount(8) takes it; `none` for a bind mount")
    options: str = attribute("text", "options of fstab(5), with commas between", default="defaults")
    dump: int = attribute("integer", "whether dump(8) takes it", default=0, bounds=(0, 1))
    passno: int = attribute("integer", "when fsck(8) checks it at boot; 0: never", default=0, bounds=(0, 9))
    state: str = attribute("choice", "mounted, present (in fstab), unmounted or absent", default="mounted", choices=STATES)

    @property
    def name(self) -> str:
        """The mount point."""
        return self.path

    @property
    def entry(self) -> FstabEntry:
        """The line as declared."""
        return FstabEntry(self.device or "", self.path, self.fstype or "", self.options, self.dump, self.passno)

    @property
    def edit(self) -> FstabEdit:
        """The line's place."""
        return FstabEdit(self.entry.line, path=self.path)


class MountProvider(EditProvider[MountSpec]):
    """See the module."""

    kind = "mount"
    spec = MountSpec
    summary = "a mount point: its line in /etc/fstab, and what is mounted"
    needs_linux = True
    reach = ANYTHING

    def locate(self, spec: MountSpec) -> Place:
        """In /etc/fstab, looked for by the mount point."""
        return Place(FILE, spec.entry.line, spec.state == "absent", mistake=find_mistake(spec))

    def look(self, spec: MountSpec, text: str) -> Dict[str, Json]:
        """Find the line; raise MalformedError when it is there twice, since one of them is somebody else's."""
        lines = [line for line in split_lines(text) if spec.edit.is_meant(line)]
        if len(lines) > 1:
            raise HostError(f"{FILE} has {len(lines)} lines of {spec.path}; mend it by hand", code="E300")
        found = [read_entry(line) for line in lines]
        differing: List[Json] = [name for entry in found if entry is not None for name in compare_entries(entry, spec.entry)]
        state: Dict[str, Json] = {"there": bool(lines), "differs": differing}
        if differing and any(map(has_comment, lines)):
            state["comment"] = True
        return state

    def is_right(self, spec: MountSpec, state: State) -> bool:  # noqa: ARG002  all is in the state
        """It says the same, with whatever blanks."""
        return bool(state["there"]) and not state["differs"]

    def edit(self, spec: MountSpec, text: str) -> str:
        """Put it in or take it out."""
        return take_line(text, spec.edit) if spec.state == "absent" else put_line(text, spec.edit)

    def describe(self, spec: MountSpec, state: State) -> FieldChange:
        """The line; of the one that it takes the place of, which fields differ, and that a comment goes."""
        differing = cast("Sequence[str]", state.get("differs") or ())
        before = f"other {', '.join(differing)}" + (", and a comment at its end" if state.get("comment") else "")
        return FieldChange("line", before if differing else None, spec.entry.line.replace("\t", " "))

    def observe(self, specs: Sequence[MountSpec], host: Host) -> Mapping[str, State]:
        """State: of the line; on the running machine `live`: what is mounted there, and what the mount point is; or `unknown`, why that
        cannot be told.
        """
        states = dict(super().observe(specs, host))
        if host.is_live:
            good = [spec for spec in specs if not find_mistake(spec)]
            try:
                mounts, lacking = read_mounts(host), _find_lacking(host)
            except (HostError, OSError) as error:
                states.update({spec.path: {**states[spec.path], UNKNOWN: describe_failure(error)} for spec in good})
                return states
            for spec in good:
                live = _look_live(spec, mounts, host)
                states[spec.path] = {**states[spec.path], LIVE: {**live, "lacks": lacking} if lacking else live}
        return states

    def diff(self, spec: MountSpec, state: State) -> Optional[Difference]:
        """Compare the line, and what is mounted."""
        found, live = super().diff(spec, state), state.get(LIVE)
        is_asked = state.get("asked") == self.locate(spec).asked
        if state.get(UNKNOWN) and is_asked and spec.state != "present":
            return Difference("refused", reason=str(state[UNKNOWN]))
        if not isinstance(live, dict) or not is_asked or (found is not None and found.action == "refused"):
            return found
        differing = cast("Sequence[str]", state.get("differs") or ())
        reason = _find_obstacle(spec, live, differing)
        if reason:
            return Difference("refused", reason=reason)
        changes = _compare_live(spec, live, differing)
        if not changes:
            return found
        if spec.state == "absent":
            obstacle = "" if found is None else found.obstacle
            return _with_lack(Difference("remove", changes, obstacle=obstacle), live)
        is_made = spec.state == "mounted" and live["point"] == "absent"
        implied = (*imply_parents(live), Resource("directory", spec.path, {"mode": PARENT_MODE})) if is_made else ()
        if found is None:
            return _with_lack(Difference("update", changes, implied=implied), live)
        return _with_lack(replace(found, fields=(*found.fields, *changes), implied=(*found.implied, *implied)), live)

    def apply(self, steps: Sequence[Step[MountSpec]], host: Host) -> Iterator[Outcome]:
        """Unmount what is to go, write the lines as one, tell systemd, mount what is to be there."""
        is_booted = host.is_live and host.inspect(BOOTED).type == "directory"
        failures = _do_all([step for step in steps if step.spec.state == "absent"], host)
        written = [step for step in steps if step.address not in failures and _touches_line(step)]
        if is_booted and written:
            host.note_undo(list(RELOAD))  # undone last, when the file is as it was
        outcomes = {item.address: item for item in super().apply(written, host)} if written else {}
        failures.update({address: item.message for address, item in outcomes.items() if item.result != "changed"})
        if is_booted and any(item.result == "changed" for item in outcomes.values()):
            host.run(list(RELOAD))  # else systemd would go by the units that it made of the old lines
            host.note_undo(list(RELOAD))  # undone first, before anything is mounted by the old line
        rest = [step for step in steps if step.spec.state != "absent" and step.address not in failures]
        failures.update(_do_all(rest, host))
        for step in steps:
            reason = failures.get(step.address, "")
            yield Outcome(step.address, step.action, "failed" if reason else "changed", reason)

    def relate(self, spec: MountSpec) -> Relations:
        """After its mount point and what it is mounted from; before whatever lies below it."""
        if find_mistake(spec):
            return Relations()
        wants = [f"path:{spec.path}", f"path:{spec.path.rpartition('/')[0] or '/'}", "path:/etc"]
        if spec.device and spec.device.startswith("/") and not spec.device.startswith("/dev/"):
            wants.append(f"path:{spec.device}")
        wants.extend(f"path:{word.partition('=')[2]}" for word in spec.entry.words if word.startswith("credentials=/"))
        wants.append("package:mount")
        wants.extend(f"package:{name}" for name in PACKAGES.get(spec.fstype or "", ()))
        is_absent = spec.state == "absent"
        keeps = () if is_absent else (spec.path,)
        return Relations((f"path:{spec.path}",), tuple(wants), is_absent=is_absent, edits=(FILE,), keeps=keeps)

    def bound(self, spec: MountSpec) -> Sequence[Possible]:
        """At most: set it and make every parent, or remove it."""
        if spec.state == "absent":
            return (Possible("remove"),)
        parents = bound_parents(f"{spec.path}/") if spec.state == "mounted" else ()
        return (*super().bound(spec), *(Possible("set", parent) for parent in parents if parent.name != "/etc"))


def find_mistake(spec: MountSpec) -> str:
    """Say what of a Spec cannot be meant; empty when nothing."""
    if spec.state == "absent":
        return ""
    if not spec.device or not spec.fstype:
        return f"`{'fstype' if spec.device else 'device'}` is missing: only `state: absent` goes without"
    if not DEVICE.match(spec.device):
        return "`device` must be one line of at most 1000 characters"
    if not TYPE.match(spec.fstype):
        return f"`fstype`: {spec.fstype[:40]!r} is not a type like `ext4`, `tmpfs` or `nfs`"
    if spec.fstype == "swap":
        return "`fstype: swap`: swap has no mount point; use `line` for it"
    return _find_wrong_option(spec)


def _find_wrong_option(spec: MountSpec) -> str:
    words = spec.options.split(",")
    wrong = next((word for word in words if not WORD.match(word)), None)
    if wrong is not None:
        return f"`options`: {wrong[:40]!r} is not an option; write them with commas and without blanks"
    if any(word.partition("=")[0] in SECRET_OPTIONS for word in words):
        return "`options`: everybody may read /etc/fstab, so no password belongs there; use `credentials=FILE`"
    if "x-systemd.automount" in words and spec.state in ("mounted", "unmounted"):
        return "`x-systemd.automount` mounts at the first use: declare `state: present`, and a `service` for the .automount unit"
    if spec.entry.is_bind and not (spec.device or "").startswith("/"):
        return "`device`: a bind mount shows a folder, named by its absolute path"
    return ""


def _look_live(spec: MountSpec, mounts: Sequence[Mount], host: Host) -> Dict[str, Json]:
    point, mount = host.inspect(spec.path), find_mount(mounts, spec.path)
    found: Dict[str, Json] = {"point": point.type, "parents": list(point.parents)}
    reason = point.reason or _find_others_folder(spec.path, host)
    if reason:
        found["reason"] = reason
    if mount is not None:
        found["what"] = f"{mount.source} ({mount.fstype})"
        found["wanted"] = spec.state == "absent" or is_wanted(spec.entry, mount, mounts, host)
        found["flags"] = list(mount.flags)
    return found


def _find_lacking(host: Host) -> str:
    """Name the program that is not here (small images have no package `mount`), or nothing."""
    return next((name for name, paths in PROGRAMS.items() if all(host.inspect(path).type == "absent" for path in paths)), "")


def _with_lack(difference: Difference, live: Mapping[str, Json]) -> Difference:
    lacking = live.get("lacks")
    if not lacking:
        return difference
    reason = (
        f"there is no {lacking}(8) on this machine (yet): this fails if nothing before it, such as `package: mount`, brings it"
    )
    return replace(difference, reason=reason, confidence="conditional")


def _find_others_folder(path: str, host: Host) -> str:
    """Name a folder above the mount point that somebody else could exchange for a link, which mount(8) would follow."""
    above, root = path.rpartition("/")[0], host.inspect("/etc").uid
    while above:
        folder = host.inspect(above)
        if folder.type == "directory" and (folder.uid != root or int(folder.mode or "0", 8) & WRITABLE_BY_OTHERS):
            return f"others than root may write to {above}, so they could lead the mount elsewhere"
        above = above.rpartition("/")[0]
    return ""


def _find_obstacle(spec: MountSpec, live: Mapping[str, Json], differing: Sequence[str]) -> str:
    is_mounted, wants_it = "what" in live, spec.state == "mounted"
    if spec.state == "present" or (is_mounted == wants_it and not wants_it):
        return ""
    if live.get("reason"):
        return str(live["reason"])
    if not wants_it:
        return "the machine needs it; unmount it yourself" if spec.path in NEVER_TAKEN else ""
    if live["point"] in ("symlink", "other"):
        return (
            f"the mount point is a {'link' if live['point'] == 'symlink' else 'device, socket or pipe'}; name the folder itself"
        )
    if live["point"] == "file" and not spec.entry.is_bind:
        return "the mount point is a file"
    if is_mounted and not live["wanted"] and (spec.path in NEVER_TAKEN or not {"device", "fstype"} & set(differing)):
        return f"{live['what']} is mounted there; unmount it yourself, or declare `state: unmounted` first"
    return ""


def _compare_live(spec: MountSpec, live: Mapping[str, Json], differing: Sequence[str]) -> Tuple[FieldChange, ...]:
    """Give what must be done on the running machine."""
    what = live.get("what")
    if spec.state == "present":
        return ()
    if spec.state != "mounted":
        return () if what is None else (FieldChange(LIVE, what, NOTHING),)
    wanted = f"{spec.device} ({spec.fstype})"
    if what is None:
        return (FieldChange(LIVE, NOTHING, wanted),)
    if not live["wanted"]:
        return (FieldChange(LIVE, what, wanted),)
    flags = cast("Sequence[str]", live.get("flags") or ())
    if "options" in differing or any((flag in flags) is not is_set for flag, is_set in wanted_flags(spec.entry).items()):
        return (FieldChange(FLAGS, ",".join(flags) or None, spec.options),)
    return ()


def _touches_line(step: Step[MountSpec]) -> bool:
    if step.action == "remove":
        return bool(step.state.get("there"))
    return any(item.name not in (LIVE, FLAGS) for item in step.difference.fields)


def _do_all(steps: Sequence[Step[MountSpec]], host: Host) -> Dict[str, str]:
    """Mount, unmount, remount; give the reason of each that failed."""
    failures: Dict[str, str] = {}
    for step in steps:
        names = {item.name for item in step.difference.fields}
        try:
            if LIVE in names:
                _set_mounted(step, host)
            elif FLAGS in names:
                _remount(step.spec, host)
        except (TrueupError, OSError) as error:
            failures[step.address] = describe_failure(error)
    return failures


def _set_mounted(step: Step[MountSpec], host: Host) -> None:
    spec = step.spec
    for _ in range(MAX_LAYERS):  # one may lie over another
        mount = find_mount(read_mounts(host), spec.path)
        if mount is None:
            break
        again = ["mount", "--", spec.path] if step.state.get("there") else _mount_again(mount)
        host.note_undo(
            as_machine(again, host) if again else (),
            f"what was mounted at {spec.path} cannot be named, so it cannot be mounted again",
        )
        _run(["umount", "--", spec.path], host)
    if spec.state != "mounted":
        return
    host.note_undo(as_machine(["umount", "--", spec.path], host))
    _run(["mount", "--", spec.path], host)
    mounts = read_mounts(host)
    mount = find_mount(mounts, spec.path)
    if mount is None or not is_wanted(spec.entry, mount, mounts, host):
        found = "nothing" if mount is None else f"{mount.source} ({mount.fstype})"
        raise HostError(f"mount {spec.path}: the kernel shows {found} there", code="E301")


def _mount_again(mount: Mount) -> Sequence[str]:
    """Give the command that mounts again what fstab does not name; nothing for a part of a file system."""
    if mount.root != "/":
        return ()
    options = ",".join(dict.fromkeys((*mount.options, *(word for word in mount.super_options if word))))
    return ["mount", "-t", mount.fstype, "-o", options, "--", mount.source, mount.path]


def _remount(spec: MountSpec, host: Host) -> None:
    """Give a mount its options; flags that it has and the line does not name are taken away."""
    mount = find_mount(read_mounts(host), spec.path)
    if mount is None:
        raise HostError(f"{spec.path} is not mounted any more", code="E302")
    bind = ["bind"] if spec.entry.is_bind else []
    named = wanted_flags(spec.entry)
    kept = ("ro",) if mount.fstype in READ_ONLY_TYPES else ()
    cleared = [OPPOSITE[flag] for flag in mount.flags if flag not in named and flag not in kept]
    words = [word for word in spec.entry.words if word not in ("bind", "rbind", "defaults")]
    before = [*mount.flags, *(OPPOSITE[flag] for flag in OPPOSITE if flag not in mount.flags)]
    host.note_undo(as_machine(["mount", "-o", ",".join(["remount", *bind, *before]), "--", spec.path], host))
    _run(["mount", "-o", ",".join(["remount", *bind, *words, *cleared]), "--", spec.path], host)
    after = find_mount(read_mounts(host), spec.path)
    missing = [flag for flag, is_set in named.items() if after is None or (flag in after.flags) is not is_set]
    if missing:
        raise HostError(f"mount {spec.path}: the kernel did not take {', '.join(missing)}", code="E303")


def _run(argv: Sequence[str], host: Host) -> None:
    done = host.run(as_machine(argv, host), timeout=TIMEOUT)
    if done.status != 0:
        words = done.output.strip()[-OUTPUT_SHOWN:] or "no reason given"
        raise HostError(f"{argv[0]} ended with {done.status}: {words}", code="E304")


__all__: List[str] = ["MountProvider", "MountSpec", "find_mistake"]
