"""What is said of declared attributes without a machine: of what was not asked, cannot be, or makes no sense."""

from __future__ import annotations

from typing import Any

import pytest

from gitops.errors import MalformedError
from gitops.model.acl import parse_acl
from gitops.providers.attributes import UNSEEN, diff_attributes
from gitops.providers.directory import DirectoryProvider, DirectorySpec
from gitops.providers.file import FileProvider, FileSpec
from gitops.providers.host import Metadata

FILES, FOLDERS = FileProvider(), DirectoryProvider()
ACL = parse_acl(["user:alice:rw-", "group:ops:r--"], has_default=True)
FILE: dict[str, Any] = {"type": "file", "mode": "0644", "owner": "root", "group": "root"}


def test_what_was_observed_before_anybody_declared_it_is_conditional() -> None:
    for found in (
        FILES.diff(FileSpec("/x", acl=ACL), FILE),
        FOLDERS.diff(DirectorySpec("/x", acl=ACL), {**FILE, "type": "directory"}),
    ):
        assert found is not None
        assert (found.action, found.confidence) == ("update", "conditional")
        assert [(item.name, item.before) for item in found.fields] == [("acl", UNSEEN)]


def test_attributes_that_were_not_asked_for_are_conditional_only_they() -> None:
    spec = FileSpec("/x", xattrs={"user.seen": None, "user.more": "1"})
    for state in (FILE, {**FILE, "xattrs": {}}, {**FILE, "xattrs": {"user.seen": None}}):
        found = FILES.diff(spec, state)
        assert found is not None
        assert found.confidence == "conditional"
    assert found.fields[0].to_json() == {"name": "xattrs", "before": {"user.more": UNSEEN}, "after": {"user.more": "1"}}


def test_a_label_that_was_not_asked_for_is_conditional_and_none_where_none_can_be_is_refused() -> None:
    spec = FileSpec("/x", selinux="etc_t")
    for state, action, confidence in (
        (FILE, "update", "conditional"),
        ({**FILE, "selinux": ""}, "update", "exact"),
        ({**FILE, "selinux": None}, "refused", "exact"),
        ({"type": "absent", "selinux": None}, "refused", "exact"),
        ({"type": "absent"}, "create", "exact"),
    ):
        found = FILES.diff(spec, state)
        assert found is not None
        assert (found.action, found.confidence) == (action, confidence)
    assert FILES.diff(spec, {**FILE, "selinux": "a:b:etc_t:s0"}) is None
    assert FILES.diff(FileSpec("/x"), {**FILE, "selinux": None}) is None


@pytest.mark.parametrize(
    "state",
    [
        {"acl": "user:alice:r--"},
        {"acl": {"user": "alice"}},
        {"acl": [1]},
        {"acl": ["user:alice"]},
        {"acl": [], "mode": "rwx"},
        {"acl": [], "mode": None},
        {"acl": [], "xattrs": ["user.note"]},
        {"acl": [], "selinux": 1},
    ],
)
def test_a_state_that_makes_no_sense_is_malformed(state: dict[str, Any]) -> None:
    with pytest.raises(MalformedError) as stop:
        diff_attributes(Metadata(acl=ACL, selinux="etc_t"), {**FILE, **state})
    assert stop.value.code == "M014"


def test_what_an_acl_names_comes_first_and_is_said_once() -> None:
    file, folder = FileSpec("/a/x", owner="alice", acl=ACL), DirectorySpec("/a", group="ops", acl=ACL)
    assert FILES.relate(file).wants == ("path:/a", "user:alice", "group:ops")
    assert FOLDERS.relate(folder).wants == ("path:/", "group:ops", "user:alice")


def test_what_goes_needs_no_acl() -> None:
    assert FILES.diff(FileSpec("/x", state="absent", acl=ACL), {**FILE, "acl": None}) is not None
    assert FOLDERS.diff(DirectorySpec("/x", state="absent", acl=ACL), {"type": "absent"}) is None
