"""The composition root: from settings to a running service. The one place that knows all rooms; decides nothing itself.

`create_app(settings)` gives an ASGI application whose lifespan starts the engine and the ticker, and stops them. One service has a data
folder for itself (a lock that the kernel releases, whatever happens to the process).
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from gitops.errors import MalformedError, TrueupError, UsageError
from gitops.model.trustroot import TrustRoot, read_trust_root
from gitops.signatures.keys import read_signing_key
from webhooks.api.body import RefusedError
from webhooks.api.reviews import make_local_api
from webhooks.auth.attempts import Attempts
from webhooks.auth.gate import Gate
from webhooks.auth.peer import Address
from webhooks.auth.secret import SECRET_BYTES, Revoked, read_secret
from webhooks.datafolder import lock_folder
from webhooks.forges.github import open_github
from webhooks.forges.local.forge import NAME as LOCAL
from webhooks.forges.local.forge import make_local_forge
from webhooks.forges.local.reviews import LocalReviews
from webhooks.forges.local.watch import Watch
from webhooks.forges.port import Forge
from webhooks.forges.watched import Forges
from webhooks.guard import Guard, answer_bug, answer_refused, answer_trouble
from webhooks.jobs.engine import Engine, Handler
from webhooks.jobs.ticker import Ticker
from webhooks.jobs.works import look_at, renew_releases, touch_pull
from webhooks.metrics import Metrics
from webhooks.mirrors import Mirrors
from webhooks.parts import Parts, make_api_routes, make_handlers
from webhooks.records import PullKey
from webhooks.settings import Settings
from webhooks.store.repositories import watch_repositories
from webhooks.store.runs import forget_runs
from webhooks.store.store import Store, open_store
from webhooks.store.work import forget_deliveries
from webhooks.ui.desk import Desk, HostDesk, PullDesk, ReleaseDesk
from webhooks.ui.routes import Pages, make_pages
from webhooks.ui.signers import name_signers

WATCH_SECONDS, DAY = 1, 86_400
KEPT, RUNS_KEPT = timedelta(days=30), timedelta(days=90)


@dataclass(frozen=True)
class Running:
    """What the lifespan starts and stops."""

    parts: Parts
    engine: Engine
    ticker: Ticker
    lock: int


def create_app(settings: Settings, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Starlette:
    """Make the application; raise UsageError (exit 1) for settings that cannot work, or a data folder in use."""
    with contextlib.ExitStack() as opened:
        lock = lock_folder(settings.data_dir)
        opened.callback(os.close, lock)
        store = open_store(settings.database_url)
        opened.callback(store.close)
        parts, engine = _make_parts(settings, store, now)
        gate = _make_gate(settings, now)
        watch = _make_watch(parts)
        routes = [*make_api_routes(parts, gate), *_make_pages(parts, gate, watch)]
        opened.pop_all()  # from here on the lifespan closes them
    running = Running(parts, engine, _make_ticker(parts, watch), lock)
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard)],
        exception_handlers={RefusedError: answer_refused, TrueupError: answer_trouble, Exception: answer_bug},
        lifespan=partial(_live, running),
    )


@contextlib.asynccontextmanager
async def _live(running: Running, _app: Starlette) -> AsyncGenerator[None]:
    running.engine.start()
    running.ticker.start()
    try:
        yield
    finally:
        await run_in_threadpool(_stop, running)


def _stop(running: Running) -> None:
    running.ticker.stop()
    running.engine.stop()
    running.parts.store.close()
    os.close(running.lock)


def _make_parts(settings: Settings, store: Store, now: Callable[[], datetime]) -> tuple[Parts, Engine]:
    handlers: dict[str, Handler] = {}
    engine = Engine(store, handlers, now)
    key = None if settings.release_key is None else read_signing_key(settings.release_key)
    forges = Forges(_open_forges(settings, store, now))
    parts = Parts(
        settings=settings,
        store=store,
        forges=forges,
        mirrors=Mirrors(settings.data_dir / "mirrors", forges),
        metrics=Metrics(),
        jobs=engine,
        now=now,
        fresh=secrets.token_bytes,
        sleep=time.sleep,
        key=key,
        roots=_read_roots(settings),
    )
    with store.write() as connection:
        watch_repositories(connection, forges.repositories)
    handlers.update(make_handlers(parts))
    return parts, engine


def _open_forges(settings: Settings, store: Store, now: Callable[[], datetime]) -> Mapping[str, Forge]:
    found: dict[str, Forge] = {}
    if settings.repositories:
        if not settings.github_token:
            raise UsageError(
                "GITOPS_REPOSITORIES needs GITOPS_GITHUB_TOKEN", code="U077", hint="a token that may read and comment"
            )
        github = open_github(settings)
        found.update(dict.fromkeys(github.repositories, github))
    if settings.local_repository is not None:
        url_of = partial(_page_of, settings.public_url)
        found[LOCAL] = make_local_forge(settings.local_repository, store, settings.users, now=now, url_of=url_of)
    return found


def _read_roots(settings: Settings) -> Mapping[str, TrustRoot]:
    """Read the pinned trust roots; one for each project."""
    found: dict[str, TrustRoot] = {}
    for path in settings.trust_roots:
        try:
            root = read_trust_root(path.read_bytes())
        except (OSError, MalformedError) as error:
            raise UsageError(f"settings: `trust_roots`: {path} is no trust root that can be read", code="U072") from error
        if root.repository in found:
            raise UsageError(f"settings: `trust_roots`: two are for {root.repository}", code="U071")
        found[root.repository] = root
    return found


def _page_of(base: str, key: PullKey) -> str:
    return base + key.path


def _make_gate(settings: Settings, now: Callable[[], datetime]) -> Gate:
    return Gate(
        users=settings.users,
        secret=read_secret(settings.data_dir, secrets.token_bytes(SECRET_BYTES)),
        revoked=Revoked(settings.data_dir / "sessions.revoked"),
        attempts=Attempts(),
        now=now,
        fresh_id=partial(secrets.token_urlsafe, SECRET_BYTES),
        address=Address(settings.public_url),
    )


def _make_watch(parts: Parts) -> Watch | None:
    local = parts.settings.local_repository
    return None if local is None else Watch(local, partial(_touch, parts))


def _make_pages(parts: Parts, gate: Gate, watch: Watch | None) -> list[BaseRoute]:
    local, reviews = parts.settings.local_repository, None
    if local is not None and watch is not None:
        touch = partial(_touch, parts)
        reviews = LocalReviews(local, parts.store, parts.now, touch=touch, look=watch.look, sleep=parts.sleep)
    desk = (gate, parts.store, parts.now)
    pages = Pages(
        PullDesk(*desk, reviews, "" if local is None else str(local)),
        HostDesk(*desk, parts.settings.public_url),
        ReleaseDesk(*desk, partial(name_signers, parts.mirrors)),
        Desk(*desk),
    )
    return [*make_local_api(gate, reviews), *make_pages(pages)]


def _make_ticker(parts: Parts, watch: Watch | None) -> Ticker:
    ticker = Ticker()
    for repository in parts.forges.repositories:
        ticker.every(parts.settings.poll_seconds, partial(parts.jobs.add, look_at(repository)))
        ticker.every(DAY, partial(parts.jobs.add, renew_releases(repository)))
    if watch is not None:
        ticker.every(WATCH_SECONDS, watch.look)
    ticker.every(DAY, partial(_forget, parts))
    return ticker


def _touch(parts: Parts, key: PullKey) -> None:
    parts.jobs.add(touch_pull(key))


def _forget(parts: Parts) -> None:
    with parts.store.write() as connection:
        forget_deliveries(connection, parts.now() - KEPT)
        forget_runs(connection, parts.now() - RUNS_KEPT)
