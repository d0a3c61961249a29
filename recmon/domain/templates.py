"""Trying out a template for recording places before it is put to use: what it makes of known calls."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo

from recmon.domain.calls import Call, ServerId
from recmon.domain.recordings import RecordingTemplate, own_values, parse_locator
from recmon.errors import RecordingMissing


@dataclass(frozen=True, slots=True)
class TriedPlace:
    """What a template makes of one call.

    Attributes:
        call: whose recording is looked for.
        place: where, as the server is asked; None where there is no place.
        reason: why there is none; empty where there is one.
    """

    call: Call
    place: str | None
    reason: str = ""


def try_template(
    template: RecordingTemplate, calls: Sequence[Call], server: ServerId, zone: tzinfo
) -> tuple[TriedPlace, ...]:
    """Fill a template for several calls; the arguments are those of `RecordingTemplate.fill`."""
    tried = []
    for call in calls:
        try:
            _, place = parse_locator(template.fill(call, server, zone).locator)
        except RecordingMissing as missing:
            tried.append(TriedPlace(call, None, missing.reason))
        else:
            tried.append(TriedPlace(call, place))
    return tuple(tried)


def template_problem(text: str) -> str | None:
    """Say what is wrong with the placeholders of a template, if anything, in words that follow its name."""
    outside = re.sub(r"\{[^{}]*\}", "", text)
    if "{" in outside:
        return "has an opening brace that is not closed"
    if "}" in outside:
        return "has a closing brace without an opening one"
    if re.search(r"\{\s*(?::[^{}]*)?\}", text):
        return "has a placeholder without a name"
    return None


def placeholders(calls: Sequence[Call]) -> tuple[str, ...]:
    """Return the names that can stand in a template and have a value in one of the calls, in order."""
    names: dict[str, None] = {}
    for call in calls:
        own = own_values(call)
        names |= {name: None for name, value in own.items() if value}
        raw = ((f"cdr.{name}" if name in own else name, value) for name, value in call.cdr.fields)
        names |= {name: None for name, value in raw if value and not re.search(r"[{}:]", name)}
    return tuple(names)
