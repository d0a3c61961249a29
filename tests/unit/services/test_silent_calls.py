"""Calls whose end never came: doubted, asked about, settled."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hooking import SECRET, free_port, request
from line_server import Seen, utc_now

from recmon.app import open_services
from recmon.domain.callbook import CallBook, CallBookChange
from recmon.domain.calls import Call, CallKey, CallState, ServerId
from recmon.domain.events import (
    CallEnded,
    CallFacts,
    CallStarted,
    CallUpdated,
    LinkEvent,
    TranscriptTold,
)
from recmon.domain.transcripts import Phrase, Side
from recmon.errors import ConnectFailed
from recmon.paths import DataDir
from recmon.publisher import Publisher
from recmon.services import silent_calls
from recmon.services.silent_calls import CallLimits, SilentCalls
from recmon.services.statuses import Heard, LinkState
from recmon.settings.model import ListenerSettings, SecretRef, ServerSettings, Settings
from recmon.simulators.verba import VerbaSimulator
from recmon.store.journal import MessageKind
from recmon.vendors.telephony.options import TelephonyOptions
from recmon.vendors.verba.options import EventsOptions, VerbaOptions

EAST = ServerId("east")
Run = Callable[..., Any]


def key(native_id: str) -> CallKey:
    return CallKey(EAST, native_id)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silent_calls, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(silent_calls, "ASK_AFTER_S", 0.05)
    monkeypatch.setattr(silent_calls, "ASK_EVERY_S", 0.05)


async def until(holds: Callable[[], bool], *, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Wait until something holds; the runner's deadline ends it."""
    turned = asyncio.Event()
    while not holds():
        meanwhile()
        asyncio.get_running_loop().call_later(0.01, turned.set)
        await turned.wait()
        turned.clear()


class Told:
    """A book, and a server that the test plays."""

    def __init__(self) -> None:
        self.book = CallBook()
        self.heard: Publisher[Heard] = Publisher()
        self.changes: Seen[CallBookChange] = Seen(self.book.changed)
        self.asked: list[set[str]] = []
        self.listed: list[CallFacts] = []
        self.answers = asyncio.Event()
        self.answers.set()

    def tell(self, *events: CallStarted | CallUpdated | CallEnded) -> None:
        linked: tuple[LinkEvent, ...] = events
        self.heard.publish(Heard(EAST, linked))
        self.book.apply(EAST, events)

    async def list_ongoing(self) -> Sequence[CallFacts] | None:
        self.asked.append({call.key.native_id for call in self.book.ongoing()})
        await self.answers.wait()
        return self.listed

    def unconfirmed(self) -> set[str]:
        return {call.key.native_id for call in self.book.ongoing() if not call.is_confirmed}

    @asynccontextmanager
    async def looked_after(self, longest_s: float, *, asks: bool = False) -> AsyncIterator[None]:
        limits = {EAST: CallLimits(longest_s, self.list_ongoing if asks else None)}
        async with SilentCalls(limits, self.book, [self.heard], utc_now):
            yield


def begun(native_id: str) -> CallStarted:
    return CallStarted(CallFacts(native_id), utc_now())


def test_silent_call_becomes_unconfirmed_and_stays_in_the_list(run: Run) -> None:
    async def main() -> None:
        told = Told()
        async with told.looked_after(0.1):
            told.tell(begun("ghost"), begun("alive"))
            await until(
                lambda: told.unconfirmed() == {"ghost"},
                meanwhile=lambda: told.tell(CallUpdated(CallFacts("alive"), utc_now())),
            )
            assert {call.key.native_id for call in told.book.ongoing()} == {"ghost", "alive"}
            assert all(call.duration_s is None for call in told.book.ongoing())
            told.tell(CallUpdated(CallFacts("ghost"), utc_now()))
            assert not told.unconfirmed()
            # Its silence is counted anew.
            await told.changes.until(lambda _: "ghost" in told.unconfirmed())

    run(main())


def test_ended_calls_are_not_doubted(run: Run) -> None:
    async def main() -> None:
        told = Told()
        async with told.looked_after(0.05):
            told.tell(begun("a"), CallEnded(CallFacts("a"), utc_now()), begun("b"))
            await told.changes.until(lambda _: told.unconfirmed() == {"b"})
            ended = told.book.find(key("a"))
            assert ended is not None
            assert ended.state is CallState.ENDED
            assert ended.is_confirmed

    run(main())


def test_servers_list_settles_silent_calls(run: Run) -> None:
    async def main() -> None:
        told = Told()
        told.answers.clear()
        async with told.looked_after(60, asks=True):
            told.tell(begun("listed"), begun("missing"), begun("ends meanwhile"), begun("told meanwhile"))
            await until(lambda: bool(told.asked))
            told.tell(begun("young"))
            told.tell(CallEnded(CallFacts("ends meanwhile"), utc_now()))
            told.tell(CallUpdated(CallFacts("told meanwhile"), utc_now()))
            told.listed = [CallFacts("listed"), CallFacts("nobody told of it")]
            told.answers.set()
            await told.changes.until(lambda _: told.book.find(key("missing")) not in told.book.ongoing())
            going_on = {call.key.native_id for call in told.book.ongoing()}
            assert going_on == {"listed", "told meanwhile", "young"}
            missing = told.book.find(key("missing"))
            assert missing is not None
            assert (missing.state, missing.ended_at) == (CallState.LOST, None)
            ended = told.book.find(key("ends meanwhile"))
            assert ended is not None
            assert ended.state is CallState.ENDED

    run(main())


def test_server_that_cannot_answer_is_asked_again_and_nothing_is_lost(run: Run) -> None:
    async def main() -> None:
        told = Told()

        async def refuse() -> Sequence[CallFacts] | None:
            told.asked.append(set())
            raise ConnectFailed("east", "connection refused")

        limits = {EAST: CallLimits(0.1, refuse)}
        async with SilentCalls(limits, told.book, [told.heard], utc_now):
            told.tell(begun("ghost"))
            await until(lambda: len(told.asked) >= 3)
        assert told.unconfirmed() == {"ghost"}

    run(main())


def test_server_is_not_asked_while_no_call_is_silent(run: Run) -> None:
    async def main() -> None:
        told = Told()
        async with told.looked_after(60, asks=True):
            told.tell(begun("a"), CallEnded(CallFacts("a"), utc_now()))
            told_at = [asyncio.get_running_loop().time()]

            def tell() -> None:
                told.tell(CallUpdated(CallFacts("b"), utc_now()))
                told_at.append(asyncio.get_running_loop().time())

            await until(lambda: told_at[-1] - told_at[0] > 0.3, meanwhile=tell)
        assert not told.asked

    run(main())


@pytest.mark.parametrize("lists", [False, True])
def test_ghost_of_a_simulated_server_is_settled(
    run: Run,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    *,
    lists: bool,
) -> None:
    """With the end suppressed: by the user's word, or by the list of the server."""
    monkeypatch.setattr("recmon.app.user_name", lambda: "Anna Nowak")

    async def main() -> None:
        async with VerbaSimulator(ongoing_request="Ongoing" if lists else "") as simulator:
            options = VerbaOptions(
                EventsOptions("127.0.0.1", simulator.port, ongoing_request="Ongoing" if lists else "")
            )
            server = ServerSettings(EAST, "verba", options, longest_call_hours=0.1 / 3600)
            async with open_services(Settings((server,)), DataDir(tmp_path / "data")) as services:
                changes: Seen[CallBookChange] = Seen(services.book.changed)
                stored: Seen[tuple[Call, ...]] = Seen(services.history.stored)
                await simulator.wait_for_subscribers(1)
                fields = {"ccdr_id": "ghost", "source_caller_id": "4410", "start_time": "2026-11-21 09:00:00"}
                simulator.begin_call(fields)
                await changes.until(lambda _: bool(services.book.ongoing()))
                if lists:
                    simulator.forget_call("ghost")
                else:
                    await changes.until(lambda _: not services.book.ongoing()[0].is_confirmed)
                    assert services.settling.settle([key("ghost"), key("unknown")]) == 1
                    assert services.settling.settle([key("ghost")]) == 0
                await stored.until(lambda batches: any(c.state is CallState.LOST for b in batches for c in b))
                call = await services.history.find(key("ghost"))
                assert (call.state, call.duration_s, call.ended_at) == (CallState.LOST, None, None)
                if not lists:
                    began, settled = await services.history.messages(key("ghost"))
                    assert (began.kind, settled.kind) == (MessageKind.STARTED, MessageKind.SETTLED)
                    assert settled.data.startswith(b"Anna Nowak settled the call")
                # A server that tells of it afterwards has the last word.
                simulator.end_call({**fields, "end_time": "2026-11-21 09:01:30"})
                await changes.until(
                    lambda _: getattr(services.book.find(key("ghost")), "duration_s", None) == 90
                )

    with caplog.at_level(logging.INFO):
        run(main())
    sentence = "not in its list of ongoing calls" if lists else "settled by Anna Nowak: east/ghost"
    assert sentence in caplog.text


def test_ghost_of_a_server_that_calls_us_stays_until_it_is_settled(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECMON_TEST_HOOK_SECRET", SECRET)

    async def main() -> None:
        listener = ListenerSettings(port=free_port())
        options = TelephonyOptions("generic", hook_secret=SecretRef("env", "RECMON_TEST_HOOK_SECRET"))
        server = ServerSettings(EAST, "telephony", options, longest_call_hours=0.1 / 3600)

        async def tell(event: str) -> None:
            parties = {"direction": "in", "callId": "ghost", "srcPhone": "+15550100111", "dstPhone": "204"}
            body = json.dumps({"event": {"event": event, **parties}}).encode()
            path = f"/hooks/east/{quote(SECRET, safe='')}"
            assert (await request(listener.port, "POST", path, body))[0] == 200

        async with open_services(
            Settings((server,), listener=listener), DataDir(tmp_path / "data")
        ) as services:
            changes: Seen[CallBookChange] = Seen(services.book.changed)
            await until(lambda: services.monitor.status(EAST).state is LinkState.LIVE)
            await tell("start")
            await changes.until(lambda _: not services.book.ongoing()[0].is_confirmed)
            await tell("answer")
            assert services.book.ongoing()[0].is_confirmed
            # Its silence is counted anew.
            await changes.until(lambda _: not services.book.ongoing()[0].is_confirmed)
            assert services.settling.settle([key("ghost")]) == 1
            call = services.book.find(key("ghost"))
            assert call is not None
            assert (call.state, call.duration_s) == (CallState.LOST, None)

    run(main())


def test_late_words_of_a_call_do_not_begin_its_silence_anew(run: Run) -> None:
    async def main() -> None:
        told = Told()
        async with told.looked_after(0.1):
            told.tell(begun("talks"), begun("over"), CallEnded(CallFacts("over"), utc_now()), begun("ghost"))
            words = (Phrase("good morning", Side.CALLER),)

            def speak() -> None:
                for native_id in ("talks", "over"):
                    event = TranscriptTold(CallFacts(native_id), words, utc_now())
                    told.heard.publish(Heard(EAST, (event,)))

            await until(lambda: told.unconfirmed() == {"ghost"}, meanwhile=speak)
            await until(lambda: told.unconfirmed() == {"ghost", "talks"})
            over = told.book.find(key("over"))
            assert over is not None
            assert over.state is CallState.ENDED

    run(main())


def test_confirmed_call_is_not_settled(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with open_services(Settings(()), DataDir(tmp_path / "data")) as services:
            services.book.apply(EAST, [begun("a")])
            assert services.settling.settle([key("a")]) == 0
            assert [call.key.native_id for call in services.book.ongoing()] == ["a"]

    run(main())
