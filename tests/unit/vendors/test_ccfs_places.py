"""All ways to ask CC-FS for a recording: what is sent for each kind of place, and what the answers mean."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from recmon.errors import (
    AuthenticationFailed,
    DownloadInterrupted,
    DownloadPostponed,
    DownloadRefused,
    RecmonError,
    RecordingForbidden,
    RecordingMissing,
)
from recmon.protocol.http import HttpRequest, HttpResponse, ReadMore
from recmon.settings.model import Secret, SecretRef
from recmon.vendors.base import MediaHead
from recmon.vendors.huawei_ccfs.flows import CcfsFlows
from recmon.vendors.huawei_ccfs.options import CcfsOptions

SECRET_KEY = "CANARY-SK-0123456789abcdef"
TOKEN = "CANARY-TOKEN-4711/+=&"
LINK = "https://obs.example.test/bucket/CANARY-LINK.wav?AWSAccessKeyId=a%2Fb&Signature=CANARY%2BSIGNATURE"
WAVE = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(40)
SHANGHAI = ZoneInfo("Asia/Shanghai")
SPAN = "1605492949-1447@2026-11-21T08:15:30Z/2026-11-21T08:20:00Z"


def now() -> datetime:
    return datetime(2026, 11, 21, 8, 15, 30, 125_000, UTC)


def flows(zone: tzinfo = UTC, **values: Any) -> CcfsFlows:
    url = values.pop("url", "https://ccfs.example.test:18443")
    options = CcfsOptions(url, "demo-ak-01", SecretRef("env", "KEY"), **values)
    return CcfsFlows(options, "archive", Secret(SECRET_KEY), zone)


def reply(data: object, code: str = "0") -> bytes:
    return json.dumps({"resultCode": code, "resultDesc": "told", "resultData": data}).encode()


class Talk:
    """A download, run against given answers; keeps what was asked."""

    def __init__(self, *answers: bytes | HttpResponse) -> None:
        self.asked: list[HttpRequest] = []
        self._answers = list(answers)

    def of(self, flow: Generator[HttpRequest | ReadMore, HttpResponse, MediaHead]) -> MediaHead:
        step = next(flow)
        try:
            while True:
                assert isinstance(step, HttpRequest)
                self.asked.append(step)
                answer = self._answers.pop(0)
                step = flow.send(
                    answer if isinstance(answer, HttpResponse) else HttpResponse(200, {}, answer)
                )
        except StopIteration as stop:
            assert not self._answers
            head: MediaHead = stop.value
            return head

    def download(self, locator: str, zone: tzinfo = UTC, **values: Any) -> MediaHead:
        return self.of(flows(zone, **values).download(locator, now))

    def failure(self, locator: str) -> RecmonError:
        with pytest.raises(RecmonError) as caught:
            self.download(locator)
        return caught.value


@pytest.mark.parametrize(
    ("locator", "target", "message"),
    [
        (
            "original_path:X:\\4\\0\\20260416\\512\\1629533.V3",
            "/CCFS/resource/ccfs/downloadRecord",
            {"fileName": "X:/4/0/20260416/512/1629533.V3"},
        ),
        (
            "file_name:/1/2/record/7/20260416/512/1629533.wav",
            "/CCFS/resource/ccfs/downloadRecordFile",
            {"fileName": "/1/2/record/7/20260416/512/1629533.wav"},
        ),
        (
            "ivr:Y:/39/record/20261120/a.wav",
            "/CCFS/resource/ccfs/downloadIVRRecordFile",
            {"fileName": "Y:/39/record/20261120/a.wav"},
        ),
        (
            "oiap:Y:/7/transferrecord/20261120/a.wav?locationId=12",
            "/CCFS/resource/ccfs/downloadOiapRecord?locationId=12",
            {"fileName": "Y:/7/transferrecord/20261120/a.wav"},
        ),
    ],
)
def test_each_kind_of_place_has_its_operation(locator: str, target: str, message: dict[str, str]) -> None:
    talk = Talk(WAVE)
    assert talk.download(locator) == MediaHead(".wav")
    (request,) = talk.asked
    assert (request.method, request.target, request.is_streamed) == ("POST", target, True)
    assert json.loads(request.body) == {"request": {"version": "2.0"}, "msgBody": message}


def test_the_node_is_a_part_of_the_signature_as_in_the_vector() -> None:
    talk = Talk(WAVE)
    options = CcfsOptions(
        "https://ccfs.example.test:18443", "demo-ak-01", SecretRef("env", "KEY"), timestamp="seconds"
    )
    made = CcfsFlows(options, "archive", Secret("demo-sk-0123456789abcdef"), UTC)
    talk.of(made.download("ivr:Y:/39/record/20261120/\u7559\u8a00 01.wav?locationId=256", now))
    # vector 3 of ccfs.md 2.2
    assert dict(talk.asked[0].headers)["Authorization"].endswith(
        "/5ba82429e064dc3551e2649b65d3d9181f96cc1a8194b0cc13038230ce21ae37"
    )


def test_the_number_of_the_call_centre_is_sent_only_where_the_settings_have_it() -> None:
    talk = Talk(WAVE)
    talk.download("call_id:1605492949-1447", cc_id="1")
    assert json.loads(talk.asked[0].body)["msgBody"] == {"callId": "1605492949-1447", "ccId": "1"}


@pytest.mark.parametrize("kind", ["original_path", "file_name", "ivr", "oiap", "play"])
@pytest.mark.parametrize("path", ["", " ", "Y:/a/../b.wav", "Y:/a\r\nb.wav", "Y:/./a.wav?locationId=1"])
def test_a_path_that_breaks_the_rules_is_never_sent(kind: str, path: str) -> None:
    with pytest.raises(RecordingMissing):
        next(flows().download(f"{kind}:{path}", now))


@pytest.mark.parametrize(("kind", "limit"), [("original_path", 225), ("file_name", 225), ("oiap", 127)])
def test_a_path_that_is_too_long_for_its_operation_is_never_sent(kind: str, limit: int) -> None:
    path = "Y:/" + "a" * (limit - 3)
    assert isinstance(next(flows().download(f"{kind}:{path}", now)), HttpRequest)
    with pytest.raises(RecordingMissing, match=str(limit)):
        next(flows().download(f"{kind}:{path}b", now))


def test_an_inspected_call_is_asked_for_at_the_sister_service() -> None:
    talk = Talk(WAVE)
    talk.download("cms_call_id:1605492949-1447")
    assert talk.asked[0].target == "/rest/cmsapp/v1/openapi/hisindex/downloadRecordFile"
    assert json.loads(talk.asked[0].body) == {"callID": "1605492949-1447"}
    assert isinstance(Talk(reply("", "1")).failure("cms_call_id:7"), DownloadRefused)


# Play-back


def test_play_back_takes_a_token_and_sends_no_signature_with_it() -> None:
    talk = Talk(reply({"token": TOKEN}), WAVE)
    assert talk.download("play:X:\\17\\0\\1.V3") == MediaHead(".wav")
    asking, playing = talk.asked
    assert asking.target == "/CCFS/resource/ccfs/requestPlayVoice"
    assert json.loads(asking.body)["msgBody"] == {"fileName": "X:/17/0/1.V3"}
    assert not asking.is_streamed
    assert playing.method == "GET"
    assert playing.is_streamed
    assert playing.target == (
        "/CCFS/resource/ccfs/playVoice?t=1795248930125&version=2.0&st=CANARY-TOKEN-4711%2F%2B%3D%26"
    )
    assert "authorization" not in {name.lower() for name, _ in playing.headers}
    assert playing.body == b""


@pytest.mark.parametrize("data", ["", None, {}, {"token": ""}, {"token": 7}, {"token": "a b"}])
def test_without_a_usable_token_nothing_is_played(data: object) -> None:
    talk = Talk(reply(data))
    assert isinstance(talk.failure("play:X:/1.V3"), DownloadRefused)
    assert len(talk.asked) == 1


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ([reply("", "0300011")], RecordingMissing),
        ([reply("", "0300009")], DownloadPostponed),
        ([b"<html>"], DownloadRefused),
        ([HttpResponse(401)], AuthenticationFailed),
        ([reply({"token": "t"}), HttpResponse(401)], RecordingForbidden),
        ([reply({"token": "t"}), HttpResponse(403)], AuthenticationFailed),
        ([reply({"token": "t"}), reply("", "010106")], DownloadRefused),
    ],
)
def test_refusals_of_a_play_back(answers: Sequence[bytes | HttpResponse], kind: type[RecmonError]) -> None:
    assert type(Talk(*answers).failure("play:X:/1.V3")) is kind


# Object storage


@pytest.mark.parametrize(
    ("zone", "begin", "end"),
    [
        (UTC, "2026-11-21 08:15:30", "2026-11-21 08:20:00"),
        (SHANGHAI, "2026-11-21 16:15:30", "2026-11-21 16:20:00"),
    ],
)
def test_object_storage_is_asked_in_the_tenants_time(zone: tzinfo, begin: str, end: str) -> None:
    talk = Talk(reply({"url": LINK}), WAVE)
    assert talk.download(f"obs:{SPAN}", zone) == MediaHead(".wav")
    asking, fetching = talk.asked
    assert asking.target == "/CCFS/resource/ccfs/getRecordFileUrlFromObs"
    assert json.loads(asking.body) == {
        "callId": "1605492949-1447",
        "beginTime": begin,
        "endTime": end,
        "version": "2.0",
    }
    assert (fetching.method, fetching.origin) == ("GET", "https://obs.example.test")
    assert fetching.target == LINK.removeprefix("https://obs.example.test")
    assert fetching.headers[0] == ("Host", "obs.example.test")
    assert "authorization" not in {name.lower() for name, _ in fetching.headers}


def test_times_without_a_zone_are_the_tenants() -> None:
    talk = Talk(reply({"url": LINK}), WAVE)
    talk.download("obs:7-1@2026-11-21 08:15/2026-11-21 08:20", SHANGHAI)
    assert json.loads(talk.asked[0].body)["beginTime"] == "2026-11-21 08:15:00"


@pytest.mark.parametrize(
    "data",
    [
        {"url": [LINK, LINK.replace("bucket", "second")]},
        {"url": f"{LINK},{LINK.replace('bucket', 'second')}"},
        {"obsFileUrl": f"{LINK}; {LINK.replace('bucket', 'second')}"},
    ],
)
def test_one_of_several_links_is_chosen_by_its_number(data: object) -> None:
    talk = Talk(reply(data), WAVE)
    talk.download(f"obs:{SPAN}#2")
    assert talk.asked[1].target.startswith("/second/CANARY-LINK.wav?")
    talk = Talk(reply(data), WAVE)
    assert talk.download(f"obs:{SPAN}") == MediaHead(".wav", siblings=(f"obs:{SPAN}#2",))
    assert "bucket" in talk.asked[1].target
    assert isinstance(Talk(reply(data)).failure(f"obs:{SPAN}#3"), RecordingMissing)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("7-1", "ID@BEGIN/END"),
        ("7-1@2026-11-21/", "written like"),
        ("7-1@2026-11-21T08:00Z/2026-11-21T09:00", "do not go together"),
        ("7-1@2026-11-21T08:00Z/2026-11-21T07:00Z", "do not go together"),
        ("7-1@2026-11-21T08:00Z/2026-11-24T08:01Z", "three days"),
        ("@2026-11-21T08:00Z/2026-11-21T09:00Z", "call ids"),
    ],
)
def test_a_place_in_object_storage_is_checked_before_anything_is_asked(place: str, words: str) -> None:
    with pytest.raises(RecordingMissing, match=words):
        next(flows().download(f"obs:{place}", now))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, RecordingForbidden),
        (403, RecordingForbidden),
        (404, RecordingMissing),
        (429, DownloadPostponed),
        (503, DownloadPostponed),
        (500, DownloadInterrupted),
        (302, DownloadRefused),
    ],
)
def test_refusals_of_the_storage_are_not_taken_for_refusals_of_the_key(
    status: int, kind: type[RecmonError]
) -> None:
    assert type(Talk(reply({"url": LINK}), HttpResponse(status)).failure(f"obs:{SPAN}")) is kind


@pytest.mark.parametrize(
    "link",
    ["", "ftp://obs.example.test/a", "no link", "https://u:p@a.test/b", "https://a.test/b c", 7],
)
def test_a_link_that_is_none_is_not_followed(link: object) -> None:
    talk = Talk(reply({"url": link}))
    talk.failure(f"obs:{SPAN}")
    assert len(talk.asked) == 1


# Secrets


def test_no_key_token_or_link_is_in_anything_that_can_be_shown() -> None:
    shown: list[str] = []
    for locator, *answers in [
        ("path:Y:/a.wav", WAVE),
        ("play:X:/1.V3", reply({"token": TOKEN}), WAVE),
        (f"obs:{SPAN}", reply({"url": LINK}), WAVE),
    ]:
        talk = Talk(*answers)
        talk.download(str(locator))
        shown += [repr(request) + str(request) for request in talk.asked]
        shown += [repr(HttpResponse(200, {}, answer)) for answer in answers if isinstance(answer, bytes)]
    for locator, *refusals in [
        ("play:X:/1.V3", reply({"token": f"{TOKEN} "})),
        ("play:X:/1.V3", reply({"token": TOKEN}), reply({"token": TOKEN}, "0300004")),
        ("play:X:/1.V3", reply({"token": TOKEN}), HttpResponse(401)),
        (f"obs:{SPAN}", reply({"url": LINK.replace("https", "ftp")})),
        (f"obs:{SPAN}", reply({"url": LINK + " x"})),
        (f"obs:{SPAN}#3", reply({"url": [LINK, LINK]})),
        (f"obs:{SPAN}", reply({"url": LINK}), HttpResponse(403, {}, LINK.encode())),
        ("path:Y:/a.wav", HttpResponse(401, {}, SECRET_KEY.encode())),
    ]:
        error: BaseException | None = Talk(*refusals).failure(str(locator))
        while error is not None:
            shown.append(repr(error) + str(error))
            error = error.__cause__ or error.__context__
    text = "\n".join(shown)
    assert "CANARY" not in text
    assert len(shown) >= 18
