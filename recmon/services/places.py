"""Where the recordings of a server's calls are: tries a template on the last calls, and puts it to use."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from recmon.domain.calls import Call, ServerId
from recmon.domain.query import parse_query
from recmon.domain.recordings import RecordingTemplate
from recmon.domain.templates import TriedPlace, try_template
from recmon.errors import SettingsError
from recmon.services.details import CallDetails
from recmon.services.history import HistoryService
from recmon.settings.model import ServerSettings, Settings
from recmon.settings.writing import write_recording
from recmon.vendors.base import Now

CALLS_TRIED = 20
_LOOKED_AT = 200


class RecordingPlaces:
    """Tries and sets the `recording` of servers.

    Args:
        settings: names the servers, and the file that they are in.
        vendors: options type by vendor name.
        history: has the calls.
        details: learns of a place that was set.
        now: the clock, aware UTC.
    """

    def __init__(
        self,
        settings: Settings,
        vendors: Mapping[str, type[Any]],
        history: HistoryService,
        details: CallDetails,
        now: Now,
    ) -> None:
        self._source = settings.source
        self._servers = {server.name: server for server in settings.servers}
        self._vendors = vendors
        self._history = history
        self._details = details
        self._now = now

    @property
    def can_save(self) -> bool:
        """Whether there is a settings file to write into."""
        return self._source is not None

    def template(self, server: ServerId) -> RecordingTemplate | None:
        """Return the template in use; None where the vendor tells the places by itself, or nothing does.

        Raises:
            SettingsError: there is no such server.
        """
        self._find(server)
        return self._details.recording_template(server)

    async def last_calls(self, server: ServerId, count: int = CALLS_TRIED) -> tuple[Call, ...]:
        """Return the last finished calls of a server, the latest first.

        Raises:
            StoreError: the database cannot be read.
        """
        name = server.replace('"', "")
        query = parse_query(f'server:"{name}"', now=self._now(), zone=ZoneInfo("UTC"))
        page = await self._history.search(query, limit=max(count, _LOOKED_AT))
        # the search takes a part of a name for the whole
        return tuple(call for call in page.calls if call.key.server == server)[:count]

    def try_out(
        self, server: ServerId, template: RecordingTemplate, calls: Sequence[Call]
    ) -> tuple[TriedPlace, ...]:
        """Return what a template makes of each call: a place, or the reason why there is none.

        Raises:
            SettingsError: there is no such server.
        """
        settings = self._find(server)
        return try_template(template, calls, settings.recordings or server, ZoneInfo(settings.time_zone))

    async def save(self, server: ServerId, template: RecordingTemplate) -> None:
        """Write a template into the settings file, and use it from now on.

        Raises:
            SettingsError: the file cannot be changed; nothing is.
        """
        self._find(server)
        if self._source is None:
            raise SettingsError(("there is no settings file to write into",))
        await asyncio.to_thread(write_recording, self._source, server, template, self._vendors)
        self._details.use_recording(server, template)

    def _find(self, server: ServerId) -> ServerSettings:
        settings = self._servers.get(server)
        if settings is None:
            raise SettingsError((f"there is no server {server} in the settings",))
        return settings
