"""What the service remembers: frozen nouns, one per table of the store.

Everything here can be made again from Git, the forge and the hosts' next reports, but approvals, credentials and history. A pull request
is named by `repository` (the forge's full name, `owner/name`, or `local`) and `name` (a number, or the local branch's name). Times
are aware and in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote

from gitops.model.addressed import ReadPart, refuse_parts
from gitops.model.approval import Approval
from gitops.model.codec import decode_json
from gitops.model.diagnostic import Diagnostic
from gitops.model.fleetplan import FleetPlan
from gitops.model.observation import Observation
from gitops.model.report import Report

PULL_STATES = ("open", "merged", "closed")
PLANNING_STATES = ("waiting", "planned", "invalid", "conflict", "failed")
APPROVAL_STATES = ("counted", "refused", "lost", "spent")
RELEASE_STATES = ("waiting", "held", "released", "nothing", "failed")
JOB_STATES = ("ready", "running", "done", "dead")
DELIVERY_STATES = ("taken", "failed")


@dataclass(frozen=True)
class PullKey:
    """Which pull request."""

    repository: str
    name: str

    def __str__(self) -> str:
        return f"{self.repository}#{self.name}"

    @property
    def path(self) -> str:
        """Where its page is, below the service's address. A name keeps its slashes: not every proxy passes on `%2F`."""
        return f"/pulls/{quote(self.repository)}/{quote(self.name)}"


@dataclass(frozen=True)
class HostKey:
    """Which machine: two of one name in other repositories or environments share nothing."""

    repository: str
    environment: str
    name: str

    def __str__(self) -> str:
        return f"{self.repository}:{self.environment}:{self.name}"


@dataclass(frozen=True)
class DeliveryRecord:
    """One webhook delivery; a failed one may be delivered again under the same id."""

    forge: str
    ident: str
    event: str
    received: datetime
    state: str = "taken"


@dataclass(frozen=True)
class JobRecord:
    """One piece of work, named by `kind` and `key`: two that wait for the same are one. `lease` is until when a worker has it."""

    ident: int
    kind: str
    key: str
    payload: Mapping[str, str]
    state: str
    attempts: int
    run_at: datetime
    lease: datetime | None = None
    error: str = ""
    delivery: str = ""


@dataclass(frozen=True)
class PullRecord:
    """A pull request as last read from its forge, and where planning it stands.

    `contributors` are all who opened, committed or pushed any of it, only ever added to; `branch` is the target branch, `target` its
    commit when this was planned. `planning` is one of PLANNING_STATES; `diagnostics` and `conflicts` say why there is no plan; `note` is
    what the comment says under its heading; `comment` the posted text, `comment_ident` the forge's name of it and `comment_at` when
    it was written last, as the forge told it. `is_settled`: nothing more
    will happen to it (closed, or merged and released). `version` is the forge's, when it was last read.
    """

    key: PullKey
    title: str
    author: str
    head: str
    branch: str
    target: str = ""
    state: str = "open"
    contributors: tuple[str, ...] = ()
    url: str = ""
    merged: str = ""
    planning: str = "waiting"
    planned_head: str = ""
    diagnostics: tuple[Diagnostic, ...] = ()
    conflicts: tuple[str, ...] = ()
    note: str = ""
    comment: str = ""
    comment_ident: str = ""
    comment_at: datetime | None = None
    is_settled: bool = False
    version: str = ""
    updated: datetime | None = None


@dataclass(frozen=True)
class PlanRecord:
    """One plan of one environment. `published` is when reviewers could first read it (the forge's clock), None: not yet.

    `document` is the FleetPlan's bytes; `is_current` says that no later plan of this pull request and environment replaced it.
    `required` and `approvers` are what the base branch demanded when it was made. `parts` are what is written beside it when it is new,
    `read` gives those of one that was stored.
    """

    ident: int
    pull: PullKey
    environment: str
    change_digest: str
    content_digest: str
    head: str
    target: str
    document: bytes
    made: datetime
    required: int = 0
    approvers: tuple[str, ...] = ()
    published: datetime | None = None
    is_current: bool = True
    parts: Mapping[str, bytes] = field(default_factory=dict[str, bytes], compare=False, repr=False)
    read: ReadPart = field(default=refuse_parts, compare=False, repr=False)

    @property
    def plan(self) -> FleetPlan:
        """The plan itself; its parts are read when they are asked for."""
        return FleetPlan.from_json(decode_json(self.document), self.read)


@dataclass(frozen=True)
class ApprovalRecord:
    """One yes of one person to one plan. `reference` names the comment or review (`comment:17`, `review:4`), once per pull and environment.

    `login` is the forge's name, without `user:`. Only a `counted` one counts; `reason` says why the others do not; `serial` is the
    release that spent it. `approval` is what goes into the release (None when refused at once).
    """

    ident: int
    pull: PullKey
    environment: str
    reference: str
    login: str
    change_digest: str
    given: datetime
    state: str
    reason: str = ""
    serial: int = 0
    approval: Approval | None = None


@dataclass(frozen=True)
class ReleaseRecord:
    """What became of one source commit in one environment. `serial`, `commit` and `digest` are there once it is released.

    `state`: `waiting` (somebody else signs), `held` and `failed` (see `reason`), `released`, `nothing` (the hosts' config did not change).
    """

    repository: str
    environment: str
    source: str
    state: str
    at: datetime
    pull: str = ""
    serial: int = 0
    commit: str = ""
    digest: str = ""
    branch: str = ""
    reason: str = ""


@dataclass(frozen=True)
class HostRecord:
    """One enrolled machine and what it last said of itself. `credential` is a hash.

    `asked` is when plans are, or were, looked at again for what it said, `pause` how many seconds lie at least before the next time.
    """

    name: str
    environment: str
    enrolled: datetime
    credential: str = field(default="", repr=False)
    seen: datetime | None = None
    run: str = ""
    result: str = ""
    serial: int = 0
    observation: Observation | None = None
    repository: str = ""
    asked: datetime | None = None
    pause: int = 0

    @property
    def key(self) -> HostKey:
        """Say which machine this is."""
        return HostKey(self.repository, self.environment, self.name)


@dataclass(frozen=True)
class TokenRecord:
    """A one-time enrolment token: only its hash is kept. With an empty `environment`, the host says which it enrols in."""

    host: str
    digest: str
    expires: datetime
    used: datetime | None = None
    repository: str = ""
    environment: str = ""


@dataclass(frozen=True)
class RunRecord:
    """One report of one host; its `document` leaves the observation out, which is kept with the host."""

    host: str
    run: str
    environment: str
    result: str
    serial: int
    started: datetime
    finished: datetime
    received: datetime
    document: bytes
    repository: str = ""

    @property
    def key(self) -> HostKey:
        """Say whose run this is."""
        return HostKey(self.repository, self.environment, self.host)

    @property
    def report(self) -> Report:
        """The report itself."""
        return Report.from_json(decode_json(self.document))


@dataclass(frozen=True)
class RemarkRecord:
    """What a user said on a pull request of the `local` forge: a comment, or `/gitops approve …` by the button. Never edited."""

    ident: int
    pull: PullKey
    author: str
    body: str
    at: datetime


@dataclass(frozen=True)
class StatusRecord:
    """A commit status that this service set: `pending`, `success`, `failure` or `error`."""

    repository: str
    commit: str
    context: str
    state: str
    description: str
    url: str = ""
