"""What five telephony providers post about a call, and how each proves that it is the sender.

These are assumptions, drawn from public pages (elma365.md 6 and 7): nothing was compared with a real
provider. The signatures are written here anew, so that they check the program's own.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from recmon.simulators.scenario import ScriptedCall

OWN_NUMBER = "+15550100999"
"""The number that outsiders dial."""

ZADARMA_ZONE = "Europe/Kyiv"
"""The account's own zone, in which `call_start` is written."""

_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True, slots=True)
class Post:
    """One web hook.

    Attributes:
        at_s: seconds from the beginning of the call.
        body: exact bytes.
        path: below the address that the program gave.
        headers: by the full address to which it is sent.
        tells_recording: whether it says that a recording is there.
    """

    at_s: float
    body: bytes
    path: str = ""
    headers: Callable[[str], Mapping[str, str]] = field(default=lambda address: _FORM)
    tells_recording: bool = False


@dataclass(frozen=True, slots=True)
class ToldCall:
    """A call as a provider tells of it.

    Attributes:
        call: what takes place.
        is_hidden: whether the caller withholds the number.
        recordings: the provider's names of its recordings, mostly one.
        links: where they are, as far as the provider hands out links.
    """

    call: ScriptedCall
    is_hidden: bool
    recordings: Sequence[str]
    links: Sequence[str]

    @property
    def is_incoming(self) -> bool:
        """Whether the client called; calls between colleagues count as outgoing."""
        return self.call.direction == "incoming"

    @property
    def client(self) -> str:
        """The outside number; empty where it is withheld."""
        number = self.call.from_number if self.is_incoming else self.call.to_number
        return "" if self.is_hidden and self.is_incoming else number

    @property
    def extension(self) -> str:
        """The operator's number within."""
        return self.call.to_number if self.is_incoming else self.call.from_number

    @property
    def is_answered(self) -> bool:
        """Whether people talked: calls that were cancelled were not."""
        return self.call.cause_id != 5

    def at(self, seconds: float) -> datetime:
        """Return a moment of the call, aware UTC."""
        return self.call.started_at + timedelta(seconds=seconds)


class Provider(Protocol):
    """A provider's way of telling."""

    @property
    def name(self) -> str:
        """Of the adapter that understands it."""

    @property
    def secrets(self) -> Mapping[str, str]:
        """By key of the settings."""

    @property
    def values(self) -> Mapping[str, str]:
        """Other keys of the settings."""

    def posts(self, told: ToldCall) -> list[Post]:
        """Return the web hooks of a call, in order of their times."""


def new_secret(seed: str) -> str:
    """Return a secret that looks like one, anew in each process by its seed."""
    return hashlib.sha256(seed.encode()).hexdigest()[:32]


def _form(fields: Mapping[str, Any]) -> bytes:
    return urlencode({name: value for name, value in fields.items() if value is not None}).encode()


class ZadarmaPosts:
    """Notifications of a Zadarma account (elma365.md 7.1)."""

    name = "zadarma"
    values: Mapping[str, str] = {}

    def __init__(self, seed: str) -> None:
        self.secrets = {"api_key": new_secret(f"{seed} key"), "api_secret": new_secret(f"{seed} secret")}

    def sign(self, text: str) -> str:
        """Return base64 of the hexadecimal digest."""
        digits = hmac.new(self.secrets["api_secret"].encode(), text.encode(), "sha1").hexdigest()
        return base64.b64encode(digits.encode()).decode()

    def call_id(self, told: ToldCall) -> str:
        """Return the id that all notifications of a call carry."""
        return f"{'in' if told.is_incoming else 'out'}_{told.call.native_id}"

    def posts(self, told: ToldCall) -> list[Post]:
        call, pbx_call_id = told.call, self.call_id(told)
        start = f"{call.started_at.astimezone(ZoneInfo(ZADARMA_ZONE)):%Y-%m-%d %H:%M:%S}"
        base = {"call_start": start, "pbx_call_id": pbx_call_id}
        if told.is_incoming:
            ends = {**base, "caller_id": told.client, "called_did": OWN_NUMBER}
            signed = f"{told.client}{OWN_NUMBER}{start}"
            name = "NOTIFY"
        else:
            ends = {**base, "internal": told.extension, "destination": told.client}
            signed = f"{told.extension}{told.client}{start}"
            name = "NOTIFY_OUT"
        posts = [self._post(0, signed, {"event": f"{name}_START", **ends})]
        if told.is_incoming:
            rings = {"event": "NOTIFY_INTERNAL", **ends, "internal": told.extension}
            posts.append(self._post(0.2, signed, rings))
        caller = told.client if told.is_incoming else OWN_NUMBER
        destination = OWN_NUMBER if told.is_incoming else told.client
        if told.is_answered:
            answer = {"event": "NOTIFY_ANSWER", **base, "caller_id": caller, "destination": destination}
            if told.is_incoming:
                answer["internal"] = told.extension
            posts.append(self._post(call.answer_after_s, f"{caller}{destination}{start}", answer))
        end = {
            "event": f"{name}_END",
            **ends,
            "internal": told.extension if told.is_answered or not told.is_incoming else None,
            "duration": round(call.duration_s) if told.is_answered else 0,
            "disposition": "answered" if told.is_answered else "cancel",
            "status_code": 16,
            "is_recorded": 1,
            "call_id_with_rec": told.recordings[0],
        }
        posts.append(self._post(call.duration_s, signed, end))
        for recording in told.recordings if told.is_answered else ():
            notice = {
                "event": "NOTIFY_RECORD",
                "pbx_call_id": pbx_call_id,
                "call_id_with_rec": recording,
            }
            posts.append(self._post(call.duration_s + 1, pbx_call_id + recording, notice, is_recording=True))
        return posts

    def _post(
        self, at_s: float, signed: str, fields: Mapping[str, Any], *, is_recording: bool = False
    ) -> Post:
        signature = self.sign(signed)
        return Post(
            at_s,
            _form(fields),
            headers=lambda address: {**_FORM, "Signature": signature},
            tells_recording=is_recording,
        )


class MangoPosts:
    """Events of a Mango Office account (elma365.md 7.2)."""

    name = "mango"
    values: Mapping[str, str] = {}

    def __init__(self, seed: str) -> None:
        self.secrets = {"api_key": new_secret(f"{seed} key"), "api_salt": new_secret(f"{seed} salt")}

    def sign(self, text: str) -> str:
        """Return the checksum over key, text and salt."""
        key, salt = self.secrets["api_key"], self.secrets["api_salt"]
        return hashlib.sha256(f"{key}{text}{salt}".encode()).hexdigest()

    def posts(self, told: ToldCall) -> list[Post]:
        call = told.call
        entry = base64.b64encode(f"entry:{call.native_id}".encode()).decode()
        operator = {"extension": told.extension, "number": f"sip:user{told.extension}@pbx.example.org"}
        client: dict[str, Any] = {"number": told.client.lstrip("+")} if told.client else {}
        source, target = (client, operator) if told.is_incoming else (operator, client)
        leg = {"entry_id": entry, "call_id": f"leg-{call.native_id}", "from": source, "to": target}
        steps = [(0.0, "Appeared"), (call.duration_s, "Disconnected")]
        if told.is_answered:
            steps.insert(1, (call.answer_after_s, "Connected"))
        posts = [
            self._post(
                at_s,
                "events/call",
                {
                    **leg,
                    "timestamp": _epoch(told.at(at_s)),
                    "seq": number,
                    "call_state": state,
                    "location": "abonent",
                },
            )
            for number, (at_s, state) in enumerate(steps, start=1)
        ]
        talked_at = _epoch(told.at(call.answer_after_s)) if told.is_answered else 0
        summary = {
            "entry_id": entry,
            "call_direction": 1 if told.is_incoming else 2,
            "from": source,
            "to": target,
            "line_number": OWN_NUMBER.lstrip("+"),
            "create_time": _epoch(call.started_at),
            "forward_time": talked_at,
            "talk_time": talked_at,
            "end_time": _epoch(call.ends_at),
            # A public sample of a failed call says 1 here: only the talk time can be relied on.
            "entry_result": 1,
            "disconnect_reason": 1110,
        }
        posts.append(self._post(call.duration_s + 0.2, "events/summary", summary))
        for recording in told.recordings if told.is_answered else ():
            posts += self._recording(told, entry, recording)
        return sorted(posts, key=lambda post: post.at_s)

    def _recording(self, told: ToldCall, entry: str, recording: str) -> list[Post]:
        call = told.call
        about = {"entry_id": entry, "recording_id": recording}
        state = {**about, "call_id": f"leg-{call.native_id}", "recipient": "Cloud"}
        ended = {**state, "recording_state": "Completed", "completion_code": 1000}
        added = {**about, "product_id": 1, "user_id": -1, "timestamp": _epoch(call.ends_at)}
        return [
            self._post(
                call.answer_after_s + 0.1, "events/recording", {**state, "recording_state": "Started"}
            ),
            self._post(call.duration_s + 0.1, "events/recording", ended),
            self._post(call.duration_s + 1, "events/record/added", added, is_recording=True),
        ]

    def _post(
        self, at_s: float, path: str, message: Mapping[str, Any], *, is_recording: bool = False
    ) -> Post:
        text = json.dumps(message)
        body = _form({"vpbx_api_key": self.secrets["api_key"], "sign": self.sign(text), "json": text})
        return Post(at_s, body, path, tells_recording=is_recording)


class MegafonPosts:
    """Commands of a MegaFon virtual PBX (elma365.md 7.3)."""

    name = "megafon"
    values: Mapping[str, str] = {}

    def __init__(self, seed: str) -> None:
        self.secrets = {"crm_token": new_secret(f"{seed} token")}

    def posts(self, told: ToldCall) -> list[Post]:
        call = told.call
        operator = {"user": f"user{told.extension}", "ext": told.extension}
        colleague = {"user": "user599", "ext": "599"}
        about = {
            "cmd": "event",
            "callid": f"mf-{call.native_id}",
            "phone": told.client.lstrip("+"),
            "direction": "in" if told.is_incoming else "out",
            "diversion": OWN_NUMBER.lstrip("+") if told.is_incoming else None,
        }
        begun = "INCOMING" if told.is_incoming else "OUTGOING"
        posts = [self._post(0, {**about, **operator, "type": begun})]
        if told.is_incoming:
            posts.append(self._post(0.1, {**about, **colleague, "type": begun}))
        if told.is_answered:
            posts.append(self._post(call.answer_after_s, {**about, **operator, "type": "ACCEPTED"}))
        if told.is_incoming:
            lost = call.answer_after_s + 0.1 if told.is_answered else call.duration_s - 0.1
            posts.append(self._post(lost, {**about, **colleague, "type": "CANCELLED"}))
        end = "COMPLETED" if told.is_answered else "CANCELLED"
        posts.append(self._post(call.duration_s, {**about, **operator, "type": end}))
        links = told.links if told.is_answered else [None]
        for number, link in enumerate(links):
            history = {
                **about,
                **operator,
                "cmd": "history",
                "type": about["direction"],
                "status": "Success" if told.is_answered else "Cancel",
                "start": f"{call.started_at.astimezone(UTC):%Y%m%dT%H%M%SZ}",
                "duration": round(call.duration_s),
                "link": link,
            }
            at_s = call.duration_s + 1 + number
            posts.append(self._post(at_s, history, is_recording=link is not None))
        return posts

    def _post(self, at_s: float, fields: Mapping[str, Any], *, is_recording: bool = False) -> Post:
        body = _form({**fields, "crm_token": self.secrets["crm_token"]})
        return Post(at_s, body, tells_recording=is_recording)


class TwilioPosts:
    """Callbacks of a Twilio account, on calls and on recordings (elma365.md 7.4)."""

    name = "twilio"

    def __init__(self, seed: str) -> None:
        self.secrets = {"auth_token": new_secret(f"{seed} token")}
        self.values = {"account_sid": f"AC{new_secret(f'{seed} account')}"}

    def sign(self, address: str, fields: Mapping[str, str]) -> str:
        """Return base64 of the digest over the address and all fields by name."""
        text = address + "".join(f"{name}{fields[name]}" for name in sorted(fields))
        digest = hmac.new(self.secrets["auth_token"].encode(), text.encode(), "sha1").digest()
        return base64.b64encode(digest).decode()

    def posts(self, told: ToldCall) -> list[Post]:
        call = told.call
        about = {"AccountSid": self.values["account_sid"], "CallSid": f"CA{call.native_id}"}
        ends = {
            **about,
            "From": told.client if told.is_incoming else OWN_NUMBER,
            "To": OWN_NUMBER if told.is_incoming else told.client,
            "Direction": "inbound" if told.is_incoming else "outbound-api",
        }
        posts = [self._post(0, {**ends, "CallStatus": "ringing"})]
        if told.is_answered:
            posts.append(self._post(call.answer_after_s, {**ends, "CallStatus": "in-progress"}))
        seconds = str(round(call.duration_s - call.answer_after_s)) if told.is_answered else "0"
        status = "completed" if told.is_answered else "canceled"
        end = {**ends, "CallStatus": status, "CallDuration": seconds}
        posts.append(self._post(call.duration_s, end))
        for recording, link in zip(told.recordings, told.links, strict=True) if told.is_answered else ():
            ready = {
                **about,
                "RecordingSid": recording,
                "RecordingUrl": link,
                "RecordingStatus": "completed",
                "RecordingDuration": seconds,
                "RecordingChannels": "2",
                "RecordingSource": "DialVerb",
            }
            posts.append(self._post(call.duration_s + 1, ready, is_recording=True))
        return posts

    def _post(self, at_s: float, fields: Mapping[str, str], *, is_recording: bool = False) -> Post:
        return Post(
            at_s,
            _form(fields),
            headers=lambda address: {**_FORM, "X-Twilio-Signature": self.sign(address, fields)},
            tells_recording=is_recording,
        )


class GenericPosts:
    """A bridge beside somebody's PBX, which posts our own JSON (elma365.md 6)."""

    name = "generic"
    secrets: Mapping[str, str] = {}
    values: Mapping[str, str] = {}

    def __init__(self, seed: str) -> None:
        self._seed = seed

    def posts(self, told: ToldCall) -> list[Post]:
        call = told.call
        about: dict[str, Any] = {
            "direction": "in" if told.is_incoming else "out",
            "srcPhone": told.client if told.is_incoming else told.extension,
            "dstPhone": told.extension if told.is_incoming else told.client,
        }
        if int(call.native_id) % 3:
            # Some bridges know no id: then the numbers say what belongs together.
            about["callId"] = f"c-{call.native_id}"
        steps = [(0.0, "NotifyStart"), (call.duration_s, "NotifyEnd")]
        if told.is_answered:
            steps.insert(1, (call.answer_after_s, "NotifyAnswer"))
        outcome = "answered" if told.is_answered else "cancelled"
        posts = [
            self._post(
                at_s,
                {
                    "event": {
                        **about,
                        "event": name,
                        "at": told.at(at_s).isoformat(timespec="seconds"),
                        "disposition": outcome if name == "NotifyEnd" else "unknown",
                    }
                },
            )
            for at_s, name in steps
        ]
        for link in told.links if told.is_answered else ():
            record = {
                **about,
                "duration": round(call.duration_s),
                "disposition": outcome,
                "call": {"url": link},
            }
            posts.append(self._post(call.duration_s + 1, {"callRecord": record}, is_recording=True))
        return posts

    def _post(self, at_s: float, message: Mapping[str, Any], *, is_recording: bool = False) -> Post:
        return Post(
            at_s,
            json.dumps(message).encode(),
            headers=lambda address: {"Content-Type": "application/json"},
            tells_recording=is_recording,
        )


def _epoch(at: datetime) -> int:
    return int(at.timestamp())


PROVIDERS: Mapping[str, Callable[[str], Provider]] = {
    "zadarma": ZadarmaPosts,
    "mango": MangoPosts,
    "megafon": MegafonPosts,
    "twilio": TwilioPosts,
    "generic": GenericPosts,
}
