"""The HTTP Business API over real sockets: the program's own conversations, and the public client package."""

from __future__ import annotations

import asyncio
import contextlib
import io
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import soundfile
from cached import cache_in
from verba_client import (
    VerbaAuthError,
    VerbaCallNotFoundError,
    VerbaClient,
    VerbaInvalidParametersError,
)

from recmon.domain.calls import CallState, RecordingRef, ServerId
from recmon.errors import (
    AuthenticationFailed,
    MalformedMessage,
    RecmonError,
    RecordingMissing,
    RequestRefused,
    TlsFailed,
)
from recmon.net.delivery import BodyStart
from recmon.net.http import HttpClient
from recmon.services.downloads import DownloadService
from recmon.settings.model import Secret, SecretRef
from recmon.simulators.certificates import Certificate
from recmon.simulators.conversations import recording
from recmon.simulators.scenario import ScriptedCall
from recmon.simulators.verba import cdr_fields
from recmon.simulators.verba_http import (
    LIVE_BYTES_S,
    Account,
    VerbaHttpFaults,
    VerbaHttpSimulator,
    live_sound,
)
from recmon.vendors.base import CallMarker, ResumePoint, TimeWindow
from recmon.vendors.verba.business_api import BusinessApi, CallById, CallOfExtension, CallQuery, MediaFormat
from recmon.vendors.verba.flows import VerbaRecordingFlows, history_flows, recording_flows
from recmon.vendors.verba.http_session import ApiSession
from recmon.vendors.verba.options import HttpOptions

KEY = "5e1d7a0c-9b42-4f7e-8a31-2c6d90aa11ef"
BERLIN = ZoneInfo("Europe/Berlin")
FULL = Account(KEY, "supervisor", "a password", BERLIN)
DAY = datetime(2026, 11, 20, 9, tzinfo=UTC)
WINDOW = TimeWindow(DAY, DAY + timedelta(hours=12))
SERVER = ServerId("east")


def scripted(number: int) -> ScriptedCall:
    return ScriptedCall(
        server="east",
        native_id=str(88_000_000 + number),
        call_id=f"9d0e5c1a-64b2-11ee-8c99-{number:012d}",
        direction="incoming",
        from_number=f"+4930{1000 + number}",
        from_name="Jane Roe" if number % 2 else "",
        to_number=str(4400 + number % 7),
        to_name="Desk",
        started_at=DAY + timedelta(minutes=number),
        answer_after_s=2.0,
        duration_s=3.0,
        cause_id=2,
        conversation="support",
        codec="alaw",
        channels=2,
    )


CALLS = {call.call_id: call for call in map(scripted, range(120))}
GOING_ON = scripted(900)
SECONDARY = scripted(901)


def records() -> list[dict[str, str]]:
    ended = [cdr_fields(call, ended=True) for call in CALLS.values()]
    hidden = cdr_fields(SECONDARY, ended=True) | {"secondary": "true"}
    return [*ended, cdr_fields(GOING_ON, ended=False), hidden]


def media(call_id: str, codec: str | None) -> bytes | None:
    call = CALLS.get(call_id)
    return None if call is None else recording(call if codec is None else replace(call, codec=codec))


def marked(call_id: str) -> list[tuple[str, int, int]]:
    return [("Complaint & anger", 1500, 2500)] if call_id in CALLS else []


def now() -> datetime:
    return datetime.now(UTC)


def secret(reference: SecretRef) -> Secret:
    return Secret({"KEY": KEY, "PASSWORD": FULL.password, "WRONG": "wrong"}[reference.name])


def options(simulator: VerbaHttpSimulator, **values: Any) -> HttpOptions:
    return HttpOptions(
        **(
            {
                "url": simulator.url,
                "api_key": SecretRef("env", "KEY"),
                "user": FULL.user,
                "password": SecretRef("env", "PASSWORD"),
            }
            | values
        )
    )


class Site:
    """A running simulator, a client and what it can ask."""

    def __init__(self, simulator: VerbaHttpSimulator, made: HttpOptions, client: HttpClient) -> None:
        self.simulator = simulator
        self.options = made
        self.client = client
        password = None if made.password is None else secret(made.password)
        zone = UTC if made.user is None else BERLIN
        self.api = BusinessApi(ApiSession(made, SERVER, Secret(KEY), password), zone)
        self.history = history_flows(made, SERVER, BERLIN, secret)
        self.recordings = recording_flows(made, SERVER, secret)

    async def failure(self, flow: Any) -> RecmonError:
        with pytest.raises(RecmonError) as caught:
            await self.client.run(flow)
        return caught.value

    async def fetch(self, flow: Any, limit: int | None = None) -> tuple[str, bytes]:
        sink = Sink(limit)
        with contextlib.suppress(EnoughError):
            await self.client.download(flow, sink)
        return sink.extension, bytes(sink.data)


class EnoughError(Exception):
    """As much arrived as was wanted."""


class Sink:
    def __init__(self, limit: int | None) -> None:
        self.data = bytearray()
        self.extension = ""
        self._limit = limit

    async def begin(self, start: BodyStart) -> None:
        self.extension = start.extension

    async def write(self, pieces: Sequence[bytes]) -> None:
        self.data += b"".join(pieces)
        if self._limit is not None and len(self.data) >= self._limit:
            raise EnoughError


@contextlib.asynccontextmanager
async def opened(
    faults: VerbaHttpFaults | None = None, *, account: Account = FULL, **values: Any
) -> AsyncIterator[Site]:
    async with VerbaHttpSimulator(account, records, media, marked, faults=faults) as simulator:
        made = options(simulator, **values)
        client = HttpClient(SERVER, made.base_url, made.tls)
        try:
            yield Site(simulator, made, client)
        finally:
            await client.close()


# Calls


@pytest.mark.parametrize(
    "faults",
    [
        VerbaHttpFaults(),
        VerbaHttpFaults(list_as_root=True),
        VerbaHttpFaults(ignores_paging=True),
        VerbaHttpFaults(needs_cookie=True),
    ],
)
def test_a_search_brings_every_call_once_over_three_pages(run, faults):
    async def main() -> None:
        async with opened(faults) as site:
            found: dict[str, Any] = {}
            first, pages, rows = 0, 0, 0
            while True:
                page = await site.client.run(site.history.search_page(WINDOW, first, now, found.keys()))
                pages, rows, first = pages + 1, rows + len(page.calls), page.next_first
                found.update((facts.native_id, facts) for facts in page.calls)
                if page.is_last:
                    break
            assert found.keys() == CALLS.keys()
            assert pages == (2 if faults.ignores_paging else 3)
            assert rows == (240 if faults.ignores_paging else 120)
            for call_id, facts in found.items():
                assert facts.state is CallState.ENDED
                assert facts.started_at == CALLS[call_id].started_at
                assert facts.caller.number == CALLS[call_id].from_number
            assert len(site.simulator.asked("RequestToken")) == 1

    run(main())


def test_times_are_gmt_where_the_key_alone_suffices(run):
    async def main() -> None:
        async with opened(account=Account(KEY), user=None, password=None) as site:
            page = await site.client.run(site.history.search_page(WINDOW, 0, now))
            assert page.calls[0].started_at == DAY
            assert site.simulator.asked("RequestToken") == []

    run(main())


def test_filters_reach_the_server(run):
    async def main() -> None:
        async with opened() as site:
            ask = site.client.run

            async def count(**values: Any) -> int:
                query = CallQuery(WINDOW.begin, WINDOW.end, **values)
                return len((await ask(site.api.search_page(query, 0, now))).calls)

            assert await count(numbers=("+49301007",)) == 1
            assert await count(numbers=("+49301007", "+49301008")) == 2
            assert await count(names=("jane",), numbers=("4401",)) == 9
            assert await count(names=("Nobody",)) == 0
            late = CallQuery(DAY, DAY + timedelta(days=1), order="desc", includes_secondary=True)
            page = await ask(site.api.search_page(late, 0, now))
            assert page.calls[0].native_id == SECONDARY.call_id

    run(main())


def test_what_goes_on_is_listed_apart(run):
    async def main() -> None:
        async with opened() as site:
            calls = await site.client.run(site.history.ongoing_calls(lambda: GOING_ON.started_at))
            assert [(facts.native_id, facts.state) for facts in calls] == [
                (GOING_ON.call_id, CallState.CONNECTED)
            ]

    run(main())


@pytest.mark.parametrize(
    "faults",
    [
        VerbaHttpFaults(),
        VerbaHttpFaults(results_beside=True),
        VerbaHttpFaults(misspells=True, nests_root=True),
    ],
)
def test_details_markers_and_addresses_come_in_every_form(run, faults):
    async def main() -> None:
        call = scripted(7)
        async with opened(faults) as site:
            ask = site.client.run
            facts = await ask(site.history.call_details(call.call_id, now))
            assert facts.native_id == call.call_id
            assert facts.cdr.get("location") == "REC-EAST-02"
            assert facts.cause == "destination disconnected"
            assert await ask(site.history.markers(call.call_id, now)) == (
                CallMarker("Complaint & anger", 1.5, 2.5),
            )
            assert await ask(site.api.call_id(CallOfExtension("+49301007", "last"), now)) == call.call_id
            assert (await ask(site.api.call_url(CallById(call.call_id), now))).endswith(call.call_id)
            ongoing = CallOfExtension(GOING_ON.from_number, "ongoing,next")
            facts = await ask(site.api.call_information(ongoing, now))
            assert facts.state is CallState.CONNECTED

    run(main())


@pytest.mark.parametrize("two_for_all", [False, True])
def test_unknown_calls_are_missing(run, two_for_all):
    async def main() -> None:
        async with opened(VerbaHttpFaults(two_for_all=two_for_all)) as site:
            for flow in (
                site.history.call_details("no-such-call", now),
                site.history.markers("no-such-call", now),
                site.api.call_id(CallOfExtension("no-such-number", "last"), now),
                site.recordings.download("call_id:no-such-call", now),
                site.recordings.download(f"call_id:{SECONDARY.call_id}", now),
                site.recordings.listen(scripted(1).call_id, now),
            ):
                assert isinstance(await site.failure(flow), RecordingMissing)
            nobody = site.api.call_id(CallOfExtension("", ""), now)
            assert isinstance(await site.failure(nobody), RequestRefused)

    run(main())


# Login


def test_a_token_that_expires_is_renewed_once(run):
    async def main() -> None:
        async with opened(VerbaHttpFaults(expire_tokens=1)) as site:
            page = await site.client.run(site.history.search_page(WINDOW, 0, now))
            assert len(page.calls) == 50
            assert len(site.simulator.asked("RequestToken")) == 2

    run(main())


@pytest.mark.parametrize("two_for_all", [False, True])
def test_tokens_that_expire_at_once_end_in_an_error(run, two_for_all):
    async def main() -> None:
        async with opened(VerbaHttpFaults(expires_at_once=True, two_for_all=two_for_all)) as site:
            assert isinstance(
                await site.failure(site.history.search_page(WINDOW, 0, now)), AuthenticationFailed
            )
            assert len(site.simulator.requests) == 4

    run(main())


@pytest.mark.parametrize("status", [200, 401, 403])
def test_a_wrong_password_is_sent_once_and_never_shown(run, status):
    async def main() -> None:
        faults = VerbaHttpFaults(login_status=status, repeats_parameters=True)
        async with opened(faults, password=SecretRef("env", "WRONG")) as site:
            failure = await site.failure(site.history.search_page(WINDOW, 0, now))
            assert isinstance(failure, AuthenticationFailed)
            assert KEY not in str(failure)
            assert len(site.simulator.requests) == 1

    run(main())


def test_a_server_that_repeats_what_was_asked_betrays_nothing(run):
    async def main() -> None:
        async with opened(VerbaHttpFaults(repeats_parameters=True)) as site:
            failure = await site.failure(site.history.markers("no-such-call", now))
            token = dict(site.simulator.asked("GetMarkers")[0].pairs)["token"]
            assert "cid=no-such-call" in str(failure)
            assert KEY not in str(failure)
            assert token not in str(failure)

    run(main())


def test_the_web_interface_is_told_from_the_api(run):
    async def main() -> None:
        async with opened(VerbaHttpFaults(page_status=200)) as site:
            assert isinstance(await site.failure(site.history.ongoing_calls(now)), MalformedMessage)

    run(main())


@pytest.mark.expects_log("Error on transport creation")
def test_https_is_checked_before_the_key_leaves(run, tmp_path):
    async def main() -> None:
        certificate = Certificate()
        certificate.write_ca(tmp_path / "ca.pem")
        async with VerbaHttpSimulator(FULL, records, certificate=certificate) as simulator:
            for values, is_good in (
                ({}, False),
                ({"ca_file": tmp_path / "ca.pem"}, True),
                ({"fingerprint": certificate.fingerprint, "ca_file": tmp_path / "ca.pem"}, True),
            ):
                made = options(simulator, **values)
                client = HttpClient(SERVER, made.base_url, made.tls)
                before = len(simulator.requests)
                try:
                    flow = history_flows(made, SERVER, BERLIN, secret).search_page(WINDOW, 0, now)
                    if is_good:
                        assert len((await client.run(flow)).calls) == 50
                    else:
                        with pytest.raises(TlsFailed):
                            await client.run(flow)
                        assert len(simulator.requests) == before
                finally:
                    await client.close()

    run(main())


# Media


def test_media_arrive_in_every_format_that_the_server_makes(run):
    async def main() -> None:
        call = scripted(3)
        async with opened() as site:
            for form, codec in (
                (MediaFormat.PCM_16, "pcm"),
                (MediaFormat.ALAW, "alaw"),
                (MediaFormat.ULAW, "ulaw"),
            ):
                flow = site.api.media_encoded(call.call_id, form, now)
                assert await site.fetch(flow) == (".wav", recording(replace(call, codec=codec)))
            extension, part = await site.fetch(
                site.api.media_segment(call.call_id, 1, 3, MediaFormat.PCM_16, now)
            )
            whole, rate = soundfile.read(io.BytesIO(recording(replace(call, codec="pcm"))), dtype="int16")
            cut, _ = soundfile.read(io.BytesIO(part), dtype="int16")
            assert extension == ".wav"
            assert (cut == whole[rate : 3 * rate]).all()
            failure = await site.failure(site.api.media_encoded(call.call_id, MediaFormat.SPEEX, now))
            assert isinstance(failure, RequestRefused)

    run(main())


@pytest.mark.parametrize(("form", "codec"), [("pcm16", "pcm"), ("alaw", "alaw"), ("ulaw", "ulaw")])
def test_recordings_come_converted_where_the_settings_want_it(run, form: str, codec: str) -> None:
    async def main() -> None:
        call = scripted(3)
        async with opened(media=form) as site:
            expected = (".wav", recording(replace(call, codec=codec)))
            assert await site.fetch(site.recordings.download(f"call_id:{call.call_id}", now)) == expected
            # A converted recording is not gone on with: it comes anew.
            point = ResumePoint(1_000, '"state-1"', ".wav")
            assert await site.fetch(site.recordings.resume(f"call_id:{call.call_id}", now, point)) == expected
            assert {request.action for request in site.simulator.requests} == {
                "RequestToken",
                "GetMediaEncoded",
            }
            failure = await site.failure(site.recordings.download("call_id:unknown", now))
            assert isinstance(failure, RecordingMissing)
        async with opened(media="opus") as site:
            failure = await site.failure(site.recordings.download(f"call_id:{call.call_id}", now))
            assert isinstance(failure, RequestRefused)

    run(main())


def test_an_ongoing_call_is_heard_from_the_first_moment(run):
    async def main() -> None:
        async with opened() as site:
            extension, sound = await site.fetch(site.recordings.listen(GOING_ON.call_id, now), limit=500)
            assert extension == ".mp3"
            assert live_sound().startswith(sound[:500])

    run(main())


def test_a_server_without_live_listening_says_so(run):
    async def main() -> None:
        async with opened(VerbaHttpFaults(missing_actions=frozenset({"GetMediaLive"}))) as site:
            failure = await site.failure(site.recordings.listen(GOING_ON.call_id, now))
            assert isinstance(failure, RequestRefused)
            assert failure.code == "-30"

    run(main())


def test_listening_ends_with_the_call(run):
    calls = [cdr_fields(GOING_ON, ended=False)]

    class Ending(Sink):
        async def write(self, pieces: Sequence[bytes]) -> None:
            await super().write(pieces)
            calls[:] = [cdr_fields(GOING_ON, ended=True)]

    async def main() -> None:
        async with VerbaHttpSimulator(FULL, lambda: calls) as simulator:
            made = options(simulator)
            client = HttpClient(SERVER, made.base_url, made.tls)
            sink = Ending(None)
            try:
                await client.download(
                    recording_flows(made, SERVER, secret).listen(GOING_ON.call_id, now), sink
                )
            finally:
                await client.close()
            assert live_sound().startswith(sink.data)

    run(main())


def test_the_live_sound_is_mp3_at_the_rate_it_is_sent(run):
    info = soundfile.info(io.BytesIO(live_sound()))
    assert info.format == "MP3"
    assert len(live_sound()) / LIVE_BYTES_S == pytest.approx(info.frames / info.samplerate, abs=0.3)
    assert len({live_sound()[place : place + 2] for place in range(0, len(live_sound()), 144)}) == 1


@pytest.fixture
def fetch(run: Callable[..., Any], tmp_path: Path) -> Callable[..., tuple[Any, list[str]]]:
    """Fetch one recording by the download service; return the path or the error, and what was asked."""

    def start(faults: VerbaHttpFaults, call_id: str = scripted(5).call_id) -> tuple[Any, list[str]]:
        async def main() -> tuple[Any, list[str]]:
            async with VerbaHttpSimulator(FULL, records, media, faults=faults) as simulator:
                flows: VerbaRecordingFlows = recording_flows(options(simulator), SERVER, secret)
                async with (
                    cache_in(tmp_path / "recordings") as cache,
                    DownloadService(lambda server: flows, cache, now) as downloads,
                ):
                    ref = RecordingRef(SERVER, f"call_id:{call_id}")
                    try:
                        result: Any = await downloads.open(ref).finished()
                    except RecmonError as error:
                        result = error
                return result, [request.action for request in simulator.requests]

        return run(main())

    return start


@pytest.mark.parametrize("name", ["callID", "ccdr_id", "cid"])
def test_a_recording_arrives_as_it_is_on_the_server(fetch, name):
    path, actions = fetch(VerbaHttpFaults(media_id_names=(name,)))
    assert path.read_bytes() == recording(scripted(5))
    assert path.suffix == ".wav"
    assert actions.count("GetMedia") == 1 + ["callID", "ccdr_id", "cid"].index(name)


@pytest.mark.parametrize("label", ["audio/x-wav", "application/octet-stream", "text/xml"])
@pytest.mark.parametrize("two_for_all", [False, True])
def test_an_error_in_place_of_media_is_never_stored(fetch, tmp_path, label, two_for_all):
    faults = VerbaHttpFaults(media_label=label, two_for_all=two_for_all)
    failure, _ = fetch(faults, call_id=GOING_ON.call_id)
    assert isinstance(failure, RecordingMissing)
    assert list((tmp_path / "recordings").iterdir()) == []


def test_a_refused_login_ends_the_download(fetch, tmp_path):
    failure, actions = fetch(VerbaHttpFaults(expires_at_once=True))
    assert isinstance(failure, AuthenticationFailed)
    assert len(actions) == 4
    assert list((tmp_path / "recordings").iterdir()) == []


# The public client package


@pytest.fixture
def with_public_client(run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run a function in a thread with the public client, logged in to a simulator."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def start(use: Callable[[VerbaClient], Any], faults: VerbaHttpFaults | None = None, **values: Any) -> Any:
        async def main() -> Any:
            async with VerbaHttpSimulator(FULL, records, media, marked, faults=faults) as simulator:

                def work() -> Any:
                    account = {"api_key": KEY, "username": FULL.user, "password": FULL.password} | values
                    with VerbaClient(simulator.url, **account) as client:
                        return use(client)

                return await asyncio.to_thread(work)

        return run(main())

    return start


def test_the_public_client_logs_in_searches_and_downloads(with_public_client):
    call = scripted(3)

    def use(client: VerbaClient) -> None:
        assert client.token
        assert client.is_token_valid
        local = [at.astimezone(BERLIN).replace(tzinfo=None) for at in (WINDOW.begin, WINDOW.end)]
        page = client.search_calls(*local, pagefirst=0, pagelen=100)
        assert (page.row_count, len(page.calls)) == (100, 100)
        found = client.search_all_calls(*local, page_size=100)
        assert [one.ccdr_id for one in found.calls] == list(CALLS)
        assert found.calls[0].start_time == local[0]
        assert found.calls[0].state == "1"
        assert client.search_calls(*local, anynum=["+49301003"]).calls[0].ccdr_id == call.call_id
        assert client.get_call_information(call_id=call.call_id).source_caller_id == call.from_number
        assert client.get_media(ccdr_id=call.call_id) == recording(call)
        encoded = client.get_media_encoded(ccdr_id=call.call_id, codec="pcm16")
        assert encoded == recording(replace(call, codec="pcm"))
        assert struct.unpack_from("<H", encoded, 20) == (1,)

    with_public_client(use)


def test_the_public_client_renews_its_token(with_public_client):
    def use(client: VerbaClient) -> None:
        token = client.token
        assert client.get_call_information(call_id=scripted(1).call_id).ccdr_id
        assert client.token != token

    with_public_client(use, VerbaHttpFaults(expire_tokens=1))


def test_the_public_client_understands_the_errors(with_public_client):
    def use(client: VerbaClient) -> None:
        with pytest.raises(VerbaCallNotFoundError):
            client.get_call_information(call_id="no-such-call")
        with pytest.raises(VerbaInvalidParametersError):
            client.search_calls("yesterday", "today")
        assert client.get_media(ccdr_id="no-such-call").startswith(b"<?xml")

    with_public_client(use)


@pytest.mark.parametrize("wrong", [{"password": "wrong"}, {"api_key": "wrong"}])
def test_the_public_client_is_refused_with_wrong_credentials(with_public_client, wrong):
    with pytest.raises(VerbaAuthError):
        with_public_client(lambda client: None, **wrong)
