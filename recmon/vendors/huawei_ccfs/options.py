"""The settings of a CC-FS server, checked as far as they can be without asking it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import SplitResult, urlsplit

from recmon.settings.model import FINGERPRINT, SecretRef, TlsOptions
from recmon.vendors.huawei_ccfs.signature import Timestamp
from recmon.vendors.links import AllowedHost, LinkRules

HTTPS_PORT = 443

SIGNABLE_HEADERS = ("content-length", "content-type", "host")
"""The headers that vendor samples sign (ccfs.md 2.3)."""

MOST_PARALLEL_DOWNLOADS = 4
"""The server's limits are unpublished; more than two or three at a time are not advised (ccfs.md 8)."""


MOST_HISTORY_DAYS = 366

HIGHEST_CALL_CENTRE = 65_535
HIGHEST_VDN = 5_000
MOST_AGENTS = 3_000
"""Numbers of the vendor's pages (ccfs.md 1 and 7.1)."""

SHORTEST_INTERVAL_S = 2.0
LONGEST_INTERVAL_S = 600.0


@dataclass(frozen=True, slots=True)
class CmsOptions:
    """The sister service CC-CMS, which knows calls that go on (ccfs.md 7.1); the same account is used.

    Attributes:
        url: `https://`, host and port; it may be that of CC-FS.
        cc_id: number of the call centre.
        vdn: number of the tenant's virtual call centre.
        agent_ids: numbers, or spans such as `501-520`, of the agents whose calls are asked for; empty: none.
        interval_s: between two questions.
        ca_file: as for CC-FS; with `fingerprint` left out too, the same as for CC-FS.
        fingerprint: likewise.

    Raises:
        ValueError: one sentence that says which value cannot be used and why.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    url: str
    cc_id: int = 1
    vdn: int = 1
    agent_ids: tuple[str, ...] = ()
    interval_s: float = 5.0
    ca_file: Path | None = None
    fingerprint: str | None = None

    def __post_init__(self) -> None:
        _check_url(self.url)
        _check_fingerprint(self.fingerprint)
        if not 1 <= self.cc_id <= HIGHEST_CALL_CENTRE:
            raise ValueError(f"cc_id must be from 1 to {HIGHEST_CALL_CENTRE}")
        if not 1 <= self.vdn <= HIGHEST_VDN:
            raise ValueError(f"vdn must be from 1 to {HIGHEST_VDN}")
        if not SHORTEST_INTERVAL_S <= self.interval_s <= LONGEST_INTERVAL_S:
            raise ValueError(f"interval_s must be from {SHORTEST_INTERVAL_S:g} to {LONGEST_INTERVAL_S:g}")
        count = sum(last - first + 1 for first, last in map(_span_of_agents, self.agent_ids))
        if count > MOST_AGENTS:
            raise ValueError(f"agent_ids names {count:,} agents; the server takes {MOST_AGENTS:,} at most")

    @property
    def host_header(self) -> str:
        """As `CcfsOptions.host_header`."""
        return _host_header(self.url)

    @property
    def base_url(self) -> str:
        """Scheme, host and port, without a path."""
        return f"https://{self.host_header}"

    def agents(self) -> Iterator[str]:
        """Yield the numbers of all agents."""
        for first, last in map(_span_of_agents, self.agent_ids):
            yield from map(str, range(first, last + 1))


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
        cc_id: number of the call centre for downloads by call id; empty: not sent (ccfs.md 4.2).
        link_hosts: to which links to recordings in object storage may lead (`AllowedHost`); empty: to none.
        link_ca_file: PEM file of the authority that signed their certificates; None: the system's.
        history_days: how far back past calls are brought from files that the server builds; 0: not at all.
        bill_callback_url: sent along when such a file is asked for; empty: not sent (ccfs.md 4.7).
        cms: the sister service that knows calls which go on; None: not asked.

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
    cc_id: str = ""
    link_hosts: tuple[str, ...] = ()
    link_ca_file: Path | None = None
    history_days: int = 0
    bill_callback_url: str = ""
    cms: CmsOptions | None = None

    def __post_init__(self) -> None:
        _check_url(self.url)
        # a slash would shift the parts of the Authorization header, anything else here cannot stand in one
        if not re.fullmatch(r"[!-.0-~]+", self.access_key):
            raise ValueError("access_key must be plain letters, digits and signs, without spaces or slashes")
        _check_fingerprint(self.fingerprint)
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
        for host in self.link_hosts:
            AllowedHost.parse(host)
        if not re.fullmatch(r"\d{0,64}", self.cc_id, re.ASCII):
            raise ValueError("cc_id must be the number of a call centre, in quotes")
        if not 0 <= self.history_days <= MOST_HISTORY_DAYS:
            raise ValueError(f"history_days must be from 0 to {MOST_HISTORY_DAYS}")
        if self.bill_callback_url and not re.fullmatch(r"https://[!-~]{1,240}", self.bill_callback_url):
            raise ValueError("bill_callback_url must be an address that begins with https://")

    @property
    def host_header(self) -> str:
        """The one text for the `Host` header and the signature: `host:port`, without the port for 443."""
        return _host_header(self.url)

    @property
    def base_url(self) -> str:
        """Scheme, host and port, without a path."""
        return f"https://{self.host_header}"

    @property
    def tls(self) -> TlsOptions:
        """How to check the server's certificate."""
        return TlsOptions(self.ca_file, self.fingerprint)

    @property
    def link_rules(self) -> LinkRules:
        """Where links to recordings may lead."""
        hosts = tuple(map(AllowedHost.parse, self.link_hosts))
        return LinkRules(hosts, tls=TlsOptions(self.link_ca_file))

    @property
    def cms_tls(self) -> TlsOptions:
        """How to check the certificate of CC-CMS: as its own keys say, else as for CC-FS."""
        own = self.tls if self.cms is None else TlsOptions(self.cms.ca_file, self.cms.fingerprint)
        return self.tls if own == TlsOptions() else own


def _host_header(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    return host if parts.port in (None, HTTPS_PORT) else f"{host}:{parts.port}"


def _span_of_agents(text: str) -> tuple[int, int]:
    """Read `501` or `501-520`.

    Raises:
        ValueError: it is neither.
    """
    found = re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", text.strip(), re.ASCII)
    if found is None:
        raise ValueError(f"agent_ids: {text!r} is neither a number nor a span such as 501-520")
    first, last = int(found[1]), int(found[2] or found[1])
    if last < first:
        raise ValueError(f"agent_ids: {text!r} ends before it begins")
    return first, last


def _check_fingerprint(fingerprint: str | None) -> None:
    if fingerprint is not None and not FINGERPRINT.fullmatch(fingerprint.strip()):
        raise ValueError("fingerprint must be sha256: and the 64 hex digits of the certificate")


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
