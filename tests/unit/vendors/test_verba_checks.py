"""The harmless probe of a Verba-like server, fed byte by byte."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from recmon.domain.checks import Finding, Verdict
from recmon.vendors.verba.checks import ManagementProbe

AT = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


def found(answer: str, size: int = 7) -> Finding | None:
    probe = ManagementProbe("lf")
    data = answer.encode()
    for offset in range(0, len(data), size):
        finding = probe.receive_data(data[offset : offset + size], AT)
        if finding is not None:
            return finding
    return None


@pytest.mark.parametrize(
    ("terminator", "end"), [("none", b""), ("lf", b"\n"), ("crlf", b"\r\n"), ("nul", b"\0")]
)
def test_the_request_ends_as_the_settings_say(terminator: str, end: bytes) -> None:
    request = ManagementProbe(terminator).request
    assert request.endswith(b"</VerbaApi>" + end)
    assert b'<Request type="GetManagementSummary" id="1"/>' in request


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_code_zero_is_fine(size: int) -> None:
    answer = '<VerbaApi><Response code="0"><Request type="x" id="1"/></Response></VerbaApi>'
    assert found(HEAD + answer, size) == Finding(Verdict.OK, "GetManagementSummary was answered with code 0")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (
            '<VerbaApi><Response code="2" type="GetManagementSummary" id="1"/>'
            '<ErrorMessage description="Processing Error">Not here</ErrorMessage></Response></VerbaApi>',
            "(code 2: Processing Error: Not here)",
        ),
        ('<VerbaApi><Response id="1"/></VerbaApi>', "(without a code)"),
        (
            "<VerbaApi><ErrorMessage>Unknown request</ErrorMessage></VerbaApi>",
            "(without a code: Unknown request)",
        ),
    ],
)
def test_a_refusal_shows_the_protocol_too(answer: str, told: str) -> None:
    finding = found(HEAD + answer)
    assert finding is not None
    assert finding.verdict is Verdict.NOTE
    assert finding.text == (
        f"GetManagementSummary was refused {told}, which shows that the server speaks this protocol"
    )


@pytest.mark.parametrize(
    "other",
    [
        '<VerbaApi><Response code="0"><Keepalive time="20"/></Response></VerbaApi>',
        "<VerbaApi/>",
        '<!DOCTYPE VerbaApi [<!ENTITY a "b">]><VerbaApi><Response code="0" id="1"/></VerbaApi>',
        "<VerbaApi><a></b></VerbaApi>",
    ],
)
def test_other_documents_are_no_answer(other: str) -> None:
    assert found(HEAD + other) is None


def test_an_answer_cut_off_by_the_end_is_not_taken_for_one() -> None:
    probe = ManagementProbe("lf")
    assert probe.receive_data(b'<VerbaApi><Response code="0"><Requ', AT) is None
    finding = probe.receive_eof(AT)
    assert finding.verdict is Verdict.NOTE
    assert "closed the connection" in finding.text


def test_a_web_server_fails_at_once() -> None:
    finding = found("HTTP/1.1 400 Bad Request\r\n")
    assert finding == Finding(Verdict.FAILED, "HTTP answered on this port", "Is this the web interface?")
