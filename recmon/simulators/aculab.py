"""Simulated web services of Aculab Cloud over HTTPS: the media file store.

They share no code with the client. What the vendor's pages leave open (aculab.md 9, marked unknown: the
layout of the list, whether names begin with a slash) is an assumption that can be changed, and proves nothing
about the real platform.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal

from aiohttp import web

from recmon.simulators.certificates import Certificate
from recmon.simulators.http_serving import serve

REQUESTS_KEPT = 1000


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A file of the store, as the list tells it."""

    name: str
    created_at: datetime
    size: int


@dataclass(slots=True)
class AculabFaults:
    """How the services differ and misbehave; may be changed while they run.

    Attributes:
        layout: of the list: an object keyed by name, a list of objects, a list of names, or the object inside
            another one.
        slash: the form of names that is known: either, or only the one with or without a slash in front.
        missing: answer so many requests for files with "not found" first; counts down.
        encrypted: send files as an application with a cipher would have left them.
        status: answer everything with this status and an error body.
        error_in_success: send error bodies with status 200.
        broken_errors: leave out the quotes around the code of an error, as a page of the vendor does.
        page: answer everything with a web page.
        first_byte_after_s: wait before the answer begins.
    """

    layout: Literal["keyed", "objects", "names", "wrapped"] = "keyed"
    slash: Literal["either", "with", "without"] = "either"
    missing: int = 0
    encrypted: bool = False
    status: int | None = None
    error_in_success: bool = False
    broken_errors: bool = False
    page: bool = False
    first_byte_after_s: float = 0.0


class AculabWebSimulator:
    """An HTTPS server for `file_list`, `file_get` and `application_status`; an async context manager.

    Args:
        certificate: what it shows.
        user: cloud id, slash and user of the one account it knows.
        access_key: that account's.
        find: returns the file of a name that begins with a slash, or None; called in a worker thread.
        listed: returns all files that are there, their names with a slash in front; likewise.
        status: returns what is known of an application's run, or None.
        host: address to listen on.
        port: port to listen on; 0 lets the system choose.
        faults: how it misbehaves.

    Attributes:
        requests: service and fields of the latest requests whose login was right.
    """

    def __init__(
        self,
        certificate: Certificate,
        user: str,
        access_key: str,
        find: Callable[[str], bytes | None],
        listed: Callable[[], Iterable[MediaFile]] = tuple,
        status: Callable[[str], Mapping[str, Any] | None] = lambda run: None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        faults: AculabFaults | None = None,
    ) -> None:
        self.faults = faults or AculabFaults()
        self.requests: deque[tuple[str, Mapping[str, str]]] = deque(maxlen=REQUESTS_KEPT)
        self._certificate = certificate
        self._login = base64.b64encode(f"{user}:{access_key}".encode()).decode("ascii")
        self._find = find
        self._listed = listed
        self._status = status
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> AculabWebSimulator:
        app = web.Application()
        app.router.add_route("*", "/{service:.*}", self._handle)
        self._runner = await serve(app, self._host, self._port, self._certificate.server_context())
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def url(self) -> str:
        """Its address, without a path."""
        return f"https://{self._host}:{self._port}"

    async def _handle(self, request: web.Request) -> web.Response:
        service = request.match_info["service"]
        form = {name: str(value) for name, value in (await request.post()).items()}
        fields = {**request.query, **form}
        await asyncio.sleep(self.faults.first_byte_after_s)
        if self.faults.page:
            return web.Response(
                text="<!DOCTYPE html>\n<html><body>maintenance</body></html>", content_type="text/html"
            )
        given = request.headers.get("Authorization", "").removeprefix("Basic ")
        if not hmac.compare_digest(given.encode(), self._login.encode()):
            return self._error(request, 401, "Unauthorised")
        self.requests.append((service, fields))
        if self.faults.status is not None:
            return self._error(request, self.faults.status, "The service is not available to you now")
        if service in ("file_list", "file_get") and fields.get("filetype") not in (
            "media",
            "rest",
            "msg_media",
        ):
            return self._error(request, 400, "Invalid filetype")
        if service == "file_list":
            return await self._list(fields)
        if service == "file_get":
            return await self._get(request, fields)
        if service == "application_status":
            status = self._status(fields.get("application_instance_id", ""))
            return self._error(request, 404, "Unknown id") if status is None else web.json_response(status)
        return self._error(request, 404, "No such service")

    async def _list(self, fields: Mapping[str, str]) -> web.Response:
        files = [
            file
            for file in await asyncio.to_thread(lambda: list(self._listed()))
            if self._is_wanted(file, fields)
        ]
        rows = {
            self._shown(file.name): {
                "created_date": file.created_at.astimezone(UTC).strftime("%Y-%m-%d_%H:%M:%S"),
                "size": file.size,
            }
            for file in files
        }
        listed: Any = rows
        match self.faults.layout:
            case "objects":
                listed = [{"filename": name, **row} for name, row in rows.items()]
            case "names":
                listed = list(rows)
            case "wrapped":
                listed = {"files": rows}
            case "keyed":
                pass
        return web.json_response(listed)

    def _is_wanted(self, file: MediaFile, fields: Mapping[str, str]) -> bool:
        return "filename" not in fields or self._known_form(fields["filename"]) == file.name

    async def _get(self, request: web.Request, fields: Mapping[str, str]) -> web.Response:
        name = self._known_form(fields.get("filename", ""))
        content = await asyncio.to_thread(self._find, name) if name else None
        if self.faults.missing > 0:
            self.faults.missing -= 1
            content = None
        if content is None:
            return self._error(request, 404, "File not found")
        if self.faults.encrypted:
            content = _scrambled(content)
        return web.Response(body=content, content_type="audio/wav")

    def _known_form(self, name: str) -> str:
        """Return a name with a slash in front, or nothing where it has not the form that is known."""
        has_slash = name.startswith("/")
        if self.faults.slash == "either" or has_slash == (self.faults.slash == "with"):
            return name if has_slash else f"/{name}"
        return ""

    def _shown(self, name: str) -> str:
        return name[1:] if self.faults.slash == "without" else name

    def _error(self, request: web.Request, status: int, text: str) -> web.Response:
        now = datetime.now(UTC).strftime("%Y-%m-%d_%H:%M:%S")
        sent = 200 if self.faults.error_in_success else status
        if "application/json" not in request.headers.get("Accept", ""):
            # older services do so (aculab.md 8)
            return web.Response(
                status=sent, text=f"<error code='{status}'>{text}</error>", content_type="text/xml"
            )
        code = f"HTTP {status}" if self.faults.broken_errors else json.dumps(f"HTTP {status}")
        body = (
            f'{{"error": {{"code": {code}, "text": {json.dumps(text)}, "datetime": "{now}"}}, '
            f'"request": {{"url": {json.dumps(request.path)}, "datetime": "{now}"}}}}'
        )
        return web.Response(status=sent, text=body, content_type="application/json")


def _scrambled(content: bytes) -> bytes:
    """Return bytes without a pattern, as ciphertext has none, in whole blocks of 16."""
    blocks = range(len(content) // 32 + 1)
    seed = hashlib.sha256(content).digest()
    return b"".join(hashlib.sha256(seed + block.to_bytes(8, "big")).digest() for block in blocks)
