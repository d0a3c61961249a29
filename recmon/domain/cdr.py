"""The call detail record: what a vendor told about a call, raw and in order, and how it is shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CdrRecord:
    """Every field a vendor told about a call, by the vendor's own names, as text, in order of arrival."""

    fields: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> str:
        """Return a field's raw text, or an empty text where it was never told."""
        return next((value for key, value in self.fields if key == name), "")

    def merged(self, newer: CdrRecord) -> CdrRecord:
        """Return these fields with the newer ones laid over; an empty newer value erases nothing."""
        if not newer.fields:
            return self
        together = dict(self.fields)
        together.update((name, value) for name, value in newer.fields if value or name not in together)
        return CdrRecord(tuple(together.items()))

    @classmethod
    def of(cls, fields: Iterable[tuple[str, str]]) -> CdrRecord:
        """Make a record; of a repeated name the last value that is not empty counts."""
        return cls().merged(cls(tuple(fields)))


EMPTY_CDR = CdrRecord()
"""Nothing told."""


@dataclass(frozen=True, slots=True)
class CdrField:
    """One line of the details pane.

    Attributes:
        name: the vendor's field name.
        label: the name for people.
        text: the value for people, codes translated; the raw text where no translation is known.
        raw: the value as the vendor sent it.
    """

    name: str
    label: str
    text: str
    raw: str


@dataclass(frozen=True, slots=True)
class CdrSection:
    """A titled group of fields in the details pane."""

    title: str
    fields: tuple[CdrField, ...]
