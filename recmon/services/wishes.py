"""Recordings that somebody wants here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recmon.domain.calls import Call, CallKey, RecordingRef, RecordingStage

UNKNOWN_PLACE = "awaited-call:"
"""Begins the locator of a recording whose place is not known before the end of its call."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A recording that somebody wants here.

    Attributes:
        ref: the recording.
        call: whose sound it is, where that is known.
        is_awaited: "not there yet" is no failure: it is tried again for hours.
        is_call_over: whether it can be there by now; else it is not asked for before `call_over`.
    """

    ref: RecordingRef
    call: CallKey | None = None
    is_awaited: bool = False
    is_call_over: bool = True


def wishes_of(call: Call, refs: Sequence[RecordingRef], *, is_awaited: bool) -> list[Wish]:
    """Return the wishes for a call's recordings.

    Args:
        call: ongoing or over.
        refs: where they are, as far as that is known; may be empty for an ongoing call alone.
        is_awaited: see `Wish`.
    """
    is_over = call.state.is_over
    places = refs or (
        () if is_over else (RecordingRef(call.key.server, f"{UNKNOWN_PLACE}{call.key.native_id}"),)
    )
    # A server that names a recording before it is there has it soon.
    expected = {told.locator for told in call.told if told.stage is RecordingStage.EXPECTED}
    return [
        Wish(ref, call.key, is_awaited or not is_over or ref.locator in expected, is_over) for ref in places
    ]
