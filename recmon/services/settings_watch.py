"""Notices that the settings file was changed while the program runs, and has what can follow it do so."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from recmon.errors import RecmonError, SettingsError
from recmon.publisher import Publisher
from recmon.settings.model import Settings

LOOK_EVERY_S = 2.0
"""Between looks at the file. Not every file system tells of changes by itself, a network drive for one."""

_log = logging.getLogger(__name__)

_Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class SettingsNews:
    """What a change of the settings file came to.

    Attributes:
        sentence: in plain words.
        errors: what is wrong; what was there before goes on.
    """

    sentence: str
    errors: tuple[RecmonError, ...] = ()


class SettingsWatch:
    """Looks at the settings file while it is entered. Without a file it does nothing.

    Args:
        settings: as they were read at the start.
        load: reads the file; blocks, and may raise SettingsError.
        follow: has web hooks received, and recordings looked for, as settings say; returns why some web hooks
            are received as before.
        every_s: see `LOOK_EVERY_S`.

    Attributes:
        changed: publishes what a change came to.
    """

    def __init__(
        self,
        settings: Settings,
        load: Callable[[Path], Settings],
        follow: Callable[[Settings], Awaitable[Sequence[RecmonError]]],
        *,
        every_s: float = LOOK_EVERY_S,
    ) -> None:
        self.changed: Publisher[SettingsNews] = Publisher()
        self._settings = settings
        self._load = load
        self._follow = follow
        self._every_s = every_s
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> SettingsWatch:
        if self._settings.source is not None:
            self._task = asyncio.create_task(self._run(self._settings.source), name="settings file")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self, source: Path) -> None:
        # The first look reads the file in any case: it may have changed since it was read for the start.
        seen: _Stamp | None = None
        while True:
            await asyncio.sleep(self._every_s)
            stamp = await asyncio.to_thread(_stamp, source)
            # A file that is gone may be on its way back: editors write another one and rename it.
            if stamp is None or stamp == seen:
                continue
            seen = stamp
            try:
                news = await self._take(source)
            except Exception:  # a fault here must not end the watching; the log has it
                _log.exception("a change of the settings file was not taken in")
                continue
            if news is not None:
                _log.info("%s", news.sentence)
                self.changed.publish(news)

    async def _take(self, source: Path) -> SettingsNews | None:
        try:
            settings = await asyncio.to_thread(self._load, source)
        except SettingsError as error:
            text = "The settings file was changed and cannot be used; what was there before goes on."
            return SettingsNews(text, (error,))
        before, self._settings = self._settings, settings
        if settings == before:
            return None
        failures = tuple(await self._follow(settings))
        sentence = "The settings file was changed."
        if settings.listener != before.listener:
            sentence += f" Web hooks are received at {settings.listener.origin} now."
        if _rest(settings) != _rest(before):
            sentence += " Web hooks follow it; what else is new counts from the next start of recmon."
        return SettingsNews(sentence, failures)


def _rest(settings: Settings) -> object:
    """Return what of settings is not followed, or only by the web hooks."""
    servers = tuple(replace(server, recording=None) for server in settings.servers)
    return servers, settings.cache, settings.playback


def _stamp(source: Path) -> _Stamp | None:
    """Return what tells one version of a file from another; None where there is none."""
    try:
        state = os.stat(source)
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size, state.st_ino
