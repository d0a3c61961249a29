from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recmon.net.plain_request import path_of_plain

HEAD = b"POST /hooks/pbx/s%20x?a=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"


def path_of(data: bytes) -> str | None:
    return path_of_plain(data, 1024, 10)


def test_a_whole_request_is_plain() -> None:
    assert path_of(HEAD + b"[]") == "/hooks/pbx/s%20x?a=1"
    assert path_of(b"GET /hooks/pbx/s HTTP/1.1\r\nHost: x\r\n\r\n") == "/hooks/pbx/s"
    assert path_of(b"POST / HTTP/1.1\r\ncontent-length:0\r\nUser-Agent: a (b; c)\r\n\r\n") == "/"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        HEAD,
        HEAD + b"[",
        HEAD + b"[]G",
        HEAD + b"[]" + HEAD + b"[]",
        HEAD.replace(b"POST", b"PUT") + b"[]",
        HEAD.replace(b"HTTP/1.1", b"HTTP/1.0") + b"[]",
        HEAD.replace(b"POST /", b"POST http://x/") + b"[]",
        HEAD.replace(b"/s%20x", b"/s x") + b"[]",
        HEAD.replace(b"\r\n", b"\n") + b"[]",
        HEAD.replace(b"Host: x", b"Host: x\r\n y") + b"[]",
        HEAD.replace(b"Host: x", b"Host : x") + b"[]",
        HEAD.replace(b"Host: x", b"Host: \x00") + b"[]",
        HEAD.replace(b"Host: x", b"Host: \xc3\xa9") + b"[]",
        HEAD.replace(b"Host: x", b"Transfer-Encoding: chunked") + b"[]",
        HEAD.replace(b"Host: x", b"transfer-encoding:x") + b"[]",
        HEAD.replace(b"Host: x", b"Content-Encoding: gzip") + b"[]",
        HEAD.replace(b"Host: x", b"Connection: close") + b"[]",
        HEAD.replace(b"Host: x", b"Expect: 100-continue") + b"[]",
        HEAD.replace(b"Host: x", b"Upgrade: h2c") + b"[]",
        HEAD.replace(b"Host: x", b"Content-Length: 2") + b"[]",
        HEAD.replace(b"Host: x", b"Content-Length: 3") + b"[]",
        HEAD.replace(b"Length: 2", b"Length: +2") + b"[]",
        HEAD.replace(b"Length: 2", b"Length: 2, 2") + b"[]",
        HEAD.replace(b"Length: 2", b"Length: 0x2") + b"[]",
        HEAD.replace(b"Host: x", b"A: " + b"a" * 1024) + b"[]",
        HEAD.replace(b"Host: x", b"\r\n".join([b"A: a"] * 10)) + b"[]",
        b"POST / HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_everything_else_is_left_to_the_real_reader(data: bytes) -> None:
    assert path_of(data) is None


@given(st.binary(max_size=200), st.integers(0, len(HEAD)), st.integers(0, 5))
def test_damage_never_raises_and_never_reaches_beyond_the_request(
    noise: bytes, at: int, removed: int
) -> None:
    damaged = HEAD[:at] + noise + HEAD[at + removed :] + b"[]"
    if path_of(damaged) is not None:
        # Whatever was changed, nothing of what came is left over for another request.
        assert path_of(damaged + b"x") is None
        assert path_of(damaged[:-1]) is None
