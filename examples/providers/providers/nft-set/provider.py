#!/usr/bin/env python3
"""Provider nft-set: the elements of a named set of nftables. A change is one transaction: no packet meets a half-filled set.

The table must be there: rules that use the set are a file's business (see examples/stack).
"""

import json
import re
import subprocess
import sys

NAME = "nft-set"
VALUES = {"type": str, "elements": list}
NFT = "/usr/sbin/nft"
PART = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
FAMILIES = ("ip", "ip6", "inet", "arp", "bridge", "netdev")
ELEMENT = re.compile(r"[0-9A-Fa-f.:/-]{1,50}")


def look(name, wanted):
    """Give the set's type and elements, in the order that is wanted where they are the same."""
    family, table, own = split(name)
    done = run("-j", "list", "set", family, table, own)
    if done.returncode:
        return {"exists": False, "values": {}}
    (found,) = [item["set"] for item in json.loads(done.stdout)["nftables"] if "set" in item]
    there = [spell(item) for item in found.get("elem", [])]
    asked = wanted.get("elements", [])
    return {
        "exists": True,
        "values": {"type": found["type"], "elements": asked if sorted(asked) == sorted(there) else sorted(there)},
    }


def do(name, action, values):
    """Make, fill or remove it."""
    family, table, own = split(name)
    where = "%s %s %s" % (family, table, own)
    is_there = run("-j", "list", "set", family, table, own).returncode == 0
    if action == "remove":
        commands = ["delete set %s" % where] if is_there else []
    else:
        for element in values["elements"]:
            if not ELEMENT.fullmatch(element):
                raise ValueError("%r is no address, prefix, port or range of them" % element[:60])
        flags = " flags interval;" if any("-" in element or "/" in element for element in values["elements"]) else ""
        commands = ["flush set %s" % where] if is_there else ["add set %s { type %s;%s }" % (where, kind(values), flags)]
        if values["elements"]:
            commands.append("add element %s { %s }" % (where, ", ".join(values["elements"])))
    done = run("-f", "-", text="".join(line + "\n" for line in commands))
    if done.returncode:
        raise ValueError(done.stderr.strip())


def kind(values):
    """Give the type, if it is one."""
    if values["type"] not in ("ipv4_addr", "ipv6_addr", "inet_service"):
        raise ValueError("`type` is ipv4_addr, ipv6_addr or inet_service")
    return values["type"]


def split(name):
    """Give family, table and set of a name like inet/filter/allowed."""
    parts = name.split("/")
    if len(parts) != 3 or parts[0] not in FAMILIES or not all(PART.fullmatch(part) for part in parts[1:]):
        raise ValueError("a set's name is FAMILY/TABLE/SET, like inet/filter/allowed")
    return parts


def spell(item):
    """Give an element as people write it."""
    if isinstance(item, dict) and "prefix" in item:
        return "%s/%d" % (item["prefix"]["addr"], item["prefix"]["len"])
    if isinstance(item, dict) and "range" in item:
        return "-".join(str(end) for end in item["range"])
    return str(item)


def run(*arguments, text=""):
    """Run nft."""
    return subprocess.run([NFT, *arguments], input=text, capture_output=True, text=True, timeout=60, check=False)


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
