"""Recordings from the media file store as conversations (aculab.md 9). Nothing here changes a server."""

from __future__ import annotations

from recmon.domain.media import SNIFF_SIZE, WHITE_SPACE_LIMIT, MediaKind, sniff
from recmon.domain.recordings import LocatorKind, parse_locator
from recmon.errors import (
    DownloadRefused,
    MalformedMessage,
    RecordingDamaged,
    RecordingError,
    RecordingMissing,
)
from recmon.protocol.http import HttpFlow, HttpResponse, ReadMore
from recmon.settings.model import TlsOptions
from recmon.vendors.aculab.files import StoredFile, name_fault, other_form, read_file_list
from recmon.vendors.aculab.options import AculabOptions
from recmon.vendors.aculab.web import WebServices
from recmon.vendors.base import MediaHead, Now

FILE_TYPE = "media"
ERROR_LIMIT = 64 * 1024
"""An error body is not larger."""

ENCRYPTED = (
    "what came is no sound file; it may be encrypted, and then only the application that made it has the key"
)


class AculabFlows:
    """The recordings of one account.

    Args:
        options: the server's own.
        services: of the account.
    """

    def __init__(self, options: AculabOptions, services: WebServices) -> None:
        self._options = options
        self._services = services

    @property
    def base_url(self) -> str:
        """Scheme, host and port, without a path."""
        return self._services.base_url

    @property
    def tls(self) -> TlsOptions:
        return self._options.tls

    @property
    def parallel_downloads(self) -> int:
        return self._options.parallel_downloads

    def download(self, locator: str, now: Now) -> HttpFlow[MediaHead]:
        """Ask for a file by the name that an event or a list gave, and once in its other form.

        Raises:
            RecordingMissing: there is no such file, or not yet.
            RecordingForbidden: the account may not read it.
            RecordingError: what came is no sound file.
            RecmonError: as `WebServices.refusal`.
        """
        name = _name_in(locator)
        try:
            return (yield from self._fetch(name))
        except RecordingMissing:
            return (yield from self._fetch(other_form(name)))

    def stored_files(self) -> HttpFlow[tuple[StoredFile, ...]]:
        """Ask for the list of all recordings and faxes of the account.

        Raises:
            AuthenticationFailed: user or access key were refused.
            RecordingError: by type, when it is another error.
            MalformedMessage: the list has none of the likely layouts.
        """
        response = yield self._services.request("file_list", (("filetype", FILE_TYPE),))
        files = read_file_list(self._services.json_of(response))
        if files is None:
            raise MalformedMessage("the list of files has a layout that is not known here")
        return files

    def _fetch(self, name: str) -> HttpFlow[MediaHead]:
        fields = (("filetype", FILE_TYPE), ("filename", name))
        response = yield self._services.request("file_get", fields, is_streamed=True)
        if response.status != 200:
            response = yield from _more(response)
            refusal = self._services.refusal(response)
            assert refusal is not None
            raise refusal
        return (yield from self._judge(response))

    def _judge(self, response: HttpResponse) -> HttpFlow[MediaHead]:
        """Decide by the first bytes: an error can come with status 200 (aculab.md 9)."""
        kind = sniff(response.body, is_complete=response.is_complete)
        while kind is None:
            wanted = SNIFF_SIZE if len(response.body) < SNIFF_SIZE else WHITE_SPACE_LIMIT + 1
            response = yield ReadMore(wanted)
            kind = sniff(response.body, is_complete=response.is_complete)
        match kind:
            case MediaKind.EMPTY:
                raise RecordingDamaged("the server sent an empty file")
            case MediaKind.JSON:
                response = yield from _more(response)
                raise self._services.refusal(response) or DownloadRefused(
                    "a message in JSON came instead of a recording"
                )
            case MediaKind.MARKUP:
                raise DownloadRefused("a web page came instead of a recording")
            case MediaKind.WAV:
                return MediaHead(kind.extension)
            case MediaKind.RAW if response.body[:4] in (b"II*\0", b"MM\0*"):
                raise RecordingError("this is a fax and no sound")
            case MediaKind.RAW:
                raise RecordingError(ENCRYPTED)
            case _:
                # The store holds WAV files alone; whatever else this is, it is shown and played if possible.
                return MediaHead(kind.extension)


def _more(response: HttpResponse) -> HttpFlow[HttpResponse]:
    if not response.is_complete and len(response.body) < ERROR_LIMIT:
        response = yield ReadMore(ERROR_LIMIT)
    return response


def _name_in(locator: str) -> str:
    try:
        kind, name = parse_locator(locator)
    except ValueError:
        kind, name = None, ""
    if kind is not LocatorKind.PATH:
        raise RecordingMissing("this server is asked for recordings by the file's name alone")
    fault = name_fault(name)
    if fault is not None:
        raise RecordingMissing(fault)
    return name
