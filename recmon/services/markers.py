"""The marked places of recordings, as the servers keep them."""

from __future__ import annotations

from recmon.domain.calls import Call
from recmon.services.queries import HistoryQueries
from recmon.vendors.base import CallMarker, Now

__all__ = ["CallMarker", "MarkerService"]


class MarkerService:
    """Asks a call's server for the places that somebody marked in its recording.

    Args:
        queries: ask the servers.
        now: the clock, aware UTC.
    """

    def __init__(self, queries: HistoryQueries, now: Now) -> None:
        self._queries = queries
        self._now = now

    async def of(self, call: Call) -> tuple[CallMarker, ...]:
        """Return the marked places in order of time; none where the server cannot be asked.

        Raises:
            RecmonError: it could be asked, and did not answer.
        """
        server, native_id = call.key.server, call.key.native_id
        if await self._queries.flows(server) is None:
            return ()
        return await self._queries.run(server, lambda flows: flows.markers(native_id, self._now))
