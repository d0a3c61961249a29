"""The commands that run until they are ended: watch, demo and simulate, and what they leave behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from programs import RECMON, Program, children, is_alive, recmon, simulators
from serving import serving
from sound import wait_until

from recmon.simulators.verba import VerbaFaults, VerbaSimulator

STOP_S = 8.0
PAGE = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def _settings(folder: Path, ports: Mapping[str, int]) -> list[str]:
    tables = [
        f'[[servers]]\nname = "{name}"\nvendor = "verba"\n'
        f'[servers.events]\nhost = "127.0.0.1"\nport = {port}\n'
        for name, port in ports.items()
    ]
    (folder / "settings.toml").write_text("version = 1\n" + "".join(tables))
    return ["--settings", str(folder / "settings.toml"), "--data-dir", str(folder / "data")]


def test_watch_tells_what_is_wrong_with_each_server_while_another_goes_on(tmp_path: Path) -> None:
    good = VerbaSimulator(keepalive_s=1.0)
    refusing = VerbaSimulator(faults=VerbaFaults(refuse_code="7"))
    silent = VerbaSimulator(faults=VerbaFaults(is_silent=True))
    web = VerbaSimulator(faults=VerbaFaults(answer_with=PAGE))
    with socket.create_server(("127.0.0.1", 0)) as unused:
        closed = unused.getsockname()[1]
    with serving(good, refusing, silent, web) as loop:
        ports = {"good": good.port, "refusing": refusing.port, "silent": silent.port, "web": web.port}
        options = _settings(tmp_path, {**ports, "closed": closed})
        with Program([*RECMON, "watch", "--json", *options]) as program:
            told: dict[str, tuple[str, str, str]] = {}
            states: list[str] = []
            while len(told) < 4:
                line = program.object(lambda line: line["type"] == "link")
                if line["server"] == "good":
                    states.append(line["state"])
                elif line["error"] is not None:
                    told.setdefault(line["server"], (line["state"], line["error"], line["reason"]))
            loop.call_soon_threadsafe(good.begin_call, {"ccdr_id": "1", "start_time": "2026-01-01 10:00:00"})
            call = program.object(lambda line: line["type"] == "call")
            assert (call["server"], call["change"]) == ("good", "started")
            assert program.interrupt() == 130
            assert program.errors == []
    assert states == ["connecting", "subscribing", "live"]
    assert told["refusing"][:2] == ("failed", "RequestRefused")
    assert "Recorder rejected the request (code 7)" in told["refusing"][2]
    assert told["silent"][:2] == ("waiting", "IdleTimeout")
    assert "no answer to the subscription within 10 s" in told["silent"][2]
    assert told["web"][1] == "UnexpectedMessage"
    assert told["web"][2] == "HTTP answered on this port: is this the web interface?"
    assert told["closed"][:2] == ("waiting", "ConnectFailed")
    assert f"nothing listens on 127.0.0.1:{closed}" in told["closed"][2]


def test_watch_that_is_interrupted_exits_with_130(tmp_path: Path) -> None:
    with simulators(tmp_path, []) as servers:
        options = ["--settings", str(servers.settings), "--data-dir", str(tmp_path / "data")]
        with Program([*RECMON, "watch", "--json", *options]) as program:
            program.object(lambda line: line.get("state") == "live")
            assert program.interrupt() == 130
            assert program.errors == []


def test_watch_ends_quietly_when_its_reader_has_gone(tmp_path: Path) -> None:
    with serving(server := VerbaSimulator()) as loop:
        command = [*RECMON, "watch", "--json", "--for", "30", *_settings(tmp_path, {"east": server.port})]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert any(b'"live"' in line for line in iter(process.stdout.readline, b""))
            process.stdout.close()
            loop.call_soon_threadsafe(
                server.begin_call, {"ccdr_id": "1", "start_time": "2026-01-01 10:00:00"}
            )
            assert process.wait(STOP_S) == 1
            assert process.stderr.read() == b""


def test_demo_without_a_window_prints_what_watch_prints() -> None:
    demo = recmon("demo", "--headless", "--json", "--for", "3", "--servers", "3")
    assert (demo.returncode, demo.stderr) == (0, "")
    lines = [json.loads(line) for line in demo.stdout.splitlines()]
    live = {line["server"] for line in lines if line.get("state") == "live"}
    assert live == {"east", "west", "north", "cloud", "zadarma", "mango", "megafon", "twilio", "generic"}
    assert sum(line["type"] == "call" and line["change"] == "started" for line in lines) >= 8


def test_demo_prints_lines_for_people() -> None:
    demo = recmon("demo", "--headless", "--for", "2")
    assert (demo.returncode, demo.stderr) == (0, "")
    assert " live" in demo.stdout
    assert " → " in demo.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_demo_that_is_interrupted_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with Program([*RECMON, "demo", "--headless", "--json"], env=environment) as program:
        program.object(lambda line: line.get("state") == "live")
        left = children(program.process.pid)
        assert len(left) == 1
        assert program.interrupt(number) == 130
        assert program.errors == []
    wait_until(lambda: not any(map(is_alive, left)), STOP_S, "the simulated servers still run")
    assert list(tmp_path.iterdir()) == []


def test_simulated_servers_end_with_a_demo_that_was_killed(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with Program([*RECMON, "demo", "--headless", "--json"], env=environment) as program:
        program.object(lambda line: line.get("state") == "live")
        left = children(program.process.pid)
        assert [is_alive(process) for process in left] == [True]
        program.interrupt(signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, left)), STOP_S, "the simulated servers still run")


def test_simulate_ends_when_its_input_ends(tmp_path: Path) -> None:
    with Program([*RECMON, "simulate"], env={**os.environ, "TMPDIR": str(tmp_path)}) as program:
        announcement = program.object()
        assert Path(announcement["past_calls_file"]).exists()
        program.close_input()
        assert program.wait(STOP_S) == 0
        assert program.errors == []
    assert list(tmp_path.iterdir()) == []


def test_simulated_servers_take_the_ports_behind_a_base(tmp_path: Path) -> None:
    base = 23_700
    with Program([*RECMON, "simulate", "--port-base", str(base)]) as program:
        announcement = program.object()
        ports = {int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", json.dumps(announcement))}
        ports |= {server["port"] for server in announcement["servers"] if "port" in server}
        # Three of the archive and the listener, two of each recording server, one of each provider.
        assert ports == set(range(base, base + 3 + 2 * 2 + 6))
        again = recmon("simulate", "--port-base", str(base + 2))
        assert (again.returncode, again.stdout) == (2, "")
        assert "a simulated server cannot listen" in again.stderr
        assert "--port-base" in again.stderr
        assert "Traceback" not in again.stderr
        program.close_input()
        assert program.wait(STOP_S) == 0


def test_simulate_says_what_is_wrong_with_a_scenario(tmp_path: Path) -> None:
    scenario = tmp_path / "scenario.json"
    scenario.write_text('{"seed": "one", "calls": [{"server": "east"}]}')
    done = recmon("simulate", "--scenario", scenario)
    assert (done.returncode, done.stdout) == (2, "")
    assert "seed must be a whole number" in done.stderr
    assert "call 1: after_s must be" in done.stderr
