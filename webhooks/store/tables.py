"""Tables of the store, as SQLAlchemy Core describes them. Migrations make them; this says what the code may rely on.

Times are texts in UTC with microseconds, so that they sort and compare; documents are bytes; small lists and objects are JSON texts.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Integer, LargeBinary, MetaData, Table, Text, UniqueConstraint

METADATA = MetaData()

deliveries = Table(
    "deliveries",
    METADATA,
    Column("forge", Text, primary_key=True),
    Column("ident", Text, primary_key=True),
    Column("event", Text, nullable=False),
    Column("received", Text, nullable=False),
    Column("state", Text, nullable=False),
)
jobs = Table(
    "jobs",
    METADATA,
    Column("ident", Integer, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("run_at", Text, nullable=False),
    Column("lease", Text),
    Column("error", Text, nullable=False),
    Column("delivery", Text, nullable=False),
)
pulls = Table(
    "pulls",
    METADATA,
    Column("repository", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("head", Text, nullable=False),
    Column("branch", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("contributors", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("merged", Text, nullable=False),
    Column("planning", Text, nullable=False),
    Column("planned_head", Text, nullable=False),
    Column("diagnostics", Text, nullable=False),
    Column("conflicts", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("comment", Text, nullable=False),
    Column("comment_ident", Text, nullable=False),
    Column("comment_at", Text),
    Column("is_settled", Boolean, nullable=False),
    Column("version", Text, nullable=False),
    Column("updated", Text),
)
plan_parts = Table(
    "plan_parts",
    METADATA,
    Column("digest", Text, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)
plans = Table(
    "plans",
    METADATA,
    Column("ident", Integer, primary_key=True, autoincrement=True),
    Column("repository", Text, nullable=False),
    Column("pull", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("change_digest", Text, nullable=False),
    Column("content_digest", Text, nullable=False),
    Column("head", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("made", Text, nullable=False),
    Column("required", Integer, nullable=False),
    Column("approvers", Text, nullable=False),
    Column("published", Text),
    Column("is_current", Boolean, nullable=False),
)
approvals = Table(
    "approvals",
    METADATA,
    Column("ident", Integer, primary_key=True, autoincrement=True),
    Column("repository", Text, nullable=False),
    Column("pull", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("login", Text, nullable=False),
    Column("change_digest", Text, nullable=False),
    Column("given", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("serial", Integer, nullable=False),
    Column("document", LargeBinary),
    UniqueConstraint("repository", "pull", "environment", "reference"),
)
releases = Table(
    "releases",
    METADATA,
    Column("repository", Text, primary_key=True),
    Column("environment", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("pull", Text, nullable=False),
    Column("serial", Integer, nullable=False),
    Column("commit", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("branch", Text, nullable=False),
    Column("reason", Text, nullable=False),
)
repositories = Table(
    "repositories",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("project", Text, unique=True),
    Column("is_watched", Boolean, nullable=False),
)
hosts = Table(
    "hosts",
    METADATA,
    Column("repository", Text, primary_key=True),
    Column("environment", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("enrolled", Text, nullable=False),
    Column("credential", Text, nullable=False),
    Column("seen", Text),
    Column("run", Text, nullable=False),
    Column("result", Text, nullable=False),
    Column("serial", Integer, nullable=False),
    Column("observation", LargeBinary),
    Column("asked", Text),
    Column("pause", Integer, nullable=False, server_default="0"),
)
tokens = Table(
    "tokens",
    METADATA,
    Column("digest", Text, primary_key=True),
    Column("repository", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("expires", Text, nullable=False),
    Column("used", Text),
)
runs = Table(
    "runs",
    METADATA,
    Column("repository", Text, primary_key=True),
    Column("environment", Text, primary_key=True),
    Column("host", Text, primary_key=True),
    Column("run", Text, primary_key=True),
    Column("result", Text, nullable=False),
    Column("serial", Integer, nullable=False),
    Column("started", Text, nullable=False),
    Column("finished", Text, nullable=False),
    Column("received", Text, nullable=False),
    Column("document", LargeBinary, nullable=False),
)
remarks = Table(
    "remarks",
    METADATA,
    Column("ident", Integer, primary_key=True, autoincrement=True),
    Column("repository", Text, nullable=False),
    Column("pull", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("at", Text, nullable=False),
)
statuses = Table(
    "statuses",
    METADATA,
    Column("repository", Text, primary_key=True),
    Column("commit", Text, primary_key=True),
    Column("context", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("url", Text, nullable=False),
)
asked = Table(
    "asked",
    METADATA,
    Column("repository", Text, primary_key=True),
    Column("pull", Text, primary_key=True),
    Column("reference", Text, primary_key=True),
)
