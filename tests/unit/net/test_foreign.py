"""Requests to servers that a link names: faults.md, row 58, with real sockets."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from recmon.errors import ConnectFailed, LinkRefused
from recmon.net.answers import HttpLimits
from recmon.net.delivery import BodyStart
from recmon.net.http import HttpClient
from recmon.protocol.http import HttpFlow, HttpRequest, HttpResponse
from recmon.settings.model import TlsOptions
from recmon.vendors.base import MediaHead
from recmon.vendors.links import AllowedHost, LinkRules, split_link

NAMES = {
    "rec.example.com": ["127.0.0.1"],
    "mixed.example.com": ["93.184.216.34", "127.0.0.1"],
    "six.example.com": ["::1"],
    "mapped.example.com": ["::ffff:127.0.0.1"],
    "inner.example.com": ["10.0.0.5"],
    "metadata.example.com": ["169.254.169.254"],
    "zone.example.com": ["fe80::1%lo"],
    "zero.example.com": ["0.0.0.0"],
}


def look_up(host: str, port: int) -> list[str]:
    if host not in NAMES:
        raise OSError(f"{host} is not a name of this test")
    return NAMES[host]


def get(link: str) -> HttpRequest:
    origin, target = split_link(link)
    return HttpRequest("GET", target, (("Host", origin.host_header),), origin=str(origin))


def ask(request: HttpRequest) -> HttpFlow[HttpResponse]:
    return (yield request)


def follow(link: str) -> HttpFlow[HttpResponse]:
    """Ask as a vendor does that expects one redirect."""
    response = yield get(link)
    return (yield get(response.headers["location"]))


def fetch(link: str) -> HttpFlow[MediaHead]:
    yield replace(get(link), is_streamed=True)
    return MediaHead(".mp3")


class Counted:
    """A sink that counts."""

    size = 0

    async def begin(self, start: BodyStart) -> None:
        return None

    async def write(self, pieces: Sequence[bytes]) -> None:
        self.size += sum(map(len, pieces))


async def hello(exchange: Any) -> None:
    await exchange.reply(b"hello")


@pytest.fixture
def meet(run: Callable[..., Any], https_server: Callable[..., Any], authority: Any) -> Callable[..., Any]:
    """Run `use(client, server)`; the client's own server is another one, which must never be asked."""

    def start(answer: Any, use: Callable[..., Any], rules: Callable[[int], LinkRules], **options: Any) -> Any:
        async def main() -> Any:
            async with https_server(answer, **options) as server, https_server(hello) as own:
                tls = TlsOptions(ca_file=authority.file)
                client = HttpClient(
                    "pbx",
                    own.url,
                    tls,
                    limits=HttpLimits(connect_s=1, first_byte_s=1),
                    links=replace(rules(server.port), tls=tls),
                    lookup=look_up,
                )
                try:
                    result = await use(client, server)
                finally:
                    await client.close()
                assert own.requests == []
                return result

        return run(main())

    return start


def by_address(port: int) -> LinkRules:
    return LinkRules((AllowedHost.parse(f"127.0.0.1:{port}"),))


def every_name(port: int) -> LinkRules:
    """Allow all names of the test, at this port in the clear and at the usual one: only addresses decide."""
    return LinkRules(
        (
            AllowedHost.parse(f"http://*.example.com:{port}"),
            AllowedHost.parse(f"*.example.com:{port}"),
            AllowedHost.parse("*.example.com"),
        )
    )


def test_an_allowed_server_is_asked(meet):
    async def use(client, server):
        response = await client.run(ask(get(f"{server.url}/rec/1.mp3?x=%2F")))
        return response.body, server.requests[0].lines[0], server.connections

    assert meet(hello, use, by_address) == (b"hello", "GET /rec/1.mp3?x=%2F HTTP/1.1", 1)


def test_a_name_is_asked_at_an_address_that_the_settings_allow(meet, authority):
    def rules(port):
        return replace(every_name(port), networks=(ipaddress.ip_network("127.0.0.0/8"),))

    async def use(client, server):
        response = await client.run(ask(get(f"https://rec.example.com:{server.port}/x")))
        return response.body, server.requests[0].lines[1]

    context = authority.context(authority.issue("rec.example.com"))
    body, host = meet(hello, use, rules, context=context)
    assert body == b"hello"
    assert host.startswith("Host: rec.example.com:")


LINKS = [
    # Spellings of this computer, none of them among the hosts that the settings name.
    "http://127.0.0.1:{port}/",
    "http://localhost:{port}/",
    "http://[::1]:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f000001:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://127.1:{port}/",
    "http://0:{port}/",
    "http://0.0.0.0:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::]:{port}/",
    "http://127.0.0.1.:{port}/",
    "http://\uff11\uff12\uff17.0.0.1:{port}/",
    "http://127\u30020\u30020\u30021:{port}/",
    # Names that the settings allow and that stand for something within.
    "http://rec.example.com:{port}/",
    "https://rec.example.com:{port}/",
    "http://REC.EXAMPLE.COM.:{port}/",
    "http://mixed.example.com:{port}/",
    "http://six.example.com:{port}/",
    "http://mapped.example.com:{port}/",
    "http://inner.example.com:{port}/",
    "http://metadata.example.com:{port}/",
    "http://zone.example.com:{port}/",
    "http://zero.example.com:{port}/",
    # Other ways around the list of hosts.
    "http://rec.example.com@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\\@rec.example.com/",
    "http://127.0.0.1:{port}#@rec.example.com/",
    "http://rec.example.com.evil.test:{port}/",
    "http://169.254.169.254/latest/meta-data/",
    "http://10.0.0.5/",
    "https://93.184.216.34/",
    "file:///etc/hosts",
    "ftp://127.0.0.1:{port}/",
    "gopher://127.0.0.1:{port}/_GET%20/",
]


@pytest.mark.parametrize("link", LINKS)
def test_no_request_goes_where_the_settings_do_not_allow(meet, link):
    async def use(client, server):
        with pytest.raises(LinkRefused) as caught:
            await client.run(ask(get(link.format(port=server.port))))
        return server.connections, caught.value.reason

    connections, reason = meet(hello, use, every_name, context=None)
    assert connections == 0
    assert reason


@pytest.mark.parametrize("link", LINKS)
def test_no_redirect_leads_where_the_settings_do_not_allow(meet, https_server, link):
    trapped: list[int] = []

    async def use(client, server):
        async with https_server(hello, context=None) as trap:

            async def redirect(exchange):
                place = link.format(port=trap.port)
                await exchange.reply(b"", f"Location: {place}", status="302 Found")

            server._answer = redirect
            with pytest.raises(LinkRefused):
                await client.run(follow(f"{server.url}/once"))
            trapped.append(trap.connections)
        return len(server.requests)

    def rules(port):
        return LinkRules((*by_address(port).hosts, AllowedHost.parse("http://*.example.com")))

    assert meet(hello, use, rules) == 1
    assert trapped == [0]


def test_an_allowed_name_that_is_not_known_is_no_refusal(meet):
    async def use(client, server):
        with pytest.raises(ConnectFailed, match=r"unknown\.example\.com is not known"):
            await client.run(ask(get(f"https://unknown.example.com:{server.port}/")))

    meet(hello, use, every_name)


@pytest.mark.parametrize(
    "changes",
    [
        {"headers": (("Host", "h"), ("Authorization", "Basic a2V5"))},
        {"headers": (("Host", "h"), ("cookie", "key=1"))},
        {"method": "POST"},
        {"body": b"key=1"},
    ],
)
def test_our_keys_never_go_to_another_server(meet, changes):
    async def use(client, server):
        with pytest.raises(ValueError, match=r"keys are not sent|only asked for files"):
            await client.run(ask(replace(get(server.url), **changes)))
        return server.connections

    assert meet(hello, use, by_address) == 0


@pytest.mark.parametrize("is_announced", [True, False])
def test_a_file_larger_than_the_cap_is_broken_off(meet, is_announced):
    async def flood(exchange):
        framing = b"Content-Length: 5000000" if is_announced else b"Connection: close"
        await exchange.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
        for _ in range(50):
            await exchange.send(b"a" * 100_000)

    sink = Counted()

    async def use(client, server):
        with pytest.raises(LinkRefused, match="larger than 1 MiB"):
            await client.download(fetch(f"{server.url}/x"), sink)

    meet(flood, use, lambda port: replace(by_address(port), largest_bytes=1 << 20))
    assert sink.size <= 1 << 20


def test_a_file_that_only_drips_is_broken_off(meet):
    async def drip(exchange):
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            await exchange.send(b"a" * 1000)
            await asyncio.sleep(0)

    async def use(client, server):
        with pytest.raises(LinkRefused, match="did not arrive within"):
            await client.download(fetch(f"{server.url}/x"), Counted())

    meet(drip, use, lambda port: replace(by_address(port), longest_s=0.0))
