"""What a user does with the recordings of calls on this computer: fetch, keep, clear away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QObject, Qt
from PySide6.QtWidgets import QMessageBox, QWidget

from recmon.domain.calls import Call, RecordingRef
from recmon.domain.stored_recordings import StoredRecording
from recmon.errors import RecmonError
from recmon.publisher import Subscription
from recmon.ui import text
from recmon.ui.notifier import Notice, Notifier
from recmon.ui.panes.downloads_strip import DownloadsStrip
from recmon.ui.tasks import UiTasks

FETCH_TASK = "fetch"
CLEAR_TASK = "clear cache"


class KeptRecordings(QObject):
    """Fetches, protects and clears recordings, and tells what became of that.

    Args:
        services: open services; their fields are those of `recmon.app.Services`.
        strip: shows the queue.
        tasks: runs what takes time.
        notifier: tells the user.
        window: on which questions are asked.
    """

    def __init__(
        self, services: Any, strip: DownloadsStrip, tasks: UiTasks, notifier: Notifier, window: QWidget
    ) -> None:
        super().__init__(window)
        self._services = services
        self._strip = strip
        self._tasks = tasks
        self._notifier = notifier
        self._window = window

    def subscriptions(self) -> list[Subscription]:
        """Follow the services; return what ends that."""
        return [
            self._services.downloads.altered.subscribe(self._on_altered),
            self._services.queue.arrived.subscribe(self._on_arrived),
        ]

    def fetch(self, calls: Sequence[Call]) -> None:
        """Put the recordings of calls into the queue; those of calls that go on are waited for."""
        if not calls:
            self._notifier.tell(
                Notice("No call is selected.", "Select some, then fetch their recordings.", topic=FETCH_TASK)
            )
            return
        self._strip.name_calls(calls)
        self._tasks.start(FETCH_TASK, self._fetch(calls))

    def is_protected(self, call: Call) -> bool:
        """Tell whether a call's recordings stay on this computer whatever its limits say."""
        return any(self._services.cache.is_protected(ref) for ref in call.recordings)

    def protect(self, calls: Sequence[Call], is_protected: bool) -> None:
        """Have the recordings of calls stay on this computer whatever its limits say, or end that."""
        refs = [ref for call in calls for ref in call.recordings]
        self._tasks.start("protect", self._services.cache.protect(refs, is_protected=is_protected))

    def ask_to_clear(self) -> QMessageBox:
        """Ask whether to remove the recordings kept on this computer; return the open dialog."""
        use = self._services.cache.use()
        box = QMessageBox(self._window)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.setWindowTitle("Clear the recordings kept here")
        box.setTextFormat(Qt.TextFormat.PlainText)
        going = text.counted(use.recordings - use.protected, "recording", "recordings")
        box.setText(f"Remove {going} ({text.size(use.size - use.protected_size)}) from this computer?")
        stay = f" {text.counted(use.protected, 'protected recording stays', 'protected recordings stay')}."
        box.setInformativeText(
            "They can be fetched again as long as their servers have them." + (stay if use.protected else "")
        )
        remove = box.addButton("Remove", QMessageBox.ButtonRole.AcceptRole)
        box.addButton(QMessageBox.StandardButton.Cancel)
        remove.clicked.connect(lambda: self._tasks.start(CLEAR_TASK, self._clear()))
        box.open()
        return box

    async def _fetch(self, calls: Sequence[Call]) -> None:
        added = await self._services.fetching.fetch(calls)
        if not added:
            what = "It is" if len(calls) == 1 else "All of them are"
            self._notifier.tell(Notice(f"{what} here or in the queue already.", topic=FETCH_TASK))
        elif not any(call.state.is_over for call in calls):
            words = "The recording is fetched when the call has ended and the server has it."
            self._notifier.tell(Notice(words, topic=FETCH_TASK))

    async def _clear(self) -> None:
        removed = await self._services.cache.clear()
        words = f"{text.counted(removed.recordings, 'recording', 'recordings')} removed"
        stayed = text.counted(removed.kept, "recording stays", "recordings stay")
        self._notifier.tell(
            Notice(
                f"{words}; {text.size(removed.size)} are free again.",
                f"{stayed}: protected, or in use." if removed.kept else "",
                topic=CLEAR_TASK,
            )
        )

    def _on_arrived(self, record: StoredRecording) -> None:
        title = self._strip.title_of(record.call) or "a call that was waited for"
        self._notifier.tell(
            Notice(f"The recording is here: {title}.", "It can be played now.", topic="arrived")
        )

    def _on_altered(self, told: tuple[RecordingRef, RecmonError]) -> None:
        self._notifier.tell_error(told[1], topic="altered")
