"""Verba-like recording servers, seen from the program."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

from recmon.domain.calls import Call
from recmon.domain.cdr import CdrSection
from recmon.domain.events import CallFacts
from recmon.domain.legs import Leg
from recmon.domain.recordings import LocatorKind
from recmon.vendors.base import (
    ArchiveReader,
    CallsQuestion,
    CheckedPlace,
    EventCodec,
    EventSource,
    HistoryFlows,
    RecordingFlows,
    Reveal,
)
from recmon.vendors.hooks import HookParser
from recmon.vendors.verba.cdr import describe, leg_of
from recmon.vendors.verba.options import VerbaOptions


class VerbaAdapter:
    """Events over the recorder API, the rest over HTTP; see `vendors.base.VendorAdapter`."""

    name = "verba"
    title = "Verba"
    options_type = VerbaOptions

    def event_source(self, options: VerbaOptions, zone: tzinfo) -> EventSource | None:
        events = options.events
        if events is None:
            return None

        def make_codec() -> EventCodec:
            # Imported with the first connection: the XML library would delay the first window.
            from recmon.vendors.verba.codec import VerbaCodec

            return VerbaCodec(events, zone)

        def make_ongoing() -> CallsQuestion:
            # As above.
            from recmon.vendors.verba.questions import ongoing_calls

            return ongoing_calls(events, zone)

        def make_details(told: CallFacts) -> CallsQuestion:
            # As above.
            from recmon.vendors.verba.questions import call_details

            return call_details(events, zone, told)

        return EventSource(
            events.host,
            events.port,
            events.tls_options,
            make_codec,
            # No names of these requests are documented: it is the settings that know them (verba.md 3.4).
            make_ongoing if events.ongoing_request else None,
            make_details if events.detail_request else None,
        )

    def recording_flows(
        self, options: VerbaOptions, server: str, zone: tzinfo, reveal: Reveal
    ) -> RecordingFlows | None:
        """Return how to fetch recordings over the HTTP Business API, or None where it is not configured.

        Raises:
            SecretMissing: a secret is not where the settings say.
        """
        if options.http is None:
            return None
        # As above: what reads the answers needs the XML library.
        from recmon.vendors.verba.flows import recording_flows

        return recording_flows(options.http, server, reveal)

    def history_flows(
        self, options: VerbaOptions, server: str, zone: tzinfo, reveal: Reveal
    ) -> HistoryFlows | None:
        """Return how to ask about calls over the HTTP Business API, or None where it is not configured.

        Raises:
            SecretMissing: a secret is not where the settings say.
        """
        if options.http is None:
            return None
        # As above.
        from recmon.vendors.verba.flows import history_flows

        extensions = () if options.events is None else options.events.extensions
        return history_flows(options.http, server, zone, reveal, extensions)

    def checked_places(
        self, options: VerbaOptions, server: str, zone: tzinfo, reveal: Reveal, path: str | None
    ) -> Sequence[CheckedPlace]:
        # As above.
        from recmon.vendors.verba.checks import checked_places

        return checked_places(options, self.event_source(options, zone), server, zone, reveal)

    def archive_reader(self) -> ArchiveReader:
        # As above.
        from recmon.vendors.verba.metadata import read_metadata

        return read_metadata

    def no_listening(self, options: VerbaOptions) -> str | None:
        """Return why nobody can listen: only the HTTP Business API offers it (verba.md 5.3)."""
        if options.http is not None:
            return None
        return "listening needs the server's HTTP interface, which is not in the settings"

    def hook_parser(
        self, options: VerbaOptions, server: str, zone: tzinfo, reveal: Reveal
    ) -> HookParser | None:
        """Return None: recorders are subscribed to, and call nobody."""
        return None

    def default_recording(self, options: VerbaOptions, call: Call) -> str | None:
        """Return the call's own id: the HTTP Business API hands recordings out by it (verba.md 5.3)."""
        if options.http is None:
            return None
        return f"{LocatorKind.CALL_ID.value}:{call.cdr.get('ccdr_id') or call.key.native_id}"

    def leg_of(self, call: Call) -> Leg | None:
        """Return the call's conversation by the platform's id for it (verba.md 4.2, 6)."""
        return leg_of(call)

    def describe(self, call: Call) -> Sequence[CdrSection]:
        return describe(call)
