"""Peer: whether a request comes from the user who runs this service, on this machine, with nobody in between.

Without users the pages are open to that user alone. A proxy on this machine makes everybody look like this machine, so each of its traces
counts: a public address in the settings, a forwarding header, HTTP/1.0 (what proxies speak by default, and no browser), and the owner of
the connection's other end, which the kernel knows (`/proc/net/tcp`, proc_pid_net(5)). Decides nothing about those who log in.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import Request

LOOPBACK = ("localhost", "127.0.0.1", "::1")
FORWARDING = frozenset(("forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip", "client-ip"))
OLD_VERSION = "1.0"
TABLES = {4: Path("/proc/net/tcp"), 6: Path("/proc/net/tcp6")}
STATE, UID = 3, 7
ESTABLISHED = "01"

FindOwner = Callable[[Request], int | None]


@dataclass(frozen=True)
class Address:
    """Where people reach the service; an empty `url` is nowhere but this machine."""

    url: str = ""

    @property
    def is_https(self) -> bool:
        """Say whether cookies may insist on TLS."""
        return self.url.startswith("https://")

    @property
    def netloc(self) -> str:
        """Host and port, as a browser's `Origin` names them."""
        return urlsplit(self.url).netloc

    @property
    def is_public(self) -> bool:
        """Say whether it is another name than this machine's own."""
        return (urlsplit(self.url).hostname or "localhost") not in LOOPBACK


def why_not_own(request: Request, address: Address, find_owner: FindOwner) -> str:
    """Say why a request is not surely its own user's; nothing when it is."""
    if address.is_public:
        return "the service has a public address"
    if any(name in FORWARDING or name.startswith("x-forwarded-") for name in request.headers):
        return "a proxy passed the request on"
    if request.scope.get("http_version", OLD_VERSION) == OLD_VERSION:
        return "HTTP/1.0 is what proxies speak"
    host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    # The name keeps out sites that point their own name here, the address keeps out the network.
    if host not in LOOPBACK or request.client is None or request.client.host not in LOOPBACK:
        return "it does not come from this machine"
    return "" if find_owner(request) == os.getuid() else "another user's program asks, perhaps a proxy"


def find_connection_owner(request: Request) -> int | None:
    """Give the user id that the other end of a loopback connection belongs to; None when the kernel does not say.

    Where there is no such table (macOS) it is taken for this service's user.
    """
    client, server = request.scope.get("client"), request.scope.get("server")
    if not client or not server:
        return None
    address = ip_address(client[0])
    table = TABLES[address.version]
    if not sys.platform.startswith("linux"):
        return os.getuid()
    wanted = (_write_end(address, client[1]), _write_end(ip_address(server[0]), server[1]))
    return find_owner_in(table.read_text(encoding="ascii"), *wanted)


def find_owner_in(table: str, local: str, remote: str) -> int | None:
    """Find a connection's owner in the text of `/proc/net/tcp`, by its two ends as that table writes them.

    An end that its program has closed is nobody's, and the kernel says 0 then, which is root: only an open one has an owner.
    """
    for row in table.splitlines()[1:]:
        fields = row.split()
        if len(fields) > UID and [*fields[1:3], fields[STATE]] == [local, remote, ESTABLISHED]:
            return int(fields[UID])
    return None


def _write_end(address: IPv4Address | IPv6Address, port: int) -> str:
    """Write an address as the kernel does: words of 32 bits in the machine's own order."""
    packed = address.packed
    words = (int.from_bytes(packed[start : start + 4], sys.byteorder) for start in range(0, len(packed), 4))
    return "".join(f"{word:08X}" for word in words) + f":{port:04X}"
