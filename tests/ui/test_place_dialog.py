"""The dialog that tries a recording template on the last calls while it is typed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC
from typing import Any

import pytest
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QPushButton, QWidget
from window_services import EAST, past_call

from recmon.domain.calls import Call, ServerId
from recmon.domain.recordings import LocatorKind, RecordingTemplate
from recmon.domain.templates import TriedPlace, try_template
from recmon.errors import SettingsError
from recmon.ui.dialogs.place_dialog import KIND_WORDS, PlaceDialog
from recmon.ui.notifier import Notice, Notifier
from recmon.ui.tasks import UiTasks

OLD = RecordingTemplate(LocatorKind.FOLDER, "Y:/old/{native_id}")


class KnownPlaces:
    """Calls that the test says, and a memory in place of a file."""

    def __init__(self, calls: Sequence[Call], template: RecordingTemplate | None = OLD) -> None:
        self.calls = tuple(calls)
        self.in_use = template
        self.can_save = True
        self.failure: SettingsError | None = None

    def template(self, server: ServerId) -> RecordingTemplate | None:
        return self.in_use

    async def last_calls(self, server: ServerId) -> tuple[Call, ...]:
        return self.calls

    def try_out(
        self, server: ServerId, template: RecordingTemplate, calls: Sequence[Call]
    ) -> tuple[TriedPlace, ...]:
        return try_template(template, calls, server, UTC)

    async def save(self, server: ServerId, template: RecordingTemplate) -> None:
        if self.failure is not None:
            raise self.failure
        self.in_use = template


def bug(error: BaseException) -> None:
    raise error


class Bench:
    """A dialog on a window, and what it tells."""

    def __init__(self, places: KnownPlaces) -> None:
        self.notices: list[Notice] = []
        notifier = Notifier()
        notifier.shown.connect(self.notices.append)
        self.tasks = UiTasks(notifier, bug)
        self.window = QWidget()
        self.window.show()
        self.dialog = PlaceDialog(EAST, places, self.tasks, notifier, self.window)
        self.dialog.open()

    def button(self, text: str) -> QPushButton:
        return next(b for b in self.dialog.findChildren(QPushButton) if b.text() == text)

    async def idle(self) -> None:
        """Wait until nothing is loaded or saved any more."""
        while any(
            self.tasks.is_running(name) for name in (f"last calls of {EAST}", f"save the place of {EAST}")
        ):
            done = asyncio.Event()
            self.tasks.finished.connect(done.set)
            await done.wait()


@pytest.fixture
def bench(qapp: Any) -> Callable[[KnownPlaces], Bench]:
    return Bench


def test_the_template_in_use_is_shown_with_what_it_makes_of_the_last_calls(
    run: Callable[..., Any], bench: Callable[[KnownPlaces], Bench]
) -> None:
    async def scene() -> None:
        shown = bench(KnownPlaces([past_call(1), past_call(2)]))
        await shown.idle()
        assert shown.dialog.template == OLD
        assert shown.dialog.summary == "2 of the 2 last calls have a place"
        assert shown.dialog.results() == [f"Y:/old/{past_call(n).key.native_id}" for n in (1, 2)]
        assert not shown.button("Save").isEnabled()
        names = [action.text() for action in shown.button("Insert field").menu().actions()]
        assert {"native_id", "started_at", "from_number"} <= set(names)

    run(scene())


def test_every_key_shows_the_place_or_the_reason(
    run: Callable[..., Any], bench: Callable[[KnownPlaces], Bench]
) -> None:
    async def scene() -> None:
        shown = bench(KnownPlaces([past_call(1)]))
        await shown.idle()
        shown.dialog.set_template(RecordingTemplate(LocatorKind.PATH, "Y:/{started_at:%Y}/{nothing}"))
        assert shown.dialog.summary == "0 of the 1 last call have a place"
        assert shown.dialog.results() == ["no recording path: nothing was not told for this call"]
        shown.dialog.set_template(RecordingTemplate(LocatorKind.PATH, "Y:/{native_id"))
        assert shown.dialog.summary == "The template has an opening brace that is not closed"
        assert shown.dialog.results() == []
        assert not shown.button("Copy as TOML line").isEnabled()
        shown.dialog.set_template(RecordingTemplate(LocatorKind.PATH, ""))
        assert shown.dialog.summary == "Type where the recordings are"

    run(scene())


def test_a_saved_place_is_in_use_and_the_dialog_closes(
    run: Callable[..., Any], bench: Callable[[KnownPlaces], Bench]
) -> None:
    async def scene() -> None:
        places = KnownPlaces([past_call(1)], None)
        shown = bench(places)
        await shown.idle()
        wanted = RecordingTemplate(LocatorKind.CALL_ID, "{native_id}")
        shown.dialog.set_template(wanted)
        closed: list[int] = []
        shown.dialog.finished.connect(closed.append)
        shown.button("Save").click()
        await shown.idle()
        assert places.in_use == wanted
        assert closed == [PlaceDialog.DialogCode.Accepted.value]
        assert [notice.text for notice in shown.notices] == ["The place is saved in the settings."]

    run(scene())


def test_a_failure_to_save_is_told_and_the_dialog_stays(
    run: Callable[..., Any], bench: Callable[[KnownPlaces], Bench]
) -> None:
    async def scene() -> None:
        places = KnownPlaces([past_call(1)])
        places.failure = SettingsError(("settings.toml: the file cannot be written: no space left",))
        shown = bench(places)
        await shown.idle()
        shown.dialog.set_template(RecordingTemplate(LocatorKind.CALL_ID, "{native_id}"))
        shown.button("Save").click()
        await shown.idle()
        assert shown.dialog.isVisible()
        assert "no space left" in shown.notices[0].text
        assert places.in_use == OLD

    run(scene())


def test_without_a_settings_file_the_line_can_be_copied(
    run: Callable[..., Any], bench: Callable[[KnownPlaces], Bench]
) -> None:
    async def scene() -> None:
        places = KnownPlaces([])
        places.can_save = False
        shown = bench(places)
        await shown.idle()
        assert shown.dialog.summary == "There is no finished call yet to try it on"
        assert not shown.button("Save").isVisible()
        shown.button("Copy as TOML line").click()
        assert QGuiApplication.clipboard().text() == 'recording = { folder = "Y:/old/{native_id}" }'

    run(scene())


def test_every_kind_that_settings_can_name_has_words() -> None:
    assert set(KIND_WORDS) == set(LocatorKind) - {LocatorKind.FILE}
