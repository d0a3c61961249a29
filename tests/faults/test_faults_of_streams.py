"""Rows 5 to 10: other protocols, giants, bombs, damage, splits and encodings."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fault_figures import figure
from hostile_server import HostileServer, accept_subscription, take_request, wait_for_end
from measuring import LoopWatch
from monitored import AtOnce, Monitored, record, verba, verba_codec
from reading_traced import read_traced

from recmon.domain.events import CallStarted, LinkEvent, Unrecognised
from recmon.errors import MessageTooLong, RecmonError, UnexpectedMessage
from recmon.net.backoff import Backoff
from recmon.services.statuses import LinkState
from recmon.simulators.verba_documents import Form, answer, notification

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
HUNDRED_MB = 100 * 1000 * 1000

HTTP = b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nContent-Length: 0\r\n\r\n"
TLS_ALERT = b"\x15\x03\x01\x00\x02\x02\x16"
TLS_HELLO = b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03" + bytes(111)
PAGE = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body></body></html>"
STRANGERS = {
    "HTTP": (HTTP, "HTTP answered on this port: is this the web interface?"),
    "HTTP after a pause": (b"", "HTTP answered on this port: is this the web interface?"),
    "web page": (PAGE, "a web page arrived on this port"),
    "TLS alert": (TLS_ALERT, "TLS answered on this port"),
    "TLS hello": (TLS_HELLO, "TLS answered on this port"),
    "SSH": (b"SSH-2.0-OpenSSH_9.6\r\n", "SSH answered on this port"),
    "SIP": (b"SIP/2.0 400 Bad Request\r\n\r\n", "SIP answered on this port"),
    "RTSP": (b"RTSP/1.0 400 Bad Request\r\n\r\n", "RTSP answered on this port"),
}


def until_given_up(
    run: Callable[..., Any], serve: Callable[[socket.socket], None], times: int = 1
) -> tuple[Monitored, LoopWatch]:
    """Watch a server until its link has failed so often; return what was seen, and measured."""

    async def main(port: int) -> tuple[Monitored, LoopWatch]:
        watching = Monitored([verba(port)], jitter=AtOnce(0.0 if times > 1 else 3600.0))
        async with LoopWatch() as watch, watching.monitor:
            await watching.until(LinkState.WAITING, times=times)
        return watching, watch

    with HostileServer(serve) as server:
        result: tuple[Monitored, LoopWatch] = run(main(server.port))
    return result


def error_of(watching: Monitored) -> RecmonError:
    error = watching.entered(LinkState.WAITING)[0].error
    assert error is not None
    return error


@pytest.mark.parametrize("name", STRANGERS)
def test_other_kind_of_server_is_named_and_tried_ever_more_rarely(run: Callable[..., Any], name: str) -> None:
    data, sentence = STRANGERS[name]

    def serve(connection: socket.socket) -> None:
        if data:
            connection.sendall(data)
        else:
            take_request(connection)
            for byte in HTTP:
                connection.sendall(bytes([byte]))
        wait_for_end(connection)

    watching, _ = until_given_up(run, serve, times=4)
    for status in watching.entered(LinkState.WAITING)[:4]:
        assert isinstance(status.error, UnexpectedMessage)
        assert sentence in str(status.error)
    assert watching.jitter.offered[:4] == [5, 10, 20, 21]
    figure(5, "kinds named right", f"{len(STRANGERS)} of {len(STRANGERS)}, 4 times each")


def test_ten_megabytes_of_noise_are_dropped_for_little_work(run_bare: Callable[..., Any]) -> None:
    noise = random.Random(1).randbytes(10_000_000)

    def serve(connection: socket.socket) -> None:
        connection.sendall(noise)

    times = 20
    begun = time.process_time()
    watching, _ = until_given_up(run_bare, serve, times)
    used_s = (time.process_time() - begun) / times
    for status in watching.entered(LinkState.WAITING)[:times]:
        assert isinstance(status.error, UnexpectedMessage)
        assert "is this a recording server?" in str(status.error)
    assert not watching.events()
    waits = [Backoff(random.Random(seed)).next_wait_s() for seed in range(1000)]
    share = 100 * used_s / (sum(waits) / len(waits))
    figure(5, "noise of 10 MB: processor % at the first, shortest waits", share)
    assert share < 5


def flood(connection: socket.socket, begin: bytes, block: bytes) -> None:
    """Send a message of 100 MB."""
    accept_subscription(connection, "10")
    connection.sendall(notification(Form.EVENT, record("before"), ended=False).encode())
    connection.sendall(begin)
    blocks = block * (256 * 1024 // len(block))
    for _ in range(HUNDRED_MB // len(blocks)):
        connection.sendall(blocks)
    connection.sendall(b"</VerbaApi>")


@pytest.mark.parametrize(
    ("begin", "block"),
    [
        (b"<VerbaApi>", b'<b c="1">x</b>'),
        (b"<VerbaApi>", b"x"),
        (b"<VerbaApi a='", b"x"),
        (b"<VerbaApi><!--", b"x"),
        (b"<!DOCTYPE VerbaApi [", b"<!ENTITY a 'a'>"),
        (b"<VerbaApi>", b"<a>"),
    ],
    ids=["elements", "text", "attribute", "comment", "document type", "depth"],
)
def test_message_of_a_hundred_megabytes_is_refused_at_the_limit(
    run_bare: Callable[..., Any], begin: bytes, block: bytes
) -> None:
    watching, watch = until_given_up(run_bare, lambda connection: flood(connection, begin, block))
    error = error_of(watching)
    assert isinstance(error, MessageTooLong)
    assert "a message is longer than 1048576 bytes" in str(error)
    assert isinstance(watching.events()[1], CallStarted)
    name = (begin + block[:20]).decode()
    figure(6, f"extra memory MB, {name}", watch.peak_bytes / 1e6)
    figure(6, f"stall ms, {name}", watch.stall_s * 1000)
    assert watch.peak_bytes <= 20e6
    assert watch.stall_s <= 0.1


def bombs(port: int, file: Path) -> list[bytes]:
    """Return documents that would open the file, connect to the port, or grow without end."""
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(10))
    url, path = f"http://127.0.0.1:{port}/x", file.as_uri()
    types = [
        f"<!DOCTYPE VerbaApi [{laughs}]>",
        f'<!DOCTYPE VerbaApi [<!ENTITY l9 "{"a" * 100_000}">]>',
        f'<!DOCTYPE VerbaApi [<!ENTITY l9 SYSTEM "{path}">]>',
        f'<!DOCTYPE VerbaApi [<!ENTITY l9 SYSTEM "{url}">]>',
        f'<!DOCTYPE VerbaApi SYSTEM "{url}">',
        f'<!DOCTYPE VerbaApi PUBLIC "-//X//Y" "{path}">',
        f'<!DOCTYPE VerbaApi [<!ENTITY % p SYSTEM "{url}"> %p;]>',
        f'<!DOCTYPE VerbaApi [<!ENTITY % p SYSTEM "{path}"><!ENTITY % q "<!ENTITY z SYSTEM \'{url}\'>">%q;]>',
        '<!DOCTYPE VerbaApi [<!ENTITY l9 "&l9;">]>',
        '<!DOCTYPE VerbaApi [<!ATTLIST VerbaApi a CDATA "x">]>',
        f'<!DOCTYPE VerbaApi [<!NOTATION n SYSTEM "{url}"><!ENTITY l9 SYSTEM "{path}" NDATA n>]>',
        f'<!doctype VerbaApi [<!entity l9 SYSTEM "{path}">]>',
    ]
    body = '<VerbaApi><Event type="CallStart"><Call id="&l9;{}"/></Event></VerbaApi>'
    documents = [
        f'<?xml version="1.0"?>\n{declaration}\n{body.format("&l9;" * repeat)}'
        for declaration in types
        for repeat in (0, 500)
    ]
    wide = [document.encode(encoding) for document in documents for encoding in ("utf-16", "utf-16-be")]
    include = (
        '<VerbaApi xmlns:i="http://www.w3.org/2001/XInclude"><i:include href="{}" parse="text"/></VerbaApi>'
    )
    style = '<?xml-stylesheet type="text/xsl" href="{}"?><VerbaApi><a/></VerbaApi>'
    schema = (
        '<VerbaApi xmlns:s="http://www.w3.org/2001/XMLSchema-instance" s:noNamespaceSchemaLocation="{}"/>'
    )
    others = [text.format(place) for text in (include, style, schema) for place in (url, path)]
    return [*(text.encode() for text in documents + others), *wide]


def test_bombs_open_nothing_and_take_no_time(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("not for anybody else")
    with HostileServer(wait_for_end) as canary:
        documents = bombs(canary.port, secret)
        reading = read_traced(documents, tmp_path)
    figure(7, "documents", len(documents))
    figure(7, "how", "strace" if reading.opened is not None else "stand-in: a listener that nobody called")
    figure(7, "files opened, connects", len(reading.opened or ()))
    figure(7, "longest ms of one", reading.longest_ms)
    assert canary.accepted == 0
    assert not reading.opened
    assert reading.longest_ms < 50


def test_bomb_on_a_link_is_refused_and_its_neighbours_live(run: Callable[..., Any], tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("not for anybody else")
    documents = [document for document in bombs(1, secret) if b"<!" in document]

    def serve(connection: socket.socket) -> None:
        accept_subscription(connection, "10")
        for number, document in enumerate(documents):
            connection.sendall(document)
            connection.sendall(notification(Form.EVENT, record(f"good-{number}"), ended=False).encode())

    watching, _ = until_given_up(run, serve)
    calls = [call.key.native_id for call in watching.book.ongoing()]
    assert calls == [f"good-{number}" for number in range(len(documents))]
    refused = [event for event in watching.events() if isinstance(event, Unrecognised)]
    assert sum("document type" in event.reason for event in refused) == len(documents)


BAD = [
    b"<VerbaApi><Event type='CallStart'><Call id='bad'></Event><x></VerbaApi>"[:-30],
    b"<?xml version='1.0'?><VerbaApi><Event type='CallStart'><Call id='bad",
    b"<VerbaApi>\xff\xfe\x00</VerbaApi>",
    b"<VerbaApi>\x00\x01\x02</VerbaApi>",
    b"<VerbaApi><![CDATA[ open </VerbaApi>",
    b"<VerbaApi><!-- open </VerbaApi>",
    b"<VerbaApi>" + b"<a>" * 300 + b"</VerbaApi>",
    b"<VerbaApi>" + b"<a/>" * 30_000 + b"</VerbaApi>",
    b"<VerbaApi>&undefined;&#0;&#xD800;</VerbaApi>",
    b"<VerbaApi><Unheard-of/></VerbaApi>",
    b"<?xml version='1.0' encoding='utf-7'?><VerbaApi>+ADw-</VerbaApi>",
    b"<VerbaApi><Event type='CallStart'/></VerbaApi>",
    b"</VerbaApi>",
    b"<<<<>>>>",
    b"\x00" * 64,
    "<?xml version='1.0'?><VerbaApi><Call".encode("utf-16"),
    b"<VerbaApi xmlns='" + b"u" * 5000 + b"'><a b='1' b='2'/></VerbaApi>",
    b"<!DOCTYPE a [<!ENTITY b 'c'>]><VerbaApi>&b;</VerbaApi>",
]


def test_bad_documents_cost_no_good_one(run: Callable[..., Any]) -> None:
    def serve(connection: socket.socket) -> None:
        accept_subscription(connection, "10")
        for number, bad in enumerate(BAD):
            connection.sendall(notification(Form.EVENT, record(f"good-{number}"), ended=False).encode())
            connection.sendall(bad)
        connection.sendall(notification(Form.EVENT, record("last"), ended=False).encode())

    watching, _ = until_given_up(run, serve)
    calls = {call.key.native_id for call in watching.book.ongoing()}
    figure(8, "good documents delivered", f"{len(calls)} of {len(BAD) + 1}")
    assert calls == {"last", *(f"good-{number}" for number in range(len(BAD)))}
    kept = [event for event in watching.events() if isinstance(event, Unrecognised)]
    figure(8, "bad documents kept with their bytes", len(kept))
    assert len(kept) >= len(BAD) - 4  # four of them look like nothing between documents
    assert all(0 < len(event.message.data) <= 64 * 1024 for event in kept)


def splittable() -> bytes:
    """Return a stream with all forms, separators and some damage."""
    forms = [notification(form, record("split", note="<&>"), ended=False).encode() for form in Form]
    separators = [b"", b"\r\n", b"\0", b"\xef\xbb\xbf", b"\0\0\1\2"]
    documents = [
        answer("SubscribeOnCallEvent", "1", "10").encode(),
        *(separator + form for separator, form in zip(separators, forms, strict=True)),
        *(bad for bad in BAD if len(bad) < 200),
        notification(Form.EVENT, record("wide"), ended=True).encode("utf-16"),
    ]
    return b"".join(documents)


def heard_in(pieces: list[bytes]) -> list[LinkEvent]:
    """Return what a codec makes of a stream in these pieces."""
    codec = verba_codec()
    events = [event for piece in pieces for event in codec.receive_data(piece, NOW)]
    return events + codec.receive_eof(NOW)


def splits_of(stream: bytes) -> Iterator[list[bytes]]:
    for at in range(1, len(stream)):
        yield [stream[:at], stream[at:]]
    for size in (1, 2, 3, 7):
        yield [stream[at : at + size] for at in range(0, len(stream), size)]
    chance = random.Random(9)
    for _ in range(1000):
        cuts = sorted(chance.sample(range(1, len(stream)), chance.randint(1, 60)))
        yield [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


def test_no_split_changes_what_is_heard() -> None:
    stream = splittable()
    expected = heard_in([stream])
    assert sum(isinstance(event, CallStarted) for event in expected) >= 4
    tried = mismatches = 0
    for pieces in splits_of(stream):
        tried += 1
        mismatches += heard_in(pieces) != expected
    figure(9, "splits", tried)
    figure(9, "mismatches", mismatches)
    assert mismatches == 0


NAME = "Анна Ёжикова"
TEXT = notification(Form.EVENT, record("c-1", source_name=NAME), ended=False)
BODY = TEXT.partition("?>")[2]


def declared(name: str) -> str:
    return f'<?xml version="1.0" encoding="{name}"?>{BODY}'


@pytest.mark.parametrize(
    ("document", "name"),
    [
        (TEXT.encode(), NAME),
        (b"\xef\xbb\xbf" + TEXT.encode(), NAME),
        (declared("windows-1251").encode("cp1251"), NAME),
        (declared("KOI8-R").encode("koi8-r"), NAME),
        (declared("ISO-8859-5").encode("iso-8859-5"), NAME),
        (declared("UTF-16").encode("utf-16"), NAME),
        (declared("UTF-16").encode("utf-16-le"), NAME),
        (b"\xfe\xff" + declared("UTF-16").encode("utf-16-be"), NAME),
        (declared("UTF-16").encode(), NAME),
        (TEXT.encode() + b"\0", NAME),
        (TEXT.encode("cp1251"), "it is not valid UTF-8"),
        (declared("shift_jis").encode(), "its encoding 'shift_jis' is not supported"),
        (declared("utf-7").encode(), "its encoding 'utf-7' is not supported"),
        (declared("rot13").encode(), "its encoding 'rot13' is not supported"),
        (TEXT.replace("Анна", "\0").encode(), "it contains NUL bytes"),
        (TEXT.encode().replace("Анна".encode(), b"\xc0\xaf"), "it is not valid UTF-8"),
        (TEXT.encode().replace("Анна".encode(), b"\xed\xa0\x80"), "it is not valid UTF-8"),
        (declared("windows-1251").encode("cp1251").replace(b"\xc0", b"\x98"), "windows-1251"),
    ],
)
def test_encoding_is_decoded_or_refused_by_name(run: Callable[..., Any], document: bytes, name: str) -> None:
    def serve(connection: socket.socket) -> None:
        accept_subscription(connection, "10")
        connection.sendall(document)
        connection.sendall(notification(Form.EVENT, record("after"), ended=False).encode())

    watching, _ = until_given_up(run, serve)
    calls = {call.key.native_id: call.caller.name for call in watching.book.ongoing()}
    assert "after" in calls
    if name == NAME:
        assert calls["c-1"] == NAME
    else:
        assert "c-1" not in calls
        (refused,) = [event for event in watching.events() if isinstance(event, Unrecognised)]
        assert name in refused.reason
    figure(10, "encodings as expected", "10 decoded, 8 refused by name")
