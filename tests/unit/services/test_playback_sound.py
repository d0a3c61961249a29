"""What the listener chooses while playing (speed, levels, loops, silences, devices), and what was heard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_output import FakeOutput
from numpy.typing import NDArray
from playing import RATE, Listener, noise, place_of, playback, until_true, write

from recmon.audio.stream import GrowingFile
from recmon.domain.calls import RecordingRef, ServerId
from recmon.domain.mixing import Channel, Mix
from recmon.domain.speech import Span, SpeechMap
from recmon.services.playback import HeardSpan, PlaybackState

Run = Callable[..., Any]
BLOCK = 160
FADE = 40


def tone(seconds: float, frequency: float = 440.0, second: float = 523.0) -> NDArray[np.float32]:
    times = np.arange(round(seconds * RATE)) / RATE
    channels = [0.5 * np.sin(2 * np.pi * pitch * times) for pitch in (frequency, second)]
    return np.asarray(np.stack(channels, axis=1), np.float32)


def talk(*parts: tuple[float, float]) -> NDArray[np.float32]:
    """Return sound that lasts so many seconds at such levels, in turn, on both channels."""
    return np.concatenate(
        [noise(seconds, seed=place) * level for place, (seconds, level) in enumerate(parts)]
    )


def pitch_of(sound: NDArray[np.float32]) -> float:
    size = 1 << 18
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), size))
    return float(np.argmax(spectrum)) * RATE / size


def heard_by(listener: Listener) -> list[HeardSpan]:
    spans: list[HeardSpan] = []
    listener.service.heard.subscribe(spans.append)
    return spans


def joined(spans: list[HeardSpan]) -> list[tuple[float, float]]:
    """Return the stretches heard, those that go on from each other as one."""
    found: list[tuple[float, float]] = []
    for span in spans:
        if found and abs(found[-1][1] - span.begin_s) < 1e-6:
            found[-1] = (found[-1][0], span.end_s)
        else:
            found.append((span.begin_s, span.end_s))
    return found


async def known_speech(listener: Listener) -> SpeechMap:
    await until_true(lambda: listener.service.speech is not None and listener.service.speech.is_complete)
    assert listener.service.speech is not None
    return listener.service.speech


@pytest.mark.parametrize("speed", [0.5, 0.75, 1.25, 2.0, 3.0])
def test_other_speed_keeps_the_pitch_and_the_place(run: Run, tmp_path: Path, speed: float) -> None:
    async def scenario() -> None:
        async with playback() as listener:
            listener.service.set_speed(speed)
            await listener.service.play(write(tmp_path / "a.wav", tone(12.0)))
            sound = await listener.pull(3 * RATE)
            assert pitch_of(sound[800:, 0]) == pytest.approx(440.0, rel=0.01)
            assert pitch_of(sound[800:, 1]) == pytest.approx(523.0, rel=0.01)
            await listener.until(lambda status: abs(status.position_s - 3.0 * speed) < 0.03)
            assert listener.service.status.speed == speed

    run(scenario())


def test_speed_changes_without_a_click(run: Run, tmp_path: Path) -> None:
    sound = tone(20.0)
    own_step = np.abs(np.diff(sound, axis=0)).max()

    async def scenario() -> None:
        async with playback() as listener:
            await listener.service.play(write(tmp_path / "a.wav", sound))
            parts = []
            for speed in (1.0, 2.0, 0.5, 1.0, 1.3, 3.0, 1.0):
                listener.service.set_speed(speed)
                parts.append(await listener.pull(RATE))
            received = np.concatenate(parts)[FADE:]
            assert np.abs(np.diff(received, axis=0)).max() <= own_step * 1.02
            # Nor does it fall silent: every piece of 20 ms is as loud as the tone.
            pieces = np.abs(received[: len(received) // BLOCK * BLOCK]).reshape(-1, BLOCK, 2).max(axis=1)
            assert pieces.min() > 0.45

    run(scenario())


def test_normal_speed_after_another_gives_the_file_untouched(run: Run, tmp_path: Path) -> None:
    sound = noise(12.0)

    async def scenario() -> None:
        async with playback() as listener:
            listener.service.set_speed(2.0)
            await listener.service.play(write(tmp_path / "a.wav", sound))
            await listener.pull(RATE)
            listener.service.set_speed(1.0)
            received = await listener.pull(4000)
            assert abs(place_of(received[400:], sound) - (2 * RATE + 400)) < 0.03 * RATE

    run(scenario())


def test_end_is_reached_at_another_speed(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with playback() as listener:
            spans = heard_by(listener)
            listener.service.set_speed(3.0)
            await listener.service.play(write(tmp_path / "a.wav", tone(3.0)))
            await listener.until_all_decoded()
            for _ in range(60):
                listener.output.pull(BLOCK)
            status = await listener.until_state(PlaybackState.ENDED)
            assert status.position_s == 3.0
            assert joined(spans) == [(0.0, pytest.approx(3.0))]

    run(scenario())


def test_muted_side_is_gone_and_the_other_untouched(run: Run, tmp_path: Path) -> None:
    sound = noise(6.0)

    async def scenario() -> None:
        async with playback() as listener:
            await listener.service.play(write(tmp_path / "a.wav", sound))
            await listener.pull(RATE)
            listener.service.set_mix(Mix(first=Channel(pan=-1.0, is_muted=True)))
            received = await listener.pull(RATE)
            assert not received[FADE:, 0].any()
            assert np.array_equal(received[:, 1], sound[RATE : 2 * RATE, 1])
            listener.service.set_mix(Mix(is_swapped=True))
            received = await listener.pull(RATE)
            assert np.array_equal(received[FADE:, ::-1], sound[2 * RATE + FADE : 3 * RATE])

    run(scenario())


def test_levels_change_without_a_click(run: Run, tmp_path: Path) -> None:
    sound = tone(6.0)
    own_step = np.abs(np.diff(sound, axis=0)).max()

    async def scenario() -> None:
        async with playback() as listener:
            await listener.service.play(write(tmp_path / "a.wav", sound))
            parts = []
            for number in range(8):
                is_muted = number % 2 == 1
                listener.service.set_mix(Mix(Channel(-6.0, -1.0, is_muted), Channel(0.0, 1.0, is_muted)))
                parts.append(await listener.pull(1000))
            received = np.concatenate(parts)[FADE:]
            assert np.abs(np.diff(received, axis=0)).max() < own_step + 0.5 / FADE

    run(scenario())


def test_auto_level_evens_both_sides_and_off_leaves_them(run: Run, tmp_path: Path) -> None:
    sound = talk((1.0, 0.0), (3.0, 1.0), (1.0, 0.0), (3.0, 1.0))
    sound[:, 1] *= 0.06
    sound[: 4 * RATE, 1] = 0.0
    sound[4 * RATE :, 0] = 0.0

    def level(block: NDArray[np.float32]) -> float:
        return 10 * float(np.log10(np.mean(np.square(block))))

    async def scenario() -> None:
        async with playback() as listener:
            listener.service.set_auto_level(True)
            await listener.service.play(write(tmp_path / "a.wav", sound))
            await known_speech(listener)
            received = await listener.pull(8 * RATE)
            first, second = received[2 * RATE : 4 * RATE, 0], received[6 * RATE :, 1]
            assert abs(level(first) - level(second)) < 3.0
            assert np.abs(received).max() < 1.0
            listener.service.set_auto_level(False)
            await listener.service.seek(2.0)
            await listener.until_sought()
            received = await listener.pull(RATE)
            assert place_of(received[2 * FADE :], write_read(sound)) >= 2 * RATE

    run(scenario())


def write_read(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what 16 bits keep of it, as libsndfile stores and reads it."""
    return np.asarray(np.floor(sound * 32768 + 0.5) / 32768, np.float32)


def test_loop_comes_again_without_a_gap(run: Run, tmp_path: Path) -> None:
    sound = noise(8.0)
    begin, end = 2 * RATE, 3 * RATE

    async def scenario() -> None:
        async with playback() as listener:
            spans = heard_by(listener)
            await listener.service.play(write(tmp_path / "a.wav", sound))
            await listener.pull(RATE)
            listener.service.set_loop(2.0, 3.0)
            assert listener.service.status.loop == Span(2.0, 3.0)
            await listener.until_planned(2.0)
            await listener.pull(RATE + RATE // 2)
            received = await listener.pull(3 * RATE)
            fade = 24
            for turn in range(1, 3):
                # What is heard behind each seam is the beginning, at once; only the seam itself is softened.
                seam = turn * RATE - RATE // 2
                assert place_of(received[seam + fade : seam + 1000], sound) == begin + fade
                assert place_of(received[seam - 1000 : seam - fade], sound) == end - 1000
                silent = np.abs(received[seam - 200 : seam + 200]).max(axis=1) < 0.003
                assert silent.sum() < 0.005 * RATE
            listener.service.set_loop(None)
            await listener.pull(4 * RATE)
            listener.service.stop()
            places = joined(spans)
            assert places[0] == (0.0, pytest.approx(3.0))
            assert places[1] == (pytest.approx(2.0), pytest.approx(3.0))
            assert places[-1][1] > 3.5

    run(scenario())


def test_loop_set_behind_what_was_decoded_counts_at_once(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with playback() as listener:
            await listener.service.play(write(tmp_path / "a.wav", noise(20.0)))
            await listener.pull(RATE)
            await listener.until_ahead(2 * RATE)
            listener.service.set_loop(0.5, 2.0)
            await listener.until_planned(0.5)
            await listener.until_ahead(2 * RATE)
            await listener.pull(2 * RATE)
            # From 1 to 2 s, and from 0.5 to 1.5 s once more.
            await listener.until(lambda status: abs(status.position_s - 1.5) < 0.01)

    run(scenario())


def test_silence_is_left_out_and_can_be_heard(run: Run, tmp_path: Path) -> None:
    sound = talk((2.0, 1.0), (6.0, 0.0), (4.0, 1.0))

    async def scenario() -> None:
        async with playback() as listener:
            spans = heard_by(listener)
            listener.service.set_skip_silence(3.0)
            await listener.service.play(write(tmp_path / "a.wav", sound))
            speech = await known_speech(listener)
            assert [(span.begin_s, span.end_s) for span in speech.silences] == [
                (pytest.approx(2.0, abs=0.03), pytest.approx(8.0, abs=0.03))
            ]
            (skipped,) = listener.service.status.skipped
            assert skipped.length_s == pytest.approx(5.5, abs=0.06)
            await listener.until_planned(round(skipped.end_s * RATE) / RATE)
            await listener.pull(4 * RATE)
            await listener.until(lambda status: status.position_s > 8.0)
            listener.service.pause()
            await listener.service.hear_skipped()
            await listener.until_sought()
            listener.service.resume()
            await listener.until_released()
            await listener.pull(RATE)
            listener.service.stop()
            places = joined(spans)
            assert places[0] == (0.0, pytest.approx(skipped.begin_s, abs=0.001))
            assert places[1][0] == pytest.approx(skipped.end_s, abs=0.001)
            assert places[-1][0] == pytest.approx(skipped.begin_s, abs=0.001)
            assert sum(end - begin for begin, end in places) == pytest.approx(5.0, abs=0.05)

    run(scenario())


def test_place_chosen_in_a_silence_is_heard(run: Run, tmp_path: Path) -> None:
    sound = talk((2.0, 1.0), (8.0, 0.0), (2.0, 1.0))

    async def scenario() -> None:
        async with playback() as listener:
            listener.service.set_skip_silence(2.0)
            await listener.service.play(write(tmp_path / "a.wav", sound))
            await known_speech(listener)
            await listener.service.seek(5.0)
            await listener.until_sought()
            await listener.pull(RATE)
            await listener.until(lambda status: status.position_s > 5.5)
            assert listener.service.status.position_s < 6.1

    run(scenario())


def test_only_what_left_at_the_device_was_heard(run: Run, tmp_path: Path) -> None:
    output = FakeOutput()
    output.latency_s = 0.1

    async def scenario() -> None:
        async with playback(output) as listener:
            spans = heard_by(listener)
            path = write(tmp_path / "a.wav", noise(20.0))
            await listener.service.play(path)
            await listener.pull(RATE)
            await listener.service.seek(10.0)
            await listener.until_sought()
            await listener.pull(RATE)
            listener.service.pause()
            await listener.pull_silence(RATE)
            listener.service.stop()
            assert {span.source for span in spans} == {path}
            (first, second) = joined(spans)
            assert first == (0.0, pytest.approx(1.0 + FADE / RATE))
            assert second == (10.0, pytest.approx(11.0, abs=0.001))

    run(scenario())


def test_resuming_steps_back(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with playback() as listener:
            listener.service.set_step_back(1.5)
            await listener.service.play(write(tmp_path / "a.wav", noise(10.0)))
            await listener.pull(4 * RATE)
            listener.service.pause()
            listener.service.resume()
            assert listener.service.status.position_s == pytest.approx(2.5, abs=0.01)

    run(scenario())


def test_other_device_goes_on_at_the_same_place(run: Run, tmp_path: Path) -> None:
    sound = noise(10.0)

    async def scenario() -> None:
        async with playback() as listener:
            await listener.service.play(write(tmp_path / "a.wav", sound))
            await listener.pull(2 * RATE)
            opened = listener.output.opened
            listener.service.choose_device("Headphones")
            await until_true(lambda: listener.output.opened > opened and listener.output.is_started)
            received = await listener.pull(1000)
            assert place_of(received[FADE:], sound) == 2 * RATE + FADE
            await listener.until(lambda status: status.device == "Headphones")
            assert listener.service.status.chosen_device == "Headphones"

    run(scenario())


def test_devices_are_told_while_playing(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with playback() as listener:
            assert await listener.service.devices() == ("Speakers", "Headphones")
            await listener.service.play(write(tmp_path / "a.wav", noise(10.0)))
            await listener.pull(RATE)
            opened = listener.output.opened
            assert await listener.service.devices() == ("Speakers", "Headphones")
            await listener.pull(RATE)
            # Nothing is interrupted for it.
            assert listener.output.opened == opened

    run(scenario())


def test_what_was_chosen_stays_for_the_next_recording(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with playback() as listener:
            mix = Mix(second=Channel(pan=1.0, is_solo=True))
            listener.service.set_speed(9.0)
            listener.service.set_mix(mix)
            await listener.service.play(write(tmp_path / "a.wav", noise(4.0)))
            listener.service.set_loop(1.0, 2.0)
            await listener.service.play(write(tmp_path / "b.wav", noise(4.0)))
            status = listener.service.status
            assert (status.speed, status.mix, status.loop) == (3.0, mix, None)

    run(scenario())


def test_peaks_of_a_part_are_finer_than_the_overview(run: Run, tmp_path: Path) -> None:
    sound = talk((1.0, 1.0), (1.0, 0.0), (8.0, 1.0))

    async def scenario() -> None:
        async with playback() as listener:
            assert listener.service.peaks(0.0, 1.0, 10) is None
            await listener.service.play(write(tmp_path / "a.wav", sound))
            await known_speech(listener)
            part = listener.service.peaks(0.9, 2.1, 300)
            assert part is not None
            assert part.bin_s == pytest.approx(0.004)
            assert part.begin_s == pytest.approx(0.9)
            levels = np.frombuffer(part.channels[0], np.uint8)
            assert len(levels) == 300
            assert levels[:24].min() > 50
            assert levels[26:274].max() == 0
            assert levels[276:].min() > 50

    run(scenario())


def test_peaks_of_a_recording_are_kept_and_shown_again(run: Run, tmp_path: Path) -> None:
    kept = tmp_path / "kept.peaks"

    async def scenario() -> None:
        async with playback() as listener:
            listener.downloads.kept_peaks = kept
            overviews = []
            for name in ("a.wav", "b.wav"):
                ref = RecordingRef(ServerId("server"), f"path:{name}")
                path = write(tmp_path / name, noise(4.0) if name == "a.wav" else talk((4.0, 0.0)))
                file = GrowingFile.whole(path)
                file.close()
                listener.downloads.open(ref).file.set_result(file)
                await listener.service.play(ref)
                await known_speech(listener)
                overviews.append(listener.service.waveform)
            # The second has the peaks of the first, because they were found where its own are kept.
            assert overviews[0] is not None
            assert overviews[0] == overviews[1]
            listener.service.stop()

    run(scenario())
    assert kept.stat().st_size > 100
