"""All reading operations of the simulated CC-FS, asked by the program's own flows over real sockets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from recmon.errors import (
    AuthenticationFailed,
    DownloadPostponed,
    DownloadRefused,
    LinkRefused,
    RecordingForbidden,
    RecordingMissing,
)
from recmon.net.delivery import BodyStart
from recmon.net.http import HttpClient
from recmon.settings.model import Secret, SecretRef
from recmon.simulators.ccfs import CcfsFaults, CcfsSimulator
from recmon.simulators.ccfs_calls import SiteCall
from recmon.simulators.ccfs_storage import ObjectStorage
from recmon.simulators.certificates import Certificate
from recmon.vendors.huawei_ccfs.flows import CcfsFlows
from recmon.vendors.huawei_ccfs.options import CcfsOptions

Run = Callable[..., Any]
SHANGHAI = ZoneInfo("Asia/Shanghai")
WAVE = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(range(256)) * 40
PATH = "X:/7/0/20261121/501/1.V3"
FILES = {
    PATH: WAVE,
    "X:/7/0/20261121/501/2.V3": WAVE[::-1],
    "/1/1/record/7/20261121/501/1.wav": WAVE,
    "Y:/39/record/20261120/\u7559\u8a00 01.wav": WAVE,
    "Y:/3rdfile/7/IVRrecordFile/a.wav": WAVE,
}
BEGIN = datetime(2026, 11, 21, 8, 15, 30, tzinfo=UTC)


class Body:
    """Keeps what a download brings."""

    def __init__(self) -> None:
        self.data = b""
        self.extension = ""

    async def begin(self, start: BodyStart) -> None:
        self.extension = start.extension

    async def write(self, pieces: Sequence[bytes]) -> None:
        self.data += b"".join(pieces)


class Archive:
    """A simulator with an object storage, and a client of both."""

    def __init__(self, folder: Path, values: dict[str, Any], **faults: Any) -> None:
        certificate = Certificate()
        certificate.write_ca(folder / "ca.pem")
        call = SiteCall(
            "1795248930-1",
            "+4930",
            "501",
            "501",
            True,
            BEGIN,
            BEGIN,
            BEGIN + timedelta(minutes=2),
            files=(PATH, "X:/7/0/20261121/501/2.V3"),
        )
        self.storage = ObjectStorage(certificate, FILES.get)
        self.simulator = CcfsSimulator(
            certificate,
            "demo-ak",
            "sk",
            FILES.get,
            lambda path: (),
            {"7-1": (PATH,), call.call_id: call.files}.get,  # type: ignore[arg-type]  # the ids asked for are there
            calls=lambda: [call],
            zone=SHANGHAI,
            storage=self.storage,
            faults=CcfsFaults(**faults),
        )
        self._ca_file = folder / "ca.pem"
        self._values = values
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Archive:
        await self._stack.enter_async_context(self.storage)
        await self._stack.enter_async_context(self.simulator)
        values = {"link_hosts": (self.storage.origin,), "link_ca_file": self._ca_file} | self._values
        options = CcfsOptions(
            self.simulator.url, "demo-ak", SecretRef("env", "KEY"), ca_file=self._ca_file, **values
        )
        self._flows = CcfsFlows(options, "archive", Secret("sk"), SHANGHAI)
        self._client = HttpClient("archive", options.base_url, options.tls, links=options.link_rules)
        self._stack.push_async_callback(self._client.close)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def fetch(self, locator: str) -> Body:
        body = Body()
        await self._client.download(self._flows.download(locator, lambda: datetime.now(UTC)), body)
        return body


@pytest.fixture
def archive(tmp_path: Path) -> Callable[..., Archive]:
    def make(options: dict[str, Any] | None = None, **faults: Any) -> Archive:
        return Archive(tmp_path, options or {}, **faults)

    return make


SPAN = "1795248930-1@2026-11-21T08:15:00Z/2026-11-21T08:20:00Z"


@pytest.mark.parametrize(
    "locator",
    [
        f"path:{PATH}",
        f"original_path:{PATH}",
        "original_path:X:\\7\\0\\20261121\\501\\1.V3",
        "file_name:/1/1/record/7/20261121/501/1.wav",
        "ivr:Y:/39/record/20261120/\u7559\u8a00 01.wav?locationId=256",
        "ivr:Y:/39/record/20261120/\u7559\u8a00 01.wav",
        f"oiap:{PATH}?locationId=1",
        f"play:{PATH}",
        f"obs:{SPAN}#1",
        "call_id:7-1",
        "cms_call_id:7-1",
    ],
)
def test_every_kind_of_place_brings_the_recording(
    run: Run, archive: Callable[..., Archive], locator: str
) -> None:
    async def scene() -> None:
        async with archive() as served:
            body = await served.fetch(locator)
            assert (body.data, body.extension) == (WAVE, ".wav")
            assert served.storage.authorised == 0

    run(scene())


@pytest.mark.parametrize("form", ["list", "text", "obsFileUrl"])
def test_several_links_come_in_any_form(run: Run, archive: Callable[..., Archive], form: str) -> None:
    async def scene() -> None:
        async with archive(links_in=form) as served:
            assert (await served.fetch(f"obs:{SPAN}#2")).data == WAVE[::-1]
            # Without a number the first; that there are more is told beside it.
            assert (await served.fetch(f"obs:{SPAN}")).data == WAVE
            with pytest.raises(RecordingMissing):
                await served.fetch(f"obs:{SPAN}#3")

    run(scene())


def test_several_recordings_come_as_a_zip(run: Run, archive: Callable[..., Archive]) -> None:
    async def scene() -> None:
        async with archive() as served:
            body = await served.fetch("call_id:1795248930-1")
            assert body.extension == ".zip"
            assert body.data.startswith(b"PK")

    run(scene())


def test_links_are_followed_to_allowed_hosts_alone(run: Run, archive: Callable[..., Archive]) -> None:
    async def scene() -> None:
        async with archive({"link_hosts": ("obs.example.test",)}) as served:
            with pytest.raises(LinkRefused, match="not among the hosts") as caught:
                await served.fetch(f"obs:{SPAN}#1")
            assert "Signature" not in str(caught.value)
            assert served.storage.request_count == 0
        async with archive() as served:
            served.storage.is_closed = True
            with pytest.raises(RecordingForbidden):
                await served.fetch(f"obs:{SPAN}#1")

    run(scene())


@pytest.mark.parametrize(
    ("locator", "kind"),
    [
        ("original_path:X:/none.V3", RecordingMissing),
        ("play:X:/none.V3", RecordingMissing),
        ("cms_call_id:none-1", DownloadRefused),
        ("obs:1795248930-1@2026-11-21T09:15:00Z/2026-11-21T09:20:00Z", RecordingMissing),
    ],
)
def test_what_is_not_there_is_told(
    run: Run, archive: Callable[..., Archive], locator: str, kind: type[Exception]
) -> None:
    async def scene() -> None:
        async with archive() as served:
            with pytest.raises(kind):
                await served.fetch(locator)

    run(scene())


def test_switches_of_the_scenario(run: Run, archive: Callable[..., Archive]) -> None:
    async def scene() -> None:
        async with archive(path_rules=("Y:/3rdfile/7/",)) as served:
            assert (await served.fetch("path:Y:/3rdfile/7/IVRrecordFile/a.wav")).data == WAVE
            with pytest.raises(DownloadRefused, match="outside the rule"):
                await served.fetch(f"path:{PATH}")
        async with archive(required_headers=("host",)) as served:
            with pytest.raises(AuthenticationFailed):
                await served.fetch(f"path:{PATH}")
        async with archive({"signed_headers": ("host",)}, required_headers=("host",)) as served:
            assert (await served.fetch(f"path:{PATH}")).data == WAVE
        async with archive(page_status=429, retry_after="7") as served:
            with pytest.raises(DownloadPostponed) as caught:
                await served.fetch(f"play:{PATH}")
            assert caught.value.retry_after_s == 7

    run(scene())
