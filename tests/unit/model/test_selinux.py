"""Laws of SELinux contexts as declared: what is left out stays, what is declared is what is compared."""

from __future__ import annotations

import pytest

from gitops.model.selinux import is_labelled, join_context, parse_context

FULL = "system_u:object_r:etc_t:s0"
RANGE = "staff_u:object_r:user_home_t:s0-s0:c0.c1023"


@pytest.mark.parametrize("text", ["etc_t", "system_u:object_r:etc_t", FULL, RANGE])
def test_a_type_and_contexts_are_taken_as_they_are(text: str) -> None:
    assert parse_context(text) == text


@pytest.mark.parametrize(
    "text", ["", "etc t", "a:b", "a:b:", ":b:c", "a:b:c:", "a:b:c:s0 s1", "a:b:c\n", "a:b:c:s0\n", "ä", "a:b:c:s0/1"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a type like"):
        parse_context(text)


@pytest.mark.parametrize(
    ("declared", "found", "joined"),
    [
        ("web_t", FULL, "system_u:object_r:web_t:s0"),
        ("web_t", RANGE, "staff_u:object_r:web_t:s0-s0:c0.c1023"),
        ("web_t", "a:b:c", "a:b:web_t"),
        ("web_t", "", ""),
        ("web_t", "unlabeled", ""),
        ("a:b:web_t", RANGE, "a:b:web_t:s0-s0:c0.c1023"),
        ("a:b:web_t", "", "a:b:web_t"),
        ("a:b:web_t:s1", FULL, "a:b:web_t:s1"),
        ("a:b:web_t:s1", "", "a:b:web_t:s1"),
    ],
)
def test_what_is_left_out_stays_as_the_machine_made_it(declared: str, found: str, joined: str) -> None:
    assert join_context(declared, found) == joined
    assert not is_labelled(declared, found)
    assert is_labelled(declared, joined) == bool(joined)
