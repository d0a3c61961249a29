"""A server in threads that does to every connection what a test wants done to it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from recmon.simulators.verba_documents import answer, keepalive

REQUEST_END = b"</VerbaApi>"


class HostileServer:
    """Listens on loopback. What `serve` raises as OSError, because the client has gone, ends the connection.

    Args:
        serve: called with each connection, in a thread of its own; the connection is closed afterwards.

    Attributes:
        accepted: connections so far.
    """

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self.accepted = 0
        self.closing = threading.Event()
        self._serve = serve
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = int(self._listener.getsockname()[1])
        self._acceptor = threading.Thread(target=self._accept, name="hostile server")
        self._acceptor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            self._connections.append(connection)
            self._threads.append(threading.Thread(target=self._talk, args=(connection,)))
            self._threads[-1].start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            self._serve(connection)


def take_request(connection: socket.socket) -> None:
    """Read one request."""
    data = b""
    while REQUEST_END not in data:
        piece = connection.recv(4096)
        if not piece:
            raise ConnectionResetError
        data += piece


def accept_subscription(connection: socket.socket, keepalive_s: str | None) -> None:
    """Read the request and answer that it was accepted."""
    take_request(connection)
    connection.sendall(answer("SubscribeOnCallEvent", "1", keepalive_s).encode())


def keep_alive(connection: socket.socket, interval: str) -> None:
    """Send a keep-alive."""
    connection.sendall(keepalive(interval).encode())


def wait_for_end(connection: socket.socket) -> None:
    """Return when the client has gone."""
    while connection.recv(65536):
        pass
