"""Does what helps against an obstacle, when its button is pressed."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices

from recmon.domain.calls import Call
from recmon.domain.obstacles import Remedy
from recmon.domain.recordings import BareCodec, BareSound
from recmon.ui import text as words
from recmon.ui.notifier import Notice, Notifier
from recmon.ui.panes.playing import Playing
from recmon.ui.panes.save_strip import SaveStrip
from recmon.ui.tasks import UiTasks

REMEDY_TASK = "remedy"


class Remedies:
    """Knows which part of the program helps.

    Args:
        services: open services; their fields are those of `recmon.app.Services`.
        saving: saves recordings.
        playing: plays them.
        tasks: runs what takes time.
        notifier: tells what was done.
    """

    def __init__(
        self, services: Any, saving: SaveStrip, playing: Playing, tasks: UiTasks, notifier: Notifier
    ) -> None:
        self._services = services
        self._saving = saving
        self._playing = playing
        self._tasks = tasks
        self._notifier = notifier

    def apply(self, remedy: Remedy, call: Call) -> None:
        """Do what helps for the recording of a call."""
        match remedy:
            case Remedy.RETRY | Remedy.RESUME:
                self._tasks.start(REMEDY_TASK, self._try_again(call))
            case Remedy.FETCH_WHEN_READY:
                self._tasks.start(REMEDY_TASK, self._wait_for(call))
            case Remedy.SAVE_ANYWAY:
                self._saving.ask([call])
            case Remedy.MAKE_ROOM:
                self._tasks.start(REMEDY_TASK, self._make_room(call))
            case Remedy.SETTINGS:
                self._show_settings()
            case Remedy.PLAY_ALAW:
                self._playing.play(call, bare=BareSound(BareCodec.ALAW))
            case Remedy.PLAY_MULAW:
                self._playing.play(call, bare=BareSound(BareCodec.MULAW))

    async def _try_again(self, call: Call) -> None:
        refs = call.recordings or (self._services.details.recording_of(call),)
        # What stands in the queue is tried anew there; what nobody queued is queued now.
        await self._services.queue.retry(refs)
        await self._services.fetching.fetch([call])

    async def _wait_for(self, call: Call) -> None:
        await self._services.fetching.fetch([call], is_awaited=True)
        self._notifier.tell(
            Notice("The recording is fetched as soon as its server has it.", topic=REMEDY_TASK)
        )

    async def _make_room(self, call: Call) -> None:
        removed = await self._services.cache.clear()
        freed = words.counted(removed.recordings, "recording", "recordings")
        self._notifier.tell(
            Notice(f"{freed} removed from the cache, {words.size(removed.size)} freed.", topic=REMEDY_TASK)
        )
        await self._try_again(call)

    def _show_settings(self) -> None:
        source = self._services.settings.source
        if source is None or not QDesktopServices.openUrl(QUrl.fromLocalFile(str(source))):
            place = "the settings file" if source is None else words.one_line(str(source))
            self._notifier.tell(
                Notice(
                    f"The settings are in {place}.",
                    "Web hooks follow them at once, all else after a restart.",
                    topic=REMEDY_TASK,
                )
            )
