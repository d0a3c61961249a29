from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recmon.domain.calls import Call, CallKey, CallState, Direction, Party, RecordingRef, ServerId
from recmon.domain.cdr import CdrRecord
from recmon.domain.query import EVERYTHING, parse_query
from recmon.errors import QueryError
from recmon.store.calls import CallStore
from recmon.store.database import Database

EAST, WEST = ServerId("east"), ServerId("west")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def call(number: int = 1, **fields: Any) -> Call:
    values: dict[str, Any] = {
        "key": CallKey(EAST, f"call-{number}"),
        "state": CallState.ENDED,
        "caller": Party("+7 (916) 123-45-67", "Anna Ivanova"),
        "callee": Party("2001", "Bob"),
        "started_at": NOON + timedelta(seconds=number),
        "ended_at": NOON + timedelta(seconds=number + 60),
        "received_at": NOON,
    }
    return Call(**(values | fields))


def store(database: Database, *calls: Call) -> list[tuple[Call, bool]]:
    return database.submit(lambda connection: CallStore(connection).store(calls, NOW)).result()


def found(database: Database, text: str, limit: int = 1000, offset: int = 0) -> list[Call]:
    query = parse_query(text, now=NOW, zone=UTC)

    def both(connection: Any) -> tuple[list[Call], int]:
        calls = CallStore(connection)
        return calls.search(query, limit, offset), calls.count(query)

    calls, count = database.submit(both).result()
    if limit == 1000 and not offset:
        assert count == len(calls), "the count is the number of rows"
    return calls


def ids(calls: Sequence[Call]) -> list[str]:
    return [one.key.native_id for one in calls]


def indexed(connection: Any) -> int:
    """Return how many calls the index of words holds that have an Anna in them."""
    return int(connection.execute("SELECT count(*) FROM call_words('anna')").get)


FULL = call(
    direction=Direction.INCOMING,
    answered_at=NOON + timedelta(milliseconds=1500),
    cause="Normal call clearing",
    start_seen=False,
    is_confirmed=False,
    is_approximate=True,
    recordings=(RecordingRef(WEST, "path:/a/b.wav"), RecordingRef(EAST, "folder:c")),
    tags=("done", "Важно"),
    cdr=CdrRecord((("b", "2"), ("a", "1"), ("empty", ""))),
)


def test_a_call_comes_back_as_it_was_stored(database: Database) -> None:
    assert store(database, FULL) == [(FULL, True)]
    assert database.submit(lambda c: CallStore(c).find(FULL.key)).result() == FULL
    assert found(database, "") == [FULL]
    assert store(database, FULL) == [(FULL, False)]


def test_what_was_never_stored_is_not_found(database: Database) -> None:
    assert database.submit(lambda c: CallStore(c).find(CallKey(EAST, "none"))).result() is None
    assert found(database, "") == []


def test_two_servers_may_use_the_same_id(database: Database) -> None:
    store(database, call(key=CallKey(EAST, "1")), call(key=CallKey(WEST, "1"), callee=Party("7")))
    assert {one.callee.number for one in found(database, "")} == {"2001", "7"}


def test_a_poorer_record_erases_nothing(database: Database) -> None:
    store(database, FULL)
    poorer = Call(FULL.key, CallState.ENDED, start_seen=False, received_at=NOW, is_confirmed=False)
    [(merged, is_new)] = store(database, poorer)
    assert not is_new
    assert merged == replace(FULL, is_approximate=True)


def test_the_end_outweighs_what_is_told_after_it(database: Database) -> None:
    store(database, call(caller=Party("1", "final")))
    [(merged, _)] = store(database, call(caller=Party("1", "early"), state=CallState.RINGING, cause="late"))
    assert (merged.state, merged.caller.name, merged.cause) == (CallState.ENDED, "final", "late")


def test_a_lost_call_goes_on_when_its_server_tells_of_it(database: Database) -> None:
    lost = call(state=CallState.LOST, ended_at=None, is_confirmed=False)
    unconfirmed = replace(lost, state=CallState.CONNECTED, caller=Party())
    confirmed = replace(unconfirmed, is_confirmed=True, received_at=NOW, start_seen=False)
    store(database, lost)
    assert [one.state for one, _ in store(database, unconfirmed)] == [CallState.LOST]
    expected = replace(lost, state=CallState.CONNECTED, is_confirmed=True)
    assert store(database, confirmed) == [(expected, False)]
    assert database.submit(lambda c: CallStore(c).find(lost.key)).result() == expected
    assert ids(found(database, "state:connected anna")) == ["call-1"]
    assert found(database, "") == found(database, "anna") == found(database, "state:lost") == []
    assert database.submit(indexed).result() == 0
    assert [one.state for one, _ in store(database, lost)] == [CallState.LOST]
    assert [one.state for one, _ in store(database, confirmed, call())] == [
        CallState.CONNECTED,
        CallState.ENDED,
    ]
    assert [one.state for one, _ in store(database, confirmed)] == [CallState.ENDED]
    assert ids(found(database, "anna")) == ["call-1"]
    assert database.submit(indexed).result() == 1


def test_a_lost_call_ends_after_all_and_stays_ended(database: Database) -> None:
    lost = call(state=CallState.LOST, ended_at=None)
    assert [one.state for one, _ in store(database, lost)] == [CallState.LOST]
    assert [one.state for one, _ in store(database, call())] == [CallState.ENDED]
    assert [one.state for one, _ in store(database, lost)] == [CallState.ENDED]
    assert ids(found(database, "state:ended")) == ["call-1"]


def test_a_time_of_the_server_counts_before_one_of_our_clock(database: Database) -> None:
    ours = call(ended_at=NOON + timedelta(hours=2), is_approximate=True)
    exact = call(state=CallState.CONNECTED, started_at=NOON, ended_at=None)
    store(database, exact)
    [(merged, _)] = store(database, ours)
    assert (merged.started_at, merged.ended_at, merged.is_approximate) == (NOON, ours.ended_at, True)
    [(merged, _)] = store(database, call(started_at=NOON))
    assert (merged.ended_at, merged.is_approximate) == (call().ended_at, False)


def test_any_order_of_records_gives_the_same_call(database: Database) -> None:
    records = [
        call(state=CallState.RINGING, ended_at=None, caller=Party("1"), cdr=CdrRecord((("a", "1"),))),
        call(
            state=CallState.CONNECTED,
            ended_at=None,
            caller=Party("1"),
            answered_at=NOON,
            cdr=CdrRecord((("b", "2"),)),
        ),
        call(caller=Party("1", "Anna"), cause="busy", cdr=CdrRecord((("a", "1"), ("c", "3")))),
        call(state=CallState.LOST, ended_at=None, caller=Party("1"), tags=("done",)),
    ]
    results = []
    for number, order in enumerate(itertools.permutations(records)):
        key = CallKey(EAST, f"order-{number}")
        merged = store(database, *(replace(record, key=key) for record in order))[-1][0]
        results.append((replace(merged, key=FULL.key, cdr=CdrRecord()), dict(merged.cdr.fields)))
    assert all(result == results[0] for result in results)
    assert results[0][1] == {"a": "1", "b": "2", "c": "3"}
    assert len(found(database, "number:1")) == len(results)


def test_a_thousand_repeated_and_shuffled_calls_are_a_thousand_rows(database: Database) -> None:
    ends = [call(number) for number in range(1000)]
    starts = [replace(one, state=CallState.RINGING, ended_at=None) for one in ends]
    store(database, *ends[::2], *starts, *ends[::-1], *starts[::3], *ends)
    assert found(database, "") == ends[::-1]


def test_calls_come_newest_first_in_pages_that_fit_together(database: Database) -> None:
    store(database, *(call(number * 7919 % 100) for number in range(100)))
    pages = [found(database, "", 30, offset) for offset in (0, 30, 60, 90, 120)]
    assert [len(page) for page in pages] == [30, 30, 30, 10, 0]
    assert ids(itertools.chain.from_iterable(pages)) == [f"call-{number}" for number in range(99, -1, -1)]  # type: ignore[arg-type]


def test_a_call_moves_when_its_start_becomes_known(database: Database) -> None:
    late = call(1, started_at=None, ended_at=NOON + timedelta(hours=1))
    store(database, late, call(2), call(3))
    assert ids(found(database, "anna")) == ["call-1", "call-3", "call-2"]
    store(database, replace(late, started_at=NOON, recordings=FULL.recordings))
    assert ids(found(database, "anna")) == ["call-3", "call-2", "call-1"]
    assert found(database, "")[-1].recordings == FULL.recordings


def test_a_changed_name_is_found_and_the_former_one_is_not(database: Database) -> None:
    store(database, call())
    store(database, call(caller=Party("5", "Clara")))
    assert ids(found(database, "clara")) == ["call-1"]
    assert found(database, "anna") == []


def test_a_call_without_any_time_is_kept_at_the_time_of_storing(database: Database) -> None:
    timeless = call(started_at=None, ended_at=None, received_at=None)
    store(database, timeless, call(2))
    assert ids(found(database, "")) == ["call-1", "call-2"]
    assert ids(found(database, "on:today")) == ["call-1"]
    store(database, replace(timeless, cause="busy"))
    assert ids(found(database, "cause:busy")) == ["call-1"]


def test_more_calls_of_one_moment_than_a_millisecond_has_places(database: Database) -> None:
    count = 3000
    store(database, *(call(number, started_at=NOON) for number in range(count)))
    query = parse_query("on:2026-11-20", now=NOW, zone=UTC)
    rows = database.submit(lambda c: CallStore(c).search(query, count, 0)).result()
    assert ids(rows) == [f"call-{number}" for number in range(count - 1, -1, -1)]
    before = parse_query('before:"2026-11-20 12:00:00"', now=NOW, zone=UTC)
    assert database.submit(lambda c: CallStore(c).count(before)).result() == 0


@pytest.mark.parametrize("year", [1, 1969, 1970, 2038, 9999])
def test_times_of_any_year_survive(database: Database, year: int) -> None:
    moment = datetime(year, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
    store(database, call(started_at=moment, ended_at=moment), call(2))
    assert found(database, f'after:{year:04}-01-01 before:"{year:04}-01-03"')[0].started_at == moment


def test_ongoing_calls_are_found_only_when_asked_for(database: Database) -> None:
    store(database, call(1), call(2, state=CallState.HELD, ended_at=None), call(3, state=CallState.LOST))
    assert ids(found(database, "anna")) == ["call-3", "call-1"]
    assert ids(found(database, "anna state:held")) == ["call-2"]
    assert ids(found(database, "anna state:ongoing,lost")) == ["call-3", "call-2"]
    assert ids(found(database, "-state:ended")) == ["call-3", "call-2"]


def test_what_an_earlier_run_left_ongoing_becomes_lost_and_can_be_found(database: Database) -> None:
    store(database, call(1), call(2, state=CallState.RINGING, ended_at=None))
    lost = database.submit(lambda c: CallStore(c).lose_ongoing()).result()
    assert ids(lost) == ["call-2"]
    [one] = found(database, "state:lost")
    assert (one.ended_at, one.duration_s, one.is_confirmed) == (None, None, False)
    assert ids(found(database, "anna")) == ["call-2", "call-1"]
    assert database.submit(lambda c: CallStore(c).lose_ongoing()).result() == []


def test_text_that_no_database_holds_is_kept_as_well_as_can_be(database: Database) -> None:
    odd = "a\ud800b\0c"
    stored, _ = store(
        database,
        call(
            key=CallKey(EAST, odd),
            caller=Party(odd, odd),
            cause=odd,
            tags=(odd,),
            cdr=CdrRecord(((odd, odd),)),
        ),
    )[0]
    assert stored.caller.name == "a\ufffdb\ufffdc"
    assert found(database, "a\ufffdb") == [stored]
    assert database.submit(lambda c: CallStore(c).find(CallKey(EAST, odd))).result() == stored


@pytest.mark.parametrize(
    "text",
    [
        "",
        "'; DROP TABLE calls; --",
        '"',
        "\u202eevil",
        "Ω≈ç√",
        "👩‍👩‍👧",
        "%_[]*?^",
        "NULL",
        "\x02\x03",
        "\ufeff",
        "1e400",
        "ﷺ" * 300,
    ],
)
def test_hostile_text_survives_and_is_found(database: Database, text: str) -> None:
    one = call(caller=Party(text, text), cause=text, cdr=CdrRecord(((text, text),)))
    store(database, one, call(2))
    assert one in found(database, "")
    if text.strip() and '"' not in text:
        try:
            assert one in found(database, f'name:"{text}"')
        except QueryError:
            assert len(text) > 1000


def test_search_words_mean_what_they_say(database: Database) -> None:
    store(
        database,
        call(
            1,
            caller=Party("+7 (916) 123-45-67", "Anna Ivanova"),
            direction=Direction.INCOMING,
            tags=("Done",),
        ),
        call(2, caller=Party("sip:bob@example.org", "Юлия"), cause="User busy", recordings=FULL.recordings),
        call(
            3,
            key=CallKey(ServerId("East-2"), "call-3"),
            ended_at=None,
            caller=Party("*100#", 'O\'Neil, "Jim"'),
        ),
    )
    expected = {
        "9161234567": [1],
        "7916": [1],
        "(916)": [1],
        '"anna iv"': [1],
        "ANNA": [1],
        "юлия": [2],
        "from:79*": [1],
        "from:*67": [1],
        "from:7*4*67": [1],
        "from:8*": [],
        "to:2001": [3, 2, 1],
        "number:2*": [3, 2, 1],
        "name:ob": [3, 2, 1],
        "name:bo*": [3, 2, 1],
        "name:o*": [3],
        "an*va": [1],
        "x,anna,юлия": [2, 1],
        "-anna -юлия": [3],
        '"*100#"': [3],
        "o'neil": [3],
        "server:east": [2, 1],
        "src:east*": [3, 2, 1],
        "-server:east": [3],
        "server:nowhere": [],
        "dir:in": [1],
        "-dir:in": [3, 2],
        "cause:busy": [2],
        "cause:*": [2],
        "tag:done": [1],
        "tag:don": [],
        "tag:d*": [1],
        "-tag:*": [3, 2],
        "has:recording": [2],
        "dur>59": [2, 1],
        "dur=1m": [2, 1],
        "dur<60": [],
        "-dur>59": [3],
        "on:yesterday": [3, 2, 1],
        "on:today": [],
        'after:"2026-11-20 12:00:02"': [3, 2],
        'before:"2026-11-20 12:00:02"': [1],
        "after:2026-11-20 before:2026-11-21 anna": [1],
        "a": [2, 1],
        "q": [],
        "qq": [],
        "qqq": [],
    }
    assert {text: [int(one[-1]) for one in ids(found(database, text))] for text in expected} == expected


LETTERS = "ab1+* -.Яß_%\"'[]?^\x02\tİ①"
TEXTS = st.text(LETTERS, max_size=8)
CALLS = st.lists(st.tuples(TEXTS, TEXTS, TEXTS, TEXTS, st.sampled_from(CallState)), min_size=1, max_size=6)
TERMS = st.tuples(
    st.sampled_from(["", "-"]),
    st.sampled_from(["", "from:", "to:", "number:", "name:", "cause:", "tag:"]),
    st.lists(
        st.text(LETTERS.replace('"', "").replace(" ", ""), min_size=1, max_size=5), min_size=1, max_size=2
    ).map(",".join),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parties=CALLS, terms=st.lists(TERMS, min_size=1, max_size=3))
def test_the_database_finds_what_matches_in_memory(
    tmp_path_factory: pytest.TempPathFactory, parties: Any, terms: Any
) -> None:
    text = " ".join(map("".join, terms))
    try:
        query = parse_query(text, now=NOW, zone=UTC)
    except QueryError:
        return
    calls = [
        call(number, caller=Party(a, b), callee=Party(c, d), cause=b, tags=(d,) if d else (), state=state)
        for number, (a, b, c, d, state) in enumerate(parties)
    ]
    expected = [one for one in reversed(calls) if one.state.is_over and query.matches(one)]
    assert ids(found(_shared(tmp_path_factory, calls), text)) == ids(expected)


def _shared(factory: pytest.TempPathFactory, calls: Sequence[Call]) -> Database:
    global _database
    if _database is None:
        _database = Database(factory.mktemp("shared") / "history.sqlite3")
        _database.open()

    def refill(connection: Any) -> None:
        connection.execute("DELETE FROM calls; DELETE FROM call_words")

    _database.submit(refill).result()
    store(_database, *calls)
    return _database


_database: Database | None = None


@pytest.fixture(autouse=True, scope="module")
def _close_shared() -> Any:
    yield
    if _database is not None:
        _database.close()


def test_a_search_of_everything_has_no_terms(database: Database, tmp_path: Path) -> None:
    store(database, call())
    assert database.submit(lambda c: CallStore(c).count(EVERYTHING)).result() == 1
