"""One start of the `start` benchmark: when the process was started, then `full DATA SETTINGS` or `bare`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from tests.bench.processes import rss_mb


def main() -> None:
    """Show a window, print when it was painted and what memory it takes, and leave."""
    begun = int(sys.argv[1])
    figures: dict[str, float] = {}

    def note(name: str) -> None:
        figures.setdefault(name, (time.monotonic_ns() - begun) / 1e6)

    if sys.argv[2] == "bare":
        _bare(note, figures)
    else:
        _full(note, figures, Path(sys.argv[3]), Path(sys.argv[4]))
    print(json.dumps(figures))


def _full(note: Any, figures: dict[str, float], data: Path, settings: Path) -> None:
    # Loaded next in any case; loaded here already, so that it can be measured from inside.
    from PySide6.QtCore import QEvent, QObject, QTimer

    from recmon.cli import main as recmon
    from recmon.ui.main_window import MainWindow
    from recmon.ui.panes.call_table import CallTable

    class FirstRows(QObject):
        """Leaves the program as soon as rows were painted."""

        def __init__(self, window: MainWindow, table: CallTable) -> None:
            super().__init__(window)
            self._window = window
            self._table = table
            table.viewport().installEventFilter(self)

        def eventFilter(self, watched: QObject, event: QEvent) -> bool:
            if event.type() is QEvent.Type.Paint and self._table.model().rowCount() > 0:
                QTimer.singleShot(0, self._window, self._leave)
            return False

        def _leave(self) -> None:
            note("ready_ms")
            figures["rss_mb"] = rss_mb()
            self._window.close()

    attach, make = MainWindow.attach, MainWindow.__init__

    def attached(self: MainWindow, services: Any) -> None:
        attach(self, services)
        self.actions_by_name["show_past"].trigger()
        assert self.workplace is not None
        FirstRows(self, self.workplace.past.table)

    def made(self: MainWindow, *words: Any) -> None:
        make(self, *words)
        self.painted.connect(lambda: note("painted_ms"))

    MainWindow.attach = attached  # type: ignore[method-assign]
    MainWindow.__init__ = made  # type: ignore[method-assign]
    recmon(["--data-dir", str(data), "--settings", str(settings)])


def _bare(note: Any, figures: dict[str, float]) -> None:
    from PySide6.QtCore import QTimer
    from PySide6.QtGui import QPaintEvent, QStandardItemModel
    from PySide6.QtWidgets import QApplication, QMainWindow, QTableView

    class Window(QMainWindow):
        def paintEvent(self, event: QPaintEvent) -> None:
            super().paintEvent(event)
            QTimer.singleShot(0, self, painted)

    def painted() -> None:
        note("painted_ms")
        figures["rss_mb"] = rss_mb()
        application.quit()

    application = QApplication([])
    window = Window()
    table = QTableView()
    table.setModel(QStandardItemModel(0, 8, table))
    window.setCentralWidget(table)
    window.resize(1400, 880)
    window.show()
    application.exec()


if __name__ == "__main__":
    main()
