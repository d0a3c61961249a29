"""Recordings from an HTTPS server in another process: a large one beside curl's, 500 small by the queue.

What recmon fetches is hashed, checked, flushed to the disk, renamed and noted in the database; curl only
writes it. Both write to the same folder, in turn.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from tests.bench.download_server import LARGE_BYTES, SMALL_S
from tests.bench.processes import child_environment

ROOT = Path(__file__).resolve().parents[2]
RUNS = 3
SMALL = 500
PLACES = 4
"""Transfers at a time, the limit of the server in `tests.faults.downloading`."""


def measure() -> Mapping[str, float]:
    """Fetch in turn with both, and tell rates, memory and stalls."""
    with tempfile.TemporaryDirectory(prefix="recmon-bench-") as name:
        folder = Path(name)
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.download_server", name],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with server:
            assert server.stdout is not None
            assert server.stdin is not None
            url = server.stdout.readline().strip()
            ours, theirs = [], []
            for run in range(RUNS):
                ours.append(_client(folder / f"data-{run}", url, folder / "ca.pem", "large"))
                theirs.append(_curl(folder / "curl.wav", url, folder / "ca.pem"))
            small = _client(folder / "data-small", url, folder / "ca.pem", "small")
            server.stdin.close()
    rate = statistics.median(run["download_mb_s"] for run in ours)
    curl_rate = statistics.median(theirs)
    return {
        "download_mb_s": rate,
        "download_curl_mb_s": curl_rate,
        "download_to_curl": rate / curl_rate,
        "download_rss_growth_mb": max(run["download_rss_growth_mb"] for run in ours),
        "download_stall_ms": max(run["download_stall_ms"] for run in ours),
        **small,
        "download_small_allowed_s": SMALL * SMALL_S / PLACES,
    }


def _client(folder: Path, url: str, authority: Path, what: str) -> dict[str, float]:
    folder.mkdir()
    words = [sys.executable, "-m", "tests.bench.download_client", str(folder), url, str(authority), what]
    done = subprocess.run(
        words, cwd=ROOT, env=child_environment(), check=True, capture_output=True, text=True, timeout=300
    )
    for path in (folder / "recordings").iterdir():
        path.unlink()
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def _curl(target: Path, url: str, authority: Path) -> float:
    words = [
        "curl",
        "--silent",
        "--fail",
        "--cacert",
        str(authority),
        "--output",
        str(target),
        f"{url}/large",
    ]
    begun = time.perf_counter()
    subprocess.run(words, check=True, timeout=300)
    took = time.perf_counter() - begun
    assert target.stat().st_size > LARGE_BYTES
    target.unlink()
    return (LARGE_BYTES + 44) / 1e6 / took
