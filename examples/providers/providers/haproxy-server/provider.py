#!/usr/bin/env python3
"""Provider haproxy-server: state and weight of a server of a running HAProxy, by its runtime API.

A restart of HAProxy forgets them; the next run sets them again. Servers themselves
are in its config: one that is not there cannot be made here, nor one taken away.
"""

import json
import re
import socket
import sys

NAME = "haproxy-server"
VALUES = {"state": str, "weight": int}
SOCKET = "/run/haproxy/admin.sock"
PART = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
STATES = ("ready", "drain", "maint")
MAINT, DRAIN = 0x01, 0x08  # of srv_admin_state, as the administrator set it


def look(name, wanted):
    """Give state and weight; an HAProxy that does not run has no servers."""
    backend, server = split(name)
    try:
        answer = ask("show servers state " + backend)
    except OSError:
        return {"exists": False, "values": {}}
    for row in (line.split() for line in answer.splitlines()):
        if len(row) > 7 and row[1] == backend and row[3] == server:
            admin = int(row[6])
            state = "maint" if admin & MAINT else "drain" if admin & DRAIN else "ready"
            return {"exists": True, "values": {"state": state, "weight": int(row[7])}}
    return {"exists": False, "values": {}}


def do(name, action, values):
    """Set weight, then state."""
    backend, server = split(name)
    if action != "update":
        raise ValueError("a server is made and removed in the config of HAProxy, not here")
    if "state" in values and values["state"] not in STATES:
        raise ValueError("`state` is ready, drain or maint")
    commands = ["weight %d" % values["weight"]] if "weight" in values else []
    commands += ["state %s" % values["state"]] if "state" in values else []
    for command in commands:
        answer = ask("set server %s/%s %s" % (backend, server, command)).strip()
        if answer:
            raise ValueError(answer)


def split(name):
    """Give backend and server of a name like app/one."""
    parts = name.split("/")
    if len(parts) != 2 or not all(PART.fullmatch(part) for part in parts):
        raise ValueError("a server's name is BACKEND/SERVER")
    return parts


def ask(command):
    """Give the answer of the runtime API."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
        stream.settimeout(10)
        stream.connect(SOCKET)
        stream.sendall(command.encode() + b"\n")
        answer = b""
        while len(answer) < 1 << 20:
            part = stream.recv(1 << 16)
            if not part:
                break
            answer += part
    return answer.decode("utf-8", "replace")


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
