"""Programs of external providers, laid out as a release does, and the resources that name them."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from gitops.model.codec import Json, digest_bytes
from gitops.model.resource import Resource

HELLO = """
import json, os, sys, time
def say(number, event, **body): print(json.dumps({"id": number, "event": event, "body": body}), flush=True)
def read(): return json.loads(sys.stdin.readline())
hello = read()
say(hello["id"], "result", protocol=1, provider="demo")
"""

MARK = "# --- the protocol;"
KEEPERS = {
    "python": """#!/usr/bin/env python3
import json, os, sys
NAME = "demo"
VALUES = {"value": str, "token": str}

def path(name): return os.path.join("FOLDER", name)

def read(name):
    try:
        with open(path(name)) as stream: return json.load(stream)
    except FileNotFoundError: return None

def look(name, wanted):
    found = read(name)
    if found is None: return {"exists": False, "values": {}}
    matches = {"token": found.get("token") == wanted["token"]} if "token" in wanted else {}
    values = {"value": found["value"]} if "value" in found else {}
    return {"exists": True, "values": values, "matches": matches, "kept": found.get("token", "")}

def put(name, found):
    with open(path(name), "w") as stream: json.dump(found, stream, sort_keys=True)

def do(name, action, values):
    if action == "remove": os.unlink(path(name))
    else: put(name, {**(read(name) or {}), **values})

def restore(name, kept): put(name, {**read(name), "token": kept})

def refresh(name, action):
    with open(path("said"), "a") as stream: stream.write(action + " " + read(name)["value"] + "\\n")

""",
    "sh": """#!/bin/sh
set -uf
NAME=demo VALUES='value token' SECRETS=token
look() {
  exists=false
  [ -f "FOLDER/$1" ] || return 0
  exists=true found_value=$(cat "FOLDER/$1")
  kept=$(cat "FOLDER/$1.token" 2>/dev/null) || kept=
  match_token=
  [ -z "${set_token+x}" ] || { match_token=false; [ "$set_token" != "$kept" ] || match_token=true; }
}
make_so() {
  [ -z "${set_value+x}" ] || printf %s "$set_value" >"FOLDER/$1"
  [ -z "${set_token+x}" ] || printf %s "$set_token" >"FOLDER/$1.token"
}
drop() { rm -f "FOLDER/$1" "FOLDER/$1.token"; }
restore() { printf %s "$2" >"FOLDER/$1.token"; }
refresh() { printf '%s %s\\n' "$2" "$(cat "FOLDER/$1")" >>FOLDER/said; }
""",
}


def scaffold(language: str, file: Path, name: str = "demo") -> str:
    """Give the scaffold's program, keeping its settings in `file`."""
    text = (resources.files("gitops.cli") / "scaffold" / f"{language}.txt").read_text(encoding="utf-8")
    return text.replace("/tmp/__NAME__.conf", str(file)).replace("__NAME__", name)


def keeper(language: str, folder: Path) -> str:
    """Give a provider with a secret, `token`, and notifications, that keeps all in files of a folder: our half on the scaffold's."""
    protocol = scaffold(language, folder / "unused").partition(MARK)[2]
    return KEEPERS[language].replace("FOLDER", str(folder)) + MARK + protocol


def python(text: str, *, greets: bool = True) -> str:
    """Give a program in Python that has said hello, as `demo`, before it does `text`."""
    return "#!/usr/bin/env python3\n" + (HELLO if greets else "") + text


def lay_out(folder: Path, text: str) -> dict[str, Json]:
    """Put a program below `folder/blobs`; give it as a graph names it."""
    data = text.encode()
    digest = digest_bytes(data)
    place = folder / "blobs" / digest[:2] / digest
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    return {"blob": digest, "size": len(data)}


def thing(executable: Json, value: Json = "one", *, name: str = "demo/a", state: str = "present", protocol: int = 1) -> Resource:
    """Declare a thing with one value (None: no value)."""
    values: Json = {} if value is None else {"value": value}
    return Resource("external", name, {"set": values, "state": state, "executable": executable, "protocol": protocol})
