"""The desktop's own control of players on Linux: media keys, headset buttons and the panel's player.

MPRIS 2.2 over the session's D-Bus: objects, methods, properties and their types are those of that
specification's interfaces `org.mpris.MediaPlayer2` and `org.mpris.MediaPlayer2.Player`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from jeepney import Message

ROOT = "org.mpris.MediaPlayer2"
PLAYER = "org.mpris.MediaPlayer2.Player"
PATH = "/org/mpris/MediaPlayer2"
NAME = f"{ROOT}.recmon"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_INTROSPECTABLE = "org.freedesktop.DBus.Introspectable"
_NO_TRACK = "/org/mpris/MediaPlayer2/TrackList/NoTrack"
_ERRORS = "org.freedesktop.DBus.Error"
_IS_OWNER, _IS_OWNER_ALREADY, _DO_NOT_QUEUE = 1, 4, 4
_US = 1_000_000
JUMP_S = 1.0
"""A position this far from where it should be by now is told: somebody went to another place."""

Value = tuple[str, Any]
"""A value with its D-Bus signature."""


@dataclass(frozen=True, slots=True)
class RemoteState:
    """What the desktop may know of the player. Nobody's name or number: screens are locked with it in view.

    Attributes:
        status: `Playing`, `Paused` or `Stopped`.
        title: what is loaded, in words.
        track: number of what is loaded, another one for each; 0 while nothing is.
        position_s: where it is.
        length_s: how long it is, where that is known.
        rate: speed.
        volume: from 0 to 1.
        has_list: whether there is a next and a previous one.
    """

    status: str = "Stopped"
    title: str = ""
    track: int = 0
    position_s: float = 0.0
    length_s: float | None = None
    rate: float = 1.0
    volume: float = 1.0
    has_list: bool = False


class Remote(Protocol):
    """What the desktop may do."""

    def state(self) -> RemoteState: ...
    def raise_window(self) -> None: ...
    def play(self) -> None: ...
    def pause(self) -> None: ...
    def toggle(self) -> None: ...
    def stop(self) -> None: ...
    def step(self, by: int) -> None: ...
    def skip(self, seconds: float) -> None: ...
    def go_to(self, seconds: float) -> None: ...
    def set_rate(self, rate: float) -> None: ...
    def set_volume(self, volume: float) -> None: ...


class DesktopControl:
    """Serves one player on the session's bus.

    Args:
        remote: the player.
        slowest, fastest: speeds that it knows.

    Attributes:
        name: under which the bus knows it; empty before.
    """

    def __init__(self, remote: Remote, slowest: float, fastest: float) -> None:
        self._remote = remote
        self._slowest = slowest
        self._fastest = fastest
        self._changed = asyncio.Event()
        self._told: dict[str, Value] = {}
        self._jumps = _Jumps()
        self._asked: list[str] = []
        self._name_asked = (0, "")
        self.name = ""

    def tell(self) -> None:
        """Take note that the player's state changed."""
        self._changed.set()

    async def run(self) -> None:
        """Serve until cancelled, or until the bus goes away.

        Raises:
            OSError: there is no session's bus, or it does not answer.
        """
        # Here and not above: only a window on Linux needs it.
        from jeepney.io.asyncio import open_dbus_connection

        try:
            connection = await open_dbus_connection("SESSION")
        except (KeyError, ValueError, EOFError, RuntimeError, TimeoutError) as error:
            raise OSError(f"the session's bus cannot be reached: {error or type(error).__name__}") from error
        try:
            self._told = self._properties(PLAYER)
            self._asked = [NAME, f"{NAME}.instance{os.getpid()}"]
            await self._ask_for_name(connection)
            async with asyncio.TaskGroup() as group:
                telling = group.create_task(self._tell_changes(connection))
                with suppress(EOFError):
                    while True:
                        await self._take(connection, await connection.receive())
                telling.cancel()
        finally:
            with suppress(OSError):
                await connection.close()

    async def _ask_for_name(self, connection: Any) -> None:
        """Ask for the next of the names; nothing waits for the answer, so that no call in between is lost."""
        from jeepney.bus_messages import message_bus

        if not self._asked:
            raise OSError("the session's bus gives this program no name")
        serial = next(connection.outgoing_serial)
        self._name_asked = (serial, self._asked.pop(0))
        await connection.send(message_bus.RequestName(self._name_asked[1], _DO_NOT_QUEUE), serial=serial)

    async def _take_answer(self, connection: Any, serial: int | None, body: tuple[Any, ...]) -> None:
        asked_serial, name = self._name_asked
        if serial != asked_serial:
            return
        if body and body[0] in (_IS_OWNER, _IS_OWNER_ALREADY):
            self.name = name
        else:
            await self._ask_for_name(connection)

    async def _tell_changes(self, connection: Any) -> None:
        from jeepney import DBusAddress, new_signal

        while True:
            await self._changed.wait()
            self._changed.clear()
            now = self._properties(PLAYER)
            changed = {
                name: value
                for name, value in now.items()
                if name != "Position" and value != self._told.get(name)
            }
            self._told = now
            if changed:
                body: tuple[Any, ...] = (PLAYER, changed, [])
                address = DBusAddress(PATH, interface=_PROPERTIES)
                await connection.send(new_signal(address, "PropertiesChanged", "sa{sv}as", body))
            state = self._remote.state()
            if self._jumps.is_jump(state, asyncio.get_running_loop().time()):
                address = DBusAddress(PATH, interface=PLAYER)
                await connection.send(new_signal(address, "Seeked", "x", (_us(state.position_s),)))

    async def _take(self, connection: Any, message: Message) -> None:
        from jeepney import HeaderFields, MessageFlag, MessageType, new_error, new_method_return

        fields = message.header.fields
        if message.header.message_type in (MessageType.method_return, MessageType.error):
            await self._take_answer(connection, fields.get(HeaderFields.reply_serial), message.body)
        if message.header.message_type is not MessageType.method_call:
            return
        try:
            signature, body = self._answer(
                fields.get(HeaderFields.interface) or "", fields[HeaderFields.member], message.body
            )
            reply = new_method_return(message, signature, body)
        except _Refused as refused:
            reply = new_error(message, f"{_ERRORS}.{refused.name}", "s", (str(refused),))
        if not message.header.flags & MessageFlag.no_reply_expected:
            await connection.send(reply)

    def _answer(
        self, interface: str, member: str, body: tuple[Any, ...]
    ) -> tuple[str | None, tuple[Any, ...]]:
        if interface == _PROPERTIES:
            return self._about_properties(member, body)
        if interface == _INTROSPECTABLE and member == "Introspect":
            return "s", (self._introspection(),)
        act = self._acts().get(member)
        if act is None:
            raise _Refused("UnknownMethod", f"there is no method {member}")
        try:
            act(*body)
        except TypeError as error:
            raise _Refused("InvalidArgs", f"{member} takes other arguments") from error
        return None, ()

    def _acts(self) -> Mapping[str, Callable[..., None]]:
        remote = self._remote
        return {
            "Raise": lambda: remote.raise_window(),
            "Quit": lambda: None,
            "Play": lambda: remote.play(),
            "Pause": lambda: remote.pause(),
            "PlayPause": lambda: remote.toggle(),
            "Stop": lambda: remote.stop(),
            "Next": lambda: remote.step(1),
            "Previous": lambda: remote.step(-1),
            "Seek": lambda by_us: remote.skip(by_us / _US),
            "SetPosition": self._set_position,
            "OpenUri": lambda uri: None,
        }

    def _set_position(self, track: str, position_us: int) -> None:
        # Of another track: the desktop asked before it learned of this one.
        if track == _track(self._remote.state()) and position_us >= 0:
            self._remote.go_to(position_us / _US)

    def _about_properties(self, member: str, body: tuple[Any, ...]) -> tuple[str | None, tuple[Any, ...]]:
        known = self._properties(body[0]) if body else {}
        match member, body:
            case "GetAll", (_,):
                return "a{sv}", (known,)
            case "Get", (_, name) if name in known:
                return "v", (known[name],)
            case "Set", (_, "Rate", (_, float(rate))):
                self._remote.set_rate(min(self._fastest, max(self._slowest, rate)))
                return None, ()
            case "Set", (_, "Volume", (_, float(volume))):
                self._remote.set_volume(min(1.0, max(0.0, volume)))
                return None, ()
            case (("Get" | "Set"), _):
                raise _Refused("UnknownProperty", "there is no such property, or it cannot be set")
        raise _Refused("UnknownMethod", f"there is no method {member}")

    def _properties(self, interface: str) -> dict[str, Value]:
        if interface == ROOT:
            return {
                "CanQuit": ("b", False),
                "CanRaise": ("b", True),
                "HasTrackList": ("b", False),
                "Identity": ("s", "recmon"),
                "SupportedUriSchemes": ("as", []),
                "SupportedMimeTypes": ("as", []),
            }
        if interface != PLAYER:
            return {}
        state = self._remote.state()
        is_loaded = state.track > 0
        return {
            "PlaybackStatus": ("s", state.status),
            "Rate": ("d", state.rate),
            "MinimumRate": ("d", self._slowest),
            "MaximumRate": ("d", self._fastest),
            "Volume": ("d", state.volume),
            "Position": ("x", _us(state.position_s)),
            "Metadata": ("a{sv}", _metadata(state)),
            "CanGoNext": ("b", state.has_list),
            "CanGoPrevious": ("b", state.has_list),
            "CanPlay": ("b", is_loaded),
            "CanPause": ("b", is_loaded),
            "CanSeek": ("b", is_loaded and state.length_s is not None),
            "CanControl": ("b", True),
        }

    def _introspection(self) -> str:
        properties = "".join(
            f'<property name="{name}" type="{signature}" '
            f'access="{"readwrite" if name in ("Rate", "Volume") else "read"}"/>'
            for name, (signature, _) in self._properties(PLAYER).items()
        )
        plain = "".join(
            f'<method name="{name}"/>' for name in ("Play", "Pause", "PlayPause", "Stop", "Next", "Previous")
        )
        about = "".join(
            f'<property name="{name}" type="{signature}" access="read"/>'
            for name, (signature, _) in self._properties(ROOT).items()
        )
        return (
            f'<node><interface name="{ROOT}"><method name="Raise"/><method name="Quit"/>{about}</interface>'
            f'<interface name="{PLAYER}">{plain}'
            '<method name="Seek"><arg direction="in" type="x"/></method>'
            '<method name="SetPosition"><arg direction="in" type="o"/><arg direction="in" type="x"/></method>'
            '<method name="OpenUri"><arg direction="in" type="s"/></method>'
            f'<signal name="Seeked"><arg type="x"/></signal>{properties}</interface></node>'
        )


class _Refused(Exception):
    """A call that cannot be answered; caught before it reaches anyone."""

    def __init__(self, name: str, words: str) -> None:
        super().__init__(words)
        self.name = name


class _Jumps:
    """Tells playing on from going elsewhere."""

    def __init__(self) -> None:
        self._state = RemoteState()
        self._at_s = 0.0

    def is_jump(self, state: RemoteState, now_s: float) -> bool:
        """Take in a state, and tell whether the position in it is another one than was to be expected."""
        before, passed_s = self._state, now_s - self._at_s
        moved_s = passed_s * before.rate if before.status == "Playing" else 0.0
        self._state, self._at_s = state, now_s
        is_same = state.track == before.track and state.track > 0
        return is_same and abs(state.position_s - before.position_s - moved_s) > JUMP_S


def _track(state: RemoteState) -> str:
    return f"/recmon/track/{state.track}" if state.track else _NO_TRACK


def _metadata(state: RemoteState) -> dict[str, Value]:
    told: dict[str, Value] = {"mpris:trackid": ("o", _track(state))}
    if state.track:
        told["xesam:title"] = ("s", state.title)
        if state.length_s is not None:
            told["mpris:length"] = ("x", _us(state.length_s))
    return told


def _us(seconds: float) -> int:
    return round(seconds * _US)
