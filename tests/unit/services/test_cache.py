from __future__ import annotations

import struct
from pathlib import Path

import pytest

from recmon.domain.calls import RecordingRef, ServerId
from recmon.errors import DownloadInterrupted, RecordingDamaged
from recmon.net.http import BodyStart
from recmon.services.cache import RecordingCache

REF = RecordingRef(ServerId("archive"), "path:Y:/voice/1.wav")
FORM = struct.pack("<HHIIHH", 6, 1, 8000, 8000, 1, 8)
WAV = (
    b"RIFF"
    + struct.pack("<I", 136)
    + b"WAVEfmt "
    + struct.pack("<I", 16)
    + FORM
    + b"data\x64\0\0\0"
    + bytes(100)
)


def test_a_part_that_cannot_be_deleted_hides_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = RecordingCache(tmp_path, reserved_bytes=0)
    cache.prepare()
    part = cache.new_part(REF)
    part.create(BodyStart(".wav", len(WAV), ends_by_close=False))
    view = part.append(WAV[:80])

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "the file is being used by another process", str(path))

    with monkeypatch.context() as windows:
        windows.setattr(Path, "unlink", refuse)
        part.discard(RecordingDamaged("cut off"))
    with pytest.raises(RecordingDamaged):
        view.read_at(80, 1, 1.0)
    with pytest.raises(DownloadInterrupted):
        part.append(WAV[80:])
    assert len(list(tmp_path.glob("*.part"))) == 1
    cache.prepare()
    assert list(tmp_path.iterdir()) == [], "it is deleted at the next start"
