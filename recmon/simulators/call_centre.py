"""The scripted calls of a demo, as the call centre behind a simulated CC-FS knows them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from recmon.simulators.ccfs_calls import SiteCall
from recmon.simulators.conversations import recording
from recmon.simulators.scenario import ScriptedCall

VDN = 7


class CallCentre:
    """Keeps the calls under call ids of its own, and their recordings under the paths that agents' have.

    Args:
        now: the clock, aware UTC.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._calls: dict[str, ScriptedCall] = {}
        self._paths: dict[str, ScriptedCall] = {}
        self._numbers: dict[str, int] = {}

    def note(self, call: ScriptedCall) -> None:
        """Take in a call, or what became of it."""
        self._calls[self._call_id(call)] = call
        self._paths[_path(call)] = call
        self._paths[_indexed_path(call)] = call

    def calls(self) -> Sequence[SiteCall]:
        """Return all calls; those that have not ended go on."""
        return [self._site_call(call) for call in tuple(self._calls.values())]

    def files_of_call(self, call_id: str) -> Sequence[str]:
        """Return the paths of a call's recordings: one, once it is over."""
        call = self._calls.get(call_id)
        return () if call is None or not self._is_over(call) else (_path(call),)

    def find(self, path: str) -> bytes | None:
        """Return the recording at a path, or None."""
        call = self._paths.get(path)
        return None if call is None or not self._is_over(call) else recording(call)

    def agents(self) -> Sequence[str]:
        """Return the numbers of all agents so far, in order."""
        return sorted({_agent(call) for call in self._calls.values()})

    def _call_id(self, call: ScriptedCall) -> str:
        # short: the vendor's questions about one call take 20 characters (ccfs.md 7.1)
        number = self._numbers.setdefault(call.native_id, len(self._numbers) + 1)
        return f"{int(call.started_at.timestamp())}-{number}"

    def _is_over(self, call: ScriptedCall) -> bool:
        return call.ends_at <= self._now()

    def _site_call(self, call: ScriptedCall) -> SiteCall:
        is_over = self._is_over(call)
        return SiteCall(
            self._call_id(call),
            call.from_number,
            call.to_number,
            _agent(call),
            _is_call_in(call),
            call.started_at,
            call.started_at + timedelta(seconds=call.answer_after_s),
            call.ends_at if is_over else None,
            release_cause=512 + call.cause_id,
            files=(_path(call),) if is_over else (),
        )


def _is_call_in(call: ScriptedCall) -> bool:
    return call.direction == "incoming"


def _agent(call: ScriptedCall) -> str:
    return call.to_number if _is_call_in(call) else call.from_number


def _path(call: ScriptedCall) -> str:
    """Return the path in the form that agents' recordings have (ccfs.md 5)."""
    direction = 0 if _is_call_in(call) else 1
    return f"X:/{VDN}/{direction}/{call.started_at:%Y%m%d}/{_agent(call)}/{call.native_id}.V3"


def _indexed_path(call: ScriptedCall) -> str:
    """Return the path in the form that the record index has (ccfs.md 4.3)."""
    return f"/1/1/record/{VDN}/{call.started_at:%Y%m%d}/{_agent(call)}/{call.native_id}.wav"
