"""A simulated telephony provider: it calls the program with web hooks, and hands its recordings out.

It embodies assumptions drawn from public pages (elma365.md): no real provider was ever compared with it.
Calls come as they do in the field: most in order, some told twice, some out of order, some with the recording
before the end, some with a withheld number, some with two recordings.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from enum import Enum
from types import TracebackType
from typing import Any

from recmon.simulators.hook_sender import HookSender, KeepSecret
from recmon.simulators.people import STAFF
from recmon.simulators.scenario import Scenario, ScriptedCall
from recmon.simulators.telephony_posts import PROVIDERS, ZADARMA_ZONE, Post, ToldCall
from recmon.simulators.telephony_recordings import TelephonyRecordings

MEMBERS = STAFF[:12]
"""Those whom the settings name; the others are shown by their numbers."""


class Manner(Enum):
    """How the web hooks of a call arrive."""

    PLAIN = "plain"
    REPEATED = "repeated"
    SHUFFLED = "shuffled"
    RECORDING_FIRST = "recording first"
    HIDDEN = "hidden"
    TWO_RECORDINGS = "two recordings"


_MANNERS = (
    *(Manner.PLAIN,) * 5,
    Manner.REPEATED,
    Manner.SHUFFLED,
    Manner.RECORDING_FIRST,
    Manner.HIDDEN,
    Manner.TWO_RECORDINGS,
)


def arrange(posts: Sequence[Post], manner: Manner) -> list[Post]:
    """Return a call's web hooks as they are sent, in order of their times."""
    ordered = sorted(posts, key=lambda post: post.at_s)
    match manner:
        case Manner.REPEATED:
            again = [replace(post, at_s=post.at_s + 0.3) for post in ordered]
            return sorted([*ordered, *again], key=lambda post: post.at_s)
        case Manner.SHUFFLED:
            # Each two change places, as when one was delayed on the way.
            times = [post.at_s for post in ordered]
            places = [index ^ 1 if index ^ 1 < len(ordered) else index for index in range(len(ordered))]
            return [replace(ordered[place], at_s=at_s) for place, at_s in zip(places, times, strict=True)]
        case Manner.RECORDING_FIRST:
            early = [
                replace(post, at_s=max(0.0, post.at_s - 4)) if post.tells_recording else post
                for post in ordered
            ]
            return sorted(early, key=lambda post: post.at_s)
        case _:
            return ordered


class TelephonySimulator:
    """One provider's account; see `HookProvider`.

    Args:
        provider: `zadarma`, `mango`, `megafon`, `twilio` or `generic`.
        scenario: which calls there are; its one server is that of the settings.
        port: of its programming interface and recordings; 0 lets the system choose.

    Attributes:
        recordings: its programming interface.
        sender: what was sent, inside `run`.
    """

    def __init__(self, provider: str, scenario: Scenario, *, port: int = 0) -> None:
        (self._name,) = scenario.servers
        self._scenario = scenario
        self._posts = PROVIDERS[provider](secrets.token_urlsafe(16))
        self._hook_secret = secrets.token_urlsafe(24)
        self.recordings = TelephonyRecordings(provider, self._posts.secrets, self._posts.values, port=port)
        self.sender = HookSender()

    @property
    def name(self) -> str:
        return self._name

    @property
    def hook_secret(self) -> str:
        return self._hook_secret

    async def __aenter__(self) -> TelephonySimulator:
        await self.recordings.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.recordings.__aexit__(kind, error, trace)

    def settings(self, keep_secret: KeepSecret) -> str:
        """Return its `[[servers]]` table. JSON's quoting of text is TOML's too."""
        refs = {
            key: f"file:{keep_secret(f'{self._name}-{key}', value)}"
            for key, value in {"hook_secret": self._hook_secret, **self._posts.secrets}.items()
        }
        lines = [
            "[[servers]]",
            f"name = {json.dumps(self._name)}",
            'vendor = "telephony"',
            f'adapter = "{self._posts.name}"',
            *(f"{key} = {json.dumps(text)}" for key, text in {**refs, **self._posts.values}.items()),
        ]
        if self._posts.name == "zadarma":
            lines.append(f'time_zone = "{ZADARMA_ZONE}"')
        if self._posts.name in ("zadarma", "mango", "twilio"):
            lines.append(f'api_url = "{self.recordings.url}"')
        else:
            lines.append(f'link_hosts = ["{self.recordings.url}"]')
        for person in MEMBERS:
            number, name = json.dumps(person.number), json.dumps(person.name, ensure_ascii=False)
            lines += ["", "[[servers.members]]", f"number = {number}", f"name = {name}"]
        return "\n".join(lines) + "\n"

    def announcement(self) -> Mapping[str, Any]:
        return {
            "vendor": "telephony",
            "adapter": self._posts.name,
            "api_url": self.recordings.url,
            "hook_secret": self._hook_secret,
            **self._posts.secrets,
            **self._posts.values,
        }

    async def run(self, address: str) -> None:
        """Send the web hooks of its calls to this address, until cancelled."""
        async with self.sender, asyncio.TaskGroup() as group:
            for call in self._scenario.running(self._name, _now()):
                group.create_task(self.tell(call, address, self.manner_of(call)))
            while True:
                wait_s, call = self._scenario.next_call(self._name, _now())
                await asyncio.sleep(wait_s)
                group.create_task(self.tell(call, address, self.manner_of(call)))

    def manner_of(self, call: ScriptedCall) -> Manner:
        """Return how a call's web hooks arrive; always the same for a call."""
        return _MANNERS[int(call.native_id) % len(_MANNERS)]

    async def tell(self, call: ScriptedCall, address: str, manner: Manner) -> None:
        """Send the web hooks of one call, each when it is due, again until it is taken; inside `run`."""
        names, links = self.recordings.keep(call, 2 if manner is Manner.TWO_RECORDINGS else 1)
        told = ToldCall(call, manner is Manner.HIDDEN, names, links)
        for post in arrange(self._posts.posts(told), manner):
            await asyncio.sleep(max(0.0, post.at_s - (_now() - call.started_at).total_seconds()))
            url = f"{address}/{post.path}" if post.path else address
            await self.sender.send(url, body=post.body, headers=post.headers(url))


def _now() -> datetime:
    return datetime.now(UTC)
