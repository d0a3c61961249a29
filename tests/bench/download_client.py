"""The program's side of the `downloads` benchmark, in a process of its own.

Arguments: a data folder, the server's address, the file of its authority, and `large` or `small`. The one
line of output is a JSON object of figures. A stall is the most processor time that the loop's thread used
between two ticks of a 10 ms timer, as in tests/faults.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from recmon.domain.calls import RecordingRef, ServerId
from recmon.services.wishes import Wish
from recmon.settings.model import TlsOptions
from tests.bench.processes import rss_mb
from tests.faults.downloading import Flows, parts, place, utc_now

TICK_S = 0.01
SMALL = 500


class Watch:
    """Notes the longest gap between ticks of the event loop, and the most memory."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self.most_mb = 0.0

    async def run(self) -> None:
        """Tick until cancelled."""
        last = time.thread_time()
        while True:
            await asyncio.sleep(TICK_S)
            now = time.thread_time()
            self.longest_s = max(self.longest_s, now - last)
            self.most_mb = max(self.most_mb, rss_mb())
            last = now


async def main() -> None:
    """Fetch, measure and print."""
    folder, flows = Path(sys.argv[1]), Flows(sys.argv[2], TlsOptions(ca_file=Path(sys.argv[3])))
    figures: dict[str, float] = {}
    async with parts(folder, flows, utc_now) as here:
        # The libraries are loaded and the connection stands, as when the program has run for a while.
        await here.downloads.open(RecordingRef(ServerId("archive"), "path:warm")).finished()
        watch = Watch()
        watching = asyncio.create_task(watch.run())
        before_mb = rss_mb()
        begun = time.perf_counter()
        if sys.argv[4] == "large":
            ref = RecordingRef(ServerId("archive"), "path:large")
            path = await here.downloads.open(ref).finished()
            took = time.perf_counter() - begun
            figures = {
                "download_mb_s": path.stat().st_size / 1e6 / took,
                "download_rss_growth_mb": watch.most_mb - before_mb,
                "download_stall_ms": watch.longest_s * 1000,
            }
        else:
            done = asyncio.Event()
            here.queue.changed.subscribe(lambda refs: here.queue.totals().is_empty and done.set())
            await here.queue.add(Wish(place(number)) for number in range(SMALL))
            await done.wait()
            took = time.perf_counter() - begun
            assert here.queue.totals().arrived == SMALL
            figures = {
                "download_small_s": took,
                "download_small_stall_ms": watch.longest_s * 1000,
            }
        watching.cancel()
    print(json.dumps(figures))


asyncio.run(main())
