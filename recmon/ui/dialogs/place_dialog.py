"""Where the recordings of a server's calls are: a template, tried on the last calls while it is typed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Protocol

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QDialog,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QMenu,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from recmon.domain.calls import Call, ServerId
from recmon.domain.recordings import LocatorKind, RecordingTemplate
from recmon.domain.templates import TriedPlace, placeholders, template_problem
from recmon.settings.writing import recording_line
from recmon.ui import text as words
from recmon.ui.notifier import Notice, Notifier
from recmon.ui.panes.labels import ElidedLabel
from recmon.ui.panes.notices import IconLabel, plain_label
from recmon.ui.tasks import UiTasks

KIND_WORDS = {
    LocatorKind.PATH: "File, by its full path",
    LocatorKind.FOLDER: "Folder with one file in it",
    LocatorKind.CALL_ID: "The server's own call id",
    LocatorKind.ORIGINAL_PATH: "Original path of the index",
    LocatorKind.FILE_NAME: "File name of the index",
    LocatorKind.IVR: "Voice message, by its path",
    LocatorKind.OIAP: "Recording of the voice bot, by its path",
    LocatorKind.PLAY: "Original path, by play-back",
    LocatorKind.OBS: "Object storage, by call id",
    LocatorKind.CMS_CALL_ID: "Inspected call, by call id",
}
"""The kinds of places, in the order of the list; a file of this computer is none that settings name."""

_STARTS = (LocatorKind.FOLDER, "")


class PlaceTrier(Protocol):
    """What tries a template and puts it to use."""

    @property
    def can_save(self) -> bool:
        """Whether there is a settings file to write into."""

    def template(self, server: ServerId) -> RecordingTemplate | None:
        """Return the template in use."""

    async def last_calls(self, server: ServerId) -> tuple[Call, ...]:
        """Return the last finished calls of a server, the latest first."""

    def try_out(
        self, server: ServerId, template: RecordingTemplate, calls: Sequence[Call]
    ) -> tuple[TriedPlace, ...]:
        """Return what a template makes of each call."""

    async def save(self, server: ServerId, template: RecordingTemplate) -> None:
        """Write a template into the settings file, and use it from now on."""


class PlaceDialog(QDialog):
    """Shows what a template makes of the last calls; closing it changes nothing.

    Args:
        server: whose calls.
        places: tries and saves.
        tasks: runs what takes time.
        notifier: tells what was copied and saved.
        parent: of the dialog.
    """

    def __init__(
        self, server: ServerId, places: PlaceTrier, tasks: UiTasks, notifier: Notifier, parent: QWidget
    ) -> None:
        super().__init__(parent)
        self._server = server
        self._places = places
        self._tasks = tasks
        self._notifier = notifier
        self._calls: tuple[Call, ...] = ()
        self._results: list[ElidedLabel] = []
        self._is_loaded = False
        self.setWindowTitle(f"Recording place of {words.one_line(server)}")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(860, 540)
        self._kind = LocatorKind.FOLDER
        self._kinds = QPushButton()
        self._kinds.setMenu(QMenu(self._kinds))
        for kind, text in KIND_WORDS.items():
            self._kinds.menu().addAction(text, partial(self._choose_kind, kind))
        self._text = QLineEdit()
        self._text.setAccessibleName("Template")
        self._text.setPlaceholderText("such as Y:/3rdfile/7/{started_at:%Y%m%d}/{native_id}")
        self._insert = QPushButton("Insert field")
        self._insert.setMenu(QMenu(self._insert))
        self._summary = plain_label("heading")
        self._summary.setWordWrap(True)
        self._hint = plain_label("quiet")
        self._hint.setWordWrap(True)
        self._rows = QWidget()
        self._grid = QGridLayout(self._rows)
        self._copy = QPushButton("Copy as TOML line")
        self._save = QPushButton("Save")
        self._close = QPushButton("Close")
        self._save.setProperty("kind", "accent")
        self._save.setVisible(places.can_save)
        self._place()
        template = places.template(server)
        kind, text = _STARTS if template is None else (template.kind, template.text)
        self._text.setText(text)
        self._text.setCursorPosition(0)
        self._text.textChanged.connect(self._show_result)
        self._copy.clicked.connect(self._on_copy_clicked)
        self._save.clicked.connect(self._on_save_clicked)
        self._close.clicked.connect(self.reject)
        self._choose_kind(kind)
        tasks.start(f"last calls of {server}", self._load())

    @property
    def template(self) -> RecordingTemplate | None:
        """What is typed, where it can be used."""
        text = self._text.text()
        if not text.strip() or template_problem(text) is not None:
            return None
        return RecordingTemplate(self._kind, text)

    @property
    def summary(self) -> str:
        """The line above the results."""
        return self._summary.text()

    def set_template(self, template: RecordingTemplate) -> None:
        """Fill the fields, as if somebody typed."""
        self._choose_kind(template.kind)
        self._text.setText(template.text)

    def results(self) -> list[str]:
        """Return what is shown for each call, in order."""
        return [label.text() for label in self._results]

    async def _load(self) -> None:
        self._calls = await self._places.last_calls(self._server)
        self._is_loaded = True
        self._fill_menu()
        self._show_result()

    def _fill_menu(self) -> None:
        menu = self._insert.menu()
        for name in placeholders(self._calls):
            menu.addAction(name.replace("&", "&&"), partial(self._insert_field, name))
        self._insert.setEnabled(not menu.isEmpty())

    def _insert_field(self, name: str) -> None:
        form = ":%Y%m%d" if name.endswith("_at") else ""
        self._text.insert(f"{{{name}{form}}}")
        self._text.setFocus()

    def _choose_kind(self, kind: LocatorKind) -> None:
        self._kind = kind
        self._kinds.setText(KIND_WORDS[kind])
        self._kinds.setAccessibleName(f"Kind of place: {KIND_WORDS[kind]}")
        self._show_result()

    def _show_result(self) -> None:
        template = self.template
        problem = template_problem(self._text.text())
        is_bad = problem is not None
        if self._text.property("state") != ("bad" if is_bad else ""):
            self._text.setProperty("state", "bad" if is_bad else "")
            self._text.style().polish(self._text)
        tried: tuple[TriedPlace, ...] = ()
        if template is not None:
            tried = self._places.try_out(self._server, template, self._calls)
        self._summary.setText(self._summary_of(tried, problem))
        self._hint.setText(
            "A saved place counts at once for calls told from now on; calls in the history keep theirs."
            if self._places.can_save
            else "There is no settings file to save into: copy the line to where your settings are."
        )
        self._show_rows(tried)
        self._copy.setEnabled(template is not None)
        self._save.setEnabled(template is not None and template != self._places.template(self._server))

    def _summary_of(self, tried: Sequence[TriedPlace], problem: str | None) -> str:
        if problem is not None:
            return f"The template {problem}"
        if not self._text.text().strip():
            return "Type where the recordings are"
        if not self._calls:
            return "There is no finished call yet to try it on" if self._is_loaded else "Looking for calls"
        found = sum(result.place is not None for result in tried)
        of_all = words.counted(len(tried), "last call", "last calls")
        return f"{found} of the {of_all} {'has' if found == 1 else 'have'} a place"

    def _show_rows(self, tried: Sequence[TriedPlace]) -> None:
        self._results = []
        while (item := self._grid.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        for row, result in enumerate(tried):
            has_place = result.place is not None
            self._grid.addWidget(
                IconLabel(*(("check", "live") if has_place else ("alert", "warning")), 16), row, 0
            )
            title = ElidedLabel("quiet")
            title.show_text(f"{words.date_time(result.call.started_at)}  {words.call_title(result.call)}")
            self._grid.addWidget(title, row, 1)
            told = _PlaceLabel("" if has_place else "quiet")
            told.show_text(words.one_line(result.place if result.place is not None else result.reason))
            self._grid.addWidget(told, row, 2)
            self._results.append(told)

    def _place(self) -> None:
        choices = QHBoxLayout()
        choices.setSpacing(8)
        choices.addWidget(self._kinds)
        choices.addStretch(1)
        choices.addWidget(self._insert)
        self._insert.setEnabled(False)
        self._grid.setContentsMargins(0, 0, 8, 0)
        self._grid.setHorizontalSpacing(12)
        self._grid.setVerticalSpacing(8)
        self._grid.setColumnStretch(1, 4)
        self._grid.setColumnStretch(2, 5)
        rows = QVBoxLayout()
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addWidget(self._rows)
        rows.addStretch(1)
        inside = QWidget()
        inside.setLayout(rows)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(inside)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self._copy)
        buttons.addStretch(1)
        buttons.addWidget(self._save)
        buttons.addWidget(self._close)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 16)
        column.setSpacing(12)
        column.addLayout(choices)
        column.addWidget(self._text)
        column.addWidget(self._summary)
        column.addWidget(area, 1)
        column.addWidget(self._hint)
        column.addLayout(buttons)

    def _on_copy_clicked(self) -> None:
        template = self.template
        if template is not None:
            QGuiApplication.clipboard().setText(recording_line(template))
            self._notifier.tell(Notice("Copied to the clipboard.", topic="copied"))

    def _on_save_clicked(self) -> None:
        template = self.template
        if template is not None:
            self._tasks.start(f"save the place of {self._server}", self._keep(template))

    async def _keep(self, template: RecordingTemplate) -> None:
        await self._places.save(self._server, template)
        self._notifier.tell(Notice("The place is saved in the settings.", topic="saved"))
        self.accept()


class _PlaceLabel(ElidedLabel):
    """A path whose ends tell most."""

    def shown_text(self) -> str:
        return words.elided_number(self.text(), self.fontMetrics(), self.contentsRect().width())
