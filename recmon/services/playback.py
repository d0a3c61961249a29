"""The player's service: plays one recording at a time, from a server or a file, and tells how it goes.

All methods belong to the event loop's thread. The work is done by `audio.player` and its thread.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from recmon.audio.output import Output
from recmon.audio.plan import Plan
from recmon.audio.player import Player, PlayerEvent, PlayerReport
from recmon.audio.stream import GrowingFile
from recmon.domain.calls import RecordingRef
from recmon.domain.mixing import FASTEST, SLOWEST, Mix, SideLevel
from recmon.domain.recordings import AudioInfo, BareCodec, BareSound, Waveform
from recmon.domain.speech import Span, SpeechMap
from recmon.errors import AudioError, RecmonError
from recmon.publisher import Publisher, Subscription
from recmon.services.choices import plan_of, silences_skipped, sound_of, status_of_another
from recmon.services.downloads import DownloadService
from recmon.services.playing import HeardSpan, PlaybackState, PlaybackStatus
from recmon.services.survey import Survey

__all__ = [
    "AudioInfo",
    "BareCodec",
    "BareSound",
    "HeardSpan",
    "PlaybackService",
    "PlaybackState",
    "PlaybackStatus",
    "Waveform",
]

TICK_S = 0.1
CLOSE_DEADLINE_S = 1.0

MOST_STEP_BACK_S = 10.0


class PlaybackService:
    """Plays recordings. An async context manager: leaving it ends all its threads and lets go of the device.

    Args:
        downloads: where recordings come from; without it only files can be played.
        output: the device.

    Attributes:
        changed: publishes the status, on every change and about ten times a second while playing.
        waveform_changed: publishes the overview of what is played as it grows; None when that changes.
        speech_changed: publishes who speaks when in what is played, as that gets known; None when what is
            played changes.
        started: publishes, once for each play, the seconds from the request to the first frame that was
            handed to the device.
        heard: publishes what really left at the device, about ten times a second while playing; each second
            once for each time that it was heard.
    """

    def __init__(self, downloads: DownloadService | None, output: Output) -> None:
        self.changed: Publisher[PlaybackStatus] = Publisher()
        self.waveform_changed: Publisher[Waveform | None] = Publisher()
        self.speech_changed: Publisher[SpeechMap | None] = Publisher()
        self.started: Publisher[float] = Publisher()
        self.heard: Publisher[HeardSpan] = Publisher()
        self._downloads = downloads
        self._player = Player(output, self._report)
        self._status = PlaybackStatus()
        self._waveform: Waveform | None = None
        self._speech: SpeechMap | None = None
        self._levels: tuple[SideLevel, ...] = ()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ticket = 0
        self._requested_at: float | None = None
        self._settled: asyncio.Future[None] | None = None
        # Held while a file is given to the player, which may be done by the thread that receives it, and by
        # what changes whether and from where on it is to be played.
        self._handing_over = threading.Lock()
        self._handed_over = 0
        self._start_s = 0.0
        self._file: GrowingFile | None = None
        self._bare: BareSound | None = None
        self._opening: Callable[[], Awaitable[GrowingFile]] | None = None
        self._arrivals: Subscription | None = None
        self._arrival_told_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._survey: Survey | None = None
        self._threads: list[threading.Thread] = []

    async def __aenter__(self) -> PlaybackService:
        self._loop = asyncio.get_running_loop()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()
        thread = self._player.close()
        threads = [*self._threads, *([] if thread is None else [thread])]
        await asyncio.to_thread(_join, threads, CLOSE_DEADLINE_S)

    @property
    def status(self) -> PlaybackStatus:
        """How playing goes now."""
        return self._status

    @property
    def waveform(self) -> Waveform | None:
        """The overview of what is played, as far as it is known."""
        return self._waveform

    @property
    def speech(self) -> SpeechMap | None:
        """Who speaks when in what is played, as far as it is known."""
        return self._speech

    def peaks(self, begin_s: float, end_s: float, columns: int) -> Waveform | None:
        """Return the peaks of a part of what is played, in about so many stretches; None before the first.

        The stretches begin at or before `begin_s`, at a whole number of their length (`Waveform.begin_s`).
        """
        return None if self._survey is None else self._survey.peaks(begin_s, end_s, columns)

    def prepare(self) -> None:
        """Load the sound libraries and get the device ready, in the background, for a quick first sound."""
        self._player.prepare()

    async def play(
        self,
        source: RecordingRef | Path,
        start_s: float = 0.0,
        *,
        opening: Callable[[], Awaitable[GrowingFile]] | None = None,
        bare: BareSound | None = None,
    ) -> None:
        """Play a recording; return when its sound is on its way, or it is clear that it cannot be played.

        Errors are told by the status. A later `play` or `stop` takes its place; a cancelled one stops.

        Args:
            source: a recording on a server, or a file.
            start_s: where to begin, in seconds.
            opening: gets the file where the source is neither fetched nor on this computer; need not be told
                again when that source is played again.
            bare: what the recording is made of, where it does not tell and the listener chose.
        """
        if opening is None and source == self._status.source:
            opening = self._opening
        self._opening = opening
        self._leave()
        ticket = self._ticket
        self._requested_at = time.monotonic()
        self._start_s = max(0.0, start_s)
        self._publish(self._fresh(PlaybackState.LOADING, source, self._start_s))
        self._apply_sound()
        self._player.prepare()
        settled = self._settled = asyncio.get_running_loop().create_future()
        begun = threading.Event()
        hand_over = partial(self._hand_over, ticket, bare, begun)
        try:
            hand_over(await (self._open(source, hand_over, begun) if opening is None else opening()))
            await settled
        except RecmonError as error:
            if ticket == self._ticket:
                self._fail(error)
        except asyncio.CancelledError:
            if ticket == self._ticket and self._status.state is PlaybackState.LOADING:
                self.stop()
            raise

    def pause(self) -> None:
        """Be silent at once, and keep the place."""
        if self._status.state is PlaybackState.PLAYING:
            self._player.pause()
            self._tell_heard()
            self._change(state=PlaybackState.PAUSED, position_s=self._position_s(), is_buffering=False)

    def resume(self) -> None:
        """Go on after a pause, from a little earlier where so chosen; from the beginning after the end."""
        if self._status.state is PlaybackState.PAUSED:
            if self._status.step_back_s > 0:
                self._go_to(self._status.position_s - self._status.step_back_s)
            self._player.resume()
            self._change(state=PlaybackState.PLAYING, error=None)
            self._tick()
        elif self._status.state is PlaybackState.ENDED:
            self._go_to(0.0)

    async def seek(self, position_s: float) -> None:
        """Go on at another place; bytes that have not arrived yet are waited for."""
        self._go_to(position_s)

    def stop(self) -> None:
        """Be silent and let go of the recording; its download goes on."""
        self._leave()
        self._publish(self._fresh(PlaybackState.IDLE))

    # How everything is played, this and later recordings

    def set_volume(self, volume: float) -> None:
        """Set the volume from 0 to 1."""
        self._change(volume=min(1.0, max(0.0, volume)))
        self._apply_sound()

    def set_speed(self, speed: float) -> None:
        """Play so many seconds of a recording in each second, from 0.5 to 3, at its own pitch."""
        self._change(speed=min(FASTEST, max(SLOWEST, speed)))
        self._apply_sound()

    def set_mix(self, mix: Mix) -> None:
        """Set how both sides of a recording are heard."""
        self._change(mix=mix)
        self._apply_sound()

    def set_auto_level(self, is_levelled: bool) -> None:
        """Bring both sides to the same level, or leave them as they are."""
        self._change(is_levelled=is_levelled)
        self._apply_sound()

    def set_skip_silence(self, least_s: float | None) -> None:
        """Leave out silences of this length or longer; None leaves out none."""
        self._change(skip_silence_s=least_s, skipped=silences_skipped(self._speech, least_s))
        self._apply_plan()

    def set_step_back(self, seconds: float) -> None:
        """Begin so much earlier, up to ten seconds, when resuming after a pause."""
        self._change(step_back_s=min(MOST_STEP_BACK_S, max(0.0, seconds)))

    def choose_device(self, name: str | None) -> None:
        """Let sound go to a device by its name, or to the computer's default; what is played moves there."""
        self._change(chosen_device=name)
        self._player.choose_device(name)

    async def devices(self) -> tuple[str, ...]:
        """Return the names of the devices that sound can go to."""
        told: asyncio.Future[tuple[str, ...]] = asyncio.get_running_loop().create_future()

        def settle(names: tuple[str, ...]) -> None:
            if not told.done():
                told.set_result(names)

        self._player.list_devices(lambda names: self._call_soon(settle, names))
        return await told

    # How this recording is played

    def set_loop(self, begin_s: float | None, end_s: float = 0.0) -> None:
        """Play a part again and again, from now on; None ends that."""
        loop = None if begin_s is None else Span(max(0.0, min(begin_s, end_s)), max(begin_s, end_s))
        if self._status.state in (PlaybackState.IDLE, PlaybackState.FAILED):
            loop = None
        self._change(loop=loop)
        self._apply_plan()

    async def hear_skipped(self) -> None:
        """Go back to the silence that was left out last, and play it."""
        passed = [span for span in self._status.skipped if span.begin_s <= self._status.position_s]
        if passed:
            self._go_to(passed[-1].begin_s)

    # Opening and leaving

    async def _open(
        self,
        source: RecordingRef | Path,
        hand_over: Callable[[GrowingFile], None],
        begun: threading.Event,
    ) -> GrowingFile:
        if isinstance(source, Path):
            return await asyncio.to_thread(_open_file, source)
        if self._downloads is None:
            raise AudioError("recordings on servers cannot be fetched here")
        download = self._downloads.open(source)
        download.when_begun(hand_over, begun)
        return await download.opened()

    def _hand_over(
        self, ticket: int, bare: BareSound | None, begun: threading.Event, file: GrowingFile
    ) -> None:
        """Give the player what it was to play, unless it is to play something else by now; any thread.

        The sooner it comes there, the sooner it sounds: the loop, which has an arriving file to see to, is
        told of it on the way.
        """
        with self._handing_over:
            if self._ticket != ticket:
                begun.set()
            elif self._handed_over != ticket:
                self._handed_over = ticket
                self._call_soon(self._take_over, ticket, file, bare)
                self._player.open(ticket, file, self._start_s, bare, begun)

    def _take_over(self, ticket: int, file: GrowingFile, bare: BareSound | None) -> None:
        if ticket == self._ticket:
            self._file, self._bare = file, bare
            self._arrivals = file.progressed.subscribe(self._on_arrival)

    def _leave(self) -> None:
        """End what is played, and everything that belongs to it."""
        self._tell_heard()
        with self._handing_over:
            self._ticket += 1
            self._player.stop()
        self._requested_at = None
        self._file = None
        if self._arrivals is not None:
            self._arrivals.cancel()
            self._arrivals = None
        if self._settled is not None and not self._settled.done():
            self._settled.set_result(None)
        if self._survey is not None:
            self._survey.end()
            self._survey = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waveform is not None:
            self._waveform = None
            self.waveform_changed.publish(None)
        self._levels = ()
        if self._speech is not None:
            self._speech = None
            self.speech_changed.publish(None)

    def _go_to(self, position_s: float) -> None:
        if self._status.state in (PlaybackState.IDLE, PlaybackState.FAILED):
            return
        length_s = self._status.length_s
        position_s = max(0.0, position_s if length_s is None else min(position_s, length_s))
        with self._handing_over:
            self._start_s = position_s
            self._player.seek(position_s)
        is_over = self._status.state is PlaybackState.ENDED
        self._change(position_s=position_s, state=PlaybackState.PLAYING if is_over else self._status.state)
        if is_over:
            self._tick()

    # What the threads tell

    def _report(self, report: PlayerReport) -> None:
        self._call_soon(self._on_report, report)

    def _on_report(self, report: PlayerReport) -> None:
        if report.ticket != self._ticket or self._status.state is PlaybackState.IDLE:
            return
        match report.event:
            case PlayerEvent.OPENED:
                self._change(
                    info=report.info, length_s=self._player.length_s, arrived_s=self._player.arrived_s
                )
                self._apply_sound()
            case PlayerEvent.PLAYING:
                if self._status.state is PlaybackState.LOADING:
                    self._change(state=PlaybackState.PLAYING, device=self._player.device)
                    # Not before: it would take time from the first sound.
                    self._look_through()
                    self._tick()
                self._settle()
            case PlayerEvent.ENDED:
                self._tell_start()
                self._tell_heard()
                length_s = self._position_s() if self._status.length_s is None else self._status.length_s
                self._change(
                    state=PlaybackState.ENDED, position_s=length_s, length_s=length_s, is_buffering=False
                )
            case PlayerEvent.FAILED:
                if self._status.state is not PlaybackState.LOADING:
                    self._change(position_s=self._position_s())
                elif self._status.info is not None:
                    # It can be looked at, even if nothing can be heard.
                    self._look_through()
                self._fail(report.error)
                self._settle()
            case PlayerEvent.DEVICE_LOST:
                if self._status.state is PlaybackState.PLAYING:
                    self._change(
                        state=PlaybackState.PAUSED,
                        position_s=self._position_s(),
                        is_buffering=False,
                        error=report.error,
                    )

    def _tick(self) -> None:
        """Publish the position while playing; one of the program's two timers."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._status.state is not PlaybackState.PLAYING or self._loop is None:
            return
        self._timer = self._loop.call_later(TICK_S, self._tick)
        self._tell_start()
        self._tell_heard()
        self._player.check_device()
        self._change(
            device=self._player.device,
            position_s=self._position_s(),
            is_buffering=self._player.is_starving,
            **self._told_by_file(),
        )

    def _on_arrival(self, _: int) -> None:
        # Called by the thread that writes the file.
        file, at = self._file, time.monotonic()
        is_last = file is not None and (file.is_finished or file.error is not None)
        if is_last or at - self._arrival_told_at >= TICK_S:
            self._arrival_told_at = at
            self._call_soon(self._tell_arrival, self._ticket)

    def _tell_arrival(self, ticket: int) -> None:
        if ticket == self._ticket and self._status.info is not None:
            self._change(**self._told_by_file())

    def _told_by_file(self) -> dict[str, Any]:
        """Return what the file tells by now: some files tell their length at their end only."""
        player = self._player
        return {
            "info": player.info or self._status.info,
            "length_s": player.length_s,
            "arrived_s": player.arrived_s,
        }

    def _on_waveform(self, waveform: Waveform) -> None:
        self._waveform = waveform
        self.waveform_changed.publish(waveform)

    def _on_speech(self, speech: SpeechMap, levels: tuple[SideLevel, ...]) -> None:
        self._speech, self._levels = speech, levels
        self.speech_changed.publish(speech)
        self._apply_sound()
        self._change(skipped=silences_skipped(speech, self._status.skip_silence_s))
        self._apply_plan()

    # Details

    def _fresh(
        self, state: PlaybackState, source: RecordingRef | Path | None = None, position_s: float = 0.0
    ) -> PlaybackStatus:
        self._player.set_plan(Plan())
        return status_of_another(self._status, state, source, position_s)

    def _apply_sound(self) -> None:
        self._player.set_sound(sound_of(self._status, self._levels))

    def _apply_plan(self) -> None:
        self._player.set_plan(plan_of(self._status))

    def _look_through(self) -> None:
        # What has no end has no overview.
        if self._file is None or self._file.is_endless:
            return
        self._survey = Survey(
            self._file, self._call_soon, self._on_waveform, self._on_speech, self._bare, self._peaks_file()
        )
        self._threads = [*self._survey.threads, *(known for known in self._threads if known.is_alive())]

    def _call_soon(self, function: Callable[..., None], *arguments: object) -> None:
        """Call something in the event loop's thread, from any thread; too late, nothing happens."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop was closed
                self._loop.call_soon_threadsafe(function, *arguments)

    def _position_s(self) -> float:
        position_s, length_s = self._player.position_s, self._status.length_s
        return position_s if length_s is None else min(position_s, length_s)

    def _tell_start(self) -> None:
        started_at = self._player.started_at
        if self._requested_at is not None and started_at is not None:
            waited_s, self._requested_at = started_at - self._requested_at, None
            self.started.publish(waited_s)

    def _peaks_file(self) -> Path | None:
        source = self._status.source
        if self._downloads is None or self._bare is not None or not isinstance(source, RecordingRef):
            return None
        return self._downloads.peaks_file(source)

    def _tell_heard(self) -> None:
        source = self._status.source
        for begin_s, end_s in self._player.heard():
            if source is not None:
                self.heard.publish(HeardSpan(source, begin_s, end_s))

    def _settle(self) -> None:
        if self._settled is not None and not self._settled.done():
            self._settled.set_result(None)

    def _fail(self, error: RecmonError | None) -> None:
        self._publish(replace(self._status, state=PlaybackState.FAILED, is_buffering=False, error=error))

    def _change(self, **values: Any) -> None:
        self._publish(replace(self._status, **values))

    def _publish(self, status: PlaybackStatus) -> None:
        if status != self._status:
            self._status = status
            self.changed.publish(status)


def _open_file(path: Path) -> GrowingFile:
    file = GrowingFile.whole(path)
    # From here on it is open as long as someone reads it.
    file.close()
    return file


def _join(threads: list[threading.Thread], deadline_s: float) -> None:
    give_up_at = time.monotonic() + deadline_s
    for thread in threads:
        thread.join(max(0.0, give_up_at - time.monotonic()))
