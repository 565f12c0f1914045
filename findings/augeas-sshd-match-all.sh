#!/usr/bin/env bash
# augeas 1.14.0 (Debian 12: augeas-tools, augeas-lenses), lens Sshd: a file with `Match all` cannot be read at all.
#
# Expected: sshd_config(5): the arguments to Match are "one or more criteria-pattern pairs or the single token All which
#   matches all criteria". It is how a Match block is ended, so that general settings may follow.
# Seen: the lens wants a pattern after each criterion. The whole file has no tree, only an error "Get did not match entire
#   input" in /augeas; a query for any setting of it finds nothing and exits 0.
# Matters: asked whether PermitRootLogin is set, a tool hears "not there" rather than "cannot read", and adds the setting
#   or reports it missing.
set -euo pipefail
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
cd "$t"
apt-get download -qq augeas-tools=1.14.0-1+deb12u1 augeas-lenses=1.14.0-1+deb12u1 libaugeas0=1.14.0-1+deb12u1 2> /dev/null
for package in ./*.deb; do dpkg -x "$package" tools; done
mkdir -p root/etc/ssh

read_settings() {
    printf 'PermitRootLogin no\nMatch User a\n  X11Forwarding no\n%s' "$1" > root/etc/ssh/sshd_config
    LD_LIBRARY_PATH=$(dirname tools/usr/lib/*/libaugeas.so.0) tools/usr/bin/augtool -A -S -r root -I tools/usr/share/augeas/lenses/dist <<'IN'
set /augeas/load/Sshd/lens Sshd.lns
set /augeas/load/Sshd/incl /etc/ssh/sshd_config
load
match /files/etc/ssh/sshd_config/PermitRootLogin
print /augeas/files/etc/ssh/sshd_config/error/message
IN
}
without=$(read_settings '')
with=$(read_settings $'Match all\n  X11Forwarding yes\n')
printf 'without: %s\nwith: %s\n' "$without" "$with"
[[ $without == *'PermitRootLogin = no'* && $with == *'(no matches)'*'Get did not match entire input'* ]] || { echo 'no longer as described' >&2; exit 1; }
