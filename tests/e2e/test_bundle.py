"""The bundle that users get: built once, then started as a program beside no Python and no checkout."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from comparing import arrived, decoded, found_at, seconds
from programs import DEADLINE_S, ROOT, Program, children, environment, is_alive, recmon, simulators
from sound import SoundSink, wait_until

import recmon as package

BUILD_S = 300.0
LARGEST_MB = 280
LENGTH_S = 4.0
QUIT_S = 5.0
CALLS = [
    {
        "server": "east",
        "after_s": 0.5 + 2.0 * number,
        "duration_s": LENGTH_S,
        "conversation": "support",
        "codec": "alaw",
    }
    for number in range(10)
]


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the bundle; it is moved, so that nothing in it depends on where it was built."""
    folder = tmp_path_factory.mktemp("bundle")
    command = [
        sys.executable, "dev.py", "build", f"--distpath={folder / 'dist'}", f"--workpath={folder / 'work'}",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=BUILD_S, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    moved = folder / "elsewhere" / "recmon"
    moved.parent.mkdir()
    (folder / "dist" / "recmon").rename(moved)
    shutil.rmtree(folder / "work")
    yield moved
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def program(bundle: Path) -> tuple[str, ...]:
    return (str(bundle / "recmon"),)


def alone(home: Path, **further: str) -> dict[str, str]:
    """Return an environment without this checkout, and with a home folder of its own."""
    kept = {
        name: value for name, value in environment().items() if not name.startswith(("PYTHON", "VIRTUAL"))
    }
    kept |= {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "XDG_DATA_HOME": str(home),
    }
    return kept | further


def test_bundle_tells_its_version(program: tuple[str, ...], tmp_path: Path) -> None:
    done = recmon("--version", program=program, env=alone(tmp_path), cwd="/")
    assert (done.returncode, done.stdout) == (0, f"recmon {package.__version__}\n")


def test_bundle_is_not_larger_than_it_was(bundle: Path) -> None:
    files = [file for file in bundle.rglob("*") if file.is_file() and not file.is_symlink()]
    assert sum(file.stat().st_size for file in files) < LARGEST_MB * 1_000_000
    assert (bundle / "_internal" / "LICENSE").exists()
    shipped = {file.name for file in (ROOT / "resources").rglob("*.svg")}
    assert {file.name for file in (bundle / "_internal" / "resources").rglob("*.svg")} == shipped


def test_bundle_runs_the_demo_with_its_own_simulated_servers(
    program: tuple[str, ...], tmp_path: Path
) -> None:
    done = recmon("demo", "--headless", "--json", "--for", 8, program=program, env=alone(tmp_path), cwd="/")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    live = {line["server"] for line in lines if line.get("state") == "live"}
    # Every adapter's module must have been found by the builder.
    assert live == {"east", "west", "cloud", "generic", "zadarma", "mango", "megafon", "twilio"}


def test_bundle_shows_its_window_and_quits_in_time(program: tuple[str, ...], tmp_path: Path) -> None:
    with simulators(tmp_path, CALLS) as servers:
        options = ["--settings", str(servers.settings), "--data-dir", str(tmp_path / "data")]
        with Program([*program, *options], env=alone(tmp_path), cwd="/") as window:
            # The window watches the servers only when it was painted.
            wait_until(
                lambda: recmon("search", "--count", *options).stdout > "0\n", DEADLINE_S, "no call came"
            )
            window.process.send_signal(signal.SIGTERM)
            assert window.wait(QUIT_S) == 130
            assert window.errors == []


def test_bundle_of_the_demo_leaves_nothing_behind(program: tuple[str, ...], tmp_path: Path) -> None:
    with Program([*program, "demo"], env=alone(tmp_path, TMPDIR=str(tmp_path)), cwd="/") as demo:
        wait_until(
            lambda: bool(list(tmp_path.glob("recmon-demo-*/data"))), DEADLINE_S, "the demo did not begin"
        )
        left = children(demo.process.pid)
        assert demo.interrupt(signal.SIGTERM) == 130
        assert demo.errors == []
    wait_until(lambda: not any(map(is_alive, left)), QUIT_S, "the simulated servers still run")
    assert list(tmp_path.iterdir()) == []


def test_bundle_fetches_shows_and_plays(program: tuple[str, ...], tmp_path: Path) -> None:
    with simulators(tmp_path, CALLS) as servers, SoundSink() as sink:
        options = ["--settings", str(servers.settings), "--data-dir", str(tmp_path / "data")]
        own = alone(tmp_path) | sink.environment | {"PATH": "/usr/bin:/bin"}
        watch = recmon("watch", "--json", "--for", LENGTH_S + 5, *options, program=program, env=own, cwd="/")
        ended = next(json.loads(line)["call"] for line in watch.stdout.splitlines() if '"ended"' in line)
        target = tmp_path / "fetched.wav"
        assert recmon("fetch", ended["id"], "-o", target, *options, program=program, env=own).returncode == 0
        listed = recmon("search", *options, program=program, env=own | {"COLUMNS": "200"})
        assert ended["id"] in listed.stdout
        with sink.record(tmp_path / "heard.wav") as path:
            played = recmon("play", ended["id"], "--json", *options, program=program, env=own)
            assert (played.returncode, played.stderr) == (0, "")
        heard = arrived(path)
    assert json.loads(played.stdout)["first_sound_ms"] > 0
    assert found_at(heard, seconds(decoded(target.read_bytes()), 0.2, LENGTH_S - 0.3))[1] > 0.9


def test_bundle_asks_the_key_store_for_secrets(program: tuple[str, ...], tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text(
        'version = 1\n[[servers]]\nname = "archive"\nvendor = "huawei_ccfs"\nurl = "https://127.0.0.1:9"\n'
        'access_key = "a"\nsecret_key = "keyring:bundle-test"\n'
    )
    done = recmon(
        "fetch", "--server", "archive", "--path", "Y:/a.wav",
        "--settings", settings, "--data-dir", tmp_path / "data",
        program=program, env=alone(tmp_path, PYTHON_KEYRING_BACKEND="keyring.backends.null.Keyring"), cwd="/",
    )  # fmt: skip
    assert done.returncode == 2
    assert "SecretMissing" in done.stderr
    assert "bundle-test" in done.stderr
