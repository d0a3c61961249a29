"""What is known of one call: its fields, labelled, and where its recording is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from zoneinfo import ZoneInfo

from recmon.domain.calls import Call, RecordingRef, RecordingStage, ServerId, ToldRecording
from recmon.domain.cdr import CdrField, CdrSection
from recmon.domain.legs import Leg
from recmon.domain.recordings import RecordingTemplate
from recmon.errors import RecordingMissing
from recmon.settings.model import ServerSettings, Settings
from recmon.vendors.base import VendorAdapter


class CallDetails:
    """Answers from the settings and the vendors' own knowledge; asks no server.

    Args:
        settings: names the servers, and where their recordings are.
        adapters: the vendors by name.
    """

    def __init__(self, settings: Settings, adapters: Mapping[str, VendorAdapter]) -> None:
        self._servers: dict[ServerId, ServerSettings] = {server.name: server for server in settings.servers}
        self._adapters = adapters

    def title(self, server: ServerId) -> str:
        """Return the name for people of a server's vendor; of a server no longer configured its own name."""
        adapter = self._adapter(server)
        return server if adapter is None else adapter.title

    def sections(self, call: Call) -> tuple[CdrSection, ...]:
        """Return a call's raw fields as its vendor groups and labels them; no field is dropped."""
        adapter = self._adapter(call.key.server)
        if adapter is not None:
            return tuple(adapter.describe(call))
        fields = tuple(CdrField(name, name, value, value) for name, value in call.cdr.fields)
        return (CdrSection("Fields as received", fields),) if fields else ()

    def leg_of(self, call: Call) -> Leg | None:
        """Return what a call is to its conversation; None where its server told of none."""
        adapter = self._adapter(call.key.server)
        return None if adapter is None else adapter.leg_of(call)

    def recording_of(self, call: Call) -> RecordingRef:
        """Return where a call's recording is: as the call itself tells, else by the settings.

        Raises:
            RecordingMissing: nothing tells; the reason is for the user.
        """
        if call.recordings:
            return call.recordings[0]
        if call.told:
            raise RecordingMissing(_why_not_there(call.told))
        return self._configured(call)

    def no_listening(self, server: ServerId) -> str | None:
        """Return in plain words why nobody can listen to the calls of a server that go on, or None."""
        adapter = self._adapter(server)
        if adapter is None:
            return f"{server} is not in the settings"
        return adapter.no_listening(self._servers[server].options)

    def locate(self, call: Call) -> tuple[RecordingRef, ...]:
        """Return where a call's recordings are, as far as is known now; none where nothing tells.

        The settings are asked again for a call that has a place already: a field may have changed with it.
        """
        if call.told:
            return call.recordings
        try:
            return (self._configured(call),)
        except RecordingMissing:
            return call.recordings

    def recording_template(self, server: ServerId) -> RecordingTemplate | None:
        """Return the template for the recordings of a server's calls, where there is one."""
        configured = self._servers.get(server)
        return None if configured is None else configured.recording

    def use_recording(self, server: ServerId, template: RecordingTemplate) -> None:
        """Look for the recordings of a server's calls elsewhere from now on."""
        self._servers[server] = replace(self._servers[server], recording=template)

    def _configured(self, call: Call) -> RecordingRef:
        name = call.key.server
        server = self._servers.get(name)
        if server is None:
            raise RecordingMissing(f"no media here, and {name} is not in the settings")
        holder = server.recordings or name
        if server.recording is None:
            return self._by_default(call, holder)
        if holder not in self._servers:
            raise RecordingMissing(f"{holder}, which holds the recordings of {name}, is not in the settings")
        return server.recording.fill(call, holder, ZoneInfo(server.time_zone))

    def _by_default(self, call: Call, holder: ServerId) -> RecordingRef:
        """Return where a server keeps the call's recording by itself."""
        adapter = self._adapter(holder)
        options = None if adapter is None else self._servers[holder].options
        locator = None if adapter is None else adapter.default_recording(options, call)
        if locator is None:
            raise RecordingMissing(f"no recording place is configured for {call.key.server}")
        return RecordingRef(holder, locator)

    def _adapter(self, server: ServerId) -> VendorAdapter | None:
        configured = self._servers.get(server)
        return None if configured is None else self._adapters.get(configured.vendor)


def _why_not_there(told: Sequence[ToldRecording]) -> str:
    """Return why recordings that a server told of have no place."""
    if any(recording.stage is RecordingStage.EXPECTED for recording in told):
        return "the server expects a recording, and has not told yet that it is there"
    return next((recording.reason for recording in told if recording.reason), "the server made no recording")
