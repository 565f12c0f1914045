"""The executor's protocol: one JSON request on stdin, JSON-lines events on stdout, both versioned.

The request carries secrets' values and is never written to disk by this program. Blobs are read from a folder on the machine
(`blobs/<2 hex>/<sha256>`), since whoever starts the executor has put them there and the executor checks every digest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, Mapping, Optional, Tuple

from gitops.errors import MalformedError
from gitops.model.address import Address, parse_address
from gitops.model.codec import Json
from gitops.model.fields import Fields
from gitops.model.resource import Resource
from gitops.model.scope import HostScope, Scope

REQUEST_SCHEMA = "gitops/request/v1"
EVENT_SCHEMA = "gitops/event/v1"
OPERATIONS = ("observe", "plan", "apply", "rollback", "runs")
EVENTS = ("observation", "plan", "step", "report", "runs", "waiting", "error")


@dataclass(frozen=True)
class Request:
    """What a machine is asked to do.

    `baseline`: what the host was last approved to be (its last accepted release); None means the machine's own ledger of what was
    last applied. `approved`: the sets that cover this run; None means an operator decided and no check is made; corrective
    changes need none. `blobs`, `state`, `root`: folders on the machine. `run`: the id of the new run, or of the run to show or
    roll back. `prune`: what the ledger has and the resources have not, to be removed. `guards`: run `unless`, `onlyif` and
    the project's own programs (external providers, custom facts) while planning. `serial`/`release`: what is written into the report.
    """

    operation: str
    host: str
    run: str = ""
    environment: str = ""
    resources: Tuple[Resource, ...] = ()
    baseline: Optional[Tuple[Resource, ...]] = None
    approved: Optional[HostScope] = None
    secrets: Mapping[str, str] = field(default_factory=dict[str, str])
    only: Tuple[Address, ...] = ()
    blobs: str = ""
    state: str = ""
    root: str = ""
    prune: Tuple[Address, ...] = ()
    guards: bool = False
    dry_run: bool = False
    lock_timeout: int = 60
    serial: int = 0
    release: str = ""

    def to_json(self) -> Dict[str, Json]:
        """Give the document `gitops/request/v1`."""
        return {
            "schema": REQUEST_SCHEMA,
            "operation": self.operation,
            "host": self.host,
            "run": self.run,
            "environment": self.environment,
            "resources": [item.to_json() for item in self.resources],
            "baseline": None if self.baseline is None else [item.to_json() for item in self.baseline],
            "approved": None if self.approved is None else Scope({self.host: self.approved}).to_json(),
            "secrets": dict(self.secrets),
            "only": list(self.only),
            "prune": list(self.prune),
            "blobs": self.blobs,
            "state": self.state,
            "root": self.root,
            "guards": self.guards,
            "dry_run": self.dry_run,
            "lock_timeout": self.lock_timeout,
            "serial": self.serial,
            "release": self.release,
        }

    @staticmethod
    def from_json(value: Json) -> Request:
        """Read and check a request at the machine's door."""
        fields = Fields(value, "request")
        fields.schema(REQUEST_SCHEMA)
        host = fields.text("host")
        baseline = fields.items("baseline") if fields.has("baseline") else None
        approved = Scope.from_json(fields.raw("approved")) if fields.has("approved") else None
        found = Request(
            operation=fields.choice("operation", OPERATIONS),
            host=host,
            run=fields.text("run", ""),
            environment=fields.text("environment", ""),
            resources=tuple(Resource.from_json(item) for item in fields.items("resources")),
            baseline=None if baseline is None else tuple(Resource.from_json(item) for item in baseline),
            approved=None if approved is None else approved.hosts.get(host, HostScope()),
            secrets={name: _secret(item) for name, item in fields.table("secrets").items()},
            only=tuple(parse_address(text) for text in fields.texts("only")),
            prune=tuple(parse_address(text) for text in fields.texts("prune")),
            blobs=fields.text("blobs", ""),
            state=fields.text("state", ""),
            root=fields.text("root", ""),
            guards=fields.flag("guards", default=False),
            dry_run=fields.flag("dry_run", default=False),
            lock_timeout=fields.integer("lock_timeout", 60),
            serial=fields.integer("serial", 0),
            release=fields.text("release", ""),
        )
        fields.done()
        return found


@dataclass(frozen=True)
class Event:
    """One line of the executor's answer: `event` is one of EVENTS and `body` the noun's JSON (for `error`: code, message, hint, exit)."""

    event: str
    body: Json

    def to_json(self) -> Dict[str, Json]:
        """Give the line's object."""
        return {"schema": EVENT_SCHEMA, "event": self.event, "body": self.body}

    @staticmethod
    def from_json(value: Json) -> Event:
        """Read one line."""
        fields = Fields(value, "event")
        fields.schema(EVENT_SCHEMA)
        found = Event(fields.choice("event", EVENTS), fields.raw("body"))
        fields.done()
        return found


def _secret(value: Json) -> str:
    if not isinstance(value, str):
        raise MalformedError("request: secrets are strings", code="M014")
    return value
