from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from hooking import PBX, SECRET, SECRET_IN_PATH, Clock, Hooked, JsonParser, free_port, request, utc_now

from recmon.domain.callbook import CallBook
from recmon.domain.calls import CallKey, CallState, RecordingRef, RecordingStage
from recmon.domain.query import parse_query
from recmon.domain.transcripts import Phrase, Side
from recmon.errors import PortTaken, SecretMissing, StoreError
from recmon.services.hook_intake import HookLimits
from recmon.services.hook_joining import RecordingNews
from recmon.services.hooks import HookedServer
from recmon.services.statuses import Gap, LinkState
from recmon.services.transcripts import TranscriptChange
from recmon.settings.model import ListenerSettings
from recmon.store.database import Connection
from recmon.store.journal import MessageKind

Run = Callable[..., Any]
PATH = f"/hooks/{PBX}/{SECRET_IN_PATH}"
START = {"k": "start", "id": "c-1", "dir": "in", "from": "+15550100111", "to": "204"}
END = {"k": "end", "id": "c-1"}
RECORDED = {"k": "recording", "id": "c-1", "rec": "r-1", "place": "file:1.wav", "s": 73.0}


def test_a_hook_is_stored_before_it_is_answered(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Hooked(tmp_path) as hooked:
            await hooked.until_live()
            assert await hooked.post([START]) == 200
            call = await hooked.call("c-1")
            assert call.state is CallState.CONNECTED
            assert call.caller.number == "+15550100111"
            (message,) = await hooked.history.messages(call.key)
            assert message.kind is MessageKind.STARTED
            assert b'"from": "+15550100111"' in message.data
            assert await hooked.post([END, RECORDED]) == 200
            call = await hooked.call("c-1")
            assert call.state is CallState.ENDED
            assert call.recordings == (RecordingRef(PBX, "file:1.wav"),)
            assert call.told[0].duration_s == 73.0
            await hooked.until(lambda: _counts(hooked).accepted == 2)

    run(scenario())


def _counts(hooked: Hooked) -> Any:
    return hooked.monitor.status(PBX).hooks


@pytest.mark.expects_log("the disk is full")
def test_a_hook_that_cannot_be_stored_is_answered_with_an_error_and_counts_when_it_comes_again(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with Hooked(tmp_path) as hooked:
            await hooked.until_live()
            submit = hooked.database.submit

            def refuse(job: Any) -> Future[Any]:
                refused: Future[Any] = Future()
                refused.set_exception(StoreError("recmon.db", "the disk is full"))
                return refused

            words = {"k": "words", "id": "c-1", "said": [["from", "hello there", True]]}
            with monkeypatch.context() as patch:
                patch.setattr(hooked.database, "submit", refuse)
                assert await hooked.post([START, words]) == 500
            assert hooked.database.submit == submit
            assert await hooked.post([START, words]) == 200
            call = await hooked.call("c-1")
            assert await hooked.transcripts.of(call) == (Phrase("hello there", Side.CALLER),)
            await hooked.until(lambda: _counts(hooked).not_stored == 1 and _counts(hooked).accepted == 1)

    run(scenario())


@pytest.mark.parametrize("delivery", [None, "d-1"])
def test_a_repeated_delivery_counts_once_also_after_a_restart(
    run: Run, tmp_path: Path, delivery: str | None
) -> None:
    said = {"k": "words", "id": "c-1", "said": [["to", "twice?", True]]}
    told = {"events": [START, said], "delivery": delivery, "answer": "thanks"}

    async def scenario() -> None:
        async with Hooked(tmp_path) as hooked:
            await hooked.until_live()
            answers = await asyncio.gather(*(hooked.post(told) for _ in range(5)))
            assert answers == [200] * 5
            assert await hooked.post([END]) == 200
            await hooked.until(lambda: (_counts(hooked).accepted, _counts(hooked).repeated) == (2, 4))
        async with Hooked(tmp_path) as hooked:
            await hooked.until_live()
            path = f"/hooks/pbx/{SECRET.replace(' ', '%20').replace('/', '%2F')}"
            status, body = await request(hooked.port, "POST", path, json.dumps(told).encode())
            assert (status, body) == (200, b"thanks")
            assert hooked.book.ongoing() == ()
            call = await hooked.call("c-1")
            assert call.state is CallState.ENDED
            assert len(await hooked.transcripts.of(call)) == 1
            await hooked.until(lambda: _counts(hooked).repeated == 1)

    run(scenario())


@pytest.mark.parametrize(
    ("server", "secret", "status"),
    [("pbx", "wrong", 401), ("pbx", "", 401), ("other", "wrong", 404)],
)
def test_a_wrong_address_is_refused_and_nothing_is_kept(
    run: Run, tmp_path: Path, server: str, secret: str, status: int
) -> None:
    async def scenario() -> None:
        async with Hooked(tmp_path) as hooked:
            await hooked.until_live()
            assert await hooked.post([START], server=server, secret=secret) == status
            assert await hooked.calls() == []
            assert hooked.book.ongoing() == ()
            if server == "pbx":
                await hooked.until(lambda: _counts(hooked).refused == 1)
                assert "secret" in _counts(hooked).refusal

    run(scenario())


def test_a_wrong_signature_is_refused_counted_and_told(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Hooked(tmp_path) as hooked:
            await hooked.until_live()
            assert await hooked.post([START], "X-Signature: bad") == 401
            assert await hooked.calls() == []
            await hooked.until(lambda: _counts(hooked).refused == 1)
            assert _counts(hooked).refusal == "the signature is wrong"
            assert _counts(hooked).accepted == 0

    run(scenario())


@pytest.mark.parametrize(("body", "status"), [(b"{", 400), (b'[{"k": "sneeze"}]', 422)])
def test_what_cannot_be_read_is_refused_and_kept_for_the_log(
    run: Run, tmp_path: Path, body: bytes, status: int
) -> None:
    async def scenario() -> None:
        async with Hooked(tmp_path) as hooked:
            await hooked.until_live()
            heard: list[Any] = []
            hooked.hooks.intake.heard.subscribe(heard.append)
            assert await hooked.post(body) == status
            (told,) = heard[0].events
            assert told.reason.startswith(("no JSON", "no such kind"))
            assert body in told.message.data
            await hooked.until(lambda: _counts(hooked).unreadable == 1)

    run(scenario())


@pytest.mark.expects_log("a fault in this program")
def test_a_fault_in_a_parser_costs_one_hook(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Hooked(tmp_path) as hooked:
            await hooked.until_live()
            assert await hooked.post(b'"fault"') == 400
            assert await hooked.post([START]) == 200

    run(scenario())


def test_a_recording_waits_for_its_call_over_a_restart(run: Run, tmp_path: Path) -> None:
    told = {"events": [{"k": "recording", "rec": "r-1", "place": "p"}], "run": "run-1"}

    async def scenario() -> None:
        async with Hooked(tmp_path) as hooked:
            await hooked.until_live()
            news: list[RecordingNews] = []
            hooked.hooks.intake.recordings.subscribe(news.append)
            assert await hooked.post(told) == 200
            assert [n.key for n in news] == [None]
            await hooked.until(lambda: _counts(hooked).unattached == 1)
            assert await hooked.calls() == []
        async with Hooked(tmp_path) as hooked:
            await hooked.until_live()
            (waiting,) = hooked.hooks.intake.unattached(PBX)
            assert waiting.ref == RecordingRef(PBX, "p")
            assert await hooked.post({"events": [START], "run": "run-1"}) == 200
            assert hooked.hooks.intake.unattached(PBX) == ()
            assert (await hooked.call("c-1")).recordings == (RecordingRef(PBX, "p"),)
        async with Hooked(tmp_path) as hooked:
            await hooked.until_live()
            assert hooked.hooks.intake.unattached(PBX) == ()

    run(scenario())


def test_a_recording_finds_a_call_that_only_the_store_knows(run: Run, tmp_path: Path) -> None:
    clock = Clock()

    async def scenario() -> None:
        async with Hooked(tmp_path, now=clock) as hooked:
            await hooked.until_live()
            assert await hooked.post([START, END]) == 200
        clock.forward(hours=23)
        async with Hooked(tmp_path, now=clock) as hooked:
            await hooked.until_live()
            stranger = {"k": "recording", "rec": "r-9", "place": "p", "from": "15550100111", "to": "204"}
            assert await hooked.post([stranger]) == 200
            (call,) = await hooked.calls()
            assert call.told[0].recording_id == "r-9"
            assert call.state is CallState.ENDED
            assert hooked.book.ongoing() == ()

    run(scenario())


def test_words_are_stored_told_and_found(run: Run, tmp_path: Path) -> None:
    def words(said: str, is_final: bool) -> dict[str, Any]:
        return {"k": "words", "id": "c-1", "t": "t", "said": [["from", said, is_final]]}

    async def scenario() -> None:
        async with Hooked(tmp_path) as hooked:
            await hooked.until_live()
            changes: list[TranscriptChange] = []
            hooked.transcripts.changed.subscribe(changes.append)
            await hooked.post([START])
            await hooked.post([words("I want my mon", False)])
            await hooked.post([words("I want my money back", True)])
            await hooked.post([words("Straße 7", True)])
            call = await hooked.call("c-1")
            assert call.has_transcript
            assert [p.text for p in await hooked.transcripts.of(call)] == ["I want my money back", "Straße 7"]
            assert [c.told[0].text for c in changes] == ["I want my mon", "I want my money back", "Straße 7"]
            await hooked.post([END, {**START, "id": "c-2"}, {**END, "id": "c-2"}])
            for text, found in (
                ("has:transcript", ["c-1"]),
                ("-has:transcript", ["c-2"]),
                ('text:"MONEY back"', ["c-1"]),
                ("text:money*back", ["c-1"]),
                ("text:strasse", ["c-1"]),
                ("text:ba", ["c-1"]),
                ("-text:money", ["c-2"]),
                ("text:mon,7 dir:in", ["c-1"]),
                ("text:back*money", []),
                ("money", []),
            ):
                query = parse_query(text, now=utc_now(), zone=utc_now().tzinfo)  # type: ignore[arg-type]
                page = await hooked.history.search(query, limit=10)
                assert [c.key.native_id for c in page.calls] == found, text
                assert await hooked.history.count(query) == len(found)

    run(scenario())


def test_words_of_a_run_wait_for_its_call(run: Run, tmp_path: Path) -> None:
    words = {"events": [{"k": "words", "said": [[None, "early", True]]}], "run": "run-1"}

    async def scenario() -> None:
        async with Hooked(tmp_path) as hooked:
            await hooked.until_live()
            await hooked.post(words)
        async with Hooked(tmp_path) as hooked:
            await hooked.until_live()
            await hooked.post({"events": [START], "run": "run-1"})
            call = await hooked.call("c-1")
            assert call.has_transcript
            assert await hooked.transcripts.of(call) == (Phrase("early"),)

    run(scenario())


def test_a_flood_is_asked_to_come_again(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Hooked(tmp_path, limits=HookLimits(rate_per_s=0.001, burst=3)) as hooked:
            await hooked.until_live()
            answers = [await hooked.post([{**START, "id": f"c-{n}"}]) for n in range(5)]
            assert answers == [200, 200, 200, 429, 429]
            await hooked.until(lambda: _counts(hooked).refused == 2)
            assert "too many" in _counts(hooked).refusal

    run(scenario())


def test_answers_of_a_flood_come_in_order_over_one_connection(run: Run, tmp_path: Path) -> None:
    def posted(number: int) -> bytes:
        body = json.dumps([{**START, "id": f"c-{number}"}])
        return f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()

    async def scenario() -> None:
        async with Hooked(tmp_path, limits=HookLimits(rate_per_s=0.001, burst=2)) as hooked:
            await hooked.until_live()
            reader, writer = await asyncio.open_connection("127.0.0.1", hooked.port)

            async def status() -> int:
                head = await reader.readuntil(b"\r\n\r\n")
                assert b"\r\nServer: recmon\r\n" in head
                assert (b"Retry-After: 1" in head) is (b" 429 " in head)
                assert b"Content-Length: 0" in head
                return int(head.split()[1])

            for number, expected in enumerate([200, 200, 429, 429]):
                writer.write(posted(number))
                assert await status() == expected
            # Before the answer to the one before has come, in pieces, and again one by one.
            writer.write(posted(4) + posted(5) + posted(6)[:30])
            assert [await status(), await status()] == [429, 429]
            writer.write(posted(6)[30:])
            assert await status() == 429
            writer.write(posted(7))
            assert await status() == 429
            writer.write(posted(8).replace(b"/hooks/", b"/other/"))
            assert await status() == 404
            writer.close()
            await hooked.until(lambda: _counts(hooked).refused == 6)
            assert len(await hooked.calls()) == 2

    run(scenario())


@pytest.mark.expects_log("is taken by")
def test_a_taken_port_is_told_with_a_free_one_and_can_be_changed(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        taken = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
        port = taken.sockets[0].getsockname()[1]
        async with taken, Hooked(tmp_path, port=port) as hooked:
            gaps: list[Gap] = []
            hooked.monitor.gap_changed.subscribe(gaps.append)
            await hooked.until(lambda: hooked.monitor.status(PBX).state is LinkState.FAILED)
            error = hooked.monitor.status(PBX).error
            assert isinstance(error, PortTaken)
            assert error.port == port
            assert error.free_port is not None
            assert hooked.monitor.status(PBX).retry_at is not None
            hooked.hooks.use_port(error.free_port)
            hooked.port = error.free_port
            await hooked.until_live()
            assert await hooked.post([START]) == 200
            assert [gap.ended is None for gap in gaps] == [True, False]

    run(scenario())


def test_changed_settings_are_followed_and_what_is_under_way_is_answered(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Hooked(tmp_path) as hooked:
            await hooked.until_live()
            begun, held = asyncio.Event(), threading.Event()
            hooked.book.changed.subscribe(lambda change: begun.set())
            holding = asyncio.create_task(hooked.database.write(lambda connection: held.wait(30)))
            posting = asyncio.create_task(hooked.post([START]))
            await begun.wait()
            other = free_port()
            given = [HookedServer(PBX, lambda: JsonParser("second"))]
            assert await hooked.hooks.follow(given, ListenerSettings(port=other)) == ()
            held.set()
            await holding
            assert await posting == 200
            hooked.port = other
            await hooked.until_answered([END], secret="second")
            assert await hooked.post([START]) == 401
            assert (
                hooked.hooks.address(PBX, shows_secret=True) == f"http://127.0.0.1:{other}/hooks/pbx/second"
            )
            assert (await hooked.call("c-1")).state is CallState.ENDED

    run(scenario())


@pytest.mark.expects_log("web hooks of pbx")
def test_a_secret_that_is_gone_leaves_the_one_of_before(run: Run, tmp_path: Path) -> None:
    def lost() -> Any:
        raise SecretMissing(("env:HOOK: there is no such variable",))

    async def scenario() -> None:
        async with Hooked(tmp_path) as hooked:
            await hooked.until_live()
            same = ListenerSettings(port=hooked.port)
            (failure,) = await hooked.hooks.follow([HookedServer(PBX, lost)], same)
            assert isinstance(failure, SecretMissing)
            assert await hooked.post([START]) == 200
            assert hooked.monitor.status(PBX).state is LinkState.LIVE

    run(scenario())


@pytest.mark.expects_log("web hooks of pbx")
def test_a_secret_that_was_missing_and_a_server_that_goes_are_followed(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Hooked(tmp_path, parser=JsonParser("")) as hooked:
            await hooked.until(lambda: hooked.monitor.status(PBX).state is LinkState.FAILED)
            same = ListenerSettings(port=hooked.port)
            assert await hooked.hooks.follow([HookedServer(PBX, JsonParser)], same) == ()
            await hooked.until_live()
            assert await hooked.post([START]) == 200
            assert await hooked.hooks.follow([], same) == ()
            assert await hooked.post([END]) == 404
            assert hooked.monitor.status(PBX).state is LinkState.STOPPED
            assert [call.is_confirmed for call in hooked.book.ongoing()] == [False]

    run(scenario())


def test_the_address_is_shown_masked_and_a_test_goes_through_it(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Hooked(tmp_path) as hooked:
            await hooked.until_live()
            masked = hooked.hooks.address(PBX, shows_secret=False)
            assert masked == f"http://127.0.0.1:{hooked.port}/hooks/pbx/****"
            full = hooked.hooks.address(PBX, shows_secret=True)
            assert full == f"http://127.0.0.1:{hooked.port}/hooks/pbx/s3cret%20path%2Fpart"
            result = await hooked.hooks.send_test(PBX)
            assert result.is_well
            assert await hooked.calls() == []
        result = await hooked.hooks.send_test(PBX)
        assert not result.is_well
        assert "s3cret" not in result.sentence

    run(scenario())


@pytest.mark.expects_log("hook_secret is empty")
def test_without_a_secret_nothing_is_received(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Hooked(tmp_path, parser=JsonParser("")) as hooked:
            await hooked.until(lambda: hooked.monitor.status(PBX).state is LinkState.FAILED)
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", hooked.port)

    run(scenario())


def test_no_secret_stands_in_the_log_or_the_journal(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    async def scenario() -> None:
        async with Hooked(tmp_path) as hooked:
            await hooked.until_live()
            await hooked.post([START], path="/below?token=CANARY-1")
            await hooked.post(b'{"token": "CANARY-2"')
            await hooked.post([START], secret="CANARY-3")
            data = await hooked.database.read(_all_messages)
            assert b"CANARY" not in data
            assert b"s3cret" not in data

    run(scenario())
    assert "CANARY" not in caplog.text
    assert "s3cret" not in caplog.text


def _all_messages(connection: Connection) -> bytes:
    return b"".join(data for (data,) in connection.execute("SELECT data FROM messages"))  # type: ignore[misc]


def test_call_in_book_is_that_of_the_store_after_any_hook(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Hooked(tmp_path) as hooked:
            await hooked.until_live()
            await hooked.post([{**RECORDED, "stage": "expected", "place": None}])
            (waiting,) = hooked.hooks.intake.unattached(PBX)
            assert waiting.told.stage is RecordingStage.EXPECTED
            await hooked.post([START])
            await hooked.post([END])
            book: CallBook = hooked.book
            call = book.find(CallKey(PBX, "c-1"))
            assert call is not None
            assert call.told == (await hooked.call("c-1")).told
            assert call.told[0].stage is RecordingStage.EXPECTED
            assert call.recordings == ()
            await hooked.post([{"k": "recording", "rec": "r-1", "place": "p"}])
            assert (await hooked.call("c-1")).recordings == (RecordingRef(PBX, "p"),)

    run(scenario())
