from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from recmon.audio.stream import GrowingFile
from recmon.errors import RecordingAltered, SecretMissing
from recmon.store.sealed import BLOCK, SealKey

KEY = SealKey(bytes(range(32)))
SIZES = (0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 3 * BLOCK + 4711)


def grown(path: Path, data: bytes, piece: int = 50_000) -> GrowingFile:
    file = GrowingFile(path, len(data), opener=KEY.open)
    for start in range(0, len(data), piece):
        file.write(data[start : start + piece])
    return file


def sealed(path: Path, data: bytes) -> None:
    file = grown(path, data)
    file.flush()
    file.finish()
    file.close()


def read_whole(path: Path, key: SealKey = KEY) -> bytes:
    file = GrowingFile.whole(path, key.open)
    view = file.view()
    file.close()
    try:
        data = view.read()
        if view.error is not None:
            raise view.error
        return data
    finally:
        view.close()


@pytest.mark.parametrize("size", SIZES)
def test_what_was_sealed_is_read_back(tmp_path, size):
    data = random.Random(size).randbytes(size)
    sealed(tmp_path / "a", data)
    assert read_whole(tmp_path / "a") == data
    stored = (tmp_path / "a").read_bytes()
    assert data[:32] not in stored or size < 32
    assert len(stored) - size <= 36 + 28 * (size // BLOCK + 1)


def test_any_place_is_read_while_the_file_grows_and_after_it_moved(tmp_path):
    data = random.Random(1).randbytes(5 * BLOCK + 99)
    file = grown(tmp_path / "part", data[: 2 * BLOCK + 10])
    chance = random.Random(2)
    view = file.view()
    for _ in range(50):
        place = chance.randrange(2 * BLOCK)
        view.seek(place)
        assert view.read(10) == data[place : place + 10]
    file.flush()
    file.write(data[2 * BLOCK + 10 :])
    file.flush()
    file.finish()
    file.move_to(tmp_path / "kept")
    for _ in range(50):
        place = chance.randrange(len(data))
        view.seek(place)
        assert view.read(70_000) == data[place : place + 70_000]
    view.close()
    file.close()
    assert read_whole(tmp_path / "kept") == data


def test_every_flipped_bit_is_noticed(tmp_path):
    path = tmp_path / "a"
    sealed(path, random.Random(3).randbytes(2 * BLOCK + 100))
    whole = path.read_bytes()
    chance = random.Random(4)
    places = [*range(36), *(chance.randrange(len(whole)) for _ in range(200))]
    noticed = 0
    for place in places:
        changed = bytearray(whole)
        changed[place] ^= 1 << chance.randrange(8)
        path.write_bytes(changed)
        try:
            read_whole(path)
        except (RecordingAltered, SecretMissing):
            noticed += 1
    # Three bytes of the head are padding that nothing reads.
    assert noticed == len(places) - 3


@pytest.mark.parametrize("cut", [1, 28, 100, BLOCK + 28])
def test_a_cut_at_the_end_is_noticed_also_between_blocks(tmp_path, cut):
    path = tmp_path / "a"
    sealed(path, bytes(3 * BLOCK))
    os.truncate(path, path.stat().st_size - cut)
    with pytest.raises(RecordingAltered):
        read_whole(path)


def test_blocks_of_another_file_or_place_are_refused(tmp_path):
    for name in ("a", "b"):
        sealed(tmp_path / name, bytes(2 * BLOCK))
    a, b = (bytearray((tmp_path / name).read_bytes()) for name in ("a", "b"))
    size = BLOCK + 28
    (tmp_path / "mixed").write_bytes(a[: 36 + size] + b[36 + size :])
    with pytest.raises(RecordingAltered):
        read_whole(tmp_path / "mixed")
    (tmp_path / "swapped").write_bytes(a[:36] + a[36 + size :] + a[36 : 36 + size])
    with pytest.raises(RecordingAltered):
        read_whole(tmp_path / "swapped")


def test_another_key_is_told_apart_from_damage(tmp_path):
    sealed(tmp_path / "a", b"sound")
    with pytest.raises(SecretMissing):
        read_whole(tmp_path / "a", SealKey(bytes(32)))
