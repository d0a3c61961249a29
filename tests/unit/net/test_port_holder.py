from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from recmon.net.port_holder import port_holder


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
def test_the_program_that_listens_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        name = Path("/proc/self/comm").read_text(encoding="utf-8").strip()
        assert port_holder(port) == f"{name} (process {os.getpid()})"
    assert port_holder(port) is None


def test_where_the_system_tells_nothing_nothing_is_said(tmp_path: Path) -> None:
    assert port_holder(80, tmp_path) is None
    (tmp_path / "net").mkdir()
    line = (
        "   0: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n"
    )
    (tmp_path / "net" / "tcp").write_text("  sl  local_address ...\n" + line, encoding="ascii")
    (tmp_path / "12").mkdir()
    assert port_holder(80, tmp_path) is None
