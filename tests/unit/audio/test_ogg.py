"""Ogg files: sound from the first pages on, places while the file grows, and ends that are missing."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from recmon.audio.decoder import Decoder
from recmon.audio.ogg import OggSound, Page, last_page, pages_of
from recmon.audio.peaks import PeakReader
from recmon.audio.stream import GrowingFile
from recmon.audio.views import ReadingAborted
from recmon.domain.recordings import Waveform
from recmon.errors import DownloadInterrupted, UnsupportedAudio

DEADLINE_S = 10.0
CODECS = ["VORBIS", "OPUS"]
Samples = NDArray[np.float32]


def noisy_tones(seconds: float, rate: int, channels: int) -> Samples:
    times = np.arange(round(seconds * rate)) / rate
    tone = 0.3 * np.sin(2 * np.pi * 300 * times) * (np.sin(2 * np.pi * 1.3 * times) > 0)
    tone += np.random.default_rng(7).normal(0, 0.02, len(times))
    return np.stack([np.roll(tone, 1000 * n) for n in range(channels)], axis=1).astype(np.float32)


def ogg(
    path: Path, subtype: str, seconds: float = 60.0, rate: int = 8000, channels: int = 2
) -> tuple[bytes, Samples]:
    """Write a file; return its bytes, and what they decode to when read as a whole."""
    sound = noisy_tones(seconds, rate, channels)
    with soundfile.SoundFile(path, "w", rate, channels, format="OGG", subtype=subtype) as file:
        for begin in range(0, len(sound), 8000):
            file.write(sound[begin : begin + 8000])
    whole, _ = soundfile.read(path, dtype="float32", always_2d=True)
    return path.read_bytes(), whole


def whole_file(path: Path) -> Decoder:
    file = GrowingFile.whole(path)
    file.close()
    return Decoder(file)


def arriving(folder: Path, content: bytes, there: int) -> tuple[GrowingFile, Decoder]:
    """Open a file of which so many bytes are there."""
    file = GrowingFile(folder / "a.part", len(content))
    file.write(content[:there])
    decoder = Decoder(file)
    decoder.open()
    return file, decoder


def read(decoder: Decoder, frames: int) -> Samples:
    """Read so many frames, fewer only at the end."""
    blocks = [np.zeros((0, decoder.info.channels), np.float32)]
    left = frames
    while left and len(block := decoder.read(min(left, 3000))):
        blocks.append(block)
        left -= len(block)
    return np.concatenate(blocks)


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.mark.parametrize("subtype", CODECS)
@pytest.mark.parametrize("rate", [8000, 16_000, 48_000])
@pytest.mark.parametrize("seconds", [0.05, 0.5, 1.5, 3.0, 20.0])
def test_whole_file_decodes_to_what_the_library_reads_and_places_are_exact(
    tmp_path: Path, subtype: str, rate: int, seconds: float
) -> None:
    _, whole = ogg(tmp_path / "a.ogg", subtype, seconds, rate)
    decoder = whole_file(tmp_path / "a.ogg")
    info = decoder.open()
    assert (info.sample_rate, info.channels, info.frames, info.lacks_end) == (rate, 2, len(whole), False)
    assert decoder.length_s == decoder.arrived_s == pytest.approx(seconds)
    assert np.array_equal(read(decoder, len(whole) + 1), whole)
    for share in (0.5, 0.0, 0.93, 0.999, 0.2):
        place = int(share * len(whole))
        decoder.seek(place)
        assert np.abs(read(decoder, 2000) - whole[place : place + 2000]).max() < 1e-3
        assert decoder.position == min(place + 2000, len(whole))
    decoder.seek(len(whole) + 99)
    assert len(decoder.read(100)) == 0
    decoder.close()


@pytest.mark.parametrize("subtype", CODECS)
def test_sound_begins_with_the_first_pages(tmp_path: Path, subtype: str, thread: ThreadPoolExecutor) -> None:
    content, whole = ogg(tmp_path / "a.ogg", subtype)
    pages = list(pages_of(content))
    # All of the head, and the first four pages of sound.
    there = next(page for page in pages if page.granule > 0).begin
    there = [page for page in pages if page.begin >= there][3].end
    file = GrowingFile(tmp_path / "a.part", len(content))
    file.write(content[:there])
    decoder = Decoder(file)
    thread.submit(decoder.open).result(DEADLINE_S)
    block = thread.submit(read, decoder, 8000).result(DEADLINE_S)
    assert np.array_equal(block, whole[:8000])
    assert decoder.info.frames is None
    assert decoder.length_s == pytest.approx(60.0, rel=0.3)
    assert decoder.arrived_s is not None
    assert 1.0 < decoder.arrived_s < 6.0
    rest = thread.submit(read, decoder, len(whole))
    for begin in range(there, len(content), 5000):
        file.write(content[begin : begin + 5000])
    file.finish()
    file.close()
    assert np.array_equal(rest.result(DEADLINE_S), whole[8000:])
    assert decoder.info.frames == len(whole)
    assert decoder.length_s == decoder.arrived_s == 60.0
    assert not decoder.info.lacks_end
    decoder.close()


@pytest.mark.parametrize("subtype", CODECS)
def test_length_is_reckoned_closer_the_more_has_arrived(tmp_path: Path, subtype: str) -> None:
    content, _ = ogg(tmp_path / "a.ogg", subtype)
    file, decoder = arriving(tmp_path, content, len(content) // 10)
    file.write(content[len(content) // 10 : len(content) * 9 // 10])
    assert decoder.length_s == pytest.approx(60.0, rel=0.03)
    assert decoder.arrived_s == pytest.approx(54.0, rel=0.05)
    decoder.close()
    file.close()


@pytest.mark.parametrize("subtype", CODECS)
def test_jumps_go_back_at_once_and_wait_for_what_has_not_arrived(
    tmp_path: Path, subtype: str, thread: ThreadPoolExecutor
) -> None:
    content, whole = ogg(tmp_path / "a.ogg", subtype)
    file, decoder = arriving(tmp_path, content, len(content) // 2)
    for place in (160_000, 80_000, 4):
        decoder.seek(place)
        assert np.abs(read(decoder, 800) - whole[place : place + 800]).max() < 1e-3
    decoder.seek(400_000)
    waiting = thread.submit(decoder.read, 800)
    file.write(content[len(content) // 2 : len(content) * 6 // 10])
    assert not waiting.done()
    file.write(content[len(content) * 6 // 10 : len(content) * 9 // 10])
    assert np.abs(waiting.result(DEADLINE_S) - whole[400_000:400_800]).max() < 1e-3
    decoder.close()
    file.close()


@pytest.mark.parametrize("subtype", CODECS)
def test_waiting_for_a_place_can_be_called_off_and_goes_on(
    tmp_path: Path, subtype: str, thread: ThreadPoolExecutor
) -> None:
    content, whole = ogg(tmp_path / "a.ogg", subtype)
    file, decoder = arriving(tmp_path, content, 60_000)
    decoder.seek(300_000)
    waiting = thread.submit(decoder.read, 800)
    decoder.abort()
    with pytest.raises(ReadingAborted):
        waiting.result(DEADLINE_S)
    decoder.resume()
    decoder.seek(8000)
    assert np.abs(decoder.read(800) - whole[8000:8800]).max() < 1e-3
    decoder.seek(300_000)
    waiting = thread.submit(decoder.read, 800)
    file.fail(DownloadInterrupted("the line broke"))
    with pytest.raises(DownloadInterrupted, match="the line broke"):
        waiting.result(DEADLINE_S)
    decoder.close()
    file.close()


@pytest.mark.parametrize("subtype", CODECS)
def test_a_file_of_which_nobody_knows_the_size_has_no_length_until_its_end(
    tmp_path: Path, subtype: str
) -> None:
    content, whole = ogg(tmp_path / "a.ogg", subtype)
    file = GrowingFile(tmp_path / "a.part")
    file.write(content)
    decoder = Decoder(file)
    assert decoder.open().frames is None
    assert decoder.length_s is None
    assert decoder.arrived_s == 60.0
    file.finish()
    file.close()
    assert decoder.length_s == 60.0
    assert len(read(decoder, len(whole) + 1)) == len(whole)
    decoder.close()


@pytest.mark.parametrize("subtype", CODECS)
def test_overview_is_that_of_the_whole_file(tmp_path: Path, subtype: str, thread: ThreadPoolExecutor) -> None:
    content, whole = ogg(tmp_path / "a.ogg", subtype, 20.0)
    file = GrowingFile(tmp_path / "a.part", len(content))
    shown: list[Waveform] = []
    reader = PeakReader(file, shown.append)
    reading = thread.submit(reader.run)
    for begin in range(0, len(content), 5000):
        file.write(content[begin : begin + 5000])
    file.finish()
    file.close()
    reading.result(DEADLINE_S)
    assert shown[-1].length_s == shown[-1].known_s == pytest.approx(20.0)
    highest = [max(channel) for channel in shown[-1].channels]
    assert highest == pytest.approx(np.abs(whole).max(axis=0) * 255, abs=2)


@pytest.mark.parametrize("subtype", CODECS)
def test_a_file_that_was_cut_anywhere_lacks_its_end_and_a_whole_one_does_not(
    tmp_path: Path, subtype: str
) -> None:
    content, whole = ogg(tmp_path / "a.ogg", subtype, 20.0)
    pages = list(pages_of(content))
    # Also right between two pages.
    cuts = [pages[-2].begin, pages[-1].begin, pages[-1].begin + 10, pages[-1].body - 1, len(content) - 1]
    cuts += [int(len(content) * share) for share in (0.4, 0.5, 0.9)]
    for cut in cuts:
        (tmp_path / "cut").write_bytes(content[:cut])
        decoder = whole_file(tmp_path / "cut")
        info = decoder.open()
        assert info.lacks_end, cut
        there = read(decoder, len(whole))
        assert np.array_equal(there, whole[: len(there)])
        assert info.frames == pytest.approx(len(there), abs=400)
        assert decoder.length_s == len(there) / 8000
        decoder.close()


def moved(content: bytes, by: int) -> bytes:
    """Return a file as a recorder makes it that joins a stream: its count begins later."""
    pages = []
    for page in pages_of(content):
        data = bytearray(content[page.begin : page.end])
        if page.granule > 0:
            struct.pack_into("<q", data, 6, page.granule + by)
            data[22:26] = bytes(4)
            data[22:26] = struct.pack("<I", checksum(data))
        pages.append(bytes(data))
    return b"".join(pages)


def _table() -> list[int]:
    rests = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = ((value << 1) & 0xFFFFFFFF) ^ (0x04C11DB7 if value & 0x80000000 else 0)
        rests.append(value)
    return rests


CRC_TABLE = _table()


def checksum(data: bytes | bytearray) -> int:
    """Reckoned by a table, unlike the program's own."""
    value = 0
    for byte in data:
        value = ((value << 8) & 0xFFFFFFFF) ^ CRC_TABLE[(value >> 24) ^ byte]
    return value


@pytest.mark.parametrize("subtype", CODECS)
def test_a_count_that_does_not_begin_with_0_is_no_place(tmp_path: Path, subtype: str) -> None:
    content, _ = ogg(tmp_path / "a.ogg", subtype, 20.0)
    (tmp_path / "b.ogg").write_bytes(moved(content, 4_800_000))
    whole, _ = soundfile.read(tmp_path / "b.ogg", dtype="float32", always_2d=True)
    decoder = whole_file(tmp_path / "b.ogg")
    assert decoder.open().frames == len(whole)
    assert np.array_equal(read(decoder, len(whole) + 1), whole)
    for place in (100_000, 30_000):
        decoder.seek(place)
        assert np.abs(read(decoder, 800) - whole[place : place + 800]).max() < 1e-3
    decoder.close()


def test_checksum_is_that_of_the_pages_of_others(tmp_path: Path) -> None:
    content, _ = ogg(tmp_path / "a.ogg", "VORBIS", 1.0)
    for page in pages_of(content):
        data = bytearray(content[page.begin : page.end])
        told = bytes(data[22:26])
        data[22:26] = bytes(4)
        assert struct.pack("<I", checksum(data)) == told
    made = bytearray(last_page(5, 123))
    told, made[22:26] = bytes(made[22:26]), bytes(4)
    assert struct.pack("<I", checksum(made)) == told
    assert list(pages_of(last_page(5, 123))) == [Page(0, 28, 28, 4, 123, 5, 1)]


def test_pages_are_found_behind_what_is_none(tmp_path: Path) -> None:
    content, _ = ogg(tmp_path / "a.ogg", "OPUS", 3.0)
    pages = list(pages_of(content))
    broken = b"xOggS\x07" + bytes(40) + content[pages[1].begin :]
    assert [page.granule for page in pages_of(broken)] == [page.granule for page in pages[1:]]


@pytest.mark.parametrize("subtype", CODECS)
def test_a_damaged_page_costs_itself(tmp_path: Path, subtype: str) -> None:
    content, whole = ogg(tmp_path / "a.ogg", subtype, 20.0)
    page = list(pages_of(content))[8]
    damaged = bytearray(content)
    damaged[page.body + 20] ^= 0xFF
    (tmp_path / "b.ogg").write_bytes(damaged)
    decoder = whole_file(tmp_path / "b.ogg")
    info = decoder.open()
    assert info.frames == len(whole)
    there = read(decoder, len(whole))
    assert len(whole) * 0.8 < len(there) <= len(whole)
    decoder.seek(120_000)
    assert len(read(decoder, 800)) == 800
    decoder.close()


def test_streams_beside_each_other_are_left_to_the_library(tmp_path: Path) -> None:
    content, _ = ogg(tmp_path / "a.ogg", "VORBIS", 1.0)
    first = next(pages_of(content))
    (tmp_path / "b.ogg").write_bytes(content[: first.end] + content)
    file = GrowingFile.whole(tmp_path / "b.ogg")
    assert OggSound.find(file, lambda: False) is None
    file.close()


@pytest.mark.parametrize("size", [4, 27, 60, 300])
def test_what_ends_in_its_head_is_refused(tmp_path: Path, size: int) -> None:
    content, _ = ogg(tmp_path / "a.ogg", "VORBIS", 1.0)
    (tmp_path / "b.ogg").write_bytes(content[:size])
    decoder = whole_file(tmp_path / "b.ogg")
    with pytest.raises(UnsupportedAudio):
        decoder.open()
    decoder.close()


def spoilt(content: bytes, chance: random.Random) -> bytes:
    """Return a file whose pages lie, come twice or hold noise, and still have right checksums."""
    pages = [bytearray(content[page.begin : page.end]) for page in pages_of(content)]
    for _ in range(chance.randint(1, 3)):
        number = chance.randrange(len(pages))
        page = bytearray(pages[number])
        match chance.randrange(6):
            case 0:
                place = chance.choice([0, -1, -5, 1, 1 << 40, 1 << 62, -(1 << 62), chance.randrange(1 << 20)])
                struct.pack_into("<q", page, 6, place)
            case 1:
                page[5] = chance.randrange(8)
            case 2:
                page[chance.randrange(27, len(page))] ^= 1 << chance.randrange(8)
            case 3:
                page[27 + page[26] :] = chance.randbytes(len(page) - 27 - page[26])
            case 4:
                pages.insert(number, pages[chance.randrange(len(pages))])
                continue
            case _:
                struct.pack_into("<I", page, 14, chance.randrange(1 << 32))
        page[22:26] = bytes(4)
        page[22:26] = struct.pack("<I", checksum(page))
        pages[number] = page
    spoilt = b"".join(pages)
    return spoilt[: chance.randrange(len(spoilt))] if chance.random() < 0.2 else spoilt


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("subtype", CODECS)
def test_lying_pages_end_nothing_and_play_what_can_be_played(tmp_path: Path, subtype: str, seed: int) -> None:
    chance = random.Random(seed)
    contents = [ogg(tmp_path / "a.ogg", subtype, seconds, channels=1)[0] for seconds in (0.4, 3.0, 12.0)]
    played = 0
    for _ in range(25):
        (tmp_path / "b.ogg").write_bytes(spoilt(chance.choice(contents), chance))
        decoder = whole_file(tmp_path / "b.ogg")
        try:
            decoder.open()
            played += len(read(decoder, 1_000_000)) > 0
            for _ in range(3):
                decoder.seek(chance.randrange(120_000))
                decoder.read(500)
            assert (decoder.length_s or 0.0) >= 0.0
        except UnsupportedAudio:
            pass
        finally:
            decoder.close()
    assert played > 5
