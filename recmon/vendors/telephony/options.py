"""The keys of a telephony server in the settings (contract.md, section 3)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from recmon.domain.members import Member
from recmon.settings.model import SecretRef, TlsOptions
from recmon.vendors.links import AllowedHost, LinkRules, Network
from recmon.vendors.telephony.adapters import find_adapter

SECRET_KEYS = ("api_key", "api_secret", "api_salt", "crm_token", "auth_token")
VALUE_KEYS = ("account_sid",)

MOST_PARALLEL_DOWNLOADS = 4


@dataclass(frozen=True, slots=True)
class TelephonyOptions:
    """One account with a telephony provider.

    Attributes:
        adapter: `generic`, `zadarma`, `mango`, `megafon`, `twilio`, or the name of an installed one.
        hook_secret: the last part of the address that the provider is given.
        api_key: of Zadarma and Mango Office.
        api_secret: of Zadarma.
        api_salt: of Mango Office.
        crm_token: of MegaFon.
        account_sid: of Twilio; no secret.
        auth_token: of Twilio.
        secrets: further secrets, by the names that an installed adapter gives them.
        values: further texts of an installed adapter.
        api_url: scheme, host and port of the provider's programming interface, where it is not the usual one.
        link_hosts: to which links to recordings may lead, besides the provider's own.
        link_networks: private networks in which those hosts may be.
        ca_file: PEM file of the authority that signed the certificates of all these.
        parallel_downloads: how many transfers go on at a time.
        members: names for extensions and numbers.

    Raises:
        ValueError: one sentence that says which value cannot be used and why.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    adapter: str
    hook_secret: SecretRef
    api_key: SecretRef | None = None
    api_secret: SecretRef | None = None
    api_salt: SecretRef | None = None
    crm_token: SecretRef | None = None
    account_sid: str = ""
    auth_token: SecretRef | None = None
    secrets: Mapping[str, SecretRef] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    api_url: str = ""
    link_hosts: tuple[str, ...] = ()
    link_networks: tuple[str, ...] = ()
    ca_file: Path | None = None
    parallel_downloads: int = 2
    members: tuple[Member, ...] = ()

    def __post_init__(self) -> None:
        adapter = find_adapter(self.adapter)
        self._check_required(adapter.required_secrets, self.secret_refs)
        self._check_required(adapter.required_values, self.texts)
        if not self.account_sid.isprintable() or ":" in self.account_sid:
            raise ValueError("account_sid must be the plain id that the provider shows")
        if self.api_url and not re.fullmatch(r"https?://[^/\s?#@]+", self.api_url):
            raise ValueError("api_url must be http:// or https://, a host and perhaps a port, nothing more")
        for text in self.link_hosts:
            try:
                AllowedHost.parse(text)
            except ValueError as error:
                raise ValueError(f"link_hosts: {error}") from error
        for text in self.link_networks:
            _network(text)
        if not 1 <= self.parallel_downloads <= MOST_PARALLEL_DOWNLOADS:
            raise ValueError(f"parallel_downloads must be from 1 to {MOST_PARALLEL_DOWNLOADS}")
        numbers = [member.number.strip() for member in self.members]
        twice = next((number for number in numbers if numbers.count(number) > 1), None)
        if twice is not None:
            raise ValueError(f"members names the number {twice} twice")

    @property
    def secret_refs(self) -> Mapping[str, SecretRef]:
        """The secrets that are set, by key."""
        own = {key: getattr(self, key) for key in SECRET_KEYS}
        return {key: ref for key, ref in own.items() if ref is not None} | dict(self.secrets)

    @property
    def texts(self) -> Mapping[str, str]:
        """The plain values that are set, by key."""
        own = {key: getattr(self, key) for key in VALUE_KEYS}
        return {key: text for key, text in own.items() if text} | dict(self.values)

    @property
    def api(self) -> str:
        """Scheme, host and port of the provider's programming interface; empty where it has none."""
        return self.api_url or find_adapter(self.adapter).api

    @property
    def tls(self) -> TlsOptions:
        """How to check certificates."""
        return TlsOptions(self.ca_file)

    @property
    def link_rules(self) -> LinkRules:
        """Where links to recordings may lead: the provider's own hosts, and those of the settings."""
        hosts = (*find_adapter(self.adapter).link_hosts, *self.link_hosts, *((self.api,) if self.api else ()))
        return LinkRules(
            tuple(AllowedHost.parse(text) for text in hosts),
            tuple(_network(text) for text in self.link_networks),
            self.tls,
        )

    def _check_required(self, wanted: tuple[str, ...], known: Mapping[str, object]) -> None:
        missing = [key for key in wanted if key not in known]
        if missing:
            raise ValueError(
                f"adapter {self.adapter!r} needs {' and '.join(missing)}, without which nobody could tell "
                "a genuine web hook from a forged one"
            )


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(
            f"link_networks: {text!r} is not a network; write one such as 10.1.0.0/16"
        ) from error
