"""Aculab Cloud from outside: page requests sent as users send them, and what the commands then show."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from programs import RECMON, ROOT, Program, recmon
from serving import serving
from sound import wait_until

from recmon.simulators.aculab import AculabWebSimulator, MediaFile
from recmon.simulators.certificates import Certificate
from recmon.simulators.conversations import recording
from recmon.simulators.scenario import ScriptedCall

SAMPLES = Path(__file__).parents[1] / "samples" / "aculab"
DEADLINE_S = 20.0
SECRET, KEY = "a-secret-part-of-the-address", "key-of-the-account"
USER = "1-2-0/user@example.com"
RUN = "7c1e40aa93b2d658"
SOUND = recording(
    ScriptedCall(
        "cloud", "1", "1", "incoming", "1", "", "2", "", datetime(2026, 11, 21, tzinfo=UTC), 1, 9, 0,
        "support", "alaw", 1,
    )
)  # fmt: skip


@dataclass(frozen=True)
class Cloud:
    """A running `watch` on one cloud account, and how to send to it."""

    program: Program
    options: list[str]
    address: str
    services: AculabWebSimulator

    def post(self, sample: str, *, path: str = "/copy") -> tuple[int, str]:
        """Send a sample with curl, as a user would; return status and body."""
        return curl("--data-binary", f"@{SAMPLES / sample}.json", f"{self.address}{path}")

    def seen(self, kind: str, **values: Any) -> dict[str, Any]:
        """Return the next line of a kind with these values."""
        return self.program.object(
            lambda line: line["type"] == kind and all(line[name] == value for name, value in values.items())
        )

    def run(self, *words: str | Path) -> str:
        done = recmon(*words, *self.options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def found(self, query: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.run("search", query, "--json").splitlines()]


def curl(*words: str | Path) -> tuple[int, str]:
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--write-out", "\n%{http_code}", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=True,
    )
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


@contextmanager
def watching(folder: Path, *, is_pushed: bool = True) -> Iterator[Cloud]:
    """Run `watch` with a cloud account of simulated web services, which tells its calls or is only asked."""
    certificate = Certificate()
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=26)
    name = f"/rest_api/recordings/{at:%Y/%m/%d}/rest_{at:%H_%M_%S}_{RUN}.77.wav"
    listed = (MediaFile(name, at + timedelta(seconds=9), len(SOUND)),)
    record = {
        "application_name": "desk",
        "start_time": int(at.timestamp()),
        "stop_time": int(at.timestamp()) + 9,
    }
    services = AculabWebSimulator(
        certificate, USER, KEY, lambda name: SOUND, lambda: listed, lambda run: {"adr": record, "cdrs": []}
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for name, value in (("hook", SECRET), ("key", KEY)):
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(value)
    settings = folder / "settings.toml"
    options = ["--settings", str(settings), "--data-dir", str(folder / "data")]
    with serving(services):
        settings.write_text(
            'version = 1\n[[servers]]\nname = "cloud"\nvendor = "aculab"\n'
            f'url = "{services.url}"\nuser = "{USER}"\naccess_key = "file:{folder / "key"}"\n'
            f'fingerprint = "{certificate.fingerprint}"\n'
            + (f'hook_secret = "file:{folder / "hook"}"\n' if is_pushed else "")
            + f"[listener]\nport = {port}\n"
        )
        with Program([*RECMON, "watch", "--json", *options]) as program:
            if is_pushed:
                program.object(lambda line: line.get("state") == "live")
            yield Cloud(program, options, f"http://127.0.0.1:{port}/hooks/cloud/{SECRET}", services)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with watching(tmp_path_factory.mktemp("cloud")) as running:
        yield running


def test_a_call_is_told_from_its_ringing_to_its_recording(cloud: Cloud, tmp_path: Path) -> None:
    call_id = f"cloud/{RUN}.20417.118290544"
    assert cloud.post("ringing") == (200, '{"actions": []}')
    started = cloud.seen("call", change="started")["call"]
    assert (started["id"], started["state"], started["direction"]) == (call_id, "ringing", "incoming")
    assert cloud.post("inbound")[0] == 200
    assert cloud.seen("call", change="updated")["call"]["state"] == "connected"
    assert cloud.post("transcription") == (204, "")
    said = cloud.seen("transcript")
    assert (said["call_id"], said["side"], said["final"]) == (call_id, "to", True)
    assert said["text"] == "good evening what is this about"
    assert cloud.post("final") == (200, '{"actions": []}')
    ended = cloud.seen("call", change="ended")["call"]
    assert (ended["cause"], ended["from"]["number"]) == ("completed", "sip:ada@customer.example")
    told = cloud.seen("recording")
    assert (told["call_id"], told["state"]) == (call_id, "expected")

    [row] = cloud.found("from:ada@customer")
    assert (row["id"], row["state"], row["approximate"]) == (call_id, "ended", True)
    assert row["cdr"]["call_recording_filename"].endswith(f"rest_09_15_02_{RUN}.20417.wav")
    assert [one["id"] for one in cloud.found("has:transcript text:evening")] == [call_id]
    shown = cloud.run("show", call_id)
    assert "all actions were done" in shown
    assert "evening desk" in shown
    assert "evening desk" not in cloud.run("show", call_id, "--raw")
    cloud.run("fetch", call_id, "-o", tmp_path / "a.wav")
    assert (tmp_path / "a.wav").read_bytes() == SOUND


def test_every_other_sample_is_the_right_row(cloud: Cloud) -> None:
    assert cloud.post("outbound")[0] == 200
    assert cloud.seen("call")["call"]["direction"] == "outgoing"
    assert cloud.post("recording_available") == (204, "")
    told = cloud.seen("recording")
    assert (told["call_id"], told["state"]) == (f"cloud/{RUN}.5120.902114387", "available")
    assert cloud.post("error")[0] == 200
    call = cloud.seen("call", change="started")["call"]
    assert (call["state"], call["cdr"]["error_result.action"]) == ("ringing", "reject")
    assert cloud.post("interrupted")[0] == 200
    call = cloud.seen("call")["call"]
    assert call["cdr"]["action_result.send_fax.interrupted"] == "true"
    assert cloud.post("fax_progress") == (204, "")
    call = cloud.seen("call")["call"]
    assert call["cdr"]["action_progress.receive_fax.pages_received"] == "1"
    assert cloud.post("dropped_calls")[0] == 200
    ended = [cloud.seen("call", change="ended")["call"] for _ in range(3)]
    assert [one["cause"] for one in ended] == ["hung up", "dropped", "dropped"]
    rows = cloud.found("cause:dropped")
    assert {one["to"]["number"] for one in rows} == {"442079460152", "442079460153"}


@pytest.mark.parametrize(
    "sample",
    [
        "outbound_without_comma",
        "error_without_quote",
        "recording_available_without_quote",
        "interrupted_without_quote",
    ],
)
def test_a_broken_sample_is_refused_shown_and_not_repaired(cloud: Cloud, sample: str) -> None:
    before = len(cloud.found(""))
    status, _ = cloud.post(sample)
    assert status == 400
    line = cloud.seen("unrecognised")
    assert re.search(r"line \d+, column \d+", line["reason"]), line
    assert line["excerpt"]
    assert len(cloud.found("")) == before


def test_the_document_may_come_as_an_argument(cloud: Cloud) -> None:
    text = (SAMPLES / "final.json").read_text().replace("20417", "31000")
    status, _ = curl("--get", "--data-urlencode", f"instance_info={text}", f"{cloud.address}/copy")
    assert status == 200
    assert cloud.seen("call", change="ended")["call"]["native_id"] == f"{RUN}.31000.118290544"


def test_a_service_that_points_here_by_mistake_is_warned_of(tmp_path: Path) -> None:
    with watching(tmp_path) as cloud:
        assert cloud.post("inbound", path="") == (200, '{"actions": []}')
        wait_until(lambda: bool(cloud.program.errors), DEADLINE_S, "nothing was warned of")
        [line] = cloud.program.errors
        assert "The first page of a service of cloud points at recmon by mistake" in line


def test_check_and_straight_fetch_use_the_web_services(cloud: Cloud, tmp_path: Path) -> None:
    assert "user and access key were accepted" in cloud.run("check", "cloud")
    name = "/rest_api/recordings/2026/11/21/a.wav"
    cloud.run("fetch", "--server", "cloud", "--path", name, "-o", tmp_path / "a.wav")
    assert (tmp_path / "a.wav").read_bytes() == SOUND


def test_recordings_of_an_account_that_pushes_nothing_are_past_calls(tmp_path: Path) -> None:
    with watching(tmp_path, is_pushed=False) as cloud:
        wait_until(lambda: len(cloud.found("")) == 1, DEADLINE_S, "the recording was not listed")
        [row] = cloud.found("has:recording")
        assert (row["duration_s"], row["approximate"]) == (9, False)
        assert row["cdr"]["application_instance_id"] == f"{RUN}.77"
        cloud.run("fetch", row["id"], "-o", tmp_path / "a.wav")
        assert (tmp_path / "a.wav").read_bytes() == SOUND


def test_the_curl_line_of_the_documentation_works(cloud: Cloud) -> None:
    page = (ROOT / "docs" / "servers.md").read_text()
    section = page[page.index("## Aculab Cloud") :]
    line = re.search(r"```\n\$ (curl .*?)\n\{\"actions\"", section, re.DOTALL)
    assert line is not None
    command = line[1].replace("http://127.0.0.1:8790/hooks/cloud/SECRET", cloud.address)
    done = subprocess.run(
        f"{command} --silent", shell=True, capture_output=True, text=True, timeout=DEADLINE_S, check=True
    )
    assert done.stdout.strip() == '{"actions": []}'
    assert cloud.seen("call", change="started")["call"]["from"]["number"] == "442079460113"
