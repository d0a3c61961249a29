"""What two records of one call say together: a poorer one, or an older one, never erases what is known."""

from __future__ import annotations

from dataclasses import replace

from recmon.domain.calls import Call, CallState, Direction, Party, RecordingRef
from recmon.domain.cdr import CdrRecord
from recmon.domain.recordings import file_of, may_be_part, with_told

_ONGOING_RANK, _LOST_RANK, _CONFIRMED_RANK, _ENDED_RANK = 0, 1, 2, 3


def merged(stored: Call, told: Call) -> Call:
    """Return the record of a call after something was told about it.

    The record that is further along counts (ended before lost, lost before ongoing), of equals the one told
    last; the other fills what it leaves open. A server's time counts before one of our clock.

    A call is lost where its end was not observed. So the word of a server that can be watched, told after
    that, that the call goes on, makes it go on again; an end is final.
    """
    if told == stored:
        return stored
    ahead, behind = (told, stored) if _told_rank(told) >= _rank(stored.state) else (stored, told)
    exact, vague = (behind, ahead) if ahead.is_approximate and not behind.is_approximate else (ahead, behind)
    together = replace(
        ahead,
        direction=behind.direction if ahead.direction is Direction.UNKNOWN else ahead.direction,
        caller=_party(ahead.caller, behind.caller),
        callee=_party(ahead.callee, behind.callee),
        started_at=exact.started_at or vague.started_at,
        answered_at=ahead.answered_at or behind.answered_at,
        ended_at=exact.ended_at or vague.ended_at,
        received_at=min(filter(None, (stored.received_at, told.received_at)), default=None),
        cause=ahead.cause or behind.cause,
        start_seen=stored.start_seen or told.start_seen,
        is_approximate=exact.is_approximate,
        is_reconstructed=stored.is_reconstructed and told.is_reconstructed,
        has_transcript=stored.has_transcript or told.has_transcript,
        recordings=_recordings(stored.recordings, told.recordings)
        or _with_parts(ahead.recordings or behind.recordings, stored.recordings),
        tags=tuple(dict.fromkeys(stored.tags + told.tags)),
        cdr=_cdr(stored.cdr, told.cdr, told_is_ahead=ahead is told),
    )
    if stored.told != told.told:
        together = with_told(replace(together, told=stored.told), told.told)
    filled = (exact.started_at is None and vague.started_at) or (exact.ended_at is None and vague.ended_at)
    return replace(together, is_approximate=True) if vague.is_approximate and filled else together


def _told_rank(told: Call) -> int:
    return _CONFIRMED_RANK if told.is_confirmed and not told.state.is_over else _rank(told.state)


def _rank(state: CallState) -> int:
    return {CallState.ENDED: _ENDED_RANK, CallState.LOST: _LOST_RANK}.get(state, _ONGOING_RANK)


def _party(ahead: Party, behind: Party) -> Party:
    return Party(ahead.number or behind.number, ahead.name or behind.name)


def _recordings(
    stored: tuple[RecordingRef, ...], told: tuple[RecordingRef, ...]
) -> tuple[RecordingRef, ...] | None:
    """Return files of this computer together, the last told first: each may have a record of its own."""
    if not stored or not told or None in map(file_of, stored + told):
        return None
    return stored if set(told) <= set(stored) else tuple(dict.fromkeys(told + stored))


def _with_parts(
    recordings: tuple[RecordingRef, ...], stored: tuple[RecordingRef, ...]
) -> tuple[RecordingRef, ...]:
    """Keep the parts into which a recording was taken apart here: its server knows only the whole."""
    parts = [ref for ref in stored if may_be_part(ref) in recordings]
    return tuple(dict.fromkeys((*recordings, *parts)))


def _cdr(stored: CdrRecord, told: CdrRecord, *, told_is_ahead: bool) -> CdrRecord:
    if told_is_ahead:
        return stored.merged(told)
    known = dict(stored.fields)
    return stored.merged(CdrRecord(tuple(field for field in told.fields if not known.get(field[0]))))
