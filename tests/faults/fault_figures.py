"""Writes what the tests of faults measured, for docs/reliability.md."""

from __future__ import annotations

import json
import os
from pathlib import Path


def figure(row: int | str, name: str, value: float | str) -> None:
    """Note a figure of one row of the table, where the environment variable RECMON_FIGURES names a file."""
    target = os.environ.get("RECMON_FIGURES")
    if not target:
        return
    file = Path(target)
    figures = json.loads(file.read_text()) if file.exists() else {}
    rounded = round(value, 3) if isinstance(value, float) else value
    figures.setdefault(str(row), {})[name] = rounded
    file.write_text(json.dumps(figures, indent=1, ensure_ascii=False, sort_keys=True))
