#!/usr/bin/env bash
# ansible-core 2.19.14: of `group_vars/web/`, `web.yml` and `web.yaml` only one is read, and nothing is said of the others.
#
# Expected: `ansible-doc -t vars host_group_vars`: it "loads YAML vars into corresponding groups/hosts", "files are
#   restricted by extension to one of .yaml, .json, .yml or no extension". Nothing says that a second one does not count.
# Seen: the name without ending comes first (a folder or a file), then .yml, .yaml, .json; the search ends at the first
#   that exists. Its values are there, those of the other files are missing, with no warning also at -vvv.
# Matters: the usual step from one file to a folder (`mkdir group_vars/web`, one new file in it) takes every old variable
#   away, and defaults of roles take their place.
set -euo pipefail
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
python3 -m venv "$t/v"
"$t/v/bin/pip" install -q 'ansible-core==2.19.14'

mkdir -p "$t/i/group_vars"
printf '[web]\nhost\n' > "$t/i/hosts.ini"
echo 'from_yml: 1' > "$t/i/group_vars/web.yml"
echo 'from_yaml: 1' > "$t/i/group_vars/web.yaml"
files=$("$t/v/bin/ansible-inventory" -vvv -i "$t/i/hosts.ini" --host host 2>&1)
mkdir "$t/i/group_vars/web"
echo 'from_folder: 1' > "$t/i/group_vars/web/new.yml"
folder=$("$t/v/bin/ansible-inventory" -vvv -i "$t/i/hosts.ini" --host host 2>&1)
printf 'two files:\n%s\na folder beside them:\n%s\n' "$files" "$folder"
[[ $files == *from_yml* && $files != *from_yaml* && $files != *web.yaml* && $folder == *from_folder* && $folder != *from_y* && $folder != *web.y* ]] || { echo 'no longer as described' >&2; exit 1; }
