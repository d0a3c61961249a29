from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import apsw
import pytest

from recmon.domain.calls import ServerId
from recmon.store.schema import MIGRATIONS
from recmon.store.synchronisation import ResumePoint, SynchronisationStore, TimeSpan, missing

EAST, WEST = ServerId("east"), ServerId("west")
DAY = datetime(2026, 11, 20, tzinfo=UTC)


def span(begin: float, end: float) -> TimeSpan:
    return TimeSpan(DAY + timedelta(hours=begin), DAY + timedelta(hours=end))


@pytest.fixture
def tables() -> Iterator[SynchronisationStore]:
    connection = apsw.Connection(":memory:")
    for step in MIGRATIONS:
        connection.execute(step)
    yield SynchronisationStore(connection)
    connection.close()


@pytest.mark.parametrize(
    ("covered", "expected"),
    [
        ([], [span(0, 24)]),
        ([span(0, 24)], []),
        ([span(-5, 30)], []),
        ([span(-5, 3), span(10, 12)], [span(12, 24), span(3, 10)]),
        ([span(10, 12), span(20, 40)], [span(12, 20), span(0, 10)]),
        ([span(-9, 0), span(24, 30)], [span(0, 24)]),
    ],
)
def test_what_is_missing_comes_latest_first(covered: list[TimeSpan], expected: list[TimeSpan]) -> None:
    assert list(missing(span(0, 24), covered)) == expected


def test_spans_that_touch_become_one(tables: SynchronisationStore) -> None:
    for begin, end in ((10, 12), (14, 16), (0, 2), (12, 14), (1, 3)):
        tables.cover(EAST, span(begin, end))
    tables.cover(WEST, span(3, 10))
    assert tables.covered(EAST) == (span(0, 3), span(10, 16))
    assert tables.covered(WEST) == (span(3, 10),)
    tables.cover(EAST, span(-1, 20))
    assert tables.covered(EAST) == (span(-1, 20),)


def test_a_server_has_one_place_where_its_search_stands(tables: SynchronisationStore) -> None:
    assert tables.point(EAST) is None
    tables.set_point(EAST, ResumePoint(span(0, 1), 50))
    tables.set_point(EAST, ResumePoint(span(0, 1), 100))
    tables.set_point(WEST, ResumePoint(span(2, 3), 50))
    assert tables.point(EAST) == ResumePoint(span(0, 1), 100)
    tables.clear_point(EAST)
    assert tables.point(EAST) is None
    assert tables.point(WEST) is not None
