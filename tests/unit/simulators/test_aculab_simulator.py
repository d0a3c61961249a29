"""The simulated cloud account: its web services with the program's own conversations, and what it tells."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cached import cache_in

from recmon.domain.calls import CallState, RecordingRef, ServerId
from recmon.domain.checks import CheckStep, Verdict
from recmon.domain.events import (
    CallEnded,
    CallFacts,
    CallStarted,
    CallUpdated,
    RecordingTold,
    ServerWarning,
    TranscriptTold,
    Unrecognised,
)
from recmon.domain.media import read_wav_head
from recmon.domain.transcripts import Side
from recmon.errors import (
    AuthenticationFailed,
    DownloadRefused,
    MalformedMessage,
    RecmonError,
    RecordingError,
    RecordingMissing,
    RequestRefused,
)
from recmon.net.http import HttpClient
from recmon.protocol.http import HttpFlow
from recmon.services.check import CheckService
from recmon.services.downloads import DownloadService
from recmon.settings.model import Secret, SecretRef, ServerSettings, Settings
from recmon.simulators import aculab_pages
from recmon.simulators.aculab import AculabFaults, AculabWebSimulator, MediaFile
from recmon.simulators.certificates import Certificate
from recmon.simulators.conversations import recording, utterances
from recmon.simulators.scenario import Scenario, ScriptedCall
from recmon.vendors.aculab import ADAPTER
from recmon.vendors.aculab.flows import AculabFlows
from recmon.vendors.aculab.options import AculabOptions
from recmon.vendors.base import TimeWindow
from recmon.vendors.hooks import HookEvent, HookRequest

Run = Callable[..., Any]
CLOUD = ServerId("cloud")
USER, KEY = "1-2-0/user@example.com", "key-of-the-account"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
CALLS = Scenario(3, ("cloud",)).past("cloud", 60, NOON)
CALL = next(call for call in CALLS if aculab_pages.was_answered(call) and call.duration_s < 120)
NAME = aculab_pages.recording_name(CALL)
SOUND = recording(replace(CALL, channels=1))


def now() -> datetime:
    return datetime.now(UTC)


def find(name: str) -> bytes | None:
    return SOUND if name == NAME else None


class Site:
    """The services, and a client with an account there."""

    def __init__(self, faults: AculabFaults | None = None, key: str = KEY) -> None:
        certificate = Certificate()
        self.files = [MediaFile(NAME, NOON, len(SOUND))]
        self.statuses: dict[str, dict[str, Any]] = {}
        self.services = AculabWebSimulator(
            certificate, USER, KEY, find, lambda: self.files, self.statuses.get, faults=faults
        )
        self._key = key
        self._fingerprint = certificate.fingerprint

    @property
    def options(self) -> AculabOptions:
        return AculabOptions(
            url=self.services.url,
            user=USER,
            access_key=SecretRef("env", "KEY"),
            fingerprint=self._fingerprint,
        )

    def reveal(self, reference: SecretRef) -> Secret:
        return Secret(self._key)

    @property
    def flows(self) -> AculabFlows:
        made = ADAPTER.recording_flows(self.options, CLOUD, UTC, self.reveal)
        assert isinstance(made, AculabFlows)
        return made

    async def fetch(self, folder: Path, name: str = NAME) -> bytes:
        async with (
            self.services,
            cache_in(folder) as cache,
            DownloadService(lambda server: self.flows, cache, now) as downloads,
        ):
            path = await downloads.open(RecordingRef(CLOUD, f"path:{name}")).finished()
            return path.read_bytes()

    def failure(self, run: Run, folder: Path, name: str = NAME) -> RecmonError:
        with pytest.raises(RecmonError) as caught:
            run(self.fetch(folder, name))
        return caught.value


# Web services


@pytest.mark.parametrize("slash", ["either", "with", "without"])
@pytest.mark.parametrize("name", [NAME, NAME[1:]])
def test_a_file_comes_whatever_form_of_its_name_the_store_knows(
    tmp_path: Path, run: Run, slash: Any, name: str
) -> None:
    site = Site(AculabFaults(slash=slash))
    assert run(site.fetch(tmp_path, name)) == SOUND
    head = read_wav_head(SOUND)
    assert head is not None
    assert head.channels == 1


@pytest.mark.parametrize("layout", ["keyed", "objects", "names", "wrapped"])
def test_files_are_listed_in_every_layout(run: Run, layout: Any) -> None:
    site = Site(AculabFaults(layout=layout))

    async def main() -> None:
        async with site.services:
            client = HttpClient(CLOUD, site.services.url, site.options.tls)
            [file] = await client.run(site.flows.stored_files())
            await client.close()
            assert file.name == NAME
            assert (file.created_at, file.size) == ((None, None) if layout == "names" else (NOON, len(SOUND)))

    run(main())


def test_missing_refused_and_wrong_answers_are_told_apart(tmp_path: Path, run: Run) -> None:
    cases: list[tuple[Site, type[RecmonError], str]] = [
        (Site(AculabFaults(missing=2)), RecordingMissing, "or not yet"),
        (Site(AculabFaults(missing=2, broken_errors=True)), RecordingMissing, "or not yet"),
        (Site(AculabFaults(missing=2, error_in_success=True)), RecordingMissing, "or not yet"),
        (Site(AculabFaults(status=400)), DownloadRefused, "not available to you now"),
        (Site(AculabFaults(page=True)), DownloadRefused, "a web page"),
        (Site(AculabFaults(encrypted=True)), RecordingError, "may be encrypted"),
        (Site(key="wrong"), AuthenticationFailed, "refused user and access key"),
    ]
    for number, (site, kind, words) in enumerate(cases):
        folder = tmp_path / str(number)
        error = site.failure(run, folder)
        assert isinstance(error, kind)
        assert words in str(error)
        assert not [path for path in folder.rglob("*") if path.suffix == ".wav"]


def test_not_found_once_is_not_the_end(tmp_path: Path, run: Run) -> None:
    site = Site(AculabFaults(missing=1))
    assert run(site.fetch(tmp_path)) == SOUND
    assert [fields["filename"] for _, fields in site.services.requests] == [NAME, NAME[1:]]


@pytest.mark.parametrize(
    ("site", "verdict", "words"),
    [
        (Site(), Verdict.OK, "were accepted"),
        (Site(AculabFaults(layout="names")), Verdict.OK, "were accepted"),
        (Site(key="wrong"), Verdict.FAILED, "refused user and access key"),
        (Site(AculabFaults(status=503)), Verdict.FAILED, "come back later"),
        (Site(AculabFaults(page=True)), Verdict.FAILED, "cannot be read"),
    ],
)
def test_check_goes_step_by_step_to_the_login(run: Run, site: Site, verdict: Verdict, words: str) -> None:
    async def main() -> list[CheckStep]:
        async with site.services:
            server = ServerSettings(CLOUD, "aculab", site.options)
            check = CheckService(Settings((server,)), {"aculab": ADAPTER}, site.reveal, now=now)
            return [step async for step in check.check(CLOUD)]

    steps = run(main())
    assert [step.name for step in steps] == ["name", "tcp", "tls", "login"]
    assert {step.finding.verdict for step in steps[:2]} == {Verdict.OK}
    assert (steps[-1].finding.verdict, words in steps[-1].finding.text) == (verdict, True)
    assert steps[-1].finding.verdict is Verdict.OK or steps[-1].finding.advice


# Past calls, where nothing is pushed

STARTED = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
DAY = TimeWindow(STARTED - timedelta(hours=9), STARTED + timedelta(hours=15))


def stored(number: int, prefix: str = "rest_") -> MediaFile:
    at = STARTED + timedelta(minutes=number)
    name = f"/rest_api/recordings/{at:%Y/%m/%d}/{prefix}{at:%H_%M_%S}_7c1e40aa93b2d658.{number}.wav"
    return MediaFile(name, at + timedelta(seconds=70), 8000)


def status(number: int) -> dict[str, Any]:
    began = (STARTED + timedelta(minutes=number, seconds=2)).timestamp()
    record = {
        "application_name": "desk",
        "start_time": began,
        "stop_time": str(int(began) + 60),
        "duration": 60,
    }
    return {"adr": record, "cdrs": [{"odd_key": number}], "errs": []}


def searched(site: Site, window: TimeWindow = DAY) -> HttpFlow[list[CallFacts]]:
    """Ask for all pages of one window."""
    history = ADAPTER.history_flows(site.options, CLOUD, UTC, site.reveal)
    assert history is not None
    found: list[CallFacts] = []
    first, is_last = 0, False
    while not is_last:
        page = yield from history.search_page(window, first, now)
        found += page.calls
        first, is_last = page.next_first, page.is_last
    return found


def ask(run: Run, site: Site, flow: HttpFlow[Any] | None = None) -> Any:
    async def main() -> Any:
        async with site.services:
            client = HttpClient(CLOUD, site.services.url, site.options.tls)
            try:
                return await client.run(flow or searched(site))
            finally:
                await client.close()

    return run(main())


@pytest.mark.parametrize("layout", ["keyed", "objects", "names", "wrapped"])
def test_files_of_a_day_are_its_past_calls_with_the_times_of_their_runs(run: Run, layout: Any) -> None:
    site = Site(AculabFaults(layout=layout))
    site.files = [stored(number) for number in range(45)]
    site.files += [stored(-24 * 60), MediaFile("/rest_api/recordings/2026/11/20/other.wav", STARTED, 1)]
    site.statuses.update((f"7c1e40aa93b2d658.{number}", status(number)) for number in range(45))
    calls = ask(run, site)
    assert len(calls) == len({call.native_id for call in calls}) == 45
    call = calls[7]
    assert call.native_id == "2026/11/20/rest_09_07_00_7c1e40aa93b2d658.7.wav"
    assert call.started_at == STARTED + timedelta(minutes=7, seconds=2)
    assert call.ended_at == STARTED + timedelta(minutes=8, seconds=2)
    assert not call.is_approximate
    assert call.cdr.get("application_instance_id") == "7c1e40aa93b2d658.7"
    assert call.cdr.get("cdrs") == '[{"odd_key": 7}]'
    assert call.cdr.get("adr.application_name") == "desk"
    assert [service for service, _ in site.services.requests].count("file_list") == 1


def test_without_a_status_the_name_tells_a_time_that_is_marked(run: Run) -> None:
    site = Site()
    site.files = [stored(5), stored(6, prefix="")]
    message, call = sorted(ask(run, site), key=lambda call: "rest_" in call.native_id)
    assert (call.started_at, call.ended_at, call.is_approximate) == (
        STARTED + timedelta(minutes=5),
        None,
        True,
    )
    assert message.native_id == "2026/11/20/09_06_00_7c1e40aa93b2d658.6.wav"


def test_a_refused_list_is_an_error_of_its_kind(run: Run) -> None:
    with pytest.raises(AuthenticationFailed):
        ask(run, Site(key="wrong"))
    with pytest.raises(RequestRefused):
        ask(run, Site(AculabFaults(status=503)))
    with pytest.raises(MalformedMessage):
        ask(run, Site(AculabFaults(page=True)))


# What it tells


def told(call: ScriptedCall) -> list[HookEvent]:
    """Return what the program makes of all requests about a call."""
    options = AculabOptions(hook_secret=SecretRef("env", "HOOK"))
    parser = ADAPTER.hook_parser(options, CLOUD, UTC, lambda ref: Secret("x"))
    assert parser is not None
    events: list[HookEvent] = []
    for page in aculab_pages.pages(call):
        body = json.dumps(page.document).encode()
        at = call.started_at + timedelta(seconds=page.after_s)
        path = "copy" if page.is_copy else ""
        result = parser.parse(HookRequest("POST", path, (), (), body, "http://x/", "127.0.0.1", at))
        assert result.run == aculab_pages.instance_id(call)
        assert result.answer.status == (204 if page.document["is_notification"] else 200)
        events += result.events
    return events


def test_every_request_is_understood_whole_and_gives_no_warning() -> None:
    for call in CALLS:
        for event in told(call):
            assert not isinstance(event, Unrecognised | ServerWarning), event


def test_calls_ring_are_answered_and_end() -> None:
    for call in CALLS:
        kinds = [type(event) for event in told(call)]
        assert kinds.count(CallStarted) == (call.direction != "outgoing")
        assert CallEnded in kinds
        ends = [event for event in told(call) if isinstance(event, CallEnded)]
        connected = [
            e for e in told(call) if isinstance(e, CallUpdated) and e.facts.state is CallState.CONNECTED
        ]
        assert bool(connected) == aculab_pages.was_answered(call)
        # Calls that were dropped while the first destination answered come with the final page.
        assert {event.facts.cause for event in ends[1:]} <= {"dropped"}
    kinds_of_calls = {e.facts.cause for call in CALLS for e in told(call) if isinstance(e, CallEnded)}
    assert {"hung up", "completed", "dropped"} <= kinds_of_calls


def test_words_are_those_of_the_recording_and_name_who_spoke() -> None:
    words = [event for event in told(CALL) if isinstance(event, TranscriptTold)]
    finals = [phrase for event in words for phrase in event.phrases if phrase.is_final]
    spoken = [one for one in utterances(CALL) if one.begin_s >= CALL.answer_after_s]
    assert finals
    assert [phrase.text for phrase in finals] == [
        one.text for one in sorted(spoken, key=lambda one: one.end_s)
    ]
    sides = {one.text: Side.CALLER if one.is_caller else Side.CALLEE for one in spoken}
    assert {phrase.text: phrase.side for phrase in finals} == sides
    assert any(not phrase.is_final for event in words for phrase in event.phrases)


def test_recordings_are_told_by_the_names_under_which_they_are_kept() -> None:
    kept = {
        name
        for call in CALLS
        for name in (aculab_pages.recording_name(call), aculab_pages.message_name(call))
    }
    recordings = [event for call in CALLS for event in told(call) if isinstance(event, RecordingTold)]
    assert recordings
    assert all(event.locator is not None for event in recordings)
    assert {event.recording_id for event in recordings} <= kept
    assert {event.stage.value for event in recordings} == {"expected", "available"}
