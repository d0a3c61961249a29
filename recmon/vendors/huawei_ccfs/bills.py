"""Past calls of a CC-FS site: the server builds a file of a day's records, which is fetched when it is there.

The server tells a callback address when a file is ready. A desktop program rarely has one, so the file is
asked for under the name that the server's order leads to (ccfs.md 4.7, inferred), and slowly.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo

from recmon.domain.events import CallFacts
from recmon.errors import (
    AnswerNotReady,
    DownloadPostponed,
    MalformedMessage,
    MessageTooLong,
    ProtocolError,
    RecordingError,
    RecordingMissing,
    RequestRefused,
)
from recmon.protocol.http import HttpFlow, ReadMore
from recmon.settings.model import Secret, TlsOptions
from recmon.vendors.base import CallMarker, CallPage, Now, TimeWindow
from recmon.vendors.huawei_ccfs.codes import read_reply, reply_data, reply_error, status_error
from recmon.vendors.huawei_ccfs.options import CcfsOptions
from recmon.vendors.huawei_ccfs.signing import RequestSigner

PREFIX = "/CCFS/resource/ccfs"

FIRST_LOOK = timedelta(seconds=30)
"""From the order of a file to the first look for it, and between the first looks (ccfs.md 4.7)."""

LONGEST_BREAK = timedelta(minutes=5)
"""Between later looks: the break grows by half each time."""

GIVEN_UP_AFTER = timedelta(hours=2)
"""A file that is not there so long after its order is ordered anew, with the next round."""

REPEAT_S = 1800.0
"""The newest hours are asked for so often: each time makes the server build a file."""

ARCHIVE_SIZE = 8 << 20
"""Largest archive; a day of a large site has less than a tenth."""

PAGE_LENGTH = 500
NAME_LIMIT = 49
"""Characters of a `billFileName` (ccfs.md 4.7)."""


@dataclass(frozen=True, slots=True)
class _Order:
    """A file that the server builds.

    Attributes:
        window_begin: of the window whose calls it will hold.
        name: under which it will be.
        ordered_at: when it was asked for.
        next_look_at: not to be looked for before.
        wait: the break before that.
    """

    window_begin: datetime
    name: str
    ordered_at: datetime
    next_look_at: datetime
    wait: timedelta


class BillFlows:
    """Asks a CC-FS for past calls; see `vendors.base.HistoryFlows`.

    Args:
        options: of the server.
        server: its name in the settings.
        secret_key: the secret of its access key.
        zone: the tenant's, in which times are told and days begin.
    """

    def __init__(self, options: CcfsOptions, server: str, secret_key: Secret, zone: tzinfo) -> None:
        self._options = options
        self._server = server
        self._zone = zone
        self._signer = RequestSigner(options, secret_key, options.host_header)
        self._order: _Order | None = None
        self._read: tuple[datetime, tuple[CallFacts, ...]] | None = None

    @property
    def base_url(self) -> str:
        return self._options.base_url

    @property
    def tls(self) -> TlsOptions:
        return self._options.tls

    @property
    def history_days(self) -> int:
        return self._options.history_days

    @property
    def repeat_s(self) -> float:
        """How often the newest calls are asked for, at most."""
        return REPEAT_S

    def is_wanted(self, facts: CallFacts) -> bool:
        """Return True: a tenant's file holds the tenant's calls."""
        return True

    def windows(self, begin: datetime, end: datetime) -> Iterator[TimeWindow]:
        """Cut into the tenant's days, the latest first."""
        while begin < end:
            last = (end - timedelta(microseconds=1)).astimezone(self._zone)
            midnight = last.replace(hour=0, minute=0, second=0, microsecond=0, fold=0).astimezone(UTC)
            start = max(begin, min(midnight, end - timedelta(microseconds=1)))
            yield TimeWindow(start, end)
            end = start

    def search_page(
        self, window: TimeWindow, first: int, now: Now, known: Collection[str] = frozenset()
    ) -> HttpFlow[CallPage]:
        """Order the file of a window, or look for it, or return a part of what it holds.

        Raises:
            AnswerNotReady: the file is not there yet.
        """
        calls = self._calls_read(window)
        if calls is None:
            calls = yield from self._fetched(window, now)
            self._read = (window.begin, calls)
        page = calls[first : first + PAGE_LENGTH]
        is_last = first + PAGE_LENGTH >= len(calls)
        if is_last:
            self._read = None
        return CallPage(page, first + len(page), is_last)

    def ongoing_calls(self, now: Now) -> HttpFlow[tuple[CallFacts, ...]]:
        """Raise: files hold calls that are over; calls that go on are told by CC-CMS."""
        yield from ()
        raise RequestRefused("CC-FS does not know calls that go on", code="-")

    def call_details(self, native_id: str, now: Now) -> HttpFlow[CallFacts]:
        """Raise: no single call can be asked for."""
        yield from ()
        raise RecordingMissing("CC-FS cannot be asked for a single call")

    def markers(self, native_id: str, now: Now) -> HttpFlow[tuple[CallMarker, ...]]:
        """Return none: CC-FS knows no marked places."""
        yield from ()
        return ()

    def _calls_read(self, window: TimeWindow) -> tuple[CallFacts, ...] | None:
        return self._read[1] if self._read is not None and self._read[0] == window.begin else None

    def _fetched(self, window: TimeWindow, now: Now) -> HttpFlow[tuple[CallFacts, ...]]:
        order = self._order
        if order is None or order.window_begin != window.begin:
            order = self._order = yield from self._ordered(window, now)
        if now() < order.next_look_at:
            raise _not_ready(order, now())
        try:
            calls = yield from self._look(order, now)
        except RecordingMissing as error:
            # "no such file" and "nothing found" are what it answers until the file is built (ccfs.md 4.7)
            at = now()
            if at - order.ordered_at > GIVEN_UP_AFTER:
                self._order = None
                hours = GIVEN_UP_AFTER // timedelta(hours=1)
                raise RequestRefused(
                    f"the server did not build the file of past calls within {hours} hours, or gives it "
                    "another name than expected",
                    code=error.code or "-",
                ) from error
            wait = min(order.wait * 1.5, LONGEST_BREAK)
            order = self._order = replace(order, next_look_at=at + wait, wait=wait)
            raise _not_ready(order, at) from error
        except ProtocolError:
            self._order = None
            raise
        self._order = None
        return calls

    def _ordered(self, window: TimeWindow, now: Now) -> HttpFlow[_Order]:
        at = now()
        message: dict[str, str] = {
            "beginTime": self._text(window.begin),
            "endTime": self._text(min(window.end, max(at, window.begin))),
            "dataType": "call_record",
        }
        if self._options.bill_callback_url:
            message["callBackURL"] = self._options.bill_callback_url
        response = yield self._signer.post(f"{PREFIX}/queryBillData", _wrapped(message), at)
        failure = status_error(self._server, response.status, response.headers, now())
        if failure is not None:
            raise _as_question(failure)
        try:
            data = reply_data(self._server, response, now())
        except RecordingError as error:
            raise _as_question(error) from error
        told = data.get("responseId") if isinstance(data, Mapping) else None
        # a number could not be told from a text without it
        identity = str(told).replace("-", "").strip() if isinstance(told, str | int) else ""
        name = f"{at.astimezone(self._zone):%Y%m%d}_{identity}.zip"
        if not identity.isalnum() or not identity.isascii() or len(name) > NAME_LIMIT:
            raise MalformedMessage("the server took the order for a file of past calls, but named no answer")
        return _Order(window.begin, name, at, at + FIRST_LOOK, FIRST_LOOK)

    def _look(self, order: _Order, now: Now) -> HttpFlow[tuple[CallFacts, ...]]:
        # read here, so that start-up pays for no ZIP reader
        from recmon.vendors.huawei_ccfs.bill_files import read_bills

        message = _wrapped({"billFileName": order.name})
        response = yield self._signer.post(f"{PREFIX}/downloadBillFile", message, now(), is_streamed=True)
        failure = status_error(self._server, response.status, response.headers, now())
        if failure is not None:
            raise _as_question(failure)
        if not response.is_complete:
            response = yield ReadMore(ARCHIVE_SIZE)
        if not response.is_complete:
            raise MessageTooLong(f"a file of past calls of more than {ARCHIVE_SIZE >> 20} MiB")
        if response.body.startswith(b"PK"):
            return read_bills(response.body, self._zone)
        reply = read_reply(response.body)
        error = None if reply is None else reply_error(self._server, reply, response.headers, now())
        if isinstance(error, RecordingMissing):
            raise error
        if error is not None:
            raise _as_question(error)
        raise MalformedMessage("the server sent something else than an archive of past calls")

    def _text(self, at: datetime) -> str:
        return at.astimezone(self._zone).strftime("%Y-%m-%d %H:%M:%S")


def _wrapped(message: Mapping[str, str]) -> Mapping[str, object]:
    return {"request": {"version": "2.0"}, "msgBody": message}


def _not_ready(order: _Order, at: datetime) -> AnswerNotReady:
    wait_s = max(1.0, (order.next_look_at - at).total_seconds())
    return AnswerNotReady("the server builds the file of past calls", retry_after_s=wait_s)


def _as_question(error: Exception) -> Exception:
    """Return a refusal as those who ask for calls expect it; flow control stays what it is."""
    if isinstance(error, RecordingError) and not isinstance(error, DownloadPostponed):
        return RequestRefused(error.reason, code=error.code or "-")
    return error
