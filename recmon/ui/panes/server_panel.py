"""The small panel that a click on a server opens: state, times, counts, what is wrong and what helps."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from recmon.domain.calls import ServerId
from recmon.services.statuses import LinkState
from recmon.ui import text as words
from recmon.ui.notifier import Notice
from recmon.ui.panes.hook_part import HookPart, hook_values
from recmon.ui.panes.labels import ElidedLabel
from recmon.ui.panes.server_rows import ServerRow, clock_words, history_of, next_try, server_line

_WIDTH = 420


class ServerPanel(QFrame):
    """Tells all that is known of one server's connection; closes by Escape or a click beside it.

    Args:
        parent: of the panel.
        can_test: whether a check is offered.
        address_of: tells the address of a server that calls us, its secret masked.

    Attributes:
        hook_part: what is said of web hooks; hidden for other servers.

    Signals:
        retry_requested(ServerId): connect now.
        test_requested(ServerId): check it step by step.
        calls_requested(ServerId): show only this server's calls.
        error_copied(str): the user wants this text on the clipboard.
    """

    retry_requested = Signal(object)
    test_requested = Signal(object)
    calls_requested = Signal(object)
    error_copied = Signal(str)

    def __init__(
        self,
        parent: QWidget | None = None,
        *,
        can_test: bool = False,
        address_of: Callable[[ServerId], str | None] = lambda server: None,
    ) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self._address_of = address_of
        self._row: ServerRow | None = None
        self.setProperty("kind", "toast")
        self.setFixedWidth(_WIDTH)
        self._title = ElidedLabel("heading")
        self._vendor = ElidedLabel("quiet")
        self._names: dict[str, QLabel] = {}
        self._values: dict[str, QLabel] = {}
        self.hook_part = HookPart()
        self._clock = _wrapped("quiet")
        self._what = _wrapped("")
        self._what_helps = _wrapped("quiet")
        self._retry = QPushButton("Try now")
        self._test = QPushButton("Test")
        self._calls = QPushButton("Show its calls")
        self._copy = QPushButton("Copy error")
        self._place()
        self._test.setVisible(can_test)
        self._retry.clicked.connect(self._on_retry_clicked)
        self._test.clicked.connect(self._on_test_clicked)
        self._calls.clicked.connect(self._on_calls_clicked)
        self._copy.clicked.connect(lambda: self.error_copied.emit(self.error_text()))

    @property
    def server(self) -> ServerId | None:
        """Whose panel it is."""
        return None if self._row is None else self._row.status.server

    def show_row(self, row: ServerRow, now: datetime) -> None:
        """Tell about a server, or the newest of it."""
        self._row = row
        status, notice = row.status, row.notice or row.history_notice
        line = server_line(row, now)
        self._title.show_text(status.server)
        self._vendor.show_text(status.vendor)
        self.setAccessibleName(f"{words.one_line(status.server)}, {line.word}")
        is_watching = status.state is LinkState.LIVE and status.watches
        supervised = "yes" if status.is_supervised else "no, silence is not noticed"
        hooks = status.hooks is not None
        values = {
            "State": line.word if status.watches or notice else f"{line.word}, {line.age}",
            "Since": words.full_time(row.unwatched_since or status.since),
            "Last event": f"{words.date_time(status.last_event_at)}" if status.last_event_at else words.NONE,
            "Events": f"{status.events:,}",
            "Unrecognised": f"{status.unrecognised:,}",
            "Keep-alive": supervised if is_watching else words.NONE,
            "History": history_of(row, now),
            "Next try": next_try(status, now).removeprefix("next try ") if status.retry_at else words.NONE,
        }
        if hooks:
            values = {name: values[name] for name in ("State", "Since")} | hook_values(status)
        for name, label in self._values.items():
            self._names[name].setVisible(name in values)
            label.setVisible(name in values)
            if name in values and label.text() != values[name]:
                label.setText(values[name])
        self.hook_part.setVisible(hooks)
        if hooks:
            self.hook_part.show_status(status, self._address_of(status.server))
        for label, text in (
            (self._clock, clock_words(status)),
            (self._what, "" if notice is None else notice.text),
            (self._what_helps, "" if notice is None else notice.help),
        ):
            label.setText(words.one_line(text))
            label.setVisible(bool(text))
        self._retry.setVisible(row.can_retry)
        self._copy.setVisible(notice is not None)
        self.adjustSize()

    def error_text(self) -> str:
        """Return what is wrong and what helps; empty where nothing is."""
        notice: Notice | None = None if self._row is None else self._row.notice or self._row.history_notice
        return "" if notice is None else f"{notice.text} {notice.help}".strip()

    def value(self, name: str) -> str:
        """Return what the panel says beside a name."""
        return self._values[name].text()

    def clock_text(self) -> str:
        """Return what the panel says of the server's clock; empty where it says nothing."""
        return self._clock.text()

    def _place(self) -> None:
        grid = QGridLayout()
        grid.setContentsMargins(0, 8, 0, 8)
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        for number, name in enumerate(
            (
                *("State", "Since", "Last event", "Events", "Unrecognised", "Keep-alive", "History"),
                *("Last hook", "Accepted", "Repeated", "Refused", "Unreadable", "Not stored", "Next try"),
            )
        ):
            label, value = QLabel(name), QLabel()
            label.setProperty("kind", "quiet")
            value.setTextFormat(Qt.TextFormat.PlainText)
            value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            grid.addWidget(label, number, 0)
            grid.addWidget(value, number, 1)
            self._names[name] = label
            self._values[name] = value
        buttons = QHBoxLayout()
        buttons.setContentsMargins(0, 8, 0, 0)
        buttons.setSpacing(8)
        for button in (self._retry, self._test, self._calls, self._copy):
            buttons.addWidget(button)
        buttons.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 16)
        column.setSpacing(4)
        column.addWidget(self._title)
        column.addWidget(self._vendor)
        column.addLayout(grid)
        column.addWidget(self._clock)
        column.addWidget(self._what)
        column.addWidget(self._what_helps)
        column.addWidget(self.hook_part)
        column.addLayout(buttons)

    def _on_retry_clicked(self) -> None:
        if self.server is not None:
            self.retry_requested.emit(self.server)

    def _on_test_clicked(self) -> None:
        if self.server is not None:
            server = self.server
            self.close()
            self.test_requested.emit(server)

    def _on_calls_clicked(self) -> None:
        if self.server is not None:
            self.calls_requested.emit(self.server)
            self.close()


def _wrapped(kind: str) -> QLabel:
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    if kind:
        label.setProperty("kind", kind)
    return label
