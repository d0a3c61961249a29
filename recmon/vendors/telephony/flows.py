"""Recordings of telephony providers: the address is asked for at the moment of playing, then fetched."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import NoReturn

from recmon.domain.media import SNIFF_SIZE, WHITE_SPACE_LIMIT, MediaKind, sniff
from recmon.errors import (
    AuthenticationFailed,
    DownloadInterrupted,
    DownloadPostponed,
    DownloadRefused,
    RecordingDamaged,
    RecordingError,
    RecordingForbidden,
    RecordingMissing,
)
from recmon.protocol.http import HttpFlow, HttpRequest, HttpResponse, ReadMore
from recmon.settings.model import TlsOptions
from recmon.vendors.base import MediaHead, Now
from recmon.vendors.links import LinkRules
from recmon.vendors.telephony.contract import TelephonyAdapter
from recmon.vendors.telephony.links import MOST_REDIRECTS, follow
from recmon.vendors.telephony.translate import call_of

_REDIRECTS = (301, 302, 303, 307, 308)


class TelephonyFlows:
    """The recordings of one server; see `RecordingFlows` and `LinkedFlows`.

    Args:
        server: its name in the settings.
        name: of the adapter.
        adapter: the provider's.
        api: scheme, host and port of its programming interface; empty where it has none.
        tls: how to check certificates.
        links: where links may lead.
        parallel_downloads: how many transfers go on at a time.
    """

    def __init__(
        self,
        server: str,
        name: str,
        adapter: TelephonyAdapter,
        api: str,
        tls: TlsOptions,
        links: LinkRules,
        parallel_downloads: int,
    ) -> None:
        self._server = server
        self._name = name
        self._adapter = adapter
        self._api = api
        self._tls = tls
        self._links = links
        self._parallel_downloads = parallel_downloads

    @property
    def base_url(self) -> str:
        return self._api

    @property
    def tls(self) -> TlsOptions:
        return self._tls

    @property
    def parallel_downloads(self) -> int:
        return self._parallel_downloads

    @property
    def link_rules(self) -> LinkRules:
        return self._links

    def download(self, locator: str, now: Now) -> HttpFlow[MediaHead]:
        """Ask the provider where the recording is, and fetch it from there.

        Raises:
            RecordingNotReady: it is not there yet.
            DownloadPostponed: the provider asks to come back later.
            RecordingMissing: it is gone, or nothing says where it is.
            RecordingDamaged: what is there is empty.
            DownloadRefused: something else came in its place.
            RecordingForbidden: the link was refused; it may have died.
            AuthenticationFailed: the provider refuses our key.
        """
        request = yield from self._adapter.resolve(call_of(locator, self._name), now)
        request = replace(request, is_streamed=True)
        for _ in range(MOST_REDIRECTS + 1):
            response = yield request
            location = response.headers.get("location", "")
            if response.status not in _REDIRECTS or not location:
                break
            request = replace(follow(request, location, self._api), is_streamed=True)
        else:
            raise DownloadRefused("the link leads on and on to other links")
        if response.status in (401, 403) and not request.origin:
            raise AuthenticationFailed(
                self._server, "the provider refuses our key for the recording", status=response.status
            )
        if response.status != 200:
            _refuse(response.status)
        return (yield from _judge(response))


def _refuse(status: int) -> NoReturn:
    code = f"HTTP {status}"
    match status:
        case 401 | 403:
            raise RecordingForbidden("the link to the recording is not valid, or no longer", code=code)
        case 404 | 410:
            raise RecordingMissing("the provider no longer has the recording at this link", code=code)
        case 429 | 503:
            raise DownloadPostponed("the provider asks to come back later", code=code)
        case _ if status >= 500:
            raise DownloadInterrupted("the server with the recording failed", code=code)
        case _:
            raise DownloadRefused("the server with the recording did not hand it out", code=code)


def _judge(response: HttpResponse) -> Generator[HttpRequest | ReadMore, HttpResponse, MediaHead]:
    """Decide by the first bytes whether this is sound; providers label it in different ways."""
    kind = sniff(response.body, is_complete=response.is_complete)
    while kind is None:
        wanted = SNIFF_SIZE if len(response.body) < SNIFF_SIZE else WHITE_SPACE_LIMIT + 1
        response = yield ReadMore(wanted)
        kind = sniff(response.body, is_complete=response.is_complete)
    match kind:
        case MediaKind.EMPTY:
            raise RecordingDamaged("the provider sent an empty file")
        case MediaKind.ZIP:
            raise RecordingError("the provider sent a ZIP in place of a recording")
        case MediaKind.JSON:
            raise DownloadRefused("the provider sent a message in place of a recording")
        case MediaKind.MARKUP:
            raise DownloadRefused("a web page came in place of a recording")
        case _:
            return MediaHead(kind.extension)
