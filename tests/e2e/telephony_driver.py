"""A process with all services of the program, whose clock can be put forward: waits for a call and plays it.

Run as `telephony_driver.py SETTINGS DATA-DIR`; prints one JSON object for each thing it saw. The clock is put
forward because Zadarma's recordings are asked for 40 s after their notice; all else is the program's own.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from recmon.app import open_services, read_settings
from recmon.domain.calls import Call, RecordingStage
from recmon.paths import DataDir
from recmon.services.playing import PlaybackState
from recmon.services.statuses import LinkState

DEADLINE_S = 30.0


class Clock:
    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


def tell(saw: str, **values: Any) -> None:
    print(json.dumps({"saw": saw, **values}), flush=True)


def shown(call: Call) -> dict[str, Any]:
    return {
        "id": str(call.key),
        "state": call.state.value,
        "from": call.caller.number,
        "to": call.callee.number,
        "name": call.callee.name,
        "cause": call.cause,
        "stages": [told.stage.value for told in call.told],
    }


async def main(settings: Path, data: Path) -> None:
    clock = Clock()
    news = asyncio.Event()
    calls: list[Call] = []
    async with (
        asyncio.timeout(DEADLINE_S),
        open_services(read_settings(settings), DataDir(data), now=clock) as services,
    ):
        services.monitor.status_changed.subscribe(lambda _: news.set())
        services.playback.changed.subscribe(lambda _: news.set())

        def on_calls(change: Any) -> None:
            calls.extend((*change.added, *change.updated, *change.removed))
            news.set()

        services.book.changed.subscribe(on_calls)

        async def until(look: Any) -> Any:
            while not (seen := look()):
                news.clear()
                await news.wait()
            return seen

        server = services.settings.servers[0].name
        await until(lambda: services.monitor.status(server).state is LinkState.LIVE)
        tell("live")
        await until(lambda: calls)
        tell("started", call=shown(calls[0]))
        states: list[str] = []

        def ready() -> Call | None:
            for call in calls:
                if call.state.value not in states:
                    states.append(call.state.value)
            last = calls[-1]
            is_there = any(told.stage is RecordingStage.AVAILABLE for told in last.told)
            return last if last.state.is_over and is_there else None

        call = await until(ready)
        tell("recorded", call=shown(call), states=states)
        clock.ahead = timedelta(seconds=45)
        await services.playback.play(call.recordings[0])
        await until(lambda: services.playback.status.state in (PlaybackState.ENDED, PlaybackState.FAILED))
        tell("played", state=services.playback.status.state.value)


asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
