"""Where and how the samples lie in a file whose head was read: WAV files, and sound without any head."""

from __future__ import annotations

from dataclasses import dataclass

from recmon.audio.views import ENDLESS_SIZE
from recmon.domain.media import WavHead
from recmon.domain.recordings import BareCodec, BareSound
from recmon.errors import UnsupportedAudio

OPEN_END = ENDLESS_SIZE
"""Bytes of sound assumed where nobody tells the end."""

LOWEST_RATE, HIGHEST_RATE = 1_000, 384_000
MOST_CHANNELS = 64


@dataclass(frozen=True, slots=True)
class SampleLayout:
    """Where and how the samples lie in a WAV file that stores each one with the same number of bytes.

    Attributes:
        subtype: the encoding by libsndfile's name.
        is_big_endian: order of the bytes of a sample.
        channels: samples per frame.
        sample_rate: frames per second.
        frame_size: bytes of a frame.
        begin: position of the first frame in the file.
        end: position behind the last frame as far as the header tells it; the file can end before.
    """

    subtype: str
    is_big_endian: bool
    channels: int
    sample_rate: int
    frame_size: int
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Blocks:
    """The blocks of compressed sound that libsndfile plays from the beginning only.

    Attributes:
        begin: position of the first block in the file.
        size: bytes of a block.
        frames: frames in a block.
    """

    begin: int
    size: int
    frames: int


_PCM_BY_WIDTH = {1: "PCM_U8", 2: "PCM_16", 3: "PCM_24", 4: "PCM_32"}
_FLOAT_BY_WIDTH = {4: "FLOAT", 8: "DOUBLE"}
_ALAW, _MULAW, _PCM, _FLOAT, _GSM = 0x0006, 0x0007, 0x0001, 0x0003, 0x0031
_GSM_BLOCK, _GSM_FRAMES = 65, 320


def sample_layout(wav: WavHead) -> SampleLayout | None:
    """Return where the samples of a WAV file lie; None where they are compressed."""
    width = _sample_width(wav)
    subtype = {
        _PCM: _PCM_BY_WIDTH.get(width),
        _FLOAT: _FLOAT_BY_WIDTH.get(width),
        _ALAW: "ALAW",
        _MULAW: "ULAW",
    }.get(wav.format_tag)
    if subtype is None:
        return None
    frame_size = width * wav.channels
    begin = wav.data_offset
    end = OPEN_END if wav.data_size is None else begin + wav.data_size // frame_size * frame_size
    return SampleLayout(
        subtype, wav.container == "RIFX", wav.channels, wav.sample_rate, frame_size, begin, end
    )


def _sample_width(wav: WavHead) -> int:
    if wav.format_tag in (_ALAW, _MULAW):
        return 1
    by_bits = (wav.bits_per_sample + 7) // 8
    by_block, remainder = divmod(wav.block_align, wav.channels)
    # 20 or 24 bits may lie in 4 bytes each, left-aligned; a block smaller than its bits is a lie.
    return by_block if remainder == 0 and by_block > by_bits else by_bits


def bare_layout(form: BareSound) -> SampleLayout:
    """Return where the samples of a file without a head lie: everywhere."""
    subtype = {BareCodec.ALAW: "ALAW", BareCodec.MULAW: "ULAW"}[form.codec]
    return SampleLayout(subtype, False, form.channels, form.sample_rate, form.channels, 0, OPEN_END)


def blocks_of(wav: WavHead) -> Blocks | None:
    """Return the blocks of a WAV file whose codec libsndfile cannot seek in; None for all others."""
    if wav.format_tag != _GSM or wav.channels != 1 or wav.block_align != _GSM_BLOCK:
        return None
    return Blocks(wav.data_offset, _GSM_BLOCK, _GSM_FRAMES)


def check_playable(sample_rate: int, channels: int) -> None:
    """Refuse numbers that no sound has.

    Raises:
        UnsupportedAudio: it cannot be played here.
    """
    if not LOWEST_RATE <= sample_rate <= HIGHEST_RATE:
        raise UnsupportedAudio(f"sound with {sample_rate} samples per second cannot be played here")
    if channels > MOST_CHANNELS:
        raise UnsupportedAudio(f"sound with {channels} channels cannot be played here")
