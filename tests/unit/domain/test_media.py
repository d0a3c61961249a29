from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recmon.domain.media import (
    WAV_HEAD_LIMIT,
    WHITE_SPACE_LIMIT,
    MediaKind,
    check_arrival,
    codec_name,
    read_wav_head,
    sniff,
)
from recmon.errors import RecordingDamaged

CORPORA = Path(__file__).parents[4] / "shared" / "corpora" / "audio"
OPEN_SIZES = (0, 0xFFFFFFFF, 0x7FFFF000)


def chunk(name: bytes, content: bytes, order: str = "<", size: int | None = None) -> bytes:
    length = struct.pack(f"{order}I", len(content) if size is None else size)
    return name + length + content + b"\0" * (len(content) % 2)


def wav(
    sound: bytes = b"\xd5" * 800,
    *,
    tag: int = 6,
    channels: int = 1,
    bits: int = 8,
    container: bytes = b"RIFF",
    before: bytes = b"",
    after: bytes = b"",
    riff_size: int | None = None,
    data_size: int | None = None,
    extra: bytes = b"",
) -> bytes:
    order = ">" if container == b"RIFX" else "<"
    align = channels * bits // 8
    form = struct.pack(f"{order}HHIIHH", tag, channels, 8000, 8000 * align, align, bits) + extra
    content = b"WAVE" + before + chunk(b"fmt ", form, order) + chunk(b"data", sound, order, data_size) + after
    size = len(content) if riff_size is None else riff_size
    return container + struct.pack(f"{order}I", size) + content


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (wav(), MediaKind.WAV),
        (wav(container=b"RIFX"), MediaKind.WAV),
        (wav(container=b"RF64"), MediaKind.WAV),
        (b"RIFF\0\0\0\0AVI LIST", MediaKind.RAW),
        (b"PK\x03\x04" + b"\0" * 30, MediaKind.ZIP),
        (b"PK\x05\x06" + b"\0" * 18, MediaKind.ZIP),
        (b"\0\0\0\x20ftypisom\0\0", MediaKind.MP4),
        (b"OggS\0\x02" + b"\0" * 20, MediaKind.OGG),
        (b"fLaC\0\0\0\x22" + b"\0" * 20, MediaKind.FLAC),
        (b"ID3\x04" + b"\0" * 20, MediaKind.MP3),
        (b"\xff\xfb\x90\x64" + b"\0" * 20, MediaKind.MP3),
        (b"\xff" * 100, MediaKind.RAW),
        (b'{"resultCode":"0300011"}', MediaKind.JSON),
        (b'\xef\xbb\xbf \r\n\t{"resultCode":"1"}', MediaKind.JSON),
        (b"{" + b"\xd5\x00\x55" * 20, MediaKind.RAW),
        (b"<!DOCTYPE html><html>", MediaKind.MARKUP),
        (b"\r\n<?xml version='1.0'?>", MediaKind.MARKUP),
        (b"<" + b"\xd5\x00\x55" * 20, MediaKind.RAW),
        (b"\xd5" * 100, MediaKind.RAW),
        (b" " * (WHITE_SPACE_LIMIT + 1), MediaKind.RAW),
    ],
)
def test_the_first_bytes_tell_the_kind(head, kind):
    assert sniff(head) is kind
    assert sniff(head, is_complete=True) is kind


def test_a_short_beginning_needs_more_unless_it_is_all():
    assert sniff(b"") is None
    assert sniff(b"", is_complete=True) is MediaKind.EMPTY
    assert sniff(b"RIFF\0\0\0\0") is None
    assert sniff(b"RIFF\0\0\0\0", is_complete=True) is MediaKind.RAW
    assert sniff(b"{}", is_complete=True) is MediaKind.JSON
    assert sniff(b" " * 100) is None
    assert sniff(b" " * 100, is_complete=True) is MediaKind.RAW


def test_every_kind_but_nothing_has_an_extension():
    assert {kind.extension for kind in MediaKind if kind.extension.startswith(".")} == {
        kind.extension for kind in MediaKind if kind is not MediaKind.EMPTY
    }
    assert not MediaKind.JSON.is_recording
    assert MediaKind.RAW.is_recording


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_have_a_kind_in_the_end(data, is_complete):
    kind = sniff(data, is_complete=is_complete)
    assert kind is not None or not is_complete


@pytest.mark.parametrize("container", [b"RIFF", b"RIFX"])
def test_a_wav_head_tells_its_facts(container):
    file = wav(container=container, channels=2, sound=b"\0" * 1000)
    head = read_wav_head(file)
    assert head is not None
    assert (head.container, head.format_tag, head.codec) == (container.decode(), 6, "A-law")
    assert (head.channels, head.sample_rate, head.bits_per_sample) == (2, 8000, 8)
    assert (head.block_align, head.byte_rate) == (2, 16000)
    assert (head.data_offset, head.data_size) == (44, 1000)
    assert head.file_size == head.announced_size == len(file)


def test_chunks_in_front_of_the_sound_are_skipped_with_their_padding():
    lists = chunk(b"LIST", b"INFOodd") + chunk(b"JUNK", b"\0" * 28)
    head = read_wav_head(wav(before=lists))
    assert head is not None
    assert head.data_offset == 44 + len(lists)


def test_a_growing_head_needs_more_until_the_sound_begins():
    file = wav(before=chunk(b"LIST", b"INFOodd"), extra=b"\0\0")
    whole = read_wav_head(file)
    assert whole is not None
    for size in range(whole.data_offset):
        assert read_wav_head(file[:size]) is None
        with pytest.raises(RecordingDamaged):
            read_wav_head(file[:size], is_complete=True)
    assert read_wav_head(file[: whole.data_offset]) == whole


@pytest.mark.parametrize("container", [b"RIFF", b"RIFX"])
def test_an_extensible_format_is_told_by_its_sub_format(container):
    order = ">" if container == b"RIFX" else "<"
    guid = struct.pack(f"{order}IHH", 7, 0, 0x10) + bytes.fromhex("800000aa00389b71")
    extra = struct.pack(f"{order}HHI", 22, 8, 3) + guid
    head = read_wav_head(wav(tag=0xFFFE, extra=extra, container=container))
    assert head is not None
    assert (head.format_tag, head.codec) == (7, "µ-law")


def test_a_foreign_sub_format_keeps_the_extensible_tag():
    extra = struct.pack("<HHI", 22, 8, 3) + b"\x07\0\0\0" + b"\xee" * 12
    head = read_wav_head(wav(tag=0xFFFE, extra=extra))
    assert head is not None
    assert head.codec == "format 0xFFFE"


def test_64_bit_sizes_are_read():
    sizes = chunk(b"ds64", struct.pack("<QQQI", 1 << 33, (1 << 33) - 100, 0, 0))
    head = read_wav_head(wav(container=b"RF64", before=sizes, riff_size=0xFFFFFFFF, data_size=0xFFFFFFFF))
    assert head is not None
    assert (head.container, head.data_size, head.file_size) == ("RF64", (1 << 33) - 100, (1 << 33) + 8)


@pytest.mark.parametrize("size", OPEN_SIZES)
def test_the_sizes_of_a_streaming_writer_are_unknown(size):
    head = read_wav_head(wav(riff_size=size, data_size=size))
    assert head is not None
    assert (head.data_size, head.file_size, head.announced_size) == (None, None, None)


def test_a_zero_size_never_corrected_is_unknown_too():
    head = read_wav_head(wav(riff_size=36, data_size=0))
    assert head is not None
    assert head.announced_size is None


@pytest.mark.parametrize(
    "file",
    [
        b"RIFF\0\0\0\0AVI LIST" + b"\0" * 40,
        b"RIFF\x24\0\0\0WAVE" + chunk(b"data", b"\0" * 20),
        b"RIFF\x24\0\0\0WAVE" + chunk(b"fmt ", b"\0" * 10) + chunk(b"data", b"\0" * 20),
        wav(channels=0),
        b"RIFF\x24\0\0\0WAVE" + chunk(b"LIST", b"", size=WAV_HEAD_LIMIT),
        b"RF64\x24\0\0\0WAVE" + chunk(b"ds64", b"\0" * 4),
    ],
)
def test_an_unusable_header_is_damage(file):
    with pytest.raises(RecordingDamaged):
        read_wav_head(file)


@given(st.binary(max_size=120))
def test_a_hostile_header_is_read_or_refused(tail):
    try:
        head = read_wav_head(b"RIFF\xff\0\0\0WAVE" + tail, is_complete=True)
    except RecordingDamaged:
        return
    assert head is not None
    assert head.channels > 0


def test_codecs_have_names_for_people():
    assert codec_name(1) == "PCM"
    assert codec_name(0x31) == "GSM 6.10"
    assert codec_name(0x83) == "G.729"
    assert codec_name(0x1234) == "format 0x1234"


@pytest.mark.parametrize("size", [None, *OPEN_SIZES])
def test_a_whole_file_is_accepted(size):
    file = wav(riff_size=size, data_size=size)
    check_arrival(file, len(file), len(file))
    check_arrival(file[:100], len(file), None)


def test_sloppy_riff_sizes_around_complete_sound_are_accepted():
    odd = wav(sound=b"\xd5" * 801)
    check_arrival(odd[:-1], len(odd) - 1, len(odd) - 1)
    eight_too_many = wav(riff_size=len(wav()))
    check_arrival(eight_too_many, len(eight_too_many), len(eight_too_many))
    trailing = wav() + b"\0" * 100
    check_arrival(trailing, len(trailing), len(trailing))


@pytest.mark.parametrize(
    ("body", "declared", "reason"),
    [
        (wav(), 2000, "announced 2000 bytes, and 844 arrived"),
        (wav(), 100, "announced 100 bytes, and 844 arrived"),
        (wav()[:500], 500, "announces 844 bytes, and 500 arrived"),
        (wav()[:500], None, "announces 844 bytes, and 500 arrived"),
        (wav(riff_size=5000), None, "announces 5008 bytes"),
        (wav()[:44], 44, "no sound"),
        (wav(b"", riff_size=36, data_size=0), None, "no sound"),
        (wav()[:30], 30, "no sound"),
        (b"", 0, "empty"),
        (b"", None, "empty"),
        (b'{"resultCode":"0300011"}', None, "JSON"),
        (b"<html></html>", None, "web page"),
    ],
)
def test_anything_but_a_whole_recording_is_damage(body, declared, reason):
    with pytest.raises(RecordingDamaged, match=reason):
        check_arrival(body, len(body), declared)


def test_every_cut_of_a_wav_file_is_noticed():
    file = wav(before=chunk(b"LIST", b"INFOodd"))
    for size in range(len(file)):
        with pytest.raises(RecordingDamaged):
            check_arrival(file[:size], size, None, ends_by_close=True)
        if size >= 12:
            with pytest.raises(RecordingDamaged):
                check_arrival(file[:size], size, size)


def test_a_body_that_ends_by_close_must_tell_its_own_length():
    file = wav()
    check_arrival(file, len(file), None, ends_by_close=True)
    for doubtful in (wav(riff_size=0, data_size=0), wav() + b"\0" * 100, b"\xd5" * 800, b"PK\x03\x04" * 9):
        with pytest.raises(RecordingDamaged):
            check_arrival(doubtful, len(doubtful), None, ends_by_close=True)
        check_arrival(doubtful, len(doubtful), len(doubtful))


@pytest.mark.corpora
def test_public_files_are_read_or_refused_in_words():
    told = 0
    for path in sorted(CORPORA.rglob("*.wav")):
        data = path.read_bytes()
        try:
            check_arrival(data, len(data), None)
        except RecordingDamaged:
            continue
        told += 1
    assert told >= 70
