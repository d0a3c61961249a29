"""One connection's bytes: what arrives is kept until it is taken. Knows no vendor."""

from __future__ import annotations

import asyncio

HIGH_WATER = 256 * 1024
"""Bytes kept before reading stops; the rest waits in the system's buffers and, by TCP, at the server."""


class IncomingBytes(asyncio.Protocol):
    """Collects what arrives, so that even a reset throws nothing away that came before it.

    Attributes:
        has_ended: nothing more will arrive; what has arrived can still be taken.
        error: why it ended, or None for a proper end.
    """

    def __init__(self) -> None:
        self.has_ended = False
        self.error: Exception | None = None
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._bytes = bytearray()
        self._is_paused = False
        self._changed = asyncio.Event()
        self._wake_at: float | None = None
        self._timer: asyncio.Handle | None = None
        self._timer_at = 0.0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to take now."""
        return not self._bytes

    def send(self, data: bytes) -> None:
        """Send bytes as soon as the connection takes them."""
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def take(self, size: int) -> bytes:
        """Return up to `size` bytes of what is there, at once."""
        taken = bytes(self._bytes[:size])
        del self._bytes[:size]
        if self._is_paused and len(self._bytes) <= HIGH_WATER // 2 and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()
        return taken

    async def wait(self, until: float | None) -> None:
        """Return when there are bytes, at the end, or at a time of the loop's clock; whichever is first."""
        if self._bytes or self.has_ended:
            return
        self._changed.clear()
        self._wake_at = until
        self._arm()
        await self._changed.wait()

    def close(self) -> None:
        """Drop the connection at once, without a farewell to a peer that may be dead."""
        self._wake_at = None
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(f"a link needs a stream, not a {type(transport).__name__}")
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._bytes += data
        if len(self._bytes) > HIGH_WATER and self._transport is not None and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()
        self._changed.set()

    def eof_received(self) -> None:
        self.has_ended = True
        self._changed.set()

    def connection_lost(self, error: Exception | None) -> None:
        self.has_ended = True
        self.error = self.error or error
        self._changed.set()

    def _arm(self) -> None:
        # One timer that is set again when it was early, not one for each wait: Qt's loop keeps a cancelled
        # timer until it would have fired, and its timers may be early by some hundredths of their time.
        if self._wake_at is None:
            return
        if self._timer is not None:
            if self._timer_at <= self._wake_at:
                return
            self._timer.cancel()
        self._timer_at = self._wake_at
        self._timer = self._loop.call_at(self._wake_at, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        if self._wake_at is None:
            return
        if self._loop.time() < self._wake_at:
            self._arm()
        else:
            self._changed.set()
