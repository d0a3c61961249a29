"""What a check asks a Verba-like server: a harmless probe, a subscription, and a login over HTTP.

Nothing here changes anything on the server.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from urllib.parse import urlsplit

from recmon.domain.checks import Finding, Verdict
from recmon.domain.events import LinkEvent, Subscribed, SubscriptionRefused
from recmon.errors import (
    AuthenticationFailed,
    MalformedMessage,
    ProtocolError,
    RecordingMissing,
    RequestRefused,
)
from recmon.logs import mask, printable
from recmon.protocol.framing import DocumentScanner
from recmon.protocol.http import HttpFlow
from recmon.protocol.peers import BEGINNING_SIZE, other_peer
from recmon.protocol.xml import read_document
from recmon.settings.model import Secret
from recmon.vendors.base import CheckedPlace, EventCodec, EventSource, HttpQuestion, Now, Reveal
from recmon.vendors.verba.business_api import BusinessApi, CallQuery
from recmon.vendors.verba.codec import ROOTS
from recmon.vendors.verba.http_session import ApiSession
from recmon.vendors.verba.messages import TERMINATORS, Answer, read_message
from recmon.vendors.verba.options import HttpOptions, VerbaOptions

PROBE = "GetManagementSummary"
"""The harmless request for a test of the connection (verba.md 2.3)."""

NO_ANSWER_ADVICE = (
    "Perhaps it is another port, a service that does not offer this interface, "
    "or the wrong request_terminator in the settings."
)
_SEARCHED = timedelta(minutes=1)
_REQUEST_ID = "1"


class ManagementProbe:
    """Sends the harmless request; any answer with a code shows that the peer speaks the protocol.

    Silence decides nothing: a service may leave this request out. The subscription that follows decides.

    Args:
        terminator: how requests end.
    """

    step = "probe"

    def __init__(self, terminator: str) -> None:
        self._terminator = terminator
        self._scanner = DocumentScanner(ROOTS)
        self._beginning = b""

    @property
    def request(self) -> bytes:
        document = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<VerbaApi>\n  <Request type="{PROBE}" id="{_REQUEST_ID}"/>\n</VerbaApi>'
        )
        return document.encode() + TERMINATORS[self._terminator]

    def receive_data(self, data: bytes, at: datetime) -> Finding | None:
        if len(self._beginning) < BEGINNING_SIZE:
            self._beginning += data[: BEGINNING_SIZE - len(self._beginning)]
            other = other_peer(self._beginning)
            if other is not None:
                return Finding(Verdict.FAILED, other.text, _sentence(other.advice))
        self._scanner.feed(data)
        return self._answer()

    def receive_eof(self, at: datetime) -> Finding:
        self._scanner.finish()
        return self._answer() or Finding(
            Verdict.NOTE, f"the server closed the connection without an answer to {PROBE}"
        )

    def no_answer(self, waited_s: float) -> Finding:
        return Finding(Verdict.NOTE, f"no answer to {PROBE} within {waited_s:g} s")

    def _answer(self) -> Finding | None:
        while document := self._scanner.next_document():
            if document.declares_types:
                continue
            try:
                said = read_message(read_document(document.data, is_cut=document.is_cut), {_REQUEST_ID})
            except ProtocolError:
                continue
            if said.answer is not None:
                return _probe_finding(said.answer)
            if said.error:
                # It echoes no id, but nothing else was asked on this connection.
                return _probe_finding(Answer("", "", said.error))
        return None


class SubscriptionQuestion:
    """Subscribes as the program does, and tells how; the connection is closed at once afterwards.

    Args:
        codec: of the one connection.
    """

    step = "subscribe"

    def __init__(self, codec: EventCodec) -> None:
        self._codec = codec
        self._codec.start()
        self._request = codec.data_to_send()

    @property
    def request(self) -> bytes:
        return self._request

    def receive_data(self, data: bytes, at: datetime) -> Finding | None:
        return self._told(self._codec.receive_data(data, at))

    def receive_eof(self, at: datetime) -> Finding:
        return self._told(self._codec.receive_eof(at)) or Finding(
            Verdict.FAILED,
            "the server closed the connection before it took the subscription",
            NO_ANSWER_ADVICE,
        )

    def no_answer(self, waited_s: float) -> Finding:
        return Finding(
            Verdict.FAILED, f"no answer to the subscription within {waited_s:g} s", NO_ANSWER_ADVICE
        )

    def _told(self, events: list[LinkEvent]) -> Finding | None:
        for event in events:
            if isinstance(event, SubscriptionRefused):
                return Finding(
                    Verdict.FAILED,
                    f"the server refused the subscription (code {event.code}): {event.reason}",
                    "Ask its administrator what this code means there, and whether numbers can be watched.",
                )
            if isinstance(event, Subscribed):
                return self._subscribed(event.keepalive_s)
        return None

    def _subscribed(self, keepalive_s: float | None) -> Finding:
        numbers = self._request.count(b"<Extension ")
        what = "subscribed to all calls"
        if numbers:
            what = f"subscribed to the calls of {numbers} number{'' if numbers == 1 else 's'}"
        if keepalive_s is None:
            return Finding(
                Verdict.NOTE,
                f"{what}; not supervised, because the server announces no keep-alive",
                "A server that falls silent is noticed late.",
            )
        return Finding(Verdict.OK, f"{what}; a keep-alive is announced every {keepalive_s:g} s")


def checked_places(
    options: VerbaOptions, source: EventSource | None, server: str, zone: tzinfo, reveal: Reveal
) -> tuple[CheckedPlace, ...]:
    """Return what is asked on the recorder API and over HTTP, whichever are configured.

    Args:
        options: the server's own.
        source: how the program itself watches it, or None where it does not.
        server: its name in the settings.
        zone: of times that it writes without one.
        reveal: looks secrets up, when the question is asked.
    """
    places: list[CheckedPlace] = []
    events, http = options.events, options.http
    if events is not None and source is not None:
        # Each on a connection of its own: the server may close after one answer (verba.md 6).
        questions = (ManagementProbe(events.request_terminator), SubscriptionQuestion(source.make_codec()))
        places.append(CheckedPlace("", source.host, source.port, source.tls, questions))
    if http is not None:
        parts = urlsplit(http.base_url)
        is_https = parts.scheme == "https"
        places.append(
            CheckedPlace(
                "http ",
                parts.hostname or "",
                parts.port or (443 if is_https else 80),
                http.tls if is_https else None,
                http_questions=(HttpQuestion("login", http.base_url, _login(http, server, zone, reveal)),),
            )
        )
    return tuple(places)


def _login(
    options: HttpOptions, server: str, zone: tzinfo, reveal: Reveal
) -> Callable[[Now], HttpFlow[Finding]]:
    def ask(now: Now) -> HttpFlow[Finding]:
        password: Secret | None = None if options.password is None else reveal(options.password)
        session = ApiSession(options, server, reveal(options.api_key), password)
        return converse(BusinessApi(session, UTC if options.user is None else zone, page_length=1), now)

    def converse(api: BusinessApi, now: Now) -> HttpFlow[Finding]:
        # Only a read action proves the key; what a login without one proves is not documented.
        query = CallQuery(now() - _SEARCHED, now())
        try:
            yield from api.search_page(query, 0, now)
        except AuthenticationFailed as error:
            return Finding(
                Verdict.FAILED, error.detail, "Check user, password and api_key, and the rights of that user."
            )
        except (RequestRefused, RecordingMissing) as error:
            return Finding(
                Verdict.FAILED,
                f"the server answers, but not to a search: {error}",
                "Check the path in url, and whether this user may search calls.",
            )
        except MalformedMessage as error:
            return Finding(Verdict.FAILED, error.detail, "Check the path in url.")
        who = "the API key was accepted" if options.user is None else "login and API key were accepted"
        text = f"{who}; a search of the last minute was answered"
        if options.url.startswith("http://"):
            return Finding(
                Verdict.NOTE,
                f"{text}; all of it went in clear text",
                "Use https where the network is not trusted.",
            )
        return Finding(Verdict.OK, text)

    return ask


def _probe_finding(answer: Answer) -> Finding:
    if answer.is_success:
        return Finding(Verdict.OK, f"{PROBE} was answered with code 0")
    code = f"code {printable(answer.code, 40)}" if answer.code.strip() else "without a code"
    reason = f": {mask(printable(answer.reason, 200))}" if answer.reason else ""
    return Finding(
        Verdict.NOTE,
        f"{PROBE} was refused ({code}{reason}), which shows that the server speaks this protocol",
    )


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith("?") else f"{text}."
