"""All simulated servers of a demo: recorders and one recordings archive, driven by one scenario.

A recorder tells its calls live, and answers questions about them over HTTP.

The servers listen on loopback only. Their secrets and certificates are made anew at every start.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from recmon.simulators.call_centre import VDN, CallCentre
from recmon.simulators.ccfs import CcfsSimulator
from recmon.simulators.ccfs_storage import ObjectStorage
from recmon.simulators.certificates import Certificate
from recmon.simulators.conversations import recording
from recmon.simulators.hook_sender import HookProvider
from recmon.simulators.scenario import Scenario, ScriptedCall
from recmon.simulators.verba import VerbaSimulator, cdr_fields
from recmon.simulators.verba_http import Account, VerbaHttpSimulator

ARCHIVE = "archive"
FOLDER = "Y:/3rdfile/7/thirdvoicebotfile"
PAST_CALLS = 420
"""Calls of the days before, over all servers."""

_NAMES = (
    "east",
    "west",
    "north",
    "south",
    "harbour",
    "airport",
    "centre",
    "campus",
    "park",
    "river",
    "hill",
    "lake",
)


def server_names(count: int) -> tuple[str, ...]:
    """Return names for so many recording servers, at most twelve."""
    return _NAMES[:count]


class Farm:
    """The running simulators and the calls they play.

    Args:
        scenario: which calls there are.
        folder: for the certificate, the secrets and the list of past calls; only the owner may read it.
        port_base: the archive's port; the recorder APIs follow, then the HTTP interfaces of the same
            servers, then the port on which the program is to listen for web hooks, then the archive's
            object storage; 0 lets the system choose.
        providers: those that send web hooks to the program.
    """

    def __init__(
        self,
        scenario: Scenario,
        folder: Path,
        *,
        port_base: int = 0,
        providers: Sequence[HookProvider] = (),
    ) -> None:
        self._providers = providers
        self._scenario = scenario
        self._folder = folder
        self._calls: dict[str, ScriptedCall] = {}
        self._records: dict[str, dict[str, Mapping[str, str]]] = {name: {} for name in scenario.servers}
        self._running = dict.fromkeys(scenario.servers, 0)
        self._certificate = Certificate()
        self._secret = secrets.token_urlsafe(24)
        self._centre = CallCentre(_now)
        last_port = port_base + 2 + 2 * len(scenario.servers) if port_base else 0
        self._storage = ObjectStorage(self._certificate, self._centre.find, port=last_port)
        self._archive = CcfsSimulator(
            self._certificate,
            access_key="demo-ak-01",
            secret_key=self._secret,
            find=self._find,
            list_folder=self._list_folder,
            files_of_call=self._centre.files_of_call,
            calls=self._centre.calls,
            storage=self._storage,
            port=port_base,
        )
        self._recorders = {
            name: VerbaSimulator(port=port_base + 1 + index if port_base else 0)
            for index, name in enumerate(scenario.servers)
        }
        self._accounts = {
            name: Account(secrets.token_urlsafe(24), "supervisor", secrets.token_urlsafe(12))
            for name in scenario.servers
        }
        first_port = port_base + 1 + len(scenario.servers) if port_base else 0
        self._interfaces = {
            name: VerbaHttpSimulator(
                self._accounts[name],
                self._records[name].values,
                partial(self._media, name),
                partial(self._marked, name),
                port=first_port + index if port_base else 0,
            )
            for index, name in enumerate(scenario.servers)
        }
        self._listener_port = first_port + len(scenario.servers) if port_base else _free_port()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Mapping[str, Any]]:
        """Start all servers and the calls; yields the announcement, which is plain JSON values."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._archive)
            await stack.enter_async_context(self._storage)
            for recorder in self._recorders.values():
                await stack.enter_async_context(recorder)
            for interface in self._interfaces.values():
                await stack.enter_async_context(interface)
            for provider in self._providers:
                await stack.enter_async_context(provider)
            announcement = self._announce()
            group = await stack.enter_async_context(asyncio.TaskGroup())
            playing = [group.create_task(self._play(name)) for name in self._recorders]
            playing += [
                group.create_task(provider.run(self._address(provider))) for provider in self._providers
            ]
            try:
                yield announcement
            finally:
                for task in playing:
                    task.cancel()

    # Calls

    async def _play(self, server: str) -> None:
        async with asyncio.TaskGroup() as group:
            for call in self._scenario.running(server, _now()):
                self._begin(call, group)
            while True:
                wait_s, call = self._scenario.next_call(server, _now())
                await asyncio.sleep(wait_s)
                self._begin(call, group)

    def _begin(self, call: ScriptedCall, group: asyncio.TaskGroup) -> None:
        self._running[call.server] += 1
        self._recorders[call.server].begin_call(self._note(call, ended=False))
        group.create_task(self._end_in_time(call, group))

    async def _end_in_time(self, call: ScriptedCall, group: asyncio.TaskGroup) -> None:
        await asyncio.sleep(max(0.0, (call.ends_at - _now()).total_seconds()))
        self._recorders[call.server].end_call(self._note(call, ended=True))
        self._running[call.server] -= 1
        leg = self._scenario.next_leg(call, _now())
        if leg is not None:
            self._begin(leg, group)
        for further in self._scenario.keep_running(call.server, self._running[call.server], _now()):
            self._begin(further, group)

    def _note(self, call: ScriptedCall, *, ended: bool) -> Mapping[str, str]:
        """Have all servers know of a call; return its record."""
        self._calls[f"{call.server}/{call.call_id}"] = call
        self._centre.note(call)
        record = self._records[call.server][call.call_id] = cdr_fields(call, ended=ended)
        return record

    # Recordings, from the servers themselves

    def _media(self, server: str, call_id: str, codec: str | None) -> bytes | None:
        call = self._calls.get(f"{server}/{call_id}")
        if call is None:
            return None
        return recording(call if codec is None else replace(call, codec=codec))

    def _marked(self, server: str, call_id: str) -> Sequence[tuple[str, int, int]]:
        """Return marked places: the answer, and in every third call a passage in its middle."""
        call = self._calls.get(f"{server}/{call_id}")
        if call is None:
            return ()
        answered, middle = round(call.answer_after_s * 1000), round(call.duration_s * 500)
        marks = [("answered", answered, answered)]
        if zlib.crc32(call_id.encode()) % 3 == 0:
            marks.append(("to be listened to again", middle, middle + 5000))
        return marks

    # Recordings in the archive: one folder a call, which holds its one file as soon as the call is over

    def _list_folder(self, path: str) -> Sequence[str]:
        call = self._call_at(path)
        if call is None or call.ends_at > _now():
            return ()
        return (f"{path}/{call.started_at:%Y%m%d-%H%M%S}.wav",)

    def _find(self, path: str) -> bytes | None:
        folder, _, name = path.rpartition("/")
        call = self._call_at(folder)
        if call is None:
            return self._centre.find(path)
        return recording(call) if name and call.ends_at <= _now() else None

    def _call_at(self, folder: str) -> ScriptedCall | None:
        prefix, _, key = folder.partition(f"{FOLDER}/")
        return None if prefix else self._calls.get(key)

    # What a client needs to know

    def _announce(self) -> dict[str, Any]:
        ca_file = self._folder / "ca.pem"
        self._certificate.write_ca(ca_file)
        secret_file = self._keep_secret("ccfs-secret", self._secret)
        past_calls = self._folder / "past-calls.jsonl"
        past_calls.write_text(self._past_lines(), encoding="utf-8")
        servers: list[dict[str, Any]] = [
            {
                "name": name,
                "vendor": "verba",
                "host": "127.0.0.1",
                "port": recorder.port,
                "tls": False,
                "http": self._announce_interface(name),
            }
            for name, recorder in self._recorders.items()
        ]
        archive = {
            "name": ARCHIVE,
            "vendor": "huawei_ccfs",
            "url": self._archive.url,
            "path": "/CCFS/resource/ccfs/ivr/downloadFile",
            "folder": f"{FOLDER}/SERVER/CALL-ID",
            "access_key": "demo-ak-01",
            "secret_key": self._secret,
            "secret_key_file": str(secret_file),
            "ca_file": str(ca_file),
            "fingerprint": self._certificate.fingerprint,
            "link_hosts": [self._storage.origin],
            "cms": {"url": self._archive.url, "vdn": VDN, "agent_ids": list(self._centre.agents())},
        }
        callers = [
            {**provider.announcement(), "name": provider.name, "hook_address": self._address(provider)}
            for provider in self._providers
        ]
        tables = [provider.settings(self._keep_secret) for provider in self._providers]
        listener = f"[listener]\nport = {self._listener_port}\n" if tables else ""
        return {
            "servers": [*servers, archive, *callers],
            "past_calls_file": str(past_calls),
            "settings": "\n".join(filter(None, [_settings_text(servers, archive), *tables, listener])),
        }

    def _address(self, provider: HookProvider) -> str:
        server, secret = quote(provider.name, safe=""), quote(provider.hook_secret, safe="")
        return f"http://127.0.0.1:{self._listener_port}/hooks/{server}/{secret}"

    def _announce_interface(self, name: str) -> dict[str, str]:
        account = self._accounts[name]
        return {
            "url": self._interfaces[name].url,
            "api_key": account.api_key,
            "api_key_file": str(self._keep_secret(f"{name}-api-key", account.api_key)),
            "user": account.user,
            "password": account.password,
            "password_file": str(self._keep_secret(f"{name}-password", account.password)),
        }

    def _keep_secret(self, name: str, secret: str) -> Path:
        file = self._folder / name
        file.touch(mode=0o600)
        file.write_text(secret, encoding="utf-8")
        return file

    def _past_lines(self) -> str:
        now = _now()
        share = -(-PAST_CALLS // len(self._recorders))
        lines = []
        for name in self._recorders:
            for call in self._scenario.past(name, share, now):
                self._note(call, ended=True)
                lines.append(json.dumps(_call_object(call), ensure_ascii=False))
        return "\n".join(lines) + "\n"


def _free_port() -> int:
    """Return a port that nobody uses now, for the program to listen on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _now() -> datetime:
    return datetime.now(UTC)


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _call_object(call: ScriptedCall) -> dict[str, Any]:
    """Return a finished call as the program's call object (contract.md, section 4)."""
    ends = {"from": (call.from_number, call.from_name), "to": (call.to_number, call.to_name)}
    return {
        "server": call.server,
        "native_id": call.call_id,
        "state": "ended",
        "direction": call.direction,
        **{end: {"number": number, "name": name} for end, (number, name) in ends.items()},
        "started_at": _stamp(call.started_at),
        "ended_at": _stamp(call.ends_at),
        "start_seen": True,
        "recordings": [{"server": ARCHIVE, "locator": f"folder:{FOLDER}/{call.server}/{call.call_id}"}],
        "cdr": cdr_fields(call, ended=True),
    }


def _http_text(http: Mapping[str, str]) -> str:
    values = {
        "url": http["url"],
        "api_key": f"file:{http['api_key_file']}",
        "user": http["user"],
        "password": f"file:{http['password_file']}",
    }
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())


def _settings_text(servers: Sequence[Mapping[str, Any]], archive: Mapping[str, Any]) -> str:
    """Return a settings file for these servers. JSON's quoting of text is TOML's too."""
    parts = ["version = 1\n"]
    for server in servers:
        folder = f"{FOLDER}/{server['name']}/{{native_id}}"
        parts.append(
            f'[[servers]]\nname = {json.dumps(server["name"])}\nvendor = "verba"\n'
            f'recordings = "{ARCHIVE}"\nrecording = {{ folder = {json.dumps(folder)} }}\n\n'
            f'[servers.events]\nhost = "{server["host"]}"\nport = {server["port"]}\n\n'
            f"[servers.http]\n{_http_text(server['http'])}"
        )
    parts.append(
        f'[[servers]]\nname = "{ARCHIVE}"\nvendor = "huawei_ccfs"\nurl = "{archive["url"]}"\n'
        f'access_key = "{archive["access_key"]}"\n'
        f"secret_key = {json.dumps('file:' + archive['secret_key_file'])}\n"
        f"ca_file = {json.dumps(archive['ca_file'])}\n"
        f"link_hosts = {json.dumps(archive['link_hosts'])}\n"
        f"link_ca_file = {json.dumps(archive['ca_file'])}\n"
    )
    return "\n".join(parts)
