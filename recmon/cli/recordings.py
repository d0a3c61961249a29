"""`recmon fetch` and `recmon play`: recordings on the command line."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from recmon.app import Services
from recmon.cli.console import EXIT_DONE, UsageError, print_line, print_object, tell
from recmon.cli.history import parse_call_id
from recmon.cli.opening import opened
from recmon.cli.progress import shown_progress
from recmon.domain.calls import RecordingRef, ServerId
from recmon.domain.recordings import BareCodec, BareSound, LocatorKind
from recmon.errors import CallNotFound, RecmonError
from recmon.services.playback import PlaybackState, PlaybackStatus

_BARE = {"alaw": BareSound(BareCodec.ALAW), "mulaw": BareSound(BareCodec.MULAW)}


async def fetch(options: argparse.Namespace) -> int:
    """Download a recording, whole and verified, and print where it is."""
    ref_of_place = _place(options, options.recording_of)
    async with opened(options) as services:
        ref = ref_of_place or await _recording_of(services, options.recording_of)
        download = services.downloads.open(ref)
        with shown_progress(download):
            path = await download.finished()
        target: Path = options.output or Path(_file_name(ref, path.suffix))
        await services.downloads.save_as(ref, target)
        print_line(str(target))
    return EXIT_DONE


async def play(options: argparse.Namespace) -> int:
    """Play a file or a recording to its end."""
    named = _place(options, options.source) or _existing_file(options.source)
    async with opened(options) as services:
        source: RecordingRef | Path
        if named is not None:
            source = named
        else:
            try:
                source = await _recording_of(services, options.source)
            except CallNotFound as error:
                raise UsageError(f"{options.source} is neither a file nor a stored call's id") from error
        await _play(services, source, options)
    return EXIT_DONE


def _place(options: argparse.Namespace, other: str | None) -> RecordingRef | None:
    """Return the place on a server that the options name, or None where they name a call or file."""
    # A file of this computer is named as it is, without a server.
    kinds = (kind for kind in LocatorKind if kind is not LocatorKind.FILE)
    given = [(kind, value) for kind in kinds if (value := getattr(options, kind.value))]
    if options.server and given and other is None:
        (kind, value) = given[0]
        return RecordingRef(ServerId(options.server), f"{kind.value}:{value}")
    if options.server or given or other is None:
        raise UsageError("name a call, or --server NAME with --path, --folder, --call-id or another place")
    return None


def _existing_file(text: str) -> Path | None:
    path = Path(text)
    return path if path.is_file() else None


async def _recording_of(services: Services, call_id: str) -> RecordingRef:
    return services.details.recording_of(await services.history.find(parse_call_id(call_id)))


def _file_name(ref: RecordingRef, suffix: str) -> str:
    """Make a file name from a place; nothing that a file system treats specially stays in it."""
    last = ref.locator.replace("\\", "/").rstrip("/").rpartition("/")[2].partition(".")[0]
    safe = "".join(c if c.isalnum() or c in "-_" else "_" for c in last)[:80].strip("_")
    return f"{ref.server}_{safe or 'recording'}{suffix}"


async def _play(services: Services, source: RecordingRef | Path, options: argparse.Namespace) -> None:
    ended = asyncio.get_running_loop().create_future()

    def on_status(status: PlaybackStatus) -> None:
        if status.state in (PlaybackState.ENDED, PlaybackState.FAILED) and not ended.done():
            ended.set_result(status.error)

    def on_started(first_sound_s: float) -> None:
        if options.json:
            print_object({"type": "playing", "first_sound_ms": round(first_sound_s * 1000, 1)})
        else:
            tell("playing; Ctrl+C ends it")

    subscriptions = [
        services.playback.changed.subscribe(on_status),
        services.playback.started.subscribe(on_started),
    ]
    try:
        services.playback.set_speed(options.speed)
        await services.playback.play(source, options.start, bare=_BARE.get(options.bare))
        error: RecmonError | None = await ended
    finally:
        for subscription in subscriptions:
            subscription.cancel()
    if error is not None:
        raise error
