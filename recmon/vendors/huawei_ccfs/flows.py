"""Downloads from CC-FS as conversations: signed requests, then a verdict on the first bytes.

Nothing is tried twice and no variant of the signature is tried: wrong ones lock the caller's address
(ccfs.md 2.3).
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from dataclasses import replace
from datetime import datetime, tzinfo
from typing import Any

from recmon.domain.media import SNIFF_SIZE, WHITE_SPACE_LIMIT, MediaKind, sniff
from recmon.domain.recordings import LocatorKind
from recmon.errors import (
    DownloadInterrupted,
    DownloadPostponed,
    DownloadRefused,
    RecmonError,
    RecordingDamaged,
    RecordingForbidden,
    RecordingMissing,
)
from recmon.protocol.http import HttpFlow, HttpRequest, HttpResponse, ReadMore
from recmon.settings.model import Secret, TlsOptions
from recmon.vendors.base import MediaHead, Now
from recmon.vendors.huawei_ccfs.codes import (
    read_reply,
    reply_data,
    reply_error,
    retry_after_s,
    status_error,
)
from recmon.vendors.huawei_ccfs.options import CcfsOptions
from recmon.vendors.huawei_ccfs.places import (
    MOST_NUMBER,
    Asked,
    StoredCall,
    asked_for,
    checked_call_id,
    checked_path,
    numbered,
    parse_place,
    stored_call,
)
from recmon.vendors.huawei_ccfs.signing import RequestSigner, target_of, unsigned_get
from recmon.vendors.links import LinkRules, split_link

PREFIX = "/CCFS/resource/ccfs"
CMS_DOWNLOAD = "/rest/cmsapp/v1/openapi/hisindex/downloadRecordFile"

ERROR_LIMIT = 64 * 1024
"""An error object is not larger (ccfs.md 3)."""

PAGE_HEAD = 512
"""So many bytes tell a web page."""

_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*<(?:!doctype|html|head|body|\?xml|!--)", re.IGNORECASE)
_TOKEN = re.compile(r"[\x21-\x7e]+")


class CcfsFlows:
    """The recordings of one CC-FS server.

    Args:
        options: its settings.
        server: its name in the settings.
        secret_key: the secret of its access key.
        zone: the tenant's, in which the server is told times.
    """

    def __init__(self, options: CcfsOptions, server: str, secret_key: Secret, zone: tzinfo) -> None:
        self._options = options
        self._server = server
        self._zone = zone
        self._host = options.host_header
        self._signer = RequestSigner(options, secret_key, self._host)

    @property
    def base_url(self) -> str:
        """Scheme, host and port, without a path."""
        return self._options.base_url

    @property
    def tls(self) -> TlsOptions:
        """How to check the server's certificate."""
        return self._options.tls

    @property
    def parallel_downloads(self) -> int:
        """How many transfers the server is asked for at a time."""
        return self._options.parallel_downloads

    @property
    def link_rules(self) -> LinkRules:
        """Where the links to object storage may lead."""
        return self._options.link_rules

    def download(self, locator: str, now: Now) -> HttpFlow[MediaHead]:
        """Fetch the recording at a locator; a ZIP with several of them is left to the receiver.

        Raises:
            RecordingMissing: the locator cannot be asked for, or the server has nothing there.
            RecordingForbidden: the server refuses what it had just allowed.
            RecordingDamaged: the server sent nothing.
            DownloadPostponed: flow control.
            DownloadInterrupted: the server, or one in front of it, failed.
            DownloadRefused: any other refusal, also a web page in place of a recording.
            LinkRefused: the server handed out a link that is none.
            AuthenticationFailed: the signature was refused, or the address is locked.
        """
        kind, value = parse_place(locator)
        match kind:
            case LocatorKind.PLAY:
                return (yield from self._played(value, now))
            case LocatorKind.OBS:
                return (yield from self._from_object_storage(locator, stored_call(value), now))
            case LocatorKind.CMS_CALL_ID:
                return (yield from self._from_monitoring(value, now))
            case _:
                return (yield from self._direct(asked_for(kind, value, self._options.cc_id), now))

    def _direct(self, asked: Asked, now: Now) -> HttpFlow[MediaHead]:
        message = {"request": {"version": "2.0"}, "msgBody": asked.message}
        path = f"{PREFIX}/{asked.operation}"
        response = yield self._signer.post(path, message, now(), query=asked.query, is_streamed=True)
        self._check_status(response, now)
        return (yield from self._judge(response, now))

    def _played(self, value: str, now: Now) -> HttpFlow[MediaHead]:
        """Ask for a token, then play back with it; the token alone opens the recording (ccfs.md 4.5)."""
        message = {"request": {"version": "2.0"}, "msgBody": {"fileName": checked_path(value)}}
        data = yield from self._answered("requestPlayVoice", message, now)
        token = data.get("token") if isinstance(data, Mapping) else None
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise DownloadRefused("the server sent no token for the play-back")
        # What `t` looks like is not documented: milliseconds, as in the vendor's other times (inferred).
        moment = str(int(now().timestamp() * 1000))
        query = (("t", moment), ("version", "2.0"), ("st", token))
        response = yield unsigned_get(self._host, target_of(f"{PREFIX}/playVoice", query))
        if response.status == 401:
            raise RecordingForbidden("the server refused the token that it had just made", code="HTTP 401")
        self._check_status(response, now)
        return (yield from self._judge(response, now))

    def _from_object_storage(self, locator: str, call: StoredCall, now: Now) -> HttpFlow[MediaHead]:
        """Ask for links, then fetch from one of them without any key of ours (ccfs.md 4.6).

        Without a number in its locator it is the first; the others then follow under numbers of their own.
        """
        # with `version`, times are the tenant's own; without, they would be another zone's
        message = {
            "callId": call.call_id,
            "beginTime": self._tenant_time(call.begin),
            "endTime": self._tenant_time(call.end),
            "version": "2.0",
        }
        data = yield from self._answered("getRecordFileUrlFromObs", message, now)
        links = _links(data)
        origin, target = split_link(_chosen(links, call.number))
        response = yield unsigned_get(origin.host_header, target, origin=str(origin))
        failure = _storage_error(response, now())
        if failure is not None:
            raise failure
        head = yield from self._judge(response, now)
        if call.number is not None:
            return head
        count = min(len(links), MOST_NUMBER)
        return replace(head, siblings=tuple(numbered(locator, number) for number in range(2, count + 1)))

    def _from_monitoring(self, value: str, now: Now) -> HttpFlow[MediaHead]:
        """Ask the sister service, at the same address, for the recording of an inspected call (ccfs.md 4.8).

        Whether its parameters are wrapped like those of CC-FS is not known; they are flat like those of its
        other questions.
        """
        message = {"callID": checked_call_id(value)}
        response = yield self._signer.post(CMS_DOWNLOAD, message, now(), is_streamed=True)
        self._check_status(response, now)
        return (yield from self._judge(response, now))

    def _answered(self, operation: str, message: Mapping[str, Any], now: Now) -> HttpFlow[Any]:
        """Ask a question whose answer is an object; return its data."""
        response = yield self._signer.post(f"{PREFIX}/{operation}", message, now())
        self._check_status(response, now)
        return reply_data(self._server, response, now())

    def _check_status(self, response: HttpResponse, now: Now) -> None:
        failure = status_error(self._server, response.status, response.headers, now())
        if failure is not None:
            raise failure

    def _tenant_time(self, at: datetime) -> str:
        local = at if at.tzinfo is None else at.astimezone(self._zone)
        return local.strftime("%Y-%m-%d %H:%M:%S")

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


def _links(data: object) -> tuple[str, ...]:
    """Return the addresses of an answer, in order: in which form several stand is not known (ccfs.md 4.6)."""
    told = data.get("url", data.get("obsFileUrl")) if isinstance(data, Mapping) else None
    if isinstance(told, str):
        # only in front of the next address: a link may have either sign in it
        told = re.split(r"[,;]\s*(?=https?://)", told)
    if not isinstance(told, list):
        return ()
    return tuple(link.strip() for link in told if isinstance(link, str) and link.strip())


def _chosen(links: tuple[str, ...], number: int | None) -> str:
    if not links:
        raise RecordingMissing("the server has no link to this recording, or not yet")
    if number is not None and number > len(links):
        raise RecordingMissing(f"the server has only {len(links)} recordings of this call")
    return links[(number or 1) - 1]


def _storage_error(response: HttpResponse, at: datetime) -> RecmonError | None:
    """Return what a status of the object storage means: it knows no account of ours that could be locked."""
    status = response.status
    code = f"HTTP {status}"
    if status == 200:
        return None
    if status == 404:
        return RecordingMissing("the object storage does not have the recording, or not any more", code=code)
    if status in (401, 403):
        return RecordingForbidden("the object storage refused the link; it may be too old", code=code)
    if status in (429, 503):
        wait_s = retry_after_s(response.headers, at)
        return DownloadPostponed(
            "the object storage asks to come back later", code=code, retry_after_s=wait_s
        )
    if status >= 500:
        return DownloadInterrupted("the object storage failed", code=code)
    return DownloadRefused("the object storage refused the request", code=code)
