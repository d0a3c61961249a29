"""Rows 29 to 34, 38, 39, 55 and 59: disks, kills, servers and files that let a recording down.

`RECMON_KILLS=200 pytest tests/faults/test_faults_of_downloads.py -k killed` is the full run of row 30.
"""

from __future__ import annotations

import asyncio
import base64
import errno
import hashlib
import io
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
import zipfile
from collections.abc import Callable
from datetime import UTC
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from downloading import SERVER, Flows, parts, place, small_disk, wav
from fault_figures import figure
from measuring import resident_bytes

from recmon.domain.calls import RecordingRef
from recmon.domain.stored_recordings import Stage
from recmon.errors import DownloadInterrupted, RecmonError, StoreError
from recmon.net.answers import HttpLimits
from recmon.services.wishes import Wish
from recmon.settings.model import Secret, SecretRef, TlsOptions
from recmon.simulators.ccfs import CcfsSimulator
from recmon.simulators.certificates import Certificate
from recmon.vendors.huawei_ccfs.flows import CcfsFlows
from recmon.vendors.huawei_ccfs.options import CcfsOptions

SETTLED = (Stage.FAILED, Stage.WAITING, Stage.PAUSED)
KILLS = int(os.environ.get("RECMON_KILLS", "20"))


class FileServer:
    """An HTTPS server in a thread, with recordings by number; what it does besides is the test's."""

    def __init__(self, folder: Path, answer: Callable[[BaseHTTPRequestHandler, str], None]) -> None:
        self.certificate = Certificate()
        self.authority = folder / "ca.pem"
        self.certificate.write_ca(self.authority)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                answer(self, self.path.lstrip("/"))

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # clients are killed in the middle here

        self._server = Quiet(("127.0.0.1", 0), Handler)
        self._server.socket = self.certificate.server_context().wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.url = f"https://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def flows(self) -> Flows:
        return Flows(self.url, TlsOptions(ca_file=self.authority))

    def __enter__(self) -> FileServer:
        self._thread.start()
        return self

    def __exit__(self, *arguments: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def send(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".part"}


def check_files(folder: Path) -> int:
    """Return how many files under final names are not what their name says."""
    return sum(hashlib.sha256(data).hexdigest() != name[:64] for name, data in files_in(folder).items())


async def until(here: Any, holds: Callable[[], bool]) -> None:
    changed = asyncio.Event()
    following = here.queue.changed.subscribe(lambda refs: changed.set())
    while not holds():
        await changed.wait()
        changed.clear()
    following.cancel()


# 29


def test_a_disk_that_is_full_keeps_no_partial_recording(run_bare: Any, tmp_path: Path) -> None:
    recording = wav(1, 300_000)

    def answer(handler: BaseHTTPRequestHandler, name: str) -> None:
        send(handler, recording)

    tried = refused = left = 0
    with FileServer(tmp_path, answer) as server, small_disk(tmp_path / "d" / "recordings", "1m") as is_real:
        folder = tmp_path / "d" / "recordings"

        async def main() -> None:
            nonlocal tried, refused, left
            # Where no disk can be mounted, a reserve that no disk has stands in for it.
            async with parts(tmp_path / "d", server.flows, reserved_bytes=0 if is_real else 1 << 60) as here:
                # Others take so much that this room is left; the recording needs 300,044 bytes.
                for room in (0, 1, 40_000, 200_000, 290_000, 700_000):
                    filler = folder / "filler"
                    if is_real:
                        filler.write_bytes(bytes((1 << 20) - room - 4096 if room < 700_000 else 0))
                    tried += 1
                    try:
                        await here.downloads.open(place(room)).finished()
                    except StoreError as error:
                        refused += "full" in error.detail
                    filler.unlink(missing_ok=True)
                    left += sum(path.suffix == ".part" for path in folder.iterdir())
                    left += check_files(folder)

        run_bare(main())
    assert (refused, left) == (5 if is_real else 6, 0)
    kind = "a real disk of 1 MB" if is_real else "a stand-in for a small disk"
    figure(29, f"{kind}: refused, partial or left behind", f"{refused} of {tried}, {left}")


def test_an_error_at_every_write_leaves_nothing(
    run_bare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = wav(1, 1_500_000)

    def answer(handler: BaseHTTPRequestHandler, name: str) -> None:
        send(handler, recording)

    failing_at = writes = 0

    class Disk(io.FileIO):
        def write(self, data: Any) -> int:
            nonlocal writes
            writes += 1
            if writes == failing_at:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(data)

    monkeypatch.setattr(
        "recmon.audio.stream.open", lambda path, mode, buffering: Disk(path, mode), raising=False
    )
    folder = tmp_path / "recordings"
    bad = rounds = 0
    with FileServer(tmp_path, answer) as server:

        async def main() -> None:
            nonlocal failing_at, writes, bad, rounds
            async with parts(tmp_path, server.flows) as here:
                while True:
                    failing_at, writes = failing_at + 1, 0
                    try:
                        await here.downloads.open(place(1)).finished()
                    except StoreError:
                        rounds += 1
                        bad += len(list(folder.iterdir()))
                        continue
                    return

        run_bare(main())
    assert rounds > 3
    assert bad == 0
    assert check_files(folder) == 0
    figure(29, "ENOSPC at the n-th write, for every n: rounds, files left", f"{rounds}, {bad}")


# 30


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_queue_that_is_killed_at_any_moment_goes_on_and_keeps_whole_recordings_alone(
    tmp_path: Path,
) -> None:
    per_round = 12
    source = {}

    def answer(handler: BaseHTTPRequestHandler, name: str) -> None:
        number = int(name)
        if number not in source:
            source[number] = wav(number, 20_000 + 70_000 * (number % 5))
        send(handler, source[number])

    program = Path(__file__).with_name("queue_process.py")
    folder = tmp_path / "recordings"
    chance = random.Random(30)
    wrong = orphans = kills = 0
    wanted = per_round

    def start(server: FileServer) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(program), str(tmp_path), server.url, str(server.authority), str(wanted)],
            stdout=subprocess.PIPE,
            text=True,
        )

    with FileServer(tmp_path, answer) as server:
        while kills < KILLS:
            with start(server) as process:
                assert process.stdout is not None
                assert process.stdout.readline() == "ready\n"
                reading = threading.Thread(target=process.stdout.read, daemon=True)
                reading.start()
                # At any moment of the work, or just when it is over and the output ends.
                reading.join(chance.uniform(0, 0.4))
                process.send_signal(signal.SIGKILL)
                process.wait()
                reading.join()
            kills += 1
            wrong += check_files(folder)
            wanted += per_round // 4
        with start(server) as process:
            output, _ = process.communicate(timeout=120)
            assert output.split() == ["ready", "done"]
    kept = files_in(folder)
    orphans = sum(path.suffix == ".part" for path in folder.iterdir())
    expected = {hashlib.sha256(wav(n, 20_000 + 70_000 * (n % 5))).hexdigest() for n in range(wanted)}
    assert {name[:64] for name in kept} == expected
    assert (wrong, orphans) == (0, 0)
    figure(
        30, "kills, recordings, wrong under final names, orphans", f"{kills}, {wanted}, {wrong}, {orphans}"
    )


# 33


def test_a_zip_bomb_costs_no_memory_and_a_slip_goes_nowhere(run_bare: Any, tmp_path: Path) -> None:
    def zipped(members: dict[str, bytes]) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as writer:
            for name, data in members.items():
                writer.writestr(name, data)
        return file.getvalue()

    sound = wav(1, 20_000)
    slips = (
        "../../x.wav",
        "/etc/x.wav",
        "C:\\x.wav",
        "..\\..\\x.wav",
        "a/../../../x.wav",
        "nul.wav",
        "n" * 300,
    )
    archives = [zipped({name: sound}) for name in slips]
    archives.append(zipped({"bomb.wav": wav(2, 0) + bytes(200_000_000)}))
    archives.append(zipped({f"{n}.wav": sound for n in range(101)}))

    def answer(handler: BaseHTTPRequestHandler, name: str) -> None:
        send(handler, archives[int(name)])

    refused = 0
    with FileServer(tmp_path, answer) as server:

        async def main() -> float:
            nonlocal refused
            async with parts(tmp_path / "deep" / "down", server.flows) as here:
                before = resident_bytes()
                most = 0
                for number in range(len(archives)):
                    try:
                        await here.downloads.open(place(number)).finished()
                    except RecmonError:
                        refused += 1
                    most = max(most, resident_bytes() - before)
                return most / 1e6

        (tmp_path / "deep" / "down").mkdir(parents=True)
        extra_mb = run_bare(main())
    inside = tmp_path / "deep" / "down"
    outside = [
        path
        for path in tmp_path.rglob("*")
        if path.is_file() and inside not in path.parents and path.name != "ca.pem"
    ]
    assert outside == []
    assert refused == 2
    assert check_files(inside / "recordings") == 0
    assert extra_mb < 20
    figure(33, "archives, files outside, extra MB", f"{len(archives)}, {len(outside)}, {extra_mb:.1f}")


# 38


def test_only_what_may_help_is_tried_again(run_bare: Any, tmp_path: Path) -> None:
    asked: dict[str, int] = {}
    statuses = {
        "401": 401, "404": 404, "400": 400, "418": 418, "429": 429, "500": 500, "502": 502, "503": 503,
    }  # fmt: skip

    def answer(handler: BaseHTTPRequestHandler, name: str) -> None:
        asked[name] = asked.get(name, 0) + 1
        send(handler, b"", statuses[name])

    retried = {}
    with FileServer(tmp_path, answer) as server:

        async def main() -> None:
            for name in statuses:
                folder = tmp_path / name
                folder.mkdir()
                ref = RecordingRef(SERVER, f"path:{name}")
                async with parts(folder, server.flows) as here:
                    await here.queue.add([Wish(ref)])
                    await until(
                        here, lambda here=here, ref=ref: here.queue.entry(ref).record.stage in SETTLED
                    )
                    record = here.queue.entry(ref).record
                    retried[name] = record.stage is Stage.WAITING
                    assert record.failure is not None

        run_bare(main())
    assert retried == {
        "401": False, "404": False, "400": False, "418": False,
        "429": True, "500": True, "502": True, "503": True,
    }  # fmt: skip
    assert set(asked.values()) == {1}
    figure(
        38,
        "statuses with the right rule, requests before the wait",
        f"{len(retried)} of {len(retried)}, 1 each",
    )


# 39


def test_a_stall_frees_its_place_and_cancelling_is_immediate(run_bare: Any, tmp_path: Path) -> None:
    recording = wav(1, 2_000_000)
    gate = threading.Event()

    def answer(handler: BaseHTTPRequestHandler, name: str) -> None:
        if name == "9":
            send(handler, recording)
            return
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(recording)))
        handler.end_headers()
        handler.wfile.write(recording[:100_000])
        handler.wfile.flush()
        gate.wait(30)

    took: list[float] = []
    with FileServer(tmp_path, answer) as server:
        flows = server.flows
        flows.parallel_downloads = 1

        async def main() -> None:
            limits = HttpLimits(no_progress_s=0.5)
            async with parts(tmp_path, flows, limits=limits, interrupted_waits_s=()) as here:
                with pytest.raises(DownloadInterrupted):
                    await here.downloads.open(place(0)).finished()
                for number in range(1, 9):
                    download = here.downloads.open(place(number))
                    await download.opened()
                    begun = time.perf_counter()
                    here.downloads.cancel(place(number))
                    with pytest.raises(DownloadInterrupted):
                        await download.finished()
                    took.append(time.perf_counter() - begun)
                # The server's ends of the connections are closed as well.
                gate.set()
                await here.downloads.open(place(9)).finished()

        try:
            run_bare(main(), 60)
        finally:
            gate.set()
    assert check_files(tmp_path / "recordings") == 0
    assert max(took) < 0.2
    figure(39, "cancelled after ms, at most", 1000 * max(took))


# 55


def test_no_secret_of_a_server_stands_in_any_file_or_message(run_bare: Any, tmp_path: Path) -> None:
    canary = "CANARY-7f3a9c51d2e84b60"
    certificate = Certificate()
    certificate.write_ca(tmp_path / "ca.pem")
    data = tmp_path / "data"
    data.mkdir()
    texts: list[str] = []
    recording = wav(1, 50_000)

    async def main() -> None:
        async with CcfsSimulator(
            certificate, "demo-ak", canary, lambda path: recording, lambda folder: ()
        ) as simulator:
            for secret in (canary, f"{canary}-wrong"):
                options = CcfsOptions(
                    url=simulator.url,
                    access_key="demo-ak",
                    secret_key=SecretRef("env", "UNUSED"),
                    ca_file=tmp_path / "ca.pem",
                )
                flows = CcfsFlows(options, SERVER, Secret(secret), UTC)
                async with parts(data, flows) as here:
                    ref = RecordingRef(SERVER, f"path:Y:/{len(secret)}.wav")
                    await here.queue.add([Wish(ref)])
                    await until(
                        here,
                        lambda here=here, ref=ref: (
                            here.queue.entry(ref) is None
                            or here.queue.entry(ref).record.stage in (Stage.PAUSED, Stage.FAILED)
                        ),
                    )
                    texts.extend(repr(entry) for entry in here.queue.entries())
                    texts.extend(str(entry.obstacle) for entry in here.queue.entries())

    run_bare(main())
    raw = canary.encode()
    forms = [raw, base64.b64encode(raw)[:-4], raw.hex().encode(), urllib.parse.quote(canary).encode()]
    forms.append(base64.b64encode(b"demo-ak:" + raw)[:20])
    blobs = [path.read_bytes() for path in data.rglob("*") if path.is_file()]
    blobs += [text.encode() for text in texts]
    blobs.append(Path(f"/proc/{os.getpid()}/cmdline").read_bytes() if os.path.exists("/proc/self") else b"")
    hits = sum(form in blob for blob in blobs for form in forms)
    assert texts
    assert hits == 0
    figure(55, "files and messages of downloads searched for a canary, hits", f"{len(blobs)}, {hits}")


# 59


def test_every_flipped_bit_in_a_thousand_files_is_found_and_no_other(run_bare: Any, tmp_path: Path) -> None:
    count = 1000
    chance = random.Random(59)

    def answer(handler: BaseHTTPRequestHandler, name: str) -> None:
        send(handler, wav(int(name), 2000))

    with FileServer(tmp_path, answer) as server:

        async def main() -> tuple[int, int, int]:
            async with parts(tmp_path, server.flows, check_delay_s=0.0) as here:
                await here.queue.add(Wish(place(n)) for n in range(count))
                await until(here, lambda: here.queue.totals().is_empty)
                false_alarms = 0
                for number in range(count):
                    false_alarms += await here.cache.check(place(number)) is not None
                for number in range(count):
                    path = here.cache.find(place(number))
                    assert path is not None
                    data = bytearray(path.read_bytes())
                    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
                    path.write_bytes(data)
                told = asyncio.Event()
                altered: set[RecordingRef] = set()
                here.downloads.altered.subscribe(lambda one: (altered.add(one[0]), told.set()))
                found = 0
                for number in range(count):
                    if number % 10:
                        found += await here.cache.check(place(number)) is not None
                    else:
                        # As when it is played: the sound is there at once, the verdict follows.
                        await here.downloads.open(place(number)).opened()
                while len(altered) < count // 10:
                    told.clear()
                    await told.wait()
                usable = sum(here.cache.find(place(number)) is not None for number in range(count))
                return found + len(altered), false_alarms, usable

        found, false_alarms, usable = run_bare(main(), 120)
    assert (found, false_alarms, usable) == (count, 0, 0)
    figure(59, "files, found, false alarms", f"{count}, {found}, {false_alarms}")
