from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recmon.errors import MalformedMessage
from recmon.protocol.subtitles import LONGEST_TEXT, MOST_BYTES, MOST_CUES, Cue, read_cues

VTT = b"""\xef\xbb\xbfWEBVTT - a call

STYLE
::cue { color: red }

NOTE
00:00:09.000 --> 00:00:10.000 is only a note

intro
00:01.000 --> 00:03.500 align:start position:10%
<v.loud Liam Byrne>Good <b>morning</b> &amp; hello</v>

01:02:03.004 --> 01:02:05.000
- two
lines
"""
SRT = """1\r
00:00:01,000 --> 00:00:03,500\r
{\\an8}<i>Guten Tag,</i> Grüße\r
\r
2\r
00:00:04,000 --> 00:00:06,000\r
second\r
"""


def test_webvtt_with_voices_styles_notes_and_settings() -> None:
    assert read_cues(VTT) == (
        Cue("Good morning & hello", 1.0, 3.5, "Liam Byrne"),
        Cue("- two lines", 3723.004, 3725.0),
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_subrip_in_the_encodings_that_it_is_found_in(encoding: str) -> None:
    assert read_cues(SRT.encode(encoding)) == (
        Cue("Guten Tag, Grüße", 1.0, 3.5),
        Cue("second", 4.0, 6.0),
    )


@pytest.mark.parametrize(
    "document",
    [
        b'[{"start": 1, "end": 2.5, "text": "hello", "speaker": "caller"}]',
        b'{"segments": [{"start_time": "0:01", "end_time": "00:00:02.5", "transcript": "hello",'
        b' "side": "caller"}]}',
        b'{"language": "en", "results": [{"from": 1.0, "to": 2.5, "content": " hello ", "voice": "caller"}]}',
    ],
)
def test_json_in_several_forms(document: bytes) -> None:
    assert read_cues(document) == (Cue("hello", 1.0, 2.5, "caller"),)


def test_what_is_damaged_costs_its_own_cue_alone() -> None:
    damaged = b"""WEBVTT

00:01.000 --> 00:02.000
one

00:xx.000 --> 00:03.000
lost

00:05.000 --> 00:04.000
backwards

00:03.000 --> 00:03.500
early
"""
    assert read_cues(damaged) == (
        Cue("one", 1.0, 2.0),
        Cue("early", 3.0, 3.5),
        Cue("backwards", 5.0, None),
    )


@pytest.mark.parametrize(
    "data", [b"", b"RIFF\0\0WAVE", b"WEBVTT\n\n", b"{}", b"[1, 2]", b'{"segments": 3}', b"[" * 9999]
)
def test_what_is_no_transcript_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        read_cues(data)


def test_nothing_is_larger_than_its_bound() -> None:
    with pytest.raises(MalformedMessage):
        read_cues(b" " * (MOST_BYTES + 1))
    cue = "00:01.000 --> 00:02.000\nx\n\n"
    assert len(read_cues(("WEBVTT\n\n" + cue * (MOST_CUES + 5)).encode())) == MOST_CUES
    (long,) = read_cues(b"00:01.000 --> 00:02.000\n" + b"word " * 100_000)
    assert len(long.text) <= LONGEST_TEXT


@pytest.mark.parametrize(
    "piece", ["<v ", "<", "{\\", "&#", "00:00:00,000 --> ", "\n\n", "<v a>", "-->", "0:", " ", "[[", '{"a":']
)
def test_hostile_repetitions_are_read_in_linear_time(piece: str) -> None:
    begun = time.process_time()
    for head in ("", "WEBVTT\n\n00:01.000 --> 00:02.000\n"):
        with suppress(MalformedMessage):
            read_cues((head + piece * (2_000_000 // len(piece))).encode())
    assert time.process_time() - begun < 10


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        cues = read_cues(data)
    except MalformedMessage:
        return
    assert all(cue.text == cue.text.strip() and cue.text.isprintable() for cue in cues)


@given(st.lists(st.text(max_size=60), max_size=6), st.sampled_from(["WEBVTT\n\n", ""]))
def test_any_words_between_times_come_out_on_one_line(texts: list[str], head: str) -> None:
    blocks = "".join(f"00:0{n}.000 --> 00:0{n}.500\n{text}\n\n" for n, text in enumerate(texts))
    try:
        cues = read_cues((head + blocks).encode("utf-8", "replace"))
    except MalformedMessage:
        return
    assert all("\n" not in cue.text and cue.start_s is not None for cue in cues)
