"""Looks names up off the event loop, so that a resolver that never answers holds up nobody else."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable

Lookup = Callable[[str, int], list[str]]


def system_lookup(host: str, port: int) -> list[str]:
    """Return the addresses of a host in the system's order of preference; blocks.

    Raises:
        OSError: the name is not known, or the resolver failed.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


async def addresses_of(host: str, port: int, lookup: Lookup = system_lookup) -> list[str]:
    """Return the addresses of a host, found in a thread of its own.

    The loop's shared threads would not do: a few names that hang would keep all of them, and leaving the
    program would wait for them. A thread nobody waits for any more ends by itself.

    Raises:
        OSError: the name is not known, or the resolver failed.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[str]] = loop.create_future()

    def settle(addresses: list[str], error: Exception | None) -> None:
        if answer.done():
            return
        if error is None:
            answer.set_result(addresses)
        else:
            answer.set_exception(error)

    def look_up() -> None:
        addresses: list[str] = []
        failure: Exception | None = None
        try:
            addresses = lookup(host, port)
        except (OSError, UnicodeError) as error:
            failure = error if isinstance(error, OSError) else OSError(f"{host} is not a host name")
        try:
            loop.call_soon_threadsafe(settle, addresses, failure)
        except RuntimeError:
            return  # the loop was closed meanwhile: nobody waits any more

    threading.Thread(target=look_up, name=f"lookup {host}", daemon=True).start()
    return await answer
