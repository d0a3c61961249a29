"""Telephony providers from outside: a call from start to sound, and the curl lines of the documentation."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from comparing import arrived, decoded, found_at, seconds
from programs import RECMON, ROOT, Program, environment, recmon
from serving import serving
from sound import SoundSink

from recmon.simulators.conversations import recording
from recmon.simulators.people import STAFF
from recmon.simulators.scenario import Scenario, ScriptedCall
from recmon.simulators.telephony import Manner, TelephonySimulator

DRIVER = Path(__file__).with_name("telephony_driver.py")
PAGE = ROOT / "docs" / "servers.md"
LENGTH_S = 6.0
DEADLINE_S = 20.0

SERVERS = """\
[[servers]]
name = "bridge"
vendor = "telephony"
adapter = "generic"
hook_secret = "env:HOOK_SECRET"
[[servers]]
name = "zadarma"
vendor = "telephony"
adapter = "zadarma"
hook_secret = "env:HOOK_SECRET"
api_key = "env:API_KEY"
api_secret = "env:API_SECRET"
[[servers]]
name = "mango"
vendor = "telephony"
adapter = "mango"
hook_secret = "env:HOOK_SECRET"
api_key = "env:API_KEY"
api_salt = "env:API_SALT"
[[servers]]
name = "megafon"
vendor = "telephony"
adapter = "megafon"
hook_secret = "env:HOOK_SECRET"
crm_token = "env:CRM_TOKEN"
[[servers]]
name = "twilio"
vendor = "telephony"
adapter = "twilio"
hook_secret = "env:HOOK_SECRET"
account_sid = "ACdemo"
auth_token = "env:AUTH_TOKEN"
"""

SECRETS = {
    "HOOK_SECRET": "a-secret-part-of-the-address",
    "API_KEY": "demo-key",
    "API_SECRET": "s3cr3t-demo",
    "API_SALT": "demo-salt",
    "CRM_TOKEN": "demo-crm-token",
    "AUTH_TOKEN": "demo-auth-token",
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_call_of_zadarma_from_its_start_to_its_sound(tmp_path: Path) -> None:
    def keep(name: str, value: str) -> Path:
        file = tmp_path / name
        file.touch(mode=0o600)
        file.write_text(value, encoding="utf-8")
        return file

    provider = TelephonySimulator("zadarma", Scenario(1, ("zadarma",)))
    port = free_port()
    address = f"http://127.0.0.1:{port}/hooks/zadarma/{provider.hook_secret}"
    settings = tmp_path / "settings.toml"
    command = [sys.executable, str(DRIVER), str(settings), str(tmp_path / "data")]
    with SoundSink() as sink, serving(provider, provider.sender) as loop:
        settings.write_text(
            f"version = 1\n{provider.settings(keep)}\n[listener]\nport = {port}\n", encoding="utf-8"
        )
        with (
            sink.record(tmp_path / "heard.wav") as path,
            Program(command, env=environment() | sink.environment) as program,
        ):
            assert program.object()["saw"] == "live"
            call = ScriptedCall(
                server="zadarma",
                native_id="70001",
                call_id="call-1",
                direction="incoming",
                from_number="+493023125001",
                from_name="",
                to_number=STAFF[0].number,
                to_name="",
                started_at=datetime.now(UTC),
                answer_after_s=2.0,
                duration_s=LENGTH_S,
                cause_id=0,
                conversation="billing",
                codec="alaw",
                channels=2,
            )
            telling = asyncio.run_coroutine_threadsafe(provider.tell(call, address, Manner.PLAIN), loop)
            started, recorded, played = (program.object() for _ in range(3))
            telling.result(DEADLINE_S)
            assert program.wait() == 0
            assert program.errors == []
        heard = arrived(path)
    assert started["call"]["state"] == "ringing"
    assert recorded["call"] == {
        "id": "zadarma/in_70001",
        "state": "ended",
        "from": "+493023125001",
        "to": STAFF[0].number,
        "name": STAFF[0].name,
        "cause": "answered",
        "stages": ["available"],
    }
    assert recorded["states"] == ["ringing", "connected", "ended"]
    assert played["state"] == "ended"
    # By pieces: a machine under load may let the sound wait for a moment.
    sent = decoded(recording(call))
    places = [found_at(heard, seconds(sent, begin_s, begin_s + 1.5)) for begin_s in (0.5, 4.0)]
    assert min(likeness for _, likeness in places) > 0.9
    assert places[0][0] < places[1][0]
    asked = provider.recordings.requests
    assert [place.rpartition("/")[0] for place in asked] == ["/v1/pbx/record/request", "/temporary"]


@pytest.fixture(scope="module")
def watching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Program, int, list[str]]]:
    """Run `watch` with all servers that the documentation's lines send to."""
    folder, port = tmp_path_factory.mktemp("telephony"), free_port()
    settings = folder / "settings.toml"
    settings.write_text(f"version = 1\n{SERVERS}[listener]\nport = {port}\n")
    options = ["--settings", str(settings), "--data-dir", str(folder / "data")]
    with Program([*RECMON, "watch", "--json", *options], env=environment(**SECRETS)) as program:
        for _ in range(5):
            program.object(lambda line: line.get("state") == "live")
        yield program, port, options


def lines_of_the_page() -> list[str]:
    section = PAGE.read_text(encoding="utf-8").partition("### Try it")[2]
    return re.findall(r"```\n(.*?)```", section, re.DOTALL)


def send(line: str, port: int) -> str:
    """Run a block of the page in a shell; return the status of its answer."""
    line = line.replace(":8790/", f":{port}/").replace("/SECRET", f"/{SECRETS['HOOK_SECRET']}")
    line = re.sub(r"^curl ", "curl -sS -o /dev/null -w '%{http_code}' ", line, flags=re.MULTILINE)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_curl_lines_of_the_documentation_tell_of_calls(watching: tuple[Program, int, list[str]]) -> None:
    program, port, options = watching
    begin, end, *others = lines_of_the_page()
    assert len(others) == 4
    for server, line in zip(
        ("bridge", "zadarma", "mango", "megafon", "twilio"), (begin, *others), strict=True
    ):
        assert send(line, port) == "200", line
        told = program.object(lambda line: line["type"] == "call")
        assert (told["server"], told["change"], told["call"]["state"]) == (server, "started", "ringing")
        assert told["call"]["from"]["number"].lstrip("+") == "15550100111"
    assert send(end, port) == "200"
    told = program.object(lambda line: line["type"] == "call" and line["change"] == "ended")
    assert (told["call"]["id"], told["call"]["cause"]) == ("bridge/c-1001", "answered")
    recorded = program.object(lambda line: line["type"] == "recording")
    assert (recorded["call_id"], recorded["state"]) == ("bridge/c-1001", "available")
    # The link's host is not among those of the settings: nothing is asked there, and the reason says so.
    fetched = recmon("fetch", "bridge/c-1001", "-o", "never.mp3", *options, env=environment(**SECRETS))
    assert fetched.returncode == 1
    assert "LinkRefused" in fetched.stderr
    assert "pbx.example.org" in fetched.stderr
    raw = recmon("show", "bridge/c-1001", "--raw", *options, env=environment(**SECRETS))
    assert "c-1001.mp3" not in raw.stdout


def test_the_curl_lines_with_another_secret_are_refused(watching: tuple[Program, int, list[str]]) -> None:
    _, port, _ = watching
    for line in lines_of_the_page()[2:]:
        for secret in ("s3cr3t-demo", "demo-salt", "demo-crm-token", "demo-auth-token"):
            line = line.replace(secret, "guessed")
        assert send(line, port) == "401", line
