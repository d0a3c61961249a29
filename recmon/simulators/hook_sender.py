"""What the farm asks of simulated providers that call the program, and how they send.

An assumption: senders try again after an error and while nobody listens, as most providers do in some way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import aiohttp

RETRY_S = 1.0
"""Between attempts while nobody listens, or the answer is an error."""

ATTEMPT_S = 10.0

KeepSecret = Callable[[str, str], Path]
"""Writes a secret into a file that only its owner can read, by name and value; returns the file."""


class HookProvider(Protocol):
    """A simulated provider. The farm enters it, asks for its settings, and runs it."""

    @property
    def name(self) -> str:
        """Of its server in the settings."""

    @property
    def hook_secret(self) -> str:
        """The last part of the address to which it sends."""

    def settings(self, keep_secret: KeepSecret) -> str:
        """Return its `[[servers]]` table as TOML, once it is entered."""

    def announcement(self) -> Mapping[str, Any]:
        """Return what a client needs to know, as plain JSON values, once it is entered."""

    async def run(self, address: str) -> None:
        """Send the web hooks of its calls to this address, secret included, until cancelled."""

    async def __aenter__(self) -> Any:
        """Start whatever it serves, such as recordings."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""


class HookSender:
    """Sends requests, each until it is answered without an error; open inside `async with`."""

    def __init__(self) -> None:
        self.sent = 0
        self.answers: list[tuple[int, bytes]] = []

    async def __aenter__(self) -> HookSender:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ATTEMPT_S), trust_env=False)
        return self

    async def __aexit__(self, *further: object) -> None:
        await self._session.close()

    async def send(
        self, url: str, *, method: str = "POST", body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Send a request, again while it cannot be delivered; return status and body of the answer."""
        while True:
            try:
                async with self._session.request(
                    method, url, data=body, headers=headers, allow_redirects=False
                ) as response:
                    answer = response.status, await response.read()
                if answer[0] != 429 and answer[0] < 500:
                    self.sent += 1
                    self.answers = [*self.answers[-99:], answer]
                    return answer
            except (aiohttp.ClientError, OSError, TimeoutError):
                pass
            await asyncio.sleep(RETRY_S)
