"""What dscl prints, and what it does not answer; what it is asked and does is in the cases of `user` and `group`."""

from __future__ import annotations

import pytest

from gitops.errors import HostError
from gitops.providers.accounts.dscl import find_gid, list_elsewhere, parse_record, read_record
from gitops.providers.registry import PROVIDERS
from tests.support.casehost import CaseHost

NO_SOURCE = {"words": ["dscl"], "status": 1, "output": "Data source (.) is not valid.\n"}


@pytest.mark.parametrize(
    ("output", "record"),
    [
        ("UniqueID: 501\n", {"UniqueID": ["501"]}),
        ("RecordName: ann alias\n", {"RecordName": ["ann", "alias"]}),
        ("RealName:\n Ann  Example\n", {"RealName": ["Ann  Example"]}),
        ("dsAttrTypeNative:IsHidden: 1\n", {"IsHidden": ["1"]}),
        ("No such key: UserShell\nUniqueID: 501\n", {"UniqueID": ["501"]}),
        ("<main> attribute status\n stray\n", {}),
    ],
)
def test_a_record_is_read_as_it_is_printed(output: str, record: dict[str, list[str]]) -> None:
    assert parse_record(output) == record


@pytest.mark.parametrize(("kind", "name"), [("user", "ann"), ("group", "ops")])
def test_what_is_not_answered_is_not_taken_for_absent(kind: str, name: str) -> None:
    provider = PROVIDERS[kind]
    host = CaseHost({"paths": {"/usr/bin/dscl": "file"}, "commands": [NO_SOURCE]})
    with pytest.raises(HostError, match=r"Data source \(.\) is not valid"):
        provider.observe([provider.spec(name)], host)


def test_a_name_that_can_be_none_is_never_a_path() -> None:
    host = CaseHost({})
    assert read_record("/Users/../Groups/admin/..", ["UniqueID"], host) is None
    assert read_record("/Users/a b", ["UniqueID"], host) is None
    assert host.ran == []


def test_a_record_of_this_machine_is_no_other_directorys() -> None:
    answer = {"words": ["dscl", "/Search"], "output": "AppleMetaNodeLocation: /Local/Default\n"}
    assert list_elsewhere("/Users", ["half"], CaseHost({"commands": [answer]})) == []


def test_a_number_is_a_group_that_nobody_need_look_up() -> None:
    assert find_gid("20", CaseHost({})) == "20"
