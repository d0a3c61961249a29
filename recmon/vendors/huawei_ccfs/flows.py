"""Downloads from CC-FS as conversations: one signed request each, then a verdict on the first bytes.

Nothing is tried twice and no variant of the signature is tried: wrong ones lock the caller's address
(ccfs.md 2.3).
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator
from datetime import datetime

from recmon.domain.media import SNIFF_SIZE, WHITE_SPACE_LIMIT, MediaKind, sniff
from recmon.domain.recordings import LocatorKind, parse_locator
from recmon.errors import DownloadRefused, RecordingDamaged, RecordingError, RecordingMissing
from recmon.protocol.http import HttpFlow, HttpRequest, HttpResponse, ReadMore
from recmon.settings.model import Secret, TlsOptions
from recmon.vendors.base import MediaHead, Now
from recmon.vendors.huawei_ccfs.codes import read_reply, reply_error, status_error
from recmon.vendors.huawei_ccfs.options import CcfsOptions
from recmon.vendors.huawei_ccfs.signature import authorization, format_timestamp

PREFIX = "/CCFS/resource/ccfs"
CONTENT_TYPE = "application/json;charset=UTF-8"

ERROR_LIMIT = 64 * 1024
"""An error object is not larger (ccfs.md 3)."""

PAGE_HEAD = 512
"""So many bytes tell a web page."""

CALL_ID_LIMIT = 25
"""Characters of a `callId` (ccfs.md 4.2)."""

_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*<(?:!doctype|html|head|body|\?xml|!--)", re.IGNORECASE)


class CcfsFlows:
    """The recordings of one CC-FS server.

    Args:
        options: its settings.
        server: its name in the settings.
        secret_key: the secret of its access key.
    """

    def __init__(self, options: CcfsOptions, server: str, secret_key: Secret) -> None:
        self._options = options
        self._server = server
        self._secret_key = secret_key
        # one text for the wire and for the signature (ccfs.md 2.3)
        self._host = options.host_header

    @property
    def base_url(self) -> str:
        """Scheme, host and port, without a path."""
        return f"https://{self._host}"

    @property
    def tls(self) -> TlsOptions:
        """How to check the server's certificate."""
        return self._options.tls

    @property
    def parallel_downloads(self) -> int:
        """How many transfers the server is asked for at a time."""
        return self._options.parallel_downloads

    def download(self, locator: str, now: Now) -> HttpFlow[MediaHead]:
        """Fetch the recording at a `path:`, `folder:` or `call_id:` locator with one request.

        Raises:
            RecordingMissing: the locator cannot be asked for, or the server has nothing there.
            RecordingDamaged: the server sent nothing.
            DownloadPostponed: flow control.
            DownloadInterrupted: the server, or one in front of it, failed.
            DownloadRefused: any other refusal, also a web page in place of a recording.
            RecordingError: an archive with several recordings.
            AuthenticationFailed: the signature was refused, or the address is locked.
        """
        operation, message = _question(locator)
        response = yield self._request(f"{PREFIX}/{operation}", message, now())
        failure = status_error(self._server, response.status, response.headers, now())
        if failure is not None:
            raise failure
        return (yield from self._judge(response, now))

    def _request(self, path: str, message: dict[str, str | int], at: datetime) -> HttpRequest:
        # serialised once: what is signed is what is sent (ccfs.md 2.3)
        text = json.dumps(
            {"request": {"version": "2.0"}, "msgBody": message}, ensure_ascii=False, separators=(",", ":")
        )
        body = text.encode()
        headers = {"host": self._host, "content-type": CONTENT_TYPE, "content-length": str(len(body))}
        signed = {name: headers[name] for name in map(str.lower, self._options.signed_headers)}
        signature = authorization(
            self._options.access_key,
            self._secret_key.reveal(),
            format_timestamp(at, self._options.timestamp),
            "POST",
            path,
            (),
            signed,
            text,
            empty_query_line=self._options.empty_query_line,
        )
        return HttpRequest(
            "POST",
            path,
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
            is_streamed=True,
        )

    def _judge(
        self, response: HttpResponse, now: Now
    ) -> Generator[HttpRequest | ReadMore, HttpResponse, MediaHead]:
        """Decide by the first bytes; the content type does not tell success from failure (ccfs.md 3)."""
        kind = sniff(response.body, is_complete=response.is_complete)
        while kind is None:
            wanted = SNIFF_SIZE if len(response.body) < SNIFF_SIZE else WHITE_SPACE_LIMIT + 1
            response = yield ReadMore(wanted)
            kind = sniff(response.body, is_complete=response.is_complete)
        match kind:
            case MediaKind.EMPTY:
                raise RecordingDamaged("the server sent an empty file")
            case MediaKind.ZIP:
                raise RecordingError(
                    "the server sent a ZIP with several recordings, which this version cannot open"
                )
            case MediaKind.JSON:
                response = yield from _more(response, ERROR_LIMIT + 1)
                if len(response.body) <= ERROR_LIMIT:
                    self._refuse_reply(response, now())
                kind = MediaKind.RAW
            case MediaKind.MARKUP:
                response = yield from _more(response, PAGE_HEAD)
                if _PAGE.match(response.body):
                    raise DownloadRefused("a web page came instead of a recording")
                kind = MediaKind.RAW
            case _:
                pass
        return MediaHead(kind.extension)

    def _refuse_reply(self, response: HttpResponse, at: datetime) -> None:
        reply = read_reply(response.body)
        if reply is None:
            return
        error = reply_error(self._server, reply, response.headers, at)
        raise error or DownloadRefused("the server sent a message in JSON instead of a recording")


def _more(response: HttpResponse, size: int) -> Generator[HttpRequest | ReadMore, HttpResponse, HttpResponse]:
    if len(response.body) < size and not response.is_complete:
        response = yield ReadMore(size)
    return response


def _question(locator: str) -> tuple[str, dict[str, str | int]]:
    """Return the operation and its parameters (ccfs.md 4.1 and 4.2)."""
    try:
        kind, value = parse_locator(locator)
    except ValueError as error:
        raise RecordingMissing("the place of the recording is not one that CC-FS knows") from error
    if kind is LocatorKind.CALL_ID:
        if _FORBIDDEN.search(value) or len(value) > CALL_ID_LIMIT:
            raise RecordingMissing(f"CC-FS call ids have at most {CALL_ID_LIMIT} plain characters")
        return "downloadRecord", {"callId": value}
    if kind is LocatorKind.FILE:
        raise RecordingMissing("the recording is a file of an imported folder, not one that CC-FS has")
    path = _checked_path(value)
    if kind is LocatorKind.FOLDER:
        # the samples give folders without a trailing slash, and the mode as the table's number
        return "ivr/downloadFile", {"filePath": path.rstrip("/"), "mode": 1}
    return "ivr/downloadFile", {"filePath": path}


def _checked_path(value: str) -> str:
    """Return a server path in the server's form (ccfs.md 5); its case and spaces stay as they are."""
    path = value.replace("\\", "/")
    if not path.strip().strip("/"):
        raise RecordingMissing("the recording path is empty")
    if _FORBIDDEN.search(path):
        raise RecordingMissing("the recording path has control characters in it")
    if any(segment in (".", "..") for segment in path.split("/")):
        raise RecordingMissing("the recording path has a . or .. in it")
    return path
