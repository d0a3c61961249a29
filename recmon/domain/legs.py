"""Calls that belong together: the legs of a transferred call, and several recordings of one conversation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Leg:
    """What a call is to the conversation that it is a part of.

    Attributes:
        conversation: what the server calls the conversation; unique on that server only.
        is_secondary: whether it is a further recording of what another one holds already.
    """

    conversation: str
    is_secondary: bool = False
