"""The script of calls: plausible, repeatable, and never fewer running than promised."""

from __future__ import annotations

import heapq
import json
import re
import statistics
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from recmon.simulators.drafts import CONVERSATIONS, INTERNAL_CONVERSATION, LONGEST_S, MEAN_S, SHORTEST_S
from recmon.simulators.people import DEPARTMENTS, OUTSIDE, STAFF
from recmon.simulators.scenario import PlannedCall, Scenario, ScriptedCall

NOW = datetime(2026, 11, 21, 14, 30, tzinfo=UTC)
SERVERS = ("east", "west", "north")


def scenario(**values: Any) -> Scenario:
    return Scenario(**({"seed": 7, "servers": SERVERS} | values))


def live(script: Scenario, server: str, count: int, now: datetime = NOW) -> list[ScriptedCall]:
    calls = []
    for _ in range(count):
        wait_s, call = script.next_call(server, now)
        assert wait_s >= 0
        now += timedelta(seconds=wait_s)
        assert abs((call.started_at - now).total_seconds()) < 0.01
        calls.append(call)
    return calls


def everything(script: Scenario) -> list[ScriptedCall]:
    calls = []
    for server in SERVERS:
        calls += script.past(server, 300, NOW) + script.running(server, NOW) + live(script, server, 200)
        calls += script.keep_running(server, 0, NOW)
    return calls


def test_the_same_seed_gives_the_same_calls_and_another_one_others() -> None:
    assert everything(scenario()) == everything(scenario())
    assert everything(scenario()) != everything(scenario(seed=8))


def test_ids_are_unique_over_all_servers_and_kinds() -> None:
    calls = everything(scenario())
    assert len({call.native_id for call in calls}) == len(calls)
    assert len({call.call_id for call in calls}) == len(calls)
    assert all(call.native_id.isascii() and call.native_id.isdigit() for call in calls)
    assert all(str(UUID(call.call_id)) == call.call_id for call in calls)


def test_ids_of_a_later_play_of_the_same_seed_are_new() -> None:
    first = {call.native_id for call in everything(scenario())}
    script = scenario()
    later = NOW + timedelta(minutes=7)
    second = [
        *script.past("east", 300, later),
        *script.running("east", later),
        *live(script, "east", 50, later),
    ]
    assert not first & {call.native_id for call in second}


def test_past_calls_are_over_in_order_within_three_days_and_in_working_hours() -> None:
    calls = scenario().past("east", 2000, NOW)
    assert len(calls) == 2000
    assert calls == sorted(calls, key=lambda call: call.started_at)
    assert all(call.ends_at <= NOW for call in calls)
    assert all(NOW - timedelta(days=3, hours=1) < call.started_at for call in calls)
    at_night = [call for call in calls if not 7 <= call.started_at.hour <= 19]
    assert not at_night


def test_past_calls_are_denser_near_now_also_at_night() -> None:
    midnight = NOW.replace(hour=0)
    calls = scenario().past("east", 2000, midnight)
    ages = Counter((midnight - call.started_at).days for call in calls)
    assert ages[0] > ages[1] > ages[2]
    assert [call for call in calls if midnight - call.started_at < timedelta(hours=2)]


def test_values_are_plausible() -> None:
    calls = everything(scenario())
    assert {call.direction for call in calls} == {"incoming", "outgoing", "internal"}
    assert {call.cause_id for call in calls} == {0, 1, 2, 4, 5}
    assert {call.codec for call in calls} == {"alaw", "ulaw", "pcm"}
    assert {call.channels for call in calls} == {1, 2}
    assert {call.conversation for call in calls} == {*CONVERSATIONS, INTERNAL_CONVERSATION}
    kinds = Counter((call.codec, call.channels) for call in calls)
    assert kinds.most_common(1)[0][0] == ("alaw", 2)
    outside = re.compile(r"\+\d{8,15}")
    for call in calls:
        inside = {"incoming": (False, True), "outgoing": (True, False), "internal": (True, True)}
        for number, is_extension in zip(
            (call.from_number, call.to_number), inside[call.direction], strict=True
        ):
            assert re.fullmatch(r"44\d\d", number) if is_extension else outside.fullmatch(number)
        assert call.from_number != call.to_number
        assert (call.conversation == INTERNAL_CONVERSATION) == (call.direction == "internal")
        assert 0 < call.answer_after_s < call.duration_s
        assert SHORTEST_S <= call.duration_s <= LONGEST_S
        assert call.started_at.utcoffset() == timedelta(0)
        assert call.ends_at == call.started_at + timedelta(seconds=call.duration_s)


def test_lengths_have_the_promised_median_and_mean() -> None:
    lengths = [call.duration_s for call in scenario().past("east", 4000, NOW)]
    assert statistics.median(lengths) == pytest.approx(150, rel=0.08)
    assert statistics.mean(lengths) == pytest.approx(MEAN_S, rel=0.08)


def test_people_keep_their_numbers_and_numbers_are_fictional() -> None:
    people = [*DEPARTMENTS, *STAFF, *OUTSIDE]
    assert len({person.number for person in people}) == len(people)
    assert any(not person.name for person in OUTSIDE)
    free = (
        r"\+442079460\d{3}|\+1[23]1255501\d\d|\+36155501\d\d|\+6125550\d{4}|"
        r"\+3319900\d{4}|\+493023125\d{3}|\+468465004\d\d"
    )
    for person in OUTSIDE:
        assert re.fullmatch(free, person.number), person


def test_arrivals_have_the_rate_that_was_asked_for() -> None:
    script = scenario(calls_per_minute=60)
    calls = live(script, "east", 2000)
    assert (calls[-1].started_at - NOW).total_seconds() == pytest.approx(2000 * 3, rel=0.08)


def test_a_rate_too_low_for_the_running_calls_is_raised_and_a_sufficient_one_kept() -> None:
    assert scenario(calls_per_minute=12, concurrent=8).rate_per_minute == 12
    raised = scenario(calls_per_minute=0.5, concurrent=8).rate_per_minute
    # Little's law
    assert raised / 60 * MEAN_S == pytest.approx(8)


@pytest.mark.parametrize(("rate", "concurrent"), [(12, 8), (0.5, 8), (2, 10), (600, 1)])
def test_at_the_start_no_fewer_than_promised_run_and_none_ends_at_once(rate: float, concurrent: int) -> None:
    script = scenario(calls_per_minute=rate, concurrent=concurrent)
    running = [call for server in SERVERS for call in script.running(server, NOW)]
    assert len(running) >= concurrent
    assert len(running) == pytest.approx(max(concurrent, rate / 60 * MEAN_S), abs=3)
    assert all(call.started_at <= NOW and call.ends_at > NOW + timedelta(seconds=0.5) for call in running)


def test_shares_add_up_to_the_promise() -> None:
    for concurrent in range(12):
        script = scenario(concurrent=concurrent)
        assert sum(script.share(server) for server in SERVERS) == concurrent


@pytest.mark.parametrize("rate", [0.1, 3, 12])
def test_played_for_an_hour_never_fewer_than_eight_calls_run(rate: float) -> None:
    script = scenario(calls_per_minute=rate, concurrent=8)
    ends: dict[str, list[datetime]] = {
        server: [call.ends_at for call in script.running(server, NOW)] for server in SERVERS
    }
    for pending in ends.values():
        heapq.heapify(pending)
    upcoming = {server: script.next_call(server, NOW)[1] for server in SERVERS}
    now = NOW
    while now < NOW + timedelta(hours=1):
        server = min(SERVERS, key=lambda name: min(ends[name][0], upcoming[name].started_at))
        if upcoming[server].started_at < ends[server][0]:
            now = upcoming[server].started_at
            heapq.heappush(ends[server], upcoming[server].ends_at)
            upcoming[server] = script.next_call(server, now)[1]
        else:
            now = heapq.heappop(ends[server])
            for call in script.keep_running(server, len(ends[server]), now):
                assert call.started_at == now
                heapq.heappush(ends[server], call.ends_at)
        assert sum(map(len, ends.values())) >= 8


def test_planned_calls_are_past_running_or_still_to_come() -> None:
    plans = [
        PlannedCall("east", -3600, (("duration_s", 60), ("from_name", "Past"))),
        PlannedCall("east", -30, (("duration_s", 90), ("from_name", "Running"))),
        PlannedCall("east", 5, (("direction", "internal"), ("from_name", "Next"), ("native_id", "77"))),
        PlannedCall("west", 5, (("from_name", "Elsewhere"),)),
    ]
    script = scenario(calls_per_minute=0.001, concurrent=0, planned=plans)
    assert [call.from_name for call in script.past("east", 0, NOW)] == ["Past"]
    assert [call.from_name for call in script.running("east", NOW)] == ["Running"]
    wait_s, call = script.next_call("east", NOW + timedelta(seconds=1))
    assert (wait_s, call.from_name, call.native_id) == (4.0, "Next", "77")
    assert call.direction == "internal"
    assert call.to_number.startswith("44")
    later = script.next_call("east", NOW + timedelta(seconds=5))[1]
    assert later.from_name not in ("Past", "Running", "Next", "Elsewhere")
    assert script.next_call("west", NOW)[1].from_name == "Elsewhere"


def test_a_planned_call_does_not_move_the_calls_that_come_by_chance() -> None:
    usual = live(scenario(), "east", 20)
    mixed = live(scenario(planned=[PlannedCall("east", 20, (("from_name", "Planned"),))]), "east", 21)
    assert [call for call in mixed if call.from_name != "Planned"] == usual
    assert len(mixed) == 21


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"servers": ()}, "different names"),
        ({"servers": ("east", "east")}, "different names"),
        ({"calls_per_minute": 0}, "above 0"),
        ({"calls_per_minute": float("nan")}, "above 0"),
        ({"calls_per_minute": float("inf")}, "above 0"),
        ({"concurrent": -1}, "negative"),
        ({"planned": [PlannedCall("south", 1)]}, "south"),
    ],
)
def test_values_that_make_no_sense_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        scenario(**values)


# Files


def test_a_scenario_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "scenario.json"
    call = {
        "server": "b",
        "after_s": -5,
        "from_name": "Zo\u00eb",
        "duration_s": 600,
        "codec": "pcm",
        "channels": 1,
    }
    values = {"seed": 3, "servers": ["a", "b"], "calls_per_minute": 6.5, "concurrent": 2, "calls": [call]}
    path.write_text(json.dumps(values), encoding="utf-8")
    script = Scenario.from_file(path)
    assert (script.seed, script.servers, script.concurrent) == (3, ("a", "b"), 2)
    assert script.rate_per_minute == 6.5
    (planned,) = [call for call in script.running("b", NOW) if call.from_name == "Zo\u00eb"]
    assert (planned.duration_s, planned.codec, planned.channels) == (600, "pcm", 1)


def test_an_empty_object_gives_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "scenario.json"
    path.write_text("{}")
    script = Scenario.from_file(path)
    assert (script.seed, script.servers, script.rate_per_minute, script.concurrent) == (
        1,
        SERVERS,
        12,
        8,
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "one JSON object"),
        ('{"seed": 1.5}', "seed must be a whole number"),
        ('{"seed": true}', "seed must be a whole number"),
        ('{"servers": "east"}', "servers must be a list"),
        ('{"servers": ["east", 1]}', "servers must be a list of names"),
        ('{"servers": []}', "different names"),
        ('{"calls_per_minute": "12"}', "calls_per_minute must be a number"),
        ('{"calls_per_minute": 1e999}', "calls_per_minute must be a number"),
        ('{"calls_per_minute": 0}', "above 0"),
        ('{"concurrent": 2.5}', "concurrent must be a whole number"),
        ('{"calls": {}}', "calls must be a list"),
        ('{"speed": 1}', "unknown key 'speed'"),
        ('{"calls": [1]}', "call 1: must be an object"),
        ('{"calls": [{}]}', "call 1: server must be a name"),
        ('{"calls": [{"server": "east"}]}', "call 1: after_s must be"),
        ('{"calls": [{"server": "east", "after_s": 1e9}]}', "call 1: after_s must be"),
        ('{"calls": [{"server": "south", "after_s": 1}]}', "south"),
        ('{"calls": [{"server": "east", "after_s": 1, "codec": "mp3"}]}', "codec must be one of alaw"),
        ('{"calls": [{"server": "east", "after_s": 1, "channels": true}]}', "channels must be one of 1, 2"),
        ('{"calls": [{"server": "east", "after_s": 1, "codec": []}]}', "codec must be one of"),
        ('{"calls": [{"server": "east", "after_s": 1, "duration_s": 0}]}', "duration_s must be"),
        ('{"calls": [{"server": "east", "after_s": 1, "answer_after_s": -1}]}', "answer_after_s must be"),
        ('{"calls": [{"server": "east", "after_s": 1, "cause_id": "x"}]}', "cause_id must be"),
        ('{"calls": [{"server": "east", "after_s": 1, "from_name": 5}]}', "from_name must be a text"),
        ('{"calls": [{"server": "east", "after_s": 1, "started_at": "x"}]}', "unknown key 'started_at'"),
    ],
)
def test_a_bad_scenario_file_is_refused_with_its_name_and_a_reason(
    tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "scenario.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        Scenario.from_file(path)
    assert str(path) in str(caught.value)


def test_all_problems_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "scenario.json"
    path.write_text(
        '{"seed": "x", "speed": 1, "calls": [1, {"server": "east", "after_s": 1, "codec": "mp3"}]}'
    )
    with pytest.raises(ValueError, match="seed") as caught:
        Scenario.from_file(path)
    assert str(caught.value).count(str(path)) == 4


def test_a_missing_or_binary_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        Scenario.from_file(tmp_path / "none.json")
    binary = tmp_path / "binary.json"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="UTF-8"):
        Scenario.from_file(binary)
