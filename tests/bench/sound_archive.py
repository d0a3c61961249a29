"""The recordings server of the `sound` benchmark: any path leads to the same stereo recording, loud at once.

Arguments: a folder for its certificate, bytes a second (0: as fast as they are taken), and the recording's
form: `alaw`, an hour of A-law in a WAV file, or `opus`, ten minutes of Opus. The one line of output is JSON:
a settings file that leads here, and an address where another player gets the same bytes, at the same rate, by
a plain GET without TLS. The end of standard input ends it.
"""

from __future__ import annotations

import asyncio
import io
import json
import math
import struct
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import numpy as np
import soundfile
from aiohttp import web

from recmon.simulators.ccfs import CcfsFaults, CcfsSimulator
from recmon.simulators.certificates import Certificate

HOUR_S = 3600
OPUS_S = 600
RATE = 8000
ACCESS_KEY, SECRET = "bench-ak", "bench-secret"


def long_recording() -> bytes:
    """Return a WAV file of 57.6 MB: a tone in both channels."""
    period = bytes(_alaw(math.sin(2 * math.pi * place / 20)) for place in range(20) for _ in range(2))
    sound = period * (HOUR_S * RATE // 20)
    form = struct.pack("<HHIIHHH", 6, 2, RATE, RATE * 2, 2, 8, 0)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form
    chunks += b"fact" + struct.pack("<II", 4, HOUR_S * RATE)
    chunks += b"data" + struct.pack("<I", len(sound)) + sound
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def opus_recording() -> bytes:
    """Return an Opus file of about 6 MB: the same tone, under noise that keeps it from being packed away."""
    tone = 0.4 * np.sin(2 * np.pi * np.arange(RATE) / 20)[:, None].repeat(2, axis=1)
    noise = np.random.default_rng(1)
    content = io.BytesIO()
    with soundfile.SoundFile(content, "w", RATE, 2, format="OGG", subtype="OPUS") as file:
        for _ in range(OPUS_S):
            file.write(tone + noise.normal(0, 0.02, tone.shape))
    return content.getvalue()


def _alaw(value: float) -> int:
    """Return the A-law code of a sample from -1 to 1, with half of the loudest mantissa (ITU-T G.711)."""
    sample = min(32767, round(abs(value) * 16000))
    exponent = max(0, sample.bit_length() - 8)
    mantissa = (sample >> 4 if exponent == 0 else sample >> exponent + 3) & 15
    code = exponent << 4 | mantissa
    return (code | (0x80 if value >= 0 else 0)) ^ 0x55


@asynccontextmanager
async def plain_server(content: bytes, rate: int) -> AsyncIterator[str]:
    """Serve the recording at any path; yields the address."""

    async def send(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "audio/wav"})
        response.content_length = len(content)
        await response.prepare(request)
        step = max(1, rate // 50) if rate else 1 << 18
        begun = time.monotonic()
        with suppress(ConnectionError):
            for offset in range(0, len(content), step):
                if rate:
                    await asyncio.sleep(max(0.0, begun + offset / rate - time.monotonic()))
                await response.write(content[offset : offset + step])
        return response

    application = web.Application()
    application.router.add_get("/{path:.*}", send)
    runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def main() -> None:
    """Serve until standard input ends."""
    folder, rate = Path(sys.argv[1]), int(sys.argv[2])
    content = opus_recording() if sys.argv[3] == "opus" else long_recording()
    certificate = Certificate()
    certificate.write_ca(folder / "ca.pem")
    secret = folder / "secret"
    secret.touch(mode=0o600)
    secret.write_text(SECRET)
    faults = CcfsFaults(rate_bytes_s=rate or None)
    async with CcfsSimulator(
        certificate, ACCESS_KEY, SECRET, lambda path: content, lambda path: (), faults=faults
    ) as server:
        settings = folder / "settings.toml"
        settings.write_text(
            f'version = 1\n[[servers]]\nname = "archive"\nvendor = "huawei_ccfs"\nurl = "{server.url}"\n'
            f'access_key = "{ACCESS_KEY}"\nsecret_key = "file:secret"\nca_file = "ca.pem"\n'
        )
        async with plain_server(content, rate) as url:
            print(json.dumps({"settings": str(settings), "url": url}), flush=True)
            await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
