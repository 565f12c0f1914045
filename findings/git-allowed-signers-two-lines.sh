#!/usr/bin/env bash
# git 2.39.5 with OpenSSH 9.2p1 (Debian 12): of a key's two lines in allowed_signers only the first counts for git.
#
# Expected: ssh-keygen(1), ALLOWED SIGNERS: each line has principals, options, key; `namespaces` limits a line. A key with
#   one line for "file" and another for "git" may sign commits: `ssh-keygen -Y verify` with the second line's name says so.
# Seen: `git verify-commit` fails. git asks `ssh-keygen -Y find-principals`, which stops at the first line with that key
#   and looks at no namespace, and verifies as that name only. With the lines exchanged the same commit is good.
# Matters: a trust file that is put together from parts (one line per person and purpose, sorted) breaks good signatures
#   by the order of its lines, and the message speaks of a namespace of somebody else's line.
set -euo pipefail
[[ $(git --version) == 'git version 2.39.5' && $(ssh -V 2>&1) == OpenSSH_9.2p1* ]] || { echo 'needs: git 2.39.5 and OpenSSH 9.2p1 (Debian 12)' >&2; exit 2; }
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT

ssh-keygen -q -t ed25519 -N '' -C '' -f "$t/key"
key=$(cut -d' ' -f1,2 "$t/key.pub")
git init -q "$t/r"
cd "$t/r"
git config user.name a
git config user.email a@example.org
git config gpg.format ssh
git config user.signingKey "$t/key"
git config gpg.ssh.allowedSignersFile "$t/allowed"
git commit -q -S --allow-empty -m one
files="builds@example.org namespaces=\"file\" $key"
commits="a@example.org namespaces=\"git\" $key"
echo text > "$t/text"
ssh-keygen -q -Y sign -n git -f "$t/key" "$t/text"

printf '%s\n' "$files" "$commits" > "$t/allowed"
echo '== the line for files first'
ssh-keygen -Y verify -f "$t/allowed" -I a@example.org -n git -s "$t/text.sig" < "$t/text" && keygen=good
git verify-commit HEAD && first=good || first=bad
printf '%s\n' "$commits" "$files" > "$t/allowed"
echo '== the line for commits first'
git verify-commit HEAD && second=good || second=bad
echo "ssh-keygen: $keygen, git: $first, git with the lines exchanged: $second"
[[ "$keygen $first $second" == "good bad good" ]] || { echo 'no longer as described' >&2; exit 1; }
