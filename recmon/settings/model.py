"""The settings as values; a vendor's own keys are a dataclass of that vendor's folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from recmon.domain.calls import ServerId
from recmon.domain.recordings import RecordingTemplate

VERSION = 1
"""Of the settings file's format."""

HIGHEST_PORT = 65_535

DEFAULT_LONGEST_CALL_HOURS = 4.0
SHORTEST_LONGEST_CALL_HOURS, MOST_LONGEST_CALL_HOURS = 0.25, 168.0
"""Until a call that nothing was heard of becomes unconfirmed."""

SECRET_SCHEMES = ("keyring", "env", "file")


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a secret is kept: `keyring:NAME`, `env:NAME` or `file:PATH`. Never the secret itself."""

    scheme: str
    name: str

    @classmethod
    def parse(cls, text: str) -> SecretRef:
        """Read `scheme:name`.

        Raises:
            ValueError: it is no reference, so it may be a secret itself; the text is not repeated.
        """
        scheme, separator, name = text.partition(":")
        if scheme not in SECRET_SCHEMES or not separator or not name.strip():
            raise ValueError(
                "secrets are not stored in this file: store it with `keyring set recmon NAME` "
                'and write "keyring:NAME", or write "env:VARIABLE" or "file:PATH"'
            )
        return cls(scheme, name)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        # Here and not above: pydantic is slow to import, and only reading a settings file needs it.
        from pydantic_core import core_schema

        from_text = core_schema.no_info_after_validator_function(cls.parse, core_schema.str_schema())
        from_value = core_schema.union_schema([core_schema.is_instance_schema(cls), from_text])
        return core_schema.json_or_python_schema(from_text, from_value)

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


FINGERPRINT = re.compile(r"sha256:(?:[0-9a-f]{2}:?){31}[0-9a-f]{2}", re.IGNORECASE)
"""How a certificate's fingerprint is written in the settings."""


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
        longest_call_hours: a call that nothing was heard of for so long becomes unconfirmed.
        options: the vendor's own keys, of the adapter's `options_type`.
    """

    name: ServerId
    vendor: str
    options: Any
    time_zone: str = "UTC"
    recordings: ServerId | None = None
    recording: RecordingTemplate | None = None
    longest_call_hours: float = DEFAULT_LONGEST_CALL_HOURS


@dataclass(frozen=True, slots=True)
class ListenerTls:
    """PEM files of the listener; both empty for clear text."""

    certificate: str = ""
    key: str = ""

    def __post_init__(self) -> None:
        if bool(self.certificate) != bool(self.key):
            raise ValueError("certificate and key are needed both, or neither")


@dataclass(frozen=True, slots=True)
class ListenerSettings:
    """The `[listener]` table: where web hooks will be received.

    Attributes:
        host: address to listen on.
        port: TCP port.
        public_url: scheme, host and port as the sender sees them; empty where they are the same.
        tls: certificate to show, if any.
    """

    host: str = "127.0.0.1"
    port: int = 8790
    public_url: str = ""
    tls: ListenerTls = ListenerTls()

    def __post_init__(self) -> None:
        if not self.host:
            raise ValueError("host must not be empty")
        if not 1 <= self.port <= HIGHEST_PORT:
            raise ValueError(f"port must be from 1 to {HIGHEST_PORT}")
        if self.public_url and not re.fullmatch(r"https?://[^/\s?#@]+/?", self.public_url):
            raise ValueError(
                "public_url must be http:// or https://, a host and perhaps a port, nothing more"
            )

    @property
    def origin(self) -> str:
        """Scheme, host and port of the addresses that senders are given."""
        if self.public_url:
            return self.public_url.rstrip("/")
        scheme = "https" if self.tls.certificate else "http"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """The `[cache]` table: how long recordings stay on this computer, and how.

    Attributes:
        size_gb: of all recordings together, in GB (10^9 bytes); the ones that were not used for the longest
            time go first; 0: no limit.
        age_days: how long a recording stays after its arrival; 0: no limit.
        encryption: whether recordings that arrive from now on are encrypted on the disk.
        key: of encrypted recordings; one in the system's key store is made when it is first needed.
    """

    size_gb: float = 0.0
    age_days: float = 0.0
    encryption: bool = False
    key: SecretRef = SecretRef("keyring", "recordings")

    def __post_init__(self) -> None:
        if self.size_gb < 0:
            raise ValueError("size_gb must not be negative")
        if self.age_days < 0:
            raise ValueError("age_days must not be negative")


@dataclass(frozen=True, slots=True)
class PlaybackSettings:
    """The `[playback]` table: how recordings are got ready to be played.

    Attributes:
        prefetch: whether the recording of the selected call is fetched ahead, so that it begins at once.
    """

    prefetch: bool = True


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole settings file, checked.

    Attributes:
        servers: in the order of the file.
        source: the file they were read from; None for built-in defaults.
        listener: where web hooks will be received.
        cache: how long recordings stay, and how.
        playback: how they are got ready to be played.
    """

    servers: tuple[ServerSettings, ...] = ()
    source: Path | None = None
    listener: ListenerSettings = ListenerSettings()
    cache: CacheSettings = CacheSettings()
    playback: PlaybackSettings = PlaybackSettings()
