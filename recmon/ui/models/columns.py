"""The columns of the call tables, as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from recmon.domain.calls import Call, CallState, Party
from recmon.domain.health import Health
from recmon.ui import text
from recmon.ui.models.listener_marks import ListenerMarks
from recmon.ui.models.recording_states import RecordingStates
from recmon.ui.text import RecordingState, Zone


@dataclass(frozen=True, slots=True)
class Moment:
    """What a cell's text depends on beside the call.

    Attributes:
        now: aware UTC.
        zone: in which times are shown.
        recordings: what is known of the recordings.
        marks: what listeners left beside the calls.
    """

    now: datetime
    zone: Zone
    recordings: RecordingStates
    marks: ListenerMarks


@dataclass(frozen=True, slots=True)
class Look:
    """How a cell is drawn.

    Attributes:
        token: colour of the text.
        icon: name of an icon drawn in place of the text, or empty.
        keeps_ends: shorten in the middle (numbers) instead of at the end (names).
    """

    token: str = "text"
    icon: str = ""
    keeps_ends: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: under which its width and place are kept.
        title: of the header; an empty one has `description` for menus.
        width: in pixels, at first.
        text: what the cell says.
        sort_key: the native value; None where unknown, which sorts last either way.
        look: how the cell is drawn.
        tip: the whole, for the tool tip; empty where the cell says it all.
        copied: what a copy says instead of `text`.
        is_right: right-aligned with its header.
        stretches: takes what room is left.
        ticks: changes every second while a call goes on.
        is_hidden: not shown until chosen.
    """

    name: str
    title: str
    width: int
    text: Callable[[Call, Moment], str]
    sort_key: Callable[[Call], Any]
    look: Callable[[Call, Moment], Look]
    tip: Callable[[Call, Moment], str]
    description: str = ""
    copied: Callable[[Call, Moment], str] | None = None
    is_right: bool = False
    stretches: bool = False
    ticks: bool = False
    is_hidden: bool = False

    @property
    def menu_title(self) -> str:
        """The title for menus."""
        return self.title or self.description

    @property
    def choice(self) -> str:
        """The title where columns are chosen: a column without a title of its own shows an icon there."""
        return self.title or f"{self.description} icon"


TEXT = Look()
QUIET = Look("quiet")
_NUMBER = Look(keeps_ends=True)


def _party_look(party: Party) -> Look:
    if not party:
        return QUIET
    return _NUMBER if not party.name.strip() else TEXT


def _state_look(call: Call, moment: Moment) -> Look:
    name, token = text.state_icon(call)
    return Look(token, icon=name)


def _duration(call: Call, moment: Moment) -> str:
    if call.state.is_over:
        return text.duration(call.duration_s)
    if not call.is_confirmed:
        return "unconfirmed"
    running = text.duration(call.running_s(moment.now))
    # What is out of the ordinary stands there as a word; the icon alone would be easy to overlook.
    return running if call.state is CallState.CONNECTED else f"{text.state_word(call)} {running}"


def _plain_duration(call: Call, moment: Moment) -> str:
    over = call.state.is_over or not call.is_confirmed
    return _duration(call, moment) if over else text.duration(call.running_s(moment.now))


def _duration_look(call: Call, moment: Moment) -> Look:
    if call.state.is_over:
        return QUIET if call.duration_s is None else TEXT
    if call.is_confirmed and call.state is CallState.CONNECTED:
        return TEXT
    return Look(text.state_icon(call)[1])


def _duration_tip(call: Call, moment: Moment) -> str:
    if call.is_confirmed or call.state.is_over:
        return ""
    running = text.duration(call.running_s(moment.now))
    return f"{text.UNCONFIRMED} {running} since its start."


def _duration_key(call: Call) -> float | None:
    if call.state.is_over:
        return call.duration_s
    begun = (call.received_at if call.start_seen else call.started_at) or call.started_at
    # A running call is the longer the earlier it began; offset so that it sorts among finished ones' seconds.
    return None if begun is None else -begun.timestamp()


def _started(call: Call) -> datetime | None:
    return call.started_at or call.received_at


def _started_tip(call: Call, moment: Moment) -> str:
    whole = text.full_time(_started(call), moment.zone)
    if not call.start_seen:
        return f"{whole}. Its start was not observed."
    return f"{whole}, by this computer's clock" if call.is_approximate else whole


def _recording_problem(call: Call, moment: Moment) -> Health | None:
    """Return the judgement of a recording that is here and not as it should be."""
    if moment.recordings.of(call) is not RecordingState.AVAILABLE:
        return None
    health = moment.marks.health_of(call.key)
    return health if health is not None and health.worst.is_bad else None


def _recording(call: Call, moment: Moment) -> str:
    problem = _recording_problem(call, moment)
    return moment.recordings.of(call).value if problem is None else problem.worst.value


def _recording_look(call: Call, moment: Moment) -> Look:
    if _recording_problem(call, moment) is not None:
        return _health_look(call, moment)
    return Look("bad") if moment.recordings.of(call) is RecordingState.FAILED else QUIET


def _recording_tip(call: Call, moment: Moment) -> str:
    problem = _recording_problem(call, moment)
    return "" if problem is None else text.health_sentence(problem, call)


def _heard(call: Call, moment: Moment) -> str:
    percent = moment.marks.percent_of(call.key)
    return text.NONE if percent is None else text.percent(percent)


def _heard_look(call: Call, moment: Moment) -> Look:
    return QUIET if moment.marks.percent_of(call.key) is None else TEXT


def _heard_tip(call: Call, moment: Moment) -> str:
    percent = moment.marks.percent_of(call.key)
    if percent is None:
        return "You did not play its recording here."
    return f"You heard {text.percent(percent)} of its recording."


def _health(call: Call, moment: Moment) -> str:
    health = moment.marks.health_of(call.key)
    return text.NONE if health is None else health.worst.value


def _health_look(call: Call, moment: Moment) -> Look:
    health = moment.marks.health_of(call.key)
    if health is None or not health.worst.is_bad:
        return QUIET
    return Look("warning" if health.facts.channels else "bad")


def _health_tip(call: Call, moment: Moment) -> str:
    health = moment.marks.health_of(call.key)
    if health is None:
        return "A recording is judged once it is here."
    return text.health_sentence(health, call)


def _notes(call: Call, moment: Moment) -> str:
    count = len(moment.marks.note_texts(call.key))
    return str(count) if count else text.NONE


STATE = Column(
    "state",
    "",
    44,
    lambda call, moment: text.state_word(call),
    lambda call: text.state_word(call),
    _state_look,
    lambda call, moment: text.state_word(call).capitalize() + (f": {call.cause}" if call.cause else ""),
    description="State",
)
FROM = Column(
    "from",
    "From",
    168,
    lambda call, moment: text.party(call.caller),
    lambda call: text.party(call.caller).casefold() if call.caller else None,
    lambda call, moment: _party_look(call.caller),
    lambda call, moment: text.party_with_number(call.caller),
    stretches=True,
)
TO = Column(
    "to",
    "To",
    168,
    lambda call, moment: text.party(call.callee),
    lambda call: text.party(call.callee).casefold() if call.callee else None,
    lambda call, moment: _party_look(call.callee),
    lambda call, moment: text.party_with_number(call.callee),
    stretches=True,
)
DIRECTION = Column(
    "direction",
    "Direction",
    84,
    lambda call, moment: text.direction_word(call.direction),
    lambda call: call.direction.value,
    lambda call, moment: QUIET,
    lambda call, moment: "",
)
STARTED = Column(
    "started",
    "Started",
    86,
    lambda call, moment: text.short_date_time(_started(call), moment.now, moment.zone),
    lambda call: at.timestamp() if (at := _started(call)) else None,
    lambda call, moment: TEXT,
    _started_tip,
    copied=lambda call, moment: text.full_time(_started(call), moment.zone),
)
STARTED_PAST = replace(STARTED, width=126)
DURATION = Column(
    "duration",
    "Duration",
    112,
    _duration,
    _duration_key,
    _duration_look,
    _duration_tip,
    copied=_plain_duration,
    is_right=True,
    ticks=True,
)
DURATION_PAST = replace(DURATION, width=80)
SERVER = Column(
    "server",
    "Server",
    76,
    lambda call, moment: text.one_line(call.key.server),
    lambda call: call.key.server.casefold(),
    lambda call, moment: QUIET,
    lambda call, moment: call.key.server,
)
RECORDING = Column(
    "recording",
    "Recording",
    108,
    _recording,
    lambda call: text.recording_state(call).value,
    _recording_look,
    _recording_tip,
)
HEARD = Column(
    "heard",
    "Heard",
    64,
    _heard,
    # The service knows it, not the call; past calls are sorted by time alone.
    lambda call: None,
    _heard_look,
    _heard_tip,
    is_right=True,
)
HEALTH = Column(
    "health",
    "Health",
    104,
    _health,
    lambda call: None,
    _health_look,
    _health_tip,
    is_hidden=True,
)
NOTES = Column(
    "notes",
    "Notes",
    64,
    _notes,
    lambda call: None,
    lambda call, moment: TEXT if moment.marks.note_texts(call.key) else QUIET,
    lambda call, moment: "",
    is_right=True,
    is_hidden=True,
)
STATE_WORD = Column(
    "state_word",
    "State",
    100,
    lambda call, moment: text.state_word(call),
    lambda call: text.state_word(call),
    lambda call, moment: Look(text.state_icon(call)[1]),
    lambda call, moment: call.cause or "",
    is_hidden=True,
)
CAUSE = Column(
    "cause",
    "Cause",
    140,
    lambda call, moment: text.one_line(call.cause or "") or text.NONE,
    lambda call: call.cause.casefold() if call.cause else None,
    lambda call, moment: QUIET,
    lambda call, moment: call.cause or "",
    is_hidden=True,
)
FROM_NUMBER = Column(
    "from_number",
    "From number",
    140,
    lambda call, moment: text.one_line(call.caller.number) or text.NONE,
    lambda call: call.caller.number or None,
    lambda call, moment: _NUMBER,
    lambda call, moment: call.caller.number,
    is_hidden=True,
)
TO_NUMBER = Column(
    "to_number",
    "To number",
    140,
    lambda call, moment: text.one_line(call.callee.number) or text.NONE,
    lambda call: call.callee.number or None,
    lambda call, moment: _NUMBER,
    lambda call, moment: call.callee.number,
    is_hidden=True,
)
NATIVE_ID = Column(
    "native_id",
    "Id",
    160,
    lambda call, moment: text.one_line(call.key.native_id),
    lambda call: call.key.native_id,
    lambda call, moment: Look("quiet", keeps_ends=True),
    lambda call, moment: call.key.native_id,
    is_hidden=True,
)

_OPTIONAL = (STATE_WORD, FROM_NUMBER, TO_NUMBER, CAUSE, NATIVE_ID)
LIVE_COLUMNS = (STATE, FROM, TO, DIRECTION, STARTED, DURATION, SERVER, RECORDING, *_OPTIONAL)
PAST_COLUMNS = (
    STATE,
    FROM,
    TO,
    DIRECTION,
    STARTED_PAST,
    DURATION_PAST,
    SERVER,
    RECORDING,
    HEALTH,
    HEARD,
    NOTES,
    *_OPTIONAL,
)
