"""A program that sends web hooks from several clients at once, each as fast as it is answered or at a rate.

Last line of output: what came of it, as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time


async def send(options: argparse.Namespace, client: int, told: dict[str, object]) -> None:
    """Send over one connection that is kept, until the time is over."""
    latencies: list[float] = told["latencies_ms"]  # type: ignore[assignment]
    statuses: dict[str, int] = told["statuses"]  # type: ignore[assignment]
    ends_at = time.monotonic() + options.seconds
    interval_s = options.clients / options.rate if options.rate else 0.0
    due = time.monotonic() + interval_s * client / options.clients
    reader, writer = await asyncio.open_connection("127.0.0.1", options.port)
    number = 0
    while (now := time.monotonic()) < ends_at:
        if due > now:
            await asyncio.sleep(due - now)
        due += interval_s
        number += 1
        kind = ("start", "end")[number % 2]
        call_id = f"{client}-{(number + 1) // 2}"
        facts = {"k": kind, "id": call_id, "dir": "in", "from": f"+1555{client:04}{number:06}", "to": "204"}
        generic = {
            "event": kind,
            "direction": "in",
            "callId": call_id,
            "srcPhone": facts["from"],
            "dstPhone": "204",
        }
        body = json.dumps({"event": generic} if options.generic else [facts]).encode()
        head = f"POST {options.path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        begun = time.monotonic()
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(x.split(b":")[1]) for x in answer.split(b"\r\n") if x.lower().startswith(b"content-l")
        )
        await reader.readexactly(length)
        status = answer.split(b" ", 2)[1].decode()
        statuses[status] = statuses.get(status, 0) + 1
        if status == "200":
            latencies.append((time.monotonic() - begun) * 1000)
    writer.close()


async def main() -> None:
    """Flood."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument(
        "--rate", type=float, default=0.0, help="requests a second in all; 0: as fast as it goes"
    )
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--generic", action="store_true", help="in the form of the generic telephony adapter")
    options = parser.parse_args()
    told: dict[str, object] = {"latencies_ms": [], "statuses": {}}
    begun = time.monotonic()
    await asyncio.gather(*(send(options, client, told) for client in range(options.clients)))
    told["seconds"] = time.monotonic() - begun
    print(json.dumps(told))


if __name__ == "__main__":
    asyncio.run(main())
