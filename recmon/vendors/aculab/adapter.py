"""Aculab Cloud, seen from the program."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

from recmon.domain.calls import Call
from recmon.domain.cdr import CdrSection
from recmon.domain.legs import Leg
from recmon.domain.recordings import LocatorKind
from recmon.errors import RecordingMissing
from recmon.vendors.aculab.fields import describe
from recmon.vendors.aculab.options import AculabOptions
from recmon.vendors.base import ArchiveReader, CheckedPlace, EventSource, HistoryFlows, RecordingFlows, Reveal
from recmon.vendors.hooks import HookParser


class AculabAdapter:
    """Calls by web hooks, recordings from the web services; see `vendors.base.VendorAdapter`."""

    name = "aculab"
    title = "Aculab Cloud"
    options_type = AculabOptions

    def event_source(self, options: AculabOptions, zone: tzinfo) -> EventSource | None:
        """Return None: the platform is not subscribed to, it calls."""
        return None

    def recording_flows(
        self, options: AculabOptions, server: str, zone: tzinfo, reveal: Reveal
    ) -> RecordingFlows | None:
        """Return how to fetch recordings from the web services, or None where they are not configured.

        Raises:
            SecretMissing: the access key is not where the settings say.
        """
        if options.access_key is None:
            return None
        # Here and not above: the first window needs none of it.
        from recmon.vendors.aculab.flows import AculabFlows
        from recmon.vendors.aculab.web import WebServices

        return AculabFlows(options, WebServices(options, server, reveal(options.access_key)))

    def history_flows(
        self, options: AculabOptions, server: str, zone: tzinfo, reveal: Reveal
    ) -> HistoryFlows | None:
        """Return how to list recordings as past calls; None where calls come by web hooks.

        Raises:
            SecretMissing: the access key is not where the settings say.
        """
        if options.access_key is None or options.hook_secret is not None:
            return None
        # As above.
        from recmon.vendors.aculab.history import AculabHistory
        from recmon.vendors.aculab.web import WebServices

        return AculabHistory(options, WebServices(options, server, reveal(options.access_key)), zone)

    def checked_places(
        self, options: AculabOptions, server: str, zone: tzinfo, reveal: Reveal, path: str | None
    ) -> Sequence[CheckedPlace]:
        # As above.
        from recmon.vendors.aculab.checks import checked_places

        return checked_places(options, server, reveal, path)

    def archive_reader(self) -> ArchiveReader | None:
        """Return None: nothing lies beside the recordings."""
        return None

    def no_listening(self, options: AculabOptions) -> str | None:
        """Return the reason: recordings are files that appear after they are made."""
        return "this platform does not let others listen to a call that goes on"

    def hook_parser(
        self, options: AculabOptions, server: str, zone: tzinfo, reveal: Reveal
    ) -> HookParser | None:
        """Return how to understand page requests, or None where none are received.

        Raises:
            SecretMissing: the secret of our address is not where the settings say.
        """
        if options.hook_secret is None:
            return None
        # As above.
        from recmon.vendors.aculab.hooks import AculabHookParser

        return AculabHookParser(server, reveal(options.hook_secret))

    def default_recording(self, options: AculabOptions, call: Call) -> str:
        """Return the file that a call was listed by: paths are told, and never put together (aculab.md 5).

        Raises:
            RecordingMissing: none was told of this call.
        """
        name = call.cdr.get("filename")
        if name:
            return f"{LocatorKind.PATH.value}:{name}"
        raise RecordingMissing("the server has told of no recording of this call, or not yet")

    def leg_of(self, call: Call) -> Leg | None:
        """Return the run of the application, which groups all its calls (aculab.md 3)."""
        run = call.cdr.get("application_instance_id")
        return Leg(run) if run else None

    def describe(self, call: Call) -> Sequence[CdrSection]:
        return describe(call)
