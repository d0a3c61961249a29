"""One question on a connection of its own, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from line_server import LineServer, line_source, utc_now

from recmon.domain.calls import ServerId
from recmon.domain.events import CallFacts
from recmon.errors import ConnectFailed, ConnectionLost, IdleTimeout, MalformedMessage
from recmon.net.exchange import ask_for_calls

EAST = ServerId("east")
Run = Callable[..., Any]


class Words:
    """Asks for one line of words, each a call."""

    request = b"list\n"

    def __init__(self) -> None:
        self._data = b""

    def receive_data(self, data: bytes, at: object) -> tuple[CallFacts, ...] | None:
        self._data += data
        line, ended, _ = self._data.partition(b"\n")
        return tuple(CallFacts(word) for word in line.decode().split()) if ended else None

    def receive_eof(self, at: object) -> tuple[CallFacts, ...]:
        raise MalformedMessage("cut off")


async def ask(port: int, **values: Any) -> tuple[CallFacts, ...]:
    return await ask_for_calls(EAST, line_source(port), Words(), now=utc_now, **values)


def test_the_list_is_returned_and_the_connection_closed(run: Run) -> None:
    async def main() -> None:
        async with LineServer(b"a b\n") as server:
            assert [facts.native_id for facts in await ask(server.port)] == ["a", "b"]
            await server.until(lambda: not server.writers)

    run(main())


def test_an_answer_that_ends_early_or_does_not_come_is_an_error(run: Run) -> None:
    async def main() -> None:
        async with LineServer(b"a", ends=True) as server:
            with pytest.raises(MalformedMessage):
                await ask(server.port)
        async with LineServer(b"a") as server:
            with pytest.raises(IdleTimeout):
                await ask(server.port, answer_s=0.05)
            port = server.port
        with pytest.raises(ConnectFailed):
            await ask(port)

    run(main())


def test_a_connection_that_breaks_is_an_error(run: Run) -> None:
    async def main() -> None:
        async with LineServer(b"a") as server:

            async def break_it() -> None:
                await server.until(lambda: server.received == b"list\n")
                server.reset()

            async with asyncio.TaskGroup() as group:
                group.create_task(break_it())
                with pytest.raises(ConnectionLost):
                    await ask(server.port)

    run(main())
