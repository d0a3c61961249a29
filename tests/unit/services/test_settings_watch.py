from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hooking import free_port, request

from recmon.app import open_services, read_settings
from recmon.domain.calls import ServerId
from recmon.errors import RecmonError, SecretMissing, SettingsError
from recmon.paths import DataDir
from recmon.services.settings_watch import SettingsNews, SettingsWatch
from recmon.services.statuses import LinkState
from recmon.settings.model import Settings

Run = Callable[..., Any]
SETTINGS = """version = 1

[[servers]]
name = "pbx"
vendor = "telephony"
adapter = "generic"
hook_secret = "env:{secret}"

[listener]
port = {port}
"""


def write(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    os.replace(fresh, path)


class Watched:
    """A watch of a file, with what it told."""

    def __init__(self, path: Path, failures: Sequence[RecmonError] = ()) -> None:
        self.path = path
        self.followed: list[Settings] = []
        self.news: asyncio.Queue[SettingsNews] = asyncio.Queue()
        self._failures = failures
        self.watch = SettingsWatch(read_settings(path), read_settings, self._follow, every_s=0.01)
        self.watch.changed.subscribe(self.news.put_nowait)

    async def _follow(self, settings: Settings) -> Sequence[RecmonError]:
        self.followed.append(settings)
        return self._failures


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "settings.toml"
    write(path, SETTINGS.format(secret="A", port=8790))
    return path


def test_a_change_is_followed_and_told_once(run: Run, path: Path) -> None:
    async def scenario() -> None:
        watched = Watched(path)
        async with watched.watch:
            write(path, SETTINGS.format(secret="A", port=8791))
            news = await watched.news.get()
            assert news == SettingsNews(
                "The settings file was changed. Web hooks are received at http://127.0.0.1:8791 now."
            )
            assert [settings.listener.port for settings in watched.followed] == [8791]
            # Another file, but the same settings: nobody needs to know.
            write(path, "# A remark.\n" + SETTINGS.format(secret="A", port=8791))
            write(path, SETTINGS.format(secret="B", port=8791))
            news = await watched.news.get()
            assert news.sentence.endswith("what else is new counts from the next start of recmon.")
            assert len(watched.followed) == 2

    run(scenario())


def test_what_cannot_be_used_is_told_with_its_line_and_not_followed(run: Run, path: Path) -> None:
    async def scenario() -> None:
        watched = Watched(path)
        async with watched.watch:
            write(path, SETTINGS.format(secret="A", port=-1))
            news = await watched.news.get()
            assert "what was there before goes on" in news.sentence
            (error,) = news.errors
            assert isinstance(error, SettingsError)
            assert f"{path}:10: " in error.problems[0]
            assert watched.followed == []
            os.remove(path)
            write(path, SETTINGS.format(secret="A", port=8792))
            assert (await watched.news.get()).errors == ()

    run(scenario())


def test_why_a_server_goes_on_as_before_is_told(run: Run, path: Path) -> None:
    async def scenario() -> None:
        failure = SecretMissing(("env:B: there is no such variable",))
        watched = Watched(path, [failure])
        async with watched.watch:
            write(path, SETTINGS.format(secret="B", port=8790))
            assert (await watched.news.get()).errors == (failure,)

    run(scenario())


def test_the_program_receives_where_the_changed_file_says(
    run: Run, tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRST", "first")
    monkeypatch.setenv("SECOND", "second")
    first, second = free_port(), free_port()
    write(path, SETTINGS.format(secret="FIRST", port=first))

    async def scenario() -> None:
        async with open_services(read_settings(path), DataDir(tmp_path / "data")) as services:
            news: asyncio.Queue[SettingsNews] = asyncio.Queue()
            live = asyncio.Event()
            services.settings_watch.changed.subscribe(news.put_nowait)
            services.monitor.status_changed.subscribe(
                lambda status: live.set() if status.state is LinkState.LIVE else None
            )
            await live.wait()
            write(path, SETTINGS.format(secret="SECOND", port=second))
            assert (await news.get()).errors == ()
            while True:
                if (await services.hooks.send_test(ServerId("pbx"))).is_well:
                    break
                await asyncio.sleep(0.01)
            address = services.hooks.address(ServerId("pbx"), shows_secret=True)
            assert address == f"http://127.0.0.1:{second}/hooks/pbx/second"
            with pytest.raises(ConnectionRefusedError):
                await request(first, "GET", "/hooks/pbx/first", b"")

    run(scenario())
