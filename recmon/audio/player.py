"""The player as seen by its user: commands go in, reports come out, a thread of its own does the work.

Commands return at once. Nothing heavy is imported here: decoder and numpy come in with the thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from queue import SimpleQueue
from typing import TYPE_CHECKING

from recmon.audio.output import Output
from recmon.audio.plan import Plan, Sound
from recmon.audio.stream import GrowingFile
from recmon.domain.recordings import AudioInfo, BareSound
from recmon.errors import OutputFailed, RecmonError

if TYPE_CHECKING:
    from recmon.audio.buffer import BufferEvent, PlayBuffer
    from recmon.audio.decoder import Decoder


class PlayerEvent(Enum):
    """What the player reports."""

    OPENED = "the header was read"
    PLAYING = "the first frames are on their way to the device"
    ENDED = "the last frame was heard"
    FAILED = "the recording cannot be played, or not any further"
    DEVICE_LOST = "the device is gone; the place is kept"


@dataclass(frozen=True, slots=True)
class PlayerReport:
    """Something that happened to one opened recording.

    Attributes:
        ticket: number given to `Player.open`.
        event: what happened.
        info: facts of the recording; with OPENED.
        error: why; with FAILED and DEVICE_LOST.
    """

    ticket: int
    event: PlayerEvent
    info: AudioInfo | None = None
    error: RecmonError | None = None


@dataclass(frozen=True, slots=True)
class PrepareCommand:
    """Get the device ready."""


@dataclass(frozen=True, slots=True)
class OpenCommand:
    """Play a file."""

    ticket: int
    file: GrowingFile
    start_s: float
    bare: BareSound | None
    begun: threading.Event


@dataclass(frozen=True, slots=True)
class SeekCommand:
    """Go on at another place."""

    position_s: float


@dataclass(frozen=True, slots=True)
class PauseCommand:
    """Let the device throw away what waits in it."""


@dataclass(frozen=True, slots=True)
class ResumeCommand:
    """Go on after a pause or the loss of the device."""


@dataclass(frozen=True, slots=True)
class PlanCommand:
    """Heed another plan from now on, see `PlayerState.plan`."""


@dataclass(frozen=True, slots=True)
class ChooseCommand:
    """Let the sound go to another device."""

    device: str | None


@dataclass(frozen=True, slots=True)
class ListCommand:
    """Tell the devices there are."""

    reply: Callable[[tuple[str, ...]], None]


@dataclass(frozen=True, slots=True)
class LostCommand:
    """The device stopped."""

    error: RecmonError


@dataclass(frozen=True, slots=True)
class StopCommand:
    """Let go of the file."""


@dataclass(frozen=True, slots=True)
class CloseCommand:
    """Let go of everything."""


Command = (
    PrepareCommand
    | OpenCommand
    | SeekCommand
    | PauseCommand
    | ResumeCommand
    | PlanCommand
    | ChooseCommand
    | ListCommand
    | LostCommand
    | StopCommand
    | CloseCommand
)


class PlayerState:
    """What the thread and the commands' threads share; each assignment is one step, nothing is locked."""

    def __init__(self) -> None:
        self.inbox: SimpleQueue[Command | BufferEvent] = SimpleQueue()
        self.buffer: PlayBuffer | None = None
        self.decoder: Decoder | None = None
        self.is_paused = False
        self.sound = Sound()
        self.plan = Plan()
        self.sought_s: float | None = None


LATE_LOOK_S = 0.4
"""Between two looks at the device; after a longer time without a look, the next one decides nothing."""


class Player:
    """Plays one recording at a time. The thread begins with the first command and ends with `close`.

    Args:
        output: the device.
        report: told what happened, from the player's thread.
    """

    def __init__(self, output: Output, report: Callable[[PlayerReport], None]) -> None:
        self._checked_at = time.monotonic()
        self._output = output
        self._report = report
        self._state = PlayerState()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def prepare(self) -> None:
        """Load the sound libraries and get the device ready, so that the next play need not wait for them."""
        self._post(PrepareCommand())

    def open(
        self, ticket: int, file: GrowingFile, start_s: float, bare: BareSound | None, begun: threading.Event
    ) -> None:
        """Play a file from a place on; what played before ends.

        Args:
            ticket: comes with what is reported of it.
            file: may still grow.
            start_s: the place.
            bare: see `Decoder`.
            begun: set when the first of it is given to the device, in the device's thread.
        """
        self._post(OpenCommand(ticket, file, start_s, bare, begun))

    def seek(self, position_s: float) -> None:
        """Go on at another place."""
        self._state.sought_s = position_s
        self._post(SeekCommand(position_s))

    def pause(self) -> None:
        """Be silent at once."""
        self._state.is_paused = True
        if self._state.buffer is not None:
            self._state.buffer.hold()
            self._post(PauseCommand())

    def resume(self) -> None:
        """Go on after a pause, or after the device was lost."""
        self._state.is_paused = False
        self._post(ResumeCommand())

    def stop(self) -> None:
        """Be silent at once and let go of the file. The next `open` plays."""
        self._state.is_paused = False
        if self._state.buffer is not None:
            self._state.buffer.hold()
        if self._thread is not None:
            self._post(StopCommand())

    def set_sound(self, sound: Sound) -> None:
        """Let everything sound otherwise, from the device's next block on."""
        self._state.sound = sound
        if self._state.buffer is not None:
            self._state.buffer.set_sound(sound)

    def set_plan(self, plan: Plan) -> None:
        """Play in another order, from a little behind the place that is heard now."""
        if plan != self._state.plan:
            self._state.plan = plan
            if self._thread is not None:
                self._post(PlanCommand())

    def choose_device(self, name: str | None) -> None:
        """Let the sound go to a device by its name, or for None to the default one; it plays on there."""
        self._post(ChooseCommand(name))

    def list_devices(self, reply: Callable[[tuple[str, ...]], None]) -> None:
        """Have the names of the devices told, from the player's thread; none without a sound library."""
        self._post(ListCommand(reply))

    def check_device(self) -> None:
        """Treat the device as lost if it does not ask for sound any more; call about ten times a second.

        A look that comes late finds nothing lost: then this program did not run, and the thread that
        serves the device had no turn either.
        """
        now = time.monotonic()
        is_late, self._checked_at = now - self._checked_at > LATE_LOOK_S, now
        if self._output.is_stalled and not is_late:
            self._post(LostCommand(OutputFailed("the sound device does not respond")))

    def close(self) -> threading.Thread | None:
        """End the thread and let go of the device; return the thread, to be waited for."""
        if self._thread is not None:
            self._post(CloseCommand())
        return self._thread

    @property
    def position_s(self) -> float:
        """The place that is heard now, or was asked for and will be heard next."""
        sought_s, buffer = self._state.sought_s, self._state.buffer
        if sought_s is not None:
            return sought_s
        return 0.0 if buffer is None else buffer.position_s

    def heard(self) -> list[tuple[float, float]]:
        """Return the stretches of the recording, in seconds, that were heard since the last call."""
        return [] if self._state.buffer is None else self._state.buffer.heard()

    @property
    def device(self) -> str | None:
        """The name of the device that is open."""
        return self._output.device

    @property
    def info(self) -> AudioInfo | None:
        """What the open recording tells of itself by now, see `Decoder.info`."""
        decoder = self._state.decoder
        return None if decoder is None or not decoder.is_open else decoder.info

    @property
    def length_s(self) -> float | None:
        """Playing time of the open recording, see `Decoder.length_s`."""
        decoder = self._state.decoder
        return None if decoder is None else decoder.length_s

    @property
    def arrived_s(self) -> float | None:
        """How much of the open recording is there, see `Decoder.arrived_s`."""
        decoder = self._state.decoder
        return None if decoder is None else decoder.arrived_s

    @property
    def is_starving(self) -> bool:
        """Whether the sound waits for its file."""
        return self._state.buffer is not None and self._state.buffer.is_starving

    @property
    def started_at(self) -> float | None:
        """When the first frame of the open recording was handed to the device, on the monotonic clock."""
        return None if self._state.buffer is None else self._state.buffer.started_at

    def _post(self, command: Command) -> None:
        self._state.inbox.put(command)
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                # A daemon, so that a driver that hangs cannot keep the program from ending.
                self._thread = threading.Thread(target=self._run, name="player", daemon=True)
                self._thread.start()
        decoder = self._state.decoder
        if decoder is not None:
            decoder.abort()

    def _run(self) -> None:
        # numpy and the decoder take too long to import for the program's start.
        from recmon.audio.player_thread import PlayerThread

        PlayerThread(self._state, self._output, self._report).run()
