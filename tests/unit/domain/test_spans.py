from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from recmon.domain.spans import JOIN_S, Spans

PARTS = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), max_size=12)


def seconds(spans: Spans, length: int = 300) -> set[int]:
    return {at for at in range(length) if spans.end_at(at + 0.5) is not None}


@given(parts=PARTS)
def test_joined_parts_hold_every_second_once_and_in_order(parts: list[tuple[int, int]]) -> None:
    spans = Spans.of(parts)
    assert seconds(spans) == {at for begin, end in parts for at in range(begin, end)}
    assert spans.total_s == len(seconds(spans))
    edges = [edge for part in spans.parts for edge in part]
    assert edges == sorted(set(edges))


@given(parts=PARTS, length=st.integers(1, 300))
def test_what_is_missing_completes_the_length(parts: list[tuple[int, int]], length: int) -> None:
    spans = Spans.of(parts)
    missing = seconds(spans.missing(length), length)
    assert missing == set(range(length)) - seconds(spans, length)
    assert spans.share_of(length) == (length - len(missing)) / length


@given(parts=PARTS, others=PARTS)
def test_adding_one_by_one_is_the_union(parts: list[tuple[int, int]], others: list[tuple[int, int]]) -> None:
    added = Spans.of(parts)
    for begin, end in others:
        added = added.plus(begin, end)
    assert added == Spans.of(parts).union(Spans.of(others))


def test_half_of_four_minutes() -> None:
    spans = Spans.of([(120, 180), (0, 60)])
    assert spans.share_of(240) == 0.5
    assert spans.missing(240).parts == ((60, 120), (180, 240))


def test_gaps_that_nobody_hears_are_closed() -> None:
    assert Spans.of([(0, 1), (1 + JOIN_S / 2, 2)]).parts == ((0, 2),)
    assert len(Spans.of([(0, 1), (1 + 2 * JOIN_S, 2)]).parts) == 2


def test_nothing_is_known_of_an_unknown_length() -> None:
    assert Spans.of([(0, 5)]).share_of(None) == 0.0
    assert Spans.of([(0, 5), (-9, -3), (7, 7)]).share_of(5) == 1.0
