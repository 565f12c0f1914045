"""What the laws are tried with: for each kind, what is there and what is declared. A kind without a row here fails the conformance tests.

To let a kind join, add a row to SCENARIOS: one that creates, one that changes what is there, one that removes are a good start. `before`
says what is there (a text: a file; a name that ends with `/`: a folder; `links`: links; `extended`: attributes of what is there). If the
kind runs a program, give it a stand-in in `gitops.conformance.simulated`. In attributes `@ROOT@` is the real path of the root, `@PROGRAM@`
the external provider of the scaffold, `@USER@` whoever runs this.
The laws are in `gitops.conformance.laws`; `gitops provider test KIND` and `tests/conformance` try them.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field

from gitops.model.codec import Json, digest_bytes
from gitops.model.resource import Resource
from gitops.providers.unpacked import MANIFEST

SECRET = {"env:PASSWORD": "hunter2-and-more"}
SECRET_PARTS: Json = {"parts": ["password = ", {"secret": "password", "from": "env", "key": "PASSWORD"}, "\n"]}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ"
USERS = "root:x:0:0:root:/root:/bin/sh\nbob:x:1001:1001:Bob:/home/bob:/bin/sh\n"
GROUPS = "root:x:0:\nbob:x:1001:\nstaff:x:1050:bob\n"
ACCOUNTS: Mapping[str, str] = {"/etc/passwd": USERS, "/etc/group": GROUPS, "/home/": ""}
ARCH: Mapping[str, str] = {
    "/etc/os-release": "ID=arch\n",
    "/usr/bin/pacman": "",
    "/etc/pacman.conf": "[options]\n[core]\n",
    "/var/lib/pacman/sync/core.db": "tool 2.0-1\nother 1.0-1\n",
    "/var/lib/pacman/local/": "",
}
SYSV: Mapping[str, str] = {"/proc/1/comm": "init\n", "/etc/init.d/app": "", "/etc/rc2.d/": "", "/run/services/": ""}


@dataclass(frozen=True)
class Scenario:
    """One starting state and what is declared on it; `leaves` are places that an undo is known, and documented, to leave behind.

    `contents` come with the graph, by digest; the simulated network gives them, too (a commit by its address, which ends with its digest).
    """

    name: str
    resources: tuple[Resource, ...]
    before: Mapping[str, str] = field(default_factory=dict[str, str])
    links: Mapping[str, str] = field(default_factory=dict[str, str])
    secrets: Mapping[str, str] = field(default_factory=dict[str, str])
    leaves: tuple[str, ...] = ()
    contents: tuple[bytes, ...] = ()
    extended: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict[str, Mapping[str, bytes]])


def _declare(kind: str, name: str, **attributes: Json) -> Resource:
    return Resource(kind, name, attributes)


def _absent(kind: str, name: str, **attributes: Json) -> Resource:
    return Resource(kind, name, {**attributes, "state": "absent"})


def _pack(**texts: str) -> bytes:
    """Make a tar; `__` in a name stands for `/`. The same bytes always."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, text in texts.items():
            item = tarfile.TarInfo(name.replace("__", "/"))
            item.size = len(text)
            archive.addfile(item, io.BytesIO(text.encode()))
    return packed.getvalue()


def _blob(data: bytes) -> Json:
    return {"blob": digest_bytes(data), "size": len(data)}


def _unpacked(source: str, **texts: str) -> dict[str, str]:
    """Give the files of an unpacked archive with its list."""
    rows = [["bin", "directory", "0755", "", 0, ""]]
    rows += [
        [name.replace("__", "/"), "file", "0644", digest_bytes(text.encode()), len(text), ""] for name, text in texts.items()
    ]
    listed = json.dumps({"archive": source, "strip": 0, "entries": rows}, separators=(",", ":")) + "\n"
    return {f"/opt/app/{name.replace('__', '/')}": text for name, text in texts.items()} | {f"/opt/app/{MANIFEST}": listed}


FIRST, SECOND = _pack(bin__run="one\n", conf="c\n"), _pack(bin__run="two\n", more="m\n")
TOOL = b"a tool\n"
FETCHED: Mapping[str, Json] = {"url": "https://downloads.example.org/tool", "sha256": digest_bytes(TOOL)}
COMMIT = "1234567890" * 4
CHECKED_OUT: Mapping[str, Json] = {"repository": f"https://git.example.org/{digest_bytes(FIRST)}", "commit": COMMIT}
SOURCE: Mapping[str, Json] = {"uris": ["file:/srv/packages"], "suites": ["./"], "trusted": True}
RPMS: Mapping[str, Json] = {"baseurl": ["file:///srv/rpms"], "gpgcheck": False}
ZONES: Mapping[str, str] = {"/usr/share/zoneinfo/Europe/Berlin": "TZif2 Berlin\n", "/usr/share/zoneinfo/Etc/UTC": "TZif2 UTC\n"}
BOOTED: Mapping[str, str] = {"/run/systemd/system/": "", "/run/units/": "", "/etc/systemd/system/timers.target.wants/": ""}
TIDY: Mapping[str, str] = {f"/etc/systemd/system/tidy.{part}": "old\n" for part in ("service", "timer")} | dict(BOOTED)
DATA: Mapping[str, Json] = {"device": "/dev/vdb1", "fstype": "ext4"}
BOBS_ACL = bytes.fromhex(
    "02000000 01000600ffffffff 02000600e9030000 04000400ffffffff 10000600ffffffff 20000000ffffffff"
)  # bob: rw-
OPEN: Mapping[str, Json] = {"mode": "0750", "acl": ["user:bob:rwx", "group:staff:r-x", "default:group:staff:rwx"]}

SCENARIOS: Mapping[str, tuple[Scenario, ...]] = {
    "apt_repository": (
        Scenario("create", (_declare("apt_repository", "a", **SOURCE), _declare("apt_repository", "b", **SOURCE))),
        Scenario("change", (_declare("apt_repository", "a", **SOURCE),), {"/etc/apt/sources.list.d/a.sources": "old\n"}),
        Scenario("remove", (_absent("apt_repository", "a", **SOURCE),), {"/etc/apt/sources.list.d/a.sources": "old\n"}),
    ),
    "archive": (
        Scenario("create", (_declare("archive", "/opt/app", content=_blob(FIRST)),), contents=(FIRST,)),
        Scenario(
            "change",
            (_declare("archive", "/opt/app", content=_blob(SECOND)),),
            _unpacked(digest_bytes(FIRST), bin__run="one\n", conf="c\n"),
            contents=(SECOND,),
        ),
        Scenario(
            "drift",
            (_declare("archive", "/opt/app", content=_blob(FIRST)),),
            {
                **_unpacked(digest_bytes(FIRST), bin__run="one\n", conf="c\n"),
                "/opt/app/conf": "by hand\n",
                "/opt/app/own": "own\n",
            },
            contents=(FIRST,),
        ),
        Scenario("remove", (_absent("archive", "/opt/app"),), _unpacked(digest_bytes(FIRST), bin__run="one\n", conf="c\n")),
    ),
    "block": (
        Scenario("create", (_declare("block", "a", path="/etc/conf", text="one\ntwo\n"),)),
        Scenario(
            "change",
            (_declare("block", "a", path="/etc/conf", text="one\n"), _declare("block", "b", path="/etc/conf", text="b\n")),
            {"/etc/conf": "x\n# BEGIN trueup a\nold\n# END trueup a\ny\n"},
        ),
        Scenario(
            "remove",
            (_absent("block", "a", path="/etc/conf", text="old\n"),),
            {"/etc/conf": "x\n# BEGIN trueup a\nold\n# END trueup a\n"},
        ),
    ),
    "command": (
        Scenario("guarded", (_declare("command", "make", argv=["/bin/mkdir", "@ROOT@/made"], creates="/made"),)),
        Scenario(
            "secret",
            (_declare("command", "make", argv=["/bin/mkdir", "@ROOT@/made"], creates="/made", env={"PASSWORD": SECRET_PARTS}),),
            secrets=SECRET,
        ),
        Scenario("done", (_declare("command", "make", argv=["/bin/false"], unless=["/bin/true"]),)),
    ),
    "cron": (
        Scenario("create", tuple(_declare("cron", name, schedule="@daily", command="true") for name in ("one", "two"))),
        Scenario("change", (_declare("cron", "one", schedule="5 4 * * *", command="date +%F"),), {"/etc/cron.d/one": "old\n"}),
        Scenario("remove", (_absent("cron", "one", schedule="@daily", command="true"),), {"/etc/cron.d/one": "old\n"}),
    ),
    "directory": (
        Scenario("create", (_declare("directory", "/srv/a/b", mode="0750"), _declare("directory", "/srv/c"))),
        Scenario(
            "acl", tuple(_declare("directory", f"/srv/{name}", **OPEN) for name in ("new", "old")), {**ACCOUNTS, "/srv/old/": ""}
        ),
        Scenario(
            "acl taken away",
            (_declare("directory", "/srv", acl=[], mode="0750"),),
            {**ACCOUNTS, "/srv/": ""},
            extended={"/srv/": {"system.posix_acl_default": BOBS_ACL, "system.posix_acl_access": BOBS_ACL}},
        ),
        Scenario(
            "xattrs",
            (
                _declare("directory", "/srv", xattrs={"user.note": "new"}),
                _declare("directory", "/new", xattrs={"user.note": "2"}),
            ),
            {"/srv/": ""},
            extended={"/srv/": {"user.other": b"kept"}},
        ),
        Scenario("purge", (_declare("directory", "/srv/a", purge=True),), {"/srv/a/x": "x\n", "/srv/a/y/z": "z\n"}),
        Scenario("remove", (_absent("directory", "/srv/a", recurse=True),), {"/srv/a/x": "x\n"}),
    ),
    "download": (
        Scenario("create", (_declare("download", "/opt/tool", mode="0755", **FETCHED),), contents=(TOOL,)),
        Scenario("change", (_declare("download", "/opt/tool", **FETCHED),), {"/opt/tool": "old\n"}, contents=(TOOL,)),
        Scenario("remove", (_absent("download", "/opt/tool", **FETCHED),), {"/opt/tool": "old\n"}),
    ),
    "external": (
        Scenario(
            "create",
            (
                _declare("external", "demo/a", set={"value": "one"}, executable="@PROGRAM@", protocol=1),
                _declare("external", "demo/b", set={"value": "two"}, executable="@PROGRAM@", protocol=1),
            ),
            {"/demo.conf": ""},
        ),
        Scenario(
            "change",
            (_declare("external", "demo/a", set={"value": "new"}, executable="@PROGRAM@", protocol=1),),
            {"/demo.conf": "a = old\nb = kept\n"},
        ),
    ),
    "file": (
        Scenario("create", (_declare("file", "/etc/new/one", content="one\n"), _declare("file", "/etc/two", content="2\n"))),
        Scenario("change", (_declare("file", "/etc/one", content="new\n", mode="0600"),), {"/etc/one": "old\n"}),
        Scenario("metadata", (_declare("file", "/etc/one", mode="0640"),), {"/etc/one": "kept\n"}),
        Scenario(
            "acl",
            (
                _declare("file", "/etc/one", mode="0640", acl=["user:bob:rw-", "group:staff:r--"]),
                _declare("file", "/etc/two", content="2\n", acl=["user:1001:r--", "mask::r--"]),
            ),
            {**ACCOUNTS, "/etc/one": "kept\n"},
        ),
        Scenario(
            "acl taken away",
            (_declare("file", "/etc/one", acl=[]), _declare("file", "/etc/two", acl=[], content="new\n")),
            {**ACCOUNTS, "/etc/one": "kept\n", "/etc/two": "old\n"},
            extended={f"/etc/{name}": {"system.posix_acl_access": BOBS_ACL} for name in ("one", "two")},
        ),
        Scenario(
            "xattrs",
            (
                _declare("file", "/etc/one", xattrs={"user.note": "new", "user.old": None}),
                _declare("file", "/etc/two", content="2\n", mode="0444", xattrs={"user.note": "2"}),
            ),
            {"/etc/one": "kept\n"},
            extended={"/etc/one": {"user.note": b"old", "user.old": b"old", "user.other": b"kept"}},
        ),
        Scenario("remove", (_absent("file", "/etc/one"),), {"/etc/one": "old\n"}),
        Scenario("secret", (_declare("file", "/etc/key", content=SECRET_PARTS),), {"/etc/": ""}, secrets=SECRET),
    ),
    "git_checkout": (
        Scenario("create", (_declare("git_checkout", "/opt/app", **CHECKED_OUT),), contents=(FIRST,)),
        Scenario(
            "change",
            (_declare("git_checkout", "/opt/app", **CHECKED_OUT),),
            _unpacked("0" * 40, bin__run="old\n", old="x\n"),
            contents=(FIRST,),
        ),
        Scenario("remove", (_absent("git_checkout", "/opt/app", **CHECKED_OUT),), _unpacked(COMMIT, bin__run="one\n")),
    ),
    "group": (
        Scenario("create", tuple(_declare("group", name, gid=gid) for name, gid in (("ops", 1200), ("dev", 1201))), ACCOUNTS),
        Scenario("change", (_declare("group", "staff", gid=1300),), ACCOUNTS),
        Scenario("members", (_declare("group", "staff", members=["root"]), _declare("group", "ops", members=["bob"])), ACCOUNTS),
        Scenario("append", (_declare("group", "staff", members=["root"], append=True),), ACCOUNTS),
        Scenario("emptied", (_declare("group", "staff", gid=1300, members=[]),), ACCOUNTS),
        Scenario("remove", (_absent("group", "staff"),), ACCOUNTS),
    ),
    "host_entry": (
        Scenario("create", (_declare("host_entry", "192.0.2.5", names=["db"]), _declare("host_entry", "192.0.2.6", names=["b"]))),
        Scenario("change", (_declare("host_entry", "192.0.2.5", names=["db", "d"]),), {"/etc/hosts": "192.0.2.5 old\n"}),
        Scenario("remove", (_absent("host_entry", "192.0.2.5", names=["db"]),), {"/etc/hosts": "192.0.2.5 db\n::1 lo\n"}),
    ),
    "hostname": (
        Scenario("create", (_declare("hostname", "web-1"),)),
        Scenario("change", (_declare("hostname", "web-1.example.org"),), {"/etc/hostname": "old\n"}),
    ),
    "kernel_module": (
        Scenario("create", (_declare("kernel_module", "br-netfilter"),), {"/sys/module/": ""}),
        Scenario("loaded", (_declare("kernel_module", "loop"),), {"/sys/module/loop/": ""}),
        Scenario("remove", (_absent("kernel_module", "loop"),), {"/etc/modules-load.d/trueup-loop.conf": "loop\n"}),
    ),
    "line": (
        Scenario("create", (_declare("line", "a", path="/etc/conf", text="a = 1"),)),
        Scenario(
            "change",
            tuple(_declare("line", key, path="/etc/conf", text=f"{key} = 2", replaces=[f"{key} ="]) for key in "ab"),
            {"/etc/conf": "a = 1\nb = 1\n"},
        ),
        Scenario("remove", (_absent("line", "a", path="/etc/conf", text="a = 1"),), {"/etc/conf": "x\na = 1\n"}),
    ),
    "locale": (
        Scenario("built in", (_declare("locale", "C.UTF-8"),)),
        Scenario("default", (_declare("locale", "C.UTF-8", default=True),), {"/etc/default/locale": "LANG=old\n"}),
    ),
    "mount": (
        Scenario(
            "create", (_declare("mount", "/data", state="present", **DATA),), {"/etc/fstab": "/dev/vda1 / ext4 defaults 0 1\n"}
        ),
        Scenario(
            "change",
            (_declare("mount", "/data", state="present", options="noatime", **DATA),),
            {"/etc/fstab": "# disks\n/dev/vdb1 /data ext4 defaults 0 0\n", "/data/": ""},
        ),
        Scenario(
            "remove",
            (_absent("mount", "/data"),),
            {
                "/etc/fstab": "/dev/vda1 / ext4 defaults 0 1\n/dev/vdb1 /data ext4 defaults 0 0\n",
                "/proc/self/mountinfo": "20 1 8:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n",
            },
        ),
    ),
    "package": (
        Scenario("create", (_declare("package", "tool"), _declare("package", "other")), ARCH),
        Scenario("current", (_declare("package", "tool"),), {**ARCH, "/var/lib/pacman/local/tool": "2.0-1\n"}),
        Scenario("came along", (_declare("package", "tool"),), {**ARCH, "/var/lib/pacman/local/tool": "2.0-1 dependency\n"}),
        Scenario("remove", (_absent("package", "tool"),), {**ARCH, "/var/lib/pacman/local/tool": "2.0-1\n"}),
    ),
    "reboot": (Scenario("not required", (_declare("reboot", "updates", if_exists="/run/reboot-required"),)),),
    "service": (
        Scenario(
            "start",
            (_declare("service", "app", state="running", enabled=True),),
            SYSV,
            {"/etc/rc2.d/K01app": "../init.d/app"},
        ),
        Scenario(
            "stop",
            (_declare("service", "app", state="stopped", enabled=False),),
            {**SYSV, "/run/services/app": ""},
            {"/etc/rc2.d/S01app": "../init.d/app"},
        ),
    ),
    "ssh_authorized_key": (
        Scenario(
            "create", (_declare("ssh_authorized_key", "@USER@", path="/h/.ssh/authorized_keys", keys=[f"{KEY} a"]),), {"/h/": ""}
        ),
        Scenario(
            "exclusive",
            (_declare("ssh_authorized_key", "@USER@", path="/h/.ssh/authorized_keys", keys=[f"{KEY} a"], exclusive=True),),
            {"/h/.ssh/authorized_keys": f"{KEY.replace('IJdD', 'IJdE')} other\n"},
        ),
        Scenario(
            "remove",
            (_absent("ssh_authorized_key", "@USER@", path="/h/.ssh/authorized_keys", keys=[f"{KEY} a"]),),
            {"/h/.ssh/authorized_keys": f"{KEY} a\n"},
        ),
    ),
    "symlink": (
        Scenario("create", (_declare("symlink", "/srv/a/link", target="there"), _declare("symlink", "/srv/b", target="/x"))),
        Scenario("change", (_declare("symlink", "/link", target="new"),), links={"/link": "old"}),
        Scenario("replace", (_declare("symlink", "/file", target="new"),), {"/file": "old\n"}),
        Scenario("remove", (_absent("symlink", "/link"),), links={"/link": "old"}),
    ),
    "sysctl": (
        Scenario("create", (_declare("sysctl", "vm.swappiness", value="10"),), {"/proc/sys/vm/swappiness": "60\n"}),
        Scenario(
            "a name with a dot in it",
            (_declare("sysctl", "net/ipv4/conf/eth0.100/forwarding", value="1"),),
            {"/proc/sys/net/ipv4/conf/eth0.100/forwarding": "0\n"},
        ),
        Scenario(
            "remove",
            (_absent("sysctl", "vm.swappiness", value="10"),),
            {"/etc/sysctl.d/90-trueup-vm.swappiness.conf": "old\n", "/proc/sys/vm/swappiness": "10\n"},
        ),
    ),
    "systemd_unit": (
        Scenario(
            "create",
            tuple(_declare("systemd_unit", name, content="[Unit]\n") for name in ("a.service", "b.timer")),
            {"/run/systemd/system/": ""},
        ),
        Scenario(
            "secret",
            (_declare("systemd_unit", "a.service", content=SECRET_PARTS),),
            {"/run/systemd/system/": "", "/etc/systemd/system/a.service": "old\n"},
            secrets=SECRET,
        ),
        Scenario(
            "remove",
            (_absent("systemd_unit", "a.service"),),
            {"/run/systemd/system/": "", "/etc/systemd/system/a.service": "old\n"},
        ),
    ),
    "timer": (
        Scenario("create", (_declare("timer", "tidy", command=["/bin/true"], schedule="daily"),), BOOTED),
        Scenario("change", (_declare("timer", "tidy", command=["/bin/true"], every="15min"),), TIDY),
        Scenario("remove", (_absent("timer", "tidy"),), TIDY),
    ),
    "timezone": (
        Scenario("create", (_declare("timezone", "Europe/Berlin"),), ZONES),
        Scenario(
            "change",
            (_declare("timezone", "Europe/Berlin"),),
            {**ZONES, "/etc/": ""},
            {"/etc/localtime": "../usr/share/zoneinfo/Etc/UTC"},
        ),
    ),
    "user": (
        Scenario("create", (_declare("user", "alice", groups=["staff"]),), ACCOUNTS, leaves=("/home/alice",)),
        Scenario("change", (_declare("user", "bob", comment="Robert", home="/srv/bob", groups=[]),), ACCOUNTS),
        Scenario("remove", (_absent("user", "bob"),), ACCOUNTS),
    ),
    "yum_repository": (
        Scenario("create", (_declare("yum_repository", "a", **RPMS), _declare("yum_repository", "b", **RPMS))),
        Scenario("change", (_declare("yum_repository", "a", **RPMS),), {"/etc/yum.repos.d/a.repo": "old\n"}),
        Scenario("remove", (_absent("yum_repository", "a", **RPMS),), {"/etc/yum.repos.d/a.repo": "old\n"}),
    ),
}
