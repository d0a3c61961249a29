"""Starts the HTTP side of a simulator on a real socket."""

from __future__ import annotations

import ssl

from aiohttp import web

STOP_S = 0.2
"""So long may requests under way take when a simulator is left."""


async def serve(
    application: web.Application,
    host: str,
    port: int,
    context: ssl.SSLContext | None,
    *,
    ends_with_client: bool = False,
) -> web.AppRunner:
    """Listen, and return what is to be cleaned up; its first address tells the port.

    Args:
        application: answers the requests.
        host: to listen on.
        port: likewise; 0 takes a free one.
        context: certificate to show; None for clear text.
        ends_with_client: whether an answer is given up once its client has gone.
    """
    runner = web.AppRunner(
        application, access_log=None, handler_cancellation=ends_with_client, shutdown_timeout=STOP_S
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, ssl_context=context).start()
    except BaseException:
        await runner.cleanup()
        raise
    return runner
