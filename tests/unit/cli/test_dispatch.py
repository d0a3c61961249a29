"""What the commands share: exit codes, sentences, words on the command line, and the local time zone."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recmon.cli import main
from recmon.cli.arguments import parse_arguments
from recmon.cli.console import LOCAL_ZONE
from recmon.cli.history import parse_call_id
from recmon.errors import CallNotFound


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_common_options_may_stand_before_and_after_the_command() -> None:
    for words in (["--settings", "a.toml", "watch"], ["watch", "--settings", "a.toml"]):
        assert parse_arguments(words).settings == Path("a.toml")
    assert parse_arguments(["watch"]).settings is None
    assert parse_arguments([]).command is None


@pytest.mark.parametrize(
    "words",
    [
        ["search", "--limit", "0"],
        ["search", "--limit", "1.5"],
        ["search", "--json", "--csv"],
        ["watch", "--for", "-1"],
        ["watch", "--for", "soon"],
        ["watch", "--for", "nan"],
        ["simulate", "--port-base", "65001"],
        ["demo", "--servers", "13"],
        ["demo", "--calls-per-minute", "0"],
        ["import"],
        ["import", "x", "--zone", "Nowhere/At_all"],
        ["import", "x", "--server", "a/b"],
        ["fetch", "--server", "a", "--path", "p", "--folder", "f"],
        ["dance"],
    ],
)
def test_words_that_make_no_sense_exit_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse_arguments(words)
    assert end.value.code == 2
    assert capsys.readouterr().err


def test_failure_is_one_line_that_names_its_type(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text("version = 1\n")
    words = ["show", "east/\x1b[31m1", "--settings", str(settings), "--data-dir", str(tmp_path / "data")]
    assert main(words) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "recmon: CallNotFound: no stored call has the id east/\\x1b[31m1\n"


def test_every_mistake_in_the_settings_has_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text('version = 1\none = 1\ntwo = "x"\n')
    assert main(["watch", "--settings", str(settings), "--data-dir", str(tmp_path / "data")]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"recmon: SettingsError: {settings}:2: one is not a known key",
        f"recmon: SettingsError: {settings}:3: two is not a known key",
    ]


def test_reaction_to_sigterm_is_put_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    assert main(["fetch", "--data-dir", str(tmp_path)]) == 2
    assert signal.getsignal(signal.SIGTERM) is before
    capsys.readouterr()


def test_text_that_is_no_call_id_is_not_found() -> None:
    with pytest.raises(CallNotFound):
        parse_call_id("nothing")
    assert str(parse_call_id("east/a/b")) == "east/a/b"


def test_local_zone_follows_daylight_saving(berlin: None) -> None:
    summer, winter = (datetime(2026, month, 1, 12, tzinfo=UTC).astimezone(LOCAL_ZONE) for month in (7, 1))
    assert (summer.hour, winter.hour) == (14, 13)
    assert (summer.tzname(), winter.tzname()) == ("CEST", "CET")
    assert summer.astimezone(UTC).hour == winter.astimezone(UTC).hour == 12
