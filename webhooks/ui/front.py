"""The front: everything of the built-in pages and the local forge's API, made from the service's parts for the composition root.

Takes Services; gives routes, and what the ticker calls every second when there is a `local` forge. The secret of sessions is made on
first use in the data folder; cookies travel over TLS only when the public address is https.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path

from starlette.routing import BaseRoute

from gitops.errors import RemoteError
from gitops.source.git import run_git
from webhooks.auth.attempts import Attempts
from webhooks.auth.gate import Gate
from webhooks.auth.secret import SECRET_BYTES, Revoked, read_secret
from webhooks.forges.local.reviews import LocalReviews
from webhooks.forges.local.watch import Watch
from webhooks.records import PullKey, ReleaseRecord
from webhooks.services import Services, touch_pull
from webhooks.ui.api import make_local_api
from webhooks.ui.desk import Desk
from webhooks.ui.routes import make_pages

ID_BYTES = 16
KEYS = 256
SUFFIX = ".sigstore.json"


@dataclass(frozen=True)
class Front:
    """Routes, and `look` to be called every second (None: no `local` forge)."""

    routes: list[BaseRoute]
    look: Callable[[], None] | None = None


def make_front(services: Services) -> Front:
    """Make the pages and, with `local_repository` set, the reviews of the local forge."""
    settings = services.settings
    gate = Gate(
        users=settings.users,
        secret=read_secret(settings.data_dir, services.fresh(SECRET_BYTES)),
        revoked=Revoked(settings.data_dir / "sessions.ended"),
        attempts=Attempts(),
        now=services.now,
        fresh_id=lambda: services.fresh(ID_BYTES).hex(),
        is_https=settings.public_url.startswith("https://"),
    )
    reviews, watch = _make_reviews(services, settings.local_repository)
    desk = Desk(
        gate=gate,
        store=services.store,
        now=services.now,
        public_url=settings.public_url,
        reviews=reviews,
        clone=str(settings.local_repository or ""),
        key_of=lambda release: _find_keys(services.mirrors.path_of(release.repository), release),
    )
    return Front([*make_local_api(desk), *make_pages(desk)], None if watch is None else watch.look)


def _make_reviews(services: Services, repository: Path | None) -> tuple[LocalReviews | None, Watch | None]:
    if repository is None:
        return None, None

    def touch(key: PullKey) -> None:
        services.add_job(touch_pull(key), timedelta())

    watch = Watch(repository, touch)
    return LocalReviews(repository, services.store, services.now, touch, watch.look, services.sleep), watch


def _find_keys(mirror: Path, release: ReleaseRecord) -> str:
    try:
        return ", ".join(list_keys(mirror, release.commit)) if release.commit else ""
    except (RemoteError, OSError):
        # The mirror does not have the release yet, or not any more: not known, and asked for again next time.
        return ""


@lru_cache(maxsize=KEYS)
def list_keys(repository: Path, commit: str) -> tuple[str, ...]:
    """Give the ids of the keys that signed a release commit, by the names of its signature files."""
    done = run_git(repository, ["ls-tree", "--name-only", "--end-of-options", f"{commit}:signatures"])
    names = done.output.decode("utf-8", "replace").splitlines()
    return tuple(name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX))
