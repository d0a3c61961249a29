"""A recording's file to samples: finds out what it is, and decodes it block by block while it still grows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from recmon.audio.heads import Claim, read_head
from recmon.audio.layouts import (
    OPEN_END,
    Blocks,
    SampleLayout,
    bare_layout,
    blocks_of,
    check_playable,
    sample_layout,
)
from recmon.audio.library import load_soundfile
from recmon.audio.ogg import OggSound
from recmon.audio.stream import GrowingFile
from recmon.audio.views import READ_DEADLINE_S, GrowingView, ReadingAborted
from recmon.domain.media import MediaKind
from recmon.domain.recordings import AudioInfo, BareSound
from recmon.errors import RecmonError, UnsupportedAudio

Samples = NDArray[np.float32]
"""Sound as an array of shape (frames, channels), values from -1 to 1."""

LEAD_BLOCKS = 8
"""What a block of compressed sound decodes to depends on a few before it."""

LEAD_STEP = 1 << 16
"""So many frames are decoded at a time on the way to a place."""


class _SoundReader(Protocol):
    """What is used of soundfile's SoundFile."""

    samplerate: int
    channels: int
    frames: int
    subtype: str

    def read(self, frames: int, dtype: str, always_2d: bool) -> Any: ...
    def seek(self, frames: int) -> int: ...
    def close(self) -> None: ...


class Decoder:
    """Decodes one file. `abort` and the properties may be used from any thread, all else from one thread.

    Args:
        file: may still grow.
        bare: what the file is made of, where it has no head that tells it and the listener knows.
    """

    def __init__(self, file: GrowingFile, bare: BareSound | None = None) -> None:
        self._file = file
        self._bare = bare
        # Keeps the file open between the views of single attempts.
        self._hold = file.view()
        self._view: GrowingView | None = None
        self._sound: _SoundReader | None = None
        self._layout: SampleLayout | None = None
        self._ogg: OggSound | None = None
        self._claim: Claim | None = None
        self._blocks: Blocks | None = None
        self._info: AudioInfo | None = None
        # Frames there are in a compressed file that was cut, once that is known.
        self._there: int | None = None
        self._position = 0
        self._is_aborted = False

    @property
    def is_open(self) -> bool:
        """Whether the file told what it is."""
        return self._info is not None

    @property
    def info(self) -> AudioInfo:
        """Facts as the file tells them, some only at its end; only after `open`."""
        if self._info is None:
            raise ValueError("not open")
        if self._ogg is not None and self._info.frames is None and self._file.is_finished:
            self._info = replace(self._info, frames=self._ogg.arrived(), lacks_end=self._ogg.lacks_end)
        return self._info

    @property
    def layout(self) -> SampleLayout | None:
        """How the samples lie in the file, or None where they are compressed."""
        return self._layout

    @property
    def position(self) -> int:
        """The frame that is read next."""
        return self._position

    @property
    def length_s(self) -> float | None:
        """Playing time: what is there of a file that was cut, else what the file tells; None if unknown."""
        if self._info is None:
            return None
        if self._layout is None:
            frames: float | None = self.info.frames if self._there is None else self._there
            if frames is None and self._ogg is not None:
                frames = self._ogg.estimate()
            return None if frames is None else frames / self._info.sample_rate
        size = self._known_size(self._layout)
        return None if size is None else size // self._layout.frame_size / self._layout.sample_rate

    @property
    def arrived_s(self) -> float | None:
        """How much playing time is there, counted from the beginning; None while that cannot be told."""
        if self._info is None:
            return None
        if self._layout is not None:
            there = max(0, min(self._file.received, self._layout.end) - self._layout.begin)
            return there // self._layout.frame_size / self._layout.sample_rate
        if self._ogg is not None:
            return self._ogg.arrived() / self._info.sample_rate
        length_s, expected = self._info.length_s, self._file.expected
        return None if length_s is None or not expected else length_s * self._file.received / expected

    def open(self) -> AudioInfo:
        """Read the header, waiting for its bytes, and get ready to decode. May be repeated after an abort.

        Raises:
            UnsupportedAudio: it is nothing that can be played here; the detail names it.
            RecmonError: why the file could not be read on, as `GrowingFile.read_at`.
            ReadingAborted: after `abort`.
        """
        if self._bare is not None:
            self._layout = bare_layout(self._bare)
            codec = self._bare.codec.value
        else:
            codec = self._look_at_head()
        if self._layout is not None:
            self._check_has_sound(self._layout)
        self._open_sound(codec, self._position)
        if self._first_frame() not in (None, self._position):
            # The next read begins anew, and comes to the place.
            self._close_sound()
        return self.info

    def _look_at_head(self) -> str:
        """Find out what the file is; return its codec's name, or its form's where the codec is unknown."""
        head = read_head(self._file, lambda: self._is_aborted)
        self._claim, wav = head.claim, head.wav
        if head.kind is MediaKind.OGG:
            self._ogg = OggSound.find(self._file, lambda: self._is_aborted)
            if self._is_aborted:
                raise ReadingAborted
        if wav is None:
            return head.kind.value
        check_playable(wav.sample_rate, wav.channels)
        self._layout, self._blocks = sample_layout(wav), blocks_of(wav)
        return wav.codec

    def read(self, frames: int) -> Samples:
        """Return the next frames: as many as wanted, fewer only before the end, none at the end.

        Raises:
            UnsupportedAudio: the sound cannot be decoded any further.
            RecmonError: why the file could not be read on, as `GrowingFile.read_at`.
            ReadingAborted: after `abort`; the next read goes on at the same frame.
        """
        if self._sound is None:
            self._begin_anew()
        block = self._decode(frames)
        if len(block) == 0 and frames and self._position < (self.info.frames or 0):
            self._there = self._position
        self._position += len(block)
        return block

    def _decode(self, frames: int) -> Samples:
        sound, view = self._sound, self._view
        if sound is None or view is None:
            raise ValueError("not open")
        try:
            block: Samples = sound.read(frames, dtype="float32", always_2d=True)
        except (RuntimeError, OSError) as error:
            self._raise_interruption(view)
            if self._file.is_finished and view.tell() >= view.available():
                # What goes on, and what was cut, ends anywhere, mostly in the middle of a frame.
                self._there = self._position
                return np.zeros((0, self.info.channels), np.float32)
            raise UnsupportedAudio(f"{self.info.codec}: the sound is damaged here") from error
        if len(block) == 0:
            self._raise_interruption(view)
        elif self._is_aborted:
            # The library must not take the end of this read for the file's end.
            self._close_sound()
        return block

    @property
    def arrived(self) -> int:
        """Frames from here on that are in the file already; 0 also where the form does not tell."""
        if self._layout is None:
            return 0
        return max(0, (self._file.received - self._layout.begin) // self._layout.frame_size - self._position)

    def seek(self, frame: int) -> None:
        """Go on reading at a frame; behind the end reads return nothing."""
        frames = self.info.frames
        frame = max(0, frame if frames is None else min(frame, frames))
        if self._blocks is None and self._ogg is None:
            self._position = frame
            self._seek_sound()
        elif frame != self._position:
            # The next read begins anew before the place, and waits for it.
            self._position = frame
            self._close_sound()

    def abort(self) -> None:
        """End a waiting `open` or `read`, and every later one that would wait, until `resume`."""
        self._is_aborted = True
        if self._view is not None:
            self._view.abort()
        self._file.wake_readers()

    def resume(self) -> None:
        """Let reads wait again."""
        self._is_aborted = False
        if self._view is not None:
            self._view.resume()

    def close(self) -> None:
        """Let go of the file. Safe to call twice."""
        self._close_sound()
        self._hold.close()

    def _check_has_sound(self, layout: SampleLayout) -> None:
        first = self._file.read_at(
            layout.begin + layout.frame_size - 1, 1, READ_DEADLINE_S, lambda: self._is_aborted
        )
        if not first and self._is_aborted:
            raise ReadingAborted
        if not first:
            raise UnsupportedAudio("the WAV file has no sound behind its header")

    def _open_sound(self, codec: str, frame: int) -> None:
        soundfile = load_soundfile()
        layout = self._layout
        view = self._view_of_sound(frame)
        self._view = view
        if self._is_aborted:
            view.abort()
        try:
            if layout is None:
                sound = soundfile.SoundFile(view)
            else:
                # The header was read here already: the library's own reader refuses, or cuts short, files
                # whose sizes were left open or lie.
                sound = soundfile.SoundFile(
                    view,
                    samplerate=layout.sample_rate,
                    channels=layout.channels,
                    format="RAW",
                    subtype=layout.subtype,
                    endian="BIG" if layout.is_big_endian else "LITTLE",
                )
        except (RuntimeError, OSError, TypeError, ValueError) as error:
            self._sound = None
            try:
                self._raise_interruption(view)
            finally:
                view.close()
            raise UnsupportedAudio(f"{codec} cannot be played here") from error
        # After every read the library seeks to where it is already, in files that it believes can seek. That
        # garbles MP3 at the beginning of each block, and takes time in all others.
        sound.seekable = lambda: False
        self._sound = sound
        if layout is None:
            check_playable(sound.samplerate, sound.channels)
            if codec != MediaKind.FLAC.value:
                codec = _CODECS_BY_SUBTYPE.get(sound.subtype, codec)
            if self._info is not None:
                # Opened anew in its middle, to go on there.
                return
            if self._ogg is not None:
                self._ogg.begin(sound.frames, sound.samplerate)
            # Of a file without an end the library can only guess.
            frames = None if self._file.is_endless or self._ogg is not None else sound.frames
            if frames is not None and self._claim is not None and self._file.expected is not None:
                claimed = self._claim.frames_of(frames, self._file.expected)
                if claimed > frames:
                    self._there, frames = frames, claimed
            self._info = AudioInfo(codec, sound.samplerate, sound.channels, frames)
        else:
            told = layout.end - layout.begin if layout.end < OPEN_END else self._known_size(layout)
            frames = None if told is None else told // layout.frame_size
            self._info = AudioInfo(codec, layout.sample_rate, layout.channels, frames)

    def _view_of_sound(self, frame: int) -> GrowingView:
        layout, blocks = self._layout, self._blocks
        if layout is not None:
            return self._file.view(layout.begin, layout.end)
        if self._ogg is not None:
            return self._ogg.view(frame)
        if blocks is None:
            return self._file.view()
        # What cannot be sought in is read as if it began a little before the place: the head, and then the
        # blocks from there on.
        first = max(0, frame // blocks.frames - LEAD_BLOCKS)
        return self._file.view(head=blocks.begin, skipped=first * blocks.size)

    def _known_size(self, layout: SampleLayout) -> int | None:
        whole = self._file.expected
        if whole is None:
            return layout.end - layout.begin if layout.end < OPEN_END else None
        return max(0, min(layout.end, whole) - layout.begin)

    def _begin_anew(self) -> None:
        """Open the file so that the next frame is that of the position.

        What cannot be sought in begins before it, and is decoded up to it.
        """
        if self._ogg is not None:
            self._wait_for_place(self._ogg)
        self._open_sound(self.info.codec, self._position)
        first = self._first_frame()
        if first is None:
            self._seek_sound()
            return
        if first > self._position:
            self._close_sound()
            self._open_sound(self.info.codec, 0)
            first = self._first_frame() or 0
        while first < self._position:
            block = self._decode(min(self._position - first, LEAD_STEP))
            if self._is_aborted:
                self._close_sound()
                raise ReadingAborted
            if not len(block):
                return
            first += len(block)

    def _wait_for_place(self, ogg: OggSound) -> None:
        while not ogg.has(self._position):
            if self._is_aborted:
                raise ReadingAborted
            self._file.read_at(self._file.received, 1, READ_DEADLINE_S, lambda: self._is_aborted)

    def _first_frame(self) -> int | None:
        """Return the frame that the view begins with; None where the library finds any place in it."""
        if self._sound is not None and self._ogg is not None:
            return self._ogg.first_of(self._sound.frames)
        if self._view is not None and self._blocks is not None:
            return self._view.skipped // self._blocks.size * self._blocks.frames
        return None

    def _seek_sound(self) -> None:
        if self._sound is None or self._view is None:
            return
        try:
            self._sound.seek(self._position)
        except (RuntimeError, OSError) as error:
            if self._view.error is not None or self._is_aborted:
                # Compressed sound is read in order to be found: the next read tells, or tries again.
                self._close_sound()
                return
            raise UnsupportedAudio(f"{self.info.codec}: this place cannot be found") from error

    def _close_sound(self) -> None:
        if self._sound is not None:
            self._sound.close()
            self._sound = None
        if self._view is not None:
            self._view.close()

    def _raise_interruption(self, view: GrowingView) -> None:
        """Raise what ended a read before its end, if anything did."""
        error: RecmonError | None = view.error
        if error is None and not self._is_aborted:
            return
        self._close_sound()
        if self._is_aborted:
            raise ReadingAborted
        if error is not None:
            raise error


_CODECS_BY_SUBTYPE = {
    "VORBIS": "Vorbis",
    "OPUS": "Opus",
    "MPEG_LAYER_III": "MP3",
    "MPEG_LAYER_II": "MPEG audio",
    "ALAW": "A-law",
    "ULAW": "µ-law",
    "PCM_S8": "PCM",
    "PCM_U8": "PCM",
    "PCM_16": "PCM",
    "PCM_24": "PCM",
    "PCM_32": "PCM",
    "FLOAT": "PCM (float)",
    "DOUBLE": "PCM (float)",
    "GSM610": "GSM 6.10",
    "IMA_ADPCM": "IMA ADPCM",
    "MS_ADPCM": "MS ADPCM",
}
