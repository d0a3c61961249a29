"""Downloads as generators: what is asked, and the verdict on what comes, without a network."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from recmon.domain.calls import Call, CallKey, CallState, ServerId
from recmon.domain.cdr import CdrRecord
from recmon.errors import (
    AuthenticationFailed,
    DownloadInterrupted,
    DownloadPostponed,
    DownloadRefused,
    RecmonError,
    RecordingDamaged,
    RecordingMissing,
    SecretMissing,
)
from recmon.protocol.http import HttpRequest, HttpResponse, ReadMore
from recmon.settings.model import Secret, SecretRef
from recmon.vendors.base import MediaHead, RecordingFlows, VendorAdapter
from recmon.vendors.huawei_ccfs import ADAPTER
from recmon.vendors.huawei_ccfs.flows import ERROR_LIMIT
from recmon.vendors.huawei_ccfs.options import CcfsOptions

SECRET_KEY = "demo-sk-0123456789abcdef"
WAVE = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(40)
MISSING = b'{"resultCode":"0300011","resultDesc":"no such file","resultData":""}'


def now() -> datetime:
    return datetime(2026, 11, 21, 8, 15, 30, 125_000, UTC)


def flows(**values: Any) -> RecordingFlows:
    options = CcfsOptions(
        **(
            {
                "url": "https://ccfs.example.test:18443",
                "access_key": "demo-ak-01",
                "secret_key": SecretRef("env", "KEY"),
            }
            | values
        )
    )
    made = ADAPTER.recording_flows(options, "archive", UTC, lambda reference: Secret(SECRET_KEY))
    assert made is not None
    return made


def first_request(locator: str, **values: Any) -> HttpRequest:
    step = next(flows(**values).download(locator, now))
    assert isinstance(step, HttpRequest)
    return step


def finish(
    body: bytes,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    arrived: int = 0,
    more: Callable[[int], int] = lambda size: size,
) -> tuple[MediaHead, int]:
    """Run a flow against a body; returns the verdict and how many bytes it needed.

    Args:
        body: what the server sends.
        status: HTTP status.
        headers: of the response.
        arrived: bytes that come with the head of the response.
        more: how many bytes are there when `size` are asked for.
    """
    flow = flows().download("path:Y:/voice/7/IVRrecordFile/a.wav", now)
    assert isinstance(next(flow), HttpRequest)
    seen = min(arrived, len(body))
    try:
        while True:
            step = flow.send(HttpResponse(status, headers or {}, body[:seen], seen >= len(body)))
            assert isinstance(step, ReadMore), "only one request is ever sent"
            assert step.size > seen, "more is only asked for where it is needed"
            seen = min(len(body), max(more(step.size), step.size))
    except StopIteration as stop:
        verdict: MediaHead = stop.value
        return verdict, seen


def failure(body: bytes, **values: Any) -> RecmonError:
    with pytest.raises(RecmonError) as caught:
        finish(body, **values)
    return caught.value


# Requests


def test_a_path_is_asked_for_exactly_as_in_the_vectors() -> None:
    request = first_request("path:Y:/voice/7/IVRrecordFile/greeting_01.wav")
    headers = dict(request.headers)
    assert (request.method, request.target) == ("POST", "/CCFS/resource/ccfs/ivr/downloadFile")
    assert request.body == (
        b'{"request":{"version":"2.0"},"msgBody":{"filePath":"Y:/voice/7/IVRrecordFile/greeting_01.wav"}}'
    )
    assert headers["Host"] == "ccfs.example.test:18443"
    assert headers["Content-Type"] == "application/json;charset=UTF-8"
    assert headers["Content-Length"] == "95"
    # vector 4 of ccfs.md 2.2
    assert headers["Authorization"] == (
        "auth-v2/demo-ak-01/2026-11-21T08:15:30.125Z/content-length;content-type;host/"
        "6ada55b5112d488964a67021f30dec191ff9e33fc24c55bbe3112813cdee0fca"
    )
    assert request.is_streamed


def test_compatibility_settings_change_the_signature_and_nothing_else() -> None:
    path = "path:Y:/voice/7/IVRrecordFile/greeting_01.wav"
    usual = first_request(path)
    with_line = first_request(path, empty_query_line=True)
    assert dict(with_line.headers)["Authorization"].endswith(
        "/75577f03aa3d185ef5b3e5052636e1170b1155c39e0e127b8a605a8cdde2879d"
    )
    host_only = first_request(path, signed_headers=("Host",), timestamp="seconds")
    assert dict(host_only.headers)["Authorization"].startswith(
        "auth-v2/demo-ak-01/2026-11-21T08:15:30Z/host/"
    )
    assert usual.body == with_line.body == host_only.body
    assert [name for name, _ in usual.headers] == [name for name, _ in host_only.headers]


def test_a_folder_is_asked_for_with_the_mode_as_a_number_and_no_slash_at_its_end() -> None:
    body = json.loads(first_request("folder:Y:/3rdfile/7/thirdvoicebotfile/").body)
    assert body["msgBody"] == {"filePath": "Y:/3rdfile/7/thirdvoicebotfile", "mode": 1}


def test_a_call_id_is_asked_for_with_the_operation_for_calls() -> None:
    request = first_request("call_id:1605492949-1447")
    assert request.target == "/CCFS/resource/ccfs/downloadRecord"
    assert json.loads(request.body)["msgBody"] == {"callId": "1605492949-1447"}


def test_the_signed_body_is_the_sent_body_also_outside_ascii() -> None:
    request = first_request("path:Y:/39/record/\u7559\u8a00 01.wav")
    headers = dict(request.headers)
    assert headers["Content-Length"] == str(len(request.body))
    assert "\u7559\u8a00 01.wav".encode() in request.body
    prefix, _, signature = headers["Authorization"].rpartition("/")
    escaped = "".join(
        chr(byte) if (chr(byte).isalnum() and byte < 128) or chr(byte) in "-._~" else f"%{byte:02X}"
        for byte in request.body
    )
    text = (
        f"POST\n{request.target}\ncontent-length;content-type;host\n"
        f"content-length:{len(request.body)}\ncontent-type:application%2Fjson%3Bcharset%3DUTF-8\n"
        f"host:ccfs.example.test%3A18443\n{escaped}"
    )
    key = hmac.new(SECRET_KEY.encode(), prefix.encode(), hashlib.sha256).hexdigest()
    assert signature == hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("url", "host", "base"),
    [
        ("https://ccfs.example.test", "ccfs.example.test", "https://ccfs.example.test"),
        ("https://ccfs.example.test:443/", "ccfs.example.test", "https://ccfs.example.test"),
        ("https://[2001:db8::1]:18443", "[2001:db8::1]:18443", "https://[2001:db8::1]:18443"),
    ],
)
def test_host_header_and_base_url_agree(url: str, host: str, base: str) -> None:
    assert dict(first_request("path:Y:/a.wav", url=url).headers)["Host"] == host
    assert flows(url=url).base_url == base


@pytest.mark.parametrize(
    ("locator", "sent"),
    [
        ("path:X:\\4\\0\\20260416\\512\\1629533.V3", "X:/4/0/20260416/512/1629533.V3"),
        ("path:y:/Voice/ 7 /a .wav ", "y:/Voice/ 7 /a .wav "),
        ("path:Y:/a\"b'c.wav", "Y:/a\"b'c.wav"),
        ("path:Y:/..hidden/a..wav", "Y:/..hidden/a..wav"),
        ("path:Y://double//a.wav", "Y://double//a.wav"),
        ("path:/etc/passwd", "/etc/passwd"),
    ],
)
def test_paths_keep_everything_but_the_direction_of_slashes(locator: str, sent: str) -> None:
    assert json.loads(first_request(locator).body)["msgBody"]["filePath"] == sent


@pytest.mark.parametrize(
    "locator",
    [
        "path:",
        "path: ",
        "path:/",
        "folder:///",
        "path:Y:/a/../b.wav",
        "path:..\\b.wav",
        "path:Y:/a/./b.wav",
        "path:Y:/a/..",
        "path:Y:/a\x00.wav",
        "path:Y:/a\r\nb.wav",
        "path:Y:/a\x7f.wav",
        "path:Y:/a\u2028.wav",
        "path:Y:/a\ud800.wav",
        "call_id:" + "1" * 26,
        "call_id:1\n2",
        "url:https://elsewhere.example.com/a.wav",
        "file:/a/b.wav",
        "no locator",
    ],
)
def test_places_that_break_the_path_rules_are_never_asked_for(locator: str) -> None:
    with pytest.raises(RecordingMissing):
        next(flows().download(locator, now))


# Verdicts


@pytest.mark.parametrize(
    ("body", "extension"),
    [
        (WAVE, ".wav"),
        (b"RIFX" + WAVE[4:], ".wav"),
        (b"RF64" + WAVE[4:], ".wav"),
        (b"\0\0\0\x20ftypisom" + bytes(100), ".mp4"),
        (bytes([0xD5, 0x55] * 500), ".raw"),
        (b"RIFF\x24\x00\x00\x00AVI " + bytes(100), ".raw"),
        (b"short", ".raw"),
        (b"<" + bytes([0xD5] * 2000), ".raw"),
        (b"{" + bytes([0xD5] * 2000), ".raw"),
        (b" " * 5000 + MISSING, ".raw"),
    ],
)
def test_the_first_bytes_decide_in_every_split(body: bytes, extension: str) -> None:
    for arrived in [*range(20), len(body)]:
        assert finish(body, arrived=arrived)[0] == MediaHead(extension)


def test_twelve_bytes_are_enough_for_a_wave_file() -> None:
    assert finish(WAVE + bytes(100_000))[1] == 12


@pytest.mark.parametrize(
    "body",
    [MISSING, b"\xef\xbb\xbf" + MISSING, b" \r\n\t" + MISSING, b"\n" * 4000 + MISSING + b"\n"],
)
def test_an_error_object_is_found_in_every_split_whatever_its_label(body: bytes) -> None:
    label = {"content-type": "Application/Octet-stream;charset=UTF-8"}
    for arrived in {*range(30), len(body) // 2, len(body) - 1, len(body)}:
        error = failure(body, arrived=arrived, headers=label)
        assert isinstance(error, RecordingMissing)
        assert error.code == "0300011"


def test_an_object_larger_than_an_error_can_be_is_not_read_as_one() -> None:
    body = b'{"resultCode":"0300011","resultData":"' + b"x" * ERROR_LIMIT + b'"}'
    verdict, needed = finish(body)
    assert verdict == MediaHead(".raw")
    assert needed <= ERROR_LIMIT + 1


def test_json_of_another_kind_is_refused() -> None:
    assert isinstance(failure(b'{"hello": "world"}'), DownloadRefused)


@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE html><html>",
        b"\r\n<HTML><body>",
        b"<?xml version='1.0'?><error/>",
        b"<html>" + b"x" * 9999,
    ],
)
def test_a_web_page_is_refused_also_with_status_200(body: bytes) -> None:
    for arrived in (0, 1, 12, 300, len(body)):
        error = failure(body, arrived=arrived)
        assert isinstance(error, DownloadRefused)
        assert error.reason == "a web page came instead of a recording"


def test_an_empty_body_is_a_damaged_recording() -> None:
    assert isinstance(failure(b""), RecordingDamaged)


@pytest.mark.parametrize("body", [b"PK\x03\x04" + bytes(100), b"PK\x05\x06" + bytes(18)])
def test_a_zip_is_left_to_the_receiver(body: bytes) -> None:
    assert finish(body)[0] == MediaHead(".zip")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, AuthenticationFailed),
        (403, AuthenticationFailed),
        (404, DownloadRefused),
        (429, DownloadPostponed),
        (502, DownloadInterrupted),
    ],
)
def test_a_status_decides_before_the_body_even_if_that_looks_like_sound(
    status: int, kind: type[RecmonError]
) -> None:
    assert type(failure(WAVE, status=status)) is kind


def test_the_time_of_each_request_is_asked_for_when_it_is_made() -> None:
    times = iter([now(), datetime(2026, 11, 21, 8, 15, 40, tzinfo=UTC)])
    flow = flows().download("path:Y:/a.wav", lambda: next(times))
    next(flow)
    with pytest.raises(AuthenticationFailed) as caught:
        flow.send(HttpResponse(401, {"date": "Sat, 21 Nov 2026 08:25:40 GMT"}))
    assert caught.value.clock_difference_s == 600


# The adapter


def test_the_adapter_has_the_shape_of_an_adapter() -> None:
    adapter: VendorAdapter = ADAPTER
    assert (adapter.name, adapter.title, adapter.options_type) == (
        "huawei_ccfs",
        "Huawei CC-FS",
        CcfsOptions,
    )
    assert adapter.event_source(None, UTC) is None
    options = CcfsOptions("https://ccfs.example.test", "demo-ak-01", SecretRef("env", "KEY"))
    assert adapter.history_flows(options, "archive", UTC, lambda reference: Secret("")) is None
    assert flows(parallel_downloads=3).parallel_downloads == 3
    assert flows(fingerprint="sha256:" + "0" * 64).tls.fingerprint == "sha256:" + "0" * 64


def test_a_missing_secret_shows_up_when_the_flows_are_made() -> None:
    def reveal(reference: SecretRef) -> Secret:
        raise SecretMissing((f"{reference} is not set",))

    options = CcfsOptions("https://ccfs.example.test", "demo-ak-01", SecretRef("env", "NOT_SET"))
    with pytest.raises(SecretMissing, match="env:NOT_SET"):
        ADAPTER.recording_flows(options, "archive", UTC, reveal)


def test_no_field_of_an_imported_call_is_dropped() -> None:
    call = Call(
        CallKey(ServerId("archive"), "7"),
        CallState.ENDED,
        cdr=CdrRecord((("agent_id", "501"), ("vdn_id", ""))),
    )
    (section,) = ADAPTER.describe(call)
    assert [(line.name, line.raw) for line in section.fields] == [("agent_id", "501"), ("vdn_id", "")]
    assert ADAPTER.describe(Call(call.key, call.state)) == ()


def test_the_secret_is_in_no_text_of_the_flows_or_their_errors() -> None:
    made = flows()
    shown = [repr(made), str(made), repr(vars(made))]
    shown += [repr(failure(body)) for body in (b"", MISSING, b"<html>")]
    shown += [repr(failure(b"", status=status)) for status in (401, 403, 500)]
    assert not [text for text in shown if SECRET_KEY in text]
