"""The player in the hands of the desktop: media keys work whatever window has the focus (Linux)."""

from __future__ import annotations

import logging
import os
import sys
from typing import Protocol

from recmon.domain.calls import RecordingRef
from recmon.domain.mixing import FASTEST, SLOWEST
from recmon.net.mpris import DesktopControl, RemoteState
from recmon.services.playback import PlaybackService, PlaybackState, PlaybackStatus
from recmon.services.playlist import Playlist

_STATUSES = {
    PlaybackState.LOADING: "Playing",
    PlaybackState.PLAYING: "Playing",
    PlaybackState.PAUSED: "Paused",
}

_log = logging.getLogger(__name__)


class Hands(Protocol):
    """What the window does for the desktop, as if its own keys were pressed."""

    def raise_window(self) -> None:
        """Show the window before all others."""

    def toggle(self) -> None:
        """Play, or pause."""

    def step(self, by: int) -> None:
        """Go to a later call of the list (1) or an earlier one (-1)."""

    def skip(self, seconds: float) -> None:
        """Move by some seconds."""

    def go_to(self, seconds: float) -> None:
        """Go to a second."""


class MediaSession:
    """Tells the desktop how the player does, and does what it asks for.

    On Windows and macOS media keys reach the window while it has the focus, and nothing is served.

    Args:
        playback: the player.
        playlist: the list of calls.
        hands: the window.
    """

    def __init__(self, playback: PlaybackService, playlist: Playlist, hands: Hands) -> None:
        self._playback = playback
        self._playlist = playlist
        self._hands = hands
        self._track = 0
        self._source: object = None
        self.control = DesktopControl(self, SLOWEST, FASTEST)

    @staticmethod
    def is_wanted() -> bool:
        """Whether there is a desktop that asks for it."""
        return sys.platform == "linux" and bool(os.environ.get("DBUS_SESSION_BUS_ADDRESS"))

    async def serve(self) -> None:
        """Serve until cancelled; where there is no bus, that is noted in the log."""
        subscription = self._playback.changed.subscribe(self._on_playback)
        try:
            await self.control.run()
        except OSError as error:
            _log.info("media keys reach the window only while it has the focus: %s", error)
        finally:
            subscription.cancel()

    def _on_playback(self, status: PlaybackStatus) -> None:
        if status.source != self._source:
            self._source = status.source
            self._track += 1
        self.control.tell()

    # Remote

    def state(self) -> RemoteState:
        status = self._playback.status
        is_loaded = status.source is not None and status.state is not PlaybackState.IDLE
        holder = status.source.server if isinstance(status.source, RecordingRef) else ""
        return RemoteState(
            status=_STATUSES.get(status.state, "Stopped"),
            title=f"Recording from {holder}" if holder else "Recording",
            track=self._track if is_loaded else 0,
            position_s=status.position_s,
            length_s=status.length_s,
            rate=status.speed,
            volume=status.volume,
            has_list=self._playlist.is_running,
        )

    def raise_window(self) -> None:
        self._hands.raise_window()

    def play(self) -> None:
        if self._playback.status.state not in (PlaybackState.PLAYING, PlaybackState.LOADING):
            self._hands.toggle()

    def pause(self) -> None:
        if self._playback.status.state is PlaybackState.PLAYING:
            self._hands.toggle()

    def toggle(self) -> None:
        self._hands.toggle()

    def stop(self) -> None:
        self._playback.stop()

    def step(self, by: int) -> None:
        self._hands.step(by)

    def skip(self, seconds: float) -> None:
        self._hands.skip(seconds)

    def go_to(self, seconds: float) -> None:
        self._hands.go_to(seconds)

    def set_rate(self, rate: float) -> None:
        self._playback.set_speed(rate)

    def set_volume(self, volume: float) -> None:
        self._playback.set_volume(volume)
