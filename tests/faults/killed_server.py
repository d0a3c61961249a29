"""A server program that is killed in mid-message, once after every byte of an exchange.

Line of input: the whole exchange as hexadecimal digits, in which `@@@@` stands for the number of the attempt.
First line of output: the port. For each connection a child process takes the request, sends one byte more
than the child before it, and kills itself with SIGKILL; a line of output tells when, by `time.monotonic_ns`.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time


def main() -> None:
    """Serve and be killed."""
    exchange = bytes.fromhex(sys.stdin.readline())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        for count in range(len(exchange) + 1):
            child = os.fork()
            if child == 0:
                _be_killed(listener, exchange.replace(b"@@@@", b"%04d" % count)[:count])
            os.waitpid(child, 0)


def _be_killed(listener: socket.socket, data: bytes) -> None:
    connection, _ = listener.accept()
    request = b""
    while b"</VerbaApi>" not in request:
        request += connection.recv(4096)
    connection.sendall(data)
    os.write(1, b"%d\n" % time.monotonic_ns())
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
