"""One call drawn by chance: who, how long, how it ends, what is heard; without a time or an id."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from recmon.simulators.people import DEPARTMENTS, OUTSIDE, STAFF, Person

T = TypeVar("T")

CONVERSATIONS = ("appointment", "billing", "complaint", "delivery", "support")
"""Recorded dialogues with a customer, by file name under resources/conversations."""

INTERNAL_CONVERSATION = "handover"
"""The dialogue of two colleagues."""

MEDIAN_S = 150.0
SHORTEST_S = 20.0
LONGEST_S = 900.0
SIGMA = 0.6
MEAN_S = MEDIAN_S * math.exp(SIGMA**2 / 2)
"""Mean length of a call in seconds (log-normal; cutting the tails off changes it by about one per cent)."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What is drawn of a call; the fields mean what they mean in `ScriptedCall`."""

    direction: str
    caller: Person
    callee: Person
    answer_after_s: float
    duration_s: float
    cause_id: int
    conversation: str
    codec: str
    channels: int


_DIRECTIONS = (("incoming", 55), ("outgoing", 30), ("internal", 15))
# verba.md 4.3: 0 normal, 1 source disconnected, 2 destination disconnected, 4 transfer, 5 cancelled
_CAUSES = ((0, 48), (1, 24), (2, 20), (4, 5), (5, 3))
_SOUNDS = ((("alaw", 2), 68), (("alaw", 1), 12), (("ulaw", 2), 9), (("pcm", 2), 6), (("ulaw", 1), 5))


def draw(random: Random, duration_s: float, direction: str | None = None) -> Draft:
    """Draw a call of the given length, in the given direction or any."""
    drawn = _weighted(random, _DIRECTIONS)
    direction = direction or drawn
    member, colleague = random.sample(STAFF, 2)
    desk = random.choice(DEPARTMENTS) if random.random() < 0.15 else member
    outsider = random.choice(OUTSIDE)
    caller, callee = {
        "incoming": (outsider, desk),
        "outgoing": (member, outsider),
    }.get(direction, (member, colleague))
    conversation = random.choice(CONVERSATIONS)
    codec, channels = _weighted(random, _SOUNDS)
    return Draft(
        direction=direction,
        caller=caller,
        callee=callee,
        answer_after_s=round(min(random.uniform(2, 18), duration_s / 4), 3),
        duration_s=round(duration_s, 3),
        cause_id=_weighted(random, _CAUSES),
        conversation=INTERNAL_CONVERSATION if direction == "internal" else conversation,
        codec=codec,
        channels=channels,
    )


def _weighted(random: Random, choices: Sequence[tuple[T, int]]) -> T:
    return random.choices([value for value, _ in choices], [weight for _, weight in choices])[0]


def length_s(random: Random, median_s: float = MEDIAN_S) -> float:
    """Draw a call's length in seconds: log-normal, between `SHORTEST_S` and `LONGEST_S`."""
    return min(LONGEST_S, max(SHORTEST_S, random.lognormvariate(math.log(median_s), SIGMA)))
