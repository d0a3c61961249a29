from __future__ import annotations

import pytest

from recmon.protocol.http import HttpResponse, range_headers, range_start, range_validator

OFFERED = {"accept-ranges": "bytes"}
OLD = "Fri, 20 Nov 2026 10:00:00 GMT"
NOW = "Sat, 21 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "validator"),
    [
        ({**OFFERED, "etag": '"v1"'}, '"v1"'),
        ({**OFFERED, "etag": '"v1"', "last-modified": OLD, "date": NOW}, '"v1"'),
        ({**OFFERED, "last-modified": OLD, "date": NOW}, OLD),
        ({**OFFERED, "etag": 'W/"v1"', "last-modified": OLD, "date": NOW}, OLD),
        ({**OFFERED, "last-modified": NOW, "date": NOW}, None),
        ({**OFFERED, "last-modified": OLD}, None),
        ({**OFFERED, "etag": 'W/"v1"'}, None),
        ({**OFFERED, "etag": '"a\r\nX: b"'}, None),
        ({**OFFERED, "last-modified": "yesterday", "date": NOW}, None),
        ({"etag": '"v1"'}, None),
        ({"accept-ranges": "none", "etag": '"v1"'}, None),
        (OFFERED, None),
    ],
)
def test_only_a_strong_validator_and_an_offer_allow_to_ask_for_the_rest(headers, validator):
    assert range_validator(headers) == validator


def test_the_rest_is_asked_for_on_condition():
    assert range_headers(500, '"v1"') == (("Range", "bytes=500-"), ("If-Range", '"v1"'))


@pytest.mark.parametrize(
    ("status", "text", "start"),
    [
        (206, "bytes 500-999/1000", 500),
        (206, "bytes 500-999/*", 500),
        (200, "bytes 500-999/1000", None),
        (206, "bytes */1000", None),
        (206, "items 500-999/1000", None),
        (206, "", None),
    ],
)
def test_where_a_partial_answer_begins(status, text, start):
    assert range_start(HttpResponse(status, {"content-range": text})) == start
