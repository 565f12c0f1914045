#!/usr/bin/env bash
# python-crontab 3.4.0: reading a crontab and writing it back changes on which days a job runs. Judge: cronsim 2.8.
#
# Expected: what was not touched stays. crontab(5) of Debian's cron: if day of month *and* day of week are restricted
#   (do not begin with `*`), the command runs when *either* matches. `0 0 1-31/2 * 1` runs on odd days, and on Mondays.
# Seen: a range over all days is rewritten with a star: `1-31/2` becomes `*/2`, `1-31` becomes `*`, `0-6` becomes `*`, and
#   `*,5` becomes `5,*`. The sets of days are equal, but the star is what decides between "either" and "both": the
#   first runs only on odd days that are Mondays afterwards, the second weekly instead of daily, the third monthly
#   instead of daily, the fourth daily instead of weekly.
# Matters: a tool that adds one job to somebody's crontab moves the other jobs, and its diff shows a change of style.
set -euo pipefail
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
python3 -m venv "$t/v"
"$t/v/bin/pip" install -q 'python-crontab==3.4.0' 'cronsim==2.8'

seen=$("$t/v/bin/python" - <<'PY'
from datetime import datetime
from itertools import islice

from cronsim import CronSim
from crontab import CronTab


def days(fields):
    return [f"{day:%d}" for day in islice(CronSim(fields, datetime(2026, 6, 1)), 6)]


for before in ("0 0 1-31/2 * 1", "0 0 1-31 * 1", "0 0 13 * 0-6", "0 0 *,5 * 1"):
    after = str(CronTab(tab=f"{before} job\n")).strip().removesuffix(" job")
    print(f"{before} -> {after}", "days", *days(before), "->", *days(after))
PY
)
echo "$seen"
[[ $seen == $'0 0 1-31/2 * 1 -> 0 0 */2 * 1 days 03 05 07 08 09 11 -> 15 29 13 27 03 17\n'* ]] || { echo 'no longer as described' >&2; exit 1; }
