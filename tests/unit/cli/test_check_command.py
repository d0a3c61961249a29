"""`recmon check` as a person and as a script use it."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from recmon.cli import dispatch
from recmon.simulators.verba import VerbaFaults, VerbaSimulator

STEPS = ["name", "tcp", "tls", "first bytes", "probe", "subscribe"]


@contextmanager
def recorder(faults: VerbaFaults | None = None) -> Iterator[int]:
    """Run a simulated recorder in a thread, because the command has a loop of its own; yields its port."""
    started, ports = threading.Event(), []
    stop: list[Callable[[], Any]] = []

    async def serve() -> None:
        over = asyncio.Event()
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(over.set))
        async with VerbaSimulator(faults=faults) as simulator:
            ports.append(simulator.port)
            started.set()
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert started.wait(10)
        yield ports[0]
    finally:
        stop[0]()
        thread.join(10)


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


@pytest.fixture
def check(tmp_path: Path) -> Callable[..., int]:
    """Run the command on servers given as names and ports."""

    def command(servers: dict[str, int], *words: str) -> int:
        tables = [
            f'[[servers]]\nname = "{name}"\nvendor = "verba"\n'
            f'[servers.events]\nhost = "127.0.0.1"\nport = {port}\n'
            for name, port in servers.items()
        ]
        settings = tmp_path / "settings.toml"
        settings.write_text("\n".join(["version = 1", *tables]), encoding="utf-8")
        return dispatch.main(["check", *words, "--settings", str(settings)])

    return command


def test_a_sound_server_is_told_in_aligned_lines(
    check: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    with recorder() as port:
        assert check({"east": port}) == 0
    said = capsys.readouterr()
    title, *lines = said.out.splitlines()
    assert title == "east"
    assert [line[12:25].strip() for line in lines] == STEPS
    assert lines[0].startswith("  ✓ ok      name         127.0.0.1 is an address (")
    assert lines[2] == "  · skipped tls          not used: clear text, as the settings say"
    assert said.err == ""


def test_a_failure_says_what_to_do_and_ends_with_one(
    check: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    assert check({"east": port}) == 1
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[2].startswith(f"  ✗ failed  tcp          nothing listens on 127.0.0.1:{port}")
    assert lines[3].strip() == "-> Check the port in the settings, and whether the service runs."
    assert lines[-1].strip() == "· skipped subscribe    not reached"
    assert said.err == "recmon: CheckFailed: something is wrong with east; see the steps\n"


def test_json_has_one_object_a_step(check: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    with recorder(VerbaFaults(refuse_code="2")) as port:
        assert check({"east": port}, "--json") == 1
    steps = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [step["step"] for step in steps] == STEPS
    assert [list(step) for step in steps] == [["server", "step", "verdict", "text", "advice", "took_ms"]] * 6
    assert [step["verdict"] for step in steps] == ["ok", "ok", "skipped", "ok", "ok", "failed"]
    assert all(step["server"] == "east" and step["took_ms"] >= 0 for step in steps)


def test_servers_are_grouped_in_the_order_of_the_settings(
    check: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    with recorder() as port:
        servers = {"slow": port, **{f"closed {number}": free_port() for number in range(12)}}
        assert check(servers, "--json") == 1
    told = [json.loads(line)["server"] for line in capsys.readouterr().out.splitlines()]
    assert told == [name for name in servers for _ in STEPS]


def test_only_the_named_servers_are_checked(
    check: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    with recorder() as port:
        assert check({"east": port, "west": free_port()}, "east", "east", "--json") == 0
    assert len(capsys.readouterr().out.splitlines()) == len(STEPS)


def test_an_unknown_name_is_wrong_usage_and_checks_nothing(
    check: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert check({"east": 1, "west": 2}, "east", "nobody") == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "recmon: no server is called nobody; known are: east, west\n"


def test_settings_without_servers_are_wrong_usage(
    check: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert check({}) == 2
    assert "no server is configured" in capsys.readouterr().err
