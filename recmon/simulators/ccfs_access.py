"""Who may use a simulated CC-FS: the signature check, and the lock after wrong signatures.

Written from ccfs.md 2 on its own; the client's signing code is what it checks.
"""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request as it arrived.

    Attributes:
        headers: by lower-case name.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    at: datetime = field(compare=False)


class AccessCheck:
    """Knows one account.

    Attributes:
        empty_query_line: expect the line of an empty query in the signed text.
        skew_limit_s: largest difference between a signature's time and the server's clock; None: any.
        lock_after: wrong signatures from one address until it is locked.
        required_headers: what a signature must cover, no more and no fewer; empty: anything with `host`.
    """

    def __init__(self, access_key: str, secret_key: str) -> None:
        self.empty_query_line = False
        self.skew_limit_s: float | None = None
        self.lock_after = 5
        self.required_headers: tuple[str, ...] = ()
        self._access_key = access_key
        self._secret_key = secret_key
        self._failures: Counter[str] = Counter()

    def check(self, peer: str, received: ReceivedRequest, now: datetime) -> tuple[int, str]:
        """Return the HTTP status for a request, 200, 401 or 403, and why.

        Args:
            peer: address that sent it.
            received: the request.
            now: by the server's clock.
        """
        if self._failures[peer] >= self.lock_after:
            return 403, "the address is locked"
        problem = self._problem(received, now)
        if problem is None:
            self._failures.pop(peer, None)
            return 200, ""
        self._failures[peer] += 1
        return 401, problem

    def unlock(self) -> None:
        """Forget all wrong signatures."""
        self._failures.clear()

    def _problem(self, received: ReceivedRequest, now: datetime) -> str | None:
        parts = received.headers.get("authorization", "").split("/")
        if len(parts) != 5 or parts[0] != "auth-v2":
            return "no auth-v2 signature"
        _, access_key, stamp, names, signature = parts
        if access_key != self._access_key:
            return "unknown access key"
        at = _read_stamp(stamp)
        if at is None:
            return "the time has another form"
        if self.skew_limit_s is not None and abs((at - now).total_seconds()) > self.skew_limit_s:
            return "the time differs too much"
        signed = names.split(";")
        if "host" not in signed or "authorization" in signed or signed != sorted(set(signed)):
            return "the signed headers are wrong"
        if self.required_headers and signed != sorted(self.required_headers):
            return "other headers must be signed"
        if any(name not in received.headers for name in signed):
            return "a signed header is missing"
        key = _digest(self._secret_key, f"auth-v2/{access_key}/{stamp}/{names}")
        expected = _digest(key, self._signed_text(received, signed))
        if not hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace")):
            return "the signature is wrong"
        return None

    def _signed_text(self, received: ReceivedRequest, signed: Sequence[str]) -> str:
        path, _, query = received.target.partition("?")
        text = f"{received.method}\n{path}\n"
        pairs = parse_qsl(query, keep_blank_values=True)
        if pairs or self.empty_query_line:
            encoded = [f"{_escape(name.encode())}={_escape(value.encode())}" for name, value in pairs]
            text += "&".join(sorted(encoded)) + "\n"
        text += ";".join(signed) + "\n"
        for name in signed:
            text += f"{_escape(name.encode())}:{_escape(received.headers[name].strip().encode())}\n"
        return text + _escape(received.body)


def _escape(data: bytes) -> str:
    return "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in data)


def _digest(key: str, text: str) -> str:
    return hmac.digest(key.encode(), text.encode(), "sha256").hex()


def _read_stamp(stamp: str) -> datetime | None:
    for form in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%fZ"):
        try:
            return datetime.strptime(stamp, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None
