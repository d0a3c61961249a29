"""A packed file of call records on this computer, such as CC-FS builds, as a source of calls.

Blocks, like all sources of an import.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import tzinfo
from pathlib import Path

from recmon.domain.calls import Call, CallKey, CallState, Direction, Party, ServerId
from recmon.domain.events import CallFacts
from recmon.errors import MalformedMessage, MessageTooLong, ProtocolError
from recmon.services.history import ImportResult
from recmon.services.import_sources import BATCH, IsStopped, Reading
from recmon.vendors.base import ArchiveReader

PACKED_ENDING = ".zip"
PACKED_LIMIT = 64 << 20
"""A larger file is none that a server builds for a day or a few."""

CALL_BYTES = 60
"""About what a call takes, packed: what reading one is reckoned at."""

_log = logging.getLogger(__name__)


class PackedRecords:
    """Reads the calls of one packed file.

    Args:
        path: the file.
        server: whose calls they are.
        zone: of times that are written without one.
        readers: tried in turn.

    Raises:
        OSError: it cannot be looked at.
    """

    def __init__(self, path: Path, server: ServerId, zone: tzinfo, readers: Sequence[ArchiveReader]) -> None:
        self._path = path
        self._server = server
        self._zone = zone
        self._readers = readers
        self.effort = max(1, path.stat().st_size // CALL_BYTES)

    def readings(self, is_stopped: IsStopped) -> Iterator[Reading]:
        """Read batch after batch; end early once stopped."""
        try:
            calls = self._calls()
        except OSError as error:
            yield self._problem(error.strerror or str(error))
            return
        except ProtocolError as error:
            yield self._problem(error.detail)
            return
        except Exception as error:  # one file must not end the import; it is counted and shown
            _log.info("a packed file failed in an unforeseen way", exc_info=True)
            yield self._problem(f"unforeseen {type(error).__name__}")
            return
        effort = self.effort
        for begin in range(0, len(calls), BATCH):
            batch = calls[begin : begin + BATCH]
            share = min(effort, self.effort * len(batch) // len(calls))
            effort -= share
            yield Reading(calls=[self._call(facts) for facts in batch], effort=share)
            if is_stopped():
                return

    def _calls(self) -> Sequence[CallFacts]:
        if self._path.stat().st_size > PACKED_LIMIT:
            raise MessageTooLong(f"a packed file of more than {PACKED_LIMIT >> 20} MiB")
        data = self._path.read_bytes()
        failure = MalformedMessage("no call records are in it")
        for reader in self._readers:
            try:
                if calls := reader(data, self._zone):
                    return calls
            except MalformedMessage as error:
                failure = error
        raise failure

    def _call(self, facts: CallFacts) -> Call:
        return Call(
            key=CallKey(self._server, facts.native_id),
            state=CallState.ENDED,
            direction=facts.direction or Direction.UNKNOWN,
            caller=facts.caller or Party(),
            callee=facts.callee or Party(),
            started_at=facts.started_at,
            answered_at=facts.answered_at,
            ended_at=facts.ended_at,
            cause=facts.cause,
            cdr=facts.cdr,
        )

    def _problem(self, words: str) -> Reading:
        return Reading(
            told=ImportResult(unreadable=1, problems=(f"{self._path}: {words}",)), effort=self.effort
        )
