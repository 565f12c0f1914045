"""Laws of ACLs as declared: one order, nothing twice, the mask lets all through unless named, the base entries are the mode."""

from __future__ import annotations

import itertools

import pytest

from gitops.model.acl import AclEntry, base_mode, complete_acl, parse_acl, parse_entry, show_acl, shown_mode, spell, split_mode


def parse(*texts: str) -> tuple[AclEntry, ...]:
    return parse_acl(texts, has_default=True)


def words(acl: tuple[AclEntry, ...]) -> list[str]:
    return [str(entry) for entry in acl]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("user:bob:rwx", "user:bob:rwx"),
        ("user:bob:rw", "user:bob:rw-"),
        ("user:bob:x", "user:bob:--x"),
        ("user:bob:-", "user:bob:---"),
        ("user:4242:r-x", "user:4242:r-x"),
        ("group:domain users:r", "group:domain users:r--"),
        ("default:group:ops:rx", "default:group:ops:r-x"),
        ("mask::r", "mask::r--"),
        ("default:other::---", "default:other::---"),
    ],
)
def test_an_entry_is_read_and_spelt_in_one_way(text: str, shown: str) -> None:
    assert str(parse_entry(text)) == shown
    assert parse_entry(shown) == parse_entry(text)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "expected an entry like"),
        ("bob:rw-", "expected an entry like"),
        ("u:bob:rw-", "expected an entry like"),
        ("user:bob:", "expected an entry like"),
        ("user:bob:wr", "expected an entry like"),
        ("user:bob:rwxx", "expected an entry like"),
        ("user:bob:rrr", "expected an entry like"),
        ("user:bob:7", "expected an entry like"),
        ("user:a:b:rwx", "expected an entry like"),
        ("user:bo\nb:rwx", "expected an entry like"),
        ("mask:bob:rwx", "expected an entry like"),
        ("other:bob:rwx", "expected an entry like"),
        ("Default:user:bob:rwx", "expected an entry like"),
        ("user::rwx", "are `mode`"),
        ("group::rwx", "are `mode`"),
        ("other::rwx", "are `mode`"),
    ],
)
def test_what_is_no_entry_or_belongs_to_the_mode_is_refused(text: str, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        parse(text)


def test_an_entry_stands_once_and_only_a_directory_has_default_ones() -> None:
    with pytest.raises(ValueError, match="user:bob:r-- is there already"):
        parse("user:bob:r--", "user:bob:rw-")
    assert len(parse("user:bob:r--", "group:bob:r--", "default:user:bob:r--")) == 3
    with pytest.raises(ValueError, match="only a directory"):
        parse_acl(["default:user:bob:r--"], has_default=False)


def test_the_order_is_the_same_however_it_is_written() -> None:
    texts = ("user:a:r--", "user:b:r--", "group:a:r--", "mask::r--", "default:user::rwx", "default:group:a:r--")
    assert {tuple(words(parse(*order))) for order in itertools.permutations(texts)} == {texts}


def test_a_digit_and_its_letters_are_the_same() -> None:
    assert [AclEntry("user", "a", spell(bits)).bits for bits in range(8)] == list(range(8))
    assert words(split_mode(0o4751)) == ["user::rwx", "group::r-x", "other::--x"]


def test_the_mask_lets_everything_through_unless_it_is_named() -> None:
    mode = 0o640
    widest = complete_acl(parse("user:bob:-w-", "group:ops:--x"), (), mode)
    assert words(widest) == ["user::rw-", "user:bob:-w-", "group::r--", "group:ops:--x", "mask::rwx", "other::---"]
    assert shown_mode(mode, widest) == 0o670
    named = complete_acl(parse("user:bob:-w-", "mask::r--"), (), mode)
    assert words(named) == ["user::rw-", "user:bob:-w-", "group::r--", "mask::r--", "other::---"]
    assert shown_mode(0o4660, named) == 0o4640


def test_no_entries_are_no_list_and_the_mode_stays_as_it_is() -> None:
    assert complete_acl((), parse("default:user:bob:r--"), 0o640) == ()
    assert (shown_mode(0o640, ()), base_mode(0o640, ())) == (0o640, 0o640)
    alone = complete_acl(parse("mask::r--"), (), 0o660)
    assert words(alone) == ["user::rw-", "group::rw-", "mask::r--", "other::---"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o2775, 0o7777])
def test_the_mode_of_the_base_entries_is_found_again(mode: int) -> None:
    acl = complete_acl(parse("user:bob:--x"), (), mode)
    assert base_mode(shown_mode(mode, acl), acl) == mode


def test_default_base_entries_begin_as_the_mode_and_then_stay_unless_they_are_named() -> None:
    declared = parse("default:user:bob:rwx")
    first = complete_acl(declared, (), 0o750)
    expected = ["default:user::rwx", "default:user:bob:rwx", "default:group::r-x", "default:mask::rwx", "default:other::---"]
    assert words(first) == expected
    assert complete_acl(declared, first, 0o777) == first
    named = complete_acl(parse("default:user:bob:rwx", "default:other::r-x"), first, 0o777)
    assert words(named) == [*expected[:4], "default:other::r-x"]
    assert words(complete_acl(parse("default:other::r-x"), (), 0o700)) == [
        "default:user::rwx",
        "default:group::---",
        "default:other::r-x",
    ]


def test_only_what_is_worth_a_word_is_shown() -> None:
    acl = complete_acl(parse("user:bob:rw-", "default:group:ops:r-x"), (), 0o640)
    assert show_acl(acl) == [
        "user:bob:rw-",
        "default:user::rw-",
        "default:group::r--",
        "default:group:ops:r-x",
        "default:other::---",
    ]
    assert show_acl(complete_acl(parse("user:bob:rw-", "mask::r--"), (), 0o640)) == ["user:bob:rw-", "mask::r--"]
    assert show_acl(complete_acl(parse("mask::rw-"), (), 0o660)) == ["mask::rw-"]
    assert show_acl(()) == []
