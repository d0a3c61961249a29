"""Simulated servers in a thread of the test's own process, so that it can look at what they received."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from typing import Any

START_S = 10.0


@contextmanager
def serving(*servers: AbstractAsyncContextManager[Any]) -> Iterator[asyncio.AbstractEventLoop]:
    """Run servers while the block runs; yields their event loop, to which their methods belong."""
    loop = asyncio.new_event_loop()
    ended = asyncio.Event()
    started = threading.Event()

    async def serve() -> None:
        async with AsyncExitStack() as stack:
            for server in servers:
                await stack.enter_async_context(server)
            started.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    try:
        assert started.wait(START_S), "the servers did not start"
        yield loop
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(START_S)
        loop.close()
