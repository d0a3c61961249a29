"""Runs requests to servers that others named in a link: only where the rules allow, to checked addresses.

A name is looked up once, each address it stands for is checked, and the connection goes to exactly those;
so a name that changes its mind between check and connection gains nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import TYPE_CHECKING

from recmon.errors import LinkRefused
from recmon.net.names import Lookup, addresses_of, system_lookup
from recmon.protocol.http import HttpRequest
from recmon.vendors.links import LinkRules, Origin, parse_origin

if TYPE_CHECKING:
    from aiohttp.abc import AbstractResolver

_OURS = frozenset({"authorization", "cookie", "proxy-authorization"})
"""Headers that carry our keys: never for another server."""


def checked_origin(request: HttpRequest, rules: LinkRules) -> Origin:
    """Check a request to another server before anything of it leaves.

    Raises:
        LinkRefused: its host may not be asked.
        ValueError: it would do more than fetch, or carry our keys.
    """
    if request.method != "GET" or request.body:
        raise ValueError("another server is only asked for files")
    if any(name.lower() in _OURS for name, _ in request.headers):
        raise ValueError("our keys are not sent to another server")
    origin = parse_origin(request.origin)
    rules.check_origin(origin)
    return origin


def checking_resolver(rules: LinkRules, lookup: Lookup = system_lookup) -> AbstractResolver:
    """Return what an aiohttp connector asks for addresses: it fails where the rules refuse one of them."""
    # Comes with aiohttp, which costs 400 ms that start-up must not pay.
    from aiohttp.abc import AbstractResolver, ResolveResult

    class CheckingResolver(AbstractResolver):
        """Finds the addresses of a name, and refuses the name if one of them is not allowed."""

        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            found = await addresses_of(host, port, lookup)
            return [_result(host, port, text, rules) for text in found]

        async def close(self) -> None:
            return None

    def _result(host: str, port: int, text: str, rules: LinkRules) -> ResolveResult:
        try:
            address = ipaddress.ip_address(text)
        except ValueError as error:
            raise LinkRefused("its host stands for no usable address", host=host) from error
        rules.check_address(address, Origin("https", host, port or 443))
        return ResolveResult(
            hostname=host,
            host=str(address),
            port=port,
            family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
            proto=0,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )

    return CheckingResolver()


class TransferLimit:
    """Counts one file from another server against the caps on size and time.

    Args:
        rules: the caps.
        announced: its size as the server announced it, if it did.

    Raises:
        LinkRefused: it is announced to be larger than the cap.
    """

    def __init__(self, rules: LinkRules, announced: int | None) -> None:
        self._rules = rules
        self._left = rules.largest_bytes
        self._ends_at = asyncio.get_running_loop().time() + rules.longest_s
        if announced is not None:
            self._check(announced)

    def count(self, size: int) -> None:
        """Note bytes that arrived.

        Raises:
            LinkRefused: they are too many, or come too late.
        """
        self._check(size)
        self._left -= size
        if asyncio.get_running_loop().time() > self._ends_at:
            raise LinkRefused(f"its file did not arrive within {self._rules.longest_s / 60:g} minutes")

    def _check(self, size: int) -> None:
        if size > self._left:
            raise LinkRefused(f"its file is larger than {self._rules.largest_bytes >> 20} MiB")
