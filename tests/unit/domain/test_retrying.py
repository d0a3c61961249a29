"""When a recording that did not come is tried again, and what is told of it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from recmon.domain.obstacles import Remedy, obstacle_of
from recmon.domain.retrying import AWAITED, LONGEST_ASKED_WAIT, wait_after
from recmon.errors import DownloadRefused, RecmonError, RecordingMissing, RecordingNotReady

SOON = timedelta(seconds=30)


@pytest.mark.parametrize("error", [RecordingMissing("no data found"), RecordingNotReady("not yet")])
def test_what_is_awaited_is_asked_for_within_ten_seconds_however_often_it_was_not_there(error: RecmonError):
    waits = [wait_after(error, tries, awaited_for=SOON) for tries in (1, 20, 500)]
    assert all(wait is not None and wait < timedelta(seconds=10) for wait in waits)
    assert wait_after(error, 1, awaited_for=AWAITED[-1][0]) is None


def test_a_server_that_says_when_it_will_be_there_is_asked_then():
    error = RecordingNotReady("not yet", retry_after_s=40)
    assert wait_after(error, 1, awaited_for=SOON) == timedelta(seconds=40)
    endless = RecordingNotReady("not yet", retry_after_s=1e12)
    assert wait_after(endless, 1, awaited_for=SOON) == LONGEST_ASKED_WAIT


def test_what_is_missing_or_refused_is_not_tried_by_itself():
    assert wait_after(RecordingMissing("no data found"), 1) is None
    assert wait_after(DownloadRefused("no"), 1, awaited_for=SOON) is None


@pytest.mark.parametrize("error", [RecordingMissing("no data found"), RecordingNotReady("not yet")])
def test_what_is_not_there_yet_can_be_waited_for(error: RecmonError):
    obstacle = obstacle_of(error)
    assert obstacle.remedy is Remedy.FETCH_WHEN_READY
    assert "waited for" in obstacle.next_words
