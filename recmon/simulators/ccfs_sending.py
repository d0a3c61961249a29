"""Sends the bodies of files, whole or broken in one of many ways."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from aiohttp import web

from recmon.simulators.ccfs_faults import BodyFault, CcfsFaults

_PIECE = 64 * 1024


class FileSender:
    """Answers requests with files.

    Args:
        faults: what is wrong with their bodies.
        date: the `Date` of an answer.

    Attributes:
        sent_bytes: of all bodies so far.
    """

    def __init__(self, faults: CcfsFaults, date: Callable[[], str]) -> None:
        self.sent_bytes = 0
        self._faults = faults
        self._date = date

    async def send(self, request: web.Request, content: bytes) -> web.StreamResponse:
        """Send a file; the connection may be gone afterwards."""
        fault = self._faults.body
        if fault is BodyFault.EMPTY:
            content = b""
        raw = _RAW_LENGTHS.get(fault)
        if raw is not None:
            lengths, share = raw
            return self._send_raw(request, [length + len(content) for length in lengths], content, share)
        response = web.StreamResponse(
            headers={"Content-Type": "Application/Octet-stream;charset=UTF-8", "Date": self._date()}
        )
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
        rate = self._faults.rate_bytes_s
        piece = _PIECE if rate is None else max(1, min(_PIECE, int(rate / 20)))
        clock = asyncio.get_running_loop().time
        begun = clock()
        view = memoryview(content)
        for offset in range(0, len(view), piece):
            part = view[offset : offset + piece]
            stall_after = self._faults.stall_after
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


# Lengths to declare, as differences from the true one, and the share of the file that is sent.
_RAW_LENGTHS: dict[BodyFault, tuple[tuple[int, ...], float]] = {
    BodyFault.NO_LENGTH: ((), 1.0),
    BodyFault.NO_LENGTH_CUT: ((), 0.5),
    BodyFault.LENGTH_TOO_BIG: ((1000,), 1.0),
    BodyFault.LENGTH_TOO_SMALL: ((-1000,), 1.0),
    BodyFault.LENGTH_TWICE: ((0, -1000), 1.0),
    BodyFault.LENGTH_NEGATIVE: ((-(10**12),), 1.0),
}
