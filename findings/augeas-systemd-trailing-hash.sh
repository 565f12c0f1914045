#!/usr/bin/env bash
# augeas 1.14.0 (Debian 12: augeas-tools, augeas-lenses), lens Systemd: `#` inside a value of a unit file is a comment.
#
# Expected: systemd.syntax(7): empty lines and *lines starting with* `#` or `;` are ignored. A `#` further on belongs to
#   the value: `Description=Printer # 2`, or the fragment of a URL among a command's arguments.
# Seen: the tree has Description "Printer" and a `#comment` node "2"; the argument `http://h/#top` is `http://h/`, also
#   with no blank before the sign.
# Matters: Puppet's augeas type and what else reads units through lenses compares, and reports, another command than
#   systemd runs; a check "ExecStart is X" passes on a unit whose command goes on after the sign.
set -euo pipefail
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
cd "$t"
apt-get download -qq augeas-tools=1.14.0-1+deb12u1 augeas-lenses=1.14.0-1+deb12u1 libaugeas0=1.14.0-1+deb12u1 2> /dev/null
for package in ./*.deb; do dpkg -x "$package" tools; done
mkdir -p root/etc/systemd/system
printf '[Unit]\nDescription=Printer # 2\n[Service]\nExecStart=/usr/bin/curl http://h/#top\n' > root/etc/systemd/system/a.service

seen=$(LD_LIBRARY_PATH=$(dirname tools/usr/lib/*/libaugeas.so.0) tools/usr/bin/augtool -A -S -r root -I tools/usr/share/augeas/lenses/dist <<'IN'
set /augeas/load/Systemd/lens Systemd.lns
set /augeas/load/Systemd/incl /etc/systemd/system/a.service
load
print /files/etc/systemd/system/a.service
IN
)
cat root/etc/systemd/system/a.service
echo "$seen"
[[ $seen == *'Description/value = "Printer"'* && $seen == *'arguments/1 = "http://h/"'* ]] || { echo 'no longer as described' >&2; exit 1; }
