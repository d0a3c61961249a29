"""A simulated CC-FS file service over HTTPS.

It reads the signature rules with its own code and shares none with the client. What it does where the
protocol notes know nothing (ccfs.md, the rows marked unknown) is an assumption and proves nothing about real
servers.
"""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from enum import Enum
from types import TracebackType
from typing import Any

from aiohttp import web

from recmon.simulators.ccfs_access import AccessCheck, ReceivedRequest
from recmon.simulators.certificates import Certificate

DOWNLOAD_FILE = "/CCFS/resource/ccfs/ivr/downloadFile"
DOWNLOAD_RECORD = "/CCFS/resource/ccfs/downloadRecord"
REQUESTS_KEPT = 1000
_PIECE = 64 * 1024
_STOP_S = 0.2


class BodyFault(Enum):
    """What is wrong with the bodies of files."""

    NONE = "none"
    EMPTY = "an empty file"
    CUT = "the connection ends in the middle of the declared length"
    CHUNKED = "chunks instead of a length; nothing is missing"
    CHUNKED_CUT = "chunks without an end"
    NO_LENGTH = "neither a length nor chunks; the connection's end is the file's end"
    NO_LENGTH_CUT = "the same, in the middle of the file"
    LENGTH_TOO_BIG = "a length beyond the file's end"
    LENGTH_TOO_SMALL = "a length before the file's end, and more bytes behind it"
    LENGTH_TWICE = "two lengths that contradict each other"
    LENGTH_NEGATIVE = "a length below zero"


@dataclass(slots=True)
class CcfsFaults:
    """How the simulator misbehaves; may be changed while it runs.

    Attributes:
        body: what is wrong with the bodies of files.
        rate_bytes_s: bytes of a file sent per second; None: as fast as they are taken.
        stall_after: bytes of a file after which nothing more is sent; None: never.
        first_byte_after_s: wait before the answer begins.
        page_status: answer with a web page and this status instead of anything else, as a firewall would.
        result_code: answer every download with this result code.
        postpone: answer so many downloads with the flow-control code first; counts down.
        result_data: what errors carry as `resultData`; `...` leaves it out.
        label_as_octets: label errors as `application/octet-stream`.
        deprecated_response: put the outcome of errors into the deprecated `response` object only.
        number_codes: write result codes as numbers.
        spaced_keys: put white space around the keys of errors.
        empty_query_line: expect the line of an empty query in the signed text.
        clock_offset_s: the server's clock minus the true time.
        skew_limit_s: largest difference between a signature's time and the server's clock; None: any.
        lock_after: wrong signatures from one address until it is locked.
    """

    body: BodyFault = BodyFault.NONE
    rate_bytes_s: float | None = None
    stall_after: int | None = None
    first_byte_after_s: float = 0.0
    page_status: int | None = None
    result_code: str | None = None
    postpone: int = 0
    result_data: Any = ""
    label_as_octets: bool = False
    deprecated_response: bool = False
    number_codes: bool = False
    spaced_keys: bool = False
    empty_query_line: bool = False
    clock_offset_s: float = 0.0
    skew_limit_s: float | None = 300.0
    lock_after: int = 5


class _Refused(Exception):
    """A result code is the answer."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(code)
        self.code = code
        self.description = description


class CcfsSimulator:
    """An HTTPS server for `ivr/downloadFile` and `downloadRecord`; an async context manager.

    Args:
        certificate: what it shows.
        access_key: the one account it knows.
        secret_key: that account's secret.
        find: returns the file at a path, or None; called in a worker thread.
        list_folder: returns the full paths of the files in a folder.
        files_of_call: returns the full paths of the recordings of a call id.
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
        host: str = "127.0.0.1",
        port: int = 0,
        faults: CcfsFaults | None = None,
    ) -> None:
        self.faults = faults or CcfsFaults()
        self.requests: deque[ReceivedRequest] = deque(maxlen=REQUESTS_KEPT)
        self.request_count = 0
        self.sent_bytes = 0
        self._certificate = certificate
        self._access = AccessCheck(access_key, secret_key)
        self._find = find
        self._list_folder = list_folder
        self._files_of_call = files_of_call
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> CcfsSimulator:
        application = web.Application(client_max_size=1 << 20)
        application.router.add_route("*", "/{path:.*}", self._answer)
        # a handler that waits for nothing but its client ends with it
        runner = web.AppRunner(
            application, access_log=None, handler_cancellation=True, shutdown_timeout=_STOP_S
        )
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._host, self._port, ssl_context=self._certificate.server_context())
            await site.start()
        except BaseException:
            await runner.cleanup()
            raise
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

    def unlock(self) -> None:
        """Forget all wrong signatures."""
        self._access.unlock()

    # Answers

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
        self._access.empty_query_line = self.faults.empty_query_line
        self._access.skew_limit_s = self.faults.skew_limit_s
        self._access.lock_after = self.faults.lock_after
        status, message = self._access.check(request.remote or "", received, self._now())
        if status != 200:
            return self._denied(status, message, received)
        path = received.target.partition("?")[0]
        if path not in (DOWNLOAD_FILE, DOWNLOAD_RECORD):
            return self._page(404)
        if request.method != "POST":
            return self._page(405)
        try:
            content = await self._content(path, body)
        except _Refused as refused:
            return self._error(refused.code, refused.description)
        return await self._send(request, content)

    async def _content(self, operation: str, body: bytes) -> bytes:
        message = _message(body)
        if self.faults.postpone > 0:
            self.faults.postpone -= 1
            raise _Refused("0300008", "download flow control")
        if self.faults.result_code is not None:
            raise _Refused(self.faults.result_code, "as configured")
        if operation == DOWNLOAD_RECORD:
            return await self._record_content(message)
        path = _text(message, "filePath")
        # ccfs.md 4.1: the table says integer, the sample sends a text
        if message.get("mode") in (1, "1"):
            files = self._list_folder(path)
            if not files:
                raise _Refused("0300011", "the folder holds no file")
            if len(files) > 1:
                raise _Refused("0300004", "the folder holds several files")
            path = files[0]
        return await self._file(path)

    async def _record_content(self, message: Mapping[str, Any]) -> bytes:
        if "callId" not in message:
            return await self._file(_text(message, "fileName", 225))
        files = self._files_of_call(_text(message, "callId", 25))
        if not files:
            raise _Refused("0300012", "no data found")
        if len(files) == 1:
            return await self._file(files[0])
        # ccfs.md 4.2: several recordings for the call come as a ZIP
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as entries:
            for path in files:
                entries.writestr(path.rpartition("/")[2], await self._file(path))
        return archive.getvalue()

    async def _file(self, path: str) -> bytes:
        content = await asyncio.to_thread(self._find, path)
        if content is None:
            raise _Refused("0300011", "the file does not exist")
        return content

    # Sending

    async def _send(self, request: web.Request, content: bytes) -> web.StreamResponse:
        fault = self.faults.body
        if fault is BodyFault.EMPTY:
            content = b""
        raw = _RAW_LENGTHS.get(fault)
        if raw is not None:
            lengths, share = raw
            return self._send_raw(request, [length + len(content) for length in lengths], content, share)
        response = web.StreamResponse(headers=self._headers("Application/Octet-stream;charset=UTF-8"))
        if fault in (BodyFault.CHUNKED, BodyFault.CHUNKED_CUT):
            response.enable_chunked_encoding()
        else:
            response.content_length = len(content)
        await response.prepare(request)
        is_cut = fault in (BodyFault.CUT, BodyFault.CHUNKED_CUT)
        await self._send_body(response, content[: len(content) // 2] if is_cut else content)
        if is_cut and request.transport is not None:
            request.transport.close()
        return response

    async def _send_body(self, response: web.StreamResponse, content: bytes) -> None:
        rate = self.faults.rate_bytes_s
        piece = _PIECE if rate is None else max(1, min(_PIECE, int(rate / 20)))
        clock = asyncio.get_running_loop().time
        begun = clock()
        view = memoryview(content)
        for offset in range(0, len(view), piece):
            part = view[offset : offset + piece]
            stall_after = self.faults.stall_after
            if stall_after is not None and offset + len(part) > stall_after:
                await self._write(response, part[: max(0, stall_after - offset)])
                await asyncio.Event().wait()
            await self._write(response, part)
            if rate is not None:
                await asyncio.sleep(max(0.0, begun + (offset + len(part)) / rate - clock()))

    async def _write(self, response: web.StreamResponse, part: memoryview) -> None:
        await response.write(part)
        self.sent_bytes += len(part)

    def _send_raw(
        self, request: web.Request, lengths: Sequence[int], content: bytes, share: float
    ) -> web.StreamResponse:
        """Write a response that the HTTP library would not let out, and close."""
        lines = ["HTTP/1.1 200 OK", "Content-Type: Application/Octet-stream;charset=UTF-8"]
        lines += [f"Content-Length: {length}" for length in lengths]
        head = "\r\n".join([*lines, f"Date: {self._date()}", "Connection: close", "", ""])
        if request.transport is not None:
            request.transport.write(head.encode("ascii") + content[: int(len(content) * share)])
            request.transport.close()
        return web.Response()

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
        return web.Response(status=status, body=page.encode(), headers=self._headers("text/html"))

    def _headers(self, content_type: str) -> dict[str, str]:
        return {"Content-Type": content_type, "Date": self._date()}

    def _date(self) -> str:
        return format_datetime(self._now(), usegmt=True)

    def _now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.faults.clock_offset_s)


# Lengths to declare, as differences from the true one, and the share of the file that is sent.
_RAW_LENGTHS: dict[BodyFault, tuple[tuple[int, ...], float]] = {
    BodyFault.NO_LENGTH: ((), 1.0),
    BodyFault.NO_LENGTH_CUT: ((), 0.5),
    BodyFault.LENGTH_TOO_BIG: ((1000,), 1.0),
    BodyFault.LENGTH_TOO_SMALL: ((-1000,), 1.0),
    BodyFault.LENGTH_TWICE: ((0, -1000), 1.0),
    BodyFault.LENGTH_NEGATIVE: ((-(10**12),), 1.0),
}


def _message(body: bytes) -> Mapping[str, Any]:
    """Return the parameters of a request (ccfs.md 3)."""
    try:
        request = json.loads(body.decode())
    except ValueError:
        raise _Refused("0300007", "the body is not JSON") from None
    envelope = request.get("request") if isinstance(request, dict) else None
    if not isinstance(envelope, dict) or envelope.get("version") != "2.0":
        raise _Refused("0300006", "wrong version")
    message = request.get("msgBody")
    if not isinstance(message, dict):
        raise _Refused("0300007", "msgBody is missing")
    return message


def _text(message: Mapping[str, Any], name: str, limit: int | None = None) -> str:
    value = message.get(name)
    if value is None:
        raise _Refused("0300001", f"{name} is null")
    if value == "":
        raise _Refused("0300002", f"{name} is empty")
    if not isinstance(value, str) or ".." in value.split("/"):
        raise _Refused("0300004", f"{name} has a wrong form")
    if limit is not None and len(value) > limit:
        raise _Refused("0300003", f"{name} is too long")
    return value
