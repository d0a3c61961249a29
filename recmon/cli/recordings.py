"""`recmon fetch` and `recmon play`: recordings on the command line."""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from recmon.app import Services
from recmon.cli.console import EXIT_DONE, EXIT_FAILED, UsageError, print_line, print_object, tell
from recmon.cli.history import parse_call_id
from recmon.cli.opening import opened
from recmon.cli.progress import shown_progress, shown_share
from recmon.domain.calls import RecordingRef, ServerId
from recmon.domain.filenames import folded_name, unique_name
from recmon.domain.recordings import BareCodec, BareSound, LocatorKind
from recmon.errors import CallNotFound, RecmonError
from recmon.services.playback import PlaybackState, PlaybackStatus

_BARE = {"alaw": BareSound(BareCodec.ALAW), "mulaw": BareSound(BareCodec.MULAW)}


async def fetch(options: argparse.Namespace) -> int:
    """Download recordings, whole and verified, and print where they are."""
    ids: list[str] = options.recordings_of
    if len(ids) > 1:
        return await _fetch_several(ids, options)
    call_id = ids[0] if ids else None
    ref_of_place = _place(options, call_id)
    async with opened(options) as services:
        ref = ref_of_place or await _recording_of(services, call_id or "")
        download = services.downloads.open(ref)
        with shown_progress(download):
            path = await download.finished()
        target = _target(options.output, _file_name(ref, path.suffix))
        await services.downloads.save_as(ref, target)
        print_line(str(target))
    return EXIT_DONE


async def _fetch_several(ids: Sequence[str], options: argparse.Namespace) -> int:
    """Download the recordings of several calls into a folder; one that fails does not stop the others."""
    folder: Path = options.output or Path()
    if options.server or not _is_folder(folder):
        raise UsageError("several recordings are fetched by their calls' ids, into a folder that exists (-o)")
    done = failed = 0
    taken = {folded_name(name) for name in os.listdir(folder)}
    async with opened(options) as services:
        with shown_share() as show:

            async def fetch_one(call_id: str) -> None:
                nonlocal done, failed
                try:
                    ref = await _recording_of(services, call_id)
                    path = await services.downloads.open(ref).finished()
                    stem = _file_name(ref, "")
                    target = folder / unique_name(stem, path.suffix, taken)
                    taken.add(folded_name(target.name))
                    await services.downloads.save_as(ref, target)
                    print_line(str(target))
                except RecmonError as error:
                    failed += 1
                    tell(f"recmon: {call_id}: {type(error).__name__}: {error}")
                done += 1
                show(done / len(ids))

            async with asyncio.TaskGroup() as group:
                for call_id in dict.fromkeys(ids):
                    group.create_task(fetch_one(call_id))
    return EXIT_FAILED if failed else EXIT_DONE


def _target(output: Path | None, name: str) -> Path:
    """Return where a recording is to be stored: at a path, or under its name in a folder."""
    if output is None:
        return Path(name)
    return output / name if _is_folder(output) else output


def _is_folder(path: Path) -> bool:
    return path.is_dir()


async def cache(options: argparse.Namespace) -> int:
    """Tell what the cache of recordings holds, or clear it and tell what that freed."""
    async with opened(options) as services:
        if not options.clear:
            use = services.cache.use()
            if options.json:
                print_object(asdict(use))
            else:
                print_line(
                    f"{use.recordings} recordings, {use.size / 1e6:.1f} MB; "
                    f"{use.protected} of them protected, {use.protected_size / 1e6:.1f} MB"
                )
            return EXIT_DONE
        removed = await services.cache.clear()
        if options.json:
            print_object(asdict(removed))
        else:
            print_line(f"{removed.recordings} recordings removed, {removed.size / 1e6:.1f} MB freed")
            if removed.kept:
                tell(f"{removed.kept} stay, {removed.kept_size / 1e6:.1f} MB: protected, or in use")
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
