"""The HTTP Business API as generators: what is asked, and what is made of the answers, without a network."""

from __future__ import annotations

import base64
import traceback
from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

import pytest

from recmon.domain.calls import CallState, Direction, Party
from recmon.errors import (
    AuthenticationFailed,
    DownloadInterrupted,
    DownloadPostponed,
    DownloadRefused,
    MalformedMessage,
    RecmonError,
    RecordingDamaged,
    RecordingMissing,
    RequestRefused,
    SecretMissing,
)
from recmon.protocol.http import HttpRequest, HttpResponse, ReadMore
from recmon.settings.model import Secret, SecretRef, TlsOptions
from recmon.vendors.base import CallMarker, CallPage, ListeningFlows, MediaHead, TimeWindow
from recmon.vendors.verba import ADAPTER
from recmon.vendors.verba.business_api import (
    BusinessApi,
    CallById,
    CallIdKind,
    CallOfExtension,
    CallQuery,
    MediaFormat,
)
from recmon.vendors.verba.flows import VerbaHistoryFlows, VerbaRecordingFlows
from recmon.vendors.verba.http_session import ApiSession
from recmon.vendors.verba.options import EventsOptions, HttpOptions, VerbaOptions

KEY = "5e1d7a0c-9b42-4f7e-8a31-2c6d90aa11ef"
PASSWORD = "p&ss=wörd/1"
TOKEN = "Qm7exampleTokenText0Zk"
AT = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
BEGIN = datetime(2026, 11, 20, tzinfo=UTC)
WAVE = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(40)
BERLIN = ZoneInfo("Europe/Berlin")


class Clock:
    def __init__(self) -> None:
        self.at = AT

    def __call__(self) -> datetime:
        return self.at


def options(**values: Any) -> HttpOptions:
    return HttpOptions(
        **(
            {
                "url": "https://rec.example.test:8443/verba",
                "api_key": SecretRef("env", "KEY"),
                "user": "supervisor",
                "password": SecretRef("env", "PASSWORD"),
            }
            | values
        )
    )


def reveal(reference: SecretRef) -> Secret:
    return Secret({"KEY": KEY, "PASSWORD": PASSWORD}[reference.name])


def api(*, page_length: int = 3, zone: Any = UTC, **values: Any) -> BusinessApi:
    made = options(**values)
    password = None if made.password is None else reveal(made.password)
    return BusinessApi(ApiSession(made, "east", Secret(KEY), password), zone, page_length=page_length)


def keyless() -> BusinessApi:
    return api(user=None, password=None)


def parameters(request: HttpRequest) -> list[tuple[str, str]]:
    text = request.body.decode() if request.method == "POST" else urlsplit(request.target).query
    return parse_qsl(text, keep_blank_values=True)


def value(request: HttpRequest, name: str) -> str | None:
    return dict(parameters(request)).get(name)


def document(content: str, code: str = "0", root: str = "VerbaApi") -> HttpResponse:
    body = f'<?xml version="1.0"?>\n<{root}>\n<Response code="{code}">{content}</Response>\n</{root}>'
    return HttpResponse(200, {"content-type": "text/xml"}, body.encode())


def error(code: str, words: str = "It went wrong.") -> HttpResponse:
    return document(f"<ErrorMessage>{words}</ErrorMessage>", code)


def logged_in(token: str = TOKEN) -> HttpResponse:
    body = (
        f'<VerbaApi><Response code="0" type="RequestToken" token="{token}"/>'
        "<SessionId>EXAMPLE0SESSION</SessionId><SessionCookieName>JSESSIONID</SessionCookieName></VerbaApi>"
    )
    return HttpResponse(200, {}, body.encode())


def record(number: int, more: str = "") -> str:
    return (
        f'<verbacdr state="1"><ccdr_id>CALL-{number}</ccdr_id><start_time>2026-11-20 10:00:0{number}.250'
        f"</start_time><end_time>2026-11-20 10:01:00.000</end_time>{more}</verbacdr>"
    )


def rows(*numbers: int) -> HttpResponse:
    return document("<verbacdrlist>" + "".join(map(record, numbers)) + "</verbacdrlist>")


Answer = Callable[[HttpRequest], HttpResponse]


class Server:
    """Answers the requests of one or more conversations; a new login gets a new token."""

    def __init__(self, answer: Answer | HttpResponse) -> None:
        self.requests: list[HttpRequest] = []
        self.logins = 0
        self._answer = answer

    def run(self, flow: Generator[Any, HttpResponse, Any]) -> Any:
        step, body = next(flow), HttpResponse(200)
        while True:
            if isinstance(step, ReadMore):
                response = body
            else:
                self.requests.append(step)
                body = self._respond(step)
                response = body
                if step.is_streamed and len(body.body) > 1:
                    # What arrives first may be a single byte.
                    response = HttpResponse(body.status, body.headers, body.body[:1], is_complete=False)
            try:
                step = flow.send(response)
            except StopIteration as end:
                return end.value

    def _respond(self, request: HttpRequest) -> HttpResponse:
        if value(request, "action") == "RequestToken":
            self.logins += 1
            return logged_in(f"{TOKEN}{self.logins}")
        return self._answer if isinstance(self._answer, HttpResponse) else self._answer(request)

    def failure(self, flow: Generator[Any, HttpResponse, Any]) -> RecmonError:
        with pytest.raises(RecmonError) as caught:
            self.run(flow)
        return caught.value


def run_media(body: bytes, *, status: int = 200, headers: dict[str, str] | None = None) -> Any:
    return Server(HttpResponse(status, headers or {}, body)).run(
        keyless().media_encoded("c", MediaFormat.PCM_16, Clock())
    )


# Login


def test_a_login_sends_key_and_basic_credentials_and_then_the_token_and_the_cookie():
    server = Server(rows())
    server.run(api().search_page(CallQuery(BEGIN, AT), 0, Clock()))
    login, search = server.requests
    assert login.method == "GET"
    assert login.target == f"/verba/api?action=RequestToken&apiKey={KEY}"
    expected = base64.b64encode(f"supervisor:{PASSWORD}".encode()).decode()
    assert ("Authorization", f"Basic {expected}") in login.headers
    assert ("Host", "rec.example.test:8443") in login.headers
    assert value(search, "token") == f"{TOKEN}1"
    assert value(search, "apiKey") == KEY
    assert ("Cookie", "JSESSIONID=EXAMPLE0SESSION") in search.headers
    assert not any(name == "Authorization" for name, _ in search.headers)


def test_a_key_alone_suffices_where_no_user_is_configured():
    server = Server(rows())
    server.run(keyless().search_page(CallQuery(BEGIN, AT), 0, Clock()))
    assert server.logins == 0
    assert value(server.requests[0], "token") is None


def test_a_token_is_used_for_55_minutes_and_renewed_then():
    server, clock, made = Server(rows()), Clock(), api()

    def ask() -> None:
        server.run(made.search_page(CallQuery(BEGIN, AT), 0, clock))

    ask()
    clock.at = AT + timedelta(minutes=54, seconds=59)
    ask()
    assert server.logins == 1
    clock.at = AT + timedelta(minutes=55)
    ask()
    assert server.logins == 2
    assert value(server.requests[-1], "token") == f"{TOKEN}2"


def test_a_clock_that_was_set_back_renews_the_token():
    server, clock, made = Server(rows()), Clock(), api()
    server.run(made.search_page(CallQuery(BEGIN, AT), 0, clock))
    clock.at = AT - timedelta(days=1)
    server.run(made.search_page(CallQuery(BEGIN, AT), 0, clock))
    assert server.logins == 2


@pytest.mark.parametrize(
    "refusal",
    [error("-43"), error("-42"), error("2", "The token has expired."), error("2", "Login required")],
)
def test_an_expired_token_is_renewed_once(refusal):
    server = Server(lambda request: refusal if value(request, "token") == f"{TOKEN}1" else rows(1))
    page = server.run(api().search_page(CallQuery(BEGIN, AT), 0, Clock()))
    assert len(page.calls) == 1
    assert [value(request, "action") for request in server.requests] == [
        "RequestToken",
        "SearchCalls",
        "RequestToken",
        "SearchCalls",
    ]


@pytest.mark.parametrize("streamed", [False, True])
def test_a_second_expiry_is_an_error_and_asks_no_more(streamed):
    server, made = Server(error("-43")), api()
    flow = made.media("c", Clock()) if streamed else made.search_page(CallQuery(BEGIN, AT), 0, Clock())
    assert isinstance(server.failure(flow), AuthenticationFailed)
    assert len(server.requests) == 4


def test_an_expired_token_is_renewed_before_media_too():
    server = Server(
        lambda request: (
            error("-43") if value(request, "token") == f"{TOKEN}1" else HttpResponse(200, {}, WAVE)
        )
    )
    assert server.run(api().media("c", Clock())) == MediaHead(".wav")
    assert server.logins == 2


def test_a_token_renewed_by_another_conversation_is_used_without_a_login():
    made, clock = api(), Clock()
    server = Server(rows())
    slow = made.search_page(CallQuery(BEGIN, AT), 0, clock)
    assert value(next(slow), "action") == "RequestToken"
    assert value(slow.send(logged_in("first")), "token") == "first"
    # Meanwhile another one finds the token expired and gets a new one.
    other = made.search_page(CallQuery(BEGIN, AT), 0, clock)
    assert value(next(other), "token") == "first"
    other.send(error("-43"))
    other.send(logged_in("second"))
    again = slow.send(error("-43"))
    assert (value(again, "action"), value(again, "token")) == ("SearchCalls", "second")
    assert server.requests == []


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (error("-40"), AuthenticationFailed),
        (error("-41"), AuthenticationFailed),
        (error("2", "Invalid credentials."), AuthenticationFailed),
        (HttpResponse(401, {}, b""), AuthenticationFailed),
        (HttpResponse(403, {}, b""), AuthenticationFailed),
        (document(""), MalformedMessage),
        (logged_in("with space"), MalformedMessage),
    ],
)
def test_a_refused_login_is_not_tried_again(answer, kind):
    flow = api().search_page(CallQuery(BEGIN, AT), 0, Clock())
    next(flow)
    with pytest.raises(kind):
        flow.send(answer)


def test_cookies_of_answers_are_kept_and_those_that_fit_no_header_are_not():
    made = api()
    flow = made.search_page(CallQuery(BEGIN, AT), 0, Clock())
    next(flow)
    login = logged_in()
    search = flow.send(
        HttpResponse(200, {"set-cookie": "JSESSIONID=FRESH.node1; Path=/verba; HttpOnly"}, login.body)
    )
    assert ("Cookie", "JSESSIONID=FRESH.node1") in search.headers
    body = login.body.replace(b"EXAMPLE0SESSION", b"a&#13;&#10;X: y")
    flow = api().search_page(CallQuery(BEGIN, AT), 0, Clock())
    next(flow)
    search = flow.send(HttpResponse(200, {}, body))
    assert all("\r" not in text and "\n" not in text for _, text in search.headers)


def test_secrets_are_in_no_error_and_no_repr():
    echo = f"token {TOKEN}1 and key {KEY} and {PASSWORD} and JSESSIONID EXAMPLE0SESSION: call not found"
    echo = echo.replace("&", "&amp;")
    shown: list[str] = []
    for code in ("2", "-1", "-41", "-43", "-50"):
        made = api()
        server = Server(error(code, echo))
        failure = server.failure(made.media("c", Clock()))
        shown += [repr(failure), str(failure), "".join(traceback.format_exception(failure))]
        shown += [repr(made), repr(vars(made)), *map(repr, server.requests), repr(options())]
        shown += [repr(vars(made._session))]
    text = "\n".join(shown)
    credentials = base64.b64encode(f"supervisor:{PASSWORD}".encode()).decode()
    for secret in (KEY, PASSWORD, TOKEN, "EXAMPLE0SESSION", credentials):
        assert secret not in text


# Requests


def test_values_are_url_encoded_and_zone_and_filters_are_sent():
    server = Server(rows())
    query = CallQuery(
        BEGIN,
        BEGIN + timedelta(hours=1, microseconds=1),
        numbers=("+49 30&1", "200"),
        names=("Müller/Söhne",),
        order_by="source_caller_id",
        order="desc",
        includes_secondary=True,
        includes_metadata=True,
    )
    server.run(api(zone=BERLIN).search_page(query, 6, Clock()))
    request = server.requests[-1]
    assert "anynum=%2B49%2030%261" in request.target
    assert parameters(request)[3:] == [
        ("start", "2026-11-20 01:00:00"),
        ("end", "2026-11-20 02:00:01"),
        ("status", "recorded"),
        ("anynum", "+49 30&1"),
        ("anynum", "200"),
        ("anyname", "Müller/Söhne"),
        ("orderby", "source_caller_id"),
        ("order", "desc"),
        ("secondary", "1"),
        ("returnMetadata", "1"),
        ("pagefirst", "6"),
        ("pagelen", "3"),
        ("responseType", "XML"),
    ]


def test_an_hour_that_comes_twice_is_asked_for_as_a_whole():
    server = Server(rows())
    begin, end = datetime(2026, 10, 25, 1, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 40, tzinfo=UTC)
    server.run(api(zone=BERLIN).search_page(CallQuery(begin, end), 0, Clock()))
    assert value(server.requests[-1], "start") == "2026-10-25 01:30:00"
    assert value(server.requests[-1], "end") == "2026-10-25 03:40:00"


def test_what_would_be_too_long_for_an_address_is_sent_as_a_form():
    server = Server(rows())
    numbers = tuple(f"+49301234567{number}" for number in range(300))
    server.run(api().search_page(CallQuery(BEGIN, AT, numbers=numbers), 0, Clock()))
    request = server.requests[-1]
    assert request.method == "POST"
    assert request.target == "/verba/api"
    assert ("Content-Length", str(len(request.body))) in request.headers
    assert [text for name, text in parameters(request) if name == "anynum"] == list(numbers)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (CallById("c-1"), {"callID": "c-1"}),
        (CallById("17", CallIdKind.PLATFORM), {"platformCallID": "17"}),
        (CallById("8|1", CallIdKind.NATIVE), {"nativeID": "8|1"}),
        (CallById("m", CallIdKind.MEETING), {"meetingID": "m"}),
        (CallOfExtension("4410", "ongoing,next"), {"extension": "4410", "status": "ongoing,next"}),
    ],
)
def test_one_call_is_asked_for_in_each_documented_way(call, expected):
    for action, content in (
        ("call_information", record(1)),
        ("call_id", "<CallID>c-1</CallID>"),
        ("call_url", "<CallURL>https://rec.example.test/c-1</CallURL>"),
    ):
        server = Server(document(content))
        server.run(getattr(keyless(), action)(call, Clock()))
        assert expected.items() <= dict(parameters(server.requests[0])).items()


# Answers


def test_a_record_means_the_same_as_over_the_recorder_api():
    more = (
        "<source_caller_id>4410</source_caller_id><source_name>Desk &amp; Four</source_name>"
        "<destination_caller_id>+15550100</destination_caller_id><direction_id>2</direction_id>"
        "<cause_id>1</cause_id><shared_item><id>77</id></shared_item><own_field>kept</own_field>"
    )
    facts = Server(document(record(1, more))).run(
        api(zone=BERLIN).call_information(CallById("CALL-1"), Clock())
    )
    assert facts.native_id == "call-1"
    assert facts.state is CallState.ENDED
    assert facts.direction is Direction.OUTGOING
    assert facts.caller == Party("4410", "Desk & Four")
    assert facts.callee == Party("+15550100")
    assert facts.started_at == datetime(2026, 11, 20, 9, 0, 1, 250_000, UTC)
    assert facts.ended_at == datetime(2026, 11, 20, 9, 1, tzinfo=UTC)
    assert facts.cause == "source disconnected"
    assert facts.cdr.get("own_field") == "kept"
    assert facts.cdr.get("ccdr_id") == "CALL-1"


@pytest.mark.parametrize(
    ("attributes", "end_time", "state"),
    [
        (' state="1"', "2026-11-20 10:01:00", CallState.ENDED),
        (' state="0"', "", CallState.CONNECTED),
        (' state="0"', "2026-11-20 10:01:00", CallState.CONNECTED),
        ("", "2026-11-20 10:01:00", CallState.ENDED),
        ("", "", CallState.CONNECTED),
    ],
)
def test_details_tell_whether_the_call_goes_on(attributes, end_time, state):
    text = f"<verbacdr{attributes}><id>c</id><end_time>{end_time}</end_time></verbacdr>"
    facts = Server(document(text)).run(keyless().call_information(CallById("c"), Clock()))
    assert facts.state is state


def test_the_printed_sample_with_a_misspelt_close_tag_is_read():
    text = record(1, "<direction_id>2</diection_id>")
    facts = Server(document(text)).run(keyless().call_information(CallById("c"), Clock()))
    assert facts.direction is Direction.OUTGOING


@pytest.mark.parametrize(
    "body",
    [
        '<verbacdrlist rowcount="2">{0}</verbacdrlist>',
        '<VerbaApi rowcount="2"><Response code="0"/><verbacdrlist>{0}</verbacdrlist></VerbaApi>',
        '<VerbaApi><Response code="0" rowcount="2"><verbacdrlist>{0}</verbacdrlist></Response></VerbaApi>',
    ],
)
def test_a_list_is_found_wherever_it_stands(body):
    text = body.format(record(1) + record(2))
    page = Server(HttpResponse(200, {}, text.encode())).run(
        keyless().search_page(CallQuery(BEGIN, AT), 0, Clock())
    )
    assert [facts.native_id for facts in page.calls] == ["call-1", "call-2"]


def test_pages_end_with_the_first_short_one():
    made = keyless()
    page = Server(rows(1, 2, 3)).run(made.search_page(CallQuery(BEGIN, AT), 0, Clock()))
    assert (page.is_last, page.next_first) == (False, 3)
    known = {facts.native_id for facts in page.calls}
    page = Server(rows(4)).run(made.search_page(CallQuery(BEGIN, AT), 3, Clock(), known))
    assert (page.is_last, page.next_first) == (True, 4)
    assert Server(rows()).run(made.search_page(CallQuery(BEGIN, AT), 6, Clock(), known)) == CallPage(
        (), 6, True
    )


def test_pages_end_where_a_server_ignores_paging():
    made = keyless()
    page = Server(rows(1, 2, 3, 4)).run(made.search_page(CallQuery(BEGIN, AT), 0, Clock()))
    assert (page.is_last, page.next_first) == (False, 4)
    known = {facts.native_id for facts in page.calls}
    page = Server(rows(1, 2, 3, 4)).run(made.search_page(CallQuery(BEGIN, AT), 4, Clock(), known))
    assert page.is_last


def test_a_server_that_ignores_paging_may_send_very_many_rows():
    body = "".join(f"<verbacdr><ccdr_id>c-{row}</ccdr_id><a/><b/></verbacdr>" for row in range(6000))
    page = Server(document(body)).run(keyless().search_page(CallQuery(BEGIN, AT), 0, Clock()))
    assert len(page.calls) == 6000


def test_a_row_without_an_id_is_left_out_and_still_counted():
    nameless = "<verbacdr><start_time>2026-11-20 10:00:00</start_time></verbacdr>"
    answer = document(record(1) + nameless + record(2))
    page = Server(answer).run(keyless().search_page(CallQuery(BEGIN, AT), 0, Clock()))
    assert [facts.native_id for facts in page.calls] == ["call-1", "call-2"]
    assert (page.is_last, page.next_first) == (False, 3)


@pytest.mark.parametrize("inside", [False, True])
def test_a_call_id_is_found_inside_and_beside_the_response(inside):
    text = "<CallID>c-1</CallID>"
    answer = (
        document(text)
        if inside
        else HttpResponse(200, {}, f'<VerbaApi><Response code="0"/>{text}</VerbaApi>'.encode())
    )
    assert Server(answer).run(keyless().call_id(CallOfExtension("1"), Clock())) == "c-1"


@pytest.mark.parametrize(("action", "call"), [("call_id", CallById("c")), ("call_url", CallById("c"))])
def test_an_answer_without_its_result_is_malformed(action, call):
    server = Server(document("<CallURL>javascript:alert(1)</CallURL>"))
    assert isinstance(server.failure(getattr(keyless(), action)(call, Clock())), MalformedMessage)


def test_markers_are_read_in_milliseconds_and_in_order_of_time():
    body = (
        '<VerbaApi><Response code="0"><verbamarker><name>Late</name><start>9000</start><end>12500</end>'
        '</verbamarker><verbamarker name="Early" start="1500"/><verbamarker><name>Nowhere</name>'
        "</verbamarker></Response><VerbaApi>"
    )
    found = Server(HttpResponse(200, {}, body.encode())).run(keyless().markers("c", Clock()))
    assert found == (CallMarker("Early", 1.5, None), CallMarker("Late", 9.0, 12.5))


# Errors


@pytest.mark.parametrize(
    ("code", "words", "kind"),
    [
        ("-1", "", RequestRefused),
        ("-10", "", RequestRefused),
        ("-20", "", RequestRefused),
        ("-30", "", RequestRefused),
        ("-40", "", AuthenticationFailed),
        ("-41", "", AuthenticationFailed),
        ("-42", "", AuthenticationFailed),
        ("-43", "", AuthenticationFailed),
        ("-50", "", RecordingMissing),
        ("-60", "", RequestRefused),
        ("-70", "", RecordingMissing),
        ("-71", "", RecordingMissing),
        ("-80", "", RequestRefused),
        ("2", "The call cannot be found.", RecordingMissing),
        ("2", "No call has this identifier.", RecordingMissing),
        ("2", "No such call", RecordingMissing),
        ("2", "Media not found", RecordingMissing),
        ("2", "More than one call matches.", RequestRefused),
        ("2", "API key is invalid", AuthenticationFailed),
        ("2", "", RequestRefused),
        ("4711", "", RequestRefused),
        ("yes", "", RequestRefused),
    ],
)
def test_every_code_has_its_meaning(code, words, kind):
    failure = Server(error(code, words)).failure(keyless().markers("c", Clock()))
    assert type(failure) is kind
    assert code in str(failure)
    assert words in str(failure)


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (HttpResponse(401, {}, b""), AuthenticationFailed),
        (HttpResponse(403, {}, b"<html>"), AuthenticationFailed),
        (HttpResponse(404, {}, b"<html>"), RequestRefused),
        (HttpResponse(500, {}, b""), RequestRefused),
        (HttpResponse(302, {"location": "https://elsewhere"}, b""), RequestRefused),
        (HttpResponse(500, {}, error("-50").body), RecordingMissing),
        (HttpResponse(200, {}, b"<!DOCTYPE html><html/>"), MalformedMessage),
        (HttpResponse(200, {}, b""), MalformedMessage),
        (HttpResponse(200, {}, b'<rss code="0"/>'), MalformedMessage),
        (HttpResponse(200, {}, b'<!DOCTYPE a [<!ENTITY b "c">]><VerbaApi/>'), MalformedMessage),
    ],
)
def test_other_answers_are_told_apart(response, kind):
    failure = Server(response).failure(keyless().markers("c", Clock()))
    assert type(failure) is kind


# Media


@pytest.mark.parametrize(
    ("body", "extension"),
    [
        (WAVE, ".wav"),
        (b"ID3\x04" + bytes(60), ".mp3"),
        (b"\xff\xe3\x28\xc4" + bytes(60), ".mp3"),
        (b"OggS" + bytes(60), ".ogg"),
        (bytes(range(1, 64)), ".raw"),
    ],
)
def test_media_are_named_by_their_first_bytes(body, extension):
    assert run_media(body, headers={"content-type": "audio/whatever"}) == MediaHead(extension)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", RecordingDamaged),
        (error("-70").body, RecordingMissing),
        (b"\xef\xbb\xbf\r\n  " + error("-50").body, RecordingMissing),
        (error("-20", "control &#1; \x01 character").body, RequestRefused),
        (error("-20").body + bytes(20), RequestRefused),
        (document("").body, DownloadRefused),
        (b"<!doctype html><html><body>Sign in</body></html>", DownloadRefused),
        (b"<?xml version='1.0'?>" + b"<a>" * 100, DownloadRefused),
        (b"<?xml version='1.0'?>\n<!DOCTYPE html PUBLIC 'x'><html></html>", DownloadRefused),
        (b"<?xml version='1.0'?><VerbaApi>" + b" " * 70_000, DownloadRefused),
        (
            '<?xml version="1.0"?><VerbaApi><Response code="-70"/></VerbaApi>'.encode("utf-16"),
            RecordingMissing,
        ),
        (b'{"code": 2}' + bytes(0), DownloadRefused),
        (b" " * 5000, DownloadRefused),
    ],
)
def test_what_is_no_media_is_an_error_with_status_200(body, kind):
    with pytest.raises(RecmonError) as caught:
        run_media(body, headers={"content-type": "audio/x-wav"})
    assert isinstance(caught.value, kind)


def test_a_text_is_no_recording_whatever_its_first_bytes():
    with pytest.raises(DownloadRefused):
        run_media(b"Sorry, try later on", headers={"content-type": "text/plain;charset=UTF-8"})


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, b"", AuthenticationFailed),
        (403, b"<html>no</html>", AuthenticationFailed),
        (404, b"<html>no</html>", DownloadRefused),
        (404, error("-50").body, RecordingMissing),
        (302, b"", DownloadRefused),
        (429, b"", DownloadPostponed),
        (503, b"", DownloadPostponed),
        (500, WAVE, DownloadInterrupted),
    ],
)
def test_the_status_of_media_is_heeded(status, body, kind):
    with pytest.raises(RecmonError) as caught:
        run_media(body, status=status)
    assert type(caught.value) is kind


@pytest.mark.parametrize("works", ["callID", "ccdr_id", "cid"])
def test_the_id_parameter_that_works_is_found_and_remembered(works):
    def answer(request: HttpRequest) -> HttpResponse:
        return HttpResponse(200, {}, WAVE) if value(request, works) == "c" else error("-20")

    server, made = Server(answer), keyless()
    assert server.run(made.media("c", Clock())) == MediaHead(".wav")
    asked = ["callID", "ccdr_id", "cid"]
    tried = asked[: asked.index(works) + 1]
    assert [next(name for name in asked if value(request, name)) for request in server.requests] == tried
    server.run(made.media("c", Clock()))
    assert len(server.requests) == len(tried) + 1
    assert value(server.requests[-1], works) == "c"


def test_a_recording_that_is_missing_under_every_name_is_missing():
    server = Server(lambda request: error("-70") if value(request, "ccdr_id") else error("-20"))
    failure = server.failure(keyless().media("c", Clock()))
    assert isinstance(failure, RecordingMissing)
    assert len(server.requests) == 3


def test_errors_that_have_nothing_to_do_with_the_name_are_not_tried_again():
    for answer in (error("-30"), error("-41"), HttpResponse(500, {}, b""), HttpResponse(200, {}, b"<html>")):
        server = Server(answer)
        server.failure(keyless().media("c", Clock()))
        assert len(server.requests) == 1


def test_other_media_are_asked_for_by_their_documented_names():
    made = keyless()
    server = Server(HttpResponse(200, {}, WAVE))
    server.run(made.media_encoded("c", MediaFormat.ALAW, Clock()))
    server.run(made.media_segment("c", 5, 20, MediaFormat.PCM_16, Clock()))
    server.run(made.media_live("c", Clock()))
    asked = [dict(parameters(request)) for request in server.requests]
    assert [{k: v for k, v in one.items() if k != "apiKey"} for one in asked] == [
        {"action": "GetMediaEncoded", "cid": "c", "format": "alaw"},
        {"action": "GetMediaSegment", "cid": "c", "start": "5", "end": "20", "format": "pcm16"},
        {"action": "GetMediaLive", "callID": "c", "format": "mp3"},
    ]
    assert all(request.is_streamed for request in server.requests)


# What the program sees


def verba(http: HttpOptions | None) -> VerbaOptions:
    return VerbaOptions(EventsOptions("rec.example.test", 5566), http)


def test_without_an_http_table_there_are_no_recordings_and_no_history():
    assert ADAPTER.recording_flows(verba(None), "east", UTC, reveal) is None
    assert ADAPTER.history_flows(verba(None), "east", UTC, reveal) is None


def test_with_an_http_table_recordings_come_by_call_id():
    flows = ADAPTER.recording_flows(verba(options(parallel_downloads=1)), "east", UTC, reveal)
    assert isinstance(flows, VerbaRecordingFlows)
    assert isinstance(flows, ListeningFlows)
    assert flows.base_url == "https://rec.example.test:8443"
    assert flows.tls == TlsOptions()
    assert flows.parallel_downloads == 1
    server = Server(HttpResponse(200, {}, WAVE))
    assert server.run(flows.download("call_id:C-1", Clock())) == MediaHead(".wav")
    assert value(server.requests[-1], "callID") == "C-1"
    assert server.run(flows.listen("c-1", Clock())) == MediaHead(".wav")
    for locator in ("path:/a.wav", "call_id: ", "call_id:a\nb", "nonsense", f"call_id:{'x' * 600}"):
        assert isinstance(server.failure(flows.download(locator, Clock())), RecordingMissing)
    assert len(server.requests) == 3


def history(zone: Any = UTC, **values: Any) -> VerbaHistoryFlows:
    flows = ADAPTER.history_flows(verba(options(**values)), "east", zone, reveal)
    assert isinstance(flows, VerbaHistoryFlows)
    return flows


def test_history_is_cut_into_the_days_of_the_server_latest_first():
    begin, end = datetime(2026, 10, 24, 12, tzinfo=UTC), datetime(2026, 10, 26, 12, tzinfo=UTC)
    assert list(history(BERLIN).windows(begin, end)) == [
        TimeWindow(datetime(2026, 10, 25, 23, tzinfo=UTC), end),
        TimeWindow(datetime(2026, 10, 24, 22, tzinfo=UTC), datetime(2026, 10, 25, 23, tzinfo=UTC)),
        TimeWindow(begin, datetime(2026, 10, 24, 22, tzinfo=UTC)),
    ]
    assert list(history().windows(end, begin)) == []


def test_times_are_in_the_user_s_zone_after_a_login_and_in_gmt_without():
    for values, started in (({}, 9), ({"user": None, "password": None}, 10)):
        server = Server(rows(1))
        page = server.run(history(BERLIN, **values).search_page(TimeWindow(BEGIN, AT), 0, Clock()))
        assert page.calls[0].started_at.hour == started


def test_ongoing_calls_are_collected_over_all_pages():
    def answer(request: HttpRequest) -> HttpResponse:
        assert value(request, "status") == "ongoing"
        first = int(value(request, "pagefirst") or 0)
        records = [
            f'<verbacdr state="0"><ccdr_id>c-{row}</ccdr_id><end_time></end_time></verbacdr>'
            for row in range(first, min(first + 50, 120))
        ]
        return document("".join(records))

    server = Server(answer)
    calls = server.run(history().ongoing_calls(Clock()))
    assert [facts.native_id for facts in calls] == [f"c-{row}" for row in range(120)]
    assert all(facts.state is CallState.CONNECTED for facts in calls)
    assert len(server.requests) == 4


def test_details_and_markers_are_asked_for_by_native_id():
    flows = history()
    server = Server(lambda request: document(record(1) if value(request, "callID") else ""))
    assert server.run(flows.call_details("call-1", Clock())).native_id == "call-1"
    assert server.run(flows.markers("call-1", Clock())) == ()
    assert value(server.requests[-1], "cid") == "call-1"


def test_a_missing_secret_is_told_when_the_flows_are_made():
    def none(reference: SecretRef) -> Secret:
        raise SecretMissing((f"{reference} is not set",))

    with pytest.raises(SecretMissing):
        ADAPTER.recording_flows(verba(options()), "east", UTC, none)


# Settings


@pytest.mark.parametrize(
    ("url", "base_url", "path", "host"),
    [
        ("https://rec.example.test/verba", "https://rec.example.test", "/verba/api", "rec.example.test"),
        ("https://rec.example.test", "https://rec.example.test", "/verba/api", "rec.example.test"),
        ("https://rec.example.test:443/", "https://rec.example.test", "/verba/api", "rec.example.test"),
        ("http://127.0.0.1:8080/a/b/", "http://127.0.0.1:8080", "/a/b/api", "127.0.0.1:8080"),
        ("http://[::1]:80/verba", "http://[::1]", "/verba/api", "[::1]"),
    ],
)
def test_the_address_is_split_into_server_and_path(url, base_url, path, host):
    made = options(url=url)
    assert (made.base_url, made.path, made.host_header) == (base_url, path, host)


@pytest.mark.parametrize(
    "values",
    [
        {"url": "rec.example.test/verba"},
        {"url": "ftp://rec.example.test"},
        {"url": "https://user:pw@rec.example.test"},
        {"url": "https://rec.example.test/verba?x=1"},
        {"url": "https://rec.example.test/verba/api"},
        {"url": "https://rec example.test"},
        {"url": "https://rec.example.test:99999"},
        {"password": None},
        {"user": None},
        {"user": "a:b"},
        {"fingerprint": "sha1:00"},
        {"url": "http://rec.example.test", "fingerprint": "sha256:" + "0" * 64},
        {"parallel_downloads": 0},
    ],
)
def test_settings_that_cannot_work_are_refused(values):
    with pytest.raises(ValueError, match=r"url|user|fingerprint|parallel"):
        options(**values)
