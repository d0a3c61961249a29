"""What the buttons about web hooks do: copy the address, try it, listen elsewhere, show what has no call."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QWidget

from recmon.domain.calls import RecordingRef, ServerId
from recmon.services.hooks import HookService
from recmon.ui.dialogs.unattached_dialog import UnattachedDialog
from recmon.ui.notifier import Notice, NoticeKind, Notifier
from recmon.ui.panes.hook_part import HookPart
from recmon.ui.tasks import UiTasks


class HookActions(QObject):
    """Does what `HookPart` asks for.

    Args:
        hooks: receives web hooks.
        part: whose buttons these are.
        tasks: runs the test.
        notifier: tells what was copied.
        window: over which dialogs stand.

    Signals:
        play_requested(RecordingRef): the user wants to hear a recording without a call.
    """

    play_requested = Signal(object)

    def __init__(
        self, hooks: HookService, part: HookPart, tasks: UiTasks, notifier: Notifier, window: QWidget
    ) -> None:
        super().__init__(window)
        self._hooks = hooks
        self._part = part
        self._tasks = tasks
        self._notifier = notifier
        self._window = window
        self._warned: dict[ServerId, str] = {}
        part.address_copied.connect(self.copy_address)
        part.test_requested.connect(self.send_test)
        part.port_requested.connect(hooks.use_port)
        part.unattached_requested.connect(self.show_unattached)

    def copy_address(self, server: ServerId) -> None:
        """Put a server's whole address on the clipboard."""
        address = self._hooks.address(server, shows_secret=True)
        if address is not None:
            QGuiApplication.clipboard().setText(address)
            self._notifier.tell(
                Notice(
                    "The address was copied, secret included.", "Treat it like a password.", topic="copied"
                )
            )

    def send_test(self, server: ServerId) -> None:
        """Send a request of our own to a server's address, and say what came of it."""
        self._part.show_verdict("A test hook is on its way…")
        self._tasks.start(f"test hook {server}", self._test(server))

    def show_unattached(self, server: ServerId) -> None:
        """Show the recordings of a server that have no call."""
        dialog = UnattachedDialog(server, self._hooks.intake.unattached(server), self._window.window())
        dialog.play_requested.connect(self._on_play_requested)
        dialog.open()

    def tell_warning(self, server: ServerId, warning: str) -> None:
        """Show what somebody should put right, once."""
        if warning and self._warned.get(server) != warning:
            self._warned[server] = warning
            self._notifier.tell(
                Notice(f"{server}: {warning}", kind=NoticeKind.WARNING, topic=f"web hooks of {server}")
            )

    async def _test(self, server: ServerId) -> None:
        result = await self._hooks.send_test(server)
        self._part.show_verdict(result.sentence)

    def _on_play_requested(self, ref: RecordingRef) -> None:
        self.play_requested.emit(ref)
