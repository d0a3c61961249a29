"""The program as users start it: processes of `python -m recmon`, and what they print."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[2]
RECMON = (sys.executable, "-m", "recmon")
DEADLINE_S = 40.0
STOP_S = 5.0


def environment(**further: str) -> dict[str, str]:
    """Return the environment of a process that shows its window nowhere."""
    return {**os.environ, "QT_QPA_PLATFORM": "offscreen", **further}


def recmon(
    *words: str | Path, program: tuple[str, ...] = RECMON, **further: Any
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [*program, *map(str, words)],
        **{"env": environment(), "cwd": ROOT, **further},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=DEADLINE_S,
        check=False,
    )


class Program:
    """A process that prints lines; killed at the end of the block if it still runs.

    What it writes to standard error is in `errors`, but for what Qt says of the platform without a screen.
    """

    def __init__(self, command: list[str], **further: Any) -> None:
        self.errors: list[str] = []
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.process = subprocess.Popen(
            command,
            **{"env": environment(), "cwd": ROOT, **further},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self._lines.put), daemon=True),
            threading.Thread(target=self._read, args=(self.process.stderr, self._take_error), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: IO[str], take: Callable[[str | None], None]) -> None:
        for line in stream:
            take(line.rstrip("\n"))
        if stream is self.process.stdout:
            take(None)

    def _take_error(self, line: str | None) -> None:
        if line is not None and not line.startswith("This plugin does not support"):
            self.errors.append(line)

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(STOP_S)
        for reader in self._readers:
            reader.join(STOP_S)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def line(self, deadline_s: float = DEADLINE_S) -> str:
        """Return the next line of output."""
        try:
            line = self._lines.get(timeout=deadline_s)
        except queue.Empty:
            raise AssertionError(f"nothing was printed in time; errors: {self.errors}") from None
        assert line is not None, f"the output ended; errors: {self.errors}"
        return line

    def object(self, is_wanted: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """Return the next printed JSON object that is wanted; others are passed over."""
        give_up_at = time.monotonic() + DEADLINE_S
        while True:
            values: dict[str, Any] = json.loads(self.line(max(0.0, give_up_at - time.monotonic())))
            if is_wanted(values):
                return values

    def rest(self) -> list[str]:
        """Return all further lines, to the end of the output."""
        lines = []
        while (line := self._lines.get(timeout=DEADLINE_S)) is not None:
            lines.append(line)
        return lines

    def say(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def close_input(self) -> None:
        """Let its standard input end."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def interrupt(self, number: int = signal.SIGINT) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self, deadline_s: float = DEADLINE_S) -> int:
        """Return the exit code."""
        return self.process.wait(deadline_s)


class Simulators:
    """What `recmon simulate` announced, and the process."""

    def __init__(self, program: Program, announcement: Mapping[str, Any], folder: Path) -> None:
        self.program = program
        self.announcement = announcement
        self.settings = folder / "settings.toml"
        self.settings.write_text(announcement["settings"], encoding="utf-8")
        self.past_calls = Path(announcement["past_calls_file"])

    @property
    def archive(self) -> Mapping[str, Any]:
        """The announced recordings server."""
        return next(s for s in self.announcement["servers"] if s["vendor"] == "huawei_ccfs")

    @property
    def recorders(self) -> list[Mapping[str, Any]]:
        """The announced recording servers."""
        return [s for s in self.announcement["servers"] if s["vendor"] == "verba"]


@contextmanager
def simulators(folder: Path, calls: list[dict[str, Any]], *servers: str) -> Iterator[Simulators]:
    """Run simulated servers on which exactly these calls take place."""
    scenario = folder / "scenario.json"
    quiet = {"servers": servers or ("east",), "calls_per_minute": 0.001, "concurrent": 0}
    scenario.write_text(json.dumps({**quiet, "calls": calls}))
    with Program([*RECMON, "simulate", "--scenario", str(scenario)]) as program:
        yield Simulators(program, json.loads(program.line()), folder)
        program.close_input()
        assert program.wait(STOP_S) == 0


def is_alive(process: int) -> bool:
    """Whether there is a process of this number that has not ended."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def children(process: int) -> list[int]:
    """Return the numbers of a process's own child processes."""
    found = []
    for task in Path(f"/proc/{process}/task").iterdir():
        with suppress(FileNotFoundError):  # a thread that has just ended
            found += [int(child) for child in (task / "children").read_text().split()]
    return found
