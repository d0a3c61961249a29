"""Decoded frames between the thread that decodes and the one that feeds the device, with their places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

CAPACITY = 1 << 19
"""Frames: eleven seconds at 48 kHz, a minute at 8 kHz."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """Frames that lie in the ring as they do in the recording, until the next piece."""

    index: int
    position_s: float
    rate: int


class Ring:
    """Stereo frames, counted for ever. One thread puts, another looks; the last `CAPACITY` of them are kept.

    Attributes:
        written: index behind the last frame.
    """

    def __init__(self) -> None:
        self.written = 0
        self._frames = np.zeros((CAPACITY, 2), np.float32)
        # Replaced as a whole by the thread that puts, so that the other one may look at any time.
        self._pieces: tuple[_Piece, ...] = (_Piece(0, 0.0, 8000),)

    def begin(self, position_s: float, rate: int, oldest: int) -> None:
        """Let what is put next belong to another place of the recording.

        Args:
            position_s: the place.
            rate: frames per second from here on.
            oldest: nobody asks for places before this index any more.
        """
        kept = [piece for piece in self._pieces if piece.index < self.written]
        while len(kept) > 1 and kept[1].index <= oldest:
            del kept[0]
        self._pieces = (*kept, _Piece(self.written, position_s, rate))

    def put(self, block: Samples) -> None:
        """Append frames."""
        begin = self.written % CAPACITY
        first = min(len(block), CAPACITY - begin)
        self._frames[begin : begin + first] = block[:first]
        self._frames[: len(block) - first] = block[first:]
        self.written += len(block)

    def cut(self, index: int) -> None:
        """Forget the frames from an index on."""
        self.written = min(self.written, index)
        kept = [piece for piece in self._pieces if piece.index <= self.written]
        self._pieces = tuple(kept)

    def copy(self, begin: int, out: Samples) -> None:
        """Fill `out` with the frames from an index on; they must be there."""
        place = begin % CAPACITY
        first = min(len(out), CAPACITY - place)
        out[:first] = self._frames[place : place + first]
        out[first:] = self._frames[: len(out) - first]

    def frames(self, begin: int, count: int) -> Samples:
        """Return frames from an index on, with silence behind the last."""
        found = np.zeros((count, 2), np.float32)
        there = max(0, min(count, self.written - begin))
        self.copy(begin, found[:there])
        return found

    def position_s(self, index: float) -> float:
        """Return the place in the recording of an index."""
        piece = self._piece(index)
        return piece.position_s + max(0.0, index - piece.index) / piece.rate

    def places(self, begin: float, end: float) -> list[tuple[float, float]]:
        """Return the stretches of the recording, in seconds, that lie between two indexes."""
        pieces = self._pieces
        found = []
        for number, piece in enumerate(pieces):
            until = pieces[number + 1].index if number + 1 < len(pieces) else end
            first, last = max(begin, piece.index), min(end, until)
            if last > first:
                place_s = piece.position_s + (first - piece.index) / piece.rate
                found.append((place_s, place_s + (last - first) / piece.rate))
        return found

    def piece_begin(self, index: int) -> int:
        """Return where the piece begins to which an index belongs."""
        return self._piece(index).index

    def _piece(self, index: float) -> _Piece:
        pieces = self._pieces
        for piece in reversed(pieces):
            if piece.index <= index:
                return piece
        return pieces[0]
