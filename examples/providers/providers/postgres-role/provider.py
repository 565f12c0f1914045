#!/usr/bin/env python3
"""Provider postgres-role: roles of the PostgreSQL server on this machine.

It asks with psql, as the server's own user, and hands names over as variables, so that psql quotes them. Of a password the server only
ever sees the SCRAM verifier (RFC 5803), made here: the password itself is in no statement, log or argument list.
"""

import base64
import hashlib
import hmac
import json
import os
import pwd
import re
import subprocess
import sys
import unicodedata

NAME = "postgres-role"
VALUES = {"login": bool, "createdb": bool, "connection_limit": int, "password": str}
SOCKET = "/var/run/postgresql"
PORT = "5432"
USER = "postgres"
COLUMNS = {"login": "rolcanlogin", "createdb": "rolcreatedb", "connection_limit": "rolconnlimit"}
LOOK = (
    "select json_build_object('login', rolcanlogin, 'createdb', rolcreatedb, 'connection_limit', rolconnlimit, "
    "'password', coalesce(rolpassword, '')) from pg_authid where rolname = :'name';"
)
ITERATIONS = 4096
VERIFIER = re.compile(r"SCRAM-SHA-256\$([0-9]{1,7}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):[A-Za-z0-9+/=]+|md5[0-9a-f]{32}|")


def look(name, wanted):
    """Give the role's attributes; a server that is not there has no roles."""
    try:
        found = ask(LOOK, name).strip()
    except OSError:
        return {"exists": False, "values": {}}
    if not found:
        return {"exists": False, "values": {}}
    values = json.loads(found)
    kept = values.pop("password")
    matches = {"password": is_password(wanted["password"], kept)} if "password" in wanted else {}
    return {"exists": True, "values": values, "matches": matches, "kept": kept}


def do(name, action, values):
    """Create, alter or drop it."""
    if action == "remove":
        ask('drop role if exists :"name";', name)
        return
    words = [("" if values[key] else "no") + key for key in ("login", "createdb") if key in values]
    if "connection_limit" in values:
        words.append("connection limit %d" % values["connection_limit"])
    if "password" in values:
        words.append("password '%s'" % make_verifier(values["password"], os.urandom(16), ITERATIONS))
    verb = "alter" if look(name, {})["exists"] else "create"
    ask('%s role :"name" %s;' % (verb, " ".join(words)), name)


def restore(name, kept):
    """Give a role the verifier that it had."""
    if not VERIFIER.fullmatch(kept):
        raise ValueError("what is kept is no verifier of a password")
    ask('alter role :"name" password %s;' % ("'%s'" % kept if kept else "null"), name)


def make_verifier(password, salt, iterations):
    """Give what PostgreSQL keeps of a password."""
    salted = hashlib.pbkdf2_hmac("sha256", unicodedata.normalize("NFKC", password).encode(), salt, iterations)
    client, server = (hmac.new(salted, word, hashlib.sha256).digest() for word in (b"Client Key", b"Server Key"))
    words = [base64.b64encode(part).decode() for part in (salt, hashlib.sha256(client).digest(), server)]
    return "SCRAM-SHA-256$%d:%s$%s:%s" % (iterations, *words)


def is_password(password, verifier):
    """Say whether a verifier is of this password."""
    found = VERIFIER.fullmatch(verifier)
    if not found or not found.group(1):
        return False
    again = make_verifier(password, base64.b64decode(found.group(2)), int(found.group(1)))
    return hmac.compare_digest(again, verifier)


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
