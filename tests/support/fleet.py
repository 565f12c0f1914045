"""A fleet of 412 hosts as one meets it: a port changes on 411, a database host was changed by hand, one host leaves."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from gitops.model.codec import Json, digest_bytes
from gitops.model.fleetplan import FleetPlan, PlanSubject
from gitops.model.graph import Block, Graphs, HostGraph
from gitops.model.observation import Observation
from gitops.model.resource import Resource
from gitops.plan.fleet import FleetInputs, plan_fleet
from gitops.providers.registry import PROVIDERS
from tests.support.nouns import NOW
from tests.support.planning import RUNNING, declare, observe, with_content

OLD = "server {\n    listen 80;\n    root /var/www;\n}\n"
NEW = OLD.replace("80", "8080")
WEB = [f"web-{number:03}" for number in range(1, 412)]
SUBJECT = PlanSubject("acme", "production", "7", "3a9f2c1" + "0" * 33, "8d21e07" + "0" * 33, "91ab00d" + "0" * 33)


def nginx(content: str) -> Block:
    site = declare("file:/etc/nginx/conf.d/site.conf", {"content": content, "mode": "0644"}, notify=["service:nginx"])
    service = declare("service:nginx", {"state": "running", "enabled": True, "on_notify": "reload"})
    return Block("module/nginx", (declare("package:nginx"), service, site))


def database(value: int) -> tuple[Resource, ...]:
    return (
        declare("file:/etc/sysctl.d/90-db.conf", {"content": f"vm.swappiness = {value}\n"}),
        declare("command:rebuild-index", {"argv": ["/usr/local/bin/rebuild-index"]}),
        declare("file:/etc/issue", {"content": "db\n"}, drift="report"),
    )


def graphs(block: Block, databases: dict[str, tuple[Resource, ...]]) -> Graphs:
    digest = digest_bytes(block.to_bytes())
    hosts = {host: HostGraph(host, "production", (digest,)) for host in WEB}
    hosts |= {host: HostGraph(host, "production", (), found) for host, found in databases.items()}
    return Graphs("production", hosts, {digest: block})


def plan_fleet_of_412(*, number: int = 411) -> FleetPlan:
    """Plan the change; `number` of the web hosts were observed."""
    released = graphs(
        nginx(OLD), {"db-2": database(1)[:1] + database(1)[2:], "old-1": (declare("file:/etc/motd", {"content": "x"}),)}
    )
    desired = graphs(nginx(NEW), {"db-2": database(10)})
    site: dict[str, Json] = with_content(OLD)
    states = {"file:/etc/nginx/conf.d/site.conf": site, "package:nginx": {"installed": "1.22.1"}, "service:nginx": RUNNING}
    seen: dict[str, Observation] = {}
    for host in WEB[:number]:
        seen[host] = replace(observe(states), host=host, at=NOW - timedelta(minutes=4))
    by_hand = {
        "file:/etc/sysctl.d/90-db.conf": with_content("vm.swappiness = 60 # tried by hand\n"),
        "file:/etc/issue": with_content("mine\n"),
        "command:rebuild-index": {},
    }
    seen["db-2"] = replace(observe(by_hand), host="db-2", at=NOW - timedelta(minutes=31))
    return plan_fleet(SUBJECT, FleetInputs(desired, released, seen), providers=PROVIDERS)


def plan_fleet_of_many(hosts: int) -> FleetPlan:
    """Plan a new port on so many web hosts, of which each also has a file of its own that changes."""
    names = [f"web-{number:05}" for number in range(1, hosts + 1)]
    sides = [_many(nginx(text), names, word) for text, word in ((OLD, "old"), (NEW, "new"))]
    seen: dict[str, Observation] = {}
    for name in names:
        states = {"file:/etc/nginx/conf.d/site.conf": with_content(OLD), "package:nginx": {"installed": "1.22.1"}}
        states |= {"service:nginx": RUNNING, "file:/etc/whoami": with_content(f"old {name}\n")}
        seen[name] = replace(observe(states), host=name, at=NOW - timedelta(minutes=4))
    return plan_fleet(SUBJECT, FleetInputs(sides[1], sides[0], seen), providers=PROVIDERS)


def _many(block: Block, names: list[str], word: str) -> Graphs:
    digest = digest_bytes(block.to_bytes())
    own = {name: declare("file:/etc/whoami", {"content": f"{word} {name}\n"}) for name in names}
    return Graphs("production", {name: HostGraph(name, "production", (digest,), (own[name],)) for name in names}, {digest: block})
