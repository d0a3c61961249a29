"""Makes complete requests to CC-FS and its sister service CC-CMS: what is signed is what is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from recmon.protocol.http import HttpRequest
from recmon.settings.model import Secret
from recmon.vendors.huawei_ccfs.options import CcfsOptions
from recmon.vendors.huawei_ccfs.signature import authorization, encode, format_timestamp

CONTENT_TYPE = "application/json;charset=UTF-8"


class RequestSigner:
    """Signs in the name of one developer account, for one of its addresses.

    Args:
        options: the account, and how its signatures are written.
        secret_key: the secret of its access key.
        host: the one text for the `Host` header and the signature (ccfs.md 2.3).
    """

    def __init__(self, options: CcfsOptions, secret_key: Secret, host: str) -> None:
        self._options = options
        self._secret_key = secret_key
        self._host = host

    def post(
        self,
        path: str,
        message: Mapping[str, Any],
        at: datetime,
        *,
        query: Sequence[tuple[str, str]] = (),
        is_streamed: bool = False,
    ) -> HttpRequest:
        """Return a signed request.

        Args:
            path: of the URL, without a query.
            message: the whole body, as it is to be written.
            at: the time of the signature, aware UTC; each attempt needs a new one.
            query: names and values before any encoding.
            is_streamed: see `HttpRequest`.
        """
        # serialised once: what is signed is what is sent (ccfs.md 2.3)
        text = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
        body = text.encode()
        headers = {"host": self._host, "content-type": CONTENT_TYPE, "content-length": str(len(body))}
        signed = {name: headers[name] for name in map(str.lower, self._options.signed_headers)}
        signature = authorization(
            self._options.access_key,
            self._secret_key.reveal(),
            format_timestamp(at, self._options.timestamp),
            "POST",
            path,
            query,
            signed,
            text,
            empty_query_line=self._options.empty_query_line,
        )
        return HttpRequest(
            "POST",
            target_of(path, query),
            (
                ("Host", headers["host"]),
                ("Authorization", signature),
                ("Accept", "*/*"),
                # a compressed body would hide the first bytes, which decide
                ("Accept-Encoding", "identity"),
                ("Content-Type", headers["content-type"]),
                ("Content-Length", headers["content-length"]),
            ),
            body,
            is_streamed=is_streamed,
        )


def unsigned_get(host: str, target: str, origin: str = "") -> HttpRequest:
    """Return a streamed request that carries no signature and no key of ours."""
    headers = (("Host", host), ("Accept", "*/*"), ("Accept-Encoding", "identity"))
    return HttpRequest("GET", target, headers, is_streamed=True, origin=origin)


def target_of(path: str, query: Sequence[tuple[str, str]]) -> str:
    """Return path and query as they are sent."""
    if not query:
        return path
    return path + "?" + "&".join(f"{encode(name)}={encode(value)}" for name, value in query)
