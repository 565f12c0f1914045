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


def scaffold(language: str, file: Path, name: str = "demo") -> str:
    """Give the scaffold's program, keeping its settings in `file`."""
    text = (resources.files("gitops.cli") / "scaffold" / f"{language}.txt").read_text(encoding="utf-8")
    return text.replace("/tmp/__NAME__.conf", str(file)).replace("__NAME__", name)


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
