"""Row 30: kills and power cuts in the middle of transfers, and all that they may leave of what came.

`RECMON_CUTS=20 pytest tests/faults/test_power_cut.py` tries so many mixtures at each moment; one otherwise.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from downloading import Flows, RangeFlows, parts, place, utc_now, wav
from fault_figures import figure
from power_cut import Disk, DiskLog, logged, put
from test_faults_of_downloads import FileServer, until

from recmon.domain.stored_recordings import Stage
from recmon.services.cache import RecordingCache
from recmon.services.recordings import StoredRecordings
from recmon.services.wishes import Wish
from recmon.store.database import Database

MIXTURES = int(os.environ.get("RECMON_CUTS", "1"))
KEY = bytes(range(32))
COUNT = 4
SIZES = {number: 30_000 + 60_000 * number for number in range(COUNT)}
FINISHED_EVERY = 20
"""Of so many things that a cut left one is worked on to the end, and the first that left a part."""

HELD = 3
"""This recording stops in the middle in the first run of the program; the second goes on with it."""


class RangeServer:
    """Answers with recordings, also from a byte on; one is held back in its middle while that is wanted."""

    def __init__(self) -> None:
        self.is_holding = True
        self.ranges: list[str] = []

    def __call__(self, handler: Any, name: str) -> None:
        number = int(name)
        whole = wav(number, SIZES[number])
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        if asked:
            self.ranges.append(asked[0])
        handler.send_response(206 if asked else 200)
        handler.send_header("Content-Length", str(len(whole) - start))
        handler.send_header("Accept-Ranges", "bytes")
        handler.send_header("ETag", f'"{number}"')
        if asked:
            handler.send_header("Content-Range", f"bytes {start}-{len(whole) - 1}/{len(whole)}")
        handler.end_headers()
        if number == HELD and self.is_holding:
            handler.wfile.write(whole[: len(whole) // 2])
            handler.wfile.flush()
            handler.connection.recv(1)  # until the program goes away
            return
        handler.wfile.write(whole[start:])


async def run_twice(
    folder: Path, server: FileServer, answer: RangeServer, log: DiskLog, **options: Any
) -> None:
    """Fetch recordings: all but one in the first run, the rest of that one in the second."""
    flows = RangeFlows(server.url, server.flows.tls)
    async with parts(folder, flows, **options) as here:
        here.cache.recordings.changed.subscribe(
            lambda records: [log.tell(one.ref.locator) for one in records if one.stage is Stage.ARRIVED]
        )
        await here.queue.add(Wish(place(number)) for number in range(COUNT))
        await until(here, lambda: here.queue.totals().arrived == COUNT - 1)
        view = (await here.downloads.open(place(HELD), is_urgent=False).opened()).view()
        half = (SIZES[HELD] + 44) // 2
        assert len(await asyncio.to_thread(view.read, half)) == half
        view.close()
    answer.is_holding = False
    async with parts(folder, flows, **options) as here:
        here.cache.recordings.changed.subscribe(
            lambda records: [log.tell(one.ref.locator) for one in records if one.stage is Stage.ARRIVED]
        )
        await until(here, lambda: here.queue.totals().is_empty)


async def start(folder: Path, told: list[str], hashes: set[str], *, seals: bool) -> tuple[int, int, int, int]:
    """Start on what is left; return recordings wrong, orphans, told and lost, and parts to go on with."""
    wrong = orphans = lost = 0
    async with Database(folder / "history.sqlite3") as database:
        assert database.tell_problems(lambda problem: None) == ()
        recordings = StoredRecordings(database)
        cache = RecordingCache(
            folder / "recordings", recordings, utc_now, reserved_bytes=0, seals=seals, get_key=lambda: KEY
        )
        await cache.prepare()
        known = set()
        for record in list(cache.records()):
            assert record.content is not None
            known.add(record.content.file)
            altered = await cache.check(record.ref)
            wrong += altered is not None or record.content.sha256 not in hashes
        wanted = {record.ref for record in await recordings.wanted()}
        left = {path.name for path in (folder / "recordings").iterdir()} - known
        # A part that waits to be gone on with is no orphan, and its note neither.
        going_on = sum(cache.has_left(ref) for ref in wanted)
        is_part = [name.endswith((".part", ".note")) for name in left]
        orphans += is_part.count(False) + max(0, len(left) - 2 * going_on)
        for locator in told:
            record = await recordings.find(place(int(locator.partition(":")[2])))
            lost += record.stage is not Stage.ARRIVED or cache.find(record.ref) is None
    return wrong, orphans, lost, going_on


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_transfer_whose_program_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    whole = wav(0, 3_000_000)
    was_killed = threading.Event()
    asked: list[str] = []

    def answer(handler: Any, name: str) -> None:
        asked.append(handler.headers.get("Range", ""))
        start = int(asked[-1][6:-1]) if asked[-1] else 0
        extra = {"Content-Range": f"bytes {start}-{len(whole) - 1}/{len(whole)}"} if start else {}
        handler.send_response(206 if start else 200)
        for key, value in {"Accept-Ranges": "bytes", "ETag": '"1"', **extra}.items():
            handler.send_header(key, value)
        handler.send_header("Content-Length", str(len(whole) - start))
        handler.end_headers()
        while start < len(whole):
            # Slowly, and never to the end, until the program was killed.
            if not was_killed.wait(0.005) and start > 2_000_000:
                continue
            handler.wfile.write(whole[start : start + 10_000])
            start += 10_000

    program = Path(__file__).with_name("queue_process.py")
    folder = tmp_path / "recordings"
    with FileServer(tmp_path, answer) as server:
        words = [sys.executable, str(program), str(tmp_path), server.url, str(server.authority), "1"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            give_up_at = time.monotonic() + 60
            while not list(folder.glob("*.note")) and time.monotonic() < give_up_at:
                was_killed.wait(0.01)
            process.send_signal(signal.SIGKILL)
            process.wait()
        noted = json.loads(next(folder.glob("*.note")).read_bytes())["size"]
        was_killed.set()
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["ready", "done"]
    assert asked == ["", f"bytes={noted}-"]
    assert [path.name for path in folder.iterdir()] == [hashlib.sha256(whole).hexdigest() + ".wav"]
    figure(30, "killed in a transfer: bytes that were not fetched again", f"{noted} of {len(whole)}")


async def finish(folder: Path, flows: Flows, hashes: set[str], **options: Any) -> None:
    """Go on with the work on what is left, to its end."""
    async with parts(folder, flows, **options) as here:
        await here.queue.add(Wish(place(number)) for number in range(COUNT))
        await until(here, lambda: here.queue.totals().is_empty)
        records = list(here.cache.records())
        assert {record.content.sha256 for record in records if record.content} == hashes
        for record in records:
            assert await here.cache.check(record.ref) is None
        names = {record.content.file for record in records if record.content}
    assert {path.name for path in (folder / "recordings").iterdir()} == names


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="tells folders by /proc")
@pytest.mark.parametrize("seals", [False, True], ids=["plain", "encrypted"])
def test_a_power_cut_at_any_moment_leaves_whole_recordings_alone(
    run_bare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seals: bool
) -> None:
    monkeypatch.setattr("recmon.services.parts.NOTE_INTERVAL_S", 0.0)
    folder, other = tmp_path / "data", tmp_path / "left"
    options = {"seals": seals, "get_key": lambda: KEY}
    folder.mkdir()
    (folder / "recordings").mkdir()
    database = Database(folder / "history.sqlite3")
    database.open()
    database.close()
    answer = RangeServer()
    with FileServer(tmp_path, answer) as server, logged(folder) as log:
        run_bare(run_twice(folder, server, answer, log, **options))
    hashes = {hashlib.sha256(wav(number, SIZES[number])).hexdigest() for number in range(COUNT)}
    assert len(answer.ranges) == 1

    disk, chance = Disk(log), random.Random(30)
    for asked in log.asked:
        disk.ask(asked)
    whole = disk.left("all", chance)
    for name, data in whole.items():
        assert data == (folder / name).read_bytes(), f"the log lacks something of {name}"
    assert len([name for name in whole if name.startswith("recordings/")]) == COUNT

    async def main(flows: Flows) -> tuple[int, int, int, int, int]:
        disk, cuts, finished, gone_on_with = Disk(log), 0, 0, 0
        totals = [0, 0, 0]
        for asked in log.asked:
            disk.ask(asked)
            for kind in ("flushed", "all", "names", "bytes", *["some"] * MIXTURES):
                put(disk.left(kind, chance), other)
                *found, going_on = await start(other, disk.told, hashes, seals=seals)
                assert found == [0, 0, 0], (cuts, kind, asked.what, asked.names)
                totals = [a + b for a, b in zip(totals, found, strict=True)]
                cuts += 1
                gone_on_with += going_on
                if cuts % FINISHED_EVERY == 0 or (going_on and gone_on_with <= FINISHED_EVERY):
                    await finish(other, flows, hashes, **options)
                    finished += 1
        return cuts, totals[0], totals[1], totals[2], finished

    with FileServer(tmp_path, answer) as server:
        cuts, wrong, orphans, lost, finished = run_bare(
            main(RangeFlows(server.url, server.flows.tls)), deadline_s=900.0
        )
    assert finished > 10
    assert len(answer.ranges) > 1, "some went on where they were"
    figure(
        30,
        f"power cuts, {'encrypted' if seals else 'plain'}: states, wrong, orphans, lost, gone on with",
        f"{cuts}, {wrong}, {orphans}, {lost}, {finished}",
    )
