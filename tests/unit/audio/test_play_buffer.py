"""The buffer between decoder and device: exact places, silence when late, smooth beginnings and ends."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from numpy.typing import NDArray

from recmon.audio.buffer import BufferEvent, PlayBuffer
from recmon.audio.plan import Sound
from recmon.audio.ring import CAPACITY

RATE = 8000


def ramp(begin: int, count: int) -> NDArray[np.float32]:
    values = np.arange(begin, begin + count, dtype=np.float32)
    return np.stack((values, values), axis=1)


class Device:
    """Takes blocks out of a buffer and notes what it tells."""

    def __init__(self) -> None:
        self.told: list[BufferEvent] = []
        self.buffer = PlayBuffer(self.told.append)
        self.latency_s = 0.0
        self.given = 0

    def take(self, frames: int) -> NDArray[np.float32]:
        """Return what is heard: silence where the buffer gives nothing."""
        out = np.zeros((frames, 2), np.float32)
        count = self.buffer.take(out, self.given, self.played)
        assert not out[count:].any()
        self.given += frames
        assert self.buffer.take(out[:0], self.given, self.played) == 0
        return out

    @property
    def played(self) -> int:
        return max(0, self.given - round(self.latency_s * RATE))

    def throw_away(self) -> None:
        """Play nothing more of what was given."""
        self.given, self.latency_s = self.played, 0.0
        self.buffer.take_back(self.given)


def playing(count: int, position_s: float = 0.0) -> Device:
    device = Device()
    device.buffer.restart(position_s, RATE)
    device.buffer.put(ramp(0, count))
    device.buffer.release()
    return device


def test_frames_come_out_as_they_went_in() -> None:
    device = playing(4000)
    device.take(100)
    assert np.array_equal(device.take(1000), ramp(100, 1000))
    assert np.array_equal(device.take(500), ramp(1100, 500))


def test_first_frames_rise_smoothly() -> None:
    device = playing(4000)
    device.buffer.put(np.ones((100, 2), np.float32))
    first = device.take(100)
    assert first[0, 0] == 0.0
    assert np.array_equal(first[40:], ramp(40, 60))


def test_frames_survive_the_end_of_the_ring() -> None:
    device = playing(0)
    place = 0
    for block in range(CAPACITY // 20000 + 3):
        device.buffer.put(ramp(block * 20000, 20000))
        out = device.take(20000)
        assert np.array_equal(out[100:], ramp(place, 20000)[100:])
        place += 20000


def test_held_sound_is_silent_and_loses_nothing() -> None:
    device = playing(4000)
    device.take(100)
    device.buffer.hold()
    fading = device.take(100)
    assert fading[40:].max() == 0.0
    assert device.take(100).max() == 0.0
    assert not device.buffer.is_active
    device.buffer.release()
    following = device.take(100)
    assert np.array_equal(following[40:], ramp(140 + 40, 60))


def test_what_the_device_threw_away_at_a_pause_comes_again() -> None:
    device = playing(4000)
    device.latency_s = 600 / RATE
    device.take(1000)
    device.buffer.hold()
    assert device.buffer.is_overtaken
    device.throw_away()
    assert not device.buffer.is_overtaken
    assert device.take(100).max() == 0.0
    assert device.buffer.position_s == 400 / RATE
    assert device.buffer.heard() == [(0.0, 400 / RATE)]
    device.buffer.release()
    device.take(100)
    assert np.array_equal(device.take(200), ramp(500, 200))


def test_what_the_device_threw_away_at_a_jump_is_never_heard() -> None:
    device = playing(4000)
    device.latency_s = 600 / RATE
    device.take(1000)
    device.buffer.restart(60.0, RATE)
    device.buffer.put(ramp(10_000, 2000))
    device.throw_away()
    assert device.take(100)[-1, 0] == 10_099.0
    assert device.buffer.position_s == 60.0 + 100 / RATE
    assert device.buffer.heard() == [(0.0, 400 / RATE), (60.0, 60.0 + 100 / RATE)]


def test_sound_at_another_speed_goes_on_where_it_was_taken_back() -> None:
    device = playing(16_000)
    device.buffer.set_sound(Sound(speed=2.0))
    device.latency_s = 1000 / RATE
    device.take(2000)
    device.buffer.hold()
    device.throw_away()
    at_s = device.buffer.position_s
    assert 1800 / RATE < at_s < 2200 / RATE
    device.buffer.release()
    device.take(500)
    assert device.buffer.position_s - at_s == pytest.approx(1000 / RATE, abs=0.01)


def test_jump_discards_what_waits_and_belongs_to_the_new_place() -> None:
    device = playing(4000)
    device.take(1000)
    device.buffer.restart(60.0, RATE)
    assert device.buffer.position_s == 60.0
    device.buffer.put(ramp(480_000, 4000))
    out = device.take(200)
    assert np.array_equal(out[80:], ramp(480_040, 120))
    assert device.buffer.position_s == 60.0 + 160 / RATE


def test_position_is_that_of_the_ear_not_of_the_device() -> None:
    device = playing(4000, position_s=1.0)
    device.latency_s = 0.05
    device.take(100)
    assert device.buffer.position_s == 1.0
    device.take(1900)
    assert device.buffer.position_s == 1.0 + 1600 / RATE
    device.buffer.hold()
    device.take(1000)
    assert device.buffer.position_s == 1.0 + 2040 / RATE


def test_late_frames_are_silence_and_counted_once() -> None:
    device = playing(100)
    assert device.take(200)[100:].max() == 0.0
    assert not device.buffer.is_starving
    assert device.take(200).max() == 0.0
    assert device.buffer.is_starving
    assert device.buffer.starvations == 1
    device.buffer.put(ramp(100, 100))
    assert device.take(200).max() == 0.0
    device.buffer.put(ramp(200, 3000))
    assert device.take(200).max() > 0.0
    assert not device.buffer.is_starving
    assert device.buffer.starvations == 1


def test_end_is_told_once_when_the_last_frame_was_heard() -> None:
    device = playing(100)
    device.buffer.end()
    device.latency_s = 0.05
    device.take(200)
    device.take(200)
    assert device.told == []
    device.take(200)
    device.take(200)
    assert device.told == [BufferEvent.DRAINED]
    assert not device.buffer.is_active
    assert device.buffer.position_s == 100 / RATE


def test_room_is_told_when_half_was_played() -> None:
    device = playing(0)
    device.buffer.put(ramp(0, device.buffer.missing()))
    assert device.buffer.missing() == 0
    device.buffer.ask_for_room()
    device.take(15_000)
    assert device.told == []
    device.take(2_000)
    device.take(2_000)
    assert device.told == [BufferEvent.ROOM]


def test_volume_is_reached_without_a_step() -> None:
    device = playing(0)
    device.buffer.put(np.ones((4000, 2), np.float32))
    device.take(100)
    device.buffer.set_sound(Sound(volume=0.25))
    out = device.take(200)[:, 0]
    assert np.abs(np.diff(out)).max() < 0.05
    assert np.allclose(out[40:], 0.25)
    assert np.allclose(device.take(100), 0.25)


def test_time_of_the_first_frame_is_kept() -> None:
    device = playing(4000)
    assert device.buffer.started_at is None
    device.take(10)
    started_at = device.buffer.started_at
    assert started_at is not None
    device.take(10)
    assert device.buffer.started_at == started_at
    begun = threading.Event()
    device.buffer.forget_start(begun)
    assert device.buffer.started_at is None
    assert not begun.is_set()
    device.take(10)
    assert begun.is_set()
