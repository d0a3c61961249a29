"""The player's service, with a device that the test pulls blocks out of."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from fake_output import FakeOutput
from playing import (
    DEADLINE_S,
    RATE,
    REF,
    noise,
    place_of,
    playback,
    until_true,
    write,
)

from recmon.audio.player import LATE_LOOK_S
from recmon.audio.stream import GrowingFile
from recmon.errors import (
    AudioError,
    DownloadInterrupted,
    NoOutputDevice,
    OutputFailed,
    RecordingMissing,
    StoreError,
    UnsupportedAudio,
)
from recmon.services.playback import PlaybackState, PlaybackStatus

Run = Callable[..., Any]


def test_file_plays_to_its_end_sample_by_sample(run: Run, tmp_path: Path) -> None:
    sound = noise(1.0)

    async def scenario() -> None:
        async with playback() as listener:
            await listener.service.play(write(tmp_path / "a.wav", sound))
            assert listener.service.status.state is PlaybackState.PLAYING
            received = await listener.pull(RATE)
            await listener.until_all_decoded()
            listener.output.pull(10)
            status = await listener.until_state(PlaybackState.ENDED)
            assert status.position_s == status.length_s == 1.0
            assert np.array_equal(received[100:], sound[100:])
            assert listener.told[0].state is PlaybackState.LOADING
            assert len(listener.started) == 1
            assert 0.0 < listener.started[0] < DEADLINE_S

    run(scenario())


def test_mono_is_heard_on_both_sides(run: Run, tmp_path: Path) -> None:
    sound = noise(0.5, 1)

    async def scenario() -> None:
        async with playback() as listener:
            await listener.service.play(write(tmp_path / "a.wav", sound))
            received = await listener.pull(2000)
            assert np.array_equal(received[100:], sound[100:2000].repeat(2, axis=1))

    run(scenario())


def test_device_with_its_own_rate_gets_the_same_sound(run: Run, tmp_path: Path) -> None:
    times = np.arange(RATE) / RATE
    tone = np.stack([0.5 * np.sin(2 * np.pi * 440 * times)] * 2, axis=1)

    async def scenario() -> None:
        async with playback(FakeOutput(rate=44_100)) as listener:
            await listener.service.play(write(tmp_path / "a.wav", tone))
            received = await listener.pull(44_000)
            expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(44_000) / 44_100)
            assert np.abs(received[500:-500, 1] - expected[500:-500]).max() < 0.01
            await listener.until_all_decoded()
            listener.output.pull(1000)
            assert (await listener.until_state(PlaybackState.ENDED)).position_s == 1.0

    run(scenario())


def test_sound_begins_while_the_file_is_still_arriving(run: Run, tmp_path: Path) -> None:
    sound = noise(4.0)
    content = write(tmp_path / "made.wav", sound).read_bytes()

    async def scenario() -> None:
        async with playback() as listener:
            playing = asyncio.ensure_future(listener.service.play(REF))
            await listener.until_state(PlaybackState.LOADING)
            file = GrowingFile(tmp_path / "a.part", len(content))
            file.write(content[: 44 + 4 * 4000])
            listener.downloads.by_ref[REF].file.set_result(file)
            await playing
            received = await listener.pull(4000)
            assert np.array_equal(received[100:], sound[100:4000])
            status = listener.service.status
            assert (status.length_s, status.arrived_s) == (4.0, 0.5)
            assert listener.output.pull(400).max() == 0.0
            assert (await listener.until(lambda status: status.is_buffering)).position_s == 0.5
            file.write(content[44 + 4 * 4000 :])
            file.finish()
            await listener.until_ahead(4000)
            listener.output.pull(100)
            assert place_of(listener.output.pull(400), sound) == 4100
            assert not (await listener.until(lambda status: not status.is_buffering)).is_buffering
            assert listener.service.status.arrived_s == 4.0
            file.close()

    run(scenario())


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_ogg_plays_before_its_end_is_there_and_tells_its_length_and_its_lack_then(
    run: Run, tmp_path: Path, subtype: str
) -> None:
    with soundfile.SoundFile(tmp_path / "made", "w", RATE, 2, format="OGG", subtype=subtype) as made:
        for _ in range(60):
            made.write(noise(0.5))
    content = (tmp_path / "made").read_bytes()
    # Its last page is missing.
    content = content[: content.rindex(b"OggS")]
    sound, _ = soundfile.read(tmp_path / "made", dtype="float32")

    async def scenario() -> None:
        async with playback() as listener:
            playing = asyncio.ensure_future(listener.service.play(REF))
            await listener.until_state(PlaybackState.LOADING)
            file = GrowingFile(tmp_path / "a.part", len(content))
            file.write(content[: len(content) // 4])
            listener.downloads.by_ref[REF].file.set_result(file)
            await playing
            received = await listener.pull(4000)
            assert np.array_equal(received[100:], sound[100:4000])
            status = listener.service.status
            assert status.info is not None
            assert status.info.length_s is None
            assert status.length_s == pytest.approx(30.0, rel=0.2)
            assert status.arrived_s == pytest.approx(7.5, abs=1.5)
            file.write(content[len(content) // 4 :])
            file.finish()
            status = await listener.until(lambda status: status.info is not None and status.info.lacks_end)
            assert status.length_s == status.arrived_s
            assert status.length_s == pytest.approx(29.0, abs=1.0)
            await listener.service.seek(20.0)
            await listener.until_sought()
            await listener.until_ahead(800)
            listener.output.pull(100)
            faded = 40
            place = 160_100 - faded
            assert np.abs(listener.output.pull(400) - sound[place : place + 400]).max() < 1e-3
            file.close()

    run(scenario())


def test_seek_lands_on_the_exact_frame(run: Run, tmp_path: Path) -> None:
    sound = noise(30.0)

    async def scenario() -> None:
        async with playback() as listener:
            await listener.service.play(write(tmp_path / "a.wav", sound))
            await listener.pull(1000)
            for position_s in (20.0, 3.25, 29.0, 0.0):
                await listener.service.seek(position_s)
                assert listener.service.status.position_s == position_s
                await listener.until_sought()
                await listener.until_ahead(800)
                listener.output.pull(100)
                block = listener.output.pull(400)
                faded = 40
                assert place_of(block, sound) == position_s * RATE + 100 - faded
                assert listener.service._player.position_s == position_s + (500 - faded) / RATE

    run(scenario())


def test_seek_to_what_has_not_arrived_waits_for_it(run: Run, tmp_path: Path) -> None:
    sound = noise(10.0)
    content = write(tmp_path / "made.wav", sound).read_bytes()

    async def scenario() -> None:
        async with playback() as listener:
            file = GrowingFile(tmp_path / "a.part", len(content))
            file.write(content[:20_000])
            download = listener.downloads.open(REF)
            download.file.set_result(file)
            await listener.service.play(REF)
            await listener.pull(400)
            await listener.service.seek(8.0)
            await listener.until_sought()
            listener.output.pull(400)
            assert listener.output.pull(400).max() == 0.0
            assert listener.service.status.state is PlaybackState.PLAYING
            assert (await listener.until(lambda status: status.is_buffering)).position_s == 8.0
            file.write(content[20_000:])
            file.finish()
            await listener.until_ahead(4000)
            listener.output.pull(100)
            assert place_of(listener.output.pull(400), sound) == 64_100
            file.close()

    run(scenario())


def test_pause_is_silent_from_the_next_block_on_and_keeps_the_place(run: Run, tmp_path: Path) -> None:
    sound = noise(5.0)

    async def scenario() -> None:
        async with playback() as listener:
            await listener.service.play(write(tmp_path / "a.wav", sound))
            await listener.pull(1000)
            listener.service.pause()
            assert listener.service.status.state is PlaybackState.PAUSED
            listener.output.pull(100)
            assert listener.output.pull(1000).max() == 0.0
            listener.service.resume()
            assert listener.service.status.state is PlaybackState.PLAYING
            await listener.until_released()
            listener.output.pull(100)
            assert place_of(listener.output.pull(400), sound) == 1000 + 40 + 100

    run(scenario())


def test_seek_during_a_pause_is_heard_after_it(run: Run, tmp_path: Path) -> None:
    sound = noise(5.0)

    async def scenario() -> None:
        async with playback() as listener:
            await listener.service.play(write(tmp_path / "a.wav", sound))
            await listener.pull(1000)
            listener.service.pause()
            await listener.service.seek(3.0)
            assert listener.service.status.position_s == 3.0
            assert listener.service.status.state is PlaybackState.PAUSED
            await listener.until_all_decoded()
            listener.output.pull(1000)
            assert listener.output.pull(1000).max() == 0.0
            listener.service.resume()
            await listener.until_released()
            await listener.until_ahead(1000)
            listener.output.pull(100)
            assert place_of(listener.output.pull(400), sound) == 24_100

    run(scenario())


def test_play_again_after_the_end_begins_at_the_beginning(run: Run, tmp_path: Path) -> None:
    sound = noise(0.5)

    async def scenario() -> None:
        async with playback() as listener:
            await listener.service.play(write(tmp_path / "a.wav", sound))
            await listener.pull(4000)
            await listener.until_all_decoded()
            listener.output.pull(10)
            await listener.until_state(PlaybackState.ENDED)
            listener.service.resume()
            assert listener.service.status.state is PlaybackState.PLAYING
            assert listener.service.status.position_s == 0.0
            await listener.until_released()
            received = await listener.pull(4000)
            assert np.array_equal(received[100:], sound[100:])
            await listener.until_all_decoded()
            listener.output.pull(10)
            await listener.until_state(PlaybackState.ENDED)

    run(scenario())


def test_start_can_be_anywhere(run: Run, tmp_path: Path) -> None:
    sound = noise(5.0)

    async def scenario() -> None:
        async with playback() as listener:
            await listener.service.play(write(tmp_path / "a.wav", sound), start_s=2.5)
            received = await listener.pull(1000)
            assert place_of(received[100:], sound) == 20_100
            await listener.service.play(tmp_path / "a.wav", start_s=99.0)
            await listener.until_all_decoded()
            listener.output.pull(10)
            assert (await listener.until_state(PlaybackState.ENDED)).position_s == 5.0

    run(scenario())


def test_the_thread_that_receives_a_file_hands_it_to_the_player_by_itself(run: Run, tmp_path: Path) -> None:
    sound = noise(1.0)

    async def scenario() -> None:
        async with playback() as listener:
            playing = asyncio.ensure_future(listener.service.play(REF))
            await listener.until_state(PlaybackState.LOADING)
            await listener.service.seek(0.25)
            download = listener.downloads.by_ref[REF]
            file = GrowingFile.whole(write(tmp_path / "a.wav", sound))
            await asyncio.to_thread(download.hurried[0], file)
            assert (await listener.until_state(PlaybackState.PLAYING)).source == REF
            received = await listener.pull(1000)
            assert np.array_equal(received[100:], sound[2100:3000])
            download.file.set_result(file)
            await playing
            assert np.array_equal(await listener.pull(1000), sound[3000:4000])
            file.close()

    run(scenario())


def test_a_file_that_is_handed_over_too_late_is_not_played(run: Run, tmp_path: Path) -> None:
    sound = noise(1.0)

    async def scenario() -> None:
        async with playback() as listener:
            waiting = asyncio.ensure_future(listener.service.play(REF))
            await listener.until_state(PlaybackState.LOADING)
            await listener.service.play(write(tmp_path / "a.wav", sound))
            download = listener.downloads.by_ref[REF]
            file = GrowingFile.whole(write(tmp_path / "b.wav", noise(1.0, seed=2)))
            await asyncio.to_thread(download.hurried[0], file)
            download.file.set_result(file)
            await waiting
            received = await listener.pull(1000)
            assert np.array_equal(received[100:], sound[100:1000])
            assert listener.service.status.source == tmp_path / "a.wav"
            file.close()

    run(scenario())


def test_new_play_takes_the_place_of_a_waiting_one(run: Run, tmp_path: Path) -> None:
    sound = noise(1.0)

    async def scenario() -> None:
        async with playback() as listener:
            waiting = asyncio.ensure_future(listener.service.play(REF))
            await listener.until_state(PlaybackState.LOADING)
            await listener.service.play(write(tmp_path / "a.wav", sound))
            file = GrowingFile(tmp_path / "b.part")
            listener.downloads.by_ref[REF].file.set_result(file)
            await waiting
            assert listener.service.status.source == tmp_path / "a.wav"
            received = await listener.pull(1000)
            assert np.array_equal(received[100:], sound[100:1000])
            file.close()

    run(scenario())


def test_new_play_calls_off_one_that_waits_for_bytes(run: Run, tmp_path: Path) -> None:
    sound = noise(1.0)

    async def scenario() -> None:
        async with playback() as listener:
            file = GrowingFile(tmp_path / "b.part")
            listener.downloads.open(REF).file.set_result(file)
            waiting = asyncio.ensure_future(listener.service.play(REF))
            await until_true(lambda: listener.service._player._state.decoder is not None)
            await listener.service.play(write(tmp_path / "a.wav", sound))
            await waiting
            assert place_of((await listener.pull(1000))[100:], sound) == 100
            file.close()

    run(scenario())


def test_cancelled_play_stops(run: Run) -> None:
    async def scenario() -> None:
        async with playback() as listener:
            playing = asyncio.ensure_future(listener.service.play(REF))
            await listener.until_state(PlaybackState.LOADING)
            playing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await playing
            assert listener.service.status.state is PlaybackState.IDLE

    run(scenario())


def test_stop_is_silent_and_forgets_the_recording(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with playback() as listener:
            await listener.service.play(write(tmp_path / "a.wav", noise(5.0)))
            await listener.pull(1000)
            listener.service.stop()
            assert listener.service.status == PlaybackStatus(device=listener.output.names[0])
            listener.output.pull(100)
            assert listener.output.pull(1000).max() == 0.0
            listener.service.resume()
            listener.service.pause()
            await listener.service.seek(3.0)
            assert listener.service.status == PlaybackStatus(device=listener.output.names[0])

    run(scenario())


def test_leaving_ends_a_read_that_waits(run: Run, tmp_path: Path) -> None:
    content = write(tmp_path / "made.wav", noise(4.0)).read_bytes()

    async def scenario() -> None:
        file = GrowingFile(tmp_path / "a.part", len(content))
        file.write(content[:10_000])
        async with playback() as listener:
            listener.downloads.open(REF).file.set_result(file)
            await listener.service.play(REF)
        file.close()

    run(scenario(), 3.0)


@pytest.mark.parametrize(
    ("content", "error"), [(b"RIFF", UnsupportedAudio), (b"", UnsupportedAudio), (None, StoreError)]
)
def test_failure_is_told_and_the_next_play_works(
    run: Run, tmp_path: Path, content: bytes | None, error: type[Exception]
) -> None:
    if content is not None:
        (tmp_path / "bad.wav").write_bytes(content)

    async def scenario() -> None:
        async with playback() as listener:
            await listener.service.play(tmp_path / "bad.wav")
            status = listener.service.status
            assert status.state is PlaybackState.FAILED
            assert isinstance(status.error, error)
            await listener.service.play(write(tmp_path / "a.wav", noise(1.0)))
            assert listener.service.status.state is PlaybackState.PLAYING
            assert listener.service.status.error is None

    run(scenario())


def test_download_that_fails_is_told(run: Run) -> None:
    async def scenario() -> None:
        async with playback() as listener:
            listener.downloads.open(REF).file.set_exception(RecordingMissing("not there"))
            await listener.service.play(REF)
            assert isinstance(listener.service.status.error, RecordingMissing)
            assert listener.service.status.state is PlaybackState.FAILED

    run(scenario())


def test_broken_download_plays_what_came_before(run: Run, tmp_path: Path) -> None:
    sound = noise(4.0)
    content = write(tmp_path / "made.wav", sound).read_bytes()

    async def scenario() -> None:
        async with playback() as listener:
            file = GrowingFile(tmp_path / "a.part", len(content))
            file.write(content[: 44 + 4 * 4000])
            listener.downloads.open(REF).file.set_result(file)
            await listener.service.play(REF)
            file.fail(DownloadInterrupted("broke off"))
            received = await listener.pull(4000)
            assert np.array_equal(received[100:], sound[100:4000])
            await listener.until_all_decoded()
            listener.output.pull(100)
            await listener.until_state(PlaybackState.FAILED)
            assert isinstance(listener.service.status.error, DownloadInterrupted)
            assert listener.service.status.position_s == 0.5
            file.close()

    run(scenario())


def test_cut_file_tells_what_it_claims_and_what_is_there(run: Run, tmp_path: Path) -> None:
    content = write(tmp_path / "made.wav", noise(1.0)).read_bytes()
    (tmp_path / "a.wav").write_bytes(content[: 44 + 16_000])

    async def scenario() -> None:
        async with playback() as listener:
            await listener.service.play(tmp_path / "a.wav")
            status = listener.service.status
            assert status.info is not None
            assert (status.info.length_s, status.length_s) == (1.0, 0.5)
            await listener.pull(4000)
            await listener.until_all_decoded()
            listener.output.pull(10)
            assert (await listener.until_state(PlaybackState.ENDED)).position_s == 0.5

    run(scenario())


def test_computer_without_sound_says_so_and_still_draws(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        output = FakeOutput()
        output.refusal = NoOutputDevice("the computer has no sound output")
        async with playback(output) as listener:
            await listener.service.play(write(tmp_path / "a.wav", noise(1.0)))
            assert isinstance(listener.service.status.error, NoOutputDevice)
            assert listener.service.status.info is not None
            await listener.until(lambda _: bool(listener.waveforms))
            output.refusal = None
            await listener.service.play(tmp_path / "a.wav")
            assert listener.service.status.state is PlaybackState.PLAYING

    run(scenario())


def test_lost_device_pauses_and_play_goes_on_at_the_same_place(run: Run, tmp_path: Path) -> None:
    sound = noise(5.0)

    async def scenario() -> None:
        async with playback() as listener:
            await listener.service.play(write(tmp_path / "a.wav", sound))
            await listener.pull(8000)
            listener.output.lose()
            status = await listener.until_state(PlaybackState.PAUSED)
            assert isinstance(status.error, OutputFailed)
            assert status.position_s == 1.0
            listener.output.refusal = NoOutputDevice("none")
            listener.service.resume()
            status = await listener.until(lambda status: isinstance(status.error, NoOutputDevice))
            assert (status.state, status.position_s) == (PlaybackState.PAUSED, 1.0)
            listener.output.refusal = None
            listener.service.resume()
            assert listener.service.status.error is None
            await until_true(lambda: listener.output.is_started)
            await listener.until_ahead(1000)
            received = await listener.pull(1000)
            assert place_of(received[100:], sound) == 8100

    run(scenario())


def test_device_that_went_while_nothing_was_played_is_looked_for_once_more(run: Run, tmp_path: Path) -> None:
    sound = noise(5.0)

    async def scenario() -> None:
        async with playback() as listener:
            await listener.service.play(write(tmp_path / "a.wav", sound), 2.0)
            opened = listener.output.opened
            listener.output.lose()
            await until_true(lambda: listener.output.opened == opened + 1)
            await listener.until_ahead(1000)
            received = await listener.pull(1000)
            assert place_of(received[100:], sound) == 16_100
            assert all(status.error is None for status in listener.told)
            listener.output.lose()
            assert isinstance((await listener.until_state(PlaybackState.PAUSED)).error, OutputFailed)

    run(scenario())


@pytest.mark.parametrize("refusal", [NoOutputDevice("none"), None])
def test_device_that_is_gone_or_fails_again_is_told(
    run: Run, tmp_path: Path, refusal: AudioError | None
) -> None:
    async def scenario() -> None:
        async with playback() as listener:
            await listener.service.play(write(tmp_path / "a.wav", noise(5.0)))
            opened, listener.output.refusal = listener.output.opened, refusal
            listener.output.lose()
            if refusal is None:
                await until_true(lambda: listener.output.opened == opened + 1)
                listener.output.lose()
            status = await listener.until_state(PlaybackState.PAUSED)
            assert type(status.error) is (OutputFailed if refusal is None else NoOutputDevice)

    run(scenario())


def test_device_that_hangs_is_lost(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with playback() as listener:
            await listener.service.play(write(tmp_path / "a.wav", noise(5.0)))
            listener.output.is_stalled = True
            assert isinstance((await listener.until_state(PlaybackState.PAUSED)).error, OutputFailed)

    run(scenario())


def test_device_is_not_lost_where_the_program_itself_stood_still(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with playback() as listener:
            player = listener.service._player
            await listener.service.play(write(tmp_path / "a.wav", noise(5.0)))
            listener.output.is_stalled = True
            player._checked_at = time.monotonic() - 2 * LATE_LOOK_S
            player.check_device()
            listener.output.is_stalled = False
            # The same way as a loss would have gone: behind it in the player's inbox.
            await listener.service.seek(2.0)
            await listener.until_sought()
            assert listener.service.status.state is PlaybackState.PLAYING
            assert listener.service.status.error is None

    run(scenario())


def test_waveform_is_published_and_taken_away(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with playback() as listener:
            await listener.service.play(write(tmp_path / "a.wav", noise(2.0)))
            await listener.until(
                lambda _: (
                    bool(listener.waveforms)
                    and listener.waveforms[-1] is not None
                    and listener.waveforms[-1].known_s == 2.0
                )
            )
            assert listener.service.waveform is listener.waveforms[-1]
            listener.service.stop()
            assert listener.waveforms[-1] is None

    run(scenario())


def test_volume_is_kept_for_the_next_recording(run: Run, tmp_path: Path) -> None:
    sound = noise(2.0)

    async def scenario() -> None:
        async with playback() as listener:
            listener.service.set_volume(0.5)
            await listener.service.play(write(tmp_path / "a.wav", sound))
            assert listener.service.status.volume == 0.5
            received = await listener.pull(1000)
            assert np.allclose(received[100:], sound[100:1000] * 0.5)
            listener.service.set_volume(7.0)
            assert listener.service.status.volume == 1.0

    run(scenario())


def test_position_is_published_while_playing(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with playback() as listener:
            await listener.service.play(write(tmp_path / "a.wav", noise(5.0)))
            await listener.pull(1600)
            await listener.until(lambda status: status.position_s == 0.2)
            await listener.pull(1600)
            await listener.until(lambda status: status.position_s == 0.4)

    run(scenario())
