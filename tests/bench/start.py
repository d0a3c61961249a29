"""How soon the window is there, and what it costs, beside an empty PySide6 window with a table."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path

import apsw

from recmon.domain.calls import Call, CallKey, CallState, Direction, Party, ServerId
from recmon.paths import DataDir
from recmon.store.calls import CallStore
from recmon.store.database import Database
from recmon.store.schema import MIGRATIONS
from tests.bench.processes import child_environment

CALLS = 1_000_000
RUNS = 7
BATCH = 5_000
ROOT = Path(__file__).resolve().parents[2]


def measure() -> Mapping[str, float]:
    """Start both programs in turn, several times; medians."""
    with tempfile.TemporaryDirectory(prefix="recmon-bench-") as name:
        data = DataDir(Path(name, "data"))
        shutil.copy(million_calls(), data.database)
        settings = Path(name, "settings.toml")
        settings.write_text("version = 1\n")
        full: list[dict[str, float]] = []
        bare: list[dict[str, float]] = []
        for _ in range(RUNS):
            full.append(_start("full", data.root, settings))
            bare.append(_start("bare"))
    return {
        "start_ms": _median(full, "painted_ms"),
        "start_ready_ms": _median(full, "ready_ms"),
        "start_bare_ms": _median(bare, "painted_ms"),
        "rss_mb": _median(full, "rss_mb"),
        "rss_bare_mb": _median(bare, "rss_mb"),
    }


def _median(runs: Sequence[Mapping[str, float]], figure: str) -> float:
    return statistics.median(run[figure] for run in runs)


def _start(*words: str | Path) -> dict[str, float]:
    begun = time.monotonic_ns()
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.start_window", str(begun), *map(str, words)],
        stdout=subprocess.PIPE,
        env=child_environment(),
        cwd=ROOT,
        check=True,
        text=True,
    )
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def million_calls() -> Path:
    """Return a database with a million calls, made once for each schema and kept in `build/`."""
    kept = ROOT / "build" / "bench" / f"calls-{CALLS}-{len(MIGRATIONS)}.sqlite3"
    if not kept.exists():
        print(f"  making {CALLS:,} calls (once) …", file=sys.stderr, flush=True)
        kept.parent.mkdir(parents=True, exist_ok=True)
        growing = kept.with_suffix(".part")
        growing.unlink(missing_ok=True)
        asyncio.run(_make(growing))
        growing.replace(kept)
    return kept


async def _make(path: Path) -> None:
    calls = _calls()
    async with Database(path) as database:
        while batch := list(islice(calls, BATCH)):
            await database.write(partial(_store, batch))


def _store(batch: list[Call], connection: apsw.Connection) -> None:
    CallStore(connection).store(batch, datetime.now(UTC))


def _calls() -> Iterator[Call]:
    chance = random.Random(1)
    first = (
        "Anna",
        "Bence",
        "Chen",
        "Dora",
        "Elena",
        "Farid",
        "Grace",
        "Hiro",
        "Ines",
        "Jonas",
        "Kofi",
        "Lena",
    )
    last = ("Abrams", "Bell", "Costa", "Diaz", "Eriksson", "Fischer", "Garcia", "Horvath", "Ito", "Jansen")
    begun = datetime(2024, 1, 1, tzinfo=UTC)
    for number in range(CALLS):
        started = begun + timedelta(seconds=number * 80 + chance.random() * 60)
        yield Call(
            key=CallKey(ServerId(chance.choice(("east", "west"))), f"{number:08}"),
            state=CallState.ENDED,
            direction=chance.choice(list(Direction)),
            caller=Party(
                f"+44207946{chance.randrange(10_000):04}", f"{chance.choice(first)} {chance.choice(last)}"
            ),
            callee=Party(str(4400 + chance.randrange(100)), f"{chance.choice(first)} {chance.choice(last)}"),
            started_at=started,
            ended_at=started + timedelta(seconds=20 + chance.lognormvariate(4.8, 0.7)),
            received_at=started,
            cause=chance.choice(("normal", "source disconnected", "destination disconnected", "busy")),
        )
