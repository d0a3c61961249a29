"""Saving selections from the window: where, under which names, how it goes; and dragging rows out."""

from __future__ import annotations

from pathlib import Path

import pytest
from opened_window import Opened, Use, until
from PySide6.QtCore import QMimeData, Qt
from PySide6.QtWidgets import QApplication, QDialog
from window_services import EAST, past_call, started

from recmon.domain.stored_recordings import Failure, Stage, StoredRecording
from recmon.services.saving import SoundFormat
from recmon.ui.dialogs.problems_dialog import ProblemsDialog
from recmon.ui.dialogs.save_dialog import SaveDialog
from recmon.ui.panes.obstacle_note import ObstacleNote


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder; the window keeps its state beside it."""
    made = tmp_path / "saved"
    made.mkdir()
    return made


async def chosen(opened: Opened, *rows: int) -> SaveDialog:
    """Select rows of Past and ask to save them."""
    opened.act("show_past")
    past = opened.workplace.past
    await until(lambda: past.rows.rowCount() == 40)
    past.table.clearSelection()
    mode = past.table.selectionMode()
    past.table.setSelectionMode(past.table.SelectionMode.MultiSelection)
    for row in rows:
        past.table.selectRow(row)
    past.table.setSelectionMode(mode)
    opened.act("save_recordings")
    return next(d for d in opened.window.findChildren(SaveDialog) if d.isVisible())


def test_a_selection_is_saved_under_the_names_that_were_shown(opened: Opened, use: Use, folder: Path) -> None:
    async def steps() -> None:
        dialog = await chosen(opened, 0, 1, 2, 3)
        dialog.folder.setText(str(folder))
        dialog.template.setText("{native_id}")
        dialog.form.setCurrentIndex(dialog.form.findData(SoundFormat.FLAC))
        assert dialog.preview_text.split("\n") == ["000001", "000002", "000003", "and 1 more"]
        dialog.save_button.click()
        saving = opened.services.saving
        await until(lambda: len(list(folder.iterdir())) == 4)
        assert saving.saved[0][2].form is SoundFormat.FLAC
        await until(lambda: opened.workplace.saving.close_button.isVisible())
        assert opened.workplace.saving.text == f"Saved in {folder.name}: 4 of 4 recordings"
        # Folder and names are remembered.
        again = await chosen(opened, 0)
        assert (again.folder.text(), again.template.text()) == (str(folder), "{native_id}")
        again.reject()

    use(steps)


def test_names_that_cannot_be_and_folders_that_are_not_there_are_told(
    opened: Opened, use: Use, folder: Path
) -> None:
    async def steps() -> None:
        dialog = await chosen(opened, 0)
        dialog.folder.setText(str(folder))
        assert dialog.save_button.isEnabled()
        dialog.template.setText("{start")
        assert dialog.hint_text == "These names cannot be: a curly bracket stands alone."
        assert not dialog.save_button.isEnabled()
        dialog.template.setText("{start}")
        dialog.folder.setText(str(folder / "nowhere"))
        assert dialog.hint_text == "There is no such folder."
        assert not dialog.save_button.isEnabled()
        dialog.reject()

    use(steps)


def test_failures_are_counted_and_can_be_read(opened: Opened, use: Use, folder: Path) -> None:
    async def steps() -> None:
        opened.services.saving.failing = {past_call(2).key}
        dialog = await chosen(opened, 0, 1, 2)
        dialog.folder.setText(str(folder))
        dialog.save_button.click()
        strip = opened.workplace.saving
        await until(lambda: strip.close_button.isVisible() and "failed" in strip.text)
        assert strip.text == f"Saved in {folder.name}: 2 of 3 recordings, 1 failed"
        strip.why.click()
        reasons = next(d for d in opened.window.findChildren(ProblemsDialog) if d.isVisible())
        assert reasons.text == "east/000002: There is no recording to play: the server has no such file."
        reasons.accept()

    use(steps)


def test_saving_can_be_cancelled_and_tells_what_is_there(opened: Opened, use: Use, folder: Path) -> None:
    async def steps() -> None:
        opened.services.saving.may_end.clear()
        dialog = await chosen(opened, 0, 1)
        dialog.folder.setText(str(folder))
        dialog.save_button.click()
        strip = opened.workplace.saving
        await until(lambda: "2 of 2" in strip.text)
        strip.cancel.click()
        await until(lambda: strip.close_button.isVisible())
        assert strip.text == "Saving was cancelled: 2 of 2 recordings"

    use(steps)


def test_a_call_that_goes_on_is_not_saved_but_explained(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        opened.act("show_live")
        opened.services.book.apply(EAST, [started(1)])
        await until(lambda: opened.workplace.live.rows.rowCount() > 0)
        opened.workplace.live.table.selectRow(0)
        opened.act("save_recordings")
        assert not [d for d in opened.window.findChildren(QDialog) if d.isVisible()]
        await until(
            lambda: any("once its call has ended" in notice.text for notice in opened.window.toasts.notices)
        )

    use(steps)


def test_dragged_rows_become_named_files_which_are_gone_after_quitting(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        opened.act("show_past")
        past = opened.workplace.past
        await until(lambda: past.rows.rowCount() == 40)
        past.table.selectRow(0)
        dragged: list[QMimeData] = []
        opened.workplace.saving.start_drag = dragged.append
        past.table.startDrag(Qt.DropAction.CopyAction)
        await until(lambda: any("can be dragged out" in n.text for n in opened.window.toasts.notices))
        # The button is not held in a test; the second drag finds the files ready.
        past.table.startDrag(Qt.DropAction.CopyAction)
        paths = [Path(url.toLocalFile()) for url in dragged[0].urls()]
        assert [path.suffix for path in paths] == [".wav"]
        assert paths[0].read_bytes() == b"sound"
        opened.workplace.saving.stop()
        assert not paths[0].exists()
        QApplication.processEvents()

    use(steps)


def test_the_button_of_an_obstacle_helps(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        opened.act("show_past")
        past = opened.workplace.past
        await until(lambda: past.rows.rowCount() == 40)
        past.table.selectRow(0)
        call = past_call(1)
        failed = StoredRecording(
            call.recordings[0], Stage.FAILED, failure=Failure("DownloadInterrupted", "the connection broke")
        )
        opened.services.recordings.tell(failed)
        note = opened.window.findChild(ObstacleNote)
        await until(lambda: note.button.isVisible())
        assert note.button.text() == "Try again"
        note.button.click()
        await until(lambda: opened.services.fetching.asked == [call.key])
        assert ("retry", list(call.recordings)) in [
            (what, list(refs or ())) for what, refs in opened.services.queue.asked
        ]

    use(steps)
