#!/usr/bin/env python3
"""Provider postgres-role: roles of the PostgreSQL server on this machine. Passwords are not its business: it sees no secrets.

It asks with psql, as the server's own user, and hands names over as variables, so that psql quotes them.
"""

import json
import pwd
import subprocess
import sys

NAME = "postgres-role"
VALUES = {"login": bool, "createdb": bool, "connection_limit": int}
SOCKET = "/var/run/postgresql"
PORT = "5432"
USER = "postgres"
COLUMNS = {"login": "rolcanlogin", "createdb": "rolcreatedb", "connection_limit": "rolconnlimit"}
LOOK = (
    "select json_build_object('login', rolcanlogin, 'createdb', rolcreatedb, 'connection_limit', rolconnlimit) "
    "from pg_roles where rolname = :'name';"
)


def look(name, wanted):
    """Give the role's attributes; a server that is not there has no roles."""
    try:
        found = ask(LOOK, name).strip()
    except OSError:
        return {"exists": False, "values": {}}
    return {"exists": bool(found), "values": json.loads(found) if found else {}}


def do(name, action, values):
    """Create, alter or drop it."""
    if action == "remove":
        ask('drop role if exists :"name";', name)
        return
    words = [("" if values[key] else "no") + key for key in ("login", "createdb") if key in values]
    if "connection_limit" in values:
        words.append("connection limit %d" % values["connection_limit"])
    verb = "alter" if look(name, {})["exists"] else "create"
    ask('%s role :"name" %s;' % (verb, " ".join(words)), name)


def ask(statement, name):
    """Give what psql prints; raise OSError when the server is not there, ValueError with its words when it refuses."""
    account = pwd.getpwnam(USER)
    argv = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-v", "name=" + name, "-h", SOCKET, "-p", PORT]
    done = subprocess.run(
        [*argv, "-U", USER, "-d", "postgres"],
        input=statement,
        capture_output=True,
        text=True,
        timeout=60,
        cwd="/",
        user=account.pw_uid,
        group=account.pw_gid,
        extra_groups=[],
    )
    if done.returncode == 2:
        raise OSError(done.stderr.strip())
    if done.returncode:
        raise ValueError(done.stderr.strip())
    return done.stdout


# --- the protocol; no need to change what follows ---------------------------------------------------------------------------------


def say(number, event, **body):
    sys.stdout.write(json.dumps({"id": number, "event": event, "body": body}) + "\n")
    sys.stdout.flush()


def check(values):
    for key, value in values.items():
        if key not in VALUES:
            raise ValueError("unknown value `%s`" % key)
        if type(value) is not VALUES[key]:
            raise ValueError("`%s` is not of the type %s" % (key, VALUES[key].__name__))


def change(item, operation):
    before = item.get("before", {})
    if operation == "undo":
        action, values = ("update", before.get("values", {})) if before.get("exists") else ("remove", {})
    else:
        action, values = item["action"], item.get("set", {})
    check(values)
    do(item["name"], action, values)


def answer(request):
    number, operation = request["id"], request["op"]
    if operation == "hello":
        versions = request["protocol"]
        if not versions["min"] <= 1 <= versions["max"]:
            raise ValueError("this provider speaks protocol 1")
        say(number, "result", protocol=1, provider=NAME)
    elif operation == "describe":
        say(number, "result", attributes=sorted(VALUES))
    elif operation == "observe":
        for item in request["items"]:
            check(item.get("set", {}))
            say(number, "item", name=item["name"], **look(item["name"], item.get("set", {})))
        say(number, "result")
    elif operation in ("apply", "undo"):
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
