"""Laws of content diffs: they show what changes, only Git's own, never a secret, and end in bounded time."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops.model.address import Address
from gitops.model.codec import digest_bytes
from gitops.model.plan import Change, HostPlan
from gitops.model.resource import Resource
from gitops.plan import textdiff
from gitops.plan.textdiff import HIDDEN, MAX_COMPARED, MAX_LINES, UNREADABLE, add_diffs, diff_resources, diff_texts, make_differ
from tests.support.planning import declare

REF = {"secret": "pw", "from": "env", "key": "PW"}


def no_blob(_digest: str) -> bytes | None:
    return None


def file(**attributes: object) -> Resource:
    return declare("file:/x", attributes)


TEXT = st.lists(st.sampled_from(["a", "b", "--- c", "+++ d", "e\r", ""]), max_size=8).flatmap(
    lambda lines: st.sampled_from(["\n".join(lines), "\n".join(lines) + "\n"])
)


@given(TEXT, TEXT)
def test_a_difference_is_shown_exactly_when_there_is_one(old: str, new: str) -> None:
    assert bool(diff_texts(old, new)) == (old != new or False) or {old, new} <= {"", "\n"}


@given(TEXT, TEXT)
def test_the_lines_taken_away_and_put_there_are_those_of_the_texts(old: str, new: str) -> None:
    lines = [line for line in diff_texts(old, new) if not line.startswith(("@@", "\\"))]
    for line in lines:
        assert line[0] in " +-"
        assert line[1:] in (old if line[0] == "-" else new).split("\n")


def test_a_changed_line_end_is_seen() -> None:
    assert diff_texts("a\r\n", "a\n") == ("@@ -1 +1 @@", "-a\r", "+a")
    assert diff_texts("a\n", "a") == ("\\ the newline at the end of the file is removed",)
    assert diff_texts("a", "a\n") == ("\\ the newline at the end of the file is added",)


def test_lines_that_look_like_headers_are_kept() -> None:
    assert diff_texts("", "--- a\n+++ b\n") == ("@@ -0,0 +1,2 @@", "+--- a", "+++ b"[:1] + "+++ b")


def test_long_diffs_are_cut_and_say_how_much() -> None:
    lines = diff_texts("", "x\n" * (MAX_LINES + 10))
    assert len(lines) == MAX_LINES + 1
    assert lines[-1] == "… 11 more lines"


def test_texts_too_long_to_compare_end_soon_and_say_what_became_of_them() -> None:
    started = time.monotonic()
    old = [f"{number % 97}" for number in range(120_000)]
    new = [f"{number % 89}" for number in range(120_000)]
    (line,) = diff_texts("\n".join(old), "\n".join(new))
    assert "too many to compare" in line
    assert time.monotonic() - started < 5


def test_a_small_change_in_a_long_text_is_shown() -> None:
    old = [str(number) for number in range(MAX_COMPARED * 3)]
    new = [*old[:5000], "changed", *old[5001:]]
    assert diff_texts("\n".join(old), "\n".join(new)) == (
        "… 5000 lines the same",
        "@@ -1 +1 @@",
        "-5000",
        "+changed",
        f"… {MAX_COMPARED * 3 - 5001} lines the same",
    )


def test_sensitive_content_is_not_shown_and_references_are() -> None:
    assert diff_resources(None, file(content="key\n", sensitive=True), no_blob) == HIDDEN
    assert diff_resources(file(content="key\n", sensitive=True), file(content="x\n"), no_blob) == HIDDEN
    holding = file(content={"parts": ["password = ", REF, "\n"]}, sensitive=True)
    assert diff_resources(None, holding, no_blob) == ("@@ -0,0 +1 @@", "+password = ${secret.pw}")


def test_no_content_and_equal_content_have_no_diff() -> None:
    assert diff_resources(None, None, no_blob) == ()
    assert diff_resources(file(content="x"), file(state="absent"), no_blob) == ()
    assert diff_resources(file(content="x"), file(content="x", mode="0644"), no_blob) == ()


@pytest.mark.parametrize(("data", "size"), [(b"\0", 1), (b"\xff", 1), (None, 1), (b"x", textdiff.MAX_BYTES + 1)])
def test_what_is_no_text_is_said_to_differ(data: bytes | None, size: int) -> None:
    blob = file(content={"blob": "ab" * 32, "size": size})
    assert diff_resources(file(content="x\n"), blob, lambda _: data) == UNREADABLE


def test_contents_kept_apart_are_read_by_digest() -> None:
    blobs = {digest_bytes(text): text for text in (b"a\n", b"b\n")}
    old, new = (file(content={"blob": digest_bytes(text), "size": 2}) for text in (b"a\n", b"b\n"))
    assert diff_resources(old, new, blobs.get) == ("@@ -1 +1 @@", "-a", "+b")


def test_each_pair_is_compared_once() -> None:
    asked: list[str] = []

    def read(digest: str) -> bytes:
        asked.append(digest)
        return b"x\n"

    differ, new = make_differ(read), file(content={"blob": "ab" * 32, "size": 2})
    assert differ(None, new) == differ(None, new) == ("@@ -0,0 +1 @@", "+x")
    assert len(asked) == 1


def test_lines_of_a_plan_get_their_diffs_but_a_refusal_or_reload_none() -> None:
    changes = tuple(Change(Address("file:/x"), action, "initial") for action in ("create", "refused"))
    made = add_diffs(HostPlan("a", None, changes), {}, {Address("file:/x"): file(content="x\n")}, no_blob)
    assert [change.diff for change in made.changes] == [("@@ -0,0 +1 @@", "+x"), ()]


def test_a_part_of_a_file_shows_its_own_lines_and_none_when_it_is_to_go() -> None:
    old, new = declare("line:x", {"path": "/x", "text": "a = 1"}), declare("line:x", {"path": "/x", "text": "a = 2"})
    gone = declare("line:x", {"path": "/x", "text": "a = 2", "state": "absent"})
    assert diff_resources(old, new, no_blob)[1:] == ("-a = 1", "+a = 2")
    assert diff_resources(new, gone, no_blob)[1:] == ("-a = 2",)
    assert diff_resources(None, declare("block:x", {"path": "/x", "text": "k\nl\n"}), no_blob)[1:] == ("+k", "+l")
    assert diff_resources(new, None, no_blob) == ()
