"""The computer's sound output, by PortAudio: one stream that is kept ready between plays.

Nothing heavy is imported here: PortAudio and numpy come in with the first `open`, in the caller's thread.
"""

from __future__ import annotations

import atexit
import ctypes
import sys
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from recmon.audio.feeder import Feeder, reason_of
from recmon.errors import AudioError, NoOutputDevice, OutputFailed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BUFFER_S = 0.3
"""Room for sound in the device's buffer; how much of it is used is up to the feeder."""

PERIOD_S = 0.005
"""The device takes sound in pieces of this length: what is given to it is heard so soon at the earliest."""


class Source(Protocol):
    """Where the device's sound comes from. Used by the thread that feeds the device: must not wait."""

    def take(self, out: NDArray[np.float32], given: int, played: int) -> int:
        """Fill the beginning of `out`, of shape (frames, 2), and return how many frames that are.

        Args:
            out: behind what was filled, the device is silent.
            given: frames that the device got so far, over all streams.
            played: how many of them were heard.
        """

    def take_back(self, played: int | None) -> None:
        """Take note of what became of the sound that was overtaken.

        Args:
            played: the device threw away all that it had not played: it counts as never given, and what comes
                next is given right behind these frames. None: it is heard to its end.
        """

    @property
    def is_active(self) -> bool:
        """Whether there is anything to play now or soon; without it the device may rest."""

    @property
    def is_overtaken(self) -> bool:
        """Whether what waits in the device is not to be heard any more, after a pause or a jump."""


class Output(Protocol):
    """Where sound goes. All methods are called from one thread and may take a while."""

    def open(self, sample_rate: int, source: Source, lost: Callable[[AudioError], None]) -> int:
        """Get the device ready, at this rate where it can.

        Args:
            sample_rate: of the recording.
            source: asked for sound.
            lost: told once, from any thread, when the device stops by itself.

        Returns:
            The rate the device runs at, which `source` has to deliver.

        Raises:
            NoOutputDevice: there is none, or no sound library.
            OutputFailed: it cannot be opened.
        """

    def start(self) -> None:
        """Let the device ask for sound at once; to be called whenever there is something new to play.

        Raises:
            OutputFailed: it does not start.
        """

    def close(self) -> None:
        """Let go of the device. Safe to call twice."""

    def choose(self, name: str | None) -> None:
        """Take another device from the next `open` on: by its name, or None for the computer's default.

        One that is not there gives way to the default, until it is there again.
        """

    def devices(self, *, looks_again: bool) -> tuple[str, ...]:
        """Return the names of the devices that sound can go to.

        Args:
            looks_again: whether those that came since the last look count, too; it ends an open stream.

        Raises:
            NoOutputDevice: no sound library.
        """

    @property
    def device(self) -> str | None:
        """The name of the device that is open; from any thread."""

    @property
    def is_stalled(self) -> bool:
        """Whether the device should play on and does not; from any thread."""

    @property
    def underflows(self) -> int:
        """How often the device ran dry because it was served too late; from any thread."""


class SoundDeviceOutput:
    """An output device of the computer, stereo."""

    def __init__(self) -> None:
        self._library: ModuleType | None = None
        self._feeder: Feeder | None = None
        self._device: str | None = None
        self._chosen: str | None = None
        self._asked_rate = 0
        self._rate = 0
        self._given = 0
        self._underflows = 0
        self._is_fresh = False

    def open(self, sample_rate: int, source: Source, lost: Callable[[AudioError], None]) -> int:
        if self._feeder is not None and self._asked_rate == sample_rate and not self._feeder.is_over:
            return self._rate
        library = self._load()
        self._close_stream()
        if not self._is_fresh:
            self._look_again(library)
        device = self._find_device(library)
        rate = _accepted_rate(library, device, sample_rate)
        channels = min(2, int(device["max_output_channels"]))
        try:
            stream = library.RawOutputStream(
                device=device["index"],
                samplerate=rate,
                channels=channels,
                dtype="float32",
                latency=BUFFER_S,
                blocksize=round(PERIOD_S * rate),
            )
        except library.PortAudioError as error:
            self._is_fresh = False
            raise OutputFailed(reason_of(error)) from error
        self._feeder = Feeder(stream, channels, rate, source, lost, self._given)
        self._asked_rate, self._rate = sample_rate, rate
        self._device = str(device["name"])
        return rate

    def start(self) -> None:
        if self._feeder is None:
            raise OutputFailed("the sound device is not open")
        try:
            self._feeder.start()
        except OutputFailed:
            self._is_fresh = False
            raise

    def close(self) -> None:
        self._close_stream()
        self._is_fresh = False

    def choose(self, name: str | None) -> None:
        if name != self._chosen:
            self._chosen = name
            self._close_stream()

    def devices(self, *, looks_again: bool) -> tuple[str, ...]:
        library = self._load()
        if looks_again:
            self._close_stream()
            self._look_again(library)
        names = [str(device["name"]) for device in library.query_devices() if _is_output(device)]
        return tuple(dict.fromkeys(names))

    @property
    def device(self) -> str | None:
        return None if self._feeder is None else self._device

    @property
    def is_stalled(self) -> bool:
        return self._feeder is not None and self._feeder.is_stalled

    @property
    def underflows(self) -> int:
        return self._underflows + (0 if self._feeder is None else self._feeder.underflows)

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
                raise NoOutputDevice(reason_of(error)) from error
            self._library = sounddevice
            self._is_fresh = True
        return self._library

    def _look_again(self, library: ModuleType) -> None:
        # PortAudio reads its list of devices only when it is initialised (python-sounddevice issue 125).
        try:
            library._terminate()
            library._initialize()
        except library.PortAudioError as error:
            raise NoOutputDevice(reason_of(error)) from error
        self._is_fresh = True

    def _find_device(self, library: ModuleType) -> dict[str, Any]:
        try:
            if self._chosen is not None:
                for device in library.query_devices():
                    if _is_output(device) and device["name"] == self._chosen:
                        return dict(device)
            device = library.query_devices(kind="output")
        except (library.PortAudioError, ValueError) as error:
            self._is_fresh = False
            raise NoOutputDevice("the computer has no sound output") from error
        return dict(device)

    def _close_stream(self) -> None:
        feeder, self._feeder = self._feeder, None
        if feeder is not None:
            feeder.close()
            self._given = feeder.given
            self._underflows += feeder.underflows


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


def _is_output(device: dict[str, Any]) -> bool:
    return int(device["max_output_channels"]) > 0


def _accepted_rate(library: ModuleType, device: dict[str, Any], sample_rate: int) -> int:
    """Return the recording's own rate where the device takes it, else the device's rate."""
    try:
        library.check_output_settings(device=device["index"], samplerate=sample_rate, dtype="float32")
    except library.PortAudioError:
        return int(device["default_samplerate"])
    return sample_rate
