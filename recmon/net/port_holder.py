"""Which program listens on a port of this computer, where the system tells.

Linux tells of programs of the same user, and of all of them to root; elsewhere nothing is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_LISTENING = "0A"
"""State of a listening socket in `/proc/net/tcp` (Linux, `include/net/tcp_states.h`: TCP_LISTEN)."""


def port_holder(port: int, proc: Path = Path("/proc")) -> str | None:
    """Return name and number of the program that listens on a TCP port, or None; blocks for milliseconds.

    Args:
        port: the port, whatever the address.
        proc: where the system tells of processes.
    """
    sockets = {f"socket:[{inode}]" for inode in _listening(port, proc)}
    if not sockets:
        return None
    for process in sorted(proc.glob("[0-9]*"), key=lambda path: int(path.name)):
        # A process may be another user's, or gone by now.
        with suppress(OSError):
            if any(str(link.readlink()) in sockets for link in (process / "fd").iterdir()):
                name = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
                return f"{name} (process {process.name})"
    return None


def _listening(port: int, proc: Path) -> Iterator[str]:
    """Yield the inodes of the sockets that listen on a port."""
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (proc / "net" / table).read_text(encoding="ascii").splitlines()[1:]:
                words = line.split()
                if words[3] == _LISTENING and int(words[1].rpartition(":")[2], 16) == port:
                    yield words[9]
