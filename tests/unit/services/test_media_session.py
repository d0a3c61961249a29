"""Media keys over a bus of the test's own, pressed by a client as a desktop presses them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from recmon.domain.calls import RecordingRef, ServerId
from recmon.net.mpris import NAME, PATH, PLAYER, ROOT
from recmon.publisher import Publisher
from recmon.services.media_session import MediaSession
from recmon.services.playback import PlaybackState, PlaybackStatus

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="MPRIS is a thing of Linux")
Run = Callable[..., Any]
REF = RecordingRef(ServerId("archive"), "path:1")


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    command = ["dbus-daemon", "--session", "--nofork", "--print-address"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", daemon.stdout.readline().strip())
        yield
        daemon.terminate()


class Playback:
    """A player that does at once what is asked for."""

    def __init__(self) -> None:
        self.changed: Publisher[PlaybackStatus] = Publisher()
        self.status = PlaybackStatus()

    def tell(self, **values: Any) -> None:
        self.status = replace(self.status, **values)
        self.changed.publish(self.status)

    def stop(self) -> None:
        self.tell(state=PlaybackState.IDLE, source=None)

    def set_speed(self, speed: float) -> None:
        self.tell(speed=speed)

    def set_volume(self, volume: float) -> None:
        self.tell(volume=volume)


class Hands:
    """The window's side."""

    def __init__(self, playback: Playback) -> None:
        self._playback = playback
        self.acts: list[str] = []

    def raise_window(self) -> None:
        self.acts.append("raise")

    def toggle(self) -> None:
        is_playing = self._playback.status.state is PlaybackState.PLAYING
        self._playback.tell(state=PlaybackState.PAUSED if is_playing else PlaybackState.PLAYING)

    def step(self, by: int) -> None:
        self.acts.append(f"step {by}")

    def skip(self, seconds: float) -> None:
        self._playback.tell(position_s=self._playback.status.position_s + seconds)

    def go_to(self, seconds: float) -> None:
        self._playback.tell(position_s=seconds)


class Desktop:
    """A client of the bus."""

    def __init__(self, connection: Any, router: Any) -> None:
        self._connection = connection
        self._router = router

    async def call(self, interface: str, member: str, signature: str | None = None, *body: Any) -> Any:
        from jeepney import DBusAddress, MessageType, new_method_call

        address = DBusAddress(PATH, NAME, interface)
        reply = await self._router.send_and_get_reply(new_method_call(address, member, signature, body))
        if reply.header.message_type is MessageType.error:
            raise RuntimeError(reply.body[0])
        return reply.body

    async def get(self, name: str, interface: str = PLAYER) -> Any:
        ((_, value),) = await self.call("org.freedesktop.DBus.Properties", "Get", "ss", interface, name)
        return value

    async def set(self, name: str, value: tuple[str, Any]) -> None:
        await self.call("org.freedesktop.DBus.Properties", "Set", "ssv", PLAYER, name, value)


@asynccontextmanager
async def desktop() -> AsyncIterator[Desktop]:
    from jeepney.io.asyncio import DBusRouter, open_dbus_connection

    connection = await open_dbus_connection("SESSION")
    async with connection, DBusRouter(connection) as router:
        yield Desktop(connection, router)


@asynccontextmanager
async def served(playback: Playback, *, has_list: bool = False) -> AsyncIterator[tuple[Hands, MediaSession]]:
    hands = Hands(playback)
    playlist = SimpleNamespace(is_running=has_list)
    session = MediaSession(playback, playlist, hands)  # type: ignore[arg-type]
    task = asyncio.create_task(session.serve())
    while True:
        if session.control.name or task.done():
            break
        await asyncio.sleep(0.01)
    try:
        yield hands, session
    finally:
        task.cancel()
        await asyncio.wait({task})


@pytest.mark.usefixtures("bus")
def test_media_keys_reach_the_player(run: Run) -> None:
    async def scenario() -> None:
        playback = Playback()
        async with served(playback, has_list=True) as (hands, _), desktop() as keys:
            assert await keys.get("PlaybackStatus") == "Stopped"
            assert await keys.get("CanPlay") is False
            playback.tell(state=PlaybackState.PLAYING, source=REF, length_s=90.0, position_s=30.0)
            assert await keys.get("PlaybackStatus") == "Playing"
            await keys.call(PLAYER, "PlayPause")
            assert await keys.get("PlaybackStatus") == "Paused"
            await keys.call(PLAYER, "Pause")
            assert playback.status.state is PlaybackState.PAUSED
            await keys.call(PLAYER, "Play")
            assert playback.status.state is PlaybackState.PLAYING
            await keys.call(PLAYER, "Seek", "x", -5_000_000)
            assert await keys.get("Position") == 25_000_000
            track = (await keys.get("Metadata"))["mpris:trackid"][1]
            await keys.call(PLAYER, "SetPosition", "ox", "/recmon/track/999", 1_000_000)
            assert playback.status.position_s == 25.0
            await keys.call(PLAYER, "SetPosition", "ox", track, 60_000_000)
            assert playback.status.position_s == 60.0
            await keys.set("Rate", ("d", 9.0))
            await keys.set("Volume", ("d", 0.5))
            assert (playback.status.speed, playback.status.volume) == (3.0, 0.5)
            await keys.call(PLAYER, "Next")
            await keys.call(PLAYER, "Previous")
            await keys.call(ROOT, "Raise")
            assert hands.acts == ["step 1", "step -1", "raise"]
            await keys.call(PLAYER, "Stop")
            assert await keys.get("PlaybackStatus") == "Stopped"

    run(scenario())


@pytest.mark.usefixtures("bus")
def test_the_desktop_is_told_of_changes_and_of_nobodys_name(run: Run) -> None:
    async def scenario() -> None:
        from jeepney import MatchRule, message_bus
        from jeepney.io.asyncio import DBusRouter, Proxy, open_dbus_connection

        playback = Playback()
        connection = await open_dbus_connection("SESSION")
        async with served(playback), connection, DBusRouter(connection) as router:
            rule = MatchRule(type="signal", path=PATH)
            await Proxy(message_bus, router).AddMatch(rule)
            with router.filter(rule, bufsize=20) as signals:
                playback.tell(state=PlaybackState.PLAYING, source=REF, length_s=90.0, position_s=1.0)
                interface, changed, _ = (await signals.get()).body
                assert interface == PLAYER
                assert changed["PlaybackStatus"] == ("s", "Playing")
                _, metadata = changed["Metadata"]
                assert metadata["xesam:title"] == ("s", "Recording from archive")
                assert metadata["mpris:length"] == ("x", 90_000_000)
                assert "Position" not in changed
                playback.tell(position_s=60.0)
                assert (await signals.get()).body == (60_000_000,)

    run(scenario())


@pytest.mark.usefixtures("bus")
def test_what_makes_no_sense_is_refused_and_the_player_goes_on(run: Run) -> None:
    async def scenario() -> None:
        playback = Playback()
        async with served(playback), desktop() as keys:
            for interface, member, signature, body in (
                (PLAYER, "Explode", None, ()),
                (PLAYER, "Seek", "s", ("far",)),
                (PLAYER, "Seek", None, ()),
                (PLAYER, "Play", "i", (1,)),
                ("org.freedesktop.DBus.Properties", "Get", "ss", (PLAYER, "Nonsense")),
                ("org.freedesktop.DBus.Properties", "Set", "ssv", (PLAYER, "Position", ("x", 1))),
                ("org.freedesktop.DBus.Properties", "Set", "ssv", (PLAYER, "Rate", ("s", "fast"))),
            ):
                with pytest.raises(RuntimeError):
                    await keys.call(interface, member, signature, *body)
            (xml,) = await keys.call("org.freedesktop.DBus.Introspectable", "Introspect")
            assert 'name="PlayPause"' in xml
            (told,) = await keys.call("org.freedesktop.DBus.Properties", "GetAll", "s", ROOT)
            assert told["Identity"] == ("s", "recmon")

    run(scenario())


@pytest.mark.usefixtures("bus")
def test_a_second_window_has_a_name_of_its_own(run: Run) -> None:
    async def scenario() -> None:
        async with served(Playback()) as (_, first), served(Playback()) as (_, second):
            assert first.control.name == NAME
            assert second.control.name.startswith(f"{NAME}.instance")

    run(scenario())


def test_without_a_bus_nothing_happens(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    assert not MediaSession.is_wanted()
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere/at/all")
    assert MediaSession.is_wanted()

    async def scenario() -> None:
        async with served(Playback()) as (_, session):
            assert session.control.name == ""

    run(scenario())
