"""A law that cannot fail is none: each is broken once, by a kind that breaks it, and the sound one passes all."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitops.conformance.laws import IDEMPOTENCY, LAWS, PREDICTION, judge_scenarios
from gitops.conformance.scenarios import Scenario
from gitops.model.resource import Resource
from gitops.providers import registry

THINGS = Scenario(
    "things",
    tuple(Resource("broken", name, {"value": f"new {name}"}) for name in ("a", "b")),
    {"/things/a": "old", "/etc/passwd": "root:x:0:0::/:/bin/sh\n"},
    secrets={"env:PASSWORD": "hunter2"},
)
BREAKERS = {
    "WritesWhenObserving": "observing changes nothing",
    "PlansAtRandom": "the plan is deterministic",
    "DoesSomethingElse": PREDICTION,
    "NeverRests": IDEMPOTENCY,
    "KnowsTheOrder": "the order is free",
    "WritesBehindTheJournal": "undo restores, or says that it cannot",
    "TellsSecrets": "a secret is shown nowhere",
    "IgnoresFailures": "a missing program is a clear failure, and the next run goes on",
}


def judge(provider: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    monkeypatch.setattr(registry, "KINDS", {**registry.KINDS, "broken": ("tests.support.broken", provider)})
    return {item.law for item in judge_scenarios([THINGS], folder) if item.reason}


def test_a_sound_kind_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert judge("Sound", tmp_path, monkeypatch) == set()


@pytest.mark.parametrize("provider", sorted(BREAKERS))
def test_a_kind_that_breaks_a_law_is_told(provider: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert BREAKERS[provider] in judge(provider, tmp_path, monkeypatch)


def test_every_law_is_broken_by_one_but_the_one_that_the_engine_keeps() -> None:
    assert set(LAWS) - set(BREAKERS.values()) == {"unknown attributes are refused"}
