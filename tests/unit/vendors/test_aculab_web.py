"""The web services of Aculab Cloud as conversations: requests, refusals, lists, sound and what is none."""

from __future__ import annotations

import base64
import json
from collections.abc import Generator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recmon.domain.calls import Call, CallKey, CallState, ServerId
from recmon.domain.cdr import CdrRecord
from recmon.domain.checks import Finding, Verdict
from recmon.errors import (
    AuthenticationFailed,
    DownloadInterrupted,
    DownloadPostponed,
    DownloadRefused,
    MalformedMessage,
    RecmonError,
    RecordingDamaged,
    RecordingError,
    RecordingForbidden,
    RecordingMissing,
    RequestRefused,
)
from recmon.protocol.http import HttpFlow, HttpRequest, HttpResponse, ReadMore
from recmon.protocol.json import JsonValue
from recmon.settings.model import Secret, SecretRef
from recmon.vendors.aculab import ADAPTER
from recmon.vendors.aculab.files import StoredFile, name_fault, read_file_list
from recmon.vendors.aculab.flows import AculabFlows
from recmon.vendors.aculab.options import AculabOptions
from recmon.vendors.aculab.web import WebServices, read_error
from recmon.vendors.base import HistoryFlows, MediaHead

KEY = "demo-access-key-0815"
NAME = "/rest_api/recordings/2026/11/21/10_01_58_7c1e40aa93b2d658.5120.wav"
WAVE = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(40)
OPTIONS = AculabOptions(
    url="https://ws-1-2-0.example.test", user="1-2-0/user@example.com", access_key=SecretRef("env", "KEY")
)
ERROR = {
    "error": {
        "code": "HTTP 404",
        "text": "File not found",
        "datetime": "2026-11-21_09:15:40",
        "link": "https://example.test/errors",
        "details": ["first", "second"],
    },
    "request": {"url": "/file_get", "datetime": "2026-11-21_09:15:39"},
}


def now() -> datetime:
    return datetime(2026, 11, 21, 9, 15, tzinfo=UTC)


def flows() -> AculabFlows:
    made = ADAPTER.recording_flows(OPTIONS, "cloud", UTC, lambda ref: Secret(KEY))
    assert isinstance(made, AculabFlows)
    return made


def run(flow: HttpFlow[Any], *answers: tuple[int, bytes]) -> tuple[Any, list[HttpRequest]]:
    """Answer a conversation's requests in turn, bodies piece by piece; return its result and them."""
    requests: list[HttpRequest] = []
    waiting = list(answers)
    generator: Generator[HttpRequest | ReadMore, HttpResponse, Any] = flow
    status, body, seen = 0, b"", 0
    try:
        step = next(generator)
        while True:
            if isinstance(step, HttpRequest):
                requests.append(step)
                status, body = waiting.pop(0)
                seen = 0 if step.is_streamed else len(body)
            else:
                assert step.size > seen, "more is only asked for where it is needed"
                seen = min(len(body), step.size)
            step = generator.send(HttpResponse(status, {}, body[:seen], seen >= len(body)))
    except StopIteration as stop:
        assert not waiting, "not every answer was asked for"
        return stop.value, requests


def failure(*answers: tuple[int, bytes]) -> RecmonError:
    with pytest.raises(RecmonError) as caught:
        run(flows().download(f"path:{NAME}", now), *answers)
    return caught.value


def fields_of(request: HttpRequest) -> dict[str, str]:
    return {name: value for name, [value] in parse_qs(request.body.decode(), strict_parsing=True).items()}


# Requests


def test_file_is_asked_for_as_a_form_with_the_accounts_login() -> None:
    head, [request] = run(flows().download(f"path:{NAME}", now), (200, WAVE))
    assert head == MediaHead(".wav")
    assert (request.method, request.target, request.is_streamed) == ("POST", "/file_get", True)
    assert fields_of(request) == {"filetype": "media", "filename": NAME}
    headers = dict(request.headers)
    assert headers["Host"] == "ws-1-2-0.example.test"
    assert headers["Accept"] == "application/json"
    login = base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode()
    assert login == f"1-2-0/user@example.com:{KEY}"
    assert headers["Content-Length"] == str(len(request.body))
    assert KEY not in repr(request)


def test_not_found_is_tried_once_in_the_other_form_of_the_name() -> None:
    missing = (404, json.dumps(ERROR).encode())
    head, requests = run(flows().download(f"path:{NAME}", now), missing, (200, WAVE))
    assert head == MediaHead(".wav")
    assert [fields_of(request)["filename"] for request in requests] == [NAME, NAME[1:]]
    _, requests = run(flows().download(f"path:{NAME[1:]}", now), missing, (200, WAVE))
    assert [fields_of(request)["filename"] for request in requests] == [NAME[1:], NAME]
    error = failure(missing, missing)
    assert isinstance(error, RecordingMissing)
    assert "no such file, or not yet" in error.reason


@pytest.mark.parametrize(
    "name", ["../a.wav", "/a/../b.wav", "/a/./b.wav", "a//b.wav", "a.exe", "a\\b.wav", "é.wav", "a b.wav", ""]
)
def test_names_that_the_store_cannot_have_are_never_asked_for(name: str) -> None:
    assert name_fault(name) is not None
    with pytest.raises(RecordingMissing):
        next(flows().download(f"path:{name}", now))


@pytest.mark.parametrize("locator", ["call_id:1", "folder:/a", "nonsense", "file:/tmp/a.wav"])
def test_other_places_are_not_this_servers(locator: str) -> None:
    with pytest.raises(RecordingMissing, match="by the file's name alone"):
        next(flows().download(locator, now))


# What comes instead of sound


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (401, AuthenticationFailed, "refused user and access key"),
        (403, RecordingForbidden, "may not do that"),
        (429, DownloadPostponed, "come back later"),
        (503, DownloadPostponed, "come back later"),
        (500, DownloadInterrupted, "failed"),
        (302, DownloadRefused, "not followed"),
        (400, DownloadRefused, "refused the request"),
    ],
)
def test_statuses_are_errors_by_type_with_the_servers_own_words(
    status: int, kind: type[RecmonError], words: str
) -> None:
    error = failure((status, b'{"error": {"code": "7113", "text": "Some\\nreason"}}'))
    assert type(error) is kind
    assert words in str(error)
    assert status == 302 or "Some\\nreason" in str(error)
    assert isinstance(failure((status, b"<html>")), kind)


def test_an_error_that_comes_with_success_counts_as_what_it_says() -> None:
    body = json.dumps(ERROR).encode()
    assert isinstance(failure((200, body), (200, body)), RecordingMissing)
    refused = failure((200, b'{"error": {"code": "4021", "text": "no"}}'))
    assert isinstance(refused, DownloadRefused)
    assert refused.code == "4021"
    assert isinstance(failure((200, b'{"hello": "world"}')), DownloadRefused)


def test_error_in_broken_json_is_understood() -> None:
    body = b'{"error": {"code": HTTP 404, "text": "No such file", "details": []}}'
    error = read_error(body)
    assert error is not None
    assert (error.code, error.text, error.status) == ("HTTP 404", "No such file", 404)
    assert isinstance(failure((200, body), (404, body)), RecordingMissing)
    assert read_error(b'{"error": oops}') is None
    assert isinstance(failure((500, b'{"error": oops}')), DownloadInterrupted)


def test_details_of_several_faults_are_told_and_the_key_never() -> None:
    error = read_error(json.dumps(ERROR).encode())
    assert error is not None
    assert error.text == "File not found; first; second"
    told = failure((400, json.dumps({"error": {"code": 1, "text": f"bad key {KEY}"}}).encode()))
    assert KEY not in str(told)
    assert "****" in str(told)


def test_ciphertext_is_named_as_perhaps_encrypted() -> None:
    error = failure((200, bytes((37 * place * place + 11 * place) % 251 for place in range(4000))))
    assert type(error) is RecordingError
    assert "it may be encrypted" in error.reason


def test_pages_faxes_and_nothing_are_told_apart() -> None:
    assert isinstance(failure((200, b"<!DOCTYPE html><html></html>")), DownloadRefused)
    assert isinstance(failure((200, b"")), RecordingDamaged)
    assert "a fax" in str(failure((200, b"II*\0" + bytes(range(1, 60)))))


# Lists

FILES = (
    StoredFile("/rest_api/recordings/2026/11/21/a.wav", datetime(2026, 11, 21, 9, 0, 5, tzinfo=UTC), 1200),
    StoredFile("rest_api/recordings/2026/11/20/b.wav", datetime(2026, 11, 20, 8, 0, tzinfo=UTC), 40),
)
KEYED = {
    FILES[0].name: {"created_date": "2026-11-21_09:00:05", "size": 1200},
    FILES[1].name: {"created_date": "2026-11-20_08:00:00", "size": "40"},
}
OBJECTS = [{"filename": name, **told} for name, told in KEYED.items()]


@pytest.mark.parametrize(
    "layout", [KEYED, OBJECTS, {"files": KEYED}, {"files": OBJECTS}, [{n: t} for n, t in KEYED.items()]]
)
def test_lists_are_read_in_every_likely_layout(layout: JsonValue) -> None:
    assert read_file_list(layout) == FILES


def test_a_list_of_names_alone_is_a_list() -> None:
    names: list[JsonValue] = [file.name for file in FILES]
    expected = tuple(StoredFile(file.name) for file in FILES)
    assert read_file_list(names) == expected
    assert read_file_list({"filenames": names}) == expected
    assert read_file_list([]) == ()
    assert read_file_list({}) == ()


@pytest.mark.parametrize("value", [None, 1, "x", {"error": {}}, {"hello": "world"}, [1, 2], [[]]])
def test_what_is_no_list_is_none(value: JsonValue) -> None:
    assert read_file_list(value) is None


def test_epoch_seconds_are_times_and_odd_values_are_left_out() -> None:
    [first, second] = (
        read_file_list(
            [
                {"name": "a.wav", "created": 1763715605, "size": True},
                {"name": "b.wav", "date": "soon", "size": -1},
            ]
        )
        or ()
    )
    assert first == StoredFile("a.wav", datetime(2025, 11, 21, 9, 0, 5, tzinfo=UTC))
    assert second == StoredFile("b.wav")


def test_day_is_that_of_the_name() -> None:
    assert FILES[0].day == date(2026, 11, 21)
    assert FILES[1].day == date(2026, 11, 20)
    assert StoredFile("/rest_api/recordings/2026/13/41/a.wav").day is None
    assert StoredFile("/elsewhere/a.wav").day is None


def test_stored_files_are_asked_for_once() -> None:
    files, [request] = run(flows().stored_files(), (200, json.dumps(KEYED).encode()))
    assert files == FILES
    assert (request.target, fields_of(request)) == ("/file_list", {"filetype": "media"})
    with pytest.raises(MalformedMessage, match="layout"):
        run(flows().stored_files(), (200, b'{"hello": "world"}'))
    with pytest.raises(MalformedMessage, match="cannot be read"):
        run(flows().stored_files(), (200, b"<html>"))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["a.wav", "created", "x"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["a.wav", "files", "name", "created_date", "size", "error"]),
                inner,
                max_size=3,
            )
        ),
    )
)
def test_any_value_is_a_list_or_none(value: JsonValue) -> None:
    for file in read_file_list(value) or ():
        assert file.created_at is None or file.created_at.tzinfo is UTC


# Past calls, where nothing is pushed


def test_an_account_that_tells_its_calls_is_not_asked_for_them() -> None:
    options = replace(OPTIONS, hook_secret=SecretRef("env", "HOOK"))
    assert ADAPTER.history_flows(options, "cloud", UTC, lambda ref: Secret(KEY)) is None
    assert history().history_days == 30


def test_days_touch_and_cover_everything() -> None:
    begin = now() - timedelta(days=2, hours=3)
    windows = list(history().windows(begin, now()))
    assert [window.end for window in windows[1:]] == [window.begin for window in windows[:-1]]
    assert (windows[0].end, windows[-1].begin) == (now(), begin)


def test_calls_that_go_on_single_calls_and_marks_are_not_known() -> None:
    with pytest.raises(RequestRefused):
        run(history().ongoing_calls(now))
    with pytest.raises(RecordingMissing):
        run(history().call_details("1", now))
    assert run(history().markers("1", now)) == ((), [])


def test_recording_of_a_listed_call_is_its_file() -> None:
    def call(**fields: str) -> Call:
        return Call(CallKey(ServerId("cloud"), "1"), CallState.ENDED, cdr=CdrRecord(tuple(fields.items())))

    assert ADAPTER.default_recording(OPTIONS, call(filename=NAME)) == f"path:{NAME}"
    with pytest.raises(RecordingMissing, match="has told of no recording"):
        ADAPTER.default_recording(OPTIONS, call())


def history() -> HistoryFlows:
    made = ADAPTER.history_flows(OPTIONS, "cloud", UTC, lambda ref: Secret(KEY))
    assert made is not None
    return made


# Checks


def finding(*answers: tuple[int, bytes], path: str | None = None) -> Finding:
    [place] = ADAPTER.checked_places(OPTIONS, "cloud", UTC, lambda ref: Secret(KEY), path)
    assert (place.host, place.port, place.tls) == ("ws-1-2-0.example.test", 443, OPTIONS.tls)
    [question] = place.http_questions
    result, _ = run(question.ask(now), *answers)
    assert isinstance(result, Finding)
    return result


@pytest.mark.parametrize(
    ("status", "body", "verdict", "words"),
    [
        (200, b"{}", Verdict.OK, "were accepted"),
        (200, b"[]", Verdict.OK, "were accepted"),
        (200, b'{"odd": 1}', Verdict.NOTE, "layout"),
        (404, b"", Verdict.NOTE, "nothing"),
        (401, b"", Verdict.FAILED, "refused user and access key"),
        (403, b"", Verdict.FAILED, "may not"),
        (500, b"", Verdict.FAILED, "failed"),
        (503, b"", Verdict.FAILED, "come back later"),
        (200, b"<html>", Verdict.FAILED, "cannot be read"),
        (400, b"", Verdict.FAILED, "refused the request"),
    ],
)
def test_check_tells_what_the_login_brought_out(
    status: int, body: bytes, verdict: Verdict, words: str
) -> None:
    found = finding((status, body))
    assert (found.verdict, words in found.text) == (verdict, True), found
    assert verdict is Verdict.OK or found.advice


def test_check_of_a_file_tells_whether_it_is_there() -> None:
    assert "the file is there" in finding((200, json.dumps(KEYED).encode()), path=FILES[0].name).text
    assert finding((200, b"[]"), path=NAME).verdict is Verdict.NOTE


def test_check_asks_for_no_file_that_cannot_be() -> None:
    [place] = ADAPTER.checked_places(OPTIONS, "cloud", UTC, lambda ref: Secret(KEY), "../x")
    with pytest.raises(StopIteration) as stopped:
        next(place.http_questions[0].ask(now))
    assert stopped.value.value.verdict is Verdict.FAILED


def test_there_is_nothing_to_check_where_only_hooks_are_received() -> None:
    options = AculabOptions(hook_secret=SecretRef("env", "HOOK"))
    assert ADAPTER.checked_places(options, "cloud", UTC, lambda ref: Secret(KEY), None) == ()
    assert ADAPTER.recording_flows(options, "cloud", UTC, lambda ref: Secret(KEY)) is None
    assert ADAPTER.hook_parser(OPTIONS, "cloud", UTC, lambda ref: Secret(KEY)) is None


def test_services_keep_their_key_out_of_sight() -> None:
    assert KEY not in repr(vars(WebServices(OPTIONS, "cloud", Secret(KEY))))
