"""Runs the benchmarks named on the command line, all of them by default, and prints one flat JSON object.

Names and meanings are those of contract.md, section 6. Every figure is measured in this run, with the
machine's own reference beside it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.bench import (
    codec,
    downloads,
    events,
    hooks,
    live_list,
    sound,
    sound_moves,
    start,
    underflow,
    waveform_paint,
)

BENCHMARKS: Mapping[str, Callable[[], Mapping[str, float]]] = {
    "codec": codec.measure,
    "downloads": downloads.measure,
    "events": events.measure,
    "hooks": hooks.measure,
    "start": start.measure,
    "sound": sound.measure,
    "sound_moves": sound_moves.measure,
    "waveform_paint": waveform_paint.measure,
}
LONG: Mapping[str, Callable[[], Mapping[str, float]]] = {
    "live_list": live_list.measure,
    "underflow": underflow.measure,
}
"""Run only when they are named."""


def main() -> int:
    """Run and report."""
    parser = argparse.ArgumentParser(prog="dev.py bench", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join([*BENCHMARKS, *LONG]))
    parser.add_argument("--json", type=Path, metavar="FILE", help="store the figures there too")
    options = parser.parse_args()
    known = {**BENCHMARKS, **LONG}
    unknown = [name for name in options.names if name not in known]
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}; there are: {', '.join(known)}")
    figures: dict[str, float] = {}
    for name in options.names or BENCHMARKS:
        print(f"bench: {name} …", file=sys.stderr, flush=True)
        for figure, value in known[name]().items():
            figures[figure] = round(value, 3)
            print(f"  {figure:32} {figures[figure]:>12,.3f}", file=sys.stderr, flush=True)
    text = json.dumps(figures, indent=2)
    print(text)
    if options.json is not None:
        options.json.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
