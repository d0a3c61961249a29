"""The check of one server: its steps as they are done, and what to do about what fails."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QDialog,
    QGridLayout,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from recmon.domain.calls import ServerId
from recmon.domain.checks import CheckStep, Verdict
from recmon.ui import text as words
from recmon.ui.panes.notices import IconLabel, plain_label
from recmon.ui.tasks import UiTasks

_ICONS = {
    Verdict.OK: ("check", "live"),
    Verdict.NOTE: ("alert", "warning"),
    Verdict.FAILED: ("error", "bad"),
    Verdict.SKIPPED: ("dash", "quiet"),
}
_VERDICTS = {
    Verdict.OK: "ok",
    Verdict.NOTE: "to note",
    Verdict.FAILED: "failed",
    Verdict.SKIPPED: "skipped",
}


class ServerCheck(Protocol):
    """What checks a server."""

    def check(self, server: ServerId, path: str | None = None) -> AsyncGenerator[CheckStep, None]:
        """Yield the steps as they are done."""


class CheckDialog(QDialog):
    """Checks a server once it is shown; closing it ends the check.

    Args:
        server: name of the server.
        service: does the check.
        tasks: runs it.
        parent: of the dialog.
    """

    def __init__(self, server: ServerId, service: ServerCheck, tasks: UiTasks, parent: QWidget) -> None:
        super().__init__(parent)
        self._server = server
        self._service = service
        self._tasks = tasks
        self._work = f"check {server}"
        self._steps: list[CheckStep] = []
        self._row = 0
        self._is_cancelled = False
        self.setWindowTitle(f"Test of {words.one_line(server)}")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(620, 460)
        self._summary = plain_label("heading")
        self._summary.setWordWrap(True)
        self._rows = QWidget()
        self._grid = QGridLayout(self._rows)
        self._cancel = QPushButton("Cancel")
        self._again = QPushButton("Test again")
        self._copy = QPushButton("Copy")
        self._close = QPushButton("Close")
        self._place()
        self._cancel.clicked.connect(self._on_cancel_clicked)
        self._again.clicked.connect(self.start)
        self._copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(self.report()))
        self._close.clicked.connect(self.reject)
        tasks.finished.connect(self._on_work_finished)
        self.finished.connect(self._on_closed)

    def start(self) -> None:
        """Begin the check, from an empty list."""
        self._steps.clear()
        self._row = 0
        self._is_cancelled = False
        while (item := self._grid.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.deleteLater()
        self._tasks.start(self._work, self._run())
        self._show_state()

    @property
    def summary(self) -> str:
        """The one line above the steps."""
        return self._summary.text()

    @property
    def is_running(self) -> bool:
        """Whether the check goes on."""
        return self._tasks.is_running(self._work)

    def report(self) -> str:
        """Return all steps as text, to be sent to someone who can help."""
        lines = [f"{words.one_line(self._server)}: {self.summary}"]
        for step in self._steps:
            lines.append(" · ".join(_cells(step)))
            if step.finding.advice:
                lines.append(f"    {words.one_line(step.finding.advice)}")
        return "\n".join(lines)

    async def _run(self) -> None:
        async with aclosing(self._service.check(self._server)) as steps:
            async for step in steps:
                self._add(step)

    def _add(self, step: CheckStep) -> None:
        self._steps.append(step)
        row, self._row = self._row, self._row + 2
        name, verdict, what = _cells(step)
        top = Qt.AlignmentFlag.AlignTop
        self._grid.addWidget(IconLabel(*_ICONS[step.finding.verdict], 16), row, 0, top)
        for column, cell in enumerate((verdict, name), start=1):
            label = plain_label("quiet" if column == 1 else "")
            label.setText(cell)
            self._grid.addWidget(label, row, column, top)
        told = plain_label()
        told.setWordWrap(True)
        told.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        told.setText(what)
        told.setAccessibleName(f"{name}, {verdict}")
        self._grid.addWidget(told, row, 3, top)
        if step.finding.advice:
            advice = plain_label("quiet")
            advice.setWordWrap(True)
            advice.setText(words.one_line(step.finding.advice))
            self._grid.addWidget(advice, row + 1, 3, top)
        self._show_state()

    def _show_state(self) -> None:
        is_running = self.is_running
        self._cancel.setVisible(is_running)
        self._again.setVisible(not is_running)
        self._copy.setEnabled(bool(self._steps))
        failed = next((step for step in self._steps if step.is_failure), None)
        notes = sum(step.finding.verdict is Verdict.NOTE for step in self._steps)
        if is_running:
            self._summary.setText("Testing")
        elif failed is not None:
            self._summary.setText(f"Failed at: {failed.name}")
        elif self._is_cancelled or not self._steps:
            self._summary.setText("Not finished")
        elif notes:
            self._summary.setText("Everything works, with something to note")
        else:
            self._summary.setText("Everything works")

    def _place(self) -> None:
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(12)
        self._grid.setVerticalSpacing(8)
        self._grid.setColumnStretch(3, 1)
        rows = QVBoxLayout()
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addWidget(self._rows)
        rows.addStretch(1)
        inside = QWidget()
        inside.setLayout(rows)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setWidget(inside)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self._copy)
        buttons.addStretch(1)
        for button in (self._cancel, self._again, self._close):
            buttons.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 16)
        column.setSpacing(16)
        column.addWidget(self._summary)
        column.addWidget(area, 1)
        column.addLayout(buttons)

    def _on_cancel_clicked(self) -> None:
        self._is_cancelled = True
        self._tasks.cancel(self._work)

    def _on_work_finished(self, name: str) -> None:
        if name == self._work:
            self._show_state()

    def _on_closed(self) -> None:
        self._tasks.finished.disconnect(self._on_work_finished)
        self._tasks.cancel(self._work)


def _cells(step: CheckStep) -> tuple[str, str, str]:
    finding = step.finding
    return words.one_line(step.name), _VERDICTS[finding.verdict], words.one_line(finding.text)
