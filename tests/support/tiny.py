"""The tiny packages of the tests with real hosts.

`hello-tool`: a script, in three versions, one with an epoch. `hello-daemon`: a service that starts when it is installed, as Debian's do,
and keeps in /run/hello-daemon.seen the config that it read when it started. `old-tool`, and `old-client` that depends on it.
`broken-tool`: fails when it is configured; `slow-tool` takes for ever unless /run/slow-tool.hurry is there. `lib-multi` is there for
two architectures. `held-user` needs a new `held-lib`. `no-lock` is in conflict with `lock`, which is for another architecture. `new-mailer` and `other-mailer` both provide the virtual `mailer`, and conflict.
"""

from __future__ import annotations

from tests.support.packages import TinyPackage

DAEMON = """\
#!/bin/sh
cp /etc/hello-daemon/hello.conf /run/hello-daemon.seen
trap 'echo reloaded >>/run/hello-daemon.seen' HUP
while :; do sleep 3600 & wait $!; kill $!; done
"""
UNIT = """\
[Unit]
Description=A daemon that says hello

[Service]
ExecStart=/usr/sbin/hello-daemon
ExecReload=/bin/kill -HUP $MAINPID

[Install]
WantedBy=multi-user.target
"""
STARTS = "#!/bin/sh\nset -e\nchmod 755 /usr/sbin/hello-daemon\nsystemctl daemon-reload\nsystemctl enable --now hello-daemon\n"
STOPS = '#!/bin/sh\nset -e\n[ "$1" = remove ] && systemctl disable --now hello-daemon\nexit 0\n'

SLOW = "#!/bin/sh\ntouch /srv/slow-tool.started\nwhile [ ! -e /run/slow-tool.hurry ]; do sleep 0.1; done\n"


def _tool(version: str) -> TinyPackage:
    return TinyPackage("hello-tool", version, files={"/usr/share/hello-tool/version": f"{version}\n"})


def _daemon(version: str) -> TinyPackage:
    files = {
        "/usr/sbin/hello-daemon": DAEMON,
        "/lib/systemd/system/hello-daemon.service": UNIT,
        "/etc/hello-daemon/hello.conf": "greeting = packaged\n",
    }
    return TinyPackage("hello-daemon", version, files=files, scripts={"postinst": STARTS, "prerm": STOPS})


PACKAGES = (
    _tool("1.0-1"),
    _tool("1.1-1"),
    _tool("1:0.9-1"),
    _daemon("1.0-1"),
    _daemon("1.1-1"),
    TinyPackage("old-tool", "3.0", files={"/usr/share/old-tool": "old\n", "/etc/old-tool.conf": "old\n"}),
    TinyPackage("old-client", "1.0", control={"Depends": "old-tool"}),
    TinyPackage("broken-tool", "1.0", scripts={"postinst": "#!/bin/sh\necho cannot configure >&2\nexit 3\n"}),
    TinyPackage("slow-tool", "1.0", scripts={"postinst": SLOW}),
    *(TinyPackage("lib-multi", "1.0", control={"Architecture": name, "Multi-Arch": "same"}) for name in ("amd64", "i386")),
    *(TinyPackage(f"tool-{name}", "1.0") for name in ("a", "b", "c", "d", "e", "f")),
    TinyPackage("needs-a", "1.0", control={"Depends": "tool-a"}),
    TinyPackage("held-lib", "1.0"),
    TinyPackage("held-lib", "2.0"),
    TinyPackage("held-user", "1.0", control={"Depends": "held-lib (>= 2.0)"}),
    TinyPackage("lock", "1.0", control={"Architecture": "i386"}),
    TinyPackage("no-lock", "1.0", control={"Conflicts": "lock:i386"}),
    TinyPackage("new-mailer", "1.0", control={"Provides": "mailer", "Conflicts": "mailer"}),
    TinyPackage("other-mailer", "1.0", control={"Provides": "mailer", "Conflicts": "mailer"}),
)
