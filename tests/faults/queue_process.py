"""The queue in a process of its own, to be killed at any moment: fetches what is wanted, until it is killed.

Arguments: the data folder, the server's address, the file of its authority, how many recordings are wanted.
Prints `ready` once the queue is open, and `done` when nothing is left to be fetched.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from downloading import RangeFlows, parts, place

from recmon.services.wishes import Wish
from recmon.settings.model import TlsOptions


async def main(folder: Path, url: str, authority: Path, count: int) -> None:
    async with parts(folder, RangeFlows(url, TlsOptions(ca_file=authority))) as here:
        await here.queue.add(Wish(place(number)) for number in range(count))
        print("ready", flush=True)
        changed = asyncio.Event()
        here.queue.changed.subscribe(lambda refs: changed.set())
        while not here.queue.totals().is_empty:
            await changed.wait()
            changed.clear()
        print("done", flush=True)


asyncio.run(main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])))
