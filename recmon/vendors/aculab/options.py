"""The keys of an Aculab Cloud server in the settings (contract.md, section 3)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import SplitResult, urlsplit

from recmon.settings.model import FINGERPRINT, SecretRef, TlsOptions

HTTPS_PORT = 443
MOST_PARALLEL_DOWNLOADS = 4
MOST_HISTORY_DAYS = 3660


@dataclass(frozen=True, slots=True)
class AculabOptions:
    """The vendor's own keys of a `[[servers]]` table: web services, web hooks, or both.

    Attributes:
        url: of the web services: `https://` and host, perhaps a port. There is one for each region
            (aculab.md 8).
        user: cloud id and account user, such as `1-2-0/user@example.com`.
        access_key: where the account's API access key is kept.
        hook_secret: where the secret part of our own address is kept; None: no web hooks are received.
        ca_file: PEM file of the authority that signed the web services' certificate.
        fingerprint: `sha256:` and the hex digest of the one certificate accepted.
        parallel_downloads: how many transfers the server is asked for at a time; its limits are not known.
        history_days: how far back recordings are listed as past calls where no web hooks are received; 0: not
            at all.

    Raises:
        ValueError: one sentence that says which value cannot be used and why.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    url: str | None = None
    user: str | None = None
    access_key: SecretRef | None = None
    hook_secret: SecretRef | None = None
    ca_file: Path | None = None
    fingerprint: str | None = None
    parallel_downloads: int = 2
    history_days: int = 30

    def __post_init__(self) -> None:
        account = (self.url, self.user, self.access_key)
        if any(value is None for value in account):
            if any(value is not None for value in account):
                raise ValueError("url, user and access_key are used together: set all of them, or none")
            if self.hook_secret is None:
                raise ValueError(
                    "nothing says how to hear of calls: set hook_secret, or url, user and access_key, or both"
                )
            if self.ca_file is not None or self.fingerprint is not None:
                raise ValueError("ca_file and fingerprint need a url")
        else:
            _checked_url(self.url or "")
        if self.user is not None and not re.fullmatch(r"[!-9;-~]+/[!-9;-~]+", self.user):
            raise ValueError(
                "user must be the cloud id, a slash and the account's user, such as 1-2-0/user@example.com"
            )
        if self.fingerprint is not None and not FINGERPRINT.fullmatch(self.fingerprint.strip()):
            raise ValueError("fingerprint must be sha256: and the 64 hex digits of the certificate")
        if not 1 <= self.parallel_downloads <= MOST_PARALLEL_DOWNLOADS:
            raise ValueError(f"parallel_downloads must be from 1 to {MOST_PARALLEL_DOWNLOADS}")
        if not 0 <= self.history_days <= MOST_HISTORY_DAYS:
            raise ValueError(f"history_days must be from 0 to {MOST_HISTORY_DAYS}")

    @property
    def host(self) -> str:
        """Name or address of the web services; empty where there are none."""
        return urlsplit(self.url or "").hostname or ""

    @property
    def port(self) -> int:
        """Their TCP port."""
        return urlsplit(self.url or "").port or HTTPS_PORT

    @property
    def host_header(self) -> str:
        """The text of the `Host` header: `host:port`, without the usual port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == HTTPS_PORT else f"{host}:{self.port}"

    @property
    def tls(self) -> TlsOptions:
        """How to check their certificate."""
        return TlsOptions(self.ca_file, self.fingerprint)


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
        raise ValueError("url must not contain a user or password; user and access_key are used")
    if parts.scheme == "http":
        raise ValueError("url must begin with https: the access key is not sent in clear text")
    if parts.scheme != "https" or not parts.hostname or port == 0 or parts.netloc.endswith(":"):
        raise ValueError(
            f"url must be https:// and a host, such as https://ws-1-2-0.aculabcloud.net: {url!r}"
        )
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"url must end after host and port; the service is added by the program: {url!r}")
    return parts
