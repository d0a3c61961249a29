"""One question on a short connection of its own, beside the link that tells a server's events."""

from __future__ import annotations

import asyncio

from recmon.domain.calls import ServerId
from recmon.domain.events import CallFacts
from recmon.errors import ConnectionLost, IdleTimeout
from recmon.logs import printable
from recmon.net.link import LinkLimits, connect
from recmon.net.stream import HIGH_WATER
from recmon.vendors.base import CallsQuestion, EventSource, Now

ANSWER_S = 20.0
"""From the connection to the whole answer."""


async def ask_for_calls(
    server: ServerId,
    source: EventSource,
    question: CallsQuestion,
    *,
    now: Now,
    limits: LinkLimits | None = None,
    answer_s: float = ANSWER_S,
) -> tuple[CallFacts, ...]:
    """Ask a server for calls, and return those that it tells.

    Args:
        server: whom to ask, for errors.
        source: where to connect.
        question: what to ask; used once. It reads the answer in worker threads, because a list is long.
        now: the clock, aware UTC.
        limits: deadlines of the connection.
        answer_s: deadline of the whole answer.

    Raises:
        LinkError: by type, when there is no connection, it broke, or the answer does not come.
        ProtocolError: the answer cannot be read, or is an error.
        SettingsError: the TLS options cannot be used.
    """
    stream = await connect(server, source, limits or LinkLimits())
    try:
        stream.send(question.request)
        async with asyncio.timeout(answer_s):
            while True:
                await stream.wait(None)
                data = stream.take(HIGH_WATER)
                if data:
                    found = await asyncio.to_thread(question.receive_data, data, now())
                    if found is not None:
                        return found
                elif stream.error is not None:
                    raise ConnectionLost(server, f"the connection broke ({printable(str(stream.error))})")
                else:
                    return await asyncio.to_thread(question.receive_eof, now())
    except TimeoutError as error:
        what = f"no answer to the question for calls within {answer_s:g} s"
        raise IdleTimeout(server, what) from error
    finally:
        stream.close()
