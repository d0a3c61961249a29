"""Result codes and HTTP states as typed errors."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from recmon.errors import (
    AuthenticationFailed,
    DownloadInterrupted,
    DownloadPostponed,
    DownloadRefused,
    RecmonError,
    RecordingError,
    RecordingMissing,
)
from recmon.vendors.huawei_ccfs.codes import DESCRIPTION_LIMIT, read_reply, reply_error, status_error

AT = datetime(2026, 11, 21, 8, 15, 30, tzinfo=UTC)


def error_of(reply: Any) -> RecmonError | None:
    read = read_reply(json.dumps(reply).encode())
    assert read is not None
    return reply_error("archive", read, {}, AT)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("0300001", DownloadRefused),
        ("0300004", DownloadRefused),
        ("0300008", DownloadPostponed),
        ("0300009", DownloadPostponed),
        ("0300010", DownloadRefused),
        ("0300011", RecordingMissing),
        ("0300012", RecordingMissing),
        ("0300014", DownloadRefused),
        ("no number", DownloadRefused),
        ("9" * 5000, DownloadRefused),
    ],
)
def test_each_code_has_its_type(code: str, kind: type[RecordingError]) -> None:
    error = error_of({"resultCode": code, "resultDesc": "why", "resultData": ""})
    assert type(error) is kind
    assert isinstance(error, RecordingError)
    assert error.code == code or (len(code) > 40 and error.code is not None and len(error.code) <= 40)


def test_codes_may_be_numbers_which_lose_their_zeros() -> None:
    assert isinstance(error_of({"resultCode": 300011}), RecordingMissing)
    assert isinstance(error_of({"resultCode": 300008}), DownloadPostponed)


def test_keys_and_codes_may_have_white_space_around_them() -> None:
    assert isinstance(error_of({" resultCode ": " 0300011 "}), RecordingMissing)


def test_the_deprecated_object_counts_where_the_outer_code_is_missing() -> None:
    reply = {"response": {"version": "2.0", "resultCode": "0300004", "resultMsg": "bad mode"}}
    error = error_of(reply)
    assert isinstance(error, DownloadRefused)
    assert "bad mode" in error.reason
    assert isinstance(error_of({"resultCode": "0300011", **reply}), RecordingMissing)


@pytest.mark.parametrize("code", ["0", 0, "0100000"])
def test_success_without_a_recording_is_a_refusal_and_not_a_recording(code: str | int) -> None:
    error = error_of({"resultCode": code, "resultData": None})
    assert isinstance(error, DownloadRefused)
    assert "no recording" in error.reason


def test_an_unknown_code_is_shown_with_the_servers_own_words_bounded_and_on_one_line() -> None:
    error = error_of({"resultCode": "0300099", "resultDesc": "line\r\n\u202e" + "x" * 1000})
    assert isinstance(error, DownloadRefused)
    assert error.code == "0300099"
    assert "line\\r\\n\\u202e" in error.reason
    assert len(error.reason) < DESCRIPTION_LIMIT + 60


def test_a_signature_in_the_servers_words_is_masked() -> None:
    told = "bad header auth-v2/demo-ak-01/2026-11-21T08:15:30Z/host/54a6910f95ff080761f612883efef8f3"
    error = error_of({"resultCode": "0300004", "resultDesc": told})
    assert "54a6910f95ff" not in str(error)


def test_a_reply_that_tells_no_outcome_gives_no_error() -> None:
    assert error_of({"hello": "world"}) is None
    assert error_of({"resultCode": True, "status": True}) is None


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000, b'{"a":' + b"1" * 5000 + b"}"]
)
def test_bytes_that_are_no_object_are_not_a_reply(body: bytes) -> None:
    assert read_reply(body) is None


def test_a_byte_order_mark_before_a_reply_is_skipped() -> None:
    assert read_reply(b'\xef\xbb\xbf {"resultCode":"0300011"}') == {"resultCode": "0300011"}


def test_an_access_refusal_in_a_body_counts_like_its_status() -> None:
    error = error_of({"timestamp": 1795248930125, "status": 403, "error": "Forbidden"})
    assert isinstance(error, AuthenticationFailed)
    assert error.status == 403


def test_401_tells_how_far_the_clocks_are_apart() -> None:
    headers = {"date": "Sat, 21 Nov 2026 08:20:30 GMT"}
    error = status_error("archive", 401, headers, AT)
    assert isinstance(error, AuthenticationFailed)
    assert error.status == 401
    assert error.clock_difference_s == 300.0
    assert not error.retryable


@pytest.mark.parametrize("date", [None, "", "yesterday", "Sat, 99 Nov 2026 08:20:30 GMT"])
def test_401_without_a_usable_date_claims_nothing_about_clocks(date: str | None) -> None:
    error = status_error("archive", 401, {} if date is None else {"date": date}, AT)
    assert isinstance(error, AuthenticationFailed)
    assert error.clock_difference_s is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, DownloadRefused),
        (400, DownloadRefused),
        (403, AuthenticationFailed),
        (404, DownloadRefused),
        (418, DownloadPostponed),
        (429, DownloadPostponed),
        (500, DownloadInterrupted),
        (502, DownloadInterrupted),
        (503, DownloadPostponed),
    ],
)
def test_each_status_has_its_type(status: int, kind: type[RecmonError]) -> None:
    error = status_error("archive", status, {}, AT)
    assert type(error) is kind
    assert str(status) in str(error)


def test_200_is_no_error() -> None:
    assert status_error("archive", 200, {}, AT) is None
