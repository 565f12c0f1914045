"""The watched repositories and the forge of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gitops.errors import UsageError
from webhooks.forges.port import Forge


@dataclass(frozen=True)
class Forges:
    """Forges by repository."""

    by_repository: Mapping[str, Forge] = field(default_factory=dict[str, Forge])

    @property
    def repositories(self) -> tuple[str, ...]:
        """Name the watched repositories."""
        return tuple(self.by_repository)

    def of(self, repository: str) -> Forge:
        """Give the forge of a watched repository; raise UsageError for another."""
        if repository not in self.by_repository:
            raise UsageError(f"{repository[:100]} is not watched", code="U074", hint="name it in GITOPS_REPOSITORIES")
        return self.by_repository[repository]
