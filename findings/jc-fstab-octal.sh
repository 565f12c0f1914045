#!/usr/bin/env bash
# jc 1.26.1: a mount point with a blank keeps its escape in the parser of fstab, and has none in that of mount.
#
# Expected: fstab(5), second field: "If the name of the mount point contains spaces or tabs these can be escaped as
#   `\040' and `\011' respectively." `/srv/my\040disk` is the folder `/srv/my disk`, as findmnt reads it.
# Seen: `fs_file` is `/srv/my\040disk`, while `jc --mount` has `/srv/my disk` for the same file system when it is
#   mounted.
# Matters: what is declared and what is mounted are compared by this name; the two never agree, and a check that runs
#   `mkdir` or `mount` with the declared one makes another folder.
set -euo pipefail
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
python3 -m venv "$t/v"
"$t/v/bin/pip" install -q 'jc==1.26.1'

printf '%s\n' 'LABEL=data /srv/my\040disk ext4 defaults 0 2' > "$t/fstab"
theirs=$(findmnt --fstab --tab-file "$t/fstab" --noheadings --raw --output TARGET)
declared=$("$t/v/bin/jc" --fstab < "$t/fstab" | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["fs_file"])')
mounted=$(echo '/dev/sda1 on /srv/my disk type ext4 (rw)' | "$t/v/bin/jc" --mount |
  python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["mount_point"])')
echo "findmnt (raw): $theirs; jc --fstab: $declared; jc --mount: $mounted"
[[ $theirs == '/srv/my\x20disk' && $declared == '/srv/my\040disk' && $mounted == '/srv/my disk' ]] || { echo 'no longer as described' >&2; exit 1; }
