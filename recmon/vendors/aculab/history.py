"""Past calls out of the media file store, for accounts whose services tell recmon nothing (aculab.md 9, 10).

A file is the recording of a call, of which the store tells neither the numbers nor the direction; when the
application ran is asked for. An account that tells its calls by web hooks is not asked in this way: which of
its calls a file belongs to is told by no documented field.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta, tzinfo

from recmon.domain.calls import CallState
from recmon.domain.cdr import CdrRecord
from recmon.domain.events import CallFacts
from recmon.errors import (
    AuthenticationFailed,
    MalformedMessage,
    RecordingError,
    RecordingMissing,
    RequestRefused,
)
from recmon.protocol.http import HttpFlow
from recmon.protocol.json import JsonValue
from recmon.settings.model import TlsOptions
from recmon.vendors.aculab.files import RECORDINGS, StoredFile, name_fault, read_time
from recmon.vendors.aculab.flows import AculabFlows
from recmon.vendors.aculab.instance import flat_fields
from recmon.vendors.aculab.options import AculabOptions
from recmon.vendors.aculab.web import WebServices
from recmon.vendors.base import CallMarker, CallPage, Now, TimeWindow

PAGE_LENGTH = 20
"""Calls of a page; each costs a request."""

LIST_GOOD_FOR = timedelta(minutes=5)
REPEAT_S = 900.0
"""The whole store is listed each time."""

STATUSES_KEPT = 5_000
_NAME = re.compile(
    rf"/?{RECORDINGS}/(\d{{4}})/(\d\d)/(\d\d)/(?:rest_)?(\d\d)_(\d\d)_(\d\d)_([^/]+)\.wave?", re.IGNORECASE
)


class AculabHistory:
    """Asks an account for its recordings; see `vendors.base.HistoryFlows`.

    Args:
        options: the server's own.
        services: of the account.
        zone: in which the times in file names are taken to be, as that is not documented.
    """

    def __init__(self, options: AculabOptions, services: WebServices, zone: tzinfo) -> None:
        self._options = options
        self._services = services
        self._flows = AculabFlows(options, services)
        self._zone = zone
        self._list: tuple[datetime, tuple[StoredFile, ...]] | None = None
        self._statuses: OrderedDict[str, Mapping[str, JsonValue]] = OrderedDict()

    @property
    def base_url(self) -> str:
        return self._services.base_url

    @property
    def tls(self) -> TlsOptions:
        return self._options.tls

    @property
    def history_days(self) -> int:
        return self._options.history_days

    @property
    def repeat_s(self) -> float:
        """How often the newest recordings are asked for, at most."""
        return REPEAT_S

    def is_wanted(self, facts: CallFacts) -> bool:
        """Return True: an account's store holds the account's calls."""
        return True

    def windows(self, begin: datetime, end: datetime) -> Iterator[TimeWindow]:
        """Cut into days, the latest first."""
        while begin < end:
            start = max(begin, end - timedelta(days=1))
            yield TimeWindow(start, end)
            end = start

    def search_page(
        self, window: TimeWindow, first: int, now: Now, known: Collection[str] = frozenset()
    ) -> HttpFlow[CallPage]:
        """Return the recordings that were made in the window, as calls."""
        files = [file for file in (yield from self._listed(now)) if self._is_in(file, window)]
        page = files[first : first + PAGE_LENGTH]
        calls: dict[str, CallFacts] = {}
        for file in page:
            calls[file.name] = yield from self._call(file)
        return CallPage(tuple(calls.values()), first + len(page), first + PAGE_LENGTH >= len(files))

    def ongoing_calls(self, now: Now) -> HttpFlow[tuple[CallFacts, ...]]:
        """Raise: files are of calls that are over."""
        yield from ()
        raise RequestRefused("the web services do not tell calls that go on", code="-")

    def call_details(self, native_id: str, now: Now) -> HttpFlow[CallFacts]:
        """Raise: no documented service tells of a single call."""
        yield from ()
        raise RecordingMissing("the web services cannot be asked for a single call")

    def markers(self, native_id: str, now: Now) -> HttpFlow[tuple[CallMarker, ...]]:
        """Return none: the platform knows no marked places."""
        yield from ()
        return ()

    def _listed(self, now: Now) -> HttpFlow[tuple[StoredFile, ...]]:
        at = now()
        if self._list is None or not timedelta() <= at - self._list[0] < LIST_GOOD_FOR:
            try:
                files = yield from self._flows.stored_files()
            except RecordingError as error:
                raise RequestRefused(error.reason, code=error.code or "-") from error
            usable = [file for file in files if name_fault(file.name) is None and _NAME.fullmatch(file.name)]
            self._list = at, tuple(sorted(usable, key=lambda file: file.name))
        return self._list[1]

    def _is_in(self, file: StoredFile, window: TimeWindow) -> bool:
        made_at = file.created_at or self._named_at(file)
        return made_at is not None and window.begin <= made_at <= window.end

    def _named_at(self, file: StoredFile) -> datetime | None:
        found = _NAME.fullmatch(file.name)
        if found is None:
            return None
        year, month, day, hour, minute, second = map(int, found.groups()[:6])
        try:
            return datetime(year, month, day, hour, minute, second, tzinfo=self._zone).astimezone(UTC)
        except (ValueError, OverflowError):
            return None

    def _call(self, file: StoredFile) -> HttpFlow[CallFacts]:
        found = _NAME.fullmatch(file.name)
        assert found is not None
        run = found[7]
        status = yield from self._status(run)
        record = _first_object(status.get("adr"))
        is_whole_call = "/rest_" in file.name
        started_at = _time_of(record, "start") if is_whole_call else None
        fields = [("application_instance_id", run), ("filename", file.name)]
        if file.created_at is not None:
            fields.append(("created_date", file.created_at.isoformat()))
        if file.size is not None:
            fields.append(("size", str(file.size)))
        return CallFacts(
            # The file's own name: a run can have several calls, and a call several files.
            file.name.lstrip("/").removeprefix(f"{RECORDINGS}/"),
            state=CallState.ENDED,
            started_at=started_at or self._named_at(file) or file.created_at,
            ended_at=_time_of(record, "stop") if started_at is not None else None,
            cdr=CdrRecord.of([*fields, *flat_fields(status)]),
            is_approximate=started_at is None,
        )

    def _status(self, run: str) -> HttpFlow[Mapping[str, JsonValue]]:
        """Ask when an application ran; a refusal costs no more than that answer."""
        if run in self._statuses:
            self._statuses.move_to_end(run)
            return self._statuses[run]
        status: JsonValue = None
        response = yield self._services.question("application_status", (("application_instance_id", run),))
        try:
            status = self._services.json_of(response)
        except AuthenticationFailed:
            raise
        except (RecordingError, MalformedMessage):
            pass
        told = status if isinstance(status, dict) else {}
        # What goes on may still change.
        if _time_of(_first_object(told.get("adr")), "stop") is not None:
            self._statuses[run] = told
            if len(self._statuses) > STATUSES_KEPT:
                self._statuses.popitem(last=False)
        return told


def _first_object(value: JsonValue) -> Mapping[str, JsonValue]:
    if isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, dict) else {}


def _time_of(record: Mapping[str, JsonValue], which: str) -> datetime | None:
    """Return when the application started or stopped: in epoch seconds, else as text (aculab.md 10)."""
    return read_time(record.get(f"{which}_time")) or read_time(record.get(f"{which}_datetime"))
