"""What a recording's bytes are: kind by first bytes, facts of a WAV head, and whether all of it arrived.

Works on bytes alone; a beginning that is too short to tell gives None: ask again with more.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from recmon.errors import RecordingDamaged

SNIFF_SIZE = 12
"""This many bytes tell the kind of every file that does not begin with white space."""

WHITE_SPACE_LIMIT = 4096
"""Text with more white space in front is not looked through any further."""

TEXT_SAMPLE = 512
"""So much of what looks like text must really be text."""

WAV_HEAD_LIMIT = 1 << 20
"""A WAV file whose sound begins later than this is refused: no writer puts a megabyte in front of it."""

SIZE_SLACK = 8
"""The RIFF size may be this much off while all sound is there.

Writers leave out the padding byte after sound of odd length, or count the 8 bytes in front of the size.
"""


class MediaKind(Enum):
    """Kind of a file by its first bytes; a server's content type is not a reliable witness (ccfs.md 3)."""

    WAV = "WAV"
    ZIP = "ZIP"
    MP4 = "MP4"
    OGG = "Ogg"
    MP3 = "MP3"
    FLAC = "FLAC"
    AIFF = "AIFF"
    AU = "AU"
    AMR = "AMR"
    JSON = "JSON"
    MARKUP = "XML or HTML"
    EMPTY = "empty"
    RAW = "unknown"

    @property
    def extension(self) -> str:
        """For a file's name, with the dot; empty where nothing is to be stored."""
        return _EXTENSIONS[self]

    @property
    def is_recording(self) -> bool:
        """Whether a body of this kind can be a recording, and not a reply in words or nothing at all."""
        return self not in (MediaKind.JSON, MediaKind.MARKUP, MediaKind.EMPTY)


_EXTENSIONS = {
    MediaKind.WAV: ".wav",
    MediaKind.ZIP: ".zip",
    MediaKind.MP4: ".mp4",
    MediaKind.OGG: ".ogg",
    MediaKind.MP3: ".mp3",
    MediaKind.FLAC: ".flac",
    MediaKind.AIFF: ".aiff",
    MediaKind.AU: ".au",
    MediaKind.AMR: ".amr",
    MediaKind.JSON: ".json",
    MediaKind.MARKUP: ".html",
    MediaKind.EMPTY: "",
    MediaKind.RAW: ".raw",
}

_SIGNATURES = (
    (b"PK\x03\x04", MediaKind.ZIP),
    (b"PK\x05\x06", MediaKind.ZIP),
    (b"OggS", MediaKind.OGG),
    (b"fLaC", MediaKind.FLAC),
    (b"ID3", MediaKind.MP3),
    (b".snd", MediaKind.AU),
    (b"#!AMR", MediaKind.AMR),
)

_WAV_CONTAINERS = (b"RIFF", b"RIFX", b"RF64")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")


def sniff(head: bytes, *, is_complete: bool = False) -> MediaKind | None:
    """Tell a file's kind from its beginning (ccfs.md 3).

    Args:
        head: the first bytes, as many as there are.
        is_complete: whether they are the whole file.

    Returns:
        The kind, or None where more bytes are needed; never None for a complete file.
    """
    if len(head) < SNIFF_SIZE and not is_complete:
        return None
    if not head:
        return MediaKind.EMPTY
    if head[:4] in _WAV_CONTAINERS and head[8:12] == b"WAVE":
        return MediaKind.WAV
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return MediaKind.AIFF
    if head[4:8] == b"ftyp":
        return MediaKind.MP4
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    if _is_mpeg_frame(head[:4]):
        return MediaKind.MP3
    text = head.removeprefix(_BYTE_ORDER_MARK)[:WHITE_SPACE_LIMIT].lstrip(b" \t\r\n")
    if not text:
        return None if len(head) <= WHITE_SPACE_LIMIT and not is_complete else MediaKind.RAW
    # Raw sound can begin with any byte, but does not stay free of control characters.
    if text.startswith(b"{") and not _CONTROL.search(text, 0, TEXT_SAMPLE):
        return MediaKind.JSON
    if text.startswith(b"<") and not _CONTROL.search(text, 0, TEXT_SAMPLE):
        return MediaKind.MARKUP
    return MediaKind.RAW


def _is_mpeg_frame(head: bytes) -> bool:
    # Sync word, layer III, and no reserved version, bit rate or sample rate: the sync alone would also match
    # the silence of raw mu-law, which is all ones.
    return (
        len(head) == 4
        and head[0] == 0xFF
        and head[1] & 0xE6 == 0xE2
        and head[1] & 0x18 != 0x08
        and head[2] & 0xF0 != 0xF0
        and head[2] & 0x0C != 0x0C
    )


_CODECS = {
    0x0001: "PCM",
    0x0002: "MS ADPCM",
    0x0003: "PCM (float)",
    0x0006: "A-law",
    0x0007: "µ-law",
    0x0010: "OKI ADPCM",
    0x0011: "IMA ADPCM",
    0x0014: "G.723 ADPCM",
    0x0017: "Dialogic ADPCM",
    0x0020: "Yamaha ADPCM",
    0x0022: "TrueSpeech",
    0x0031: "GSM 6.10",
    0x0040: "G.721",
    0x0041: "G.728",
    0x0042: "G.723.1",
    0x0045: "G.726",
    0x0050: "MPEG audio",
    0x0055: "MP3",
    0x0064: "G.726",
    0x0065: "G.722",
    0x0083: "G.729",
    0x00FF: "AAC",
    0x028F: "G.722",
    0x1610: "AAC",
    0x704F: "Opus",
    0xA109: "Speex",
}

_EXTENSIBLE = 0xFFFE
_SUB_FORMAT_TAIL = bytes.fromhex("000000001000800000aa00389b71")
"""The last 14 bytes of every sub format that is a plain format tag, in little-endian files."""


def codec_name(format_tag: int) -> str:
    """Return the name for people of a WAV format tag."""
    return _CODECS.get(format_tag, f"format 0x{format_tag:04X}")


@dataclass(frozen=True, slots=True)
class WavHead:
    """What the beginning of a WAV file says.

    Attributes:
        container: `RIFF`, `RIFX` (big-endian) or `RF64` (64-bit sizes).
        format_tag: codec number; of extensible formats that of the sub format.
        channels: at least 1.
        sample_rate: samples per second and channel, at least 1.
        bits_per_sample: 0 where the codec has no fixed number.
        block_align: bytes of one frame, or of one block of a compressed codec.
        byte_rate: bytes per second, as the header says; 0 where it says nothing.
        data_offset: position of the first byte of sound in the file.
        data_size: bytes of sound; None where a streaming writer left it open.
        file_size: bytes of the whole file by its own account; None where a streaming writer left it open.
    """

    container: Literal["RIFF", "RIFX", "RF64"]
    format_tag: int
    channels: int
    sample_rate: int
    bits_per_sample: int
    block_align: int
    byte_rate: int
    data_offset: int
    data_size: int | None
    file_size: int | None

    @property
    def codec(self) -> str:
        """Name of the codec for people."""
        return codec_name(self.format_tag)

    @property
    def announced_size(self) -> int | None:
        """Bytes of the whole file by its own account, or None where a streaming writer left that open."""
        sizes = [] if self.data_size is None else [self.data_offset + self.data_size]
        if self.file_size is not None:
            sizes.append(self.file_size)
        return max(sizes) if sizes else None


# Writers that cannot go back to fill in the size: 0 (many recorders), ffmpeg, sox, and two forms of arecord.
_OPEN_SIZES = frozenset({0, 0xFFFFFFFF, 0x7FFFF000, 0x7FFFFFFF, 0x80000000})


def read_wav_head(head: bytes, *, is_complete: bool = False) -> WavHead | None:
    """Read the header chunks of a WAV file up to the beginning of its sound.

    Args:
        head: the first bytes of the file, as many as there are.
        is_complete: whether they are the whole file.

    Returns:
        The facts, or None where more bytes are needed; never None for a complete file.

    Raises:
        RecordingDamaged: it is no WAV file, or its header is unusable.
    """
    reader = _WavReader(head)
    found = reader.read()
    if found is None and (is_complete or reader.is_hopeless):
        raise RecordingDamaged("the WAV file has no sound behind its header")
    return found


class _WavReader:
    """Walks over the chunks of one WAV head."""

    def __init__(self, head: bytes) -> None:
        self.head = head
        self.order = ">" if head[:4] == b"RIFX" else "<"
        self.is_hopeless = False
        self._format: tuple[int, int, int, int, int, int] | None = None
        self._long_sizes: tuple[int, int] | None = None

    def read(self) -> WavHead | None:
        if len(self.head) < SNIFF_SIZE:
            return None
        if sniff(self.head) is not MediaKind.WAV:
            raise RecordingDamaged("this is not a WAV file")
        position = SNIFF_SIZE
        while position + 8 <= len(self.head):
            name = self.head[position : position + 4]
            (size,) = struct.unpack_from(f"{self.order}I", self.head, position + 4)
            position += 8
            if name == b"data":
                return self._facts(position, size)
            if name == b"fmt " and not self._read_format(position, size):
                return None
            if name == b"ds64" and not self._read_long_sizes(position, size):
                return None
            # Chunks begin at even positions; the size does not count the padding byte.
            position += size + size % 2
            if position > WAV_HEAD_LIMIT:
                self.is_hopeless = True
                return None
        return None

    def _read_format(self, position: int, size: int) -> bool:
        if size < 14:
            raise RecordingDamaged("the format in the WAV header is too short")
        wanted = min(size, 40)
        content = self.head[position : position + wanted]
        if len(content) < wanted:
            return False
        tag, channels, rate, byte_rate, align = struct.unpack_from(f"{self.order}HHIIH", content)
        bits = struct.unpack_from(f"{self.order}H", content, 14)[0] if size >= 16 else 0
        if tag == _EXTENSIBLE and len(content) == 40:
            (sub_format,) = struct.unpack_from(f"{self.order}I", content, 24)
            tail = struct.pack("<HH", *struct.unpack_from(f"{self.order}HH", content, 28)) + content[32:40]
            if sub_format <= 0xFFFF and b"\0\0" + tail == _SUB_FORMAT_TAIL:
                tag = sub_format
        if not channels or not rate:
            raise RecordingDamaged("the WAV header tells no channels or no sample rate")
        self._format = (tag, channels, rate, byte_rate, align, bits)
        return True

    def _read_long_sizes(self, position: int, size: int) -> bool:
        if size < 16:
            raise RecordingDamaged("the sizes in the RF64 header are too short")
        if position + 16 > len(self.head):
            return False
        riff_size, data_size = struct.unpack_from("<QQ", self.head, position)
        self._long_sizes = (riff_size, data_size)
        return True

    def _facts(self, data_offset: int, size: int) -> WavHead:
        if self._format is None:
            raise RecordingDamaged("the WAV header does not tell the format of the sound")
        (riff_size,) = struct.unpack_from(f"{self.order}I", self.head, 4)
        if self.head[:4] == b"RF64" and self._long_sizes is not None:
            long_riff, long_data = self._long_sizes
            riff_size = long_riff if riff_size == 0xFFFFFFFF else riff_size
            size = long_data if size == 0xFFFFFFFF else size
        data_size = None if size in _OPEN_SIZES else size
        is_open = data_size is None and size != 0
        file_size = None if riff_size in _OPEN_SIZES or is_open else riff_size + 8
        if data_size is None and file_size is not None and file_size <= data_offset:
            # Written before any sound and never corrected.
            file_size = None
        tag, channels, rate, byte_rate, align, bits = self._format
        return WavHead(
            container=_CONTAINER_NAMES[self.head[:4]],
            format_tag=tag,
            channels=channels,
            sample_rate=rate,
            bits_per_sample=bits,
            block_align=align,
            byte_rate=byte_rate,
            data_offset=data_offset,
            data_size=data_size,
            file_size=file_size,
        )


_CONTAINER_NAMES: dict[bytes, Literal["RIFF", "RIFX", "RF64"]] = {
    b"RIFF": "RIFF",
    b"RIFX": "RIFX",
    b"RF64": "RF64",
}


def check_arrival(head: bytes, size: int, declared: int | None, *, ends_by_close: bool = False) -> None:
    """Judge whether what arrived is a whole recording (ccfs.md 3; the lengths can lie).

    Args:
        head: the first bytes of the file: all of it, or at least up to the beginning of a WAV file's sound.
        size: bytes that arrived.
        declared: bytes that the server announced, or None where it announced none.
        ends_by_close: nothing but the end of the connection marked the end of the file, so that only the
            file's own account can tell a cut.

    Raises:
        RecordingDamaged: it is not; the reason says why.
    """
    if declared is not None and declared != size:
        raise RecordingDamaged(f"the server announced {declared} bytes, and {size} arrived")
    kind = sniff(head, is_complete=len(head) >= size)
    if kind is MediaKind.EMPTY:
        raise RecordingDamaged("the server sent an empty file")
    if kind is MediaKind.JSON:
        raise RecordingDamaged("the server sent a message in JSON instead of a recording")
    if kind is MediaKind.MARKUP:
        raise RecordingDamaged("the server sent a web page instead of a recording")
    announced = _check_wav(head, size) if kind is MediaKind.WAV else None
    if not ends_by_close or declared is not None:
        return
    if announced is None:
        raise RecordingDamaged("neither the server nor the file tells its length, so a cut would not show")
    if abs(announced - size) > SIZE_SLACK:
        raise RecordingDamaged(f"the file announces {announced} bytes, and {size} arrived")


def _check_wav(head: bytes, size: int) -> int | None:
    facts = read_wav_head(head, is_complete=len(head) >= size)
    if facts is None or facts.data_offset >= size:
        raise RecordingDamaged("the WAV file has no sound behind its header")
    announced = facts.announced_size
    sound_arrived = facts.data_size is not None and facts.data_offset + facts.data_size <= size
    slack = SIZE_SLACK if sound_arrived else 0
    if announced is not None and announced > size + slack:
        raise RecordingDamaged(f"the file announces {announced} bytes, and {size} arrived")
    return announced
