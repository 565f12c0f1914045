"""Pages of long lists: every item on exactly one page, whatever the address says."""

from __future__ import annotations

import pytest

from webhooks.ui.paging import read_page


@pytest.mark.parametrize("total", [0, 1, 99, 100, 101, 1000])
def test_every_item_is_on_exactly_one_page(total: int) -> None:
    seen: list[int] = []
    address = "?page=1"
    while address:
        page = read_page({"page": address.rpartition("=")[2]}, total)
        seen.extend(range(page.start, page.end))
        address = page.next
    assert seen == list(range(total))


@pytest.mark.parametrize("text", ["", "0", "-1", "x", "1e9", "²", "9" * 50, "1; drop"])
def test_rubbish_is_a_page_that_is_there(text: str) -> None:
    page = read_page({"page": text}, 250)
    assert page.number in (1, 3)
    assert page.start < page.end


def test_links_carry_the_filter_on_and_escape_it() -> None:
    page = read_page({"page": "2", "q": 'a&b="<', "other": "x"}, 300, keep=("q",))
    assert page.next == "?q=a%26b%3D%22%3C&page=3"
    assert page.previous == "?q=a%26b%3D%22%3C&page=1"
