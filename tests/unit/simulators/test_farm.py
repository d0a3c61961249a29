"""All servers of the demo together, with the program on them."""

from __future__ import annotations

import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from line_server import Seen

from recmon.app import open_services, read_settings
from recmon.domain.calls import CallState
from recmon.domain.query import parse_query
from recmon.paths import DataDir
from recmon.services.synchronisation import SyncState
from recmon.simulators.farm import PAST_CALLS, Farm, server_names
from recmon.simulators.scenario import Scenario

Run = Callable[..., Any]


def test_the_program_gets_past_and_running_calls_recordings_and_marks(tmp_path: Path, run: Run) -> None:
    names = server_names(2)
    settings_file = tmp_path / "settings.toml"

    async def main() -> None:
        scenario = Scenario(7, names, calls_per_minute=60)
        async with Farm(scenario, tmp_path).running() as announcement:
            settings_file.write_text(announcement["settings"], encoding="utf-8")
            async with open_services(read_settings(settings_file), DataDir(tmp_path / "data")) as services:
                statuses = Seen(services.sync.changed)
                shown = Seen(services.book.changed)
                await statuses.until(
                    lambda _: [s.state for s in services.sync.statuses()] == [SyncState.CURRENT] * 2
                )
                await shown.until(lambda _: len(services.book.ongoing()) >= scenario.concurrent)
                query = parse_query("", now=datetime.now(UTC), zone=UTC)
                page = await services.history.search(query, limit=1000)
                past = [call for call in page.calls if call.state is CallState.ENDED]
                assert len(past) >= PAST_CALLS
                assert {call.key.server for call in past} == set(names)
                assert all(call.recordings[0].server == "archive" for call in past)
                assert services.listening.can_listen(past[0].key.server) is None
                marks = await services.queries.run(
                    past[0].key.server,
                    lambda flows: flows.markers(past[0].key.native_id, lambda: datetime.now(UTC)),
                )
                assert marks[0].name == "answered"

    run(main())
    secrets = [path for path in tmp_path.iterdir() if path.name.endswith(("-key", "-password", "-secret"))]
    assert len(secrets) == 5
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}
