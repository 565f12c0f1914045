"""Laws of items, of providers' answers and of risk."""

from __future__ import annotations

from typing import Any

import pytest

from gitops.errors import BugError, MalformedError
from gitops.model.address import Address, parse_address
from gitops.model.plan import Difference, FieldChange
from gitops.plan.item import Preparer
from gitops.plan.laws import check_difference
from gitops.plan.risk import judge_risk
from gitops.providers.registry import PROVIDERS
from tests.support.planning import declare

FILE = Address("file:/srv/a/x")
FIELD = (FieldChange("mode", "0600", "0644"),)


def test_a_shared_resource_is_prepared_once_and_an_equal_one_is_another() -> None:
    preparer = Preparer(PROVIDERS)
    one, other = declare("file:/a", {"mode": "0644"}), declare("file:/a", {"mode": "0644"})
    assert preparer.prepare(one) is preparer.prepare(one)
    assert preparer.prepare(other) is not preparer.prepare(one)
    assert preparer.desired_of(one) == preparer.desired_of(one) == one.desired == preparer.desired_of(other)


def test_resources_are_the_same_when_they_desire_the_same() -> None:
    preparer = Preparer(PROVIDERS)
    one, equal, other = (declare("file:/a", {"mode": mode}) for mode in ("0644", "0644", "0600"))
    assert [preparer.are_same(one, item) for item in (one, equal, other)] == [True, True, False]


@pytest.mark.parametrize(
    ("address", "attributes", "code", "word"),
    [("cronjob:x", {}, "C103", "unknown kind `cronjob`"), ("file:/a", {"moed": "1"}, "C104", "file:/a: unknown key `moed`")],
)
def test_what_cannot_be_prepared_names_the_address(address: str, attributes: dict[str, Any], code: str, word: str) -> None:
    with pytest.raises(MalformedError, match=word) as stop:
        Preparer(PROVIDERS).prepare(declare(address, attributes))
    assert stop.value.code == code


@pytest.mark.parametrize(
    "difference",
    [
        Difference("create"),
        Difference("update", FIELD),
        Difference("refused", reason="why"),
        Difference("run", confidence="opaque"),
        Difference("create", implied=(declare("directory:/srv"), declare("directory:/srv/a"))),
    ],
)
def test_lawful_answers_pass_through(difference: Difference) -> None:
    assert check_difference(FILE, difference) is difference


def test_parents_of_a_path_that_is_written_are_lawful_whatever_the_name() -> None:
    difference = Difference("create", implied=(declare("directory:/srv"),))
    assert check_difference(parse_address("line:x"), difference, ("/srv/a",)) is difference
    with pytest.raises(BugError, match="not a parent directory"):
        check_difference(parse_address("line:x"), difference, ("/other",))


@pytest.mark.parametrize(
    ("difference", "word"),
    [
        (Difference("restart"), "not an action of a provider's own"),
        (Difference("create", confidence="sure"), "unknown confidence"),
        (Difference("refused"), "gives no reason"),
        (Difference("refused", FIELD, "why"), "brings changes"),
        (Difference("refused", reason="why", implied=(declare("directory:/srv"),)), "brings changes"),
        (Difference("update"), "names no attribute"),
        (Difference("create", implied=(declare("file:/srv"),)), "not a parent directory"),
        (Difference("create", implied=(declare("directory:/other"),)), "not a parent directory"),
        (Difference("create", implied=(declare("directory:/srv/a/x"),)), "not a parent directory"),
    ],
)
def test_an_unlawful_answer_is_a_bug(difference: Difference, word: str) -> None:
    with pytest.raises(BugError, match=word):
        check_difference(FILE, difference)


@pytest.mark.parametrize(
    ("address", "action", "classification", "confidence", "risk"),
    [
        ("file:/srv/x", "create", "initial", "exact", "low"),
        ("file:/srv/x", "remove", "initial", "exact", "high"),
        ("file:/srv/x", "replace", "corrective", "exact", "high"),
        ("file:/srv/x", "update", "conflict", "exact", "high"),
        ("file:/srv/x", "refused", "conflict", "exact", "low"),
        ("command:x", "run", "initial", "opaque", "high"),
        ("command:x", "run", "initial", "exact", "medium"),
        ("service:x", "restart", "intentional", "conditional", "medium"),
        ("file:/etc/sudoers.d/a", "update", "intentional", "exact", "high"),
        ("file:/etc/ssh/sshd_config", "update", "intentional", "exact", "high"),
        ("directory:/etc/ssh", "update", "intentional", "exact", "high"),
        ("file:/etc/sshd", "update", "intentional", "exact", "low"),
    ],
)
def test_risk_is_what_may_be_lost(address: str, action: str, classification: str, confidence: str, risk: str) -> None:
    assert judge_risk(Address(address), action=action, classification=classification, confidence=confidence) == risk
