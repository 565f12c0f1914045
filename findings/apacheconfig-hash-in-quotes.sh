#!/usr/bin/env bash
# apacheconfig 0.3.2: `#` within a quoted value ends it as a comment, and leaves an open quote behind.
#
# Expected: Apache's "Configuration Files": lines that begin with `#` are comments, and "Comments may not be included
#   on the same line as a configuration directive". `RewriteRule "^/a#b" "/c"` has two arguments.
# Seen: the value is `"^/a`, with its opening quote; what stands behind it is gone, without an error.
# Matters: the library reads and writes Apache's configuration; patterns, colours and links with a fragment are cut
#   when a tool has read them.
set -euo pipefail
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
python3 -m venv "$t/v"
"$t/v/bin/pip" install -q 'apacheconfig==0.3.2'

printf '%s\n' 'RewriteRule "^/a#b" "/c"' > "$t/site.conf"
seen=$("$t/v/bin/python" -c '
import sys
from apacheconfig import make_loader
with make_loader() as loader:
    print(loader.load(sys.argv[1]))
' "$t/site.conf")
cat "$t/site.conf"
echo "apacheconfig: $seen"
[[ $seen == "{'RewriteRule': '\"^/a'}" ]] || { echo 'no longer as described' >&2; exit 1; }
