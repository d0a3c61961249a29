"""One value written into a settings file that people wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from recmon.domain.calls import ServerId
from recmon.domain.recordings import LocatorKind, RecordingTemplate
from recmon.errors import SettingsError
from recmon.settings.store import load_settings
from recmon.settings.writing import recording_line, write_recording
from recmon.vendors.registry import ADAPTERS

VENDORS = {name: adapter.options_type for name, adapter in ADAPTERS.items()}
TEXT = """# our servers
version = 1   # of the format

[[servers]]  # the old site
name = "east"
vendor = "verba"

[servers.events]
host = "127.0.0.1"  # keep
port = 5566

[[servers]]
name = "west"
vendor = "verba"
recording = { path = "Y:/old/{native_id}" }  # was moved

[servers.events]
host = "127.0.0.1"
port = 5567
"""


def template(text: str, kind: LocatorKind = LocatorKind.FOLDER) -> RecordingTemplate:
    return RecordingTemplate(kind, text)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_a_new_value_stands_in_its_server_and_all_else_stays(file: Path) -> None:
    write_recording(file, ServerId("east"), template("Y:/3rd/{native_id}"), VENDORS)
    expected = TEXT.replace(
        'vendor = "verba"\n\n', 'vendor = "verba"\nrecording = { folder = "Y:/3rd/{native_id}" }\n\n', 1
    )
    assert file.read_text(encoding="utf-8") == expected
    assert load_settings(file, VENDORS).servers[0].recording == template("Y:/3rd/{native_id}")


def test_an_old_value_is_replaced_and_its_comment_stays(file: Path) -> None:
    write_recording(file, ServerId("west"), template("{native_id}", LocatorKind.OBS), VENDORS)
    assert file.read_text(encoding="utf-8") == TEXT.replace(
        '{ path = "Y:/old/{native_id}" }', '{ obs = "{native_id}" }'
    )


@pytest.mark.parametrize(
    "text", ['Y:/"a"/{native_id}', "Y:\\new\\{native_id}", "Y:/留言/{from_name}", "a\tb"]
)
def test_any_text_is_written_so_that_it_is_read_back(file: Path, text: str) -> None:
    write_recording(file, ServerId("east"), template(text), VENDORS)
    assert load_settings(file, VENDORS).servers[0].recording == template(text)
    line = file.read_text(encoding="utf-8").splitlines()[6]
    assert line == recording_line(template(text))


def test_line_ends_and_rights_of_the_file_stay(file: Path) -> None:
    file.write_bytes(TEXT.replace("\n", "\r\n").encode())
    file.chmod(0o600)
    write_recording(file, ServerId("west"), template("new"), VENDORS)
    data = file.read_bytes()
    assert data.count(b"\r\n") == data.count(b"\n") == TEXT.count("\n")
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_link_to_the_file_stays_a_link(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.toml"
    link.symlink_to(file)
    write_recording(link, ServerId("west"), template("new"), VENDORS)
    assert link.is_symlink()
    assert 'folder = "new"' in file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("version = [", "cannot be changed"),
        (TEXT.replace("west", "north"), "no server west"),
        (TEXT.replace("port = 5566", "port = 0"), "port"),
    ],
)
def test_a_file_that_cannot_be_changed_stays_as_it_is(file: Path, content: str, words: str) -> None:
    file.write_text(content, encoding="utf-8")
    with pytest.raises(SettingsError, match=words):
        write_recording(file, ServerId("west"), template("new"), VENDORS)
    assert file.read_text(encoding="utf-8") == content
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be changed"):
        write_recording(tmp_path / "gone.toml", ServerId("west"), template("new"), VENDORS)
