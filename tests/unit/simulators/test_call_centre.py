"""The demo's scripted calls, as the call centre behind the archive tells them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from recmon.simulators.call_centre import CallCentre
from recmon.simulators.scenario import Scenario

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def test_calls_go_on_until_they_end_and_then_have_one_recording() -> None:
    at = NOW
    centre = CallCentre(lambda: at)
    scenario = Scenario(1, ["east", "west"])
    running = scenario.running("east", NOW)
    for call in [*running, *scenario.past("west", 50, NOW), *running]:
        centre.note(call)
    calls = centre.calls()
    assert len(calls) == len({call.call_id for call in calls}) == len(running) + 50
    assert all(len(call.call_id) <= 20 for call in calls)
    assert sum(call.end is None for call in calls) == len(running)
    assert set(centre.agents()) == {call.agent_id for call in calls}
    first = next(call for call in calls if call.end is None)
    assert (centre.files_of_call(first.call_id), centre.find("X:/none.V3")) == ((), None)
    at = NOW + timedelta(hours=4)
    (path,) = centre.files_of_call(first.call_id)
    assert path.startswith(f"X:/7/{0 if first.is_call_in else 1}/{first.begin:%Y%m%d}/{first.agent_id}/")
    sound = centre.find(path)
    assert sound is not None
    assert sound.startswith(b"RIFF")
    day, name = path.split("/")[3], path.rpartition("/")[2].removesuffix(".V3")
    assert centre.find(f"/1/1/record/7/{day}/{first.agent_id}/{name}.wav") == sound
