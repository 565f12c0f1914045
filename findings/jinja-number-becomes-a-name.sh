#!/usr/bin/env bash
# Jinja2 3.1.6: a number too large for a double becomes a variable `inf` of the generated program, which does not exist.
#
# Expected: a float literal of a template is a value (Jinja documentation, "Literals": floating point numbers can be
#   written with an exponent). `{{ 1e999 }}` alone prints `inf`.
# Seen: as soon as the expression is not constant as a whole (`x < 1e999`, `x | default(1e999)`), rendering raises
#   NameError: name 'inf' is not defined. The compiler writes constants with repr(), and repr of infinity is a bare word.
# Matters: NameError is no jinja2.TemplateError. A tool that reports TemplateError as the author's mistake, with file and
#   line, reports this one as its own crash; and the message names a variable that the template does not have.
set -euo pipefail
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
python3 -m venv "$t/v"
"$t/v/bin/pip" install -q 'jinja2==3.1.6'

seen=$("$t/v/bin/python" - <<'PY'
from jinja2 import Environment, StrictUndefined, TemplateError

for source in ("{{ 1e999 }}", "{{ x < 1e999 }}", "{{ y | default(1e999) }}"):
    try:
        print(source, "->", Environment(undefined=StrictUndefined).from_string(source).render(x=1))
    except Exception as error:
        print(source, "->", repr(error), "TemplateError:", isinstance(error, TemplateError))
PY
)
echo "$seen"
[[ $(grep -c "NameError(\"name 'inf' is not defined\") TemplateError: False" <<< "$seen") == 2 && $seen == *'{{ 1e999 }} -> inf'* ]] || { echo 'no longer as described' >&2; exit 1; }
