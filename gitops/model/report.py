"""Outcome and Report: what a run did, item by item. The proof that goes back to the service and stays on the machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Dict, Optional, Tuple

from gitops.model.address import Address, parse_address
from gitops.model.codec import Json, format_time
from gitops.model.fields import Fields
from gitops.model.observation import Observation
from gitops.model.parts import Listing, list_rows

REPORT_SCHEMA = "gitops/report/v1"
RESULTS = ("converged", "changed", "held", "failed", "reverted", "interrupted")
ITEM_RESULTS = ("changed", "failed", "refused", "skipped", "held", "reverted")
ACTIONS_DONE = ("create", "update", "replace", "remove", "run", "restart", "reload", "refused")


@dataclass(frozen=True)
class Outcome:
    """What happened to one item; `message` is for people, bounded and redacted."""

    address: Address
    action: str
    result: str
    message: str = ""

    @property
    def is_left(self) -> bool:
        """Whether, of an undo, it is something that stays as the run left it."""
        return self.result in ("failed", "skipped")

    def to_json(self) -> Dict[str, Json]:
        """Give `{address, action, result}` and, when there is one, `message`."""
        table: Dict[str, Json] = {"address": self.address, "action": self.action, "result": self.result}
        if self.message:
            table["message"] = self.message
        return table

    @staticmethod
    def from_json(value: Json) -> Outcome:
        """Read one."""
        fields = Fields(value, "outcome")
        found = Outcome(
            address=parse_address(fields.text("address")),
            action=fields.choice("action", ACTIONS_DONE),
            result=fields.choice("result", ITEM_RESULTS),
            message=fields.text("message", ""),
        )
        fields.done()
        return found


@dataclass(frozen=True)
class Report:
    """One run on one machine. `serial` and `release` (manifest digest) are those of the release applied, or 0 and empty.
    `reason` says why it was held or failed as a whole; `drifted` lists items that differ but are only reported.
    """

    run: str
    host: str
    result: str
    started: datetime
    finished: datetime
    changes: Tuple[Outcome, ...] = ()
    unchanged: int = 0
    environment: str = ""
    serial: int = 0
    release: str = ""
    reason: str = ""
    drifted: Tuple[Address, ...] = ()
    agent: str = ""
    observation: Optional[Observation] = field(default=None)

    def to_json(self, listing: Listing = list_rows) -> Dict[str, Json]:
        """Give the document `gitops/report/v1`; with `Rows` as `listing`, one to be written in parts."""
        table: Dict[str, Json] = {
            "schema": REPORT_SCHEMA,
            "run": self.run,
            "host": self.host,
            "result": self.result,
            "started": format_time(self.started),
            "finished": format_time(self.finished),
            "changes": listing(self.changes, Outcome.to_json),
            "unchanged": self.unchanged,
            "environment": self.environment,
            "serial": self.serial,
            "release": self.release,
            "reason": self.reason,
            "drifted": list(self.drifted),
            "agent": self.agent,
        }
        if self.observation is not None:
            table["observation"] = self.observation.to_json()
        return table

    @staticmethod
    def from_json(value: Json) -> Report:
        """Read the document."""
        fields = Fields(value, "report")
        fields.schema(REPORT_SCHEMA)
        found = Report(
            run=fields.text("run"),
            host=fields.text("host"),
            result=fields.choice("result", RESULTS),
            started=fields.time("started"),
            finished=fields.time("finished"),
            changes=tuple(Outcome.from_json(item) for item in fields.items("changes")),
            unchanged=fields.integer("unchanged", 0),
            environment=fields.text("environment", ""),
            serial=fields.integer("serial", 0),
            release=fields.text("release", ""),
            reason=fields.text("reason", ""),
            drifted=tuple(parse_address(text) for text in fields.texts("drifted")),
            agent=fields.text("agent", ""),
            observation=Observation.from_json(fields.raw("observation")) if fields.has("observation") else None,
        )
        fields.done()
        return found
