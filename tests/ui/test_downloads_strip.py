from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from opened_window import until
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton, QWidget
from window_services import NOW, ListedHistory, ToldQueue, past_call

from recmon.domain.calls import RecordingRef, ServerId
from recmon.domain.stored_recordings import Failure, Stage, StoredRecording
from recmon.services.queue_progress import QueueEntry, QueueTotals
from recmon.ui.models.queue_rows import QueueColumn
from recmon.ui.notifier import Notifier
from recmon.ui.panes.downloads_strip import DownloadsStrip, in_words
from recmon.ui.tasks import UiTasks
from recmon.ui.text import UTC_ZONE

CALLS = [past_call(number) for number in range(1, 6)]


def entry(number: int, stage: Stage = Stage.QUEUED, **values: Any) -> QueueEntry:
    fields = {name: values.pop(name) for name in ("failure", "next_try_at", "is_awaited") if name in values}
    ref = RecordingRef(ServerId("archive"), f"path:Y:/{number}.wav")
    record = StoredRecording(ref, stage, call=CALLS[number].key, queued_at=NOW, **fields)
    return QueueEntry(record, **values)


RUNNING = entry(0, is_running=True, received=1_500_000, expected=3_000_000, rate=500_000.0)
WAITING = entry(
    1,
    Stage.WAITING,
    failure=Failure("RecordingMissing", "no such file", "0300011"),
    next_try_at=NOW + timedelta(seconds=5),
    is_awaited=True,
)
FAILED = entry(2, Stage.FAILED, failure=Failure("RecordingDamaged", "the server sent a web page"))
PAUSED = entry(3, Stage.PAUSED)


@pytest.fixture
def queue() -> ToldQueue:
    return ToldQueue()


@pytest.fixture
def strip(qtbot: Any, queue: ToldQueue, light: Any) -> Iterator[DownloadsStrip]:
    tasks = UiTasks(Notifier(), lambda bug: pytest.fail(str(bug)))
    parent = QWidget()
    parent.resize(1000, 400)
    qtbot.addWidget(parent)
    strip = DownloadsStrip(queue, ListedHistory(CALLS), tasks, light, parent)
    strip.resize(1000, 300)
    strip.name_calls(CALLS)
    strip.show_zone(UTC_ZONE)
    parent.show()
    yield strip
    strip.close_subscriptions()


def shown(strip: DownloadsStrip) -> list[str]:
    buttons = strip.findChildren(QAbstractButton)
    return [button.text() for button in buttons if button.text() and not button.isHidden()]


def cell(strip: DownloadsStrip, row: int, column: int, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
    return strip.rows.index(row, column).data(role)


def test_it_is_hidden_while_nothing_is_wanted(strip, queue):
    assert strip.isHidden()
    queue.tell([RUNNING], QueueTotals(running=1))
    assert not strip.isHidden()
    queue.tell([], QueueTotals(arrived=1))
    assert strip.text == "1 recording fetched"
    assert shown(strip) == ["Close"]
    next(b for b in strip.findChildren(QAbstractButton) if b.text() == "Close").click()
    assert strip.isHidden()
    queue.tell([RUNNING], QueueTotals(running=1))
    assert not strip.isHidden()


@pytest.mark.parametrize(
    ("totals", "told"),
    [
        (
            QueueTotals(running=2, queued=38, arrived=1, failed=3, rate=4_200_000, left_s=59.5),
            "Fetching 3 of 41 recordings · 4.2 MB/s · 1 min left · 3 failed",
        ),
        (QueueTotals(paused=5), "5 paused"),
        (QueueTotals(waiting=1, arrived=2), "2 recordings fetched · 1 waiting"),
        (
            QueueTotals(paused=5, stopped_by=Failure("StoreError", "the disk is full")),
            "Nothing is fetched: the disk is full",
        ),
    ],
)
def test_the_whole_queue_in_one_line(totals, told):
    assert in_words(totals) == told


def test_each_recording_tells_how_it_goes_and_what_is_next(strip, queue):
    queue.tell([RUNNING, WAITING, FAILED, PAUSED], QueueTotals(running=1, waiting=1, failed=1, paused=1))
    strip.expand()
    title = cell(strip, 0, QueueColumn.TITLE)
    assert "→" in title
    assert cell(strip, 0, QueueColumn.STATE) == "50 %"
    assert (cell(strip, 0, QueueColumn.RATE), cell(strip, 0, QueueColumn.LEFT)) == ("500 kB/s", "3 s")
    waiting = cell(strip, 1, QueueColumn.STATE)
    assert waiting.startswith("The server does not have it yet: no such file (code 0300011). Again at ")
    assert cell(strip, 2, QueueColumn.STATE, Qt.ItemDataRole.ToolTipRole) == (
        "What came is not a whole recording: the server sent a web page. It was thrown away."
    )
    acts = [cell(strip, row, QueueColumn.ACT, Qt.ItemDataRole.ToolTipRole) for row in range(4)]
    assert acts == ["Pause", "Try again", "Try again", "Resume"]


def test_buttons_are_for_all_and_for_the_selected_where_there_are_any(strip, queue, run):
    async def main() -> None:
        queue.tell([RUNNING, FAILED, PAUSED], QueueTotals(running=1, failed=1, paused=1))
        assert shown(strip) == ["Pause", "Resume", "Try again", "Cancel"]
        buttons = {button.text(): button for button in strip.findChildren(QAbstractButton)}
        buttons["Pause"].click()
        await until(lambda: len(queue.asked) == 1)
        strip.expand()
        strip.list.selectRow(1)
        assert shown(strip) == ["Try again", "Cancel"]
        buttons["Try again"].click()
        await until(lambda: len(queue.asked) == 2)

    run(main())
    assert queue.asked == [("pause", None), ("retry", [FAILED.record.ref])]


def test_the_buttons_of_a_row_act_on_it(strip, queue, run):
    places = [(0, QueueColumn.ACT), (1, QueueColumn.ACT), (2, QueueColumn.ACT), (2, QueueColumn.CANCEL)]

    async def main() -> None:
        queue.tell([RUNNING, FAILED, PAUSED], QueueTotals(running=1, failed=1, paused=1))
        strip.expand()
        for number, (row, column) in enumerate(places):
            strip.list.clicked.emit(strip.rows.index(row, column))
            await until(lambda number=number: len(queue.asked) == number + 1)

    run(main())
    assert [name for name, _ in queue.asked] == ["pause", "retry", "resume", "cancel"]
    assert [refs[0] for _, refs in queue.asked] == [
        entry.record.ref for entry in (RUNNING, FAILED, PAUSED, PAUSED)
    ]


def test_a_selection_stays_with_its_recording_when_rows_come_and_go(strip, queue):
    queue.tell([RUNNING, FAILED, PAUSED], QueueTotals(running=1, failed=1, paused=1))
    strip.expand()
    strip.list.selectRow(2)
    queue.tell([PAUSED, FAILED], QueueTotals(failed=1, paused=1))
    assert [index.row() for index in strip.list.selectionModel().selectedRows()] == [0]


def test_names_of_calls_that_an_earlier_run_left_are_looked_up(strip, queue, run):
    strip._titles.clear()

    async def main() -> None:
        queue.tell([FAILED, replace(PAUSED, record=replace(PAUSED.record, call=None))], QueueTotals(failed=2))
        strip.expand()
        await until(lambda: "→" in cell(strip, 0, QueueColumn.TITLE))

    run(main())
    assert cell(strip, 1, QueueColumn.TITLE) == "archive: Y:/3.wav"


def test_selected_calls_are_fetched_kept_and_the_cache_cleared(opened, use):
    async def steps() -> None:
        opened.act("show_past")
        past = opened.workplace.past
        await until(lambda: past.rows.rowCount() == 40)
        past.table.selectAll()
        opened.act("fetch")
        await until(lambda: len(opened.services.fetching.asked) == 40)
        opened.services.fetching.known = True
        opened.act("fetch")
        toasts = opened.window.toasts
        await until(lambda: any("already" in notice.text for notice in toasts.notices))
        call = past.rows.call_at(0)
        past.protect_requested.emit([call], True)
        await until(lambda: set(call.recordings) <= opened.services.cache.protected)
        box = opened.workplace.kept.ask_to_clear()
        assert box.text() == "Remove 8 recordings (4.0 MB) from this computer?"
        next(button for button in box.buttons() if button.text() == "Remove").click()
        await until(lambda: any("4.0 MB are free again" in notice.text for notice in toasts.notices))

    use(steps)
