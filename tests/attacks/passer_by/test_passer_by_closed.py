"""A connection whose other end was closed belongs to nobody, whatever the kernel's table says of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.attacks import read_cases
from webhooks.auth.peer import find_owner_in

CLIENT, SERVER = "0100007F:C350", "0100007F:1F90"
TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: {client} {server} {state} 00000000:00000000 00:00000000 00000000 {uid:5d}        0 4711 1 0 100 0 0 10 0
"""


@pytest.mark.parametrize("case", read_cases(__file__, "closed"), ids=lambda case: case["name"])
def test_only_an_open_end_has_an_owner(case: dict[str, Any]) -> None:
    table = TABLE.format(client=CLIENT, server=SERVER, state=case["state"], uid=case["uid"])
    assert find_owner_in(table, CLIENT, SERVER) == case["owner"]
