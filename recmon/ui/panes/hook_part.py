"""The part of a server's panel about its web hooks: the address for the provider, and what came of them."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal, SignalInstance
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from recmon.domain.calls import ServerId
from recmon.errors import PortTaken
from recmon.services.hook_counts import HookCounts
from recmon.services.statuses import ServerStatus
from recmon.ui import text as words
from recmon.ui.icons import icon
from recmon.ui.panes.notices import plain_label


class HookPart(QWidget):
    """Shows the address, masked, and offers to copy it, to try it, and what else helps.

    Signals:
        address_copied(ServerId): the user wants the whole address on the clipboard.
        test_requested(ServerId): send a request of our own to the address.
        port_requested(int): listen on this port instead.
        unattached_requested(ServerId): show the recordings without a call.
    """

    address_copied = Signal(object)
    test_requested = Signal(object)
    port_requested = Signal(int)
    unattached_requested = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._server: ServerId | None = None
        self._port: int | None = None
        self._title = plain_label("section")
        self._title.setText("ADDRESS FOR THE PROVIDER")
        self._address = plain_label()
        self._address.setWordWrap(True)
        self._address.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._copy = QPushButton("Copy address")
        self._copy.setIcon(icon("copy"))
        self._copy.setToolTip("Copies the whole address, with its secret")
        self._send = QPushButton("Send a test hook")
        self._use_port = QPushButton()
        self._unattached = QPushButton()
        self._verdict = plain_label("quiet")
        self._refusal = plain_label("quiet")
        self._warning = plain_label()
        for label in (self._verdict, self._refusal, self._warning):
            label.setWordWrap(True)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._place()
        self._copy.clicked.connect(lambda: self._emit(self.address_copied))
        self._send.clicked.connect(lambda: self._emit(self.test_requested))
        self._unattached.clicked.connect(lambda: self._emit(self.unattached_requested))
        self._use_port.clicked.connect(lambda: self.port_requested.emit(self._port or 0))

    def show_status(self, status: ServerStatus, address: str | None) -> None:
        """Tell about a server's web hooks.

        Args:
            status: how it does.
            address: with the secret masked; None while it is not known.
        """
        if status.server != self._server:
            self._server = status.server
            self.show_verdict("")
        counts = status.hooks or HookCounts()
        self._address.setText(address or "not known: its secret could not be looked up")
        for button in (self._copy, self._send):
            button.setEnabled(address is not None)
        error = status.error
        self._port = error.free_port if isinstance(error, PortTaken) else None
        self._use_port.setText(f"Use port {self._port}")
        self._use_port.setVisible(self._port is not None)
        count = words.counted(counts.unattached, "recording", "recordings")
        self._unattached.setText(f"{count} without a call…")
        self._unattached.setVisible(counts.unattached > 0)
        self._say(self._refusal, refusal_words(counts))
        self._say(self._warning, counts.warning)

    def show_verdict(self, sentence: str) -> None:
        """Say what came of a test; an empty text takes it away."""
        self._say(self._verdict, sentence)

    @property
    def verdict(self) -> str:
        """What the part says of a test."""
        return self._verdict.text()

    @property
    def refusal(self) -> str:
        """What the part says of the last refusal."""
        return self._refusal.text()

    def _emit(self, signal: SignalInstance) -> None:
        if self._server is not None:
            signal.emit(self._server)

    @staticmethod
    def _say(label: QLabel, text: str) -> None:
        label.setText(words.one_line(text))
        label.setVisible(bool(text))

    def _place(self) -> None:
        first = QHBoxLayout()
        first.setSpacing(8)
        for button in (self._copy, self._send):
            first.addWidget(button)
        first.addStretch(1)
        second = QHBoxLayout()
        second.setSpacing(8)
        for button in (self._use_port, self._unattached):
            second.addWidget(button)
        second.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 8, 0, 0)
        column.setSpacing(6)
        column.addWidget(self._title)
        column.addWidget(self._address)
        column.addLayout(first)
        column.addWidget(self._verdict)
        column.addWidget(self._refusal)
        column.addWidget(self._warning)
        column.addLayout(second)


def refusal_words(counts: HookCounts) -> str:
    """Say why the last web hook was refused or could not be read; empty where none was."""
    if not counts.refusal:
        return ""
    at = words.clock_time(counts.refusal_at)
    return f"Last one refused at {at}: {counts.refusal.rstrip('.')}."


def hook_values(status: ServerStatus) -> dict[str, str]:
    """Return the numbers of a server's web hooks, by name."""
    counts = status.hooks or HookCounts()
    return {
        "Last hook": words.date_time(counts.last_at) if counts.last_at else words.NONE,
        "Accepted": f"{counts.accepted:,}",
        "Repeated": f"{counts.repeated:,}",
        "Refused": f"{counts.refused:,}",
        "Unreadable": f"{counts.unreadable:,}",
        "Not stored": f"{counts.not_stored:,}",
    }
