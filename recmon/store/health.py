"""The table of judgements on recordings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import apsw

from recmon.domain.calls import CallKey, RecordingRef, ServerId
from recmon.domain.conditions import storable
from recmon.domain.health import ChannelFacts, Health, HealthVerdict, SoundFacts

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class JudgedRecording:
    """A recording's judgement, and what it is the judgement of.

    Attributes:
        ref: the recording.
        call: whose sound it is.
        sha256: of its bytes; empty for a file that is not in the cache.
        health: the judgement.
    """

    ref: RecordingRef
    call: CallKey
    sha256: str
    health: Health


class HealthStore:
    """The table of judgements, on the connection of one job."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def save(self, judged: JudgedRecording, now: datetime) -> None:
        """Keep a judgement in place of an earlier one."""
        health = judged.health
        facts = {
            "sound": asdict(health.facts),
            "call_s": health.call_s,
            "silent_channel": health.silent_channel,
        }
        self._connection.execute(
            "INSERT OR REPLACE INTO recording_health VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                storable(judged.ref.server),
                storable(judged.ref.locator),
                storable(judged.call.server),
                storable(judged.call.native_id),
                judged.sha256,
                f",{','.join(verdict.value for verdict in health.verdicts)},",
                json.dumps(facts, separators=(",", ":")),
                (now - _EPOCH) // _MILLISECOND,
            ),
        )

    def all(self) -> Iterator[JudgedRecording]:
        """Return every judgement."""
        sql = """SELECT server, locator, call_server, call_native_id, sha256, verdicts, facts
            FROM recording_health"""
        return map(_judged, self._connection.execute(sql))


def _judged(row: tuple[Any, ...]) -> JudgedRecording:
    server, locator, call_server, native_id, sha256, verdicts, text = row
    facts = json.loads(text)
    sound = facts["sound"]
    sound["channels"] = tuple(ChannelFacts(**channel) for channel in sound["channels"])
    health = Health(
        tuple(HealthVerdict(word) for word in verdicts.strip(",").split(",")),
        SoundFacts(**sound),
        facts["call_s"],
        facts["silent_channel"],
    )
    return JudgedRecording(
        RecordingRef(ServerId(server), locator), CallKey(ServerId(call_server), native_id), sha256, health
    )
