"""The simulated providers that call the program, by name."""

from __future__ import annotations

from collections.abc import Sequence

from recmon.simulators.aculab_cloud import AculabCloud
from recmon.simulators.hook_sender import HookProvider
from recmon.simulators.scenario import Scenario
from recmon.simulators.telephony import TelephonySimulator
from recmon.simulators.telephony_posts import PROVIDERS

ACULAB, CLOUD = "aculab", "cloud"
"""The provider, and its server in the settings."""

PROVIDER_NAMES = (ACULAB, *PROVIDERS)

MOST_CALLS_PER_MINUTE = 2.0
"""Of one provider: most of a demo's calls are those of the recording servers."""

CONCURRENT = 1


def make_providers(
    names: Sequence[str], seed: int, calls_per_minute: float, first_port: int
) -> list[HookProvider]:
    """Return the providers of these names, to be handed to a farm.

    Args:
        names: of `PROVIDER_NAMES`.
        seed: chooses their calls.
        calls_per_minute: new calls of all servers, of which the providers have a third.
        first_port: of what they serve, one each; 0 lets the system choose.

    Raises:
        ValueError: one sentence that says which name is not known.
    """
    unknown = [name for name in names if name not in PROVIDER_NAMES]
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: known providers are {', '.join(PROVIDER_NAMES)}")
    rate = min(calls_per_minute / 3 / max(1, len(names)), MOST_CALLS_PER_MINUTE)
    made: list[HookProvider] = []
    for place, name in enumerate(names):
        port = first_port + place if first_port else 0
        scenario = Scenario(seed + place, (CLOUD if name == ACULAB else name,), rate, CONCURRENT)
        made.append(
            AculabCloud(scenario, port=port)
            if name == ACULAB
            else TelephonySimulator(name, scenario, port=port)
        )
    return made
