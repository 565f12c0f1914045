"""Plans as big and as nasty as pages must bear."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gitops.model.address import parse_address
from gitops.model.fleetplan import ChangeGroup, FleetPlan, PlanSubject
from gitops.model.plan import Change, FieldChange
from gitops.model.scope import HostScope, Scope
from gitops.model.scopetree import digest_change

NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
STATE = "ab" * 32
SITE = parse_address("file:/etc/nginx/conf.d/site.conf")
NGINX = parse_address("service:nginx")
SYSCTL = parse_address("file:/etc/sysctl.d/90-db.conf")
REBUILD = parse_address("command:rebuild-index")
EVIL = "/etc/<script>alert(1)</script>\"'onmouseover=x\u202e"


def fleet_plan(hosts: int = 411, *, pull: str = "site-8080", environment: str = "production") -> FleetPlan:
    """A port change on many web hosts, a conflict and an opaque run on a database host."""
    names = tuple(f"web-{number:03d}" for number in range(1, hosts + 1))
    site = Change(
        SITE,
        "update",
        "intentional",
        after=STATE,
        diff=("@@ -2 +2 @@", " server {", "-    listen 80;", "+    listen 8080;", " }"),
    )
    reload = Change(NGINX, "reload", "intentional", causes=(SITE,), reason=f"because {SITE} changes")
    sysctl = Change(
        SYSCTL,
        "update",
        "conflict",
        risk="high",
        after=STATE,
        fields=(FieldChange("mode", "0600", "0644"),),
        diff=("@@ -1 +1 @@", "-vm.swappiness = 1", "+vm.swappiness = 10"),
    )
    rebuild = Change(REBUILD, "run", "intentional", confidence="opaque", risk="high")
    effects = frozenset({(SITE, "set", STATE), (NGINX, "reload", "")})
    scope = Scope({name: HostScope(frozenset({(SITE, STATE)}), effects) for name in names})
    return FleetPlan(
        subject=PlanSubject("acme", environment, pull, "3a9f2c1" * 5, "8d21e07" * 5, "91ab00d" * 5),
        groups=(ChangeGroup(("db-2",), (sysctl, rebuild)), ChangeGroup(names, (site, reload), (parse_address("file:/etc/old"),))),
        scope=scope,
        change_digest=digest_change(scope, repository="acme", environment=environment, pull=pull),
        ages={"db-2": NOW - timedelta(minutes=31), **{name: NOW - timedelta(minutes=4) for name in names}},
        unchanged=1234,
        hosts=hosts + 1,
    )


def evil_plan() -> FleetPlan:
    """Names, reasons and diffs by an attacker."""
    address = parse_address("file:" + EVIL)
    change = Change(
        address,
        "create",
        "initial",
        after=STATE,
        reason="</div><script>alert(2)</script>",
        diff=("+<img src=x onerror=alert(3)>", "+\x1b[31mred"),
        fields=(FieldChange("owner", "<b>", "'\"><svg onload=alert(4)>"),),
    )
    scope = Scope({"web-1": HostScope(frozenset({(address, STATE)}), frozenset({(address, "set", STATE)}))})
    digest = digest_change(scope, repository="acme", environment="production", pull="evil")
    return FleetPlan(
        PlanSubject("acme", "production", "evil"), (ChangeGroup(("web-1",), (change,)),), scope, digest, {"web-1": None}, 0, 1
    )


def wide_plan(groups: int) -> FleetPlan:
    """Every host another change: nothing folds."""
    made = tuple(
        ChangeGroup((f"host-{number:04d}",), (Change(parse_address(f"file:/etc/{number}"), "create", "initial", after=STATE),))
        for number in range(groups)
    )
    return FleetPlan(PlanSubject("acme", "production", "wide"), made, Scope(), "0" * 64, {}, 0, groups)
