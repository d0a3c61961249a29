"""Saves recordings: asks where, tells how it goes, and hands rows over as files when they are dragged out."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from PySide6.QtCore import QMimeData, Qt, QUrl
from PySide6.QtGui import QDrag, QGuiApplication
from PySide6.QtWidgets import QWidget

from recmon.domain.calls import Call
from recmon.errors import RecmonError
from recmon.services.saving import USUAL_TEMPLATE, Naming, SaveProgress
from recmon.ui import text as words
from recmon.ui.dialogs.problems_dialog import ProblemsDialog
from recmon.ui.dialogs.save_dialog import Names, SaveDialog
from recmon.ui.notifier import Notice, Notifier, sentence_for
from recmon.ui.panes.progress_strip import ProgressStrip
from recmon.ui.panes.ticker import utc_now
from recmon.ui.state import WindowState
from recmon.ui.tasks import UiTasks

SAVE_TASK = "save"
DRAG_TASK = "drag"

STILL_RUNNING = "A recording can be saved once its call has ended."


class Saving(Names, Protocol):
    """Saves recordings."""

    async def save(
        self,
        calls: Sequence[Call],
        folder: Path,
        naming: Naming,
        progress: Callable[[SaveProgress], None] = ...,
    ) -> SaveProgress: ...


class SaveStrip(ProgressStrip):
    """Saves the recordings of selected calls, and tells how it goes.

    Args:
        saving: does it.
        tasks: runs it.
        notifier: tells what has no place here.
        state: remembers the folder and the names.
        parent: of the widget.
    """

    def __init__(
        self,
        saving: Saving,
        tasks: UiTasks,
        notifier: Notifier,
        state: WindowState,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__("save", "Saving recordings", parent)
        self._saving = saving
        self._tasks = tasks
        self._notifier = notifier
        self._state = state
        self._zone = words.LOCAL_ZONE
        self._result = SaveProgress(0)
        self._dragged: tuple[tuple[Call, ...], tuple[Path, ...]] = ((), ())
        self._drag_folder: Path | None = None
        self.start_drag: Callable[[QMimeData], None] = self._drag
        self.why.clicked.connect(self._show_problems)
        self.cancel.clicked.connect(lambda: tasks.cancel(SAVE_TASK))

    def show_zone(self, zone: words.Zone) -> None:
        """Write times in names in another zone."""
        self._zone = zone

    def ask(self, calls: Sequence[Call]) -> SaveDialog | None:
        """Ask where to save the recordings of calls; returns while the dialog is open."""
        ended = [call for call in calls if call.state.is_over]
        if not ended:
            text = STILL_RUNNING if calls else "No call is selected."
            self._notifier.tell(Notice(text, "" if calls else "Select some first.", topic=SAVE_TASK))
            return None
        if self._tasks.is_running(SAVE_TASK):
            self._notifier.tell(Notice("Recordings are being saved already.", topic=SAVE_TASK))
            return None
        dialog = SaveDialog(
            ended,
            self._saving,
            self._state.text("save/folder", str(Path.home())),
            self._state.text("save/template", USUAL_TEMPLATE),
            self._zone,
            self.window(),
        )
        dialog.save_requested.connect(lambda folder, naming: self.start(ended, folder, naming))
        dialog.open()
        return dialog

    def start(self, calls: Sequence[Call], folder: Path, naming: Naming) -> None:
        """Save the recordings of calls."""
        self._state.keep_text("save/folder", str(folder))
        self._state.keep_text("save/template", naming.template)
        self._tasks.start(SAVE_TASK, self._run(calls, folder, naming))

    def drag_out(self, calls: Sequence[Call]) -> None:
        """Make files of rows that are being dragged, and hand them to the drag once they are there."""
        ended = tuple(call for call in calls if call.state.is_over)
        if ended and ended == self._dragged[0]:
            self._start_drag(self._dragged[1])
        elif ended:
            self._tasks.start(DRAG_TASK, self._prepare_drag(ended))

    def stop(self) -> None:
        """Remove the files that were made for dragging."""
        self._forget_drag()

    async def _run(self, calls: Sequence[Call], folder: Path, naming: Naming) -> None:
        what = words.counted(len(calls), "recording", "recordings")
        self._result = SaveProgress(len(calls))
        self.show_share(0.0)
        self.tell(f"Saving {what}", is_running=True)
        outcome = "Saving was cancelled"
        try:
            self._result = await self._saving.save(calls, folder, naming, self._on_progress)
            outcome = f"Saved in {words.one_line(folder.name or str(folder))}"
        except RecmonError as error:
            notice = sentence_for(error)
            outcome = f"{notice.text} {notice.help}".strip().rstrip(".")
        finally:
            self._tell(outcome, is_running=False)

    def _on_progress(self, progress: SaveProgress) -> None:
        self._result = progress
        self.show_share(progress.done / progress.total if progress.total else 0.0)
        self._tell("Saving", is_running=True)

    def _tell(self, what: str, *, is_running: bool) -> None:
        result = self._result
        counts = f"{len(result.saved):,} of {words.counted(result.total, 'recording', 'recordings')}"
        failed = f", {len(result.failures):,} failed" if result.failures else ""
        self.tell(f"{what}: {counts}{failed}", is_running=is_running, has_reasons=bool(result.failures))

    def _show_problems(self) -> None:
        reasons = [f"{failure.call}: {sentence_for(failure.error).text}" for failure in self._result.failures]
        dialog = ProblemsDialog(reasons, len(reasons), self.window())
        dialog.setWindowTitle("What was not saved")
        dialog.open()

    # Dragging

    async def _prepare_drag(self, calls: tuple[Call, ...]) -> None:
        self._forget_drag()
        self._drag_folder = folder = Path(tempfile.mkdtemp(prefix="recmon-"))
        template = self._state.text("save/template", USUAL_TEMPLATE)
        zone = self._zone.info_at(calls[0].started_at or utc_now())
        result = await self._saving.save(calls, folder, Naming(template, zone))
        self._dragged = (calls, result.saved)
        if result.failures:
            failure = sentence_for(result.failures[0].error)
            count = words.counted(len(result.failures), "recording", "recordings")
            self._notifier.tell(Notice(f"{count} cannot be dragged out. {failure.text}", topic=DRAG_TASK))
        if not result.saved:
            return
        if QGuiApplication.mouseButtons() & Qt.MouseButton.LeftButton:
            self._start_drag(result.saved)
        else:
            count = words.counted(len(result.saved), "file", "files")
            self._notifier.tell(Notice(f"{count} can be dragged out now.", "Drag again.", topic=DRAG_TASK))

    def _start_drag(self, files: Sequence[Path]) -> None:
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(path)) for path in files])
        self.start_drag(data)

    def _drag(self, data: QMimeData) -> None:
        drag = QDrag(self)
        drag.setMimeData(data)
        # Qt offers no other way to drag: it runs a loop of its own until the button is let go.
        drag.exec(Qt.DropAction.CopyAction)

    def _forget_drag(self) -> None:
        self._dragged = ((), ())
        if self._drag_folder is not None:
            with suppress(OSError):
                shutil.rmtree(self._drag_folder)
            self._drag_folder = None
