"""Versions of Alpine's packages are ordered as apk orders them."""

from __future__ import annotations

import random

from gitops.providers.packages.apk_version import make_version_key

OLDEST_FIRST = (
    "0.9.28-r11",
    "1.0_alpha-r0",
    "1.0_alpha2-r0",
    "1.0_rc1_p1-r0",
    "1.0-r0",
    "1.0-r9",
    "1.0-r10",
    "1.0_git20260101-r0",
    "1.0_p-r0",
    "1.0_p1-r0",
    "1.0a-r0",
    "1.0.1-r0",
    "1.02-r0",
    "1.2-r0",
    "1.2.0-r0",
    "1.2.1-r0",
    "1.10-r0",
    "2-r0",
    "20260101-r0",
)


def test_any_order_is_sorted_as_apk_does() -> None:
    shuffled = list(OLDEST_FIRST)
    random.Random(1).shuffle(shuffled)
    assert tuple(sorted(shuffled, key=make_version_key)) == OLDEST_FIRST


def test_leading_zeros_of_the_first_number_do_not_count() -> None:
    assert make_version_key("006-r0") == make_version_key("6-r0")


def test_a_suffix_that_apk_does_not_know_is_older_than_those_it_knows_and_what_is_no_version_is_the_oldest() -> None:
    assert make_version_key("odd") < make_version_key("1.0-r0") < make_version_key("1.0_odd-r0") < make_version_key("1.0_cvs-r0")
