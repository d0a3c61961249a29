"""The last net: a bug reaches the log and one dialog, whichever way it comes, and the program goes on."""

from __future__ import annotations

import asyncio
import logging
import sys
import traceback
from types import TracebackType
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QDialogButtonBox,
    QLabel,
    QPlainTextEdit,
    QVBoxLayout,
    QWidget,
)

from recmon.logs import mask

_log = logging.getLogger(__name__)

DETAILS_LIMIT = 8_000
"""Characters of the trace that are shown."""


class CrashNet(QObject):
    """Catches what nobody expected: exceptions of slots and events, of tasks, and of the main thread.

    Signals:
        caught(str): a bug happened; its trace, secrets masked.
    """

    caught = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._previous = sys.excepthook

    def install(self) -> None:
        """Catch what reaches the interpreter; PySide hands exceptions of slots there too."""
        sys.excepthook = self._on_exception

    def remove(self) -> None:
        """Leave the interpreter as it was."""
        sys.excepthook = self._previous

    def watch_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Catch what callbacks and forgotten tasks of a loop raise."""
        loop.set_exception_handler(self._on_loop_exception)

    def report(self, error: BaseException) -> None:
        """Log a bug and tell it."""
        trace = mask("".join(traceback.format_exception(error)))
        _log.error("unexpected error\n%s", trace)
        self.caught.emit(trace[-DETAILS_LIMIT:])

    def _on_exception(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            self._previous(kind, error, trace)
            return
        self.report(error.with_traceback(trace))

    def _on_loop_exception(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, BaseException):
            self.report(error)
        else:
            _log.error("event loop: %s", mask(str(context.get("message", context))))


class CrashDialog(QDialog):
    """Tells of a bug; one at a time, later ones are only logged."""

    def __init__(self, trace: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Something went wrong")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setMinimumSize(560, 360)
        heading = QLabel("This should not have happened")
        heading.setProperty("kind", "heading")
        words = QLabel(
            "The program met a fault of its own and goes on. What you did last may not have worked. "
            "If it happens again, pass on the text below; passwords and keys are taken out of it."
        )
        words.setWordWrap(True)
        self._details = QPlainTextEdit(trace)
        self._details.setReadOnly(True)
        self._details.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        copy = buttons.addButton("Copy", QDialogButtonBox.ButtonRole.ActionRole)
        copy.clicked.connect(lambda: QApplication.clipboard().setText(trace))
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 16)
        layout.setSpacing(8)
        for widget in (heading, words, self._details, buttons):
            layout.addWidget(widget)

    @property
    def details(self) -> str:
        """The trace that is shown."""
        return self._details.toPlainText()
