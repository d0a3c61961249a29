"""A program that plays many recording services until its standard input ends.

First line of output: the ports as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from contextlib import AsyncExitStack

from recmon.simulators.verba import VerbaFaults, VerbaSimulator


async def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--ports", type=json.loads, default=[0], help="a JSON list; 0 lets the system choose")
    parser.add_argument("--keepalive", type=float, default=1.0, help="real interval in seconds")
    parser.add_argument("--announced", default=None, help="interval told to clients")
    options = parser.parse_args()
    async with AsyncExitStack() as stack:
        services = [
            await stack.enter_async_context(
                VerbaSimulator(
                    options.host, port, options.keepalive, VerbaFaults(keepalive_time=options.announced)
                )
            )
            for port in options.ports
        ]
        print(json.dumps([service.port for service in services]), flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
