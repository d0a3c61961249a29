"""The people behind the numbers of a telephone system, as the settings name them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of a server's table of members.

    Attributes:
        number: extension or telephone number, as the provider writes it.
        name: for people.
        watched: whether calls with this number are announced.

    Raises:
        ValueError: one sentence that says what is wrong.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    number: str
    name: str = ""
    watched: bool = True

    def __post_init__(self) -> None:
        if not self.number.strip() or not self.number.isprintable():
            raise ValueError("number must be an extension or a telephone number")
        if not self.name.isprintable():
            raise ValueError("name must have no control characters in it")
