"""Names of saved recordings: filled, safe everywhere, and never twice the same."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recmon.domain.calls import Call, CallKey, CallState, Party, ServerId
from recmon.domain.cdr import CdrRecord
from recmon.domain.filenames import (
    LONGEST_STEM,
    LONGEST_STEM_BYTES,
    USUAL_TEMPLATE,
    check_template,
    file_stem,
    folded_name,
    safe_stem,
    unique_name,
)

CALL = Call(
    CallKey(ServerId("east"), "88120344"),
    CallState.ENDED,
    caller=Party("+44 20 7946 0112", "Liam Byrne"),
    callee=Party("", "Service desk"),
    started_at=datetime(2026, 11, 21, 8, 40, 7, tzinfo=UTC),
    cdr=CdrRecord((("location", "REC-EAST-02"),)),
)
WINDOWS_REFUSES = set('<>:"/\\|?*') | {chr(code) for code in range(32)}


def test_the_usual_template() -> None:
    stem = file_stem(USUAL_TEMPLATE, CALL, ZoneInfo("Europe/Budapest"))
    assert stem == "20261121-094007_+44 20 7946 0112_Service desk_east"


def test_every_field_of_a_call_and_of_its_record_can_be_used() -> None:
    assert file_stem("{native_id}-{location}-{from_name}", CALL, UTC) == "88120344-REC-EAST-02-Liam Byrne"


def test_what_a_call_does_not_have_stays_empty() -> None:
    assert file_stem("{end}{nothing}x", CALL, UTC) == "x"
    assert file_stem("{end}", CALL, UTC) == "recording"


@pytest.mark.parametrize("name", ["con", "NUL", "com1", "LPT9.tar", "aux.wav"])
def test_device_names_of_windows_are_changed(name: str) -> None:
    assert safe_stem(name) == f"_{name}"


@given(st.text(max_size=400))
def test_any_text_becomes_a_name_that_every_system_takes(text: str) -> None:
    stem = safe_stem(text)
    assert stem
    assert not WINDOWS_REFUSES & set(stem)
    assert stem == stem.strip(" .")
    assert len(stem) <= LONGEST_STEM + 1
    assert len(stem.encode()) <= LONGEST_STEM_BYTES + 1
    assert safe_stem(stem) == stem


@given(st.lists(st.sampled_from(["a", "A", "\u00e9", "e\u0301", "b"]), max_size=20))
def test_names_never_collide_whatever_their_letter_case(stems: list[str]) -> None:
    taken: set[str] = set()
    for stem in stems:
        name = unique_name(safe_stem(stem), ".wav", taken)
        assert folded_name(name) not in taken
        taken.add(folded_name(name))


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        (USUAL_TEMPLATE, None),
        ("{started_at:%Y}{whatever}", None),
        ("  ", "the template is empty"),
        ("{start", "a curly bracket stands alone"),
        ("{}", "a placeholder has no name"),
        ("{from:%Y}", "only times have a format, and from is none"),
    ],
)
def test_a_template_is_checked_while_it_is_typed(template: str, problem: str | None) -> None:
    assert check_template(template) == problem
