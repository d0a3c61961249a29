"""Conversations of several calls: transfers from one colleague to the next, and calls recorded twice."""

from __future__ import annotations

from collections.abc import MutableSequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random

from recmon.simulators.drafts import Draft, length_s
from recmon.simulators.people import STAFF

TRANSFER = 4
"""The cause of a leg that was handed on (verba.md 4.3)."""

_AGAIN_SHARE = 0.25  # of the legs of a transfer, how many are transferred once more
_SECONDARY_SHARE = 0.01
_SECONDARY_LATER = timedelta(milliseconds=40)


@dataclass(frozen=True, slots=True, eq=False)
class Drafted:
    """A draft and when it begins; `first` is the first call of its conversation, None for that itself."""

    started_at: datetime
    draft: Draft
    first: Drafted | None = None
    is_secondary: bool = False

    @property
    def ends_at(self) -> datetime:
        return self.started_at + timedelta(seconds=self.draft.duration_s)


def is_transferred(direction: str, cause_id: int) -> bool:
    """Tell whether another leg follows: the one who answered hands the caller on."""
    return cause_id == TRANSFER and direction != "outgoing"


def next_leg(random: Random, before: Draft) -> Draft:
    """Draw the call of the same caller with the colleague to whom the call was handed on."""
    duration_s = round(length_s(random), 3)
    others = [person for person in STAFF if person not in (before.caller, before.callee)]
    return replace(
        before,
        callee=random.choice(others),
        answer_after_s=round(min(random.uniform(1, 6), duration_s / 4), 3),
        duration_s=duration_s,
        cause_id=TRANSFER if random.random() < _AGAIN_SHARE else 1,
    )


def join(random: Random, made: MutableSequence[Drafted], latest_end: datetime) -> None:
    """Turn some of the drafts into further legs, or into second recordings, of the ones before them."""
    for place in range(len(made) - 1):
        drafted = made[place]
        if is_transferred(drafted.draft.direction, drafted.draft.cause_id):
            begin = drafted.ends_at + timedelta(seconds=random.uniform(0.3, 1.5))
            leg = Drafted(begin, next_leg(random, drafted.draft), drafted.first or drafted)
            if leg.ends_at < latest_end:
                made[place + 1] = leg
        elif drafted.first is None and random.random() < _SECONDARY_SHARE:
            made[place + 1] = Drafted(
                drafted.started_at + _SECONDARY_LATER, drafted.draft, drafted, is_secondary=True
            )
