"""The strip above the tables that tells how an import goes, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFileDialog, QWidget

from recmon.errors import RecmonError
from recmon.services.imports import ImportProgress, ImportResult
from recmon.ui import text as words
from recmon.ui.dialogs.problems_dialog import ProblemsDialog
from recmon.ui.notifier import sentence_for
from recmon.ui.panes.progress_strip import ProgressStrip
from recmon.ui.tasks import UiTasks

IMPORT_TASK = "import"


class Imports(Protocol):
    """Takes archives and call lists in."""

    async def import_paths(
        self, paths: Sequence[Path], *, progress: Callable[[ImportProgress], None]
    ) -> ImportResult: ...


class ImportStrip(ProgressStrip):
    """Asks for what to import, and tells how it goes.

    Args:
        imports: takes the calls in.
        tasks: runs the import.
        parent: of the widget.

    Signals:
        running_changed(bool): an import began or ended; there is one at a time.
    """

    running_changed = Signal(bool)

    def __init__(self, imports: Imports, tasks: UiTasks, parent: QWidget | None = None) -> None:
        super().__init__("import", "Import", parent)
        self._imports = imports
        self._tasks = tasks
        self._folder = str(Path.home())
        self._result = ImportResult()
        self.why.clicked.connect(self._show_problems)
        self.cancel.clicked.connect(lambda: tasks.cancel(IMPORT_TASK))

    @property
    def is_running(self) -> bool:
        """Whether an import goes on."""
        return self._tasks.is_running(IMPORT_TASK)

    def choose(self, *, is_archive: bool) -> QFileDialog:
        """Ask for a folder, or for call lists, and import them; returns while the dialog is open."""
        title = "Import an archive" if is_archive else "Import call lists"
        dialog = QFileDialog(self.window(), title, self._folder)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        if is_archive:
            dialog.setFileMode(QFileDialog.FileMode.Directory)
            dialog.setOption(QFileDialog.Option.ShowDirsOnly, True)
        else:
            dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
            dialog.setNameFilters(["Call lists (*.jsonl *.json *.ndjson)", "All files (*)"])
        dialog.setLabelText(QFileDialog.DialogLabel.Accept, "Import")
        dialog.filesSelected.connect(lambda names: self.start([Path(name) for name in names]))
        dialog.open()
        return dialog

    def start(self, paths: Sequence[Path]) -> None:
        """Import folders and call lists."""
        if not paths or self.is_running:
            return
        self._folder = str(paths[0].parent)
        self._tasks.start(IMPORT_TASK, self._run(paths))

    async def _run(self, paths: Sequence[Path]) -> None:
        what = words.one_line(paths[0].name or str(paths[0]))
        if len(paths) > 1:
            what = words.counted(len(paths), "file", "files")
        self._result = ImportResult()
        self._show(f"Importing {what}", is_running=True)
        self.show_share(0.0)
        self.running_changed.emit(True)
        outcome = f"The import of {what} was cancelled"
        try:
            self._result = await self._imports.import_paths(
                paths, progress=lambda progress: self._on_progress(what, progress)
            )
            outcome = f"{what} was imported" if len(paths) == 1 else f"{what} were imported"
        except RecmonError as error:
            notice = sentence_for(error)
            outcome = f"The import of {what} ended early. {notice.text} {notice.help}".strip().rstrip(".")
        finally:
            self._show(f"{outcome}: {in_words(self._result)}", is_running=False)
            self.running_changed.emit(False)

    def _on_progress(self, what: str, progress: ImportProgress) -> None:
        self._result = progress.result
        self.show_share(progress.share)
        self._show(f"Importing {what}: {in_words(progress.result)}", is_running=True)

    def _show(self, text: str, *, is_running: bool) -> None:
        self.tell(text, is_running=is_running, has_reasons=bool(self._result.problems))

    def _show_problems(self) -> None:
        ProblemsDialog(self._result.problems, self._result.unreadable, self.window()).open()


def in_words(result: ImportResult) -> str:
    """Return "12,034 new, 3 known, 2 unreadable"; what is always told, and what there was besides."""
    parts = [f"{result.new:,} new", f"{result.known:,} known"]
    if result.unreadable:
        parts.append(f"{result.unreadable:,} unreadable")
    if result.vanished:
        parts.append(f"{result.vanished:,} gone meanwhile")
    if result.skipped:
        parts.append(f"{words.counted(result.skipped, 'other file', 'other files')} passed over")
    return ", ".join(parts)
