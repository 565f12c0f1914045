#!/usr/bin/env bash
# pyinfra 3.10.0: a sysctl whose value is text with blanks is set again at every run.
#
# Expected: "State definition operations will not make changes unless required" (pyinfra documentation, Getting
#   Started): with the wanted value live, nothing is run, and the operation counts as "No changes".
# Seen: the operation splits the wanted value at blanks into a list; the fact gives such a text whole, because it splits
#   only values of letters, digits, `_`, `-` and dots. List and text never are equal. Numbers (`4096 131072`) do settle.
# Matters: kernel.core_pattern with arguments is usual where a crash handler is installed. Each run reports a
#   change, so "no change" can be no check of drift, and what waits on a change runs every time.
set -euo pipefail
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
python3 -m venv "$t/v"
"$t/v/bin/pip" install -q 'pyinfra==3.10.0'

# A sysctl program that has the wanted values already, and keeps what it is told to write.
mkdir "$t/bin"
cat > "$t/bin/sysctl" <<IN
#!/bin/sh
case "\$1" in
*=*) echo "\$1" >> "$t/writes" ;;
kernel.core_pattern) echo 'kernel.core_pattern = |/usr/bin/handler %p %u' ;;
net.ipv4.tcp_rmem) printf 'net.ipv4.tcp_rmem = 4096\t131072\t6291456\n' ;;
esac
IN
chmod +x "$t/bin/sysctl"
export PATH="$t/bin:$PATH"
cd "$t"
for run in 1 2; do
    "$t/v/bin/pyinfra" -y @local server.sysctl kernel.core_pattern '|/usr/bin/handler %p %u' > "$t/out" 2>&1 || { cat "$t/out"; exit 1; }
    "$t/v/bin/pyinfra" -y @local server.sysctl net.ipv4.tcp_rmem '4096 131072 6291456' >> "$t/out" 2>&1 || { cat "$t/out"; exit 1; }
    echo "run $run: $(grep -E 'Success|No change' "$t/out" | grep -F '[@local]' | tr -s ' ' | tr '\n' ' ')"
done
cat "$t/writes"
[[ $(cat "$t/writes") == $'kernel.core_pattern=|/usr/bin/handler %p %u\nkernel.core_pattern=|/usr/bin/handler %p %u' ]] || { echo 'no longer as described' >&2; exit 1; }
