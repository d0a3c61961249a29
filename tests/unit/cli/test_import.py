from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import apsw
import pytest
from archives import call_id, make_archive, metadata

DEADLINE_S = 60.0


class Program:
    """The program with a data folder and settings of its own."""

    def __init__(self, folder: Path) -> None:
        self.data_dir = folder / "data"
        settings = folder / "settings.toml"
        settings.write_text("version = 1\n")
        self._words = [sys.executable, "-m", "recmon", "--settings", str(settings)]
        self._words += ["--data-dir", str(self.data_dir)]

    def start(self, *words: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self._words, *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONWARNINGS": "error"},
        )

    def run(self, *words: object) -> tuple[int, str, str]:
        """Return exit code, standard output and standard error."""
        process = self.start(*words)
        out, err = process.communicate(timeout=DEADLINE_S)
        return process.returncode, out, err


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)


def test_an_archive_is_imported_and_its_calls_are_found(program: Program, tmp_path: Path) -> None:
    root = make_archive(tmp_path / "old site", 120, has_media=True)
    (root / "cut.xml").write_bytes(metadata(999)[:150])
    (root / "other.xml").write_bytes(b"<other/>")
    code, out, err = program.run("import", root)
    assert (code, out) == (0, "120 new, 0 known, 1 unreadable\n")
    assert f"recmon: {root / 'cut.xml'}: " in err
    assert "recmon: XML files passed over, because no call metadata is in them: 1" in err
    code, out, err = program.run("import", root, "--server", "old site", "--zone", "Europe/Berlin")
    assert (code, out) == (0, "0 new, 120 known, 1 unreadable\n")
    code, out, _ = program.run("search", "--json", "Desk 7", "from:4007")
    (found,) = map(json.loads, out.splitlines())
    assert (code, found["id"]) == (0, f"old site/{call_id(7)}")
    assert found["recordings"][0]["locator"] == f"file:{root / 'day0' / 'rec7.wav'}"
    code, out, err = program.run("fetch", found["id"], "-o", tmp_path / "copy.wav")
    assert (code, out) == (0, f"{tmp_path / 'copy.wav'}\n")
    assert (tmp_path / "copy.wav").read_bytes() == (root / "day0" / "rec7.wav").read_bytes()


def test_what_search_prints_can_be_imported_elsewhere(program: Program, tmp_path: Path) -> None:
    program.run("import", make_archive(tmp_path / "site", 30))
    for form, name in (("--json", "calls.jsonl"), ("--csv", "calls.csv")):
        _, out, _ = program.run("search", form)
        (tmp_path / name).write_text(out)
        (tmp_path / form).mkdir()
        other = Program(tmp_path / form)
        code, told, _ = other.run("import", tmp_path / name)
        assert (code, told) == (0, "30 new, 0 known, 0 unreadable\n")
        assert other.run("search", form)[1] == out or form == "--json"


def test_an_import_of_nothing_fails(program: Program, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, out, err = program.run("import", tmp_path / "empty", tmp_path / "missing")
    assert (code, out) == (1, "0 new, 0 known, 1 unreadable\n")
    assert f"recmon: {tmp_path / 'missing'}: no such file or folder" in err
    assert "recmon: NothingImported: no call could be read from " in err.splitlines()[-1]


@pytest.mark.parametrize(
    "words", [["import"], ["import", ".", "--zone", "Mars/Base"], ["import", ".", "--server", "a/b"]]
)
def test_wrong_usage_is_refused(program: Program, words: list[str]) -> None:
    code, out, err = program.run(*words)
    assert (code, out) == (2, "")
    assert err


def stored(path: Path) -> int:
    if not path.exists():
        return 0
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return int(connection.execute("SELECT count(*) FROM calls").get)
    except apsw.SQLError:  # not made yet
        return 0
    except apsw.BusyError:
        return 0
    finally:
        connection.close()


def test_an_interrupted_import_keeps_what_was_stored(program: Program, tmp_path: Path) -> None:
    root = make_archive(tmp_path / "site", 8_000)
    process = program.start("import", root)
    database = program.data_dir / "history.sqlite3"
    give_up_at = time.monotonic() + DEADLINE_S
    while not stored(database):
        assert time.monotonic() < give_up_at
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=DEADLINE_S)
    kept = stored(database)
    assert process.returncode == 130
    assert 0 < kept < 8_000
    assert out.endswith(" new, 0 known, 0 unreadable\n")
    assert int(out.split()[0]) <= kept
