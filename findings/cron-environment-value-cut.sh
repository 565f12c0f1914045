#!/usr/bin/env bash
# cron 3.0pl1-162 (Debian 12): an environment value of about a thousand characters or more is cut without a word.
# Needs root (for private mounts: no crontab of this machine is read or changed, and nothing is installed) and 65 seconds.
#
# Expected: crontab(5) and crontab(1) name no bound for `name = value`, and `crontab` refuses a command that is too long
#   ("command too long"), so what it takes is what jobs get.
# Seen: `crontab` takes a line with 5,003 characters of value and exits 0. The job has the first 993 of them: name, equal
#   sign and value come to 998. The lines after it are read as usual.
# Matters: a long PATH, a list of hosts or a token in JSON is another value in the job than in the file, which is as
#   declared at every check.
set -euo pipefail
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
chmod 755 "$t"
cd "$t"
apt-get download -qq cron=3.0pl1-162 2> /dev/null || { echo 'needs: cron 3.0pl1-162 (Debian 12)' >&2; exit 2; }
dpkg -x cron_*.deb tools

long=$(printf 'x%.0s' {1..5000})END
printf 'LONG=%s\nSHORT=kept\n* * * * * printenv LONG SHORT > %s/seen\n' "$long" "$t" > "$t/tab"
cat > "$t/inside" <<'IN'
mount --make-rprivate /
mount -t tmpfs none /var/spool
mkdir -p /var/spool/cron && mkdir -m 1730 /var/spool/cron/crontabs
[[ ! -e /etc/cron.d ]] || mount -t tmpfs none /etc/cron.d
mount -t tmpfs none /run
[[ ! -e /etc/crontab ]] || mount --bind /dev/null /etc/crontab
"$1/tools/usr/bin/crontab" -u root "$1/tab" && echo "crontab: accepted"
"$1/tools/usr/sbin/cron" -f &
daemon=$!
sleep 65
kill "$daemon"
IN
unshare --mount bash "$t/inside" "$t"
seen=$(awk '{print length($0), substr($0, length($0) - 3)}' "$t/seen")
echo "written: ${#long} characters"
echo "$seen"
[[ $seen == $'993 xxxx\n4 kept' ]] || { echo 'no longer as described' >&2; exit 1; }
