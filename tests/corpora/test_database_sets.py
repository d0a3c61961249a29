"""Damaged databases in place of the history: never a crash, never a file that is lost."""

from __future__ import annotations

import time
import zipfile
from datetime import UTC, datetime
from pathlib import Path

from fault_figures import figure

from recmon.domain.calls import Call, CallKey, CallState, ServerId
from recmon.errors import StoreError
from recmon.store.calls import CallStore
from recmon.store.database import Database

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
LOGS = ("-wal", "-shm")
"""Endings of what belongs to a database, and is moved with it."""

CALL = Call(CallKey(ServerId("east"), "c-1"), CallState.ENDED)


def test_damaged_databases_are_kept_told_and_replaced(corpora: Path, tmp_path: Path) -> None:
    counts = {"set aside and told": 0, "refused and told": 0}
    refusals: set[str] = set()
    longest_s = 0.0
    with zipfile.ZipFile(corpora / "db/sqlite-fuzz-dbs.zip") as archive:
        images = {name: archive.read(name) for name in archive.namelist() if name.endswith(".db")}
    for number, (name, image) in enumerate(images.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = folder / "history.sqlite3"
        path.write_bytes(image)
        problems: list[StoreError] = []
        database = Database(path, now=lambda: NOW)
        begun = time.perf_counter()
        try:
            database.open()
        except StoreError as error:
            counts["refused and told"] += 1
            refusals.add(error.detail)
            assert path.read_bytes() == image, name
            continue
        finally:
            longest_s = max(longest_s, time.perf_counter() - begun)
        try:
            problems += database.tell_problems(problems.append)
            assert problems, name
            database.submit(lambda connection: CallStore(connection).store([CALL], NOW)).result()
            assert database.submit(lambda connection: CallStore(connection).find(CALL.key)).result() == CALL
        finally:
            database.close()
        kept = [
            file for file in folder.iterdir() if ".damaged-" in file.name and not file.name.endswith(LOGS)
        ]
        assert [file.read_bytes() for file in kept] == [image], name
        counts["set aside and told"] += 1
    figure(0, "databases: images", len(images))
    for name, count in counts.items():
        figure(0, f"databases: {name}", count)
    figure(0, "databases: longest opening s", longest_s)
    figure(0, "databases: refusals", "; ".join(sorted(refusals)))
    assert len(images) == 880
    assert all(refusals)
    assert sum(counts.values()) == len(images)
    assert longest_s <= 5
