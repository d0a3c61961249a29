"""How long to wait before the next attempt, and how many attempts a second all links may make together."""

from __future__ import annotations

import asyncio
import random

FIRST_WAIT_S = 5.0
LONGEST_WAIT_S = 21.0
SETTLED_SHORTEST_WAIT_S = 13.0
"""At the cap, waits stay above this: full jitter down to 0 s would let a server that accepts and closes see
more than 40 attempts in 10 minutes. The cap is low and the two are close, so that of many links half are back
within 10 s of an outage's end, and the last within 30 s, not only on average."""

CONNECTS_PER_S = 25


class Backoff:
    """Growing waits with full jitter: many links that were lost together do not return together.

    The first wait is anywhere from 0 to 5 s; the upper end doubles, to 20 s and then 21 s.

    Args:
        random: source of the jitter.
    """

    def __init__(self, random: random.Random) -> None:
        self._random = random
        self._longest_s = FIRST_WAIT_S

    def next_wait_s(self) -> float:
        """Return the seconds to wait now, and let the next wait be longer."""
        longest_s = self._longest_s
        self._longest_s = min(LONGEST_WAIT_S, 2 * longest_s)
        shortest_s = SETTLED_SHORTEST_WAIT_S if longest_s == LONGEST_WAIT_S else 0.0
        return self._random.uniform(shortest_s, longest_s)

    def reset(self) -> None:
        """Start again with the first wait."""
        self._longest_s = FIRST_WAIT_S


class ConnectLimiter:
    """Lets callers pass one after the other, evenly spaced, in the order in which they came.

    Args:
        per_s: how many within any second.
    """

    def __init__(self, per_s: int = CONNECTS_PER_S) -> None:
        self._spacing_s = 1.0 / per_s
        self._next_at = float("-inf")
        self._turn = asyncio.Lock()

    async def admit(self) -> None:
        """Return when the caller may connect."""
        loop = asyncio.get_running_loop()
        async with self._turn:
            # Again until it is so: a timer of Qt's loop may fire some hundredths of its time early.
            while (wait_s := self._next_at - loop.time()) > 0:  # noqa: ASYNC110 - the clock alone tells
                await asyncio.sleep(wait_s)
            self._next_at = loop.time() + self._spacing_s
