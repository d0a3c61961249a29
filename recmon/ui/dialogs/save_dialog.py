"""Asks where, under which names and in which form several recordings are saved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from recmon.domain.calls import Call
from recmon.services.saving import USUAL_TEMPLATE, Naming, SoundFormat
from recmon.ui import text as words
from recmon.ui.panes.choice import Choice
from recmon.ui.panes.notices import plain_label
from recmon.ui.panes.ticker import utc_now

_SHOWN_NAMES = 3
_FIELDS = (
    "Fields: {start} {end} {from} {to} {source} {native_id} and every field of a call's record; "
    "times take a format, as in {start:%Y-%m-%d}."
)
FORMS: tuple[tuple[str, SoundFormat | None], ...] = (
    ("As the server has them", None),
    ("WAV, 16 bit", SoundFormat.WAV),
    ("FLAC, without loss", SoundFormat.FLAC),
    ("Ogg Vorbis", SoundFormat.OGG),
    ("MP3", SoundFormat.MP3),
)


class Names(Protocol):
    """Tells how saved recordings are called."""

    def problem_of(self, template: str) -> str | None: ...
    def preview(self, calls: Sequence[Call], naming: Naming) -> tuple[str, ...]: ...


class SaveDialog(QDialog):
    """Shows the names while their template is typed; does nothing by itself.

    Args:
        calls: whose recordings are saved.
        names: tells how they are called.
        folder: proposed at first.
        template: likewise; empty: the usual one.
        zone: in which times are written.
        parent: that it belongs to.

    Signals:
        save_requested(Path, Naming): the user wants them there.
    """

    save_requested = Signal(object, object)

    def __init__(
        self,
        calls: Sequence[Call],
        names: Names,
        folder: str,
        template: str,
        zone: words.Zone,
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self._calls = calls
        self._names = names
        self._zone = zone
        self.setWindowTitle("Save recordings")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.folder = QLineEdit(folder)
        self.folder.setAccessibleName("Folder")
        self.browse = QPushButton("Browse…")
        self.form = Choice("Form")
        for title, form in FORMS:
            self.form.addItem(title, form)
        self.template = QLineEdit(template or USUAL_TEMPLATE)
        self.template.setAccessibleName("Names")
        self._hint = plain_label("quiet")
        self._hint.setWordWrap(True)
        self._preview = plain_label()
        self._preview.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.save_button = QPushButton("Save")
        self.save_button.setDefault(True)
        self._preview.setAlignment(Qt.AlignmentFlag.AlignTop)
        # Always of the same height, so that nothing moves while a template is typed.
        self._preview.setMinimumHeight((_SHOWN_NAMES + 1) * self._preview.fontMetrics().lineSpacing())
        self._hint.setMinimumHeight(2 * self._hint.fontMetrics().lineSpacing())
        self._place()
        self.browse.clicked.connect(self._on_browse)
        self.save_button.clicked.connect(self._on_save)
        self.form.currentIndexChanged.connect(self._show)
        for field in (self.template, self.folder):
            field.textChanged.connect(self._show)
        self._show()
        self.resize(620, self.sizeHint().height())

    @property
    def naming(self) -> Naming:
        """How the files will be called, and what they are."""
        zone = self._zone.info_at(self._calls[0].started_at or utc_now())
        return Naming(self.template.text(), zone, self.form.currentData())

    @property
    def preview_text(self) -> str:
        """The names that are shown."""
        return self._preview.text()

    @property
    def hint_text(self) -> str:
        """What is wrong, or what can be used in names."""
        return self._hint.text()

    def _place(self) -> None:
        cancel = QPushButton("Cancel")
        cancel.clicked.connect(self.reject)
        heading = plain_label("heading")
        heading.setText(f"Save {words.counted(len(self._calls), 'recording', 'recordings')}")
        place = QHBoxLayout()
        place.setSpacing(8)
        place.addWidget(self.folder, 1)
        place.addWidget(self.browse)
        grid = QGridLayout()
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(8)
        for row, title in enumerate(("Folder", "Form", "Names")):
            label = plain_label("quiet")
            label.setText(title)
            grid.addWidget(label, row, 0)
        grid.addLayout(place, 0, 1)
        grid.addWidget(self.form, 1, 1)
        grid.addWidget(self.template, 2, 1)
        grid.addWidget(self._hint, 3, 1)
        grid.addWidget(self._preview, 4, 1)
        grid.setColumnStretch(1, 1)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addStretch(1)
        buttons.addWidget(cancel)
        buttons.addWidget(self.save_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 16)
        column.setSpacing(16)
        column.addWidget(heading)
        column.addLayout(grid)
        column.addStretch(1)
        column.addLayout(buttons)

    def _show(self) -> None:
        problem = self._names.problem_of(self.template.text())
        is_folder = bool(self.folder.text()) and Path(self.folder.text()).is_dir()
        self.save_button.setEnabled(problem is None and is_folder)
        if problem is not None:
            self._hint.setText(f"These names cannot be: {problem}.")
            self._preview.setText("")
            return
        self._hint.setText(_FIELDS if is_folder else "There is no such folder.")
        names = self._names.preview(self._calls[:_SHOWN_NAMES], self.naming)
        more = len(self._calls) - len(names)
        lines = [words.one_line(name) for name in names]
        self._preview.setText("\n".join([*lines, f"and {more:,} more"] if more else lines))

    def _on_browse(self) -> None:
        dialog = QFileDialog(self, "Save into folder", self.folder.text())
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly, True)
        dialog.fileSelected.connect(self.folder.setText)
        dialog.open()

    def _on_save(self) -> None:
        self.save_requested.emit(Path(self.folder.text()), self.naming)
        self.accept()
