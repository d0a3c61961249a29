"""Huawei CC-FS, the file service of AICC sites: signed requests that bring recordings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

from recmon.domain.calls import Call
from recmon.domain.cdr import CdrSection
from recmon.domain.events import CallFacts
from recmon.domain.legs import Leg
from recmon.vendors.base import (
    ArchiveReader,
    CheckedPlace,
    EventSource,
    HistoryFlows,
    RecordingFlows,
    Reveal,
)
from recmon.vendors.hooks import HookParser
from recmon.vendors.huawei_ccfs.bills import BillFlows
from recmon.vendors.huawei_ccfs.checks import checked_places
from recmon.vendors.huawei_ccfs.flows import CcfsFlows
from recmon.vendors.huawei_ccfs.monitoring import CmsFlows
from recmon.vendors.huawei_ccfs.options import CcfsOptions
from recmon.vendors.huawei_ccfs.records import default_locator, describe
from recmon.vendors.polls import PollFlows, PollSource


def read_packed(data: bytes, zone: tzinfo) -> tuple[CallFacts, ...]:
    """Return the calls of a packed file of call records; none of a file of another kind."""
    if not data.startswith(b"PK"):
        return ()
    # Here and not above: start-up pays for no ZIP reader.
    from recmon.vendors.huawei_ccfs.bill_files import read_bills

    return read_bills(data, zone)


class CcfsAdapter:
    """A server that holds recordings; its sister service CC-CMS, if configured, is asked for live calls."""

    name = "huawei_ccfs"
    title = "Huawei CC-FS"
    options_type = CcfsOptions

    def event_source(self, options: CcfsOptions, zone: tzinfo) -> EventSource | None:
        """Return None: neither service tells anything by itself."""
        return None

    def poll_source(self, options: CcfsOptions, server: str, reveal: Reveal) -> PollSource | None:
        """Return how to ask the sister service for calls that go on; None where no agents are named."""
        cms = options.cms
        if cms is None or not cms.agent_ids:
            return None

        def make_flows() -> PollFlows:
            return CmsFlows(options, cms, server, reveal(options.secret_key))

        return PollSource(cms.interval_s, make_flows)

    def recording_flows(
        self, options: CcfsOptions, server: str, zone: tzinfo, reveal: Reveal
    ) -> RecordingFlows:
        """Return how to fetch recordings; the secret is looked up now.

        Raises:
            SecretMissing: it is not where the settings say.
        """
        return CcfsFlows(options, server, reveal(options.secret_key), zone)

    def history_flows(
        self, options: CcfsOptions, server: str, zone: tzinfo, reveal: Reveal
    ) -> HistoryFlows | None:
        """Return how to have files of past calls built, or None where the settings do not ask for them.

        Raises:
            SecretMissing: the secret is not where the settings say.
        """
        if options.history_days == 0:
            return None
        return BillFlows(options, server, reveal(options.secret_key), zone)

    def checked_places(
        self, options: CcfsOptions, server: str, zone: tzinfo, reveal: Reveal, path: str | None
    ) -> Sequence[CheckedPlace]:
        return checked_places(options, server, reveal, path)

    def archive_reader(self) -> ArchiveReader:
        """Return how to read the packed files of call records that CC-FS builds."""
        return read_packed

    def no_listening(self, options: CcfsOptions) -> str | None:
        """Return the reason: recordings are there once they are whole."""
        return "this server holds recordings of finished calls only"

    def hook_parser(
        self, options: CcfsOptions, server: str, zone: tzinfo, reveal: Reveal
    ) -> HookParser | None:
        """Return None: CC-FS is asked, and calls nobody."""
        return None

    def default_recording(self, options: CcfsOptions, call: Call) -> str | None:
        """Return the place of a call that this vendor told of: by its index entry, else by its call id."""
        return default_locator(call)

    def leg_of(self, call: Call) -> Leg | None:
        """Return None: all legs of a call stand in its one record."""
        return None

    def describe(self, call: Call) -> Sequence[CdrSection]:
        return describe(call)


ADAPTER = CcfsAdapter()
