"""Web hooks made of public hostile data, through the real listener and the vendors' own parsers."""

from __future__ import annotations

import asyncio
import json
import logging
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from fault_figures import figure
from hooking import PBX, Hooked, answer_of, raw

from recmon.logs import OneLineFormatter
from recmon.services.hook_intake import HookLimits
from recmon.settings.model import Secret, SecretRef
from recmon.vendors.aculab.options import AculabOptions
from recmon.vendors.base import VendorAdapter
from recmon.vendors.hooks import HookParser
from recmon.vendors.registry import ADAPTERS
from recmon.vendors.telephony.options import TelephonyOptions

Run = Callable[..., Any]
UNLIMITED = HookLimits(rate_per_s=1e9, burst=1e9)
OPTIONS: dict[str, Any] = {
    "telephony": TelephonyOptions("generic", SecretRef("env", "X")),
    "aculab": AculabOptions(hook_secret=SecretRef("env", "X")),
}
CALL = {"call_id": "c-1", "call_direction": "in", "call_from": "1", "call_to": "2", "call_state": "inbound"}


def parser_of(vendor: str) -> HookParser:
    adapter: VendorAdapter = ADAPTERS[vendor]
    parser = adapter.hook_parser(OPTIONS[vendor], PBX, ZoneInfo("UTC"), lambda ref: Secret("s3cret"))
    assert parser is not None
    return parser


async def post(hooked: Hooked, body: bytes) -> int:
    lines = [
        f"POST /hooks/{PBX}/s3cret HTTP/1.1",
        "Host: x",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    head = "\r\n".join([*lines, "", ""])
    return answer_of(await raw(hooked.port, head.encode() + body))[0]


@pytest.mark.expects_log("pbx: ")
@pytest.mark.parametrize("vendor", OPTIONS)
def test_json_that_is_none_is_refused_and_all_other_is_read(
    run: Run, tmp_path: Path, corpora: Path, vendor: str
) -> None:
    files = sorted((corpora / "json/JSONTestSuite").rglob("*.json"))
    bad = [file.read_bytes() for file in files if file.name.startswith("n_")]
    good = [file.read_bytes() for file in files if file.name.startswith("y_")]
    either = [file.read_bytes() for file in files if file.name.startswith("i_")]
    assert (len(bad), len(good)) == (188, 95)

    def told(value: bytes) -> bytes:
        if vendor == "telephony":
            return b'{"event": {"event": "start", "direction": "in", "srcPhone": "1", "x": ' + value + b"}}"
        return b'{"application_instance_id": "r", "is_notification": true, "x": ' + value + b"}"

    async def scenario() -> None:
        statuses: Counter[int] = Counter()
        async with Hooked(tmp_path, parser=parser_of(vendor), limits=UNLIMITED) as hooked:
            await hooked.until_live()
            for body in bad:
                status = await post(hooked, body)
                assert status in (400, 422), body[:100]
                statuses[status] += 1
            refused = sum(statuses.values())
            accepted = 0
            for body in good:
                status = await post(hooked, told(body))
                assert status in (200, 204), body[:100]
                accepted += 1
            for body in [*good, *either, *map(told, either)]:
                status = await post(hooked, body)
                assert status < 500, body[:100]
                statuses[status] += 1
            figure(26, f"{vendor}: n_ refused", f"{refused} of {len(bad)}")
            figure(26, f"{vendor}: y_ accepted", f"{accepted} of {len(good)}")
            figure(26, "answers of 500 and more", sum(n for s, n in statuses.items() if s >= 500))

    run(scenario(), 300.0)


@pytest.mark.expects_log("pbx: ")
@pytest.mark.parametrize("vendor", OPTIONS)
def test_hostile_texts_in_every_field_forge_nothing(
    run: Run, tmp_path: Path, naughty_strings: list[str], vendor: str
) -> None:
    log = tmp_path / "recmon.log"
    sink = logging.FileHandler(log, encoding="utf-8", errors="backslashreplace")
    sink.setFormatter(OneLineFormatter())
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(sink)
    root.setLevel(logging.INFO)

    def told(text: str) -> list[Any]:
        if vendor == "telephony":
            event = {"event": "start", "direction": "in", "callId": text, "srcPhone": text, "dstPhone": text}
            record = {"direction": "in", "srcPhone": text, "dstPhone": "2", "call": {"url": text}, text: text}
            return [
                {"event": {**event, text: text}},
                {"event": {**event, "event": text}},
                {"callRecord": record},
            ]
        call = dict.fromkeys(CALL, text) | {"call_cause": text}
        result = {"action": text, "result": {"filename": text, text: text}}
        words = {"transcription": [{"alternatives": [{"text": text}], "final": True}], "id": text}
        return [
            {"application_instance_id": text, "this_call": {**CALL, **call}, "token": text},
            {"application_instance_id": text, "action_result": result, "is_notification": True},
            {
                "application_instance_id": text,
                "action_result": {"action": "start_transcription", "result": words},
                "is_notification": True,
            },
        ]

    async def scenario() -> int:
        async with Hooked(tmp_path, parser=parser_of(vendor), limits=UNLIMITED) as hooked:
            await hooked.until_live()
            sent = 0
            for number, text in enumerate(naughty_strings):
                values = told(text)
                # Several in one request where the form allows it, else one kind for each text.
                value = values if vendor == "telephony" else values[number % len(values)]
                status = await post(hooked, json.dumps(value).encode("utf-8", "surrogatepass"))
                assert status < 500, value
                sent += 1
            for call in await hooked.calls():
                await hooked.transcripts.of(call)
            return sent

    try:
        sent = run(scenario(), 600.0)
    finally:
        root.removeHandler(sink)
        root.setLevel(level)
        sink.close()
    lines = log.read_text("utf-8").split("\n")
    forged = [line for line in lines[:-1] if not (line.startswith("20") and "Z " in line[:25])]
    assert forged == []
    assert all(line.isprintable() for line in lines)
    figure(56, f"{vendor}: hostile hooks", sent)
    figure(56, f"{vendor}: forged lines", len(forged))


@pytest.mark.expects_log("pbx: ")
def test_hostile_requests_leave_the_listener_as_it_was(run: Run, tmp_path: Path, corpora: Path) -> None:
    with zipfile.ZipFile(corpora / "http/go-fuzz-httpreq.zip") as archive:
        names = [name for name in archive.namelist() if not name.endswith("/") and "LICENSE" not in name]
        requests = [archive.read(name) for name in names]

    async def send(port: int, data: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(data)
            # What is not whole is never answered; a whole one is within this time.
            async with asyncio.timeout(0.5):
                return await reader.read(200)
        except (OSError, TimeoutError):
            return b""
        finally:
            writer.close()

    async def scenario() -> None:
        statuses: Counter[str] = Counter()
        async with Hooked(tmp_path, parser=parser_of("telephony"), limits=UNLIMITED) as hooked:
            await hooked.until_live()
            for begin in range(0, len(requests), 50):
                answers = await asyncio.gather(
                    *(send(hooked.port, data) for data in requests[begin : begin + 50])
                )
                statuses.update(answer[9:12].decode("latin-1") for answer in answers)
            assert not [status for status in statuses if status.startswith("5") and status != "501"]
            assert (
                await post(hooked, b'{"event": {"event": "start", "direction": "in", "srcPhone": "1"}}')
                == 200
            )
            assert len(await hooked.calls()) == 1
            figure(27, "hostile requests", len(requests))
            figure(27, "crashes", 0)
            figure(27, "their answers", json.dumps(dict(sorted(statuses.items()))))

    run(scenario(), 300.0)
