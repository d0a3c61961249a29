"""A program that sends web hooks from several clients at once, each as fast as it is answered or at a rate.

Every client keeps a few connections, as the programs of providers do, and has one request under way on each;
so the one that waits for its answer does not keep the others back.

Last line of output: what came of it, as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import Counter, deque

CONNECTIONS = 4
"""Of one client; with eight clients half of what the listener allows."""

ANSWER_DEADLINE_S = 60.0
"""So long the last answers are waited for; what comes later counts as unanswered."""


class Told:
    """What came of all requests so far."""

    def __init__(self) -> None:
        self.latencies_ms: list[float] = []
        self.asked_again_ms: list[float] = []
        self.statuses: Counter[str] = Counter()
        self.sent = 0


class Connection(asyncio.Protocol):
    """One connection with one request under way; what it does is counted in `told`."""

    def __init__(self, told: Told, idle: deque[Connection], freed: asyncio.Event) -> None:
        self._told = told
        self._idle = idle
        self._freed = freed
        self._received = b""
        self._begun = 0.0
        self.is_lost = False
        self.is_busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def send(self, request: bytes) -> None:
        self.is_busy = True
        self._told.sent += 1
        self._begun = time.monotonic()
        self._transport.write(request)

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if not end or len(rest) < _length(head):
            return
        self._received = b""
        status = head[9:12].decode()
        self._told.statuses[status] += 1
        taken_ms = (time.monotonic() - self._begun) * 1000
        if status == "200":
            self._told.latencies_ms.append(taken_ms)
        elif status == "429":
            self._told.asked_again_ms.append(taken_ms)
        self.is_busy = False
        self._idle.append(self)
        self._freed.set()

    def connection_lost(self, error: Exception | None) -> None:
        self.is_lost = True
        if self.is_busy:
            self._told.statuses["unanswered"] += 1
            self.is_busy = False
        self._freed.set()


class Client:
    """One sender: gives each request that is due to a connection that has nothing under way."""

    def __init__(self, options: argparse.Namespace, number: int, told: Told) -> None:
        self._options = options
        self._number = number
        self._told = told
        self._idle: deque[Connection] = deque()
        self._freed = asyncio.Event()

    async def run(self) -> None:
        """Send until the time is over, then wait for what is under way."""
        options = self._options
        connections = [await self._connect() for _ in range(options.connections)]
        interval_s = options.clients / options.rate if options.rate else 0.0
        begun = time.monotonic()
        ends_at = begun + options.seconds
        due = begun + interval_s * self._number / options.clients
        sent = 0
        while (now := time.monotonic()) < ends_at:
            if due > now:
                await asyncio.sleep(due - now)
            connection = await self._free()
            sent += 1
            due += interval_s
            connection.send(self._request(sent))
        deadline = time.monotonic() + ANSWER_DEADLINE_S
        while any(c.is_busy for c in connections) and time.monotonic() < deadline:
            self._freed.clear()
            await asyncio.wait_for(self._freed.wait(), ANSWER_DEADLINE_S)
        for connection in connections:
            connection.close()

    async def _connect(self) -> Connection:
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: Connection(self._told, self._idle, self._freed), "127.0.0.1", self._options.port
        )
        self._idle.append(connection)
        return connection

    async def _free(self) -> Connection:
        while True:
            while not self._idle:
                self._freed.clear()
                await self._freed.wait()
            connection = self._idle.popleft()
            if not connection.is_lost:
                return connection
            await self._connect()

    def _request(self, sent: int) -> bytes:
        """Return the next request: a call begins with one and ends with the next."""
        kind = ("end", "start")[sent % 2]
        call_id = f"{self._number}-{(sent + 1) // 2}"
        source = f"+1555{self._number:04}{(sent + 1) // 2:06}"
        if self._options.generic:
            body = (
                f'{{"event": {{"event": "{kind}", "direction": "in", "callId": "{call_id}", '
                f'"srcPhone": "{source}", "dstPhone": "204"}}}}'
            )
        else:
            body = f'[{{"k": "{kind}", "id": "{call_id}", "dir": "in", "from": "{source}", "to": "204"}}]'
        head = f"POST {self._options.path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        return (head + body).encode()


def _length(head: bytes) -> int:
    _, name, rest = head.lower().partition(b"content-length:")
    return int(rest.split(b"\r\n", 1)[0]) if name else 0


async def main() -> None:
    """Flood."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--connections", type=int, default=CONNECTIONS, help="of each client")
    parser.add_argument(
        "--rate", type=float, default=0.0, help="requests a second in all; 0: as fast as it goes"
    )
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--generic", action="store_true", help="in the form of the generic telephony adapter")
    options = parser.parse_args()
    told = Told()
    begun = time.monotonic()
    await asyncio.gather(*(Client(options, client, told).run() for client in range(options.clients)))
    print(
        json.dumps(
            {
                "latencies_ms": told.latencies_ms,
                "asked_again_ms": told.asked_again_ms,
                "statuses": told.statuses,
                "sent": told.sent,
                "seconds": time.monotonic() - begun,
                "cpu_s": time.process_time(),
            }
        )
    )


if __name__ == "__main__":
    asyncio.run(main())
