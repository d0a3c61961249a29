from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from recmon.domain.calls import ServerId
from recmon.domain.recordings import LocatorKind, RecordingTemplate
from recmon.errors import SettingsDamaged, SettingsError, SettingsTooNew
from recmon.settings import store
from recmon.settings.model import ListenerSettings, ListenerTls, SecretRef, Settings, TlsOptions
from recmon.settings.store import load_settings, parse_settings


@dataclass(frozen=True, slots=True)
class Events:
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    host: str
    port: int
    tls: bool | TlsOptions = False
    extensions: tuple[str, ...] = ()
    ending: Literal["lf", "crlf"] = "lf"

    def __post_init__(self) -> None:
        if not 1 <= self.port <= 65535:
            raise ValueError("port must be from 1 to 65535")


@dataclass(frozen=True, slots=True)
class LiveOptions:
    events: Events | None = None
    password: SecretRef | None = None


@dataclass(frozen=True, slots=True)
class StoreOptions:
    url: str
    secret_key: SecretRef
    ca_file: Path | None = None
    parallel: int = 2


VENDORS: dict[str, type[Any]] = {"live": LiveOptions, "store": StoreOptions}

GOOD = """\
version = 1
[[servers]]
name = "east"
vendor = "live"
time_zone = "Europe/Berlin"
recordings = "archive"
recording = { folder = "Y:/7/{native_id}/{started_at:%Y%m%d}" }
password = "keyring:east"
[servers.events]
host = "127.0.0.1"
port = 5566
tls = { ca_file = "ca.pem" }
extensions = ["4410", "4411"]
[[servers]]
name = "archive"
vendor = "store"
url = "https://127.0.0.1:18443"
secret_key = "file:keys/secret"
ca_file = "/etc/ca.pem"
[listener]
port = 8791
public_url = "https://hooks.example.com"
tls = { certificate = "a.pem", key = "b.pem" }
"""


@pytest.fixture
def problems(tmp_path: Path) -> Callable[[str], list[str]]:
    """Return what is wrong with a text: `LINE: sentence`."""

    def find(text: str) -> list[str]:
        source = tmp_path / "settings.toml"
        with pytest.raises(SettingsError) as caught:
            parse_settings(text, source, VENDORS)
        front = f"{source}:"
        assert all(problem.startswith(front) for problem in caught.value.problems)
        return [problem.removeprefix(front) for problem in caught.value.problems]

    return find


def test_whole_file_is_read(tmp_path: Path) -> None:
    settings = parse_settings(GOOD, tmp_path / "settings.toml", VENDORS)
    east, archive = settings.servers
    assert (east.name, east.vendor, east.time_zone) == ("east", "live", "Europe/Berlin")
    assert east.recordings == ServerId("archive")
    assert east.recording == RecordingTemplate(LocatorKind.FOLDER, "Y:/7/{native_id}/{started_at:%Y%m%d}")
    assert east.options == LiveOptions(
        Events("127.0.0.1", 5566, TlsOptions(ca_file=tmp_path / "ca.pem"), ("4410", "4411")),
        SecretRef("keyring", "east"),
    )
    assert archive.time_zone == "UTC"
    assert archive.options == StoreOptions(
        "https://127.0.0.1:18443", SecretRef("file", str(tmp_path / "keys/secret")), Path("/etc/ca.pem")
    )
    assert settings.source == tmp_path / "settings.toml"
    assert settings.listener == ListenerSettings(
        "127.0.0.1", 8791, "https://hooks.example.com", ListenerTls("a.pem", "b.pem")
    )


def test_all_problems_are_told_at_once_in_order_of_their_lines(problems: Callable[[str], list[str]]) -> None:
    found = problems(
        """\
verison = 1
[[servers]]
name = "east"
vendor = "live"
time_zone = "Europe/Berln"
recordings = "archve"
recording = { folder = "a", path = "x" }
password = "CANARY-secret"
[servers.events]
host = 5
prt = 3
tls = "yes"
extensions = [
  "a",
  5,
]
ending = "x"
[[servers]]
name = "archive"
vendor = "store"
url = "x"
secret_key = "plain:CANARY-secret"
parallel = true
[[servers]]
name = "archive"
vendor = "aculab"
[[servers]]
recording.path = "a}b"
[listener]
port = 0
hosst = "x"
"""
    )
    assert found == [
        "1: verison is not a known key; did you mean version?",
        "1: version is missing; write version = 1 at the top",
        "5: server east: time_zone Europe/Berln is not a known time zone; did you mean Europe/Berlin?",
        "6: server east: recordings names archve, which is not among the servers; did you mean archive?",
        "7: server east: recording must be a table with exactly one of path, folder, call_id, original_path, "
        "file_name, ivr, oiap, play, obs, cms_call_id",
        "8: server east: password: secrets are not stored in this file: store it with "
        '`keyring set recmon NAME` and write "keyring:NAME", or write "env:VARIABLE" or "file:PATH"',
        "9: server east: events.port is missing",
        "10: server east: events.host must be text in quotes",
        "11: server east: events.prt is not a known key; did you mean port?",
        "12: server east: events.tls must be true or false or a table",
        "15: server east: events.extensions entry 2 must be text in quotes",
        '17: server east: events.ending must be "lf" or "crlf"',
        "22: server archive: secret_key: secrets are not stored in this file: store it with "
        '`keyring set recmon NAME` and write "keyring:NAME", or write "env:VARIABLE" or "file:PATH"',
        "23: server archive: parallel must be a whole number",
        "25: server archive: another server has this name",
        "26: server archive: vendor aculab is not supported by this version of recmon (known: live, store)",
        "27: server 4: name is missing",
        "27: server 4: vendor is missing",
        "28: server 4: recording.path has a closing brace without an opening one",
        "30: listener: port must be from 1 to 65535",
        "31: listener: hosst is not a known key; did you mean host?",
    ]


def server(*lines: str) -> str:
    return "\n".join(["version = 1", "[[servers]]", 'name = "a"', *lines])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("version = true", "1: version must be 1"),
        ("version = '1'", "1: version must be 1"),
        ("version = 0", "1: version must be 1"),
        ("version = 1\nlistener = 3", "2: listener must be a table"),
        (
            "version = 1\nlistener.tls.key = 'x'",
            "2: listener: tls: certificate and key are needed both, or neither",
        ),
        (
            "version = 1\nlistener.tls.key = 'x'\nlistener.tls.certificate = ''",
            "3: listener: tls.certificate and key are needed both, or neither",
        ),
        ("version = 1\nlistener.public_url = 'https://u:p@h'", "2: listener: public_url must be"),
        ("version = 1\nservers = 1", "2: servers must be tables, each begun with [[servers]]"),
        ("version = 1\n[servers]\nname = 'a'", "2: servers must be tables, each begun with [[servers]]"),
        (server('vendor = "lvie"'), "4: server a: vendor lvie is not supported by this version of recmon"),
        (server("vendor = 1"), "4: server a: vendor must be text in quotes, and not empty"),
        (
            server('vendor = "live"', "longest_call_hours = 0"),
            "5: server a: longest_call_hours must be a number from 0.25 to 168",
        ),
        (server('vendor = "live"', "longest_call_hours = true"), "5: server a: longest_call_hours must be"),
        (server('vendor = "live"', 'longest_call_hours = "4"'), "5: server a: longest_call_hours must be"),
        (server('vendor = "live"', 'time_zone = ""'), "5: server a: time_zone must be text"),
        (
            server('vendor = "live"', 'time_zone = "../etc/passwd"'),
            "5: server a: time_zone ../etc/passwd is not",
        ),
        (server('vendor = "live"', "recording = 1"), "5: server a: recording must be a table"),
        (server('vendor = "live"', "recording.path = 1"), "5: server a: recording.path must be text"),
        (
            server('vendor = "live"', 'recording.path = "{a"'),
            "5: server a: recording.path has an opening brace",
        ),
        (server('vendor = "live"', 'recording.path = "{}"'), "5: server a: recording.path has a placeholder"),
        (
            server('vendor = "live"', 'recording.path = "{:%Y}"'),
            "5: server a: recording.path has a placeholder",
        ),
        (
            server('vendor = "live"', 'recording.folder_id = "x"'),
            "5: server a: recording must be a table with",
        ),
        (server('vendor = "live"', "events = 1"), "5: server a: events must be a table"),
        (
            server('vendor = "live"', 'events = { host = "x", port = "5" }'),
            "5: server a: events.port must be a whole number",
        ),
        (
            server('vendor = "live"', "[servers.events]", 'host = "x"', "port = 0"),
            "7: server a: events.port must be from 1 to 65535",
        ),
        (
            server('vendor = "live"', 'events = { host = "x", port = 5, tls = { ca_fle = "x" } }'),
            "5: server a: events.tls.ca_fle is not a known key; did you mean ca_file?",
        ),
        (server('vendor = "live"', "events.host = 2026-11-21"), "5: server a: events.host must be text"),
        (
            server('vendor = "live"', "pasword = 'x'"),
            "5: server a: pasword is not a known key; did you mean password?",
        ),
        (server('vendor = "live"', "time_zon = 'x'"), "did you mean time_zone?"),
        ("version = 1\n[[servers]]\nname = 'a/b'\nvendor = 'live'", "3: server a/b: name must have no slash"),
        ("version = 1\n[[servers]]\nname = 'a '\nvendor = 'live'", "3: server a : name must have no slash"),
        (
            'version = 1\n[[servers]]\nname = "a\\u202e"\nvendor = "live"',
            "3: server a\\u202e: name must have",
        ),
    ],
)
def test_mistake_is_told(text: str, problem: str, problems: Callable[[str], list[str]]) -> None:
    assert [found for found in problems(text) if problem in found]


def test_newer_version_is_told_alone(problems: Callable[[str], list[str]], tmp_path: Path) -> None:
    with pytest.raises(SettingsTooNew, match="newer recmon"):
        parse_settings("unknown = 1\nversion = 2", tmp_path / "x.toml", VENDORS)
    assert problems("unknown = 1\nversion = 2") == [
        "2: version 2 was written by a newer recmon; this one reads version 1"
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("version = 1\nname = east", 2),
        ("version = 1\n[servers", 2),
        ("a = 1\na = 2", 2),
        ('a = "x', 1),
        ("a = [1,\n\n", 3),
    ],
)
def test_text_that_is_not_toml_is_told_with_its_line(text: str, line: int, tmp_path: Path) -> None:
    with pytest.raises(SettingsDamaged, match=f"x.toml:{line}: this is not valid TOML"):
        parse_settings(text, tmp_path / "x.toml", VENDORS)


def test_hostile_nesting_and_numbers_are_damage(tmp_path: Path) -> None:
    for text in ("a = " + "[" * 100_000, "a = " + "9" * 10_000):
        with pytest.raises(SettingsDamaged):
            parse_settings(text, tmp_path / "x.toml", VENDORS)


def test_file_is_read_with_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert len(load_settings(file, VENDORS).servers) == 2


def test_bytes_that_are_no_text_are_told_with_their_line(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_bytes(b"version = 1\n# \xff\xfe\n")
    with pytest.raises(SettingsDamaged, match=r"settings\.toml:2: the text is not UTF-8"):
        load_settings(file, VENDORS)


def test_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such file"):
        load_settings(tmp_path / "none.toml", VENDORS)


def test_folder_and_huge_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="not a file"):
        load_settings(tmp_path, VENDORS)
    (tmp_path / "huge.toml").write_bytes(b"#" * (store.LARGEST_FILE + 1))
    with pytest.raises(SettingsDamaged, match="larger than"):
        load_settings(tmp_path / "huge.toml", VENDORS)


def test_default_file_need_not_exist_but_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "settings.toml"
    monkeypatch.setattr(store, "default_settings_file", lambda: file)
    assert load_settings(None, VENDORS) == Settings()
    file.write_text(GOOD)
    assert load_settings(None, VENDORS).source == file


def test_file_cut_or_changed_anywhere_is_read_or_told_without_its_secrets(tmp_path: Path) -> None:
    text = GOOD.replace("keyring:east", "CANARY-secret")
    source = tmp_path / "settings.toml"
    chance = random.Random(50)
    damaged = [text[:cut] for cut in range(0, len(text), 3)]
    for _ in range(300):
        data = bytearray(text, "latin-1")
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        damaged.append(data.decode("latin-1"))
    told = [found for candidate in damaged if (found := problems_of(candidate, source))]
    assert len(told) > len(damaged) // 2
    assert all("CANARY" not in problem and problem.isprintable() for found in told for problem in found)


def problems_of(text: str, source: Path) -> tuple[str, ...]:
    try:
        parse_settings(text, source, VENDORS)
    except SettingsError as error:
        return error.problems
    return ()
