"""Starts the farm of recording services as a process, which can be stopped and killed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

PROGRAM = Path(__file__).with_name("recorder_farm.py")


class FarmProcess:
    """Recording services in a process of their own.

    Args:
        ports: to listen on; 0 lets the system choose.
        host: to listen on.
        keepalive_s: interval of keep-alives.
        announced: the interval told to clients, where it is another.
        wrapper: command that starts the program elsewhere.
    """

    def __init__(
        self,
        ports: Sequence[int],
        *,
        host: str = "127.0.0.1",
        keepalive_s: float = 1.0,
        announced: str | None = None,
        wrapper: Sequence[str] = (),
    ) -> None:
        self._command = [
            *wrapper,
            sys.executable,
            str(PROGRAM),
            f"--host={host}",
            f"--ports={json.dumps(list(ports))}",
            f"--keepalive={keepalive_s}",
            *([] if announced is None else [f"--announced={announced}"]),
        ]

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.ports: list[int] = json.loads(self.process.stdout.readline())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self.process:
            self.process.kill()
