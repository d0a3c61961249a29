"""The settings of a CC-FS server, checked as far as they can be without asking it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import SplitResult, urlsplit

from recmon.settings.model import FINGERPRINT, SecretRef, TlsOptions
from recmon.vendors.huawei_ccfs.signature import Timestamp

HTTPS_PORT = 443

SIGNABLE_HEADERS = ("content-length", "content-type", "host")
"""The headers that vendor samples sign (ccfs.md 2.3)."""

MOST_PARALLEL_DOWNLOADS = 4
"""The server's limits are unpublished; more than two or three at a time are not advised (ccfs.md 8)."""


@dataclass(frozen=True, slots=True)
class CcfsOptions:
    """The vendor's own keys of a `[[servers]]` table (contract.md, section 3).

    Attributes:
        url: `https://`, host and port; nothing more.
        access_key: names the developer account; it decides which files may be read.
        secret_key: where that account's secret is kept.
        ca_file: PEM file of the authority that signed the server's certificate.
        fingerprint: `sha256:` and the hex digest of the one certificate accepted.
        signed_headers: what the signature covers, in lower case; `host` is always among them.
        timestamp: how fine the signature's time is written.
        empty_query_line: whether the signed text has a line for a query that does not exist.
        parallel_downloads: how many transfers the server is asked for at a time.

    Raises:
        ValueError: one sentence that says which value cannot be used and why.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    url: str
    access_key: str
    secret_key: SecretRef
    ca_file: Path | None = None
    fingerprint: str | None = None
    signed_headers: tuple[str, ...] = SIGNABLE_HEADERS
    timestamp: Timestamp = "milliseconds"
    empty_query_line: bool = False
    parallel_downloads: int = 2

    def __post_init__(self) -> None:
        _check_url(self.url)
        # a slash would shift the parts of the Authorization header, anything else here cannot stand in one
        if not re.fullmatch(r"[!-.0-~]+", self.access_key):
            raise ValueError("access_key must be plain letters, digits and signs, without spaces or slashes")
        if self.fingerprint is not None and not FINGERPRINT.fullmatch(self.fingerprint.strip()):
            raise ValueError("fingerprint must be sha256: and the 64 hex digits of the certificate")
        names = [name.lower() for name in self.signed_headers]
        unknown = sorted(set(names) - set(SIGNABLE_HEADERS))
        if unknown:
            raise ValueError(
                f"signed_headers can name {', '.join(SIGNABLE_HEADERS)}; not {', '.join(map(repr, unknown))}"
            )
        if "host" not in names:
            raise ValueError("signed_headers must contain host: a signature without it is refused")
        if len(set(names)) != len(names):
            raise ValueError("signed_headers names a header twice")
        if not 1 <= self.parallel_downloads <= MOST_PARALLEL_DOWNLOADS:
            raise ValueError(f"parallel_downloads must be from 1 to {MOST_PARALLEL_DOWNLOADS}")

    @property
    def host_header(self) -> str:
        """The one text for the `Host` header and the signature: `host:port`, without the port for 443."""
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        if ":" in host:
            host = f"[{host}]"
        return host if parts.port in (None, HTTPS_PORT) else f"{host}:{parts.port}"

    @property
    def tls(self) -> TlsOptions:
        """How to check the server's certificate."""
        return TlsOptions(self.ca_file, self.fingerprint)


def _check_url(url: str) -> None:
    # urlsplit would leave these out in silence
    if re.search(r"[\x00-\x20\x7f]", url):
        raise ValueError(f"url must not contain spaces or control characters: {url!r}")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"url {url!r} is not an address: {error}") from error
    if parts.username is not None or parts.password is not None:
        raise ValueError("url must not contain a user or password; access_key and secret_key are used")
    if parts.scheme == "http":
        raise ValueError("url must begin with https: recordings and signatures are not sent in clear text")
    if parts.scheme != "https" or not _is_host(parts) or port == 0:
        raise ValueError(
            f"url must be https://, host and port, such as https://ccfs.example.com:18443: {url!r}"
        )
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"url must end after the port; the path is added by the program: {url!r}")


def _is_host(parts: SplitResult) -> bool:
    # a name of another script, or with a zone, would be signed in one form and sent in another
    return bool(re.fullmatch(r"[a-z0-9._:-]+", parts.hostname or "")) and not parts.netloc.endswith(":")
