"""Addresses that others gave us, and where requests to them may go: taken apart strictly, values only.

A link out of a web hook or an answer is followed only to hosts that the vendor or the settings name
(elma365.md, section 9). Whoever runs the request also holds each address that a name stands for against
these rules, and connects to exactly that address.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from recmon.errors import LinkRefused
from recmon.logs import printable
from recmon.settings.model import HIGHEST_PORT, TlsOptions

LARGEST_FILE = 200 << 20
"""Most bytes of a file behind a link (elma365.md, section 9)."""

LONGEST_TRANSFER_S = 1800.0
"""Most seconds for such a file, however steadily it arrives."""

LONGEST_LINK = 4096

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_USUAL_PORTS = {"https": 443, "http": 80}
_LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_ALLOWED = re.compile(
    r"(?:(?P<scheme>https?)://)?(?P<any>\*\.)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s\[\]:/@?#*]+)(?::(?P<port>[0-9]+))?/?"
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port of an address.

    Attributes:
        scheme: `https` or `http`.
        host: name in lower case, or an address without brackets.
        port: always a number.
    """

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host_header}"

    @property
    def host_header(self) -> str:
        """The text of the `Host` header: `host:port`, without the usual port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _USUAL_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def address(self) -> Address | None:
        """The host as an address, or None where it is a name."""
        return _address(self.host)


@dataclass(frozen=True, slots=True)
class AllowedHost:
    """One entry of a list of hosts to which links may lead.

    Attributes:
        scheme: `https`, or `http` where the settings say so in full.
        host: name or address; also every name below it where `is_domain`.
        port: the only one.
        is_domain: whether the entry began with `*.`, which does not include the name itself.
    """

    scheme: str
    host: str
    port: int
    is_domain: bool = False

    @classmethod
    def parse(cls, text: str) -> AllowedHost:
        """Read `host`, `host:port`, `*.domain`, or one of them with `https://` or `http://` in front.

        Raises:
            ValueError: one sentence that says what is wrong.
        """
        found = _ALLOWED.fullmatch(text)
        host = "" if found is None else found["host"].strip("[]").lower()
        if found is None or (not _is_name(host) and _address(host) is None):
            raise ValueError(
                f"{text!r} is not a host; write a name such as rec.example.com, with a port where it is "
                "not 443, *.example.com for all names below, or http:// in front to allow clear text"
            )
        scheme = found["scheme"] or "https"
        port = int(found["port"] or _USUAL_PORTS[scheme])
        if not 1 <= port <= HIGHEST_PORT:
            raise ValueError(f"{text!r}: a port is from 1 to {HIGHEST_PORT}")
        if found["any"] and (_address(host) is not None or "." not in host):
            raise ValueError(f"{text!r}: *. must be followed by a name with a dot in it")
        return cls(scheme, host.rstrip("."), port, bool(found["any"]))

    def covers(self, origin: Origin) -> bool:
        """Tell whether a link may lead there."""
        if (self.scheme, self.port) != (origin.scheme, origin.port):
            return False
        if self.is_domain:
            return origin.host.endswith(f".{self.host}")
        return origin.host == self.host


@dataclass(frozen=True, slots=True)
class LinkRules:
    """Which other servers one server's conversations may ask.

    Attributes:
        hosts: to which links may lead; empty: to none.
        networks: private or loopback addresses that their names may stand for; an address that is itself
            among `hosts` needs no network.
        tls: how to check certificates there.
        largest_bytes: most bytes of a file.
        longest_s: most seconds for a file.
    """

    hosts: tuple[AllowedHost, ...] = ()
    networks: tuple[Network, ...] = ()
    tls: TlsOptions = field(default_factory=TlsOptions)
    largest_bytes: int = LARGEST_FILE
    longest_s: float = LONGEST_TRANSFER_S

    def check_origin(self, origin: Origin) -> None:
        """Check scheme, host and port of a link, before its name is looked up.

        Raises:
            LinkRefused: it may not be asked; the reason says why.
        """
        if not any(host.covers(origin) for host in self.hosts):
            raise LinkRefused(_not_allowed(origin, self.hosts), host=origin.host)
        if origin.address is not None:
            self.check_address(origin.address, origin)

    def check_address(self, address: Address, origin: Origin) -> None:
        """Check an address that the host of a link stands for.

        Raises:
            LinkRefused: nobody may be asked there in the name of this host.
        """
        meant = _meant(address)
        if _is_never_meant(meant):
            raise LinkRefused(f"its host stands for {address}, where no recordings are", host=origin.host)
        if meant.is_global or origin.address == address:
            return
        if not any(meant.version == network.version and meant in network for network in self.networks):
            raise LinkRefused(
                f"its host stands for {address}, an address of this computer or of an inner network, "
                "and the settings allow no such network",
                host=origin.host,
            )


def split_link(link: str) -> tuple[Origin, str]:
    """Take a link apart into the server and the target of a request to it.

    Characters that no address has are escaped, escapes are left alone, and a fragment is dropped.

    Raises:
        LinkRefused: it is no plain https or http address.
    """
    if len(link) > LONGEST_LINK:
        raise LinkRefused(f"it is longer than {LONGEST_LINK} characters")
    if re.search(r"[\x00-\x20\x7f-\xa0\\\u2028\u2029\ud800-\udfff]", link):
        raise LinkRefused("it has spaces, backslashes or control characters in it")
    try:
        parts = urlsplit(link)
        port = parts.port
    except ValueError as error:
        raise LinkRefused("it is not a web address") from error
    if parts.scheme not in _USUAL_PORTS:
        raise LinkRefused("it is neither an https nor an http address")
    if "@" in parts.netloc or parts.netloc.endswith(":"):
        raise LinkRefused("it has a user or password in it")
    origin = Origin(parts.scheme, _host(parts.hostname or ""), port or _USUAL_PORTS[parts.scheme])
    if port == 0:
        raise LinkRefused("it has no usable port", host=origin.host)
    query = f"?{quote(parts.query, safe=_KEPT)}" if parts.query else ""
    return origin, (quote(parts.path, safe=_KEPT) or "/") + query


_KEPT = "/:?#[]@!$&'()*+,;=%-._~|"
"""Not escaped again: `%` because a signature may cover the escapes as they are."""


def parse_origin(text: str) -> Origin:
    """Read the `origin` of a request.

    Raises:
        LinkRefused: it is not scheme, host and perhaps a port, and nothing else.
    """
    origin, target = split_link(text)
    if target != "/" or text.endswith(("/", "?", "#")):
        raise LinkRefused("it is not the address of a server", host=origin.host)
    return origin


def _host(host: str) -> str:
    if _address(host) is not None:
        return host
    try:
        name = host.encode("idna").decode() if not host.isascii() else host
    except UnicodeError as error:
        raise LinkRefused("its host is not a name") from error
    name = name.lower().rstrip(".")
    if not _is_name(name):
        raise LinkRefused("its host is not a name", host=printable(name, 100))
    return name


def _is_name(host: str) -> bool:
    # What ends in a number is an address in one of the old spellings, such as 2130706433 or 0x7f.1.
    last = host.rstrip(".").rpartition(".")[2]
    return len(host) <= 253 and bool(_NAME.fullmatch(host)) and not _NUMBER.fullmatch(last)


def _address(host: str) -> Address | None:
    try:
        # One with a zone belongs to this computer's own links.
        return None if "%" in host else ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_never_meant(address: Address) -> bool:
    # A machine's metadata service is link-local. Of IPv6, `::1` counts as reserved too.
    is_odd = address.is_link_local or address.is_multicast or address.is_unspecified
    return is_odd or (address.is_reserved and not address.is_loopback)


def _meant(address: Address) -> Address:
    """Return the address at which one that only wraps another leads."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
    if inner is None and address in _NAT64:
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return inner or address


def _not_allowed(origin: Origin, hosts: tuple[AllowedHost, ...]) -> str:
    same = [host for host in hosts if host.covers(Origin(host.scheme, origin.host, host.port))]
    if same and origin.scheme == "http":
        return f"it leads to {origin.host} in clear text, and the settings allow https only"
    if same:
        return f"it leads to port {origin.port} of {origin.host}, which the settings do not allow"
    return f"it leads to {origin.host}, which is not among the hosts that the settings allow"
