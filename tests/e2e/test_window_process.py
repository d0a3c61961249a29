"""The program as a process with its window: it starts, ends in time, and tells what is wrong."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
from programs import DEADLINE_S, RECMON, Program, environment, recmon, simulators
from sound import SoundSink, wait_until

DRIVER = Path(__file__).with_name("window_driver.py")
QUIT_S = 5.0


def driven(story: str, *words: str | Path, **further: str) -> Program:
    return Program([sys.executable, str(DRIVER), story, *map(str, words)], env=environment(**further))


@pytest.fixture
def no_settings(tmp_path: Path) -> list[str]:
    (tmp_path / "settings.toml").write_text("version = 1\n")
    return ["--settings", str(tmp_path / "settings.toml"), "--data-dir", str(tmp_path / "data")]


def test_window_opens_and_ends_within_five_seconds_of_sigterm(tmp_path: Path) -> None:
    with simulators(tmp_path, []) as servers:
        options = ["--settings", str(servers.settings), "--data-dir", str(tmp_path / "data")]
        with driven("watch_servers", *options) as program:
            assert program.object()["saw"] == "window"
            assert program.object()["saw"] == "live"
            program.process.send_signal(signal.SIGTERM)
            assert program.wait(QUIT_S) == 130
            assert program.errors == []
    assert (tmp_path / "data" / "window.ini").exists()


def test_window_that_is_just_opening_ends_within_five_seconds_too(no_settings: list[str]) -> None:
    with Program([*RECMON, *no_settings]) as program:
        wait_until((Path(no_settings[-1]) / "logs").exists, DEADLINE_S, "the program did not begin")
        program.process.send_signal(signal.SIGTERM)
        assert program.wait(QUIT_S) in (130, -signal.SIGTERM)


def test_wrong_settings_are_told_in_the_window(tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text('version = 1\ncolour = "red"\n[[servers]]\nname = "east"\n')
    with driven("read_failure", "--settings", settings, "--data-dir", tmp_path / "data") as program:
        assert program.object()["saw"] == "window"
        told = program.object()
        assert told["saw"] == "failure"
        assert f"The settings cannot be used: {settings}:2: colour is not a known key." in told["text"]
        assert "Correct the settings file and start again." in told["text"]
        assert program.process.poll() is None
        program.process.send_signal(signal.SIGTERM)
        assert program.wait(QUIT_S) == 130


@pytest.mark.parametrize("content", [b"\xff\xfe not a settings file", b"version = ", b""])
def test_damaged_settings_are_told_in_the_window(tmp_path: Path, content: bytes) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_bytes(content)
    with driven("read_failure", "--settings", settings, "--data-dir", tmp_path / "data") as program:
        assert program.object()["saw"] == "window"
        assert "settings" in program.object()["text"].lower()
        assert program.interrupt(signal.SIGTERM) == 130


def test_database_that_cannot_be_written_is_told_in_the_window(
    tmp_path: Path, no_settings: list[str]
) -> None:
    # A folder in its place: permissions would not keep an administrator out.
    database = tmp_path / "data" / "history.sqlite3"
    database.mkdir(parents=True)
    with driven("read_failure", *no_settings) as program:
        assert program.object()["saw"] == "window"
        text = program.object()["text"]
        assert "The data folder cannot be used" in text
        assert str(database) in text
        assert program.interrupt(signal.SIGTERM) == 130


def test_database_that_is_damaged_is_kept_and_an_empty_one_begun(
    tmp_path: Path, no_settings: list[str]
) -> None:
    assert recmon("search", "--count", *no_settings).stdout == "0\n"
    database = tmp_path / "data" / "history.sqlite3"
    content = database.read_bytes()
    damaged = content[:4096] + b"\xa5" * (len(content) - 4096)
    database.write_bytes(damaged)
    with driven("see_past_calls", *no_settings) as program:
        assert program.object()["saw"] == "window"
        told = program.object()
        assert (told["saw"], told["rows"]) == ("past", 0)
        assert "The history was damaged" in told["texts"]
        assert program.interrupt(signal.SIGTERM) == 130
    assert [file.read_bytes() for file in database.parent.glob("history.sqlite3.damaged-*Z")] == [damaged]


def test_computer_without_a_sound_device_says_so_in_the_player_and_goes_on(tmp_path: Path) -> None:
    with simulators(tmp_path, []) as servers:
        options = ["--settings", str(servers.settings), "--data-dir", str(tmp_path / "data")]
        assert recmon("import", servers.past_calls, *options).returncode == 0
        with driven("play_newest", *options, **SoundSink.unreachable(tmp_path)) as program:
            told = program.object()
            assert told["saw"] == "player", told
            assert "No sound device" in told["texts"]
            told = program.object()
            assert (told["saw"], told["is_enabled"]) == ("goes on", True)
            assert program.wait() == 0
            assert program.errors == []
