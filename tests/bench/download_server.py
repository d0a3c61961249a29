"""The HTTPS server of the `downloads` benchmark: one large recording, and small ones as many as wanted.

Arguments: a folder for its certificate. The one line of output is its address. The end of standard input ends
it. A small recording takes 20 ms, so that a limit of transfers at a time is a limit of the rate.
"""

from __future__ import annotations

import random
import socket
import ssl
import struct
import sys
import threading
import time
from pathlib import Path

from recmon.simulators.certificates import Certificate

LARGE_BYTES = 500_000_000
SMALL_BYTES = 40_000
SMALL_S = 0.02
_BLOCK = random.Random(1).randbytes(1 << 20)


def head(size: int) -> bytes:
    """Return the head of a WAV file with so many bytes of sound."""
    form = struct.pack("<HHIIHH", 6, 1, 8000, 8000, 1, 8)
    chunks = b"WAVEfmt \x10\0\0\0" + form + b"data" + struct.pack("<I", size)
    return b"RIFF" + struct.pack("<I", 36 + size) + chunks


def serve(connection: socket.socket, context: ssl.SSLContext) -> None:
    """Answer the requests of one connection; blocking, so that little of the time is Python's."""
    try:
        with context.wrap_socket(connection, server_side=True) as secure:
            while True:
                request = bytearray()
                while b"\r\n\r\n" not in request:
                    data = secure.recv(65536)
                    if not data:
                        return
                    request += data
                name = request.split(b" ", 2)[1]
                size = LARGE_BYTES if name.startswith(b"/large") else SMALL_BYTES
                if size == SMALL_BYTES:
                    time.sleep(SMALL_S)
                first = head(size)
                secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(first) + size) + first)
                # Small ones differ, so that each is a file of its own.
                mark = name.ljust(64)[:64]
                secure.sendall(mark)
                left = size - len(mark)
                while left:
                    piece = _BLOCK[:left]
                    secure.sendall(piece)
                    left -= len(piece)
    except OSError:
        return


def main() -> None:
    """Serve until standard input ends."""
    folder = Path(sys.argv[1])
    certificate = Certificate()
    certificate.write_ca(folder / "ca.pem")
    context = certificate.server_context()
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=serve, args=(connection, context), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    print(f"https://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
