"""What the benchmarks' processes share."""

from __future__ import annotations

import os
from pathlib import Path


def child_environment(**further: str) -> dict[str, str]:
    """Return the environment of a process that shows a window where there is no screen."""
    return {**os.environ, "QT_QPA_PLATFORM": "offscreen", **further}


def rss_mb() -> float:
    """Return the memory that this process holds, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0
