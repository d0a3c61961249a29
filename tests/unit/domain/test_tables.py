from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from recmon.domain.calls import Call, CallKey, CallState, Direction, Party, ServerId
from recmon.domain.tables import CSV_COLUMNS, call_row, check_columns, parse_call_row

START = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
CALL = Call(
    CallKey(ServerId("east"), "-1"),
    CallState.ENDED,
    Direction.INCOMING,
    Party("+4410", "@home"),
    Party("22", "'quoted'"),
    started_at=START,
    answered_at=START + timedelta(seconds=1.5),
    ended_at=START + timedelta(seconds=90),
    cause="=1+1",
    tags=("vip", "-x"),
)


def test_a_call_comes_back_from_its_row() -> None:
    row = call_row(CALL)
    assert len(row) == len(CSV_COLUMNS)
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in row)
    assert parse_call_row(dict(zip(CSV_COLUMNS, row, strict=True))) == CALL


def test_only_the_apostrophe_of_a_formula_is_taken_away() -> None:
    cells = {"server": "east", "native_id": "'1", "from_number": " '+5 ", "from_name": "'", "cause": "''=1"}
    call = parse_call_row(cells)
    assert (call.key.native_id, call.caller, call.cause) == ("'1", Party("+5", "'"), "''=1")


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"server": "east", "native_id": "1"}, "the number is missing"),
        ({"server": "east", "to_number": "1"}, "native_id is missing"),
        ({"server": "east", "native_id": "1", "to_number": "1", "duration_s": "1:30"}, "duration_s is not"),
        ({"server": "east", "native_id": "1", "to_number": "1", "duration_s": "nan"}, "duration_s is not"),
        ({"server": "east", "native_id": "1", "to_number": "1", "started_at": "2.11.2026"}, "started_at is"),
        ({"server": "east", "native_id": "1", "to_number": "1", "direction": "up"}, "direction is none of"),
    ],
)
def test_a_row_that_is_no_call_has_a_reason(cells: dict[str, str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_call_row(cells)


def test_columns_that_are_missing_are_named() -> None:
    check_columns(["native_id", "to_number", "server", "other"])
    with pytest.raises(ValueError, match="no column native_id and no column from_number or to_number"):
        check_columns(["server", "number"])
