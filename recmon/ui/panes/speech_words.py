"""A recording in a line of text: how long, who speaks how much, where the longest silence is."""

from __future__ import annotations

from recmon.domain.speech import SpeechMap, figures
from recmon.ui import text as words

_UNNAMED = ("first channel", "second channel")


def summary(length_s: float | None, speech: SpeechMap | None, names: tuple[str, str]) -> str:
    """Return "3:12; agent 58 %, caller 30 %, silence 12 %; longest silence 18 s at 1:02".

    Args:
        length_s: of the recording, or None while it is unknown.
        speech: who speaks when; None while that is unknown, and then only the length is told.
        names: of the channels; an empty one is called by its number.
    """
    length = words.duration(length_s or None)
    if speech is None or not speech.known_s:
        return length
    told = figures(speech)
    if len(told.speech) == 1:
        shares = [f"speech {_share(told.speech[0])}"]
    else:
        spoken = zip(names, _UNNAMED, told.speech, strict=False)
        shares = [f"{words.one_line(name) or unnamed} {_share(share)}" for name, unnamed, share in spoken]
    shares.append(f"silence {_share(told.silence)}")
    parts = [length, ", ".join(shares)]
    if told.longest_silence is not None:
        silence = told.longest_silence
        parts.append(f"longest silence {words.span(silence.length_s)} at {words.duration(silence.begin_s)}")
    if not speech.is_complete:
        parts.append("so far")
    return "; ".join(parts)


def _share(part: float) -> str:
    return f"{round(part * 100)} %"
