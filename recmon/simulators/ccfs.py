"""A simulated CC-FS file service over HTTPS, and its sister CC-CMS at the same address.

It reads the signature rules with its own code and shares none with the client. What it does where the
protocol notes know nothing (ccfs.md, the rows marked unknown) is an assumption and proves nothing about real
servers.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from email.utils import format_datetime
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from recmon.simulators import ccfs_cms, ccfs_operations
from recmon.simulators.ccfs_access import AccessCheck, ReceivedRequest
from recmon.simulators.ccfs_calls import Refused, Site, SiteCall
from recmon.simulators.ccfs_cms import MonitoringAnswers
from recmon.simulators.ccfs_faults import BodyFault, CcfsFaults
from recmon.simulators.ccfs_operations import Operations
from recmon.simulators.ccfs_sending import FileSender
from recmon.simulators.ccfs_storage import ObjectStorage
from recmon.simulators.certificates import Certificate
from recmon.simulators.http_serving import serve

__all__ = ["BodyFault", "CcfsFaults", "CcfsSimulator"]

REQUESTS_KEPT = 1000


class CcfsSimulator:
    """An HTTPS server for all reading operations; an async context manager.

    Args:
        certificate: what it shows.
        access_key: the one account it knows.
        secret_key: that account's secret.
        find: returns the file at a path, or None; called in a worker thread.
        list_folder: returns the full paths of the files in a folder.
        files_of_call: returns the full paths of the recordings of a call id.
        calls: returns all calls that the site knows, those that go on too.
        zone: the tenant's.
        storage: where its links to object storage lead; None: it has none.
        host: address to listen on.
        port: port to listen on; 0 lets the system choose.
        faults: how it misbehaves.
    """

    def __init__(
        self,
        certificate: Certificate,
        access_key: str,
        secret_key: str,
        find: Callable[[str], bytes | None],
        list_folder: Callable[[str], Sequence[str]],
        files_of_call: Callable[[str], Sequence[str]] = lambda call_id: (),
        *,
        calls: Callable[[], Sequence[SiteCall]] = lambda: (),
        zone: tzinfo = UTC,
        storage: ObjectStorage | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        faults: CcfsFaults | None = None,
    ) -> None:
        self.faults = faults or CcfsFaults()
        self.requests: deque[ReceivedRequest] = deque(maxlen=REQUESTS_KEPT)
        self.request_count = 0
        site = Site(find, list_folder, files_of_call, calls, zone)
        self._certificate = certificate
        self._access = AccessCheck(access_key, secret_key)
        self._operations = Operations(site, self.faults, storage)
        self._monitoring = MonitoringAnswers(site)
        self._sender = FileSender(self.faults, self._date)
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> CcfsSimulator:
        application = web.Application(client_max_size=1 << 20)
        application.router.add_route("*", "/{path:.*}", self._answer)
        # a handler that waits for nothing but its client ends with it
        runner = await serve(
            application, self._host, self._port, self._certificate.server_context(), ends_with_client=True
        )
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
    def port(self) -> int:
        """The port it listens on, once it is entered."""
        return self._port

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"https://{host}:{self._port}"

    @property
    def sent_bytes(self) -> int:
        """Bytes of files sent so far."""
        return self._sender.sent_bytes

    def unlock(self) -> None:
        """Forget all wrong signatures."""
        self._access.unlock()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        received = ReceivedRequest(
            request.method,
            request.raw_path,
            {name.lower(): value for name, value in request.headers.items()},
            body,
            datetime.now(UTC),
        )
        self.request_count += 1
        self.requests.append(received)
        if self.faults.first_byte_after_s:
            await asyncio.sleep(self.faults.first_byte_after_s)
        if self.faults.page_status is not None:
            return self._page(self.faults.page_status)
        path, _, text = received.target.partition("?")
        query = dict(parse_qsl(text, keep_blank_values=True))
        try:
            if path == ccfs_operations.PLAY:
                return await self._sender.send(request, await self._operations.played(query, self._now()))
            status, message = self._check(request.remote or "", received)
            if status != 200:
                return self._denied(status, message, received)
            if path in ccfs_operations.OPERATIONS and request.method == "POST":
                content = await self._operations.answer(path, query, body, self._now())
                if isinstance(content, bytes):
                    return await self._sender.send(request, content)
                return self._reply({"resultCode": "0", "resultDesc": "success", "resultData": content})
            if path.startswith(ccfs_cms.PREFIX) and request.method == "POST":
                return self._reply(self._monitoring.answer(path, body))
        except Refused as refused:
            return self._error(refused.code, refused.description)
        return self._page(405 if path in ccfs_operations.OPERATIONS else 404)

    def _check(self, peer: str, received: ReceivedRequest) -> tuple[int, str]:
        self._access.empty_query_line = self.faults.empty_query_line
        self._access.skew_limit_s = self.faults.skew_limit_s
        self._access.lock_after = self.faults.lock_after
        self._access.required_headers = self.faults.required_headers
        return self._access.check(peer, received, self._now())

    def _error(self, code: str, description: str) -> web.Response:
        faults = self.faults
        shown: str | int = int(code) if faults.number_codes else code
        if faults.deprecated_response:
            reply: dict[str, Any] = {
                "response": {"version": "2.0", "resultCode": shown, "resultMsg": description}
            }
        else:
            reply = {"resultCode": shown, "resultDesc": description}
        if faults.result_data is not ...:
            reply["resultData"] = faults.result_data
        if faults.spaced_keys:
            reply = {f" {key} ": value for key, value in reply.items()}
        kind = "application/octet-stream" if faults.label_as_octets else "application/json;charset=UTF-8"
        return web.Response(body=json.dumps(reply).encode(), headers=self._headers(kind))

    def _reply(self, reply: Mapping[str, Any]) -> web.Response:
        headers = self._headers("application/json;charset=UTF-8")
        return web.Response(body=json.dumps(reply, ensure_ascii=False).encode(), headers=headers)

    def _denied(self, status: int, message: str, received: ReceivedRequest) -> web.Response:
        # the body of ccfs.md 6
        reply = {
            "timestamp": int(self._now().timestamp() * 1000),
            "status": status,
            "error": "Unauthorized" if status == 401 else "Forbidden",
            "message": message,
            "path": received.target,
        }
        headers = self._headers("application/json;charset=UTF-8")
        return web.Response(status=status, body=json.dumps(reply).encode(), headers=headers)

    def _page(self, status: int) -> web.Response:
        page = f"<!DOCTYPE html>\n<html><head><title>{status}</title></head><body>{status}</body></html>\n"
        headers = self._headers("text/html")
        if self.faults.retry_after:
            headers["Retry-After"] = self.faults.retry_after
        return web.Response(status=status, body=page.encode(), headers=headers)

    def _headers(self, content_type: str) -> dict[str, str]:
        return {"Content-Type": content_type, "Date": self._date()}

    def _date(self) -> str:
        return format_datetime(self._now(), usegmt=True)

    def _now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.faults.clock_offset_s)
