"""Downloads from the simulated CC-FS server, through the vendor's own conversations."""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from cached import cache_in, utc_now

from recmon.domain.calls import RecordingRef, ServerId
from recmon.errors import (
    AuthenticationFailed,
    DownloadInterrupted,
    DownloadRefused,
    MalformedMessage,
    RecmonError,
    RecordingDamaged,
    RecordingMissing,
)
from recmon.net.answers import HttpLimits
from recmon.services.downloads import DownloadService
from recmon.settings.model import Secret, SecretRef
from recmon.simulators.ccfs import BodyFault, CcfsFaults, CcfsSimulator
from recmon.simulators.certificates import Certificate
from recmon.vendors.huawei_ccfs.flows import CcfsFlows
from recmon.vendors.huawei_ccfs.options import CcfsOptions

SERVER = ServerId("archive")
PATH = "Y:/3rdfile/7/thirdvoicebotfile/1.wav"
SOUND = bytes(range(256)) * 1000
FORM = struct.pack("<HHIIHH", 6, 1, 8000, 8000, 1, 8)
FILE = (
    b"RIFF"
    + struct.pack("<I", 36 + len(SOUND))
    + b"WAVEfmt \x10\0\0\0"
    + FORM
    + b"data"
    + struct.pack("<I", len(SOUND))
    + SOUND
)


@pytest.fixture
def fetch(run: Callable[..., Any], tmp_path: Path) -> Callable[..., tuple[Any, int]]:
    """Fetch one path under the given faults; return the path or the error, and the number of requests."""
    certificate = Certificate()
    certificate.write_ca(tmp_path / "ca.pem")

    def start(faults: CcfsFaults, path: str = PATH, secret: str = "demo-sk") -> tuple[Any, int]:
        async def main() -> tuple[Any, int]:
            def find(wanted: str) -> bytes | None:
                return FILE if wanted == PATH else None

            async with CcfsSimulator(
                certificate, "demo-ak", "demo-sk", find, lambda folder: (), faults=faults
            ) as simulator:
                options = CcfsOptions(
                    url=simulator.url,
                    access_key="demo-ak",
                    secret_key=SecretRef("env", "UNUSED"),
                    ca_file=tmp_path / "ca.pem",
                )
                flows = CcfsFlows(options, SERVER, Secret(secret), UTC)
                async with (
                    cache_in(tmp_path / "recordings") as cache,
                    DownloadService(
                        lambda server: flows,
                        cache,
                        utc_now,
                        limits=HttpLimits(no_progress_s=0.3),
                        postponed_waits_s=(0, 0),
                        interrupted_waits_s=(),
                    ) as downloads,
                ):
                    try:
                        result: Any = await downloads.open(RecordingRef(SERVER, f"path:{path}")).finished()
                    except RecmonError as error:
                        result = error
                return result, simulator.request_count

        return run(main())

    return start


@pytest.mark.parametrize("fault", [BodyFault.NONE, BodyFault.CHUNKED, BodyFault.NO_LENGTH])
def test_a_recording_arrives_as_it_is_on_the_server(fetch, fault):
    path, requests = fetch(CcfsFaults(body=fault))
    assert path.read_bytes() == FILE
    assert requests == 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (BodyFault.EMPTY, RecordingDamaged),
        (BodyFault.CUT, DownloadInterrupted),
        (BodyFault.CHUNKED_CUT, DownloadInterrupted),
        (BodyFault.NO_LENGTH_CUT, RecordingDamaged),
        (BodyFault.LENGTH_TOO_BIG, DownloadInterrupted),
        (BodyFault.LENGTH_TOO_SMALL, (RecordingDamaged, MalformedMessage)),
        (BodyFault.LENGTH_TWICE, MalformedMessage),
        (BodyFault.LENGTH_NEGATIVE, MalformedMessage),
    ],
)
def test_a_damaged_body_is_thrown_away(fetch, tmp_path, fault, error):
    failure, _ = fetch(CcfsFaults(body=fault))
    assert isinstance(failure, error)
    assert list((tmp_path / "recordings").iterdir()) == []


def test_refusals_keep_their_meaning(fetch):
    assert isinstance(fetch(CcfsFaults(), path="Y:/3rdfile/7/thirdvoicebotfile/2.wav")[0], RecordingMissing)
    refused = fetch(CcfsFaults(result_code="0300004", label_as_octets=True))[0]
    assert isinstance(refused, RecmonError)
    assert "0300004" in str(refused)
    assert isinstance(fetch(CcfsFaults(page_status=200))[0], DownloadRefused)


def test_a_wrong_secret_sends_one_request(fetch):
    failure, requests = fetch(CcfsFaults(), secret="wrong")
    assert isinstance(failure, AuthenticationFailed)
    assert requests == 1


def test_flow_control_is_waited_out(fetch):
    path, requests = fetch(CcfsFaults(postpone=2))
    assert path.read_bytes() == FILE
    assert requests == 3


def test_a_stall_in_mid_body_is_given_up(fetch, tmp_path):
    assert isinstance(fetch(CcfsFaults(stall_after=1000))[0], DownloadInterrupted)
    assert list((tmp_path / "recordings").iterdir()) == []
