"""Tells by its first bytes that the other side of a connection is no recording server."""

from __future__ import annotations

from dataclasses import dataclass

BEGINNING_SIZE = 16
"""Bytes that suffice."""


@dataclass(frozen=True, slots=True)
class OtherPeer:
    """Another kind of server.

    Attributes:
        text: what was seen.
        advice: what to do about it.
    """

    text: str
    advice: str

    def __str__(self) -> str:
        return f"{self.text}: {self.advice}"


_WEB = "is this the web interface?"
_NO_RECORDER = "this is not a recording server"

_PEERS = {
    b"HTTP/": OtherPeer("HTTP answered on this port", _WEB),
    b"<!DOCTYPE HTML": OtherPeer("a web page arrived on this port", _WEB),
    b"<HTML": OtherPeer("a web page arrived on this port", _WEB),
    b"SSH-": OtherPeer("SSH answered on this port", _NO_RECORDER),
    b"SIP/": OtherPeer("SIP answered on this port", _NO_RECORDER),
    b"RTSP/": OtherPeer("RTSP answered on this port", _NO_RECORDER),
}
_TLS = OtherPeer("TLS answered on this port", "set tls for this server")


def other_peer(beginning: bytes) -> OtherPeer | None:
    """Return what kind of server begins so, or None where nothing is known of it.

    Args:
        beginning: the first bytes received, `BEGINNING_SIZE` of them where so many have arrived.
    """
    capitals = beginning.upper()
    for mark, peer in _PEERS.items():
        if capitals.startswith(mark):
            return peer
    # Record type, version 3.0 to 3.4; then an alert of two bytes, or a server's hello.
    is_record = len(beginning) > 5 and beginning[1] == 3 and beginning[2] <= 4
    if is_record and (
        (beginning[0] == 0x15 and beginning[3:5] == b"\0\2") or (beginning[0] == 0x16 and beginning[5] == 2)
    ):
        return _TLS
    return None
