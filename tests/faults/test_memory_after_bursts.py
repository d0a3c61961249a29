"""Row 14: what a burst takes is given back; another one of the same size takes nothing more."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fault_figures import figure
from measuring import resident_bytes
from monitored import EAST, record, verba_codec

from recmon.domain.callbook import REMEMBERED_FINISHED, CallBook
from recmon.domain.events import CallEnded, CallStarted
from recmon.services.history import HistoryService
from recmon.services.statuses import Heard
from recmon.simulators.verba_documents import Form, notification
from recmon.store.database import Database
from recmon.vendors.verba.codec import VerbaCodec

BURST = 12_000
"""Events that a single server sends at once: 6,000 calls, more than the book remembers."""
BURSTS = 3


def test_memory_comes_back_after_bursts(run_bare: Callable[..., Any], tmp_path: Path) -> None:
    def burst(number: int) -> bytes:
        documents = []
        for call in range(BURST // 2):
            fields = record(f"{number}-{call}", platform_call_id="x" * 100)
            documents.append(notification(Form.EVENT, fields, ended=False))
            ended = {**fields, "end_time": "2026-11-21 09:01:30.000"}
            documents.append(notification(Form.EVENT, ended, ended=True))
        return "".join(documents).encode()

    async def main() -> list[int]:
        codec = verba_codec()
        book = CallBook()
        sizes = []
        async with Database(tmp_path / "history.sqlite3") as database:
            for number in range(BURSTS):
                # Left, it has stored everything.
                async with HistoryService(database, now=lambda: datetime.now(UTC)) as history:
                    subscription = book.changed.subscribe(history.record)
                    await take_in(codec, book, history, burst(number))
                    subscription.cancel()
                gc.collect()
                sizes.append(resident_bytes())
            assert not book.ongoing()
            assert len(book._finished) == REMEMBERED_FINISHED
        return sizes

    async def take_in(codec: VerbaCodec, book: CallBook, history: HistoryService, stream: bytes) -> None:
        told = 0
        for place in range(0, len(stream), 8192):
            events = codec.receive_data(stream[place : place + 8192], datetime.now(UTC))
            history.record_heard(Heard(EAST, tuple(events)))
            calls = [event for event in events if isinstance(event, CallStarted | CallEnded)]
            told += len(calls)
            book.apply(EAST, calls)
            await asyncio.sleep(0)
        assert told == BURST

    sizes = run_bare(main(), 120)
    more = [(size - sizes[0]) / 1e6 for size in sizes[1:]]
    words = ", ".join(f"{mb:.1f}" for mb in more)
    figure(14, "MB more after the 2nd and 3rd burst of 12,000 events", words)
    assert more[-1] - more[0] < 10
