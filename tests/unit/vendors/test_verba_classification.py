"""Call start and call end, told by words (verba.md 3.3)."""

from __future__ import annotations

import pytest

from recmon.vendors.verba.classification import Kind, kind_of


@pytest.mark.parametrize(
    "label",
    [
        "start",
        "callstart",
        "CALL_START",
        "StartCall",
        "CallStart",
        "CALLSTART",
        "call-started",
        "RecordingStarted",
        "recordingstarted",
        "CallBegin",
        "call.began",
        "NewCall",
        "newcall",
        "callrecordingstart",
        "SIPCallStart",
    ],
)
def test_start_words_are_found(label: str) -> None:
    assert kind_of([label]) is Kind.START


@pytest.mark.parametrize(
    "label",
    [
        "end",
        "callend",
        "CALL_END",
        "EndCall",
        "CallEnded",
        "stopped",
        "CallStopEvent",
        "finished",
        "FinishCall",
        "call terminated",
        "Disconnected",
        "recordingstopped",
        "CallFinish",
    ],
)
def test_end_words_are_found(label: str) -> None:
    assert kind_of([label]) is Kind.END


@pytest.mark.parametrize(
    "label",
    [
        "pending",
        "Pending",
        "PENDING",
        "restart",
        "weekend",
        "friend",
        "sender",
        "newly",
        "starter",
        "endpoint",
        "nonstop",
        "Call",
        "recording",
        "callcall",
        "",
        "1",
        "Update",
        "renewed",
        "Response",
    ],
)
def test_parts_of_other_words_are_not_found(label: str) -> None:
    assert kind_of([label]) is None


def test_words_that_contradict_each_other_say_nothing() -> None:
    assert kind_of(["CallStart", "ended"]) is None
    assert kind_of(["StartEnd"]) is None


def test_several_labels_are_taken_together() -> None:
    assert kind_of(["Event", "Call", "CallStart"]) is Kind.START
    assert kind_of(["CallEnd", "stopped"]) is Kind.END
    assert kind_of([]) is None
