"""The commands of the command line, each as a process, against one `recmon simulate`."""

from __future__ import annotations

import csv
import io
import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from programs import Simulators, environment, recmon, simulators
from serving import serving

from recmon.simulators.ccfs import CcfsSimulator
from recmon.simulators.certificates import Certificate

LINE_KEYS = {
    "link": {"state", "reason", "error", "retry_in_s"},
    "call": {"change", "call"},
    "recording": {"call_id", "recording", "state"},
    "gap": {"from", "to"},
    "unrecognised": {"reason", "excerpt", "offset"},
}
CALL_KEYS = {
    "id", "server", "native_id", "state", "direction", "from", "to", "started_at", "answered_at", "ended_at",
    "duration_s", "cause", "start_seen", "recordings", "tags", "cdr",
}  # fmt: skip
LENGTH_S = 2.0
PAST_CALLS = 420
CALLS = [
    {
        "server": "east",
        "after_s": 2.0 + 3.0 * number,
        "duration_s": LENGTH_S,
        "direction": "outgoing",
        "from_number": "4455",
        "from_name": "Ünal Example",
        "to_number": "+15550100",
        "codec": "ulaw",
        "channels": 1,
    }
    for number in range(10)
]


@dataclass(frozen=True)
class Watched:
    """What the servers and `watch` left for the other commands."""

    servers: Simulators
    options: list[str]
    lines: list[dict[str, Any]]
    imported: str

    def run(self, *words: str | Path, **further: Any) -> CompletedProcess[str]:
        return recmon(*words, *self.options, **further)

    def calls(self, change: str) -> dict[str, dict[str, Any]]:
        return {
            line["call"]["id"]: line["call"]
            for line in self.lines
            if line["type"] == "call" and line["change"] == change
        }

    @property
    def seen(self) -> dict[str, Any]:
        """A call that was seen from its start to its end."""
        started = {call_id for call_id, call in self.calls("started").items() if call["start_seen"]}
        return next(call for call in self.calls("ended").values() if call["id"] in started)

    def of_scenario(self) -> set[str]:
        """Return the stored calls of the scenario, also those that the history brought from before."""
        return {
            json.loads(line)["id"] for line in self.run("search", "from:4455", "--json").stdout.splitlines()
        }


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("commands")
    with simulators(folder, CALLS, "east", "west") as servers:
        options = ["--settings", str(servers.settings), "--data-dir", str(folder / "data")]
        # Before the watch, which can bring in past calls too.
        imported = recmon("import", servers.past_calls, *options)
        assert (imported.returncode, imported.stderr) == (0, "")
        watch = recmon("watch", "--json", "--for", "10", *options)
        assert (watch.returncode, watch.stderr) == (0, "")
        lines = [json.loads(line) for line in watch.stdout.splitlines()]
        yield Watched(servers, options, lines, imported.stdout)


def test_watch_prints_lines_with_the_keys_of_their_type(watched: Watched) -> None:
    for line in watched.lines:
        assert set(line) == {"at", "server", "type"} | LINE_KEYS[line["type"]]
        assert datetime.fromisoformat(line["at"]).tzinfo is not None
        if line["type"] == "call":
            assert set(line["call"]) >= CALL_KEYS
            assert all(isinstance(value, str) for value in line["call"]["cdr"].values())


def test_watch_tells_how_a_link_becomes_live(watched: Watched) -> None:
    states: dict[str, list[str]] = {}
    for line in watched.lines:
        if line["type"] == "link":
            states.setdefault(line["server"], []).append(line["state"])
    assert states == {
        "east": ["connecting", "subscribing", "live"],
        "west": ["connecting", "subscribing", "live"],
        "archive": ["stopped"],
    }


def test_watch_tells_of_calls_and_the_recordings_to_expect(watched: Watched) -> None:
    call = watched.seen
    started = watched.calls("started")[call["id"]]
    assert started["state"] in ("ringing", "connected")
    assert (started["ended_at"], started["duration_s"]) == (None, None)
    assert call["state"] == "ended"
    assert call["direction"] == "outgoing"
    assert call["from"] == {"number": "4455", "name": "Ünal Example"}
    assert call["to"]["number"] == "+15550100"
    assert call["duration_s"] == pytest.approx(LENGTH_S, abs=0.01)
    expected = [
        line for line in watched.lines if line["type"] == "recording" and line["call_id"] == call["id"]
    ]
    assert [(line["state"], line["recording"]) for line in expected] == [("expected", call["recordings"][0])]
    assert call["recordings"][0]["server"] == "archive"


def test_import_counts_and_a_second_one_finds_nothing_new(watched: Watched) -> None:
    assert watched.imported == f"{PAST_CALLS} new, 0 known, 0 unreadable\n"
    again = watched.run("import", watched.servers.past_calls)
    assert again.stdout == f"0 new, {PAST_CALLS} known, 0 unreadable\n"


def test_search_counts(watched: Watched) -> None:
    known = watched.of_scenario()
    assert set(watched.calls("ended")) <= known
    assert watched.run("search", "--count").stdout == f"{PAST_CALLS + len(known)}\n"
    assert watched.run("search", "from:4455", "--count").stdout == f"{len(known)}\n"
    assert watched.run("search", "from:4455 dur>60", "--count").stdout == "0\n"


def test_search_prints_call_objects_newest_first(watched: Watched) -> None:
    found = [json.loads(line) for line in watched.run("search", "--json", "--limit", 50).stdout.splitlines()]
    assert len(found) == 50
    assert all(set(call) >= CALL_KEYS for call in found)
    begun = [call["started_at"] for call in found]
    assert begun == sorted(begun, reverse=True)
    assert watched.seen in found


def test_search_prints_csv_with_a_header(watched: Watched) -> None:
    rows = list(csv.DictReader(io.StringIO(watched.run("search", "ÜNAL", "--csv").stdout)))
    assert list(rows[0]) == [
        "server",
        "native_id",
        "direction",
        "from_number",
        "from_name",
        "to_number",
        "to_name",
        "started_at",
        "answered_at",
        "ended_at",
        "duration_s",
        "cause",
        "tags",
    ]
    row = next(row for row in rows if row["native_id"] == watched.seen["native_id"])
    assert (row["from_name"], row["duration_s"]) == ("Ünal Example", "2.000")


def test_search_prints_a_table_for_people(watched: Watched) -> None:
    found = watched.run("search", "from:4455", env=_wide())
    assert watched.seen["id"] in found.stdout
    assert found.stderr.startswith(f"{len(watched.of_scenario())} of ")


def test_search_points_at_what_it_cannot_understand(watched: Watched) -> None:
    wrong = watched.run("search", "colour:red")
    assert wrong.returncode == 1
    assert wrong.stdout == ""
    assert wrong.stderr.startswith("recmon: QueryError: ")
    assert "colour" in wrong.stderr


def test_show_prints_every_field(watched: Watched) -> None:
    shown = watched.run("show", watched.seen["id"])
    assert shown.returncode == 0
    for text in (watched.seen["id"], "Ünal Example 4455", "2.0 s", "archive, folder:"):
        assert text in shown.stdout


def test_show_raw_prints_the_original_messages(watched: Watched) -> None:
    shown = watched.run("show", watched.seen["id"], "--raw")
    assert shown.returncode == 0
    assert shown.stdout.count("<?xml") >= 2
    assert watched.seen["native_id"] in shown.stdout
    assert "Ünal Example" in shown.stdout
    assert shown.stderr.count(" bytes\n") >= 2


def test_show_of_an_unknown_call_fails(watched: Watched) -> None:
    shown = watched.run("show", "east/nothing")
    assert (shown.returncode, shown.stdout) == (1, "")
    assert shown.stderr == "recmon: CallNotFound: no stored call has the id east/nothing\n"


def test_fetch_gets_the_same_file_by_call_and_by_place(watched: Watched, tmp_path: Path) -> None:
    call = watched.seen
    folder = call["recordings"][0]["locator"].removeprefix("folder:")
    path = f"{folder}/{datetime.fromisoformat(call['started_at']):%Y%m%d-%H%M%S}.wav"
    ways: list[list[str]] = [
        [call["id"]],
        ["--server", "archive", "--folder", folder],
        ["--server", "archive", "--path", path],
    ]
    files = []
    for number, words in enumerate(ways):
        target = tmp_path / f"{number}.wav"
        # The call is known in one data folder only; another one each time, so that nothing is cached.
        options = [*watched.options[:2], "--data-dir", str(tmp_path / str(number))]
        fetched = recmon("fetch", *words, "-o", target, *(options if number else watched.options))
        assert (fetched.returncode, fetched.stderr, fetched.stdout) == (0, "", f"{target}\n")
        files.append(target.read_bytes())
    assert files[0][:4] == b"RIFF"
    assert files[0] == files[1] == files[2]
    # One byte a sample, 8,000 samples a second, one channel, and a header.
    assert len(files[0]) == pytest.approx(8000 * LENGTH_S + 58, abs=50)


def test_fetch_of_several_goes_on_after_one_that_fails_and_the_cache_is_cleared(
    watched: Watched, tmp_path: Path
) -> None:
    call_id = watched.seen["id"]
    fetched = watched.run("fetch", call_id, "east/nothing", "-o", tmp_path)
    assert fetched.returncode == 1
    assert fetched.stderr.count("recmon: east/nothing: CallNotFound: ") == 1
    (file,) = tmp_path.iterdir()
    assert fetched.stdout == f"{file}\n"
    assert file.read_bytes()[:4] == b"RIFF"
    use = json.loads(watched.run("cache", "--json").stdout)
    assert use["recordings"] >= 1
    assert use["size"] >= file.stat().st_size
    cleared = json.loads(watched.run("cache", "--clear", "--json").stdout)
    assert (cleared["recordings"], cleared["size"], cleared["kept"]) == (use["recordings"], use["size"], 0)
    assert watched.run("cache").stdout.startswith("0 recordings, 0.0 MB; ")


def test_fetch_names_the_file_itself_in_the_working_folder(watched: Watched, tmp_path: Path) -> None:
    fetched = watched.run("fetch", watched.seen["id"], cwd=tmp_path)
    assert fetched.returncode == 0
    assert [file.name for file in tmp_path.iterdir()] == [fetched.stdout.strip()]


def test_wrong_access_key_is_told_after_one_request_and_nothing_is_written(tmp_path: Path) -> None:
    certificate = Certificate()
    certificate.write_ca(tmp_path / "ca.pem")
    archive = CcfsSimulator(certificate, "right", "secret", lambda path: b"", lambda path: ())
    settings, data, target = tmp_path / "settings.toml", tmp_path / "data", tmp_path / "a.wav"
    with serving(archive):
        settings.write_text(
            f'version = 1\n[[servers]]\nname = "archive"\nvendor = "huawei_ccfs"\nurl = "{archive.url}"\n'
            'access_key = "wrong"\nsecret_key = "env:E2E_SECRET"\nca_file = "ca.pem"\n'
        )
        words = ["fetch", "--server", "archive", "--path", "Y:/a.wav", "-o", target]
        fetched = recmon(
            *words, "--settings", settings, "--data-dir", data, env={**_wide(), "E2E_SECRET": "secret"}
        )
    assert fetched.returncode == 1
    assert fetched.stdout == ""
    assert fetched.stderr.startswith("recmon: AuthenticationFailed: ")
    assert "CC-FS refused the access key (401)" in fetched.stderr
    assert fetched.stderr.count("\n") == 1
    assert archive.request_count == 1
    assert not target.exists()
    assert list((data / "recordings").rglob("*.*")) == []


def test_all_mistakes_of_the_settings_are_told_with_their_lines(tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text(
        'version = 1\ncolour = "red"\n\n[[servers]]\nname = "east"\nvendor = "verba"\n[servers.events]\n'
        'host = "127.0.0.1"\n\n[[servers]]\nname = "archive"\nvendor = "huawei_ccfs"\n'
        'url = "https://127.0.0.1:1"\naccess_key = "a"\nsecret_key = "plainly written"\n'
    )
    for command in (["watch"], ["search", "x"], ["fetch", "east/1"]):
        done = recmon(*command, "--settings", settings, "--data-dir", tmp_path / "data")
        assert (done.returncode, done.stdout) == (2, "")
        told = done.stderr.splitlines()
        assert [line.startswith(f"recmon: SettingsError: {settings}:") for line in told] == [True] * 3
        assert [line.split(":")[3] for line in told] == ["2", "7", "15"]
        assert "plainly written" not in done.stderr
    assert not (tmp_path / "data").exists()


def test_wrong_usage_exits_with_2(tmp_path: Path) -> None:
    for words in (["dance"], ["fetch"], ["fetch", "--server", "a"], ["search", "--limit", "0"]):
        done = recmon(*words, "--data-dir", tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr


def test_announced_settings_can_be_read(watched: Watched) -> None:
    announcement = watched.servers.announcement
    settings = tomllib.loads(announcement["settings"])
    assert [server["name"] for server in settings["servers"]] == ["east", "west", "archive"]
    assert watched.servers.archive["secret_key"] not in announcement["settings"]
    assert [recorder["port"] > 0 for recorder in watched.servers.recorders] == [True, True]


def _wide() -> dict[str, str]:
    return environment(COLUMNS="200")
