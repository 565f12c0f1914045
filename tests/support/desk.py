"""A desk whose store is filled with everything pages can show, and reviews that only remember what they were asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from starlette.applications import Starlette

from gitops.errors import HeldError
from gitops.model.address import parse_address
from gitops.model.codec import encode_canonical
from gitops.model.diagnostic import Diagnostic, Place
from gitops.model.fleetplan import FleetPlan
from gitops.model.observation import Observation
from gitops.model.report import Outcome, Report
from tests.support.fleet import plan_fleet_of_many
from tests.support.people import make_gate, make_user, make_users
from tests.support.plans import EVIL, NOW, STATE, evil_plan, fleet_plan, wide_plan
from webhooks.auth.users import User, Users
from webhooks.records import (
    ApprovalRecord,
    HostRecord,
    PlanRecord,
    PullKey,
    PullRecord,
    ReleaseRecord,
    RemarkRecord,
    RunRecord,
    StatusRecord,
)
from webhooks.store.approvals import add_approval
from webhooks.store.hosts import save_host
from webhooks.store.plans import add_plan
from webhooks.store.pulls import save_pull
from webhooks.store.releases import save_release
from webhooks.store.remarks import add_remark, save_status
from webhooks.store.runs import add_run
from webhooks.store.store import Store, open_store
from webhooks.ui.desk import Desk, HostDesk, PullDesk, ReleaseDesk
from webhooks.ui.routes import Pages, make_pages

HEAD, TARGET = "8d21e07" * 5 + "abcde", "91ab00d" * 5 + "abcde"
NASTY = "<script>alert('pwned')</script>\"'><img src=x onerror=alert(1)>"


@dataclass
class FakeReviews:
    """Remembers; refuses when told to."""

    asked: list[tuple[str, ...]] = field(default_factory=list)
    refusal: str = ""
    refused: dict[str, str] = field(default_factory=dict)

    def approve(self, key: PullKey, user: User, change_digest: str) -> str:
        self._note("approve", key.name, user.name, change_digest)
        return "approved"

    def merge(self, key: PullKey, user: User, head: str) -> str:
        self._note("merge", key.name, user.name, head)
        return TARGET

    def take_back(self, key: PullKey, user: User) -> str:
        self._note("take back", key.name, user.name)
        return "taken-back"

    def refresh(self) -> None:
        self._note("refresh")

    def list_refused(self) -> dict[str, str]:
        return self.refused

    def _note(self, *asked: str) -> None:
        if self.refusal:
            raise HeldError(self.refusal, hint="do <b>something</b> else")
        self.asked.append(asked)


def four_users() -> Users:
    return make_users(make_user("alice", "sre"), make_user("bob", "sre"), make_user("carol", "sre"), make_user("dave", "dev"))


def make_desk(
    folder: Path, users: Users | None = None, *, reviews: FakeReviews | None = None, clock: Callable[[], object] | None = None
) -> PullDesk:
    store = open_store(f"sqlite:///{folder / 'trueup.sqlite'}")
    gate = make_gate(folder, four_users() if users is None else users)
    return PullDesk(gate, store, lambda: NOW, reviews=reviews or FakeReviews(), clone="/srv/git/acme.git")


def make_app(desk: PullDesk) -> Starlette:
    base = (desk.gate, desk.store, desk.now)
    pages = Pages(desk, HostDesk(*base), ReleaseDesk(*base, lambda _release: "5e" * 32), Desk(*base))
    return Starlette(routes=make_pages(pages))


def add_pull(store: Store, name: str, plans: tuple[FleetPlan, ...] = (), **more: object) -> PullRecord:
    """Write a pull request with current, published plans that want two approvals of `team:sre`."""
    values: dict[str, object] = {
        "title": "Serve the site on port 8080",
        "author": "alice",
        "head": HEAD,
        "branch": "main",
        "target": TARGET,
        "contributors": ("alice",),
        "planning": "planned",
        "planned_head": HEAD,
        "updated": NOW - timedelta(minutes=3),
        "comment": "**Trueup · production** — 824 changes in 2 groups on 412 hosts · risk **high**\n" + "x" * 500,
        "comment_ident": "page:1",
    }
    record = PullRecord(PullKey("local", name), **{**values, **more})  # type: ignore[arg-type]
    with store.write() as connection:
        save_pull(connection, record)
        for plan in plans:
            add_plan(connection, plan_record(record.key, plan))
        for context, state, text in (
            ("gitops/plan", "success", "824 changes on 412 hosts"),
            ("gitops/policy", "success", "no policy"),
            ("gitops/approval", "pending", "1 of 2"),
        ):
            save_status(connection, StatusRecord("local", record.head, context, state, text))
    return record


def plan_record(key: PullKey, plan: FleetPlan, required: int = 2) -> PlanRecord:
    made = NOW - timedelta(minutes=5)
    return PlanRecord(
        0, key, plan.subject.environment, plan.change_digest, plan.content_digest, HEAD, TARGET, plan.to_bytes(),
        made, required, ("team:sre",), made, parts=plan.to_parts(),
    )  # fmt: skip


def approve(store: Store, name: str, login: str, plan: FleetPlan, *, state: str = "counted", serial: int = 0) -> None:
    key = PullKey("local", name)
    with store.write() as connection:
        at = NOW - timedelta(minutes=2)
        ident = add_remark(connection, RemarkRecord(0, key, login, f"/gitops approve {plan.change_digest}", at))
        record = ApprovalRecord(
            0, key, plan.subject.environment, f"comment:{ident}", login, plan.change_digest, at, state, serial=serial
        )
        add_approval(connection, record)


def add_host(store: Store, name: str, result: str, *, serial: int = 12, drifted: tuple[str, ...] = (), message: str = "") -> None:
    """Write a host with one run."""
    at = NOW - timedelta(minutes=4)
    states = {parse_address("file:/etc/motd"): {"type": "file", "mode": "0644", "digest": STATE, "size": 21}}
    observation = Observation(name, at, {"os.name": "debian", "os.version": "12"}, states, serial)
    changes = (
        Outcome(parse_address("file:/etc/motd"), "update", "changed"),
        Outcome(parse_address("service:nginx"), "reload", "failed" if result == "failed" else "changed", message),
    )
    report = Report(
        f"run-{name}", name, result, at - timedelta(seconds=3), at, () if result == "converged" else changes, 41, "production",
        serial, "c0" * 32, message, tuple(parse_address(item) for item in drifted), "0.1.0", observation,
    )  # fmt: skip
    with store.write() as connection:
        save_host(
            connection, HostRecord(name, "production", at, "x" + name, at, report.run, result, serial, observation, "local")
        )
        add_run(
            connection,
            RunRecord(name, report.run, "production", result, serial, report.started, at, at, encode_canonical(report.to_json())),
        )


def fill(store: Store, hosts: int = 40) -> None:
    """Fill the store as a busy team would."""
    plan = fleet_plan()
    add_pull(store, "site-8080", (plan, fleet_plan(2, environment="staging")))
    approve(store, "site-8080", "carol", plan)
    add_pull(
        store,
        "log-rotation",
        (fleet_plan(12, pull="log-rotation"),),
        title="Rotate log files weekly",
        author="dave",
        updated=NOW - timedelta(hours=2),
    )
    for login in ("bob", "carol"):
        approve(store, "log-rotation", login, fleet_plan(12, pull="log-rotation"))
    mistake = Diagnostic(
        "C104", "unknown key `contents` in file:/etc/motd", Place("inventory/web.yaml", 14, 7), hint="did you mean `content`?"
    )
    add_pull(
        store,
        "motd",
        title="Greet people",
        author="bob",
        planning="invalid",
        diagnostics=(mistake,),
        comment="",
        updated=NOW - timedelta(days=3),
    )
    add_pull(
        store,
        "evil",
        (evil_plan(),),
        title=NASTY,
        author=NASTY,
        branch=NASTY,
        url="javascript:alert(1)",
        note=NASTY,
        comment=NASTY,
    )
    add_pull(store, "many", (plan_fleet_of_many(300),), title="Own files")
    add_pull(store, "wide", (wide_plan(250),), title="Everything everywhere")
    add_pull(store, "done", title="First site", state="merged", updated=NOW - timedelta(days=9))
    approve(store, "done", "bob", fleet_plan(1, pull="done"), state="spent", serial=12)
    with store.write() as connection:
        for serial in (11, 12):
            at = NOW - timedelta(days=20 - serial)
            save_release(connection, ReleaseRecord("local", "production", f"{serial:02x}" * 20, "released", at, "done" if serial == 12 else "", serial, "cd" * 20, "ef" * 32, "release/production"))  # fmt: skip
    for number in range(1, hosts + 1):
        results = {7: "held", 11: "failed", 13: "changed"}
        drifted = ("file:/etc/motd",) if number % 9 == 0 else ()
        result = results.get(number, "converged")
        message = (
            "nginx: [emerg] unknown directive" if result == "failed" else "more than was approved" if result == "held" else ""
        )
        add_host(store, f"web-{number:03d}", result, serial=12 - (number % 5 == 0), drifted=drifted, message=message)
    add_host(store, "evil-1", "failed", message=NASTY, drifted=("file:" + EVIL,))
    with store.write() as connection:
        save_host(connection, HostRecord("new-1", "production", NOW, "credential-new"))
