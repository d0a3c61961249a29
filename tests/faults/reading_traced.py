"""Runs the document reader under strace where that works, and tells what it opened and connected to."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from document_reader import MARK

PROGRAM = Path(__file__).with_name("document_reader.py")


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of it.

    Attributes:
        longest_ms: time of the slowest document.
        understood: documents that gave an event other than "unrecognised".
        opened: files opened and connections made while reading; None where nothing could be traced.
    """

    longest_ms: float
    understood: int
    opened: tuple[str, ...] | None


def read_traced(documents: Sequence[bytes], folder: Path) -> Reading:
    """Read documents in a process of its own."""
    file, trace = folder / "documents", folder / "trace"
    file.write_text("\n".join(base64.b64encode(document).decode() for document in documents))
    command = [sys.executable, str(PROGRAM), str(file)]
    if _can_trace():
        calls = "trace=open,openat,connect,execve,stat,newfstatat"
        command = ["strace", "-f", "--seccomp-bpf", "-e", calls, "-o", str(trace), *command]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    result = json.loads(done.stdout)
    opened: tuple[str, ...] | None = None
    if trace.exists():
        lines = trace.read_text().splitlines()
        begin, end = (number for number, line in enumerate(lines) if MARK in line)
        opened = tuple(line for line in lines[begin + 1 : end] if "stat(" not in line)
    return Reading(result["longest_ms"], result["understood"], opened)


def _can_trace() -> bool:
    if not shutil.which("strace"):
        return False
    tried = subprocess.run(["strace", "-f", "--seccomp-bpf", "-o", "/dev/null", "true"], capture_output=True)
    return tried.returncode == 0
