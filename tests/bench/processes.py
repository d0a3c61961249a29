"""What the benchmarks' processes share."""

from __future__ import annotations

import os


def child_environment(**further: str) -> dict[str, str]:
    """Return the environment of a process that shows a window where there is no screen."""
    return {**os.environ, "QT_QPA_PLATFORM": "offscreen", **further}
