"""Decoding: every codec, growing and damaged files, places exact to the frame, and being called off."""

from __future__ import annotations

import struct
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from recmon.audio.decoder import Decoder
from recmon.audio.stream import GrowingFile
from recmon.audio.views import ReadingAborted
from recmon.domain.recordings import BareCodec, BareSound
from recmon.errors import DownloadInterrupted, RecordingDamaged, UnsupportedAudio

DEADLINE_S = 10.0
RATE = 8000


def speech_like(frames: int, channels: int = 2, rate: int = RATE) -> NDArray[np.float32]:
    times = np.arange(frames)[:, None] / rate
    tones = np.stack([np.sin(2 * np.pi * (300 + 170 * n) * times[:, 0]) for n in range(channels)], axis=1)
    return np.asarray(tones * (0.2 + 0.3 * np.sin(5 * times)), np.float32)


def wav(tag: int, bits: int, data: bytes, *, data_size: int | None = None, channels: int = 1) -> bytes:
    """Make a WAV file; `data_size` is what its header says."""
    size = len(data) if data_size is None else data_size
    align = channels * max(1, bits // 8)
    head = struct.pack("<HHIIHH", tag, channels, RATE, RATE * align, align, bits)
    riff = size if size in (0, 0xFFFFFFFF) else 36 + size
    return (
        b"RIFF" + struct.pack("<I", riff) + b"WAVEfmt " + struct.pack("<I", 16) + head
        + b"data" + struct.pack("<I", size) + data
    )  # fmt: skip


def opened(path: Path, content: bytes) -> Decoder:
    path.write_bytes(content)
    file = GrowingFile.whole(path)
    file.close()
    decoder = Decoder(file)
    try:
        decoder.open()
    except Exception:
        decoder.close()
        raise
    return decoder


def read_all(decoder: Decoder, frames: int = 1000) -> NDArray[np.float32]:
    blocks = []
    while len(block := decoder.read(frames)):
        blocks.append(block)
    return np.concatenate(blocks)


@pytest.mark.parametrize(
    ("form", "subtype", "codec"),
    [
        ("WAV", "PCM_U8", "PCM"),
        ("WAV", "PCM_16", "PCM"),
        ("WAV", "PCM_24", "PCM"),
        ("WAV", "PCM_32", "PCM"),
        ("WAV", "FLOAT", "PCM (float)"),
        ("WAV", "DOUBLE", "PCM (float)"),
        ("WAV", "ALAW", "A-law"),
        ("WAV", "ULAW", "µ-law"),
        ("WAVEX", "PCM_16", "PCM"),
        ("RF64", "PCM_16", "PCM"),
        ("FLAC", "PCM_16", "FLAC"),
        ("OGG", "VORBIS", "Vorbis"),
        ("OGG", "OPUS", "Opus"),
        ("MP3", "MPEG_LAYER_III", "MP3"),
        ("WAV", "GSM610", "GSM 6.10"),
        ("WAV", "IMA_ADPCM", "IMA ADPCM"),
        ("WAV", "MS_ADPCM", "MS ADPCM"),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_every_codec_comes_back_as_it_was(
    tmp_path: Path, form: str, subtype: str, codec: str, channels: int
) -> None:
    if (subtype, channels) == ("GSM610", 2):
        channels = 1
    sent = speech_like(RATE, channels)
    soundfile.write(tmp_path / "made", sent, RATE, subtype=subtype, format=form)
    decoder = opened(tmp_path / "file", (tmp_path / "made").read_bytes())
    assert (decoder.info.codec, decoder.info.sample_rate, decoder.info.channels) == (codec, RATE, channels)
    received = read_all(decoder)
    decoder.close()
    assert decoder.info.frames is not None
    assert abs(decoder.info.frames - RATE) < 2000
    common = min(len(sent), len(received))
    expected, _ = soundfile.read(tmp_path / "made", dtype="float32", always_2d=True)
    assert np.allclose(received[:common], expected[:common], rtol=0, atol=1e-6)
    assert common >= RATE - 320


def test_places_are_exact_to_the_frame(tmp_path: Path) -> None:
    sent = speech_like(RATE * 3)
    soundfile.write(tmp_path / "made.wav", sent, RATE, subtype="PCM_16")
    decoder = opened(tmp_path / "file.wav", (tmp_path / "made.wav").read_bytes())
    everything = read_all(decoder)
    for frame in (0, 1, 7999, 12345, 23999, 5):
        decoder.seek(frame)
        assert decoder.position == frame
        assert np.array_equal(decoder.read(160), everything[frame : frame + 160])
    decoder.seek(RATE * 10)
    assert len(decoder.read(10)) == 0
    decoder.close()


def test_sound_begins_while_the_file_still_arrives(tmp_path: Path) -> None:
    content = wav(6, 8, bytes(range(256)) * 100)
    file = GrowingFile(tmp_path / "a.part", len(content))
    decoder = Decoder(file)
    file.write(content[:30])
    with ThreadPoolExecutor(1) as pool:
        opening = pool.submit(decoder.open)
        file.write(content[30:45])
        assert opening.result(DEADLINE_S).frames == 25600
        assert decoder.length_s == 3.2
        reading = pool.submit(decoder.read, 160)
        file.write(content[45 : 44 + 160])
        assert len(reading.result(DEADLINE_S)) == 160
        assert decoder.arrived_s == 0.02
        file.write(content[44 + 160 :])
        file.finish()
        assert len(pool.submit(read_all, decoder).result(DEADLINE_S)) == 25600 - 160
    decoder.close()
    file.close()


@pytest.mark.parametrize("told", [0, 0xFFFFFFFF])
def test_file_whose_header_leaves_the_size_open_plays(tmp_path: Path, told: int) -> None:
    decoder = opened(tmp_path / "a.wav", wav(1, 16, bytes(16000), data_size=told))
    assert decoder.info.frames == 8000
    assert len(read_all(decoder)) == 8000
    decoder.close()


@pytest.mark.parametrize("told", [0, 0xFFFFFFFF])
def test_growing_file_without_any_size_plays_to_its_end(tmp_path: Path, told: int) -> None:
    file = GrowingFile(tmp_path / "a.part")
    content = wav(6, 8, b"\x55" * 8000, data_size=told)
    decoder = Decoder(file)
    file.write(content[:4044])
    assert decoder.open().frames is None
    assert decoder.length_s is None
    assert len(decoder.read(4000)) == 4000
    file.write(content[4044:])
    file.finish()
    assert len(read_all(decoder)) == 4000
    assert decoder.length_s == 1.0
    decoder.close()
    file.close()


def test_cut_file_plays_what_is_there_and_tells_both_lengths(tmp_path: Path) -> None:
    decoder = opened(tmp_path / "a.wav", wav(1, 16, bytes(8000), data_size=16000))
    assert decoder.info.length_s == 1.0
    assert decoder.length_s == 0.5
    assert len(read_all(decoder)) == 4000
    decoder.close()


def test_no_cut_of_a_file_does_harm(tmp_path: Path) -> None:
    content = wav(6, 8, bytes(range(256)))
    for size in range(len(content)):
        if size <= 44:
            with pytest.raises(UnsupportedAudio):
                opened(tmp_path / "a.wav", content[:size])
        else:
            decoder = opened(tmp_path / "a.wav", content[:size])
            assert len(read_all(decoder)) == size - 44
            decoder.close()


def test_header_without_sound_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedAudio, match="no sound behind its header"):
        opened(tmp_path / "a.wav", wav(6, 8, b""))


@pytest.mark.parametrize(
    ("tag", "name"), [(0x83, "G.729"), (0x65, "G.722"), (0x55, "MP3"), (0x42, "G.723.1"), (0x1234, "0x1234")]
)
def test_codec_that_cannot_be_played_is_named(tmp_path: Path, tag: int, name: str) -> None:
    with pytest.raises(UnsupportedAudio, match=name.replace(".", r"\.")):
        opened(tmp_path / "a.wav", wav(tag, 0, bytes(4000)))


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b'{"error": 1}', "JSON"),
        (b"<html></html>", "HTML"),
        (b"PK\x03\x04" + bytes(40), "ZIP"),
        (b"", "empty"),
    ],
)
def test_file_that_is_no_sound_is_named(tmp_path: Path, content: bytes, name: str) -> None:
    with pytest.raises(UnsupportedAudio, match=name):
        opened(tmp_path / "a", content)


@pytest.mark.parametrize(("rate", "channels"), [(1, 1), (4_000_000_000, 1), (8000, 65000)])
def test_absurd_headers_are_refused(tmp_path: Path, rate: int, channels: int) -> None:
    head = struct.pack("<HHIIHH", 1, channels, rate, 0, 0, 16)
    content = b"RIFF\xff\0\0\0WAVEfmt \x10\0\0\0" + head + b"data\xff\0\0\0" + bytes(1000)
    with pytest.raises(UnsupportedAudio, match="cannot be played here"):
        opened(tmp_path / "a.wav", content)


def test_waiting_read_is_called_off_and_goes_on_at_the_same_frame(tmp_path: Path) -> None:
    stored = np.random.default_rng(1).integers(0, 256, 16000, np.uint8).tobytes()
    content = wav(7, 8, stored)
    file = GrowingFile(tmp_path / "a.part", len(content))
    file.write(content[: 44 + 8000])
    decoder = Decoder(file)
    decoder.open()
    received = [decoder.read(7900)]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(decoder.read, 400)
        decoder.abort()
        with suppress(ReadingAborted):
            received.append(waiting.result(DEADLINE_S))
        while len(received[-1]):
            try:
                received.append(pool.submit(decoder.read, 400).result(DEADLINE_S))
            except ReadingAborted:
                break
    decoder.resume()
    file.write(content[44 + 8000 :])
    file.finish()
    received.append(read_all(decoder))
    decoder.close()
    file.close()
    (tmp_path / "whole.wav").write_bytes(content)
    expected, _ = soundfile.read(tmp_path / "whole.wav", dtype="float32", always_2d=True)
    assert np.array_equal(np.concatenate(received), expected)


def test_waiting_open_is_called_off_and_can_be_repeated(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path / "a.part")
    decoder = Decoder(file)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(decoder.open)
        decoder.abort()
        with pytest.raises(ReadingAborted):
            waiting.result(DEADLINE_S)
        decoder.resume()
        file.write(wav(6, 8, bytes(100)))
        assert pool.submit(decoder.open).result(DEADLINE_S).frames == 100
    decoder.close()
    file.close()


def test_broken_off_transfer_is_told_behind_the_last_frame(tmp_path: Path) -> None:
    content = wav(6, 8, bytes(1000))
    file = GrowingFile(tmp_path / "a.part", len(content))
    file.write(content[:544])
    decoder = Decoder(file)
    decoder.open()
    file.fail(DownloadInterrupted("broke off"))
    received = decoder.read(1000)
    assert len(received) == 500
    with pytest.raises(DownloadInterrupted):
        decoder.read(1000)
    decoder.close()
    file.close()


def test_failure_before_the_header_is_passed_on(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path / "a.part")
    file.fail(RecordingDamaged("nothing"))
    decoder = Decoder(file)
    with pytest.raises(RecordingDamaged):
        decoder.open()
    decoder.close()
    file.close()


def test_decoder_lets_go_of_its_file(tmp_path: Path) -> None:
    decoder = opened(tmp_path / "a.wav", wav(6, 8, bytes(1000)))
    decoder.read(10)
    decoder.close()
    decoder.close()
    assert decoder._file._handle is None


def test_mp3_that_grows_without_an_end_is_decoded_as_it_comes(tmp_path: Path) -> None:
    times = np.arange(2 * RATE) / RATE
    path = tmp_path / "whole.mp3"
    soundfile.write(path, 0.4 * np.sin(2 * np.pi * 300 * times), RATE, format="MP3")
    data = path.read_bytes()
    expected, _ = soundfile.read(path, dtype="float32", always_2d=True)
    file = GrowingFile(tmp_path / "live", is_endless=True)
    half = len(data) // 2
    file.write(data[:half])
    decoder = Decoder(file)
    assert decoder.open().length_s is None
    assert decoder.arrived_s is None
    # Nothing waits for the other half, or for an end that never comes.
    early = decoder.read(RATE // 2)
    assert len(early) == RATE // 2
    # It ends in the middle of a frame.
    file.write(data[half:-50])
    file.finish()
    parts = [early]
    while len(block := decoder.read(1000)):
        parts.append(block)
    decoder.close()
    file.close()
    sound = np.concatenate(parts)
    shared = min(len(sound), len(expected))
    assert shared > 1.8 * RATE
    # The encoder's own delay is left out of whole files only.
    best = max(
        float(np.corrcoef(sound[shift : shift + RATE, 0], expected[:RATE, 0])[0, 1]) for shift in range(1200)
    )
    assert best > 0.99


@pytest.mark.parametrize("subtype", ["GSM610", "IMA_ADPCM", "MS_ADPCM"])
def test_compressed_telephone_sound_is_found_to_the_frame(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, speech_like(40_000, channels=1), RATE, subtype=subtype)
    decoder = opened(path, path.read_bytes())
    whole = read_all(decoder)
    for place in (0, 320, 12_345, 30_000, 39_999, 7):
        decoder.seek(place)
        block = decoder.read(400)
        assert len(block) == min(400, len(whole) - place)
        assert np.abs(block - whole[place : place + 400]).max() < 0.05
    decoder.close()


@pytest.mark.parametrize("subtype", ["GSM610", "IMA_ADPCM", "MS_ADPCM"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.98])
def test_cut_compressed_file_tells_what_is_missing(tmp_path: Path, subtype: str, share: float) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, speech_like(80_000, channels=1), RATE, subtype=subtype)
    content = path.read_bytes()
    decoder = opened(tmp_path / "cut.wav", content[: int(len(content) * share)])
    there = len(read_all(decoder)) / RATE
    assert decoder.info.length_s == pytest.approx(10.0, abs=0.3)
    assert decoder.length_s == pytest.approx(there, abs=1e-6)
    assert there == pytest.approx(10.0 * share, abs=0.15)
    decoder.close()


@pytest.mark.parametrize(("form", "subtype"), [("FLAC", "PCM_16"), ("MP3", "MPEG_LAYER_III")])
def test_cut_music_file_plays_to_the_cut_and_tells_both_lengths(
    tmp_path: Path, form: str, subtype: str
) -> None:
    path = tmp_path / "a"
    soundfile.write(path, speech_like(80_000), RATE, format=form, subtype=subtype)
    content = path.read_bytes()
    decoder = opened(tmp_path / "cut", content[: len(content) // 2])
    assert len(read_all(decoder, frames=400)) > 20_000
    assert decoder.length_s is not None
    assert decoder.info.length_s is not None
    assert decoder.length_s < 7.0 < decoder.info.length_s
    decoder.close()


@pytest.mark.parametrize(
    ("form", "subtype"), [("AIFF", "PCM_16"), ("AIFF", "ULAW"), ("AU", "ULAW"), ("AU", "PCM_16")]
)
@pytest.mark.parametrize("share", [0.1, 0.2, 0.5, 0.9, 0.98])
def test_cut_files_of_other_forms_tell_what_is_missing(
    tmp_path: Path, form: str, subtype: str, share: float
) -> None:
    path = tmp_path / "a"
    soundfile.write(path, speech_like(80_000, channels=1), RATE, format=form, subtype=subtype)
    content = path.read_bytes()
    decoder = opened(tmp_path / "cut", content[: int(len(content) * share)])
    there = len(read_all(decoder)) / RATE
    assert decoder.info.length_s == pytest.approx(10.0, abs=0.01)
    assert decoder.length_s == pytest.approx(there, abs=1e-6)
    assert there == pytest.approx(10.0 * share, abs=0.05)
    decoder.close()


def test_au_file_whose_writer_left_its_size_open_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a"
    soundfile.write(path, speech_like(8000, channels=1), RATE, format="AU", subtype="ULAW")
    content = bytearray(path.read_bytes())
    content[8:12] = b"\xff\xff\xff\xff"
    decoder = opened(tmp_path / "open", bytes(content))
    assert len(read_all(decoder)) == 8000
    assert decoder.length_s == decoder.info.length_s == 1.0
    decoder.close()


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_ogg_that_was_cut_anywhere_lacks_its_end_and_a_whole_one_does_not(
    tmp_path: Path, subtype: str
) -> None:
    path = tmp_path / "a"
    soundfile.write(path, speech_like(160_000), RATE, format="OGG", subtype=subtype)
    content = path.read_bytes()
    whole = opened(tmp_path / "whole", content)
    assert not whole.info.lacks_end
    whole.close()
    pages = [place for place in range(len(content)) if content.startswith(b"OggS", place)]
    # Also right between two pages.
    cuts = [pages[-2], pages[-1], pages[-1] + 10, pages[-1] + 27, len(content) - 1]
    cuts += [int(len(content) * share) for share in (0.4, 0.5, 0.9)]
    for cut in cuts:
        decoder = opened(tmp_path / "cut", content[:cut])
        assert decoder.info.lacks_end, cut
        assert len(read_all(decoder)) > 0
        decoder.close()


def test_mp3_inside_wav_plays_under_its_name(tmp_path: Path) -> None:
    made = tmp_path / "a.mp3"
    soundfile.write(made, speech_like(80_000, channels=1), RATE, format="MP3", subtype="MPEG_LAYER_III")
    sound = made.read_bytes()
    form = struct.pack("<HHIIHHHHIHHH", 0x55, 1, RATE, 4000, 1, 0, 12, 1, 2, 576, 1, 1393)
    content = (
        b"RIFF" + struct.pack("<I", 36 + len(sound) + 14) + b"WAVEfmt " + struct.pack("<I", len(form)) + form
        + b"data" + struct.pack("<I", len(sound)) + sound
    )  # fmt: skip
    decoder = opened(tmp_path / "a.wav", content)
    assert decoder.info.codec == "MP3"
    assert len(read_all(decoder)) > 60_000
    decoder.close()


@pytest.mark.parametrize(("codec", "subtype"), [(BareCodec.ALAW, "ALAW"), (BareCodec.MULAW, "ULAW")])
def test_bare_telephone_sound_plays_by_choice_only(tmp_path: Path, codec: BareCodec, subtype: str) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, speech_like(8000, channels=2), RATE, subtype=subtype)
    expected, _ = soundfile.read(path, dtype="float32")
    content = path.read_bytes()
    bare = content[content.index(b"data") + 8 :]
    with pytest.raises(UnsupportedAudio, match="A-law or as µ-law by choice"):
        opened(tmp_path / "bare", bare)
    file = GrowingFile.whole(tmp_path / "bare")
    file.close()
    decoder = Decoder(file, BareSound(codec, channels=2))
    assert decoder.open().codec == codec.value
    assert decoder.length_s == 1.0
    assert np.array_equal(read_all(decoder), expected)
    decoder.close()


def test_long_mp3_begins_while_it_arrives(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    sound = speech_like(RATE * 240)
    soundfile.write(path, sound, RATE, format="MP3", subtype="MPEG_LAYER_III")
    content = path.read_bytes()
    assert len(content) > 200_000
    file = GrowingFile(tmp_path / "a.part", len(content))
    file.write(content[:20_000])
    decoder = Decoder(file)
    with ThreadPoolExecutor(1) as thread:
        begun = thread.submit(lambda: (decoder.open(), decoder.read(400)))
        _, block = begun.result(DEADLINE_S)
    assert len(block) == 400
    file.write(content[20_000:])
    file.finish()
    file.close()
    rest = read_all(decoder)
    assert abs(400 + len(rest) - len(sound)) < 2500
    decoder.close()


@pytest.mark.parametrize(("form", "codec"), [("AIFF", "PCM"), ("AU", "A-law")])
def test_other_containers_tell_their_codec(tmp_path: Path, form: str, codec: str) -> None:
    path = tmp_path / "a"
    soundfile.write(
        path, speech_like(4000), RATE, format=form, subtype="PCM_16" if codec == "PCM" else "ALAW"
    )
    decoder = opened(path, path.read_bytes())
    assert decoder.info.codec == codec
    assert len(read_all(decoder)) == 4000
    decoder.close()
