"""The computer's sound output, by PortAudio: one stream that is kept ready between plays.

Nothing heavy is imported here: PortAudio and numpy come in with the first `open`, in the caller's thread.
"""

from __future__ import annotations

import atexit
import ctypes
import sys
import time
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from recmon.errors import AudioError, NoOutputDevice, OutputFailed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LATENCY_S = 0.1
"""Asked of the device: a busy interpreter or machine is late by less than this.

Not between 0.04 and 0.06: there ALSA's way to PulseAudio, at 8 kHz, can fall into underflows without end.
"""

REST_AFTER_S = 300.0
"""With nothing to play for this long the stream stops, so that the device may sleep."""

STALLED_AFTER_S = 0.8
"""A running stream that asks for no sound for this long has lost its device."""

WAKING_S = 5.0
WAKING_STALL_S = 3.0
"""Right after its start it may take this long: sound servers first play out the silence they made ahead."""

Fill = Callable[["NDArray[np.float32]", float], bool]
"""Fills an array of shape (frames, 2); the second argument is the latency in seconds from here to the ear.

Returns whether there is anything to play now or soon. Called in the device's thread: must not wait.
"""


class Output(Protocol):
    """Where sound goes. `open`, `start` and `close` are called from one thread and may take a while."""

    def open(self, sample_rate: int, fill: Fill, lost: Callable[[AudioError], None]) -> int:
        """Get the device ready, at this rate where it can.

        Args:
            sample_rate: of the recording.
            fill: asked for every block.
            lost: told once, from any thread, when the device stops by itself.

        Returns:
            The rate the device runs at, which `fill` has to deliver.

        Raises:
            NoOutputDevice: there is none, or no sound library.
            OutputFailed: it cannot be opened.
        """

    def start(self) -> None:
        """Let the device ask for sound; nothing happens where it does already.

        Raises:
            OutputFailed: it does not start.
        """

    def close(self) -> None:
        """Let go of the device. Safe to call twice."""

    @property
    def is_stalled(self) -> bool:
        """Whether the device should ask for sound and does not; from any thread."""

    @property
    def underflows(self) -> int:
        """How often the device ran dry because it was served too late; from any thread."""


class SoundDeviceOutput:
    """The default output device of the computer, stereo."""

    def __init__(self) -> None:
        self._library: ModuleType | None = None
        self._stream: Any = None
        self._asked_rate = 0
        self._rate = 0
        self._underflows = 0
        self._is_fresh = False
        self._started_at = 0.0
        self._asked_at = 0.0

    def open(self, sample_rate: int, fill: Fill, lost: Callable[[AudioError], None]) -> int:
        if self._stream is not None and self._asked_rate == sample_rate:
            return self._rate
        library = self._load()
        self._close_stream()
        if not self._is_fresh:
            self._look_again(library)
        device = self._default_device(library)
        rate = _accepted_rate(library, device, sample_rate)
        callback = _Callback(self, library, fill, rate, lost)
        try:
            self._stream = library.OutputStream(
                samplerate=rate,
                channels=min(2, int(device["max_output_channels"])),
                dtype="float32",
                latency=LATENCY_S,
                callback=callback.fill,
                finished_callback=callback.finish,
            )
        except library.PortAudioError as error:
            self._is_fresh = False
            raise OutputFailed(str(error)) from error
        callback.usual_latency_s = float(self._stream.latency)
        self._asked_rate, self._rate = sample_rate, rate
        self._callback = callback
        return rate

    def start(self) -> None:
        stream, library = self._stream, self._library
        if stream is None or library is None:
            raise OutputFailed("the sound device is not open")
        if self._callback.is_running:
            return
        try:
            # A stream that came to rest by itself must be stopped before it can start again.
            stream.stop()
            self._started_at = self._asked_at = time.monotonic()
            self._callback.begin()
            stream.start()
        except library.PortAudioError as error:
            self._callback.is_running = False
            self._is_fresh = False
            raise OutputFailed(str(error)) from error

    def close(self) -> None:
        self._close_stream()
        self._is_fresh = False

    @property
    def is_stalled(self) -> bool:
        if self._stream is None or not self._callback.is_running:
            return False
        asked_at = self._asked_at
        is_waking = asked_at - self._started_at < WAKING_S
        return time.monotonic() - asked_at > (WAKING_STALL_S if is_waking else STALLED_AFTER_S)

    @property
    def underflows(self) -> int:
        return self._underflows

    def _load(self) -> ModuleType:
        if self._library is None:
            _silence_alsa()
            try:
                # Loads PortAudio and looks at all devices, which takes too long for the program's start.
                import sounddevice
            except (ImportError, OSError) as error:
                raise NoOutputDevice(f"the sound library PortAudio cannot be loaded ({error})") from error
            except Exception as error:
                # Its import initialises PortAudio and can fail with the error type that was to be imported.
                if type(error).__name__ != "PortAudioError":
                    raise
                raise NoOutputDevice(str(error)) from error
            self._library = sounddevice
            self._is_fresh = True
        return self._library

    def _look_again(self, library: ModuleType) -> None:
        # PortAudio reads its list of devices only when it is initialised (python-sounddevice issue 125).
        try:
            library._terminate()
            library._initialize()
        except library.PortAudioError as error:
            raise NoOutputDevice(str(error)) from error
        self._is_fresh = True

    def _default_device(self, library: ModuleType) -> dict[str, Any]:
        try:
            device: dict[str, Any] = library.query_devices(kind="output")
        except (library.PortAudioError, ValueError) as error:
            self._is_fresh = False
            raise NoOutputDevice("the computer has no sound output") from error
        return device

    def _close_stream(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            self._callback.is_running = False
            stream.abort(ignore_errors=True)
            stream.close(ignore_errors=True)


@cache
def _silence_alsa() -> object:
    """Keep ALSA from writing lines such as "underrun occurred" to the terminal, until the program ends.

    Nothing is lost: failures come as PortAudio's errors, and underruns are counted.

    Returns:
        What ALSA calls instead; it has to stay alive, which the cache sees to. None without ALSA.
    """
    if not sys.platform.startswith("linux"):
        return None
    try:
        set_error_handler = ctypes.CDLL("libasound.so.2").snd_lib_error_set_handler
    except (OSError, AttributeError):
        return None
    # File, line, function, error code and text; the values for the text, which follow, are not looked at.
    texts, number = ctypes.c_char_p, ctypes.c_int
    ignore = ctypes.CFUNCTYPE(None, texts, number, texts, number, texts)(lambda *told: None)
    set_error_handler(ignore)
    # What is registered first is called last: when PortAudio has stopped, and before Python is taken down.
    atexit.register(set_error_handler, None)
    return ignore


def _accepted_rate(library: ModuleType, device: dict[str, Any], sample_rate: int) -> int:
    """Return the recording's own rate where the device takes it, else the device's rate."""
    try:
        library.check_output_settings(device=device["index"], samplerate=sample_rate, dtype="float32")
    except library.PortAudioError:
        return int(device["default_samplerate"])
    return sample_rate


class _Callback:
    """What PortAudio calls, in its own thread: copies, counts, and waits for nothing."""

    def __init__(
        self,
        output: SoundDeviceOutput,
        library: ModuleType,
        fill: Fill,
        rate: int,
        lost: Callable[[AudioError], None],
    ) -> None:
        self.is_running = False
        self.usual_latency_s = LATENCY_S
        self._output = output
        self._stop = library.CallbackStop
        self._fill = fill
        self._lost = lost
        self._rest_after = round(REST_AFTER_S * rate)
        self._unused = 0
        self._came_to_rest = False
        self._stereo: NDArray[np.float32] | None = None

    def begin(self) -> None:
        """Get ready for a (new) start of the stream."""
        self._unused = 0
        self._came_to_rest = False
        self.is_running = True

    def fill(self, out: NDArray[np.float32], frames: int, times: Any, status: Any) -> None:
        """Fill one block for the device."""
        self._output._asked_at = time.monotonic()
        if status.output_underflow:
            self._output._underflows += 1
        latency_s = times.outputBufferDacTime - times.currentTime
        if not 0.0 < latency_s < 2.0:
            # Some drivers tell no time.
            latency_s = self.usual_latency_s
        is_used = self._fill_channels(out, latency_s)
        self._unused = 0 if is_used else self._unused + frames
        if self._unused > self._rest_after:
            self._came_to_rest = True
            raise self._stop

    def finish(self) -> None:
        """Tell that the stream ended, unless we ended it."""
        was_running, self.is_running = self.is_running, False
        if was_running and not self._came_to_rest:
            self._lost(OutputFailed("the sound device stopped working"))

    def _fill_channels(self, out: NDArray[np.float32], latency_s: float) -> bool:
        if out.shape[1] == 2:
            return self._fill(out, latency_s)
        if self._stereo is None or len(self._stereo) < len(out):
            self._stereo = out.repeat(2, axis=1)
        stereo = self._stereo[: len(out)]
        is_used = self._fill(stereo, latency_s)
        out[:] = stereo.mean(axis=1, keepdims=True)
        return is_used
