"""Recordings and past calls of a server with an HTTP Business API, as the program asks for them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo

from recmon.domain.events import CallFacts
from recmon.domain.recordings import LocatorKind, parse_locator
from recmon.errors import RecordingMissing
from recmon.protocol.http import HttpFlow
from recmon.settings.model import TlsOptions
from recmon.vendors.base import CallMarker, CallPage, MediaHead, Now, ResumePoint, Reveal, TimeWindow
from recmon.vendors.verba.business_api import BusinessApi, CallById, CallQuery, MediaFormat
from recmon.vendors.verba.http_session import ApiSession
from recmon.vendors.verba.options import HttpOptions
from recmon.vendors.verba.selection import is_selected

ID_LIMIT = 512
"""The longest identifier in the vendor's own database (verba.md 4.2)."""

LONGEST_CALL = timedelta(days=2)
"""How far back calls that still go on are looked for."""

CLOCK_SLACK = timedelta(hours=1)
"""A server's clock may be this far ahead."""

ONGOING_PAGES = 50
"""More pages than this of ongoing calls are not asked for at a time."""


class VerbaRecordingFlows:
    """Brings recordings, and the sound of calls that go on.

    Args:
        options: of the HTTP interface.
        api: asks the server.
    """

    def __init__(self, options: HttpOptions, api: BusinessApi) -> None:
        self._options = options
        self._api = api
        self._form = None if options.media == "stored" else MediaFormat(options.media)

    @property
    def base_url(self) -> str:
        return self._options.base_url

    @property
    def tls(self) -> TlsOptions:
        return self._options.tls

    @property
    def parallel_downloads(self) -> int:
        return self._options.parallel_downloads

    def download(self, locator: str, now: Now) -> HttpFlow[MediaHead]:
        """Fetch the recording at a `call_id:` locator, as it is stored or converted, as the settings say.

        Raises:
            RecordingMissing: the locator cannot be asked for, or the server has nothing there.
            RecordingDamaged: the server sent nothing.
            DownloadRefused: something else came than a recording.
            DownloadPostponed: the server asks to come back later.
            DownloadInterrupted: the server failed.
            RequestRefused: any other error of the server.
            AuthenticationFailed: the login or the key was refused.
        """
        if self._form is not None:
            return (yield from self._api.media_encoded(_call_id(locator), self._form, now))
        return (yield from self._api.media(_call_id(locator), now))

    def resume(self, locator: str, now: Now, point: ResumePoint) -> HttpFlow[MediaHead]:
        """Fetch the rest of a recording, where the server offered ranges; raises as `download`.

        A converted recording comes anew: nothing says that the server would make the same bytes again.
        """
        if self._form is not None:
            return (yield from self.download(locator, now))
        return (yield from self._api.media(_call_id(locator), now, point))

    def listen(self, native_id: str, now: Now) -> HttpFlow[MediaHead]:
        """Ask for the sound of an ongoing call, as MP3; raises as `download`."""
        return (yield from self._api.media_live(_checked_id(native_id), now))


class VerbaHistoryFlows:
    """Asks about calls; see `vendors.base.HistoryFlows`.

    Args:
        options: of the HTTP interface.
        api: asks the server.
        zone: of its times, in which its days begin.
        extensions: numbers whose calls are wanted; empty means all calls.
    """

    def __init__(
        self, options: HttpOptions, api: BusinessApi, zone: tzinfo, extensions: Sequence[str] = ()
    ) -> None:
        self._options = options
        self._api = api
        self._zone = zone
        self._extensions = extensions

    @property
    def base_url(self) -> str:
        return self._options.base_url

    @property
    def tls(self) -> TlsOptions:
        return self._options.tls

    @property
    def history_days(self) -> int:
        return self._options.history_days

    def is_wanted(self, facts: CallFacts) -> bool:
        # Here and not by the server: its search takes parts of numbers for the whole.
        return is_selected(facts, self._extensions)

    def windows(self, begin: datetime, end: datetime) -> Iterator[TimeWindow]:
        """Cut into the server's days, as is advised for long searches (verba.md 5.3), the latest first."""
        while begin < end:
            last = (end - timedelta(microseconds=1)).astimezone(self._zone)
            midnight = last.replace(hour=0, minute=0, second=0, microsecond=0, fold=0).astimezone(UTC)
            start = max(begin, min(midnight, end - timedelta(microseconds=1)))
            yield TimeWindow(start, end)
            end = start

    def search_page(
        self, window: TimeWindow, first: int, now: Now, known: Collection[str] = frozenset()
    ) -> HttpFlow[CallPage]:
        # Secondary recordings too: the server's events tell them like any other call.
        query = CallQuery(window.begin, window.end, includes_secondary=True)
        return self._api.search_page(query, first, now, known)

    def ongoing_calls(self, now: Now) -> HttpFlow[tuple[CallFacts, ...]]:
        at = now()
        query = CallQuery(at - LONGEST_CALL, at + CLOCK_SLACK, status="ongoing", includes_secondary=True)
        found: dict[str, CallFacts] = {}
        first = 0
        for _ in range(ONGOING_PAGES):
            page = yield from self._api.search_page(query, first, now, found.keys())
            found.update((facts.native_id, facts) for facts in page.calls)
            if page.is_last:
                break
            first = page.next_first
        return tuple(filter(self.is_wanted, found.values()))

    def call_details(self, native_id: str, now: Now) -> HttpFlow[CallFacts]:
        return (yield from self._api.call_information(CallById(_checked_id(native_id)), now))

    def markers(self, native_id: str, now: Now) -> HttpFlow[tuple[CallMarker, ...]]:
        return (yield from self._api.markers(_checked_id(native_id), now))


def recording_flows(options: HttpOptions, server: str, reveal: Reveal) -> VerbaRecordingFlows:
    """Return how to fetch recordings; the secrets are looked up now.

    Raises:
        SecretMissing: one is not where the settings say.
    """
    return VerbaRecordingFlows(options, BusinessApi(_session(options, server, reveal), UTC))


def history_flows(
    options: HttpOptions, server: str, zone: tzinfo, reveal: Reveal, extensions: Sequence[str] = ()
) -> VerbaHistoryFlows:
    """Return how to ask about calls; the secrets are looked up now.

    Raises:
        SecretMissing: one is not where the settings say.
    """
    # Without a login, all times are in GMT (verba.md 4.4).
    own_zone = UTC if options.user is None else zone
    api = BusinessApi(_session(options, server, reveal), own_zone)
    return VerbaHistoryFlows(options, api, own_zone, extensions)


def _session(options: HttpOptions, server: str, reveal: Reveal) -> ApiSession:
    password = None if options.password is None else reveal(options.password)
    return ApiSession(options, server, reveal(options.api_key), password)


def _call_id(locator: str) -> str:
    try:
        kind, call_id = parse_locator(locator)
    except ValueError:
        kind, call_id = None, ""
    if kind is not LocatorKind.CALL_ID:
        raise RecordingMissing("this server is asked for recordings by call id alone")
    return _checked_id(call_id)


def _checked_id(text: str) -> str:
    """Return an id that can be asked for.

    Raises:
        RecordingMissing: it cannot.
    """
    if not text.strip() or not text.isprintable() or len(text) > ID_LIMIT:
        raise RecordingMissing("the call's id is not one that this server can have")
    return text
