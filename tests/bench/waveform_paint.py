"""What a frame of the waveform costs at 4K width: while playing, after a zoom, while peaks arrive."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping


def measure() -> Mapping[str, float]:
    """Paint an hour with everything that can be shown of it, in a process of its own and without a screen."""
    told = subprocess.run(
        [sys.executable, "-m", "tests.bench.waveform_paint_window"],
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        check=True,
        text=True,
    )
    figures: dict[str, float] = json.loads(told.stdout)
    return figures
