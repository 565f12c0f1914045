"""The ledger gives the very objects of the request where it says the same, and only there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gitops.executor.ledger import read_ledger, write_ledger
from gitops.model.resource import Resource


def external(value: Any) -> Resource:
    return Resource("external", "one", {"values": {"flag": value}})


def test_what_the_ledger_and_the_request_both_say_is_one_object(tmp_path: Path) -> None:
    one, other = Resource("file", "/a", {"content": "x"}), Resource("file", "/b", {"content": "x"})
    write_ledger(str(tmp_path), {one.address: one, other.address: other})
    declared = (Resource("file", "/a", {"content": "x"}), Resource("file", "/b", {"content": "y"}))
    found = read_ledger(str(tmp_path), declared)
    assert found[one.address] is declared[0]
    assert found[other.address] == other


@pytest.mark.parametrize(("before", "now"), [(1, True), (True, 1), (0, False)])
def test_a_number_is_not_taken_for_a_truth_that_python_calls_equal(tmp_path: Path, before: Any, now: Any) -> None:
    write_ledger(str(tmp_path), {external(before).address: external(before)})
    found = read_ledger(str(tmp_path), (external(now),))
    assert found[external(now).address].desired == external(before).desired != external(now).desired


def test_numbers_that_are_the_same_are_one_object(tmp_path: Path) -> None:
    declared = external(1)
    write_ledger(str(tmp_path), {declared.address: external(1)})
    assert read_ledger(str(tmp_path), (declared,))[declared.address] is declared
