"""Telephony providers that call us, by the ELMA365 telephony contract: one adapter per provider.

The contract is what a module inside ELMA365 hands to its platform; ELMA365 itself sends nothing to this
program (elma365.md, section 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import NoReturn

from recmon.domain.calls import Call
from recmon.domain.cdr import CdrField, CdrSection
from recmon.domain.legs import Leg
from recmon.errors import RecordingMissing
from recmon.vendors.base import ArchiveReader, CheckedPlace, EventSource, HistoryFlows, RecordingFlows, Reveal
from recmon.vendors.hooks import HookParser
from recmon.vendors.telephony.adapters import find_adapter
from recmon.vendors.telephony.contract import Account, TelephonyAdapter
from recmon.vendors.telephony.options import TelephonyOptions


class TelephonyVendor:
    """A provider's account, seen from the program; see `vendors.base.VendorAdapter`."""

    name = "telephony"
    title = "Telephony"
    options_type = TelephonyOptions

    def event_source(self, options: TelephonyOptions, zone: tzinfo) -> EventSource | None:
        """Return None: providers are not subscribed to, they call us."""
        return None

    def recording_flows(
        self, options: TelephonyOptions, server: str, zone: tzinfo, reveal: Reveal
    ) -> RecordingFlows:
        """Return how to fetch recordings; the secrets are looked up now.

        Raises:
            SecretMissing: one is not where the settings say.
        """
        # Imported with the first recording, and not for the first window.
        from recmon.vendors.telephony.flows import TelephonyFlows

        adapter = _adapter(options, server, zone, reveal)
        return TelephonyFlows(
            server,
            options.adapter,
            adapter,
            options.api,
            options.tls,
            options.link_rules,
            options.parallel_downloads,
        )

    def history_flows(
        self, options: TelephonyOptions, server: str, zone: tzinfo, reveal: Reveal
    ) -> HistoryFlows | None:
        """Return None: the contract has no way to ask for past calls."""
        return None

    def checked_places(
        self, options: TelephonyOptions, server: str, zone: tzinfo, reveal: Reveal, path: str | None
    ) -> Sequence[CheckedPlace]:
        # Imported with the first check.
        from recmon.vendors.telephony.checks import checked_places

        return checked_places(options, lambda: _adapter(options, server, zone, reveal))

    def archive_reader(self) -> ArchiveReader | None:
        """Return None: providers keep no files beside recordings."""
        return None

    def no_listening(self, options: TelephonyOptions) -> str | None:
        """Return the reason: the contract knows finished recordings only."""
        return "telephony providers hand out recordings of finished calls only"

    def hook_parser(self, options: TelephonyOptions, server: str, zone: tzinfo, reveal: Reveal) -> HookParser:
        """Return how to understand the provider's web hooks.

        Raises:
            SecretMissing: a secret is not where the settings say.
        """
        # Imported with the listener.
        from recmon.vendors.telephony.hooks import TelephonyHooks
        from recmon.vendors.telephony.translate import Translation

        adapter = _adapter(options, server, zone, reveal)
        return TelephonyHooks(
            reveal(options.hook_secret), adapter, Translation(options.adapter, options.members)
        )

    def default_recording(self, options: TelephonyOptions, call: Call) -> NoReturn:
        """Return nothing: the provider tells of each recording by itself.

        Raises:
            RecordingMissing: always.
        """
        raise RecordingMissing("the provider has told of no recording of this call, or not yet")

    def leg_of(self, call: Call) -> Leg | None:
        """Return None: legs of a call are told under its own id."""
        return None

    def describe(self, call: Call) -> Sequence[CdrSection]:
        """Return the raw fields as the provider told them."""
        fields = tuple(CdrField(name, name, value, value) for name, value in call.cdr.fields)
        return (CdrSection("From the provider", fields),) if fields else ()


def _adapter(options: TelephonyOptions, server: str, zone: tzinfo, reveal: Reveal) -> TelephonyAdapter:
    secrets = {key: reveal(ref) for key, ref in options.secret_refs.items()}
    account = Account(
        server,
        options.api,
        # UTC is what stands where nobody named the account's zone: then receipt counts (elma365.md 7.1).
        None if zone.tzname(None) == "UTC" or str(zone) == "UTC" else zone,
        secrets,
        options.texts,
        options.link_rules,
    )
    return find_adapter(options.adapter)(account)


ADAPTER = TelephonyVendor()
