"""Other kinds of servers, by the first bytes they send."""

from __future__ import annotations

import pytest

from recmon.protocol.peers import other_peer


@pytest.mark.parametrize(
    ("beginning", "told"),
    [
        (b"HTTP/1.1 400 Bad", "HTTP answered on this port: is this the web interface?"),
        (b"<!doctype html>\n", "a web page arrived on this port: is this the web interface?"),
        (b"<html lang='en'>", "a web page arrived on this port: is this the web interface?"),
        (b"SSH-2.0-OpenSSH_", "SSH answered on this port: this is not a recording server"),
        (b"SIP/2.0 400 Bad ", "SIP answered on this port: this is not a recording server"),
        (b"RTSP/1.0 400 Bad", "RTSP answered on this port: this is not a recording server"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "TLS answered on this port: set tls for this server"),
        (b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76", "TLS answered on this port: set tls for this server"),
    ],
)
def test_known_servers_are_recognised(beginning: bytes, told: str) -> None:
    assert str(other_peer(beginning)) == told


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"<?xml version=",
        b"<VerbaApi>",
        b"\0\0\0\x7a<VerbaApi>",
        b"\x15\x03",
        b"\x16\x04\x00\x00\x7a\x02",
    ],
)
def test_anything_else_is_left_open(beginning: bytes) -> None:
    assert other_peer(beginning) is None
