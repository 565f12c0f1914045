#!/usr/bin/env python3
"""Provider nginx-site: one file of sites-enabled for each site. nginx judges the whole config before it reads it again.

The first line of a file holds its values, so that what is there is read back exactly; a file without it is somebody else's.
"""

import json
import os
import re
import subprocess
import sys

NAME = "nginx-site"
VALUES = {"server_name": str, "listen": int, "root": str, "proxy": str}
CONFIG = "/etc/nginx/nginx.conf"
SITES = "/etc/nginx/sites-enabled"
MARK = "# trueup "
WORDS = {
    "server_name": r"[A-Za-z0-9*][A-Za-z0-9.*-]{0,252}",
    "root": r"/[A-Za-z0-9._/-]{0,1000}",
    "proxy": r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?",
}


def look(name, wanted):
    """Give the site's values, as its first line says, if the rest is what follows from them."""
    text = read(place(name))
    if not text.startswith(MARK):
        return {"exists": bool(text), "values": {}}
    values = json.loads(text.partition("\n")[0][len(MARK) :])
    return {"exists": True, "values": values if text == render(values) else {}}


def do(name, action, values):
    """Write or remove its file; when nginx does not take that, what was there comes back."""
    path = place(name)
    before = read(path)
    if before and not before.startswith(MARK):
        raise ValueError("%s was not made by this provider; move it away" % path)
    put(path, "" if action == "remove" else render(values))
    done = run("-t", "-q")
    if done.returncode:
        put(path, before)
        raise ValueError(done.stderr.strip())
    if run("-s", "reload").returncode:
        sys.stderr.write("nginx does not run: it will read this when it starts\n")


def refresh(name, action):
    """Let nginx read again what the sites name (certificates, included files), if it takes it."""
    done = run("-t", "-q")
    if done.returncode:
        raise ValueError(done.stderr.strip())
    if run("-s", "reload").returncode:
        sys.stderr.write("nginx does not run: it will read this when it starts\n")


def render(values):
    """Give the file of a site; raise ValueError for what could be more than a word of it."""
    for key, pattern in WORDS.items():
        if key in values and not re.fullmatch(pattern, values[key]):
            raise ValueError("`%s` cannot stand in a config of nginx: %r" % (key, values[key][:80]))
    if ("root" in values) == ("proxy" in values):
        raise ValueError("either `root` or `proxy` says what it serves")
    inside = "root %s;" % values["root"] if "root" in values else "location / { proxy_pass %s; }" % values["proxy"]
    body = "server {\n    listen %d;\n    server_name %s;\n    %s\n}\n" % (values["listen"], values["server_name"], inside)
    return MARK + json.dumps(values, sort_keys=True) + "\n" + body


def place(name):
    """Give the path of a site's file."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,62}", name):
        raise ValueError("a site's name is small letters, digits, `.` and `-`")
    return os.path.join(SITES, name)


def read(path):
    """Give a file's text, empty when it is not there."""
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read(1 << 16)
    except FileNotFoundError:
        return ""


def put(path, text):
    """Write beside and rename, or remove."""
    if not text:
        if os.path.exists(path):
            os.unlink(path)
        return
    fresh = os.path.join(os.path.dirname(SITES), ".trueup-site")  # not in SITES: nginx would read it
    with open(fresh, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.rename(fresh, path)


def run(*arguments):
    """Run nginx with the config that it has."""
    return subprocess.run(["nginx", "-c", CONFIG, *arguments], capture_output=True, text=True, timeout=60, check=False)


# --- the protocol; no need to change what follows (`gitops provider update` renews it) ---------------------------------------------
PROTOCOLS = (1, 2)


def say(number, event, **body):
    sys.stdout.write(json.dumps({"id": number, "event": event, "body": body}) + "\n")
    sys.stdout.flush()


def check(values):
    for key, value in values.items():
        if key not in VALUES:
            raise ValueError("unknown value `%s`" % key)
        if type(value) is not VALUES[key]:
            raise ValueError("`%s` is not of the type %s" % (key, VALUES[key].__name__))


def optional(name):
    if name not in globals():
        raise ValueError("this provider has no `%s`" % name)
    return globals()[name]


def change(item, operation):
    if operation == "refresh":
        optional("refresh")(item["name"], item["action"])
        return
    before = item.get("before", {})
    if operation == "undo":
        action, values = ("update", before.get("values", {})) if before.get("exists") else ("remove", {})
    else:
        action, values = item["action"], item.get("set", {})
    check(values)
    do(item["name"], action, values)
    if operation == "undo" and "kept" in before:
        optional("restore")(item["name"], before["kept"])


def answer(request):
    number, operation = request["id"], request["op"]
    if operation == "hello":
        versions = request["protocol"]
        chosen = min(versions["max"], PROTOCOLS[1])
        if chosen < max(versions["min"], PROTOCOLS[0]):
            raise ValueError("this provider speaks protocols %d to %d" % PROTOCOLS)
        say(number, "result", protocol=chosen, provider=NAME)
    elif operation == "describe":
        say(number, "result", attributes=sorted(VALUES))
    elif operation == "observe":
        for item in request["items"]:
            check(item.get("set", {}))
            found = look(item["name"], item.get("set", {}))
            if not item.get("keep"):
                found.pop("kept", None)
            say(number, "item", name=item["name"], **found)
        say(number, "result")
    elif operation in ("apply", "undo", "refresh"):
        for item in request["items"]:
            try:
                change(item, operation)
            except Exception as error:
                say(number, "item", name=item["name"], result="failed", message=str(error))
            else:
                say(number, "item", name=item["name"], result="changed")
        say(number, "result")
    elif operation == "cancel":
        sys.exit(0)
    else:
        raise ValueError("unknown operation `%s`" % operation)


def main():
    for line in sys.stdin:
        number = 0
        try:
            request = json.loads(line)
            number = request["id"]
            answer(request)
        except Exception as error:
            say(number, "error", code="failed", message="%s: %s" % (type(error).__name__, error))


if __name__ == "__main__":
    main()
