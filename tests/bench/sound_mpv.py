"""mpv as the reference of the `sound` benchmark: already running, told over its socket what to play."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from pathlib import Path
from types import TracebackType

from tests.sound import wait_until

DEADLINE_S = 15.0


class Mpv:
    """Runs while entered, with its own defaults but for pictures and settings of this computer."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._socket = folder / "mpv.socket"
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def is_installed() -> bool:
        """Whether there is one to compare with."""
        return shutil.which("mpv") is not None

    def __enter__(self) -> Mpv:
        self._process = subprocess.Popen(
            [
                "mpv", "--no-config", "--idle=yes", "--no-video", "--ao=pulse",
                "--really-quiet", "--no-terminal", f"--input-ipc-server={self._socket}",
            ],
            env=self._environment,
        )  # fmt: skip
        wait_until(self._answers, DEADLINE_S, "mpv does not answer")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(DEADLINE_S)

    def _answers(self) -> bool:
        try:
            self.tell("get_property", "idle-active")
        except OSError:
            return False
        return True

    def tell(self, *command: str) -> None:
        """Give a command, and read its answer."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(DEADLINE_S)
            connection.connect(str(self._socket))
            connection.sendall(json.dumps({"command": command}).encode() + b"\n")
            connection.recv(1 << 16)
