from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recmon.domain.calls import Call, CallKey, CallState, Direction, Party, RecordingRef, ServerId
from recmon.domain.conditions import (
    Comparison,
    Condition,
    DirectionIs,
    DurationIs,
    HasRecording,
    StateIs,
    TextField,
    TextIs,
    TimeIs,
    fold_number,
    fold_text,
)
from recmon.domain.query import EVERYTHING, MAX_LENGTH, Query, Term, parse_query
from recmon.errors import QueryError

NOW = datetime(2026, 11, 21, 7, 52, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def parse(text: str) -> Query:
    return parse_query(text, now=NOW, zone=BERLIN)


def conditions(text: str) -> list[Condition]:
    return [condition for term in parse(text).terms for condition in term.alternatives]


def error(text: str) -> QueryError:
    with pytest.raises(QueryError) as caught:
        parse(text)
    return caught.value


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]  # mypy cannot count the parts


def test_an_empty_text_asks_for_everything() -> None:
    assert parse("   ").terms == EVERYTHING.terms == ()


@pytest.mark.parametrize(
    ("text", "field", "pieces"),
    [
        ("Anna", TextField.ANY, ("anna",)),
        ("from:79*", TextField.CALLER, ("79", "")),
        ("to:1", TextField.CALLEE, ("1",)),
        ("number:*5*", TextField.NUMBER, ("", "5", "")),
        ('name:"Anna Maria"', TextField.NAME, ("anna maria",)),
        ("FROM:x", TextField.CALLER, ("x",)),
        ("src:verba", TextField.SERVER, ("verba",)),
        ("server:east", TextField.SERVER, ("east",)),
        ("cause:busy", TextField.CAUSE, ("busy",)),
        ("tag:done", TextField.TAG, ("done",)),
        ('"a, -b: *"', TextField.ANY, ("a, -b: *",)),
        ('"frm:1"', TextField.ANY, ("frm:1",)),
        ('an"na ma"ria', TextField.ANY, ("anna maria",)),
        ("12:30", TextField.ANY, ("12:30",)),
        ("a-b", TextField.ANY, ("a-b",)),
    ],
)
def test_texts_are_understood(text: str, field: TextField, pieces: tuple[str, ...]) -> None:
    assert conditions(text) == [TextIs(field, pieces)]


def test_terms_tell_their_places_and_can_be_taken_out() -> None:
    query = parse(' from:79*  dur>60 -tag:done,"to do" ')
    assert [query.text[term.start : term.end] for term in query.terms] == [
        "from:79*",
        "dur>60",
        '-tag:done,"to do"',
    ]
    assert [term.is_negated for term in query.terms] == [False, False, True]
    assert [query.without(term) for term in query.terms] == [
        'dur>60 -tag:done,"to do"',
        'from:79* -tag:done,"to do"',
        "from:79*  dur>60",
    ]


def test_a_comma_lists_alternatives() -> None:
    assert parse("dir:in,out").terms == (
        Term((DirectionIs(Direction.INCOMING), DirectionIs(Direction.OUTGOING)), False, 0, 10),
    )


@pytest.mark.parametrize(
    ("text", "comparison", "seconds"),
    [
        ("dur>60", Comparison.ABOVE, 60),
        ("dur<=5m", Comparison.AT_MOST, 300),
        ("dur>1h", Comparison.ABOVE, 3600),
        ("dur>=1h30m", Comparison.AT_LEAST, 5400),
        ("dur<1.5", Comparison.BELOW, 1.5),
        ("dur=90s", Comparison.EQUAL, 90),
        ("dur<1:30", Comparison.BELOW, 90),
        ("dur<1:00:30", Comparison.BELOW, 3630),
    ],
)
def test_durations_are_understood(text: str, comparison: Comparison, seconds: float) -> None:
    assert conditions(text) == [DurationIs(comparison, seconds)]


@pytest.mark.parametrize(
    ("text", "begin", "end"),
    [
        ("after:2026-11-01", utc(2026, 10, 31, 23), None),
        ("before:2026-07-01", None, utc(2026, 6, 30, 22)),
        ('before:"2026-11-02 09:30"', None, utc(2026, 11, 2, 8, 30)),
        ("after:2026-11-02T09:30:15", utc(2026, 11, 2, 8, 30, 15), None),
        ("after:2026-11-02T09:30Z", utc(2026, 11, 2, 9, 30), None),
        ("on:today", utc(2026, 11, 20, 23), utc(2026, 11, 21, 23)),
        ("on:yesterday", utc(2026, 11, 19, 23), utc(2026, 11, 20, 23)),
        ("after:yesterday", utc(2026, 11, 19, 23), None),
        ("on:2026-10-25", utc(2026, 10, 24, 22), utc(2026, 10, 25, 23)),
    ],
)
def test_times_are_meant_in_the_zone_of_the_one_who_asks(
    text: str, begin: datetime | None, end: datetime | None
) -> None:
    assert conditions(text) == [TimeIs(begin, end)]


def test_today_depends_on_the_zone() -> None:
    late = utc(2026, 11, 21, 23, 30)
    [term] = parse_query("on:today", now=late, zone=BERLIN).terms
    assert term.alternatives == (TimeIs(utc(2026, 11, 21, 23), utc(2026, 11, 22, 23)),)


def test_states_and_recordings_are_understood() -> None:
    assert conditions("state:lost,ongoing has:recording") == [
        StateIs((CallState.LOST,)),
        StateIs((CallState.RINGING, CallState.CONNECTED, CallState.HELD)),
        HasRecording(),
    ]
    assert parse("state:lost").asks_for_state
    assert not parse("has:recording").asks_for_state


@pytest.mark.parametrize(
    ("text", "word", "position", "explanation"),
    [
        ("anna frm:79", "frm:79", 5, "did you mean from:?"),
        ("anna -drr:in", "-drr:in", 5, "did you mean dir:?"),
        ("sip:100@example.org", "sip:100@example.org", 0, "put it in quotes"),
        ("durr>5", "durr>5", 0, "did you mean dur>?"),
        ("health:worse", "worse", 7, "choose from"),
        ("health:truncatd", "truncatd", 7, "did you mean truncated?"),
        ("health<50", "health<50", 0, "with a colon"),
        ("heard:50", "heard:50", 0, "such as heard<50"),
        ("heard<half", "half", 6, "from 0 to 100"),
        ("heard<101", "101", 6, "from 0 to 100"),
        ("heart<50", "heart<50", 0, "did you mean heard>?"),
        ("has:recordng", "recordng", 4, "did you mean recording?"),
        ("dir:sideways", "sideways", 4, "choose from in, out, internal"),
        ("state:endet", "endet", 6, "did you mean ended?"),
        ("from>5", "from>5", 0, "with a colon"),
        ("dur:60", "dur:60", 0, "such as dur>60"),
        ("dur>soon", "soon", 4, "not a duration"),
        ("dur>9999999999999", "9999999999999", 4, "not a duration"),
        ("on:tuesday", "tuesday", 3, "not a date"),
        ("on:2026-02-30", "2026-02-30", 3, "not a date"),
        ("on:9999-12-31", "9999-12-31", 3, "not a date"),
        ("after:0001-01-01", "0001-01-01", 6, "not a date"),
        ('on:"2026-11-02 09:30"', "2026-11-02 09:30", 3, "a whole day"),
        ("from:", "from:", 0, "say what to look for after from:"),
        ("from: anna", "from:", 0, "say what to look for after from:"),
        ("x -", "-", 2, "left out after -"),
        ('""', '""', 0, "nothing between the quotes"),
        ("a,,b", "a,,b", 0, "beside the comma"),
        ("a, b", "a,", 0, "beside the comma"),
        ('anna "bob', '"bob', 5, "closing quote"),
        ("1*2*3*4*5*6*7*8*9*0", "1*2*3*4*5*6*7*8*9*0", 0, "at most 8 wildcards"),
    ],
)
def test_what_cannot_be_understood_is_pointed_at_and_explained(
    text: str, word: str, position: int, explanation: str
) -> None:
    told = error(text)
    assert (told.word, told.position) == (word, position)
    assert explanation in told.explanation


def test_a_text_of_any_length_is_refused_in_words() -> None:
    assert "at most" in error("x" * (MAX_LENGTH + 1)).explanation


@given(st.text("abfromdur:<>=-*\", 0159sthno'\\\0\ud800é", max_size=30))
def test_any_text_is_understood_or_explained(text: str) -> None:
    try:
        query = parse(text)
    except QueryError as error:
        told = error
    else:
        assert all(text[term.start : term.end].strip() for term in query.terms)
        return
    assert told.explanation
    assert 0 <= told.position < len(text)


CALL = Call(
    CallKey(ServerId("East"), "1"),
    CallState.ENDED,
    Direction.INCOMING,
    Party("+7 (916) 123-45-67", "Anna Müller"),
    Party("2001", "Bob"),
    started_at=utc(2026, 11, 20, 12),
    ended_at=utc(2026, 11, 20, 12) + timedelta(seconds=61),
    cause="User busy",
    tags=("Done",),
    recordings=(RecordingRef(ServerId("East"), "path:x"),),
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "9161234567",
        "+7(916)",
        "ANNA",
        "MÜLLER",
        "from:79*",
        "from:*67",
        "from:7*12*67",
        "to:bob",
        "number:00",
        "name:ulle,bob",
        "server:east",
        "cause:BUSY",
        "tag:done",
        "-tag:todo",
        "dur>60 dur<=61 dur=61 dur>=61 dur<62",
        "dir:in",
        "state:ended",
        "has:recording",
        "on:yesterday",
        'after:"2026-11-20 13:00" before:"2026-11-20 13:01"',
        "zzz,anna",
    ],
)
def test_a_call_in_memory_is_found(text: str) -> None:
    assert parse(text).matches(CALL)


@pytest.mark.parametrize(
    "text",
    [
        "zzz",
        "-anna",
        "from:8*",
        "from:*6",
        "from:bob",
        "to:anna",
        "server:eas",
        "tag:don",
        "on:today",
        "dur<61",
        "dir:out",
        "state:lost",
        "-has:recording",
        "name:2001",
        "number:anna",
        "from:7*7*7",
        "anna zzz",
    ],
)
def test_a_call_in_memory_is_not_found(text: str) -> None:
    assert not parse(text).matches(CALL)


def test_a_call_of_unknown_duration_is_neither_short_nor_long() -> None:
    unknown = Call(CallKey(ServerId("east"), "1"), CallState.LOST)
    assert not parse("dur<5").matches(unknown)
    assert not parse("dur>=5").matches(unknown)
    assert parse("-dur<5").matches(unknown)
    assert not parse("after:2000-01-01").matches(unknown)


@given(st.text(max_size=20), st.text(max_size=20))
def test_part_of_a_text_is_part_of_it_without_punctuation(left: str, right: str) -> None:
    part = "12-3"
    assert fold_number(part) in fold_number(f"{fold_text(left)}{part}{fold_text(right)}")


def test_folding_evens_out_case_forms_and_control_characters() -> None:
    assert fold_text("\uff21\uff22 Straße\t\x02\ud800") == "ab strasse  \ufffd"
    assert fold_number("+7 (916) 123-45-67") == "79161234567"
