"""The simulated CC-FS over real sockets, asked by the program's own flows and by hand."""

from __future__ import annotations

import asyncio
import io
import json
import ssl
import zipfile
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from recmon.errors import AuthenticationFailed, DownloadPostponed, RecmonError, RecordingMissing
from recmon.protocol.http import HttpRequest, HttpResponse, ReadMore
from recmon.settings.model import Secret, SecretRef
from recmon.simulators.ccfs import BodyFault, CcfsFaults, CcfsSimulator
from recmon.simulators.certificates import Certificate
from recmon.vendors.huawei_ccfs.flows import CcfsFlows
from recmon.vendors.huawei_ccfs.options import CcfsOptions
from recmon.vendors.huawei_ccfs.signature import authorization, format_timestamp

SECRET_KEY = "demo-sk-0123456789abcdef"
FILE = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(range(256)) * 40
FILES = {
    "Y:/one/a.wav": FILE,
    "Y:/two/a.wav": FILE,
    "Y:/two/b.wav": FILE[::-1],
    "Y:/39/\u7559\u8a00 01.wav": FILE,
}


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return Certificate()


def list_folder(folder: str) -> Sequence[str]:
    return [path for path in FILES if path.rpartition("/")[0] == folder]


class Archive:
    """A simulator and one client of it."""

    def __init__(self, certificate: Certificate, folder: Path, **faults: Any) -> None:
        self.faults = CcfsFaults(**faults)
        self.simulator = CcfsSimulator(
            certificate,
            "demo-ak-01",
            SECRET_KEY,
            FILES.get,
            list_folder,
            {"7-1": ["Y:/one/a.wav"], "7-2": ["Y:/two/a.wav", "Y:/two/b.wav"]}.get,  # type: ignore[arg-type]  # the ids asked for are there
            faults=self.faults,
        )
        certificate.write_ca(folder / "ca.pem")
        self._context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Archive:
        await self._stack.enter_async_context(self.simulator)
        self.session = await self._stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._context), timeout=aiohttp.ClientTimeout(10)
            )
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def flows(self, secret_key: str = SECRET_KEY, **values: Any) -> CcfsFlows:
        options = CcfsOptions(
            **(
                {"url": self.simulator.url, "access_key": "demo-ak-01", "secret_key": SecretRef("env", "KEY")}
                | values
            )
        )
        return CcfsFlows(options, "archive", Secret(secret_key), UTC)

    async def send(self, request: HttpRequest) -> aiohttp.ClientResponse:
        return await self.session.request(
            request.method,
            URL(self.simulator.url + request.target, encoded=True),
            headers=dict(request.headers),
            data=request.body,
            skip_auto_headers=["User-Agent"],
        )

    async def fetch(
        self,
        locator: str,
        *,
        flows: CcfsFlows | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> bytes:
        """Download as the program would, and return the whole body."""
        flow = (flows or self.flows()).download(locator, now)
        request = next(flow)
        assert isinstance(request, HttpRequest)
        async with await self.send(request) as response:
            body = await response.read()
            headers = {name.lower(): value for name, value in response.headers.items()}
            try:
                step = flow.send(HttpResponse(response.status, headers, body, True))
                assert not isinstance(step, ReadMore)
            except StopIteration:
                return body
        raise AssertionError("the flow wants a second request")

    async def ask(self, message: object, envelope: object = None) -> dict[str, Any]:
        """Send a signed message that the program itself would never send; return the error object."""
        text = json.dumps({"request": envelope or {"version": "2.0"}, "msgBody": message})
        request = signed("/CCFS/resource/ccfs/ivr/downloadFile", text, f"127.0.0.1:{self.simulator.port}")
        async with await self.send(request) as response:
            assert response.status == 200
            reply: dict[str, Any] = json.loads(await response.read())
            return reply


def signed(target: str, text: str, host: str) -> HttpRequest:
    """Return a rightly signed request for any operation and with any body."""
    headers = {
        "Host": host,
        "Content-Type": "application/json;charset=UTF-8",
        "Content-Length": str(len(text.encode())),
    }
    stamp = format_timestamp(datetime.now(UTC), "seconds")
    signature = authorization("demo-ak-01", SECRET_KEY, stamp, "POST", target, (), headers, text)
    return HttpRequest("POST", target, (*headers.items(), ("Authorization", signature)), text.encode())


@pytest.fixture
def archive(certificate: Certificate, tmp_path: Path) -> Callable[..., Archive]:
    return lambda **faults: Archive(certificate, tmp_path, **faults)


def test_files_come_by_path_by_folder_and_by_call(run: Any, archive: Callable[..., Archive]) -> None:
    async def scene() -> None:
        async with archive() as served:
            assert await served.fetch("path:Y:/one/a.wav") == FILE
            assert await served.fetch("path:Y:\\one\\a.wav") == FILE
            assert await served.fetch("path:Y:/39/\u7559\u8a00 01.wav") == FILE
            assert await served.fetch("folder:Y:/one") == FILE
            assert await served.fetch("call_id:7-1") == FILE
            assert served.simulator.request_count == 5
            assert served.simulator.sent_bytes == 5 * len(FILE)
            last = served.simulator.requests[-1]
            assert (last.method, last.target) == ("POST", "/CCFS/resource/ccfs/downloadRecord")
            assert last.headers["host"] == f"127.0.0.1:{served.simulator.port}"

    run(scene())


def test_several_recordings_of_a_call_come_as_a_zip(run: Any, archive: Callable[..., Archive]) -> None:
    async def scene() -> None:
        async with archive() as served:
            request = next(served.flows().download("call_id:7-2", lambda: datetime.now(UTC)))
            assert isinstance(request, HttpRequest)
            async with await served.send(request) as response:
                content = await response.read()
            with zipfile.ZipFile(io.BytesIO(content)) as entries:
                assert entries.namelist() == ["a.wav", "b.wav"]
                assert entries.read("a.wav") == FILE
            assert await served.fetch("call_id:7-2") == content

    run(scene())


@pytest.mark.parametrize(
    ("locator", "code"),
    [
        ("path:Y:/nowhere.wav", "0300011"),
        ("folder:Y:/empty", "0300011"),
        ("folder:Y:/two", "0300004"),
        ("call_id:0", "0300012"),
    ],
)
def test_what_is_not_there_has_its_code(
    run: Any, archive: Callable[..., Archive], locator: str, code: str
) -> None:
    async def scene() -> None:
        async with archive() as served:
            with pytest.raises(RecmonError) as caught:
                await served.fetch(locator)
            assert getattr(caught.value, "code", None) == code

    run(scene())


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({}, "0300001"),
        ({"filePath": None}, "0300001"),
        ({"filePath": ""}, "0300002"),
        ({"filePath": 7}, "0300004"),
        ({"filePath": "Y:/one/../two/a.wav"}, "0300004"),
        (None, "0300007"),
        ({"filePath": "Y:/two", "mode": "1"}, "0300004"),
        ({"filePath": "Y:/empty", "mode": 2}, "0300011"),
    ],
)
def test_wrong_parameters_have_their_codes(
    run: Any, archive: Callable[..., Archive], message: object, code: str
) -> None:
    async def scene() -> None:
        async with archive() as served:
            assert (await served.ask(message))["resultCode"] == code

    run(scene())


def test_another_protocol_version_is_refused(run: Any, archive: Callable[..., Archive]) -> None:
    async def scene() -> None:
        async with archive() as served:
            assert (await served.ask({"filePath": "a"}, {"version": "1.0"}))["resultCode"] == "0300006"

    run(scene())


@pytest.mark.parametrize(
    "values",
    [{"signed_headers": ("host",)}, {"timestamp": "seconds"}, {"signed_headers": ("host", "content-length")}],
)
def test_every_form_of_signature_is_accepted(
    run: Any, archive: Callable[..., Archive], values: dict[str, Any]
) -> None:
    async def scene() -> None:
        async with archive() as served:
            assert await served.fetch("path:Y:/one/a.wav", flows=served.flows(**values)) == FILE

    run(scene())


def test_the_empty_query_line_must_be_agreed_upon(run: Any, archive: Callable[..., Archive]) -> None:
    async def scene() -> None:
        async with archive(empty_query_line=True) as served:
            with pytest.raises(AuthenticationFailed):
                await served.fetch("path:Y:/one/a.wav")
            with_line = served.flows(empty_query_line=True)
            assert await served.fetch("path:Y:/one/a.wav", flows=with_line) == FILE

    run(scene())


def test_wrong_keys_are_refused_and_lock_the_address(run: Any, archive: Callable[..., Archive]) -> None:
    async def scene() -> None:
        async with archive(lock_after=3) as served:
            wrong = [
                served.flows("another secret"),
                served.flows(access_key="another-key"),
                served.flows("another secret"),
            ]
            for flows in wrong:
                with pytest.raises(AuthenticationFailed) as caught:
                    await served.fetch("path:Y:/one/a.wav", flows=flows)
                assert caught.value.status == 401
            with pytest.raises(AuthenticationFailed) as caught:
                await served.fetch("path:Y:/one/a.wav")
            assert caught.value.status == 403
            assert served.simulator.sent_bytes == 0
            served.simulator.unlock()
            assert await served.fetch("path:Y:/one/a.wav") == FILE

    run(scene())


def test_a_right_signature_forgives_the_wrong_ones_before(run: Any, archive: Callable[..., Archive]) -> None:
    async def scene() -> None:
        async with archive(lock_after=2) as served:
            for _ in range(3):
                with pytest.raises(AuthenticationFailed) as caught:
                    await served.fetch("path:Y:/one/a.wav", flows=served.flows("another secret"))
                assert caught.value.status == 401
                assert await served.fetch("path:Y:/one/a.wav") == FILE

    run(scene())


def test_a_request_that_was_altered_on_the_way_is_refused(run: Any, archive: Callable[..., Archive]) -> None:
    async def scene() -> None:
        async with archive(lock_after=1000) as served:
            request = next(served.flows().download("path:Y:/one/a.wav", lambda: datetime.now(UTC)))
            assert isinstance(request, HttpRequest)
            headers = dict(request.headers)
            signature = headers["Authorization"]
            last = "0" if signature[-1] != "0" else "1"
            altered = [
                {"body": request.body.replace(b"/one/", b"/two/")},
                {"target": request.target + "?a=b"},
                {"headers": headers | {"Content-Type": "application/json"}},
                {"headers": headers | {"Authorization": signature[:-1] + last}},
                {"headers": headers | {"Authorization": signature.replace(";host", "")}},
                {"headers": headers | {"Authorization": signature.replace("host", "host;x-more")}},
                {"headers": headers | {"Authorization": signature + "/more"}},
                {"headers": headers | {"Authorization": "auth-v2/a/b/c"}},
                {"headers": headers | {"Authorization": "Bearer " + signature}},
                {"headers": {name: value for name, value in headers.items() if name != "Authorization"}},
            ]
            for change in altered:
                sent = {"target": request.target, "headers": headers, "body": request.body} | change
                changed = HttpRequest("POST", sent["target"], tuple(sent["headers"].items()), sent["body"])
                async with await served.send(changed) as response:
                    assert response.status == 401, change
                    reply = await response.json()
                assert set(reply) == {"timestamp", "status", "error", "message", "path"}
                assert (reply["status"], reply["error"]) == (401, "Unauthorized")
            async with await served.send(request) as response:
                assert await response.read() == FILE

    run(scene())


def test_a_wrong_clock_is_refused_and_told(run: Any, archive: Callable[..., Archive]) -> None:
    async def scene() -> None:
        async with archive(clock_offset_s=1800, skew_limit_s=60) as served:
            with pytest.raises(AuthenticationFailed) as caught:
                await served.fetch("path:Y:/one/a.wav")
            assert caught.value.clock_difference_s == pytest.approx(1800, abs=5)
            right = await served.fetch(
                "path:Y:/one/a.wav", now=lambda: datetime.now(UTC) + timedelta(seconds=1800)
            )
            assert right == FILE
            served.faults.skew_limit_s = None
            assert await served.fetch("path:Y:/one/a.wav") == FILE

    run(scene())


@pytest.mark.parametrize(
    "faults",
    [
        {},
        {"label_as_octets": True},
        {"deprecated_response": True},
        {"number_codes": True},
        {"spaced_keys": True},
        {"result_data": None},
        {"result_data": {"a": 1}},
        {"result_data": ...},
        {"deprecated_response": True, "number_codes": True, "spaced_keys": True, "label_as_octets": True},
    ],
)
def test_errors_of_every_shape_are_understood(
    run: Any, archive: Callable[..., Archive], faults: dict[str, Any]
) -> None:
    async def scene() -> None:
        async with archive(**faults) as served:
            with pytest.raises(RecordingMissing):
                await served.fetch("path:Y:/nowhere.wav")

    run(scene())


def test_flow_control_comes_as_often_as_configured(run: Any, archive: Callable[..., Archive]) -> None:
    async def scene() -> None:
        async with archive(postpone=2) as served:
            for _ in range(2):
                with pytest.raises(DownloadPostponed):
                    await served.fetch("path:Y:/one/a.wav")
            assert await served.fetch("path:Y:/one/a.wav") == FILE

    run(scene())


def test_any_result_code_and_any_page_can_be_configured(run: Any, archive: Callable[..., Archive]) -> None:
    async def scene() -> None:
        async with archive(result_code="0300099") as served:
            with pytest.raises(RecmonError, match="0300099"):
                await served.fetch("path:Y:/one/a.wav")
            for status, words in ((502, "failed"), (200, "web page")):
                served.faults.page_status = status
                with pytest.raises(RecmonError, match=words):
                    await served.fetch("path:Y:/one/a.wav")

    run(scene())


def test_only_posts_to_known_operations_are_answered(run: Any, archive: Callable[..., Archive]) -> None:
    async def scene() -> None:
        async with archive() as served:
            host = f"127.0.0.1:{served.simulator.port}"
            other = signed("/CCFS/resource/ccfs/ivr/deleteFile", "{}", host)
            async with await served.send(other) as response:
                assert response.status == 404
            async with served.session.get(served.simulator.url + "/") as response:
                assert response.status == 401

    run(scene())


async def read_raw(served: Archive) -> tuple[bytes, bytes]:
    """Return head and body of a download as they lie on the wire, until the server closes."""
    request = next(served.flows().download("path:Y:/one/a.wav", lambda: datetime.now(UTC)))
    assert isinstance(request, HttpRequest)
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", served.simulator.port, ssl=served._context, server_hostname="127.0.0.1"
    )
    lines = [f"POST {request.target} HTTP/1.1", *(f"{name}: {value}" for name, value in request.headers)]
    writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode() + request.body)
    try:
        received = await reader.read()
        while piece := await reader.read():
            received += piece
    finally:
        writer.close()
        await writer.wait_closed()
    head, _, body = received.partition(b"\r\n\r\n")
    return head.lower(), body


@pytest.mark.parametrize(
    ("fault", "lengths", "size"),
    [
        (BodyFault.NONE, [len(FILE)], len(FILE)),
        (BodyFault.EMPTY, [0], 0),
        (BodyFault.CUT, [len(FILE)], len(FILE) // 2),
        (BodyFault.NO_LENGTH, [], len(FILE)),
        (BodyFault.NO_LENGTH_CUT, [], len(FILE) // 2),
        (BodyFault.LENGTH_TOO_BIG, [len(FILE) + 1000], len(FILE)),
        (BodyFault.LENGTH_TOO_SMALL, [len(FILE) - 1000], len(FILE)),
        (BodyFault.LENGTH_TWICE, [len(FILE), len(FILE) - 1000], len(FILE)),
        (BodyFault.LENGTH_NEGATIVE, [len(FILE) - 10**12], len(FILE)),
    ],
)
def test_lengths_lie_as_configured(
    run: Any, archive: Callable[..., Archive], fault: BodyFault, lengths: list[int], size: int
) -> None:
    async def scene() -> None:
        async with archive(body=fault) as served:
            head, body = await read_raw(served)
            told = [int(line[16:]) for line in head.split(b"\r\n") if line.startswith(b"content-length: ")]
            assert told == lengths
            assert body == FILE[:size]

    run(scene())


def test_chunks_end_or_do_not(run: Any, archive: Callable[..., Archive]) -> None:
    async def scene() -> None:
        async with archive(body=BodyFault.CHUNKED) as served:
            head, body = await read_raw(served)
            assert b"transfer-encoding: chunked" in head
            assert b"content-length" not in head
            assert body.endswith(b"\r\n0\r\n\r\n")
            assert await served.fetch("path:Y:/one/a.wav") == FILE
            served.faults.body = BodyFault.CHUNKED_CUT
            _, body = await read_raw(served)
            assert not body.endswith(b"0\r\n\r\n")
            with pytest.raises(aiohttp.ClientPayloadError):
                await served.fetch("path:Y:/one/a.wav")

    run(scene())


def test_the_rate_of_bytes_is_kept(run: Any, archive: Callable[..., Archive]) -> None:
    async def scene() -> None:
        async with archive(rate_bytes_s=50_000) as served:
            clock = asyncio.get_running_loop().time
            begun = clock()
            assert await served.fetch("path:Y:/one/a.wav") == FILE
            wanted_s = len(FILE) / 50_000
            assert wanted_s * 0.9 < clock() - begun < wanted_s + 5

    run(scene())


def test_a_stalled_transfer_holds_back_the_rest_and_does_not_hold_up_the_end(
    run: Any, archive: Callable[..., Archive]
) -> None:
    async def scene() -> None:
        async with archive(stall_after=5000) as served:
            request = next(served.flows().download("path:Y:/one/a.wav", lambda: datetime.now(UTC)))
            assert isinstance(request, HttpRequest)
            response = await served.send(request)
            assert await response.content.readexactly(5000) == FILE[:5000]
            assert served.simulator.sent_bytes == 5000
            reading = asyncio.ensure_future(response.content.readany())
            done, _ = await asyncio.wait([reading], timeout=0.1)
            assert not done
            reading.cancel()
            await asyncio.wait([reading])
            response.close()

    run(scene())


def test_the_date_is_the_simulated_clocks(run: Any, archive: Callable[..., Archive]) -> None:
    async def scene() -> None:
        async with archive(clock_offset_s=-3600) as served:
            async with served.session.get(served.simulator.url + "/") as response:
                told = parsedate_to_datetime(response.headers["Date"])
            assert (datetime.now(UTC) - told).total_seconds() == pytest.approx(3600, abs=5)

    run(scene())


# only in debug mode, which all tests have, asyncio tells that a client went away
@pytest.mark.expects_log("Error on transport creation")
def test_the_certificate_is_refused_without_its_authority(run: Any, archive: Callable[..., Archive]) -> None:
    async def scene() -> None:
        async with archive() as served, aiohttp.ClientSession() as stranger:
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await stranger.get(served.simulator.url)
            assert served.simulator.request_count == 0

    run(scene())


def test_the_fingerprint_is_that_of_the_certificate_shown(
    run: Any, archive: Callable[..., Archive], certificate: Certificate
) -> None:
    async def scene() -> None:
        async with archive() as served:
            digest = bytes.fromhex(certificate.fingerprint.removeprefix("sha256:"))
            pinned = aiohttp.Fingerprint(digest)
            async with served.session.get(served.simulator.url, ssl=pinned) as response:
                assert response.status == 401

    run(scene())


def test_a_port_that_is_taken_is_an_error_at_the_start(run: Any, archive: Callable[..., Archive]) -> None:
    async def scene() -> None:
        async with archive() as served:
            second = CcfsSimulator(
                Certificate(), "a", "b", FILES.get, list_folder, port=served.simulator.port
            )
            with pytest.raises(OSError, match="in use"):
                await second.__aenter__()

    run(scene())
