"""Rows 22 to 28, 56 and 58 of the fault table: web hooks: forged, repeated, too many, large or broken."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fault_figures import figure
from hooking import PBX, SECRET_IN_PATH, Clock, Hooked, JsonParser, answer_of, raw, request
from measuring import LoopWatch, quantile
from monitored import Monitored, verba

from recmon.domain.calls import CallKey
from recmon.domain.events import CallStarted
from recmon.logs import OneLineFormatter
from recmon.net.listener import MAX_BODY_BYTES, MAX_CONNECTIONS
from recmon.services.hook_intake import HookLimits
from recmon.services.statuses import LinkState
from recmon.simulators.verba import VerbaSimulator
from recmon.vendors.hooks import HookRequest

Run = Callable[..., Any]
UNLIMITED = HookLimits(rate_per_s=1e9, burst=1e9)
PATH = f"/hooks/{PBX}/{SECRET_IN_PATH}"
START = {"k": "start", "id": "c-1", "dir": "in", "from": "+15550100111", "to": "204"}
KEY = b"k3y"


class SignedParser(JsonParser):
    """Wants an HMAC over address and body."""

    def verify(self, request: HookRequest) -> str | None:
        wanted = hmac.new(KEY, request.path.encode() + b"\0" + request.body, hashlib.sha256).hexdigest()
        is_right = hmac.compare_digest(wanted.encode(), request.header("x-signature").encode())
        return None if is_right else "the signature is wrong"


def signature(path: str, body: bytes) -> str:
    return hmac.new(KEY, path.encode() + b"\0" + body, hashlib.sha256).hexdigest()


def changed(text: str, place: int) -> str:
    """Return a text with one letter changed."""
    place %= len(text)
    return text[:place] + ("b" if text[place] == "a" else "a") + text[place + 1 :]


def counts(hooked: Hooked) -> Any:
    return hooked.hooks.intake._doors[PBX].counts


def test_row_22_forged_requests_are_refused(run_bare: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Hooked(tmp_path, parser=SignedParser(), limits=UNLIMITED) as hooked:
            await hooked.until_live()
            body = json.dumps([START])
            genuine = signature("", body.encode())
            statuses: Counter[int] = Counter()
            for number in range(1000):
                secret, told, signed, path = SECRET_IN_PATH, body, genuine, ""
                match number % 5:
                    case 0:
                        secret = changed(secret, number // 5)
                    case 1:
                        told = changed(told, number // 5)
                    case 2:
                        signed = changed(signed, number // 5)
                    case 3:
                        path = f"/{number}"
                    case 4:
                        signed = ""
                headers = (f"X-Signature: {signed}",) if signed else ()
                status, answer = await request(
                    hooked.port, "POST", f"/hooks/{PBX}/{secret}{path}", told.encode(), *headers
                )
                statuses[status] += 1
                assert answer == b""
            assert set(statuses) <= {400, 401}
            assert statuses[401] >= 990
            assert await hooked.calls() == []
            assert hooked.book.ongoing() == ()
            assert counts(hooked).refused == statuses[401]
            assert await hooked.post(body.encode(), f"X-Signature: {genuine}") == 200
            figure(22, "forged", 1000)
            figure(22, "accepted", 1000 - statuses[401] - statuses[400])

    run_bare(scenario())


def _listening(port: int) -> list[str]:
    """Return the places of this machine where something listens on a port, as the kernel writes them."""
    table = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [line[1] for line in table if line[3] == "0A" and int(line[1].split(":")[1], 16) == port]


def test_row_22_it_listens_on_loopback_unless_told_otherwise(run_bare: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Hooked(tmp_path) as hooked:
            await hooked.until_live()
            assert _listening(hooked.port) == [f"0100007F:{hooked.port:04X}"]

    run_bare(scenario())


def test_row_23_replays_have_no_second_effect(run_bare: Run, tmp_path: Path) -> None:
    clock = Clock()
    words = {"k": "words", "id": "c-1", "said": [["from", "once", True]]}
    told = [
        [START],
        [words],
        [{"k": "recording", "id": "c-1", "rec": "r", "place": "p"}],
        [{"k": "end", "id": "c-1"}],
    ]

    async def scenario() -> None:
        replays = 0
        async with Hooked(tmp_path, now=clock) as hooked:
            await hooked.until_live()
            for body in told:
                assert await hooked.post(body) == 200
            before = await hooked.call("c-1")
            for step_s in (1, 360):
                clock.forward(seconds=step_s)
                for body in told:
                    assert await hooked.post(body) == 200
                    replays += 1
        async with Hooked(tmp_path, now=clock) as hooked:
            await hooked.until_live()
            for _ in range(5):
                for body in told:
                    assert await hooked.post(body) == 200
                    replays += 1
            assert await hooked.call("c-1") == before
            assert len(await hooked.calls()) == 1
            assert hooked.book.ongoing() == ()
            spoken = await hooked.transcripts.of(before)
            messages = await hooked.history.messages(CallKey(PBX, "c-1"))
            assert len(spoken) == 1
            assert len(messages) == 4
            figure(23, "replays", replays)
            figure(23, "double effects", len(spoken) - 1 + len(messages) - 4)

    run_bare(scenario())


@pytest.mark.parametrize("seconds", [6.0])
def test_row_24_a_flood_harms_neither_feeds_nor_loop(run_bare: Run, tmp_path: Path, seconds: float) -> None:
    """The whole row, thirty seconds with a window, is `dev.py bench hooks`."""

    async def scenario() -> None:
        async with VerbaSimulator() as recorder, Hooked(tmp_path) as hooked:
            await hooked.until_live()
            feed = Monitored([verba(recorder.port)])
            delays: list[float] = []
            sent: dict[str, float] = {}

            def heard(news: Any) -> None:
                started = [event for event in news.events if isinstance(event, CallStarted)]
                delays.extend(time.monotonic() - sent[event.facts.native_id] for event in started)

            feed.monitor.heard.subscribe(heard)
            async with feed.monitor:
                await feed.until(LinkState.LIVE)
                program = str(Path(__file__).with_name("hook_flood.py"))
                flood = await asyncio.create_subprocess_exec(
                    sys.executable,
                    program,
                    f"--port={hooked.port}",
                    f"--path={PATH}",
                    f"--seconds={seconds}",
                    "--rate=2000",
                    stdout=asyncio.subprocess.PIPE,
                )
                async with LoopWatch() as watch:
                    output = asyncio.ensure_future(flood.communicate())
                    number = 0
                    while not output.done():
                        number += 1
                        sent[f"f-{number}"] = time.monotonic()
                        recorder.begin_call({"ccdr_id": f"f-{number}", "source_caller_id": "1"})
                        await asyncio.wait([output], timeout=0.02)
                told = json.loads(output.result()[0])
            statuses = told["statuses"]
            answered = sum(statuses.values())
            assert set(statuses) <= {"200", "429"}
            # How many is a question of the machine, and the benchmark's; here nothing may go unanswered.
            assert statuses["200"] == len(told["latencies_ms"]) > 100
            assert quantile(delays, 0.99) <= 1.0
            assert watch.stall_s <= 0.1
            assert watch.peak_bytes < 100_000_000
            figure(24, "requests a second", answered / told["seconds"])
            figure(24, "taken in a second", statuses["200"] / told["seconds"])
            figure(24, "asked to come again", statuses.get("429", 0))
            figure(24, "feed delay p99 ms", quantile(delays, 0.99) * 1000)
            figure(24, "stall ms", watch.stall_s * 1000)
            figure(24, "extra MB", watch.peak_bytes / 1e6)

    run_bare(scenario(), 60.0)


async def _stream(port: int, head: str, piece: bytes, most: int) -> int:
    """Send a head and then pieces until an answer comes or the other end hangs up; return the status."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = asyncio.ensure_future(reader.readuntil(b"\r\n\r\n"))
    try:
        writer.write(head.encode())
        sent = 0
        while not answer.done() and sent < most:
            writer.write(piece)
            sent += len(piece)
            await asyncio.wait([asyncio.ensure_future(writer.drain()), answer], return_when="FIRST_COMPLETED")
            await asyncio.sleep(0)
        return answer_of(await answer)[0]
    finally:
        answer.cancel()
        writer.close()


def test_row_25_what_is_too_large_is_refused_before_it_is_kept(run_bare: Run, tmp_path: Path) -> None:
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    line = b"X-Header-%d: value\r\n"
    cases = [
        (413, f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n", b"x" * 65_536),
        (
            413,
            f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {MAX_BODY_BYTES + 1}\r\n\r\n",
            b"x" * 4096,
        ),
        (413, f"POST {PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", chunk),
        (431, f"POST {PATH} HTTP/1.1\r\nHost: x\r\n", b"".join(line % n for n in range(1000))),
        (431, f"POST {PATH} HTTP/1.1\r\nHost: x\r\nX: ", b"y" * 65_536),
        (431, f"POST {PATH}/{'a' * 100}", b"/" + b"a" * 65_536),
    ]

    async def scenario() -> None:
        async with Hooked(tmp_path, limits=UNLIMITED) as hooked:
            await hooked.until_live()
            await hooked.post([START])
            right = 0
            async with LoopWatch() as watch:
                for status, head, piece in cases * 5:
                    right += await _stream(hooked.port, head, piece, 100_000_000) == status
            assert right == len(cases) * 5
            assert watch.peak_bytes < 5_000_000
            assert await hooked.post(b" " * (MAX_BODY_BYTES - 2) + b"[]") == 200
            figure(25, "right statuses", f"{right} of {len(cases) * 5}")
            figure(25, "extra MB", watch.peak_bytes / 1e6)

    run_bare(scenario())


def test_row_27_ambiguous_framing_is_refused(run_bare: Run, tmp_path: Path) -> None:
    body = json.dumps([START])
    smuggled = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    chunked = f"{len(body):x}\r\n{body}\r\n0\r\n\r\n"
    framings = [
        (("Content-Length: 4", "Transfer-Encoding: chunked"), chunked + smuggled),
        (("Transfer-Encoding: chunked", "Content-Length: 4"), chunked + smuggled),
        (("Content-Length: 0", f"Content-Length: {len(body)}"), body + smuggled),
        ((f"Content-Length: {len(body)}", f"Content-Length: {len(body)}"), body),
        (("Content-Length: -1",), body),
        (("Content-Length: +10",), body),
        (("Content-Length: 1e3",), body),
        (("Content-Length: 10 10",), body),
        (("Transfer-Encoding: chunked, identity",), chunked),
        (("Transfer-Encoding: xchunked",), chunked),
        (("Transfer-Encoding : chunked",), chunked),
        (("Transfer-Encoding: chunked",), f"-1\r\n{body}\r\n0\r\n\r\n"),
        (("Transfer-Encoding: chunked",), f"zz\r\n{body}\r\n0\r\n\r\n"),
    ]

    async def scenario() -> None:
        async with Hooked(tmp_path, limits=UNLIMITED) as hooked:
            await hooked.until_live()
            refused = 0
            for headers, rest in framings:
                head = "\r\n".join([f"POST {PATH} HTTP/1.1", "Host: x", *headers, "", ""])
                answer = await raw(hooked.port, (head + rest).encode())
                status = answer_of(answer)[0]
                assert status in (400, 501), (headers, answer)
                assert answer.count(b"HTTP/1.") == 1, (headers, answer)
                refused += 1
            assert await hooked.calls() == []
            figure(27, "ambiguous framings refused", f"{refused} of {len(framings)}")

    run_bare(scenario())


def test_row_27_slow_senders_do_not_keep_others_out(run_bare: Run, tmp_path: Path) -> None:
    async def slow(port: int, first: bytes, stop: asyncio.Event) -> None:
        """Send a byte now and then, and come back whenever the connection is dropped."""
        while not stop.is_set():
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            try:
                writer.write(first)
                while not stop.is_set() and not writer.transport.is_closing():
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.2)
            except OSError:
                pass
            finally:
                writer.close()

    async def scenario() -> None:
        async with Hooked(tmp_path, limits=UNLIMITED) as hooked:
            await hooked.until_live()
            stop = asyncio.Event()
            heads = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nX: ".encode()
            bodies = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n".encode()
            async with asyncio.TaskGroup() as group:
                for number in range(2 * MAX_CONNECTIONS):
                    group.create_task(slow(hooked.port, heads if number % 2 else bodies, stop))
                await asyncio.sleep(1.0)
                latencies, lost = [], 0
                for number in range(200):
                    begun = time.monotonic()
                    try:
                        assert await hooked.post([{**START, "id": f"c-{number}"}]) == 200
                    except (IndexError, OSError):
                        lost += 1
                    latencies.append((time.monotonic() - begun) * 1000)
                stop.set()
            assert lost == 0
            assert quantile(latencies, 0.99) <= 200
            figure(27, "valid requests during the attack, p99 ms", quantile(latencies, 0.99))
            figure(27, "slow connections", 2 * MAX_CONNECTIONS)

    run_bare(scenario(), 60.0)


def test_row_27_a_head_and_a_body_have_deadlines(run_bare: Run, tmp_path: Path) -> None:
    from recmon.net.listener import Listener
    from recmon.settings.model import ListenerSettings

    async def scenario() -> None:
        async with Hooked(tmp_path) as hooked:
            await hooked.until_live()
            settings = ListenerSettings(port=hooked.port + 1)
            listener = Listener(
                settings, hooked.hooks.intake, hooked._now, head_deadline_s=0.3, body_deadline_s=0.3
            )
            async with listener:
                begun = time.monotonic()
                assert await raw(settings.port, b"POST /hooks") == b""
                head_s = time.monotonic() - begun
                head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1234"
                assert answer_of(await raw(settings.port, head.encode()))[0] == 408
                assert 0.25 <= head_s <= 2.0

    run_bare(scenario())


@pytest.mark.expects_log("is taken by")
def test_row_28_a_taken_port_is_told_and_the_rest_runs(run_bare: Run, tmp_path: Path) -> None:
    code = (
        "import socket, sys; s = socket.create_server(('127.0.0.1', 0)); "
        "print(s.getsockname()[1], flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    port = int(holder.stdout.readline())

    async def scenario() -> None:
        begun = time.monotonic()
        async with VerbaSimulator() as recorder, Hooked(tmp_path, port=port, retry_s=0.2) as hooked:
            await hooked.until(lambda: hooked.monitor.status(PBX).state is LinkState.FAILED)
            told_s = time.monotonic() - begun
            error = hooked.monitor.status(PBX).error
            assert str(port) in str(error)
            assert "is free" in str(error)
            if sys.platform == "linux":
                assert f"(process {holder.pid})" in str(error)
            feed = Monitored([verba(recorder.port)])
            async with feed.monitor:
                await feed.until(LinkState.LIVE)
            holder.stdin.close()
            await hooked.until_live()
            assert await hooked.post([START]) == 200
        assert told_s <= 3.0
        figure(28, "told after s", told_s)

    with holder:
        run_bare(scenario())


HOSTILE = [
    "\r\nFORGED 2026",
    "\n2026-11-21T09:00:00.000Z ERROR forged: x",
    "\x1b[2J",
    "\u202e",
    "\x00",
    "\x85",
    "\u2028",
]


@pytest.mark.expects_log("pbx: ")
def test_row_56_no_hook_forges_a_line_of_the_log(run_bare: Run, tmp_path: Path) -> None:
    log = tmp_path / "recmon.log"
    sink = logging.FileHandler(log, encoding="utf-8", errors="backslashreplace")
    sink.setFormatter(OneLineFormatter())
    root = logging.getLogger()
    root.addHandler(sink)
    level = root.level
    root.setLevel(logging.DEBUG)

    async def scenario() -> None:
        async with Hooked(tmp_path, limits=UNLIMITED) as hooked:
            await hooked.until_live()
            for text in HOSTILE:
                told = {**START, "id": text, "from": text}
                await hooked.post([told])
                await hooked.post([{"k": "warning", "text": text}])
                await hooked.post([{"k": text}])
                await hooked.post(text.encode(), path="/below", secret="wrong")
                bad = f"POST {PATH} HTTP/1.1\r\nHost: x\r\n{text}\r\n\r\n"
                await raw(hooked.port, bad.encode("utf-8", "surrogateescape"))

    try:
        run_bare(scenario())
    finally:
        root.removeHandler(sink)
        root.setLevel(level)
        sink.close()
    lines = log.read_text("utf-8").split("\n")
    assert lines.pop() == ""
    forged = [line for line in lines if not line.startswith("20") or "Z " not in line[:25]]
    assert forged == []
    shown = "".join(lines)
    assert shown.isprintable()
    assert len(lines) >= len(HOSTILE)
    figure(56, "texts", len(HOSTILE) * 5)
    figure(56, "forged lines", len(forged))


def test_row_58_a_hook_makes_no_request(run_bare: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        connects = 0

        async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connects
            connects += 1
            writer.close()

        trap = await asyncio.start_server(count, "127.0.0.1", 0)
        port = trap.sockets[0].getsockname()[1]
        links = [f"http://127.0.0.1:{port}/a.wav", f"http://2130706433:{port}/", f"file:///etc/passwd?{port}"]
        async with trap, Hooked(tmp_path) as hooked:
            await hooked.until_live()
            for number, link in enumerate(links):
                told = {"k": "recording", "id": f"c-{number}", "rec": f"r-{number}", "place": link}
                assert await hooked.post([{**START, "id": f"c-{number}"}, told]) == 200
                call = await hooked.call(f"c-{number}")
                assert call.told[0].locator == link
            assert connects == 0
            figure(58, "requests made on receiving", connects)

    run_bare(scenario())
