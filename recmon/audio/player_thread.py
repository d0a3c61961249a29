"""What the player's thread does: obeys commands in order, and decodes ahead of the device in between."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from queue import Empty

import numpy as np

from recmon.audio.buffer import BufferEvent, PlayBuffer
from recmon.audio.decoder import Decoder, Samples
from recmon.audio.output import Output
from recmon.audio.plan import Plan, Seam
from recmon.audio.player import (
    ChooseCommand,
    CloseCommand,
    Command,
    ListCommand,
    LostCommand,
    OpenCommand,
    PauseCommand,
    PlanCommand,
    PlayerEvent,
    PlayerReport,
    PlayerState,
    PrepareCommand,
    ResumeCommand,
    SeekCommand,
    StopCommand,
)
from recmon.audio.resampler import Resampler
from recmon.audio.views import ReadingAborted
from recmon.errors import AudioError, RecmonError

SWITCH_S = 0.001
"""A thread that waits for the interpreter gets it so soon: with Python's 5 ms, each of the three threads that
a first sound goes through would wait for longer than all of its work takes."""

BLOCK_S = 0.1

USUAL_RATE = 8000
"""Of telephone recordings: the device is got ready for it before a header was read."""

SEAM_FADE_S = 0.003
"""Where the sound leaves its order it falls and rises this fast, so that nothing clicks."""

NOTHING_HEARD_S = 0.1
"""A device that fails before so much was heard was gone before."""

SPARE_FRAMES = 64
"""Room left in the buffer: a resampler may give a few frames more than were reckoned."""


class _Stage(Enum):
    NOTHING = "no file"
    OPENING = "the header is to be read"
    FILLING = "there is more to decode"
    FULL = "enough is ahead"
    DONE = "all is decoded"


class PlayerThread:
    """Owns decoder and device. Made and run in the player's thread."""

    def __init__(self, state: PlayerState, output: Output, report: Callable[[PlayerReport], None]) -> None:
        self._state = state
        self._inbox = state.inbox
        self._output = output
        self._report = report
        if state.buffer is None:
            state.buffer = PlayBuffer(state.inbox.put)
        self._buffer = state.buffer
        self._buffer.set_sound(state.sound)
        self._stage = _Stage.NOTHING
        self._ticket = 0
        self._start_s = 0.0
        self._rate = USUAL_RATE
        self._plan = Plan()
        self._is_rising = False
        self._device_rate = USUAL_RATE
        self._resampler: Resampler | None = None
        # Frames that a resampler gives again before it comes to where the sound goes on.
        self._unwanted = 0
        self._has_device = False
        # Where the listener asked to hear something: a device of which nothing comes is looked for once more.
        self._asked_s: float | None = None
        self._is_begun = False
        self._failure: RecmonError | None = None

    def run(self) -> None:
        """Work until told to close."""
        sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_S))
        is_orderly = False
        try:
            while True:
                message = self._receive()
                if isinstance(message, CloseCommand):
                    break
                if message is None:
                    self._work()
                else:
                    self._obey(message)
            is_orderly = True
        finally:
            # Also when a fault in the program ends the thread: it is reported where such faults are, and
            # the next command begins a new thread.
            self._release_file()
            self._output.close()
            if not is_orderly:
                self._tell(PlayerEvent.FAILED, AudioError("the player stopped unexpectedly"))

    def _receive(self) -> Command | BufferEvent | None:
        """Return the next message; None where there is none and something to do."""
        if self._stage not in (_Stage.OPENING, _Stage.FILLING):
            return self._inbox.get()
        if self._state.decoder is not None:
            # Before the look into the inbox: a command that comes in after it calls the decoder off again.
            self._state.decoder.resume()
        try:
            return self._inbox.get_nowait()
        except Empty:
            return None

    def _obey(self, message: Command | BufferEvent) -> None:
        if message is BufferEvent.ROOM:
            if self._stage is _Stage.FULL:
                self._stage = _Stage.FILLING
        elif message is BufferEvent.DRAINED:
            self._on_drained()
        elif isinstance(message, OpenCommand):
            self._begin(message)
        elif isinstance(message, SeekCommand):
            self._seek(message.position_s)
        elif isinstance(message, PauseCommand):
            self._wake_device()
        elif isinstance(message, ResumeCommand):
            self._resume()
        elif isinstance(message, StopCommand):
            self._release_file()
            self._wake_device()
        elif isinstance(message, PlanCommand):
            self._heed()
        elif isinstance(message, ChooseCommand):
            self._choose(message.device)
        elif isinstance(message, ListCommand):
            self._list(message)
        elif isinstance(message, LostCommand):
            self._on_lost(message.error)
        elif isinstance(message, PrepareCommand):
            self._prepare()

    def _work(self) -> None:
        try:
            if self._stage is _Stage.OPENING:
                self._open()
            else:
                self._fill()
        except ReadingAborted:
            return
        except RecmonError as error:
            self._fail(error)

    # Commands

    def _prepare(self) -> None:
        if self._has_device:
            return
        try:
            self._open_device(USUAL_RATE)
            self._output.start()
        except AudioError:
            # Told when something is played: until then nobody misses the sound.
            self._has_device = False

    def _begin(self, command: OpenCommand) -> None:
        self._release_file()
        self._ticket = command.ticket
        self._start_s = command.start_s
        self._is_begun = False
        self._failure = None
        self._state.sought_s = None
        self._buffer.forget_start(command.begun)
        self._state.decoder = Decoder(command.file, command.bare)
        self._stage = _Stage.OPENING

    def _seek(self, position_s: float) -> None:
        # Who chooses a place in a silence wants to hear it.
        self._plan = self._state.plan.hearing(position_s)
        if self._stage in (_Stage.NOTHING, _Stage.OPENING):
            self._start_s = position_s
            self._state.sought_s = None
        else:
            self._failure = None
            self._go_to(position_s)
            self._let_play()

    def _resume(self) -> None:
        if self._stage in (_Stage.NOTHING, _Stage.OPENING):
            return
        self._asked_s = self._buffer.position_s
        try:
            if self._has_device:
                self._let_play()
            else:
                self._play_on()
        except AudioError as error:
            self._on_lost(error)

    def _play_on(self) -> None:
        """Open a device, and play on it from where it was."""
        position_s = self._buffer.position_s
        self._open_device(self._rate)
        self._go_to(position_s)
        self._let_play()

    def _heed(self) -> None:
        self._plan = self._state.plan
        if self._stage not in (_Stage.FILLING, _Stage.FULL, _Stage.DONE) or self._state.sought_s is not None:
            return
        if self._stage is _Stage.DONE and not self._buffer.is_active:
            return
        self._failure = None
        self._go_on(self._buffer.cut(1 if self._resampler is None else self._resampler.up))

    def _choose(self, device: str | None) -> None:
        was_open = self._has_device
        self._output.choose(device)
        if self._output.device is None:
            self._move_to_device(was_open)

    def _list(self, command: ListCommand) -> None:
        was_open = self._has_device
        # What sounds is not interrupted for it.
        is_sounding = self._stage is not _Stage.NOTHING and not self._state.is_paused
        try:
            devices = self._output.devices(looks_again=not is_sounding)
        except AudioError:
            devices = ()
        command.reply(devices)
        if self._output.device is None:
            self._move_to_device(was_open)

    def _move_to_device(self, was_open: bool) -> None:
        """Open the device again after its stream was ended, and play on from the same place."""
        if not was_open:
            return
        self._has_device = False
        if self._stage in (_Stage.NOTHING, _Stage.OPENING):
            self._prepare()
            return
        self._buffer.forget_device()
        try:
            self._play_on()
        except AudioError as error:
            self._on_lost(error)

    def _on_lost(self, error: RecmonError) -> None:
        self._has_device = False
        self._output.close()
        self._buffer.forget_device()
        asked_s, self._asked_s = self._asked_s, None
        if asked_s is not None and abs(self._buffer.position_s - asked_s) < NOTHING_HEARD_S:
            try:
                # It went while nothing was played: headphones that were plugged in again, for one.
                self._play_on()
            except AudioError as again:
                error = again
            else:
                return
        if self._stage is not _Stage.NOTHING:
            self._buffer.hold()
            self._state.is_paused = True
            self._tell(PlayerEvent.DEVICE_LOST, error)

    def _on_drained(self) -> None:
        if self._stage is not _Stage.DONE or self._state.sought_s is not None:
            # It goes on, or will with the next command: a jump came as the last frames were heard.
            return
        self._buffer.hold()
        if self._failure is not None:
            self._fail(self._failure)
        else:
            self._tell(PlayerEvent.ENDED)

    # Work

    def _open(self) -> None:
        decoder = self._decoder()
        info = decoder.open()
        self._rate = info.sample_rate
        self._plan = self._state.plan.hearing(self._start_s)
        self._report(PlayerReport(self._ticket, PlayerEvent.OPENED, info=info))
        self._open_device(info.sample_rate)
        self._go_to(self._start_s)
        self._asked_s = self._buffer.position_s

    def _fill(self) -> None:
        decoder = self._decoder()
        room = self._buffer.missing() - SPARE_FRAMES
        wanted = round(BLOCK_S * self._rate)
        if room * self._rate < wanted * self._device_rate:
            self._stage = _Stage.FULL
            self._buffer.ask_for_room()
            return
        seam = self._plan.seam(decoder.position / self._rate)
        if seam is not None:
            left = round(seam.at_s * self._rate) - decoder.position
            if left <= 0:
                self._leave_order(seam)
                return
            # The frames before a seam come in one block, because they have to fall together.
            wanted = left if left < wanted + SEAM_FADE_S * self._rate else wanted
        if 0 < decoder.arrived < wanted:
            # All that has arrived can be heard; the rest is waited for by the next read.
            wanted = decoder.arrived
        try:
            block = decoder.read(wanted)
        except RecmonError as error:
            # What came before is played first.
            self._failure = error
            self._finish()
            return
        if len(block) == 0:
            loop = self._plan.loop
            if loop is not None and loop.begin_s < decoder.position / self._rate:
                self._leave_order(Seam(decoder.position / self._rate, loop.begin_s))
                return
            self._finish()
            return
        block = _stereo(block)
        self._soften(block, seam, decoder.position)
        self._put(block)

    def _soften(self, block: Samples, seam: Seam | None, end: int) -> None:
        """Let a block rise behind a seam, and fall before one."""
        fade = min(len(block), max(1, round(SEAM_FADE_S * self._rate)))
        slope = (np.arange(fade, dtype=np.float32) / fade)[:, None]
        if self._is_rising:
            self._is_rising = False
            block[:fade] *= slope
        if seam is not None and end >= round(seam.at_s * self._rate):
            block[-fade:] *= slope[::-1]

    def _leave_order(self, seam: Seam) -> None:
        """Go on elsewhere in the recording, right behind what was put into the buffer."""
        if self._resampler is not None:
            self._put(self._resampler.flush())
            self._resampler.reset()
        decoder = self._decoder()
        decoder.seek(round(seam.to_s * self._rate))
        self._buffer.jump(decoder.position / self._rate)
        self._plan = self._state.plan.hearing(seam.to_s)
        self._is_rising = True

    def _put(self, block: Samples) -> None:
        if self._resampler is not None:
            block = self._resampler.process(block)
        if self._unwanted:
            block, self._unwanted = block[self._unwanted :], max(0, self._unwanted - len(block))
        self._buffer.put(block)
        if not self._is_begun and len(block):
            self._is_begun = True
            self._let_play()
            self._tell(PlayerEvent.PLAYING)

    def _finish(self) -> None:
        if self._resampler is not None:
            self._put(self._resampler.flush())
        self._buffer.end()
        self._stage = _Stage.DONE
        if not self._is_begun:
            if self._failure is not None:
                self._fail(self._failure)
                return
            # A start behind the end: nothing is heard, and it ends in the ordinary way.
            self._is_begun = True
            self._let_play()
            self._tell(PlayerEvent.PLAYING)

    def _go_to(self, position_s: float) -> None:
        decoder = self._decoder()
        decoder.seek(round(position_s * self._rate))
        if self._resampler is not None:
            self._resampler.reset()
        self._buffer.restart(decoder.position / self._rate, self._device_rate)
        self._state.sought_s = None
        self._unwanted = 0
        self._is_rising = False
        self._stage = _Stage.FILLING

    def _go_on(self, position_s: float) -> None:
        """Decode on from a place that fits exactly behind what is in the buffer."""
        frame = round(position_s * self._rate)
        self._unwanted = 0
        if self._resampler is not None:
            # It needs what lies before the place, or it would begin with a step.
            lead = min(frame // self._resampler.down, -(-self._resampler.taps // self._resampler.down))
            frame -= lead * self._resampler.down
            self._unwanted = lead * self._resampler.up
            self._resampler.reset()
        self._decoder().seek(frame)
        self._is_rising = False
        self._stage = _Stage.FILLING

    def _let_play(self) -> None:
        """Let the device go on, unless the listener paused."""
        if not self._has_device or self._state.is_paused:
            return
        self._output.start()
        self._buffer.release()
        if self._state.is_paused:
            # A pause came between the two lines above.
            self._buffer.hold()

    def _wake_device(self) -> None:
        """Have it notice at once that the sound is held."""
        if self._has_device:
            # One that does not start tells so by itself.
            with suppress(AudioError):
                self._output.start()

    def _open_device(self, sample_rate: int) -> None:
        self._has_device = False
        self._device_rate = self._output.open(
            sample_rate, self._buffer, lambda error: self._inbox.put(LostCommand(error))
        )
        self._has_device = True
        is_same = self._device_rate == sample_rate
        self._resampler = None if is_same else Resampler(sample_rate, self._device_rate, 2)

    def _fail(self, error: RecmonError) -> None:
        self._release_file()
        self._tell(PlayerEvent.FAILED, error)

    def _release_file(self) -> None:
        self._buffer.hold()
        self._asked_s = None
        decoder, self._state.decoder = self._state.decoder, None
        if decoder is not None:
            decoder.close()
        self._stage = _Stage.NOTHING

    def _decoder(self) -> Decoder:
        if self._state.decoder is None:
            raise ValueError("no file is open")
        return self._state.decoder

    def _tell(self, event: PlayerEvent, error: RecmonError | None = None) -> None:
        self._report(PlayerReport(self._ticket, event, error=error))


def _stereo(block: Samples) -> Samples:
    """Lay any number of channels on two: one on both, more in turn on left and right."""
    channels = block.shape[1]
    if channels == 2:
        return block
    if channels == 1:
        return block.repeat(2, axis=1)
    left, right = block[:, 0::2].mean(axis=1), block[:, 1::2].mean(axis=1)
    return np.stack((left, right), axis=1, dtype=np.float32)
