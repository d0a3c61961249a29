"""The simulated providers of the demo that call the program."""

from __future__ import annotations

from collections.abc import Sequence

from recmon.simulators.aculab_cloud import AculabCloud
from recmon.simulators.hook_sender import HookProvider
from recmon.simulators.scenario import Scenario

CLOUD = "cloud"
CALLS_PER_MINUTE = 2.0
"""Of one provider, at most: most of a demo's calls are those of the recording servers."""

CONCURRENT = 2


def demo_providers(seed: int, calls_per_minute: float, first_port: int) -> Sequence[HookProvider]:
    """Return the providers.

    Args:
        seed: chooses their calls.
        calls_per_minute: new calls of all servers.
        first_port: of what they serve; 0 lets the system choose.
    """
    rate = min(calls_per_minute / 4, CALLS_PER_MINUTE)
    return (AculabCloud(Scenario(seed, (CLOUD,), rate, CONCURRENT), port=first_port),)
