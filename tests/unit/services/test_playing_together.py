"""Several calls heard together, with a device that the test pulls blocks out of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from playing import RATE, noise, playback, until_true, write

from recmon.audio.stream import GrowingFile, open_plain
from recmon.domain.calls import Call, CallKey, CallState, Direction, Party, RecordingRef, ServerId
from recmon.domain.together import place_together
from recmon.errors import RecmonError, RecordingMissing
from recmon.services.playback import PlaybackState
from recmon.services.together import TogetherService

Run = Callable[..., Any]
NINE = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


def call(name: str, begin_s: float, length_s: float) -> Call:
    begun = NINE + timedelta(seconds=begin_s)
    return Call(
        CallKey(ServerId("east"), name),
        CallState.ENDED,
        Direction.INTERNAL,
        Party("1"),
        Party("2"),
        begun,
        None,
        begun + timedelta(seconds=length_s),
        begun,
        recordings=(RecordingRef(ServerId("east"), f"path:{name}.wav"),),
    )


class Recordings:
    """Files by recording; the others are missing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def open_whole(self, ref: RecordingRef) -> GrowingFile:
        path = self.folder / ref.locator.removeprefix("path:")
        if not path.exists():
            raise RecordingMissing("the server has no such file")
        file = GrowingFile.whole(path)
        file.close()
        return file


def parts(folder: Path) -> set[str]:
    return {path.name.partition(".")[0] for path in folder.glob("*.part")}


def test_calls_are_heard_where_they_were_in_time_also_a_second_time(run: Run, tmp_path: Path) -> None:
    first, second = noise(2.0)[:, :1], noise(1.0)[:, :1]
    write(tmp_path / "a.wav", first)
    write(tmp_path / "b.wav", second)

    async def scenario() -> None:
        files = Recordings(tmp_path)
        async with (
            playback() as listener,
            TogetherService(
                listener.service,
                files.open_whole,
                lambda call: call.recordings[0],
                tmp_path,
                lambda: open_plain,
            ) as together,
        ):
            left_out: list[tuple[Call, RecmonError]] = []
            together.left_out.subscribe(left_out.append)
            pair = place_together([call("a", 0, 2), call("b", 0.5, 1), call("gone", 1, 1)])
            for _ in range(2):
                await together.play(pair)
                status = listener.service.status
                assert (status.state, status.error) == (PlaybackState.PLAYING, None)
                received = await listener.pull(2 * RATE)
                assert np.allclose(received[100:, 0], first[100:, 0], atol=1e-3)
                assert np.abs(received[: RATE // 2, 1]).max() == 0.0
                begin = RATE // 2
                assert np.allclose(received[begin + 100 : begin + RATE, 1], second[100:, 0], atol=1e-3)
                await listener.until_all_decoded()
                listener.output.pull(10)
                await listener.until_state(PlaybackState.ENDED)
            assert [one.key.native_id for one, _ in left_out] == ["gone", "gone"]
            # The window's play button asks for the same source again.
            source = listener.service.status.source
            assert source is not None
            await listener.service.play(source)
            assert listener.service.status.state is PlaybackState.PLAYING
            assert parts(tmp_path) == {"together"}
            listener.service.stop()
            await until_true(lambda: not parts(tmp_path))

    run(scenario())


def test_where_no_recording_can_be_had_the_reason_is_told(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        files = Recordings(tmp_path)
        async with (
            playback() as listener,
            TogetherService(
                listener.service,
                files.open_whole,
                lambda call: replace(call).recordings[0],
                tmp_path,
                lambda: open_plain,
            ) as together,
        ):
            await together.play(place_together([call("a", 0, 2), call("b", 0.5, 1)]))
            status = listener.service.status
            assert status.state is PlaybackState.FAILED
            assert isinstance(status.error, RecordingMissing)
            assert parts(tmp_path) == set()

    run(scenario())
