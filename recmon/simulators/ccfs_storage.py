"""A simulated object storage on a port of its own: it serves whoever has a link, and knows no accounts."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from types import TracebackType

from aiohttp import web

from recmon.simulators.certificates import Certificate
from recmon.simulators.http_serving import serve


class ObjectStorage:
    """An HTTPS server; an async context manager.

    Args:
        certificate: what it shows.
        find: returns the file at a path, or None; called in a worker thread.
        host: address to listen on.
        port: port to listen on; 0 lets the system choose.

    Attributes:
        authorised: how many requests carried credentials, which nobody should send here.
        handed_out: all links so far.
        is_closed: refuse every link, as if it were too old.
    """

    def __init__(
        self,
        certificate: Certificate,
        find: Callable[[str], bytes | None],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.authorised = 0
        self.request_count = 0
        self.handed_out: list[str] = []
        self.is_closed = False
        self._certificate = certificate
        self._find = find
        self._host = host
        self._port = port
        self._links: dict[str, str] = {}
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> ObjectStorage:
        application = web.Application()
        application.router.add_get("/recordings/{key}", self._answer)
        runner = await serve(application, self._host, self._port, self._certificate.server_context())
        self._port = runner.addresses[0][1]
        self._runner = runner
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def origin(self) -> str:
        """Host and port, as settings name them."""
        return f"{self._host}:{self._port}"

    def link(self, path: str) -> str:
        """Return a link to the file at a path, which opens it to anyone who has it."""
        key = secrets.token_hex(8)
        signature = secrets.token_urlsafe(24)
        self._links[f"{key}?{signature}"] = path
        link = f"https://{self.origin}/recordings/{key}?AWSAccessKeyId=site&Expires=8h&Signature={signature}"
        self.handed_out.append(link)
        return link

    async def _answer(self, request: web.Request) -> web.Response:
        self.request_count += 1
        self.authorised += "Authorization" in request.headers
        path = self._links.get(f"{request.match_info['key']}?{request.query.get('Signature', '')}")
        if path is None or self.is_closed:
            return _xml(403, "AccessDenied")
        content = await asyncio.to_thread(self._find, path)
        if content is None:
            return _xml(404, "NoSuchKey")
        return web.Response(body=content, content_type="audio/wav")


def _xml(status: int, code: str) -> web.Response:
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code></Error>'
    return web.Response(status=status, text=body, content_type="application/xml")
