"""A process that plays many recording services and sends events at a steady rate.

Each event carries the moment of its writing (`time.monotonic_ns`, one clock for the whole machine) in the
field `platform_call_id`. First line of output: the ports as JSON. A line on standard input starts the load;
at its end a line with the totals follows, and the services stay until standard input closes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from contextlib import AsyncExitStack
from uuid import UUID

from recmon.simulators.verba import VerbaSimulator

TICK_S = 0.005
LIFE_EVENTS = 2
"""Events of one call: its start and its end."""


async def main() -> None:
    """Serve and send."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--servers", type=int, default=200)
    parser.add_argument("--rate", type=float, default=1000.0, help="events a second over all servers")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--alive", type=int, default=2000, help="calls that go on at a time")
    parser.add_argument("--fewest", type=int, default=0, help="calls that go on before the first one ends")
    parser.add_argument(
        "--linger", type=float, default=0.0, help="seconds before what still goes on is ended"
    )
    options = parser.parse_args()
    async with AsyncExitStack() as stack:
        services = [await stack.enter_async_context(VerbaSimulator()) for _ in range(options.servers)]
        print(json.dumps([service.port for service in services]), flush=True)
        for service in services:
            await service.wait_for_subscribers(1)
        print("subscribed", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        sent = await _send(services, options)
        print(json.dumps({"events": sent}), flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def _send(services: list[VerbaSimulator], options: argparse.Namespace) -> int:
    rate = options.rate
    begun = time.monotonic()
    sent = number = 0
    going: list[int] = []
    total = int(rate * options.seconds)
    while sent < total:
        due = min(int((time.monotonic() - begun) * rate), total)
        while sent < due:
            if len(going) > options.alive or (len(going) > options.fewest and sent % LIFE_EVENTS):
                ending = going.pop(0)
                services[ending % len(services)].end_call(record(ending, ended=True))
            else:
                services[number % len(services)].begin_call(record(number, ended=False))
                going.append(number)
                number += 1
            sent += 1
        await asyncio.sleep(TICK_S)
    await asyncio.sleep(options.linger)
    for ending in going:
        services[ending % len(services)].end_call(record(ending, ended=True))
        sent += 1
    return sent


def record(number: int, *, ended: bool) -> dict[str, str]:
    """Return a record of about 700 bytes of XML."""
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    fields = {
        "ccdr_id": str(UUID(int=number + 1)),
        "native_id": str(1_000_000 + number),
        "platform_call_id": str(time.monotonic_ns()),
        "source_caller_id": f"44{number % 100:02}",
        "source_name": f"Agent {number % 100}",
        "destination_caller_id": f"+44 20 7946 {number % 1000:04}",
        "destination_name": "Caller",
        "start_time": f"{at}.000",
        "audio_codec_id": "2",
        "direction_id": "2",
        "signaling_id": "2",
    }
    if ended:
        fields |= {"end_time": f"{at}.500", "cause_id": "1"}
    return fields


if __name__ == "__main__":
    asyncio.run(main())
