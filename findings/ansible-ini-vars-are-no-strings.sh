#!/usr/bin/env bash
# ansible-core 2.19.14, INI inventory: values of a `:vars` section are not strings, as its documentation says they are.
#
# Expected: `ansible-doc -t inventory ini`: "When declared in a :vars section, INI values are interpreted as strings";
#   its example has `myvar=23 # defined in a :vars section, interpreted as a string`.
# Seen: they are read as Python literals first: 23 is an integer, `1.10` the float 1.1, `80,443` a list, `1_000` the integer
#   1000, `None` is null, `False` a boolean. Only what is no Python literal is text: `FALSE`, which is the documentation's proof.
# Matters: a version 1.10 becomes 1.1 and a list of ports prints with brackets, for those who moved them out of the
#   host line because of that sentence; and who imports such an inventory by the documentation gets other values.
set -euo pipefail
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
python3 -m venv "$t/v"
"$t/v/bin/pip" install -q 'ansible-core==2.19.14'

printf '[web]\nhost\n[web:vars]\nmyvar=23\nversion=1.10\nports=80,443\nid=1_000\nowner=None\noff=False\nshout=FALSE\n' > "$t/hosts.ini"
"$t/v/bin/ansible-doc" -t inventory ini 2> /dev/null | grep -A1 -e "interpreted as$" -e 'myvar=23' | head -5
seen=$("$t/v/bin/ansible-inventory" -i "$t/hosts.ini" --host host | tr -d ' \n')
echo "$seen"
[[ $seen == '{"id":1000,"myvar":23,"off":false,"owner":null,"ports":[80,443],"shout":"FALSE","version":1.1}' ]] || { echo 'no longer as described' >&2; exit 1; }
