"""The settings as values; a vendor's own keys are a dataclass of that vendor's folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from recmon.domain.calls import ServerId
from recmon.domain.recordings import RecordingTemplate

VERSION = 1
"""Of the settings file's format."""


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a secret is kept: `keyring:NAME`, `env:NAME` or `file:PATH`. Never the secret itself."""

    scheme: str
    name: str

    def __str__(self) -> str:
        return f"{self.scheme}:{self.name}"


class Secret:
    """A secret's value, which no log, error or screen ever shows by accident."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the plain text, for a request and nothing else."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(****)"


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """How to check a server's certificate; without both, the system's certificates decide.

    Attributes:
        ca_file: PEM file of the authority that signed the server's certificate.
        fingerprint: `sha256:` and the hex digest of the one certificate accepted.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    ca_file: Path | None = None
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """One `[[servers]]` table.

    Attributes:
        name: unique, shown in every table.
        vendor: name of the adapter.
        time_zone: IANA name of the zone of times that the server writes without one.
        recordings: the server that holds its recordings; None means itself.
        recording: where a call's recording is; None where the vendor tells by itself, or nothing is known.
        options: the vendor's own keys, of the adapter's `options_type`.
    """

    name: ServerId
    vendor: str
    options: Any
    time_zone: str = "UTC"
    recordings: ServerId | None = None
    recording: RecordingTemplate | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole settings file, checked.

    Attributes:
        servers: in the order of the file.
        source: the file they were read from; None for built-in defaults.
    """

    servers: tuple[ServerSettings, ...] = ()
    source: Path | None = None
