"""The keys of a Verba-like server in the settings (contract.md, section 3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal
from urllib.parse import SplitResult, urlsplit

from recmon.settings.model import FINGERPRINT, SecretRef, TlsOptions

DEFAULT_PATH = "/verba"
"""Of the web application, where `url` names none (verba.md 5.1)."""

MOST_PARALLEL_DOWNLOADS = 4
MOST_HISTORY_DAYS = 3660


@dataclass(frozen=True, slots=True)
class EventsOptions:
    """The recorder API: XML over TCP (verba.md 2).

    Attributes:
        host: name or address of the recording service.
        port: no default is documented.
        tls: False for clear text, True for the system's certificates, or how to check the certificate.
        extensions: numbers whose calls are wanted; empty means all calls.
        filter_locally: subscribe to all calls and pick out those of `extensions` here (verba.md 3.1).
        labels: words of this server's notifications, such as the `type` of an event, and what they mean;
            they count before the program's own table (verba.md 3.3). Compared whole, in any letter case.
        request_terminator: what follows each request (verba.md 2.1).
        ongoing_request: request type that lists ongoing calls; empty: not used.
        detail_request: request type for call details; empty: not used.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    host: str
    port: int
    tls: bool | TlsOptions = False
    extensions: tuple[str, ...] = ()
    filter_locally: bool = False
    labels: Mapping[str, Literal["start", "end", "update"]] = field(default_factory=dict)
    request_terminator: Literal["none", "lf", "crlf", "nul"] = "lf"
    ongoing_request: str = ""
    detail_request: str = ""

    def __post_init__(self) -> None:
        if not self.host.strip():
            raise ValueError("host is empty")
        if not 1 <= self.port <= 65535:
            raise ValueError(f"port {self.port} is not between 1 and 65535")
        for extension in self.extensions:
            if not extension.strip() or not extension.isprintable():
                raise ValueError(f"extension {extension!r} is not a number or address")
        if any(not label.strip() for label in self.labels):
            raise ValueError("labels must not be empty")
        for name in ("ongoing_request", "detail_request"):
            if not getattr(self, name).isprintable():
                raise ValueError(f"{name} must be one plain word, as the vendor's page names it")

    @property
    def tls_options(self) -> TlsOptions | None:
        """How to check the certificate, or None for clear text."""
        if isinstance(self.tls, TlsOptions):
            return self.tls
        return TlsOptions() if self.tls else None


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """The HTTP Business API (verba.md 5).

    Attributes:
        url: scheme, host, port and path, up to and including `/verba`, which stands where there is none.
            `http://` sends the key, the login and everything about the calls in clear text: only for a
            network that is trusted (verba.md 7).
        api_key: where the API key is kept.
        user: who logs in; None where the key alone suffices.
        password: where the password is kept.
        ca_file: PEM file of the authority that signed the server's certificate.
        fingerprint: `sha256:` and the hex digest of the one certificate accepted.
        parallel_downloads: how many transfers the server is asked for at a time.
        history_days: how far back past calls are brought; 0: not at all.
        media: `stored`: recordings come as the server keeps them; else the format to which it converts them
            (verba.md 5.3), of those that can be played here.

    Raises:
        ValueError: one sentence that says which value cannot be used and why.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    url: str
    api_key: SecretRef
    user: str | None = None
    password: SecretRef | None = None
    ca_file: Path | None = None
    fingerprint: str | None = None
    parallel_downloads: int = 2
    history_days: int = 30
    media: Literal[
        "stored", "mp3", "pcm8", "pcm16", "ulaw", "alaw", "msadpcm", "gsmfr", "opus", "opus_hq"
    ] = "stored"

    def __post_init__(self) -> None:
        parts = _checked_url(self.url)
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password are used together: set both, or none where the key suffices")
        if self.user is not None and (
            not self.user.strip() or ":" in self.user or not self.user.isprintable()
        ):
            raise ValueError("user must be a name without a colon")
        if self.fingerprint is not None and not FINGERPRINT.fullmatch(self.fingerprint.strip()):
            raise ValueError("fingerprint must be sha256: and the 64 hex digits of the certificate")
        if parts.scheme == "http" and (self.ca_file is not None or self.fingerprint is not None):
            raise ValueError("ca_file and fingerprint need a url that begins with https")
        if not 1 <= self.parallel_downloads <= MOST_PARALLEL_DOWNLOADS:
            raise ValueError(f"parallel_downloads must be from 1 to {MOST_PARALLEL_DOWNLOADS}")
        if not 0 <= self.history_days <= MOST_HISTORY_DAYS:
            raise ValueError(f"history_days must be from 0 to {MOST_HISTORY_DAYS}")

    @property
    def base_url(self) -> str:
        """Scheme, host and port, without a path."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{self.host_header}"

    @property
    def host_header(self) -> str:
        """The text of the `Host` header: `host:port`, without the usual port."""
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        if ":" in host:
            host = f"[{host}]"
        usual = 443 if parts.scheme == "https" else 80
        return host if parts.port in (None, usual) else f"{host}:{parts.port}"

    @property
    def path(self) -> str:
        """The path of the API, with a slash in front."""
        return f"{urlsplit(self.url).path.rstrip('/') or DEFAULT_PATH}/api"

    @property
    def tls(self) -> TlsOptions:
        """How to check the server's certificate."""
        return TlsOptions(self.ca_file, self.fingerprint)


@dataclass(frozen=True, slots=True)
class VerbaOptions:
    """A recording server: how it tells its calls, and how it is asked; each part may be left out."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    events: EventsOptions | None = None
    http: HttpOptions | None = None


def _checked_url(url: str) -> SplitResult:
    # urlsplit would leave these out in silence
    if re.search(r"[\x00-\x20\x7f-\U0010ffff]", url):
        raise ValueError("url must be plain letters, digits and signs, without spaces")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"url {url!r} is not an address: {error}") from error
    if parts.username is not None or parts.password is not None:
        raise ValueError("url must not contain a user or password; the keys user and password are used")
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or parts.netloc.endswith(":"):
        raise ValueError(
            f"url must be https://, host, port and path, such as https://rec.example.com/verba: {url!r}"
        )
    if parts.query or parts.fragment or parts.path.rstrip("/").endswith("/api"):
        raise ValueError(f"url must end before /api, which is added by the program: {url!r}")
    return parts
