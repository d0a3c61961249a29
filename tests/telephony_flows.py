"""Runs a recording's conversation with scripted answers."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from recmon.protocol.http import HttpRequest, HttpResponse, ReadMore
from recmon.vendors.base import MediaHead, RecordingFlows
from recmon.vendors.telephony import ADAPTER
from tests.telephony import SERVER, options_of, reveal


def flows_of(adapter: str, further: str = "") -> RecordingFlows:
    return ADAPTER.recording_flows(options_of(adapter, further), SERVER, ZoneInfo("UTC"), reveal)


def play(
    flows: RecordingFlows, locator: str, at: datetime, *answers: HttpResponse
) -> tuple[MediaHead, list[HttpRequest]]:
    """Answer each request in turn; return the verdict and what was asked. Every answer must be used."""
    asked: list[HttpRequest] = []
    left = list(answers)
    flow = flows.download(locator, lambda: at)
    try:
        step = next(flow)
        while True:
            assert not isinstance(step, ReadMore), "the answers of a test are whole"
            asked.append(step)
            step = flow.send(left.pop(0))
    except StopIteration as end:
        assert not left
        return end.value, asked
