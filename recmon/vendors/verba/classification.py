"""Tells call starts from call ends by the words of a notification (verba.md 3.3).

The vendor's own names for them could not be read. All that is assumed about them is in this module, which can
be replaced without touching another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import lru_cache
from itertools import islice

START_WORDS = frozenset({"start", "started", "begin", "began", "new"})
END_WORDS = frozenset({"end", "ended", "stop", "stopped", "finish", "finished", "terminated", "disconnected"})
GLUED_WORDS = ("call", "recording")
"""May stand before or behind a word without a capital between them."""

LABEL_ELEMENTS = frozenset({"event", "notification", "request", "call"})
"""Elements whose names and attributes may tell the kind, beside the first element of the document."""

LABEL_ATTRIBUTES = frozenset({"type", "name", "event", "state", "status"})

_LONGEST_LABEL = 200
_MOST_LABELS = 32

# A run of capitals is one word (`CALL_START`); a capital before small letters begins one (`StartCall`).
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


class Kind(Enum):
    """What a notification says of its call, where it says it in words."""

    START = "start"
    END = "end"
    UPDATE = "update"


Classify = Callable[[Iterable[str]], Kind | None]
"""Returns what the labels of a notification say."""


def classifier(overrides: Mapping[str, str]) -> Classify:
    """Return what classifies notifications where a site's own words count first.

    Args:
        overrides: values of `Kind` by label; labels are compared whole, in any letter case. Of several labels
            of one notification the first that is listed decides.
    """
    if not overrides:
        return kind_of
    own = {label.strip().casefold(): Kind(kind) for label, kind in overrides.items()}

    def classify(labels: Iterable[str]) -> Kind | None:
        told = [label[:_LONGEST_LABEL] for label in islice(labels, _MOST_LABELS)]
        listed = (own.get(label.strip().casefold()) for label in told)
        return next((kind for kind in listed if kind is not None), None) or kind_of(told)

    return classify


def kind_of(labels: Iterable[str]) -> Kind | None:
    """Return what the labels of a notification say, or None where they say nothing or both."""
    return _kind_of(tuple(label[:_LONGEST_LABEL] for label in islice(labels, _MOST_LABELS)))


# The same few labels come again and again, beside identifiers that never do.
@lru_cache(maxsize=256)
def _kind_of(labels: tuple[str, ...]) -> Kind | None:
    words = {_unglued(word.lower()) for label in labels for word in _WORD.findall(label)}
    starts, ends = not words.isdisjoint(START_WORDS), not words.isdisjoint(END_WORDS)
    if starts == ends:
        return None
    return Kind.START if starts else Kind.END


def _unglued(word: str) -> str:
    shorter = word
    for glued in GLUED_WORDS * 2:
        shorter = shorter.removeprefix(glued).removesuffix(glued)
    return shorter or word
