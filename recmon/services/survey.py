"""What is found out about a recording's sound as a whole, in the background while its file arrives."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from recmon.audio.stream import GrowingFile
from recmon.domain.mixing import SideLevel
from recmon.domain.recordings import BareSound, Waveform
from recmon.domain.speech import SpeechMap

if TYPE_CHECKING:
    from recmon.audio.peaks import PeakReader
    from recmon.audio.speech import SpeechReader


class Survey:
    """Reads one recording for its peaks and its speech, in threads of its own.

    Args:
        file: may still grow.
        call_soon: calls a function in the event loop's thread, from any thread.
        on_waveform: told the overview as it grows.
        on_speech: told who speaks when, and how loud both sides are.
        bare: what the file is made of, where the listener chose that.
        kept: where the peaks of this recording are kept, or will be; None for nowhere.
    """

    def __init__(
        self,
        file: GrowingFile,
        call_soon: Callable[..., None],
        on_waveform: Callable[[Waveform], None],
        on_speech: Callable[[SpeechMap, tuple[SideLevel, ...]], None],
        bare: BareSound | None = None,
        kept: Path | None = None,
    ) -> None:
        # With numpy, which by now was loaded by the player's thread: too slow for the program's start.
        from recmon.audio.peaks import PeakReader
        from recmon.audio.speech import SpeechReader

        self.threads: list[threading.Thread] = []
        self._is_over = False
        self._kept = kept
        self._peaks: PeakReader = PeakReader(
            file, lambda waveform: call_soon(self._tell, on_waveform, waveform), bare
        )
        self._speech: SpeechReader = SpeechReader(
            file, lambda speech, levels: call_soon(self._tell, on_speech, speech, levels), bare
        )
        if file.is_finished:
            # One after the other: the overview is waited for.
            self._start("survey", self._find_peaks, self._speech.run)
        else:
            self._start("waveform", self._peaks.run)
            self._start("speech", self._speech.run)

    def peaks(self, begin_s: float, end_s: float, columns: int) -> Waveform | None:
        """Return the peaks of a part, as far as they are known; None before the first."""
        peaks = self._peaks.peaks
        return None if peaks is None else peaks.between(begin_s, end_s, columns)

    def end(self) -> None:
        """Stop reading; nothing is told any more."""
        self._is_over = True
        self._peaks.abort()
        self._speech.abort()

    def _find_peaks(self) -> None:
        from recmon.audio.kept_peaks import keep, load

        known = load(self._kept) if self._kept is not None else None
        if known is not None:
            self._peaks.show(known)
            return
        self._peaks.run()
        if self._kept is not None and self._peaks.peaks is not None and self._peaks.is_finished:
            keep(self._kept, self._peaks.peaks)

    def _start(self, name: str, *works: Callable[[], None]) -> None:
        def run() -> None:
            for work in works:
                work()

        thread = threading.Thread(target=run, name=name, daemon=True)
        self.threads.append(thread)
        thread.start()

    def _tell(self, function: Callable[..., None], *found: object) -> None:
        if not self._is_over:
            function(*found)
