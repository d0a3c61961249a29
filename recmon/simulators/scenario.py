"""A script of plausible calls for the simulated servers: who calls whom, when, for how long.

The same seed and the same start give the same calls. Nothing here reads a clock or does network IO.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from random import Random
from uuid import UUID, uuid5

from recmon.simulators.drafts import MEAN_S, MEDIAN_S, SIGMA, Draft, draw, length_s
from recmon.simulators.legs import Drafted, is_transferred, join, next_leg
from recmon.simulators.people import Person
from recmon.simulators.scenario_file import PlannedCall, read_scenario_file

_OPENS, _CLOSES = 8, 18
PAST_HOURS = 72
_ALWAYS_OPEN_HOURS = 2
_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
_CALL_IDS = UUID("5f0c6f52-5a0e-4a57-9f6e-1d1a9e6f2b10")
_PAST, _RUNNING, _LIVE = range(3)


@dataclass(frozen=True, slots=True)
class ScriptedCall:
    """One call as the simulated servers will tell of it.

    Attributes:
        server: name of the recording server.
        native_id: decimal digits, unique over all servers of a scenario.
        call_id: UUID text.
        direction: `incoming`, `outgoing` or `internal`.
        from_number: calling number.
        from_name: calling party; may be empty.
        to_number: called number.
        to_name: called party; may be empty.
        started_at: aware UTC.
        answer_after_s: seconds from the start until the parties were connected.
        duration_s: seconds from start to end; the recording is as long.
        cause_id: why it ended (verba.md 4.3).
        conversation: name of the dialogue that is heard.
        codec: `alaw`, `ulaw` or `pcm` (16 bit).
        channels: 2 with one party each, or 1 with both mixed.
        native_call_id: what the legs of one conversation have in common; empty: `native_id`, it has one leg.
        is_secondary: whether it is a second recording of another call.
    """

    server: str
    native_id: str
    call_id: str
    direction: str
    from_number: str
    from_name: str
    to_number: str
    to_name: str
    started_at: datetime
    answer_after_s: float
    duration_s: float
    cause_id: int
    conversation: str
    codec: str
    channels: int
    native_call_id: str = ""
    is_secondary: bool = False

    @property
    def ends_at(self) -> datetime:
        """When the call ends, aware UTC."""
        return self.started_at + timedelta(seconds=self.duration_s)


class Scenario:
    """Invents the calls of all servers.

    `calls_per_minute` counts new calls over all servers. By Little's law the number of calls that run at a
    time is on average the rate times the mean length (`MEAN_S`, about three minutes): 12 a minute keep about
    36 running. Where the rate asked for is too low to keep `concurrent` calls running on average, it is
    raised to the rate that does (`rate_per_minute` tells). An average can be undercut by chance, so whoever
    plays the scenario also begins the calls that `keep_running` returns, after each end of a call: then at
    no time fewer than `concurrent` calls run.

    Args:
        seed: chooses the calls.
        servers: names of the recording servers.
        calls_per_minute: new calls over all servers; above 0.
        concurrent: calls that run at least, over all servers.
        planned: calls that take place in any case.

    Raises:
        ValueError: a value makes no sense.
    """

    def __init__(
        self,
        seed: int,
        servers: Sequence[str],
        calls_per_minute: float = 12,
        concurrent: int = 8,
        planned: Sequence[PlannedCall] = (),
    ) -> None:
        if not servers or len(set(servers)) != len(servers):
            raise ValueError("a scenario needs servers with different names")
        if not (0 < calls_per_minute < math.inf):
            raise ValueError("calls_per_minute must be a number above 0")
        if concurrent < 0:
            raise ValueError("concurrent must not be negative")
        unknown = sorted({call.server for call in planned} - set(servers))
        if unknown:
            raise ValueError(
                f"planned calls name servers that the scenario does not have: {', '.join(unknown)}"
            )
        self.seed = seed
        self.servers = tuple(servers)
        self.concurrent = concurrent
        self.rate_per_minute = max(float(calls_per_minute), concurrent / MEAN_S * 60)
        self._planned = tuple(planned)
        self._begun: datetime | None = None
        self._arrivals = {server: self._random(server, "arrivals") for server in servers}
        self._extra = {server: self._random(server, "extra") for server in servers}
        self._last_live_tick = dict.fromkeys(servers, -1)
        self._waiting: dict[str, list[ScriptedCall]] = {}
        self._drawn: dict[str, ScriptedCall] = {}

    @classmethod
    def from_file(cls, path: Path) -> Scenario:
        """Make the scenario that a JSON file describes; `scenario_file.read_scenario_file` lists its keys.

        Raises:
            ValueError: the file cannot be read or used; one sentence for each problem.
        """
        values = read_scenario_file(path)
        try:
            return cls(
                values.seed, values.servers, values.calls_per_minute, values.concurrent, values.planned
            )
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    def share(self, server: str) -> int:
        """Return how many of the `concurrent` calls this server has to keep running."""
        return len(range(self.servers.index(server), self.concurrent, len(self.servers)))

    def past(self, server: str, count: int, now: datetime) -> list[ScriptedCall]:
        """Return `count` ended calls and the planned ones that have ended, oldest first.

        They lie in the last three days, in working hours (UTC) and in the two hours before `now`, the more
        the nearer to `now`.
        """
        random = self._random(server, "past")
        hours, weights = _past_hours(now)
        totals = list(accumulate(weights))
        made: list[Drafted] = []
        for _ in range(count):
            draft = draw(random, length_s(random))
            hour = random.choices(hours, cum_weights=totals)[0]
            started_at = hour + timedelta(seconds=random.uniform(0, 3600))
            latest = now - timedelta(seconds=draft.duration_s + random.uniform(2, 1200))
            made.append(Drafted(min(started_at, latest), draft))
        join(self._random(server, "legs"), made, now - timedelta(seconds=2))
        calls = self._finish(server, made, _PAST)
        begun, planned = self._planned_calls(server, now)
        calls += [call for call in planned if call.ends_at <= begun]
        return sorted(calls, key=lambda call: call.started_at)

    def running(self, server: str, now: datetime) -> list[ScriptedCall]:
        """Return the calls that go on at `now`, oldest first, so that `concurrent` or more run over all."""
        random = self._random(server, "running")
        usual = round(self.rate_per_minute / 60 * MEAN_S / len(self.servers))
        made: list[Drafted] = []
        for _ in range(max(usual, self.share(server))):
            # met at a random moment, a long call is more likely than a short one: the length-biased law
            draft = draw(random, length_s(random, MEDIAN_S * math.exp(SIGMA**2)))
            age_s = draft.duration_s * random.uniform(0.03, 0.95)
            made.append(Drafted(now - timedelta(seconds=age_s), draft))
        calls = self._finish(server, made, _RUNNING)
        begun, planned = self._planned_calls(server, now)
        calls += [call for call in planned if call.started_at <= begun < call.ends_at]
        return sorted(calls, key=lambda call: call.started_at)

    def next_call(self, server: str, now: datetime) -> tuple[float, ScriptedCall]:
        """Return how many seconds to wait, and the call that begins then; Poisson arrivals.

        Ask again when that call has begun. The first question of any kind is the scenario's beginning, from
        which planned calls count.
        """
        drawn = self._drawn.pop(server, None)
        if drawn is None:
            random = self._arrivals[server]
            wait_s = random.expovariate(self.rate_per_minute / 60 / len(self.servers))
            drawn = self._live(server, draw(random, length_s(random)), now + timedelta(seconds=wait_s))
        if server not in self._waiting:
            begun, planned = self._planned_calls(server, now)
            self._waiting[server] = [call for call in planned if call.started_at > begun]
        waiting = self._waiting[server]
        if waiting and waiting[0].started_at < drawn.started_at:
            self._drawn[server] = drawn
            drawn = waiting.pop(0)
        return max(0.0, (drawn.started_at - now).total_seconds()), drawn

    def keep_running(self, server: str, running: int, now: datetime) -> list[ScriptedCall]:
        """Return the calls to begin at once, so that the server keeps its share of `concurrent`.

        Args:
            server: name of the recording server.
            running: calls that run on it now.
            now: when the returned calls start.
        """
        random = self._extra[server]
        missing = max(0, self.share(server) - running)
        return [self._live(server, draw(random, length_s(random)), now) for _ in range(missing)]

    def next_leg(self, call: ScriptedCall, now: datetime) -> ScriptedCall | None:
        """Return the call that begins at once because this one was handed on when it ended, if it was."""
        if call.is_secondary or not is_transferred(call.direction, call.cause_id):
            return None
        before = Draft(
            call.direction,
            Person(call.from_number, call.from_name),
            Person(call.to_number, call.to_name),
            call.answer_after_s,
            call.duration_s,
            call.cause_id,
            call.conversation,
            call.codec,
            call.channels,
        )
        draft = next_leg(self._random(call.server, f"leg after {call.call_id}"), before)
        leg = self._live(call.server, draft, now)
        return replace(leg, native_call_id=call.native_call_id or call.native_id)

    def _random(self, server: str, purpose: str) -> Random:
        return Random(f"{self.seed}/{server}/{purpose}")

    def _planned_calls(self, server: str, now: datetime) -> tuple[datetime, list[ScriptedCall]]:
        """Return when the scenario began, and the server's planned calls, earliest first."""
        begun = self._begun = self._begun or now
        calls: list[ScriptedCall] = []
        for place, plan in enumerate(self._planned):
            if plan.server != server:
                continue
            random = self._random(server, f"planned {place}")
            fields = dict(plan.fields)
            # a word for the direction decides who is who, so it comes before everything invented
            direction = fields.get("direction")
            draft = draw(random, length_s(random), str(direction) if direction else None)
            started_at = _to_milliseconds(begun + timedelta(seconds=plan.after_s))
            tick = _tick(started_at) * 1000 + place
            call = self._call(server, draft, started_at, str(tick * len(self.servers)))
            values = {name: getattr(call, name) for name in ScriptedCall.__slots__}
            calls.append(ScriptedCall(**(values | fields)))
        return begun, sorted(calls, key=lambda call: call.started_at)

    def _live(self, server: str, draft: Draft, started_at: datetime) -> ScriptedCall:
        started_at = _to_milliseconds(started_at)
        tick = max(_tick(started_at), self._last_live_tick[server] + 1)
        self._last_live_tick[server] = tick
        return self._call(server, draft, started_at, self._native_id(server, tick, _LIVE))

    def _finish(self, server: str, made: Sequence[Drafted], kind: int) -> list[ScriptedCall]:
        calls: list[ScriptedCall] = []
        firsts: dict[Drafted, str] = {}
        last = -1
        for drafted in sorted(made, key=lambda drafted: drafted.started_at):
            started_at = _to_milliseconds(drafted.started_at)
            last = max(_tick(started_at), last + 1)
            call = self._call(server, drafted.draft, started_at, self._native_id(server, last, kind))
            firsts[drafted] = call.native_id
            if drafted.first is not None:
                # A first call begins, and so was met, before those that belong to it.
                call = replace(call, native_call_id=firsts[drafted.first], is_secondary=drafted.is_secondary)
            calls.append(call)
        return calls

    def _native_id(self, server: str, tick: int, kind: int) -> str:
        # one digit sequence for every (tick, kind, server); a second run later repeats no id of the first
        return str((tick * 3 + kind) * len(self.servers) + self.servers.index(server))

    def _call(self, server: str, draft: Draft, started_at: datetime, native_id: str) -> ScriptedCall:
        return ScriptedCall(
            server=server,
            native_id=native_id,
            call_id=str(uuid5(_CALL_IDS, f"{self.seed}/{server}/{native_id}")),
            direction=draft.direction,
            from_number=draft.caller.number,
            from_name=draft.caller.name,
            to_number=draft.callee.number,
            to_name=draft.callee.name,
            started_at=started_at,
            answer_after_s=draft.answer_after_s,
            duration_s=draft.duration_s,
            cause_id=draft.cause_id,
            conversation=draft.conversation,
            codec=draft.codec,
            channels=draft.channels,
        )


def _past_hours(now: datetime) -> tuple[list[datetime], list[float]]:
    hours: list[datetime] = []
    weights: list[float] = []
    for age in range(1, PAST_HOURS + 1):
        hour = now - timedelta(hours=age)
        if age <= _ALWAYS_OPEN_HOURS or _OPENS <= hour.hour < _CLOSES:
            hours.append(hour)
            weights.append(math.exp(-age / 24))
    return hours, weights


def _to_milliseconds(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(microsecond=time.microsecond // 1000 * 1000)


def _tick(time: datetime) -> int:
    """Return hundredths of a second, the resolution of native ids."""
    return int((time - _EPOCH).total_seconds() * 100)
