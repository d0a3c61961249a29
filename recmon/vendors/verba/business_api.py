"""The read actions of the HTTP Business API as conversations (verba.md 5.3). Nothing here changes a server.

What the vendor's pages leave open is marked so; of the results only what the documentation names is read, in
whatever spelling and place it stands.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from enum import Enum
from typing import Literal

from recmon.domain.calls import CallState
from recmon.domain.events import CallFacts
from recmon.errors import MalformedMessage, RecordingMissing, RequestRefused
from recmon.protocol.http import HttpFlow
from recmon.protocol.xml import Element
from recmon.vendors.base import CallMarker, CallPage, MediaHead, Now, ResumePoint
from recmon.vendors.verba.http_replies import all_of, attribute, first, value_of
from recmon.vendors.verba.http_session import ApiSession, Parameters
from recmon.vendors.verba.messages import read_message
from recmon.vendors.verba.translate import call_facts

PAGE_LENGTH = 50
"""Calls per page: reading a page takes about 10 ms, in which the window stands still."""

ID_NAMES = ("callID", "ccdr_id", "cid")
"""Names of the id parameter of `GetMedia`, which differ by version, in the order to try (verba.md 5.3)."""

_TELLS_NOTHING_OF_NAMES = frozenset({"-10", "-30", "-60"})
"""Errors that another name of a parameter would not change."""


class MediaFormat(Enum):
    """What the server can convert sound to. The variants that leave out silence are missing on purpose.

    Documented for segments, inferred for whole calls (verba.md 5.3).
    """

    MP3 = "mp3"
    PCM_8 = "pcm8"
    PCM_16 = "pcm16"
    ULAW = "ulaw"
    ALAW = "alaw"
    MS_ADPCM = "msadpcm"
    GSM = "gsmfr"
    SPEEX = "speex"
    SPEEX_HIGH = "speex_hq"
    OPUS = "opus"
    OPUS_HIGH = "opus_hq"


@dataclass(frozen=True, slots=True)
class CallQuery:
    """What to search for.

    Attributes:
        begin: earliest start, aware UTC.
        end: latest start, aware UTC.
        status: finished calls, or those that go on.
        numbers: parts of numbers on either side; how several go together is not documented.
        names: parts of names, likewise.
        order_by: name of a field of the call detail record.
        order: direction; empty leaves it to the server.
        includes_secondary: whether secondary recordings are wanted too.
        includes_metadata: whether fields of the customer's own are wanted too.
    """

    begin: datetime
    end: datetime
    status: Literal["recorded", "ongoing"] = "recorded"
    numbers: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    order_by: str = "start_time"
    order: Literal["asc", "desc", ""] = "asc"
    includes_secondary: bool = False
    includes_metadata: bool = False


class CallIdKind(Enum):
    """Ids by which one call can be asked for."""

    CALL = "callID"
    PLATFORM = "platformCallID"
    NATIVE = "nativeID"
    MEETING = "meetingID"


@dataclass(frozen=True, slots=True)
class CallById:
    """A call by one of its ids; only the server's own is always unique."""

    value: str
    kind: CallIdKind = CallIdKind.CALL

    def parameters(self) -> Parameters:
        """Return it as parameters of a request."""
        return ((self.kind.value, self.value),)


@dataclass(frozen=True, slots=True)
class CallOfExtension:
    """The call of an extension; more than one match is an error of the server (verba.md 5.3).

    Attributes:
        extension: number.
        status: `ongoing`, `next` (begins within a minute), `last` (finished), or several joined by commas.
    """

    extension: str
    status: str = "ongoing"

    def parameters(self) -> Parameters:
        """Return it as parameters of a request."""
        return (("extension", self.extension), ("status", self.status))


CallSelector = CallById | CallOfExtension


class BusinessApi:
    """Asks one server, in the name of one account. All conversations raise what `ApiSession.ask` does.

    Args:
        session: the account.
        zone: of times without one: the user's own after a login, GMT without (verba.md 4.4).
        page_length: calls per page of a search.
    """

    def __init__(self, session: ApiSession, zone: tzinfo, *, page_length: int = PAGE_LENGTH) -> None:
        self._session = session
        self._zone = zone
        self._page_length = page_length
        self._media_id_name: str | None = None

    # Calls

    def search_page(
        self, query: CallQuery, first_row: int, now: Now, known: Collection[str] = frozenset()
    ) -> HttpFlow[CallPage]:
        """Ask for one page of a search (`SearchCalls`).

        Args:
            query: what is wanted.
            first_row: 0, then `next_first` of the page before.
            now: the clock.
            known: native ids of the pages before: a page without any other ends the search, because then the
                server ignores paging.
        """
        page = [("pagefirst", str(first_row)), ("pagelen", str(self._page_length))]
        root = yield from self._session.ask("SearchCalls", [*self._search(query), *page], now)
        # The announced number of rows counts this page alone, and is not needed (verba.md 5.3).
        rows = list(all_of(root, "verbacdr"))
        ended = query.status == "recorded"
        calls = tuple(facts for row in rows if (facts := self._facts(row, ended)) is not None)
        is_new = any(facts.native_id not in known for facts in calls)
        is_last = len(rows) < self._page_length or not is_new
        return CallPage(calls, first_row + len(rows), is_last)

    def call_information(self, call: CallSelector, now: Now) -> HttpFlow[CallFacts]:
        """Ask for everything about one call (`GetCallInformation`).

        Raises:
            RecordingMissing: the server knows no such call.
        """
        root = yield from self._session.ask("GetCallInformation", call.parameters(), now)
        record = first(root, "verbacdr")
        facts = None if record is None else self._facts(record, None)
        if facts is None:
            raise MalformedMessage("the answer holds no call")
        return facts

    def call_id(self, call: CallSelector, now: Now) -> HttpFlow[str]:
        """Ask for the server's own id of a call (`GetCallID`).

        Raises:
            RecordingMissing: the server knows no such call.
        """
        root = yield from self._session.ask("GetCallID", call.parameters(), now)
        found = value_of(root, "callid", "ccdrid")
        if not found:
            raise MalformedMessage("the answer holds no call id")
        return found

    def call_url(self, call: CallSelector, now: Now) -> HttpFlow[str]:
        """Ask for the address of a call in the server's web interface (`GetCallURL`).

        Raises:
            RecordingMissing: the server knows no such call.
        """
        root = yield from self._session.ask("GetCallURL", call.parameters(), now)
        # The name of the result is not documented.
        url = value_of(root, "callurl", "url")
        if not url.lower().startswith(("https://", "http://")):
            raise MalformedMessage("the answer holds no web address")
        return url

    def markers(self, call_id: str, now: Now) -> HttpFlow[tuple[CallMarker, ...]]:
        """Ask for the marked places of a recording (`GetMarkers`), in order of time.

        Raises:
            RecordingMissing: the server knows no such call.
        """
        root = yield from self._session.ask("GetMarkers", (("cid", call_id),), now)
        return tuple(sorted(_markers(root), key=lambda marker: marker.start_s))

    # Media

    def media(self, call_id: str, now: Now, point: ResumePoint | None = None) -> HttpFlow[MediaHead]:
        """Ask for a recording as it is stored (`GetMedia`).

        The name of the id parameter differs by version: all are tried until one brings media, which is then
        the only one used.

        Args:
            call_id: of the call.
            now: the clock.
            point: from where on it is wanted. Ranges are not documented: servers that do not know them send
                all of it.

        Raises:
            RecordingMissing: the server knows no such call, or has no recording of it.
        """
        if self._media_id_name is not None:
            return (yield from self._media(self._media_id_name, call_id, now, point))
        failure: RecordingMissing | RequestRefused | None = None
        for name in ID_NAMES:
            try:
                head = yield from self._media(name, call_id, now, point)
            except (RecordingMissing, RequestRefused) as error:
                if error.code in _TELLS_NOTHING_OF_NAMES:
                    raise
                # Of several reasons, that there is no such recording says most.
                if failure is None or (
                    isinstance(error, RecordingMissing) and not isinstance(failure, RecordingMissing)
                ):
                    failure = error
            else:
                self._media_id_name = name
                return head
        raise failure or RecordingMissing("the server was not asked")

    def media_encoded(self, call_id: str, form: MediaFormat, now: Now) -> HttpFlow[MediaHead]:
        """Ask for a recording in another format (`GetMediaEncoded`).

        Raises:
            RecordingMissing: the server knows no such call, or has no recording of it.
        """
        return self._session.ask_media("GetMediaEncoded", (("cid", call_id), ("format", form.value)), now)

    def media_segment(
        self, call_id: str, start_s: int, end_s: int, form: MediaFormat, now: Now
    ) -> HttpFlow[MediaHead]:
        """Ask for a part of a recording (`GetMediaSegment`), from one whole second to another.

        Raises:
            RecordingMissing: the server knows no such call, or has no recording of it.
        """
        part = (("cid", call_id), ("start", str(start_s)), ("end", str(end_s)), ("format", form.value))
        return self._session.ask_media("GetMediaSegment", part, now)

    def media_live(self, call_id: str, now: Now) -> HttpFlow[MediaHead]:
        """Ask for the sound of an ongoing call (`GetMediaLive`), which only comes as MP3.

        Raises:
            RecordingMissing: the server knows no such call, or it has ended.
        """
        return self._session.ask_media("GetMediaLive", (("callID", call_id), ("format", "mp3")), now)

    # What is asked, and what is answered

    def _media(self, name: str, call_id: str, now: Now, point: ResumePoint | None) -> HttpFlow[MediaHead]:
        return self._session.ask_media("GetMedia", ((name, call_id),), now, point)

    def _search(self, query: CallQuery) -> Iterator[tuple[str, str]]:
        yield "start", _wall_time(query.begin, self._zone, is_end=False)
        yield "end", _wall_time(query.end, self._zone, is_end=True)
        yield "status", query.status
        for number in query.numbers:
            yield "anynum", number
        for name in query.names:
            yield "anyname", name
        if query.order_by:
            yield "orderby", query.order_by
            if query.order:
                yield "order", query.order
        if query.includes_secondary:
            yield "secondary", "1"
        if query.includes_metadata:
            yield "returnMetadata", "1"

    def _facts(self, record: Element, ended: bool | None) -> CallFacts | None:
        """Return what a record says; None where it names no call.

        Args:
            record: a `verbacdr` element.
            ended: whether calls that were asked for are over; None where the record alone tells.
        """
        notification = next(iter(read_message(record, ()).notifications), None)
        if notification is None or not notification.call_id:
            return None
        state = notification.field("state")
        if ended is None:
            has_ended = state == "1" or (not state and bool(notification.field("end_time")))
        else:
            # Only `1` is documented; it may end between the question and the answer.
            has_ended = ended or state == "1"
        facts = call_facts(notification, self._zone, has_ended=has_ended)
        return replace(facts, state=CallState.ENDED) if has_ended else facts


def _wall_time(at: datetime, zone: tzinfo, *, is_end: bool) -> str:
    """Return a time as the server reads it: to the second, in its own zone (verba.md 5.3, inferred).

    A time that the autumn clock change repeats could be read as either hour: the wider window is asked for.
    """
    local = at.astimezone(zone)
    if is_end and local.microsecond:
        local = (at + timedelta(seconds=1)).astimezone(zone)
    wall = local.replace(tzinfo=None)
    if local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset():
        repeated = local.replace(fold=0).astimezone(UTC) - local.replace(fold=1).astimezone(UTC)
        wall += abs(repeated) if is_end else -abs(repeated)
    return wall.strftime("%Y-%m-%d %H:%M:%S")


def _markers(root: Element) -> Iterator[CallMarker]:
    """Yield the markers of an answer; their times are in milliseconds (verba.md 5.3)."""
    for name in ("verbamarker", "marker"):
        for element in all_of(root, name):
            start_s = _seconds(_told(element, "start") or _told(element, "position"))
            if start_s is not None:
                end_s = _seconds(_told(element, "end"))
                label = _told(element, "name") or _told(element, "label")
                yield CallMarker(label, start_s, None if end_s is None or end_s <= start_s else end_s)


def _told(element: Element, name: str) -> str:
    inner = next((child for child in element.children if child.name.lower() == name), None)
    return (inner.text if inner is not None else attribute(element, name)).strip()


def _seconds(milliseconds: str) -> float | None:
    text = milliseconds.partition(".")[0]
    return int(text) / 1000 if text.isascii() and text.isdecimal() and len(text) < 12 else None
