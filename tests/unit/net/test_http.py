from __future__ import annotations

import asyncio
import gzip
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from recmon.errors import (
    ConnectFailed,
    DownloadInterrupted,
    MalformedMessage,
    MessageTooLong,
    RecmonError,
    RecordingDamaged,
)
from recmon.net.answers import HttpLimits
from recmon.net.delivery import BodyStart
from recmon.net.http import HttpClient
from recmon.protocol.http import HttpFlow, HttpRequest, HttpResponse, ReadMore
from recmon.settings.model import TlsOptions
from recmon.vendors.base import MediaHead

POST = HttpRequest(
    "POST",
    "/CCFS/%2f/a%20b;c?x=%7E&y=",
    (("Host", "ccfs.example.test:18443"), ("X-One", "1"), ("content-length", "2")),
    b"{}",
)
STREAM = HttpRequest("GET", "/file", (("Host", "h"),), is_streamed=True)


def ask(request: HttpRequest = POST) -> HttpFlow[HttpResponse]:
    return (yield request)


def fetch(request: HttpRequest = STREAM) -> HttpFlow[MediaHead]:
    yield request
    return MediaHead(".wav")


class Collected:
    """A sink that keeps all."""

    def __init__(self) -> None:
        self.start: BodyStart | None = None
        self.pieces: list[bytes] = []
        self.first_piece = asyncio.Event()

    async def begin(self, start: BodyStart) -> None:
        self.start = start

    async def write(self, pieces: Sequence[bytes]) -> None:
        self.pieces.extend(pieces)
        self.first_piece.set()

    @property
    def data(self) -> bytes:
        return b"".join(self.pieces)


@pytest.fixture
def talk(run: Callable[..., Any], https_server: Callable[..., Any], authority: Any) -> Callable[..., Any]:
    """Run `use(client, server)` against a server with the given answer."""

    def start(
        answer: Any,
        use: Callable[[HttpClient, Any], Any],
        limits: HttpLimits | None = None,
    ) -> Any:
        async def main() -> Any:
            async with https_server(answer) as server:
                client = HttpClient("archive", server.url, TlsOptions(ca_file=authority.file), limits=limits)
                try:
                    return await use(client, server)
                finally:
                    await client.close()

        return run(main())

    return start


def download_of(head: list[str], body: bytes, **options: Any) -> tuple[Any, Any]:
    async def answer(exchange: Any) -> None:
        await exchange.raw(head, body, **options)

    async def use(client: HttpClient, server: Any) -> Collected:
        sink = Collected()
        await client.download(fetch(), sink)
        return sink

    return answer, use


def test_a_request_arrives_exactly_as_the_conversation_wrote_it(talk):
    async def answer(exchange):
        await exchange.reply(b"hello", "X-Two: a", "X-Two: b", "Set-Cookie: a=b")

    async def use(client, server):
        first = await client.run(ask())
        await client.run(ask())
        return first, server.requests

    response, requests = talk(answer, use)
    assert [request.lines for request in requests] == [
        [
            "POST /CCFS/%2f/a%20b;c?x=%7E&y= HTTP/1.1",
            "Host: ccfs.example.test:18443",
            "X-One: 1",
            "content-length: 2",
        ]
    ] * 2
    assert [request.body for request in requests] == [b"{}", b"{}"]
    assert (response.status, response.body, response.is_complete) == (200, b"hello", True)
    assert response.headers["x-two"] == "a"


def test_one_connection_serves_one_request_after_the_other(talk):
    async def answer(exchange):
        await exchange.reply(b"hello")

    async def use(client, server):
        await client.warm()
        await client.run(ask())
        sink = Collected()
        await client.download(fetch(), sink)
        return server.connections, sink.data

    assert talk(answer, use) == (1, b"hello")


def test_a_warm_connection_is_made_without_a_request(talk):
    async def answer(exchange):
        await exchange.reply(b"")

    async def use(client, server):
        await client.warm()
        await server.connected.wait()
        return server.connections, server.request_bytes

    assert talk(answer, use) == (1, 0)


def test_a_request_on_a_connection_that_the_server_just_closed_is_sent_again(talk):
    async def answer(exchange):
        if len(server_requests) == 1:
            server_requests.append(exchange)
            exchange.abort()
            return
        server_requests.append(exchange)
        await exchange.reply(b"hello")

    server_requests: list[Any] = []

    async def use(client, server):
        await client.run(ask())
        response = await client.run(ask())
        return response.body, len(server_requests)

    assert talk(answer, use) == (b"hello", 3)


def test_a_request_on_a_fresh_connection_is_never_repeated(talk):
    async def answer(exchange):
        exchange.abort()

    async def use(client, server):
        with pytest.raises(DownloadInterrupted):
            await client.run(ask())
        return len(server.requests)

    assert talk(answer, use) == 1


def test_a_redirect_is_an_answer_and_not_followed(talk):
    async def answer(exchange):
        await exchange.reply(b"", "Location: /elsewhere", status="302 Found")

    async def use(client, server):
        return (await client.run(ask())).status, len(server.requests)

    assert talk(answer, use) == (302, 1)


def test_the_first_bytes_are_handed_on_before_the_rest_exists(talk):
    body = bytes(range(256)) * 4000

    async def use(client, server):
        sink = Collected()

        async def answer_rest():
            await sink.first_piece.wait()
            assert 0 < len(sink.data) <= len(body) // 2
            await server.requests[0].send(body[len(body) // 2 :])

        async with asyncio.TaskGroup() as group:
            group.create_task(answer_rest())
            group.create_task(client.download(fetch(), sink))
        return sink

    async def answer(exchange):
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
        await exchange.send(body[: len(body) // 2])

    sink = talk(answer, use)
    assert sink.data == body
    assert sink.start == BodyStart(".wav", len(body), ends_by_close=False)
    assert max(map(len, sink.pieces)) <= 256 * 1024


def test_a_conversation_can_look_at_a_longer_beginning(talk):
    seen: list[tuple[bytes, bool]] = []

    async def answer(exchange):
        await exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for character in b"abcdef":
            await exchange.send(b"1\r\n%c\r\n" % character)
        await exchange.send(b"0\r\n\r\n")

    def flow():
        response = yield STREAM
        assert response.body
        response = yield ReadMore(4)
        seen.append((response.body[:4], len(response.body) >= 4))
        response = yield ReadMore(100)
        seen.append((response.body, response.is_complete))
        return MediaHead(".raw")

    async def use(client, server):
        sink = Collected()
        await client.download(flow(), sink)
        return sink

    sink = talk(answer, use)
    assert seen == [(b"abcd", True), (b"abcdef", True)]
    assert sink.data == b"abcdef"
    assert sink.start == BodyStart(".raw", None, ends_by_close=False)


def test_a_body_without_length_is_reported_as_ending_by_close(talk):
    sink = talk(*download_of([], b"some sound"))
    assert sink.data == b"some sound"
    assert sink.start == BodyStart(".wav", None, ends_by_close=True)


@pytest.mark.parametrize(
    ("head", "body", "error"),
    [
        (["Content-Length: 20"], b"x" * 10, DownloadInterrupted),
        (["Transfer-Encoding: chunked"], b"a\r\nxxxxxxxxxx\r\n", DownloadInterrupted),
        (["Transfer-Encoding: chunked"], b"a\r\nxxxx", DownloadInterrupted),
        (["Content-Length: 10", "Content-Length: 20"], b"x" * 20, MalformedMessage),
        (["Content-Length: 10", "Content-Length: 10"], b"x" * 10, MalformedMessage),
        (["Content-Length: -10"], b"x" * 10, MalformedMessage),
        (["Content-Length: 4"], b"x" * 10, MalformedMessage),
        (["Content-Length: ten"], b"x" * 10, MalformedMessage),
        (
            ["Content-Length: 10", "Transfer-Encoding: chunked"],
            b"a\r\nxxxxxxxxxx\r\n0\r\n\r\n",
            MalformedMessage,
        ),
        (["Content-Length: 10", "Content-Encoding: gzip"], b"x" * 10, RecordingDamaged),
    ],
)
def test_an_answer_with_a_doubtful_end_is_refused(talk, head, body, error):
    with pytest.raises(error):
        talk(*download_of(head, body))


def test_a_packed_error_page_still_shows_its_status(talk):
    async def answer(exchange):
        await exchange.reply(gzip.compress(b"<html>"), "Content-Encoding: gzip", status="502 Bad Gateway")

    async def use(client, server):
        return await client.run(ask())

    assert talk(answer, use).status == 502


def test_something_that_is_not_http_is_named_so(talk):
    async def answer(exchange):
        await exchange.send(b"<events/>\r\n\r\n")

    async def use(client, server):
        await client.run(ask())

    with pytest.raises(MalformedMessage, match="not valid HTTP"):
        talk(answer, use)


def test_a_buffered_body_has_a_cap(talk):
    async def answer(exchange):
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        while True:
            await exchange.send(b"x" * 100_000)

    async def use(client, server):
        await client.run(ask())

    with pytest.raises(MessageTooLong):
        talk(answer, use)


def test_a_stalled_body_is_given_up(talk):
    async def use(client, server):
        await client.download(fetch(), Collected())

    async def answer(exchange):
        await exchange.raw(["Content-Length: 20"], b"x", close=False)

    with pytest.raises(DownloadInterrupted, match=r"only 1 bytes for 0\.1 s"):
        talk(answer, use, HttpLimits(no_progress_s=0.1))


def test_a_trickle_is_not_progress(talk):
    class Counted(Collected):
        async def write(self, pieces: Sequence[bytes]) -> None:
            await super().write(pieces)
            await self.server.requests[0].send(b"x")

    async def answer(exchange):
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\nx")

    async def use(client, server):
        sink = Counted()
        sink.server = server
        await client.download(fetch(), sink)

    with pytest.raises(DownloadInterrupted, match=r"only \d+ bytes for"):
        talk(answer, use, HttpLimits(no_progress_s=0.2, progress_size=1 << 30))


def test_an_answer_that_never_begins_is_given_up(talk):
    async def answer(exchange):
        await asyncio.Event().wait()

    async def use(client, server):
        await client.run(ask())

    with pytest.raises(DownloadInterrupted, match="no answer"):
        talk(answer, use, HttpLimits(connect_s=0.1, first_byte_s=0.1))


def test_a_closed_port_is_a_failed_connection(run):
    async def main():
        server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        client = HttpClient("archive", f"https://127.0.0.1:{port}", TlsOptions())
        try:
            await client.run(ask())
        finally:
            await client.close()

    with pytest.raises(ConnectFailed) as caught:
        run(main())
    assert caught.value.server == "archive"


def test_a_server_that_never_shakes_hands_is_a_failed_connection(run):
    async def main():
        quiet = asyncio.Event()

        async def say_nothing(reader, writer):
            await quiet.wait()
            writer.close()

        server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        limits = HttpLimits(connect_s=0.1)
        client = HttpClient("archive", f"https://127.0.0.1:{port}", TlsOptions(), limits=limits)
        try:
            await client.run(ask())
        finally:
            quiet.set()
            await client.close()
            server.close()

    with pytest.raises(ConnectFailed, match="within"):
        run(main())


def test_what_a_conversation_raises_is_passed_on_and_the_conversation_closed(talk):
    ended: list[str] = []

    def flow():
        try:
            yield STREAM
            raise RecordingDamaged("as the test says")
        finally:
            ended.append("closed")

    async def answer(exchange):
        await exchange.reply(b"hello")

    async def use(client, server):
        await client.download(flow(), Collected())

    with pytest.raises(RecordingDamaged, match="as the test says"):
        talk(answer, use)
    assert ended == ["closed"]


def test_a_conversation_is_closed_when_the_connection_fails(run):
    ended: list[str] = []

    def flow():
        try:
            yield POST
        finally:
            ended.append("closed")

    async def main():
        client = HttpClient("archive", "https://127.0.0.1:1", TlsOptions())
        try:
            await client.run(flow())
        finally:
            await client.close()

    with pytest.raises(RecmonError):
        run(main())
    assert ended == ["closed"]


def test_nothing_more_is_received_before_the_sink_has_the_beginning(talk):
    async def answer(exchange):
        await exchange.reply(bytes(4_000_000))

    async def use(client, server):
        is_reading = []

        class Watched(Collected):
            async def write(self, pieces: Sequence[bytes]) -> None:
                # None any more, once all of it is here.
                acquired = client._session.connector._acquired
                is_reading.extend(protocol.transport.is_reading() for protocol in acquired)
                await super().write(pieces)

        sink = Watched()
        await client.download(fetch(), sink)
        return sink, is_reading

    sink, is_reading = talk(answer, use)
    assert sink.data == bytes(4_000_000)
    assert is_reading[0] is False
    assert True in is_reading


def test_a_sinks_error_ends_the_transfer(talk):
    class Full(Collected):
        async def write(self, pieces: Sequence[bytes]) -> None:
            raise RecordingDamaged("no room")

    async def answer(exchange):
        await exchange.reply(b"x" * 1_000_000)

    async def use(client, server):
        await client.download(fetch(), Full())

    with pytest.raises(RecordingDamaged, match="no room"):
        talk(answer, use)


def test_the_module_loads_without_aiohttp():
    code = "import sys, recmon.net.http; sys.exit('aiohttp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=30).returncode == 0
