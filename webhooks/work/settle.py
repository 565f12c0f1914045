"""What became of a merged pull request: released, held, waiting for a signer, or nothing to release, per environment.

Takes the stored releases and the mirror; a release speaks for a merge when its source commit contains it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from gitops.source.repository import is_ancestor
from webhooks.records import PullRecord, ReleaseRecord
from webhooks.store.approvals import lose_approvals_of
from webhooks.store.plans import list_current_plans
from webhooks.store.releases import list_releases, save_release
from webhooks.store.store import Store

FINAL = ("released", "nothing")
OVER = "what it said yes to went through without it"
LOOKED_AT = 50


def settle(store: Store, pull: PullRecord, mirror: Path) -> PullRecord:
    """Give the record with a note of what became of it; it is settled when every environment is released or had nothing to release.

    That there is no environment to ask about says so only when it was planned. Approvals that nothing spent are over then.
    """
    outcomes = find_outcomes(store, pull, mirror)
    is_settled = all(outcome is not None and outcome.state in FINAL for _, outcome in outcomes)
    is_settled = is_settled and (bool(outcomes) or pull.planning == "planned")
    with store.write() as connection:
        for _, outcome in outcomes:
            # The release may have been made before the merge was known to be this pull request's.
            if outcome is not None and outcome.source == pull.merged and not outcome.pull:
                save_release(connection, replace(outcome, pull=pull.key.name))
        if is_settled:
            lose_approvals_of(connection, pull.key, OVER)
    note = " ".join(_say(environment, outcome) for environment, outcome in outcomes)
    if not outcomes and not is_settled:
        note = "Merged, but what was merged could not be planned: nothing is released of it until a later merge mends that."
    return replace(pull, note=note, is_settled=is_settled)


def is_over(store: Store, pull: PullRecord, environment: str, mirror: Path) -> bool:
    """Say whether something that contains the merge is released in an environment, or had nothing to release."""
    if pull.is_settled:
        return True
    with store.read() as connection:
        known = list_releases(connection, repository=pull.key.repository, environment=environment, limit=LOOKED_AT)
    outcome = _find_outcome(pull, known, mirror)
    return outcome is not None and outcome.state in FINAL


def is_held(store: Store, pull: PullRecord, mirror: Path) -> bool:
    """Say whether some environment's release waits for approvals."""
    found = find_outcomes(store, pull, mirror)
    return any(outcome is not None and outcome.state == "held" for _, outcome in found)


def find_outcomes(store: Store, pull: PullRecord, mirror: Path) -> list[tuple[str, ReleaseRecord | None]]:
    """Give what became of the merge in each environment that was planned; None: nothing yet.

    What was never planned has the environments whose releases contain it.
    """
    with store.read() as connection:
        names = [plan.environment for plan in list_current_plans(connection, pull.key)]
        if not names and pull.planning != "planned":
            names = sorted(
                {item.environment for item in list_releases(connection, repository=pull.key.repository, limit=LOOKED_AT)}
            )
        of_name = partial(list_releases, connection, repository=pull.key.repository, limit=LOOKED_AT)
        known = {name: of_name(environment=name) for name in names}
    found = [(name, _find_outcome(pull, known[name], mirror)) for name in names]
    return found if pull.planning == "planned" else [(name, outcome) for name, outcome in found if outcome is not None]


def _find_outcome(pull: PullRecord, known: Sequence[ReleaseRecord], mirror: Path) -> ReleaseRecord | None:
    """Give the first release that contains the merge; when there is none, the newest word on it."""
    mine = [item for item in known if _contains(mirror, item.source, pull.merged)]
    final = [item for item in mine if item.state in FINAL]
    return final[-1] if final else mine[0] if mine else None


def _contains(mirror: Path, source: str, merged: str) -> bool:
    return bool(merged) and (source == merged or is_ancestor(mirror, merged, source))


def _say(environment: str, outcome: ReleaseRecord | None) -> str:
    if outcome is None:
        return f"{environment}: merged, the release is being made."
    words = {
        "released": f"released as serial {outcome.serial}",
        "nothing": "nothing to release, the hosts' config did not change",
        "waiting": "merged, waits for a signer to release it",
        "held": f"held: {outcome.reason}",
        "failed": f"the release failed: {outcome.reason}",
    }[outcome.state]
    return f"{environment}: {words}."
