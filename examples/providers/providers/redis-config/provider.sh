#!/bin/sh
# Provider redis-config: one parameter of a running Redis, `PORT/PARAMETER`, such as `6379/maxmemory`.
# It is set at once (CONFIG SET) and, where the server has a file, for the next start (CONFIG REWRITE). Values are those that
# CONFIG GET gives: bytes as a number. A server that does not answer has no parameters.
# The protocol is docs/reference/provider-protocol.md of Trueup. Needs a POSIX shell, awk and redis-cli.
set -uf
LC_ALL=C
export LC_ALL
NAME=redis-config
VALUES='value'

ask() { redis-cli -h 127.0.0.1 -p "${name%%/*}" "$@" </dev/null; }

check() {
  case ${1%%/*} in '' | *[!0-9]*) why="$1 is not PORT/PARAMETER"; return 1 ;; esac
  case ${1#*/} in '' | *[!a-z0-9-]*) why="$1 is not PORT/PARAMETER"; return 1 ;; esac
}

look() {
  exists=false
  check "$1" || return 1
  answer=$(ask CONFIG GET "${1#*/}" 2>/dev/null; printf .)
  answer=${answer%?.}
  case $answer in "${1#*/}
"*)
    exists=true
    found_value=${answer#*"
"}
    ;;
  esac
}

make_so() {
  check "$1" || return 1
  answer=$(ask CONFIG SET "${1#*/}" "$set_value" 2>&1) || { why=$answer; return 1; }
  [ "$answer" = OK ] || { why=$answer; return 1; }
  ask CONFIG REWRITE >/dev/null 2>&1 || :
}

drop() {
  why='a parameter of Redis cannot be removed'
  return 1
}

# --- the protocol; no need to change what follows (`gitops provider update` renews it) ---------------------------------------------
MAX=2

plain() { printf '%s' "$1" | sed 's/\\/\\\\/g'; } # awk -v reads escapes

# flatten: a line of JSON to lines `path<TAB>value`, such as `items.0.set.value<TAB>64mb`; line breaks in values stay as \n.
flatten() {
  awk '
    function fail() { print "!\tnot JSON"; exit 1 }
    function blank() { while (substr(s, i, 1) ~ /[ \t\r]/) i++ }
    function text(   out, c, h) {
      out = ""; i++
      while (i <= n) {
        c = substr(s, i, 1); i++
        if (c == "\"") return out
        if (c != "\\") { out = out c; continue }
        c = substr(s, i, 1); i++
        if (c == "n") out = out "\\n"
        else if (c == "t") out = out "\t"
        else if (c == "\\") out = out "\\\\"
        else if (c == "\"" || c == "/") out = out c
        else fail()
      }
      fail()
    }
    function value(path,   c, k, key, start) {
      if (++depth > 16) fail()
      blank(); c = substr(s, i, 1)
      if (c == "{" || c == "[") {
        i++; blank(); k = 0
        while (substr(s, i, 1) != (c == "{" ? "}" : "]")) {
          if (k > 0) { if (substr(s, i, 1) != ",") fail(); i++; blank() }
          key = k
          if (c == "{") { if (substr(s, i, 1) != "\"") fail(); key = text(); blank(); if (substr(s, i, 1) != ":") fail(); i++ }
          value(path == "" ? key : path "." key); blank(); k++
          if (i > n) fail()
        }
        i++
        print path ".#\t" k
      } else if (c == "\"") print path "\t" text()
      else {
        start = i
        while (substr(s, i, 1) ~ /[-+.0-9a-z]/) i++
        if (i == start) fail()
        print path "\t" substr(s, start, i - start)
      }
      depth--
    }
    { s = $0; n = length(s); i = 1; value(""); blank(); if (i <= n) fail() }'
}

# get PATH: print the value at a path of the request; fail when it is not there.
get() {
  printf '%s\n' "$flat" | awk -F '\t' -v path="$1" '$1 == path { sub(/^[^\t]*\t/, ""); print; found = 1; exit } END { exit !found }'
}

# keys PREFIX: print the names below a path.
keys() {
  printf '%s\n' "$flat" | awk -F '\t' -v prefix="$1." 'index($1, prefix) == 1 { $0 = substr($1, length(prefix) + 1); if ($0 != "#") print }'
}

unescape() { printf '%b' "$(printf '%s' "$1" | sed 's/\\\\/\\0134/g')"; }
quote() {
  printf '%s' "$1" | awk '
    BEGIN { printf "\"" }
    { gsub(/[\\"]/, "\\\\&"); gsub(/\t/, "\\t"); gsub(/[\001-\037]/, "?"); printf "%s%s", (NR > 1 ? "\\n" : ""), $0 }
    END { printf "\"" }'
}
say() { printf '{"id":%s,"event":"%s","body":{%s}}\n' "$id" "$1" "${2-}"; }
refuse() { say error "\"code\":\"failed\",\"message\":$(quote "$1")"; }

# load PREFIX: put values below a path into `set_KEY`; an unknown one sets `why` and fails.
load() {
  for key in $VALUES; do unset "set_$key" "found_$key" "match_$key"; done
  for key in $(keys "$1"); do
    case " $VALUES " in *" $key "*) ;; *) why="unknown value $key"; return 1 ;; esac
    value=$(get "$1.$key") || { why="$key is not one value"; return 1; }
    value=$(unescape "$value"; printf .)
    eval "set_$key=\${value%.}"
  done
}

item_name() {
  name=$(unescape "$(get "items.$1.name")"; printf .)
  name=${name%.}
}

observe() {
  load "items.$1.set" || return 1
  item_name "$1"
  kept=
  look "$name" || return 1
  values= more=
  if [ "$exists" = true ]; then
    for key in $VALUES; do
      eval "is_known=\${found_$key+yes}; value=\${found_$key-}"
      [ -z "$is_known" ] || values="$values${values:+,}\"$key\":$(quote "$value")"
    done
  fi
  for key in ${SECRETS-}; do
    eval "matches=\${match_$key-}"
    [ -z "$matches" ] || more="$more${more:+,}\"$key\":$matches"
  done
  [ -z "$more" ] || more=",\"matches\":{$more}"
  [ -z "$kept" ] || [ "$(get "items.$1.keep")" != true ] || more="$more,\"kept\":$(quote "$kept")"
  say item "\"name\":$(quote "$name"),\"exists\":$exists,\"values\":{$values}$more"
}

# optional FUNCTION WORD...: call what the author may have written.
optional() {
  case $(type "$1" 2>/dev/null) in *function*) "$@" ;; *) why="this provider has no $1"; return 1 ;; esac
}

change() {
  if [ "$operation" = refresh ]; then
    item_name "$1"
    optional refresh "$name" "$(get "items.$1.action")"
    return
  fi
  if [ "$operation" = undo ]; then
    from="items.$1.before.values"
    [ "$(get "items.$1.before.exists")" = true ] && action=update || action=remove
  else
    from="items.$1.set"
    action=$(get "items.$1.action")
  fi
  item_name "$1"
  load "$from" || return 1
  case $action in
    remove) drop "$name" ;;
    create | update) make_so "$name" ;;
    *) why="unknown action"; return 1 ;;
  esac || return 1
  if [ "$operation" = undo ] && kept=$(get "items.$1.before.kept"); then
    kept=$(unescape "$kept"; printf .)
    optional restore "$name" "${kept%.}"
  fi
}

each() {
  count=$(get 'items.#') || { refuse 'items are missing'; return; }
  index=0
  while [ "$index" -lt "$count" ]; do
    why='it failed'
    if [ "$operation" = observe ]; then
      observe "$index" || { refuse "$why"; return; }
    elif change "$index" >&2; then
      say item "\"name\":$(quote "$name"),\"result\":\"changed\""
    else
      say item "\"name\":$(quote "$name"),\"result\":\"failed\",\"message\":$(quote "$why")"
    fi
    index=$((index + 1))
  done
  say result
}

while IFS= read -r line; do
  id=0
  if ! flat=$(printf '%s\n' "$line" | flatten); then refuse 'not a line of JSON'; continue; fi
  id=$(get id) || { id=0; refuse 'no id'; continue; }
  case $id in '' | *[!0-9]*) id=0; refuse 'no id'; continue ;; esac
  operation=$(get op) || operation=
  case $operation in
    hello)
      chosen=$(get protocol.max)
      [ "$chosen" -le "$MAX" ] || chosen=$MAX
      if [ "$chosen" -ge 1 ] && [ "$(get protocol.min)" -le "$chosen" ]; then
        say result "\"protocol\":$chosen,\"provider\":\"$NAME\""
      else refuse "this provider speaks protocols 1 to $MAX"; fi ;;
    describe)
      list=
      for key in $VALUES; do list="$list${list:+,}\"$key\""; done
      say result "\"attributes\":[$list]" ;;
    observe | apply | undo | refresh) each ;;
    cancel) exit 0 ;;
    *) refuse "unknown operation $operation" ;;
  esac
done
