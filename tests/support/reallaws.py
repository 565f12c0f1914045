"""The laws on a real host: one project, planned, applied, applied again and undone there; what was tried is counted by kind."""

from __future__ import annotations

from collections import Counter

from gitops.conformance.laws import IDEMPOTENCY, PREDICTION
from scripts.reference import HOST_LAWS, PREDICTIONS
from tests.support.managed import Managed, describe
from tests.support.results import Counts

OBSERVING, UNDO = HOST_LAWS[0], HOST_LAWS[-1]


def try_laws(machine: Managed, resources: str) -> dict[str, Counts]:
    """Assert every law of a project that has something to do here; give what was held and tried, by kind."""
    before = machine.plan(resources, guards=True)  # observing changes nothing, by a walk over the machine
    report = machine.converge(resources)  # what was planned happened, and once
    undone = machine.rollback(report.run).report
    assert undone.result == "reverted", describe(undone)
    after = machine.plan(resources, guards=True)
    assert [(item.address, item.action) for item in after.changes] == [(item.address, item.action) for item in before.changes]
    happened = Counter(item.address.partition(":")[0] for item in report.changes)
    laws = (OBSERVING, PREDICTION, IDEMPOTENCY, UNDO)
    return {kind: {**{law: [1, 1] for law in laws}, PREDICTIONS: [number, number]} for kind, number in happened.items()}
