#!/usr/bin/env bash
# python-crontab 3.4.0: an environment line with blanks around its equal sign is dropped when the crontab is written back.
#
# Expected: crontab(5): "An environment setting is of the form name = value, where the spaces around the equal-sign (=)
#   are optional". A line that nobody touched is written back.
# Seen: `MAILTO=ops` stays, `MAILTO = ops` is gone from the output, without an error. The jobs stay, so the result looks whole.
# Matters: the form with blanks is the one that the manual page shows. Mail goes to another account, or PATH falls back
#   to cron's own, after a tool has changed one unrelated job.
set -euo pipefail
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
python3 -m venv "$t/v"
"$t/v/bin/pip" install -q 'python-crontab==3.4.0'

printf 'SHELL=/bin/bash\nMAILTO = ops\nPATH = /opt/bin:/usr/bin:/bin\n5 4 * * * job\n' > "$t/before"
seen=$("$t/v/bin/python" -c 'import sys; from crontab import CronTab; print(CronTab(tab=open(sys.argv[1]).read()))' "$t/before")
printf 'before:\n%s\nafter:\n%s\n' "$(cat "$t/before")" "$seen"
[[ $seen == $'SHELL=/bin/bash\n5 4 * * * job' ]] || { echo 'no longer as described' >&2; exit 1; }
