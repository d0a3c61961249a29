"""What is got ready for the selected recording, and what becomes of it when another one is selected."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from recmon.domain.calls import RecordingRef, ServerId
from recmon.domain.recordings import file_recording
from recmon.errors import ConnectFailed
from recmon.services.prefetch import PrefetchService

Run = Callable[..., Any]
SERVER = ServerId("archive")
ONE, OTHER = RecordingRef(SERVER, "path:1.wav"), RecordingRef(SERVER, "path:2.wav")
DEADLINE_S = 5.0


class Fetched:
    """A recording on its way."""

    def __init__(self) -> None:
        self.is_whole = asyncio.Event()

    async def finished(self) -> Path:
        await self.is_whole.wait()
        return Path("1.wav")


class Downloads:
    """Notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.here: set[RecordingRef] = set()
        self.running: dict[RecordingRef, Fetched] = {}
        self.is_reachable = True
        self.changed = asyncio.Event()

    def cached(self, ref: RecordingRef) -> Path | None:
        return Path("there") if ref in self.here else None

    def is_running(self, ref: RecordingRef) -> bool:
        return ref in self.running

    def open(self, ref: RecordingRef, *, is_urgent: bool = True) -> Fetched:
        assert not is_urgent
        self._note(f"open {ref.locator}")
        return self.running.setdefault(ref, Fetched())

    def let_go(self, ref: RecordingRef) -> None:
        self._note(f"let go {ref.locator}")

    async def warm(self, server: ServerId) -> None:
        self._note(f"warm {server}")
        if not self.is_reachable:
            raise ConnectFailed("archive", "refused")

    async def until(self, *asked: str) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while self.asked != list(asked):
                self.changed.clear()
                await self.changed.wait()

    def _note(self, text: str) -> None:
        self.asked.append(text)
        self.changed.set()


def prefetch(downloads: Downloads, **options: Any) -> PrefetchService:
    return PrefetchService(downloads, settle_s=0.01, **options)  # type: ignore[arg-type] # a small stand-in


def test_selected_recording_is_fetched_ahead_and_its_server_kept_warm(run: Run) -> None:
    async def scenario() -> None:
        downloads = Downloads()
        async with prefetch(downloads) as service:
            service.select(ONE)
            service.select(ONE)
            await downloads.until("open path:1.wav")
            downloads.running[ONE].is_whole.set()
            await downloads.until("open path:1.wav", "warm archive")

    run(scenario())


def test_another_selection_lets_go_of_what_was_fetched_ahead(run: Run) -> None:
    async def scenario() -> None:
        downloads = Downloads()
        async with prefetch(downloads) as service:
            service.select(ONE)
            await downloads.until("open path:1.wav")
            service.select(OTHER)
            await downloads.until("open path:1.wav", "let go path:1.wav", "open path:2.wav")
        assert downloads.asked[-1] == "let go path:2.wav"

    run(scenario())


def test_passing_over_a_call_fetches_nothing(run: Run) -> None:
    async def scenario() -> None:
        downloads = Downloads()
        async with prefetch(downloads) as service:
            service.select(ONE)
            service.select(OTHER)
            await downloads.until("open path:2.wav")
            service.select(None)
            await downloads.until("open path:2.wav", "let go path:2.wav")

    run(scenario())


def test_what_is_here_or_on_its_way_is_left_alone(run: Run) -> None:
    async def scenario() -> None:
        downloads = Downloads()
        downloads.here.add(ONE)
        downloads.running[OTHER] = Fetched()
        async with prefetch(downloads) as service:
            service.select(ONE)
            await downloads.until("warm archive")
            service.select(OTHER)
            await downloads.until("warm archive", "warm archive")
            service.select(file_recording(SERVER, "/calls/3.wav"))
        assert downloads.asked == ["warm archive", "warm archive"]

    run(scenario())


def test_without_leave_only_the_connection_is_made(run: Run) -> None:
    async def scenario() -> None:
        downloads = Downloads()
        async with prefetch(downloads, fetches=False) as service:
            service.select(ONE)
            await downloads.until("warm archive")

    run(scenario())


def test_unreachable_server_is_nobodys_business_before_play(run: Run) -> None:
    async def scenario() -> None:
        downloads = Downloads()
        downloads.is_reachable = False
        downloads.here.add(ONE)
        async with prefetch(downloads) as service:
            service.select(ONE)
            await downloads.until("warm archive")

    run(scenario())
