"""What a waveform shows of a recording, as one value."""

from __future__ import annotations

from dataclasses import dataclass

from recmon.domain.notes import Note
from recmon.domain.recordings import Waveform
from recmon.domain.spans import NOTHING, Spans
from recmon.domain.speech import Span, SpeechMap
from recmon.services.markers import CallMarker


@dataclass(frozen=True, slots=True)
class WaveformContent:
    """What is drawn.

    Attributes:
        names: of the channels; empty where it is not known who speaks.
        peaks: of the whole recording, as far as they are known.
        speech: who speaks when, as far as it is known.
        skipped: silences that are passed over.
        heard: the seconds that the user heard.
        notes: those with a second.
        markers: places that the recording's server keeps.
        loop: what is repeated.
        silenced: channels that the user chose not to hear.
    """

    names: tuple[str, str] = ("", "")
    peaks: Waveform | None = None
    speech: SpeechMap | None = None
    skipped: tuple[Span, ...] = ()
    heard: Spans = NOTHING
    notes: tuple[Note, ...] = ()
    markers: tuple[CallMarker, ...] = ()
    loop: Span | None = None
    silenced: tuple[bool, bool] = (False, False)


EMPTY = WaveformContent()
