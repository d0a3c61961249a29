"""The web services of an account: requests with its login, and what refusals mean (aculab.md 8)."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from recmon.errors import (
    AuthenticationFailed,
    DownloadInterrupted,
    DownloadPostponed,
    DownloadRefused,
    MalformedMessage,
    RecmonError,
    RecordingForbidden,
    RecordingMissing,
)
from recmon.logs import mask, printable
from recmon.protocol.http import HttpRequest, HttpResponse
from recmon.protocol.json import JsonValue, read_json
from recmon.settings.model import Secret
from recmon.vendors.aculab.options import AculabOptions

TEXT_LIMIT = 200
NOT_THERE = "the media file store has no such file, or not yet"
_STATUS = re.compile(r"HTTP\s*(\d{3})")
# A sample of the vendor's leaves out the quotes around the code (aculab.md 8), so it is no JSON.
_BROKEN_CODE = re.compile(r'"code"\s*:\s*"?(HTTP\s*\d{3}|\d{4})\b')
_BROKEN_TEXT = re.compile(r'"text"\s*:\s*"([^"\r\n]*)"')


@dataclass(frozen=True, slots=True)
class ServiceError:
    """What an error body says.

    Attributes:
        code: a four-digit code of the vendor's, or `HTTP` and a status; empty where it is not told.
        text: in the vendor's words; may be empty.
    """

    code: str
    text: str

    @property
    def status(self) -> int | None:
        """The HTTP status in the code, if it is one."""
        found = _STATUS.fullmatch(self.code)
        return int(found[1]) if found else None


class WebServices:
    """Makes the requests of one account, and judges their answers.

    Args:
        options: where the services are, and whose account it is.
        server: its name in the settings.
        access_key: of the account.
    """

    def __init__(self, options: AculabOptions, server: str, access_key: Secret) -> None:
        self._options = options
        self._server = server
        self._access_key = access_key

    @property
    def base_url(self) -> str:
        """Scheme, host and port, without a path."""
        return f"https://{self._options.host_header}"

    def request(
        self, service: str, fields: Sequence[tuple[str, str]], *, is_streamed: bool = False
    ) -> HttpRequest:
        """Return a request to a service, as a form: a public client sends it so (aculab.md 8)."""
        body = urlencode(fields, quote_via=quote).encode("ascii")
        headers = (
            *self._headers(),
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Content-Length", str(len(body))),
        )
        return HttpRequest("POST", f"/{service}", headers, body, is_streamed=is_streamed)

    def question(self, service: str, fields: Sequence[tuple[str, str]]) -> HttpRequest:
        """Return a request with its fields in the address, as `application_status` has it (aculab.md 10)."""
        return HttpRequest("GET", f"/{service}?{urlencode(fields, quote_via=quote)}", self._headers())

    def _headers(self) -> tuple[tuple[str, str], ...]:
        login = f"{self._options.user}:{self._access_key.reveal()}".encode()
        return (
            ("Host", self._options.host_header),
            ("Authorization", f"Basic {base64.b64encode(login).decode('ascii')}"),
            # Without it, older services answer errors in XML or HTML (aculab.md 8).
            ("Accept", "application/json"),
            # A compressed body would hide the first bytes, which decide.
            ("Accept-Encoding", "identity"),
        )

    def refusal(self, response: HttpResponse) -> RecmonError | None:
        """Return what an answer refuses, by its status or, where that is 200, by an error body; or None."""
        error = read_error(response.body)
        status = response.status
        if status == 200:
            if error is None:
                return None
            status = error.status or 200
        told = self._told(error)
        code = error.code if error is not None and error.code else f"HTTP {status}"
        if status == 401:
            return AuthenticationFailed(
                self._server, f"the web services refused user and access key (401){told}", status=401
            )
        if status == 403:
            return RecordingForbidden(f"this account may not do that{told}", code=code)
        if status == 404:
            return RecordingMissing(f"{NOT_THERE}{told}", code=code)
        if status in (429, 503):
            return DownloadPostponed(f"the web services ask to come back later{told}", code=code)
        if status >= 500:
            return DownloadInterrupted(f"the web services failed{told}", code=code)
        if 300 <= status < 400:
            return DownloadRefused(
                "the web services point to another address, which is not followed", code=code
            )
        return DownloadRefused(f"the web services refused the request{told}", code=code)

    def json_of(self, response: HttpResponse) -> JsonValue:
        """Return the document of an answer.

        Raises:
            AuthenticationFailed: user or access key were refused.
            RecordingError: by type, when it is another error.
            MalformedMessage: it cannot be read.
        """
        refusal = self.refusal(response)
        if refusal is not None:
            raise refusal
        try:
            return read_json(response.body)
        except MalformedMessage as error:
            raise MalformedMessage(
                f"the answer of the web services cannot be read: {error.detail}", excerpt=error.excerpt
            ) from error

    def _told(self, error: ServiceError | None) -> str:
        if error is None or not error.text.strip():
            return ""
        key = self._access_key.reveal()
        return f": {printable(mask(error.text.replace(key, '****')), TEXT_LIMIT)}"


def read_error(body: bytes) -> ServiceError | None:
    """Return what an error body says (aculab.md 8), also where it is broken JSON; None for other bodies."""
    if not body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return None
    try:
        value = read_json(body)
    except MalformedMessage:
        text = body.decode("utf-8", "replace")
        code, words = _BROKEN_CODE.search(text), _BROKEN_TEXT.search(text)
        if '"error"' not in text or code is None:
            return None
        return ServiceError(code[1], words[1] if words else "")
    error = value.get("error") if isinstance(value, dict) else None
    if not isinstance(error, dict):
        return None
    details = error.get("details")
    pieces = [error.get("text"), *(details if isinstance(details, list) else ())]
    words_told = "; ".join(piece for piece in pieces if isinstance(piece, str) and piece.strip())
    code_told = error.get("code")
    is_code = isinstance(code_told, str | int) and not isinstance(code_told, bool)
    return ServiceError(printable(str(code_told), 40) if is_code else "", words_told)
