"""A simulated Aculab Cloud account: calls that are told by web hooks, and the recordings they leave.

The hooks come as from an application that forwards what it is asked, with transcription and recording pages
that point at the monitor itself (aculab.md 7). All of it embodies assumptions; see `aculab_pages`.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any

from recmon.simulators import aculab_pages
from recmon.simulators.aculab import AculabWebSimulator, MediaFile
from recmon.simulators.aculab_pages import AVAILABLE_AFTER_S, Page
from recmon.simulators.certificates import Certificate
from recmon.simulators.conversations import recording
from recmon.simulators.hook_sender import HookSender, KeepSecret
from recmon.simulators.scenario import Scenario, ScriptedCall

USER = "1-2-0/supervisor@example.com"
REPEATED_EVERY = 25
"""One of so many requests comes twice."""


class AculabCloud:
    """The account: its web services, and the calls it tells of; see `hook_sender.HookProvider`.

    Args:
        scenario: which calls there are; it has one server, whose name is the account's.
        port: of the web services; 0 lets the system choose.
    """

    def __init__(self, scenario: Scenario, *, port: int = 0) -> None:
        [self._name] = scenario.servers
        self._scenario = scenario
        self._certificate = Certificate()
        self._access_key = secrets.token_urlsafe(24)
        self._hook_secret = secrets.token_urlsafe(24)
        self._calls: dict[str, ScriptedCall] = {}
        self._running = 0
        self._sent = 0
        self._stack = AsyncExitStack()
        self.sender = HookSender()
        self.services = AculabWebSimulator(
            self._certificate, USER, self._access_key, self._find, self._listed, port=port
        )

    @property
    def name(self) -> str:
        return self._name

    @property
    def hook_secret(self) -> str:
        return self._hook_secret

    async def __aenter__(self) -> AculabCloud:
        await self._stack.enter_async_context(self.services)
        await self._stack.enter_async_context(self.sender)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def settings(self, keep_secret: KeepSecret) -> str:
        values = {
            "name": self.name,
            "vendor": "aculab",
            "url": self.services.url,
            "user": USER,
            "access_key": f"file:{keep_secret(f'{self.name}-access-key', self._access_key)}",
            "hook_secret": f"file:{keep_secret(f'{self.name}-hook-secret', self._hook_secret)}",
            "fingerprint": self._certificate.fingerprint,
        }
        return "[[servers]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())

    def announcement(self) -> Mapping[str, Any]:
        return {
            "vendor": "aculab",
            "url": self.services.url,
            "user": USER,
            "access_key": self._access_key,
            "fingerprint": self._certificate.fingerprint,
        }

    async def run(self, address: str) -> None:
        """Tell of calls as they happen."""
        async with asyncio.TaskGroup() as group:
            for call in self._scenario.running(self.name, _now()):
                # It was told of before anybody listened: the application's next page is the first news.
                self._begin(
                    call, group, address, aculab_pages.next_page(call, _seconds_since(call.started_at))
                )
            while True:
                wait_s, call = self._scenario.next_call(self.name, _now())
                await asyncio.sleep(wait_s)
                self._begin(call, group, address)

    # Calls

    def _begin(
        self, call: ScriptedCall, group: asyncio.TaskGroup, address: str, first: Page | None = None
    ) -> None:
        self._running += 1
        self._keep(call)
        group.create_task(self._tell(call, group, address, first))

    async def _tell(
        self, call: ScriptedCall, group: asyncio.TaskGroup, address: str, first: Page | None
    ) -> None:
        pages = aculab_pages.pages(call)
        if first is not None:
            pages = [first, *(page for page in pages if page.after_s > first.after_s)]
        for page in pages:
            await asyncio.sleep(max(0.0, page.after_s - _seconds_since(call.started_at)))
            await self._send(page, address)
        self._running -= 1
        for further in self._scenario.keep_running(self.name, self._running, _now()):
            self._begin(further, group, address)

    async def _send(self, page: Page, address: str) -> None:
        """Send a request as an application forwards it, or as the platform sends it."""
        self._sent += 1
        body = json.dumps(page.document, ensure_ascii=False).encode()
        for _ in range(2 if self._sent % REPEATED_EVERY == 0 else 1):
            await self.sender.send(
                f"{address}/copy" if page.is_copy else address,
                body=body,
                headers={"Content-Type": "application/json"},
            )

    # Recordings: one channel, as this platform makes them

    def _keep(self, call: ScriptedCall) -> None:
        self._calls[aculab_pages.recording_name(call)] = call
        if aculab_pages.records_message(call):
            self._calls[aculab_pages.message_name(call)] = call

    def _find(self, name: str) -> bytes | None:
        call = self._calls.get(name)
        if call is None or _available_at(name, call) > _now():
            return None
        mono = replace(call, channels=1)
        if name != aculab_pages.recording_name(call):
            mono = replace(mono, duration_s=aculab_pages.message_s(call))
        return recording(mono)

    def _listed(self) -> Iterator[MediaFile]:
        for name, call in tuple(self._calls.items()):
            content = self._find(name)
            if content is not None:
                yield MediaFile(name, _available_at(name, call), len(content))


def _available_at(name: str, call: ScriptedCall) -> datetime:
    ends_at = call.ends_at
    if name != aculab_pages.recording_name(call):
        ends_at = call.started_at + timedelta(seconds=aculab_pages.message_ends_s(call))
    return ends_at + timedelta(seconds=AVAILABLE_AFTER_S)


def _seconds_since(at: datetime) -> float:
    return (_now() - at).total_seconds()


def _now() -> datetime:
    return datetime.now(UTC)
