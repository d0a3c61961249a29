"""The check of a server, step by step: what each step brought out, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from recmon.domain.calls import ServerId


class Verdict(Enum):
    """How a step ended; the values are what scripts read."""

    OK = "ok"
    NOTE = "note"
    """It went on, but something should be known."""

    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one step brought out, in words for people.

    Attributes:
        verdict: how it ended.
        text: what was seen, one sentence without a full stop.
        advice: what to do next; empty where nothing need be done.
    """

    verdict: Verdict
    text: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class CheckStep:
    """One step of the check of one server.

    Attributes:
        server: name of the server in the settings.
        name: of the step, for people and scripts.
        finding: what it brought out.
        took_ms: how long it took, in milliseconds.
    """

    server: ServerId
    name: str
    finding: Finding
    took_ms: float

    @property
    def is_failure(self) -> bool:
        """Whether the check of this server ended here."""
        return self.finding.verdict is Verdict.FAILED
