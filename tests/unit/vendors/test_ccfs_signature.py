"""The signature against the vectors of ccfs.md 2.2, each computed twice independently there."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta, timezone

import pytest

from recmon.vendors.huawei_ccfs.signature import (
    authorization,
    canonical_request,
    encode,
    format_timestamp,
    signature_prefix,
    signing_key,
)

ACCESS_KEY = "demo-ak-01"
SECRET_KEY = "demo-sk-0123456789abcdef"
PATH = "/CCFS/resource/ccfs/ivr/downloadFile"
BODY = '{"request":{"version":"2.0"},"msgBody":{"filePath":"Y:/voice/7/IVRrecordFile/greeting_01.wav"}}'
HOST = {"host": "ccfs.example.test:18443"}
SECONDS = "2026-11-21T08:15:30Z"
MILLISECONDS = "2026-11-21T08:15:30.125Z"


def headers(length: int) -> dict[str, str]:
    return {
        "Host": "ccfs.example.test:18443",
        "Content-Type": "application/json;charset=UTF-8",
        "Content-Length": str(length),
    }


def sign(timestamp: str, signed: dict[str, str], empty_query_line: bool = False) -> str:
    return authorization(
        ACCESS_KEY,
        SECRET_KEY,
        timestamp,
        "POST",
        PATH,
        (),
        signed,
        BODY,
        empty_query_line=empty_query_line,
    )


def test_vector_1_signs_the_host_alone() -> None:
    prefix = signature_prefix(ACCESS_KEY, SECONDS, HOST)
    assert (
        signing_key(SECRET_KEY, prefix) == "5f47ad3a7583e11343e72dcc076cca9c45d292445d2804dc2bb13546a7eca266"
    )
    assert sign(SECONDS, HOST) == (
        "auth-v2/demo-ak-01/2026-11-21T08:15:30Z/host/"
        "54a6910f95ff080761f612883efef8f3fd98ef65f52f0a5f5988e0b7618e04de"
    )


def test_vector_2_signs_three_headers() -> None:
    assert len(BODY.encode()) == 95
    assert sign(SECONDS, headers(95)).endswith(
        "/content-length;content-type;host/a1997609f70bc63a7b2e3db29b0934907bb07776ee151f1b518c376eee1566ff"
    )


def test_vector_3_has_a_query_and_text_that_is_not_ascii() -> None:
    body = '{"request":{"version":"2.0"},"msgBody":{"fileName":"Y:/39/record/20261120/\u7559\u8a00 01.wav"}}'
    assert len(body.encode()) == 90
    signed = authorization(
        ACCESS_KEY,
        SECRET_KEY,
        SECONDS,
        "POST",
        "/CCFS/resource/ccfs/downloadIVRRecordFile",
        [("locationId", "256")],
        headers(90),
        body,
    )
    assert signed.endswith("/5ba82429e064dc3551e2649b65d3d9181f96cc1a8194b0cc13038230ce21ae37")


def test_vector_4_with_every_step_in_between() -> None:
    prefix = signature_prefix(ACCESS_KEY, MILLISECONDS, headers(95))
    assert prefix == "auth-v2/demo-ak-01/2026-11-21T08:15:30.125Z/content-length;content-type;host"
    assert (
        signing_key(SECRET_KEY, prefix) == "a0fefb57faa6791c620dadbbd5b02f42a63e640aa4ec9a588b3ec80917baaa45"
    )
    request = canonical_request("POST", PATH, (), headers(95), BODY).encode()
    assert len(request) == 325
    assert (
        hashlib.sha256(request).hexdigest()
        == "ebb2b34e61d11e1faa7d7571c0973c16a9d600f26be90807be37af69ad589568"
    )
    assert sign(MILLISECONDS, headers(95)) == (
        f"{prefix}/6ada55b5112d488964a67021f30dec191ff9e33fc24c55bbe3112813cdee0fca"
    )


def test_vector_4_with_an_empty_query_line() -> None:
    assert sign(MILLISECONDS, headers(95), empty_query_line=True).endswith(
        "/75577f03aa3d185ef5b3e5052636e1170b1155c39e0e127b8a605a8cdde2879d"
    )


def test_vector_5_has_no_body_and_two_query_values() -> None:
    query = [("b", "x y"), ("a", "")]
    request = canonical_request("GET", "/rest/cmsapp/v1/example", query, HOST, "")
    assert "\na=&b=x%20y\n" in request
    assert len(request.encode()) == 75
    assert request.endswith("\n")
    signed = authorization(
        ACCESS_KEY, SECRET_KEY, MILLISECONDS, "GET", "/rest/cmsapp/v1/example", query, HOST, ""
    )
    assert signed.endswith("/1df5da90f1c51e7efca6487c13cb8ade281bb424a88d14ecdcb8c2aea8c215d0")


def test_header_values_are_trimmed_and_names_sorted_whatever_their_case() -> None:
    mixed = {"HOST": " ccfs.example.test:18443 ", "content-LENGTH": "95"}
    plain = {"content-length": "95", "host": "ccfs.example.test:18443"}
    assert canonical_request("POST", PATH, (), mixed, BODY) == canonical_request(
        "POST", PATH, (), plain, BODY
    )


def test_encoder_keeps_only_the_unreserved_characters() -> None:
    assert encode("AZaz09-._~") == "AZaz09-._~"
    assert encode("/ +%\u00e9\n") == "%2F%20%2B%25%C3%A9%0A"


@pytest.mark.parametrize(
    ("at", "milliseconds", "seconds"),
    [
        (datetime(2026, 11, 21, 8, 15, 30, 125_999, UTC), MILLISECONDS, SECONDS),
        (datetime(2026, 11, 21, 8, 15, 30, tzinfo=UTC), "2026-11-21T08:15:30.000Z", SECONDS),
        (
            datetime(2026, 11, 21, 10, 15, 30, 125_000, timezone(timedelta(hours=2))),
            MILLISECONDS,
            SECONDS,
        ),
    ],
)
def test_timestamps_are_utc_with_three_digits_or_none(at: datetime, milliseconds: str, seconds: str) -> None:
    assert format_timestamp(at, "milliseconds") == milliseconds
    assert format_timestamp(at, "seconds") == seconds
