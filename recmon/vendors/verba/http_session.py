"""One account's requests to the HTTP Business API: key, login, token, cookies (verba.md 5.1, 5.2).

A login is renewed ahead of time, and once where the server says that it has expired; a second refusal is an
error. Key, password, token and cookies stand in requests and nowhere else: not in errors, not in any `repr`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Generator, Sequence
from datetime import datetime, timedelta
from urllib.parse import quote, urlencode

from recmon.domain.media import SNIFF_SIZE, WHITE_SPACE_LIMIT, MediaKind, sniff
from recmon.errors import DownloadRefused, MalformedMessage, RecordingDamaged
from recmon.logs import mask
from recmon.protocol.http import (
    HttpFlow,
    HttpRequest,
    HttpResponse,
    ReadMore,
    range_headers,
    range_start,
)
from recmon.protocol.xml import Element
from recmon.settings.model import Secret
from recmon.vendors.base import MediaHead, Now, ResumePoint
from recmon.vendors.verba.http_replies import (
    ApiError,
    error_in,
    first,
    is_page,
    read_answer,
    read_root,
    status_error,
    value_of,
)
from recmon.vendors.verba.options import HttpOptions

RENEW_AFTER = timedelta(minutes=55)
"""A token lives one hour (verba.md 5.2)."""

URL_LIMIT = 4000
"""Longer addresses are sent as a form, which the API takes as well (verba.md 5.1)."""

ERROR_LIMIT = 64 * 1024
"""Bytes of an error document in place of media that are read."""

COOKIES_KEPT = 8
_COOKIE_LIMIT = 4096
_COOKIE = re.compile(r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=([!#-+\--:<-\[\]-~]*)")
_TOKEN = re.compile(r"[!-~]{1,4096}")
_DOCUMENT = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*<(?:\?xml|verbaapi|!doctype|html)|\xff\xfe<\0|\xfe\xff\0<", re.IGNORECASE
)

Parameters = Sequence[tuple[str, str]]


class ApiSession:
    """Asks in the name of one account.

    Args:
        options: where the server is, and who logs in.
        server: its name in the settings.
        api_key: of the API.
        password: of the user, or None where the key alone suffices.
    """

    def __init__(self, options: HttpOptions, server: str, api_key: Secret, password: Secret | None) -> None:
        self._options = options
        self._server = server
        self._api_key = api_key
        self._password = password
        self._token: Secret | None = None
        self._token_before: Secret | None = None
        self._logged_in_at: datetime | None = None
        self._cookies: dict[str, Secret] = {}

    def ask(self, action: str, parameters: Parameters, now: Now) -> HttpFlow[Element]:
        """Ask for a document.

        Raises:
            AuthenticationFailed: the login, the key or the token was refused.
            RecordingMissing: the call or its media is not known.
            RequestRefused: any other error of the server.
            MalformedMessage: the answer cannot be read.
        """
        token = yield from self._ready(now, None)
        wanted = [*parameters, ("responseType", "XML")]
        answer = self._read((yield self._request(action, wanted, token)))
        if isinstance(answer, ApiError) and answer.is_token_refused and token is not None:
            token = yield from self._ready(now, token)
            answer = self._read((yield self._request(action, wanted, token)))
        if isinstance(answer, ApiError):
            raise answer.exception(self._server)
        return answer

    def ask_media(
        self, action: str, parameters: Parameters, now: Now, point: ResumePoint | None = None
    ) -> HttpFlow[MediaHead]:
        """Ask for media: the last request is streamed, its first bytes are judged.

        Args:
            action: of the API.
            parameters: of the action.
            now: the clock.
            point: from where on they are wanted; the server may send all of them all the same.

        Raises:
            RecordingDamaged: the server sent nothing.
            DownloadRefused: it sent something else than media.
            DownloadPostponed: it asks to come back later.
            DownloadInterrupted: it failed.
            RecmonError: as `ask`, where an error came in place of media.
        """
        token = yield from self._ready(now, None)
        more = () if point is None else range_headers(point.offset, point.validator)
        response = yield self._request(action, parameters, token, is_streamed=True, more_headers=more)
        verdict = yield from self._judge(response, point)
        if isinstance(verdict, ApiError) and verdict.is_token_refused and token is not None:
            token = yield from self._ready(now, token)
            response = yield self._request(action, parameters, token, is_streamed=True, more_headers=more)
            verdict = yield from self._judge(response, point)
        if isinstance(verdict, ApiError):
            raise verdict.exception(self._server)
        return verdict

    # Login

    def _ready(self, now: Now, refused: Secret | None) -> HttpFlow[Secret | None]:
        """Return a token that is good for a while; None where none is needed.

        Args:
            now: the clock.
            refused: a token that the server did not take. Another conversation may have got a new one since.
        """
        if self._password is None:
            return None
        if self._token is None or self._token is refused or not self._is_fresh(now()):
            yield from self._log_in(now)
        return self._token

    def _is_fresh(self, at: datetime) -> bool:
        since = self._logged_in_at
        # A clock that was set back tells nothing about the token's age.
        return since is not None and timedelta() <= at - since < RENEW_AFTER

    def _log_in(self, now: Now) -> HttpFlow[None]:
        self._token, self._token_before = None, self._token or self._token_before
        asked_at = now()
        response = yield self._request("RequestToken", (), None, is_login=True)
        answer = self._read(response)
        if isinstance(answer, ApiError):
            raise answer.exception(self._server)
        reply = first(answer, "response")
        token = value_of(answer if reply is None else reply, "token") or value_of(answer, "token")
        if not _TOKEN.fullmatch(token):
            raise MalformedMessage("the server accepted the login, but sent no token")
        # The session's cookie may be told in the document alone (verba.md 5.2).
        name = value_of(answer, "sessioncookiename")
        if name and name not in self._cookies:
            self._keep_cookie(f"{name}={value_of(answer, 'sessionid')}")
        self._token = Secret(token)
        self._logged_in_at = asked_at

    # Requests

    def _request(
        self,
        action: str,
        parameters: Parameters,
        token: Secret | None,
        *,
        is_login: bool = False,
        is_streamed: bool = False,
        more_headers: Parameters = (),
    ) -> HttpRequest:
        options = self._options
        fields = [("action", action), ("apiKey", self._api_key.reveal())]
        if token is not None:
            fields.append(("token", token.reveal()))
        query = urlencode([*fields, *parameters], safe="", quote_via=quote, errors="replace")
        headers = [
            ("Host", options.host_header),
            ("Accept", "*/*"),
            # A compressed body would hide the first bytes, which decide.
            ("Accept-Encoding", "identity"),
            *more_headers,
        ]
        if is_login:
            headers.append(("Authorization", f"Basic {self._credentials()}"))
        if self._cookies:
            pairs = (f"{name}={value.reveal()}" for name, value in self._cookies.items())
            headers.append(("Cookie", "; ".join(pairs)))
        target = f"{options.path}?{query}"
        if len(options.base_url) + len(target) < URL_LIMIT:
            return HttpRequest("GET", target, tuple(headers), is_streamed=is_streamed)
        body = query.encode("ascii")
        headers += [
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Content-Length", str(len(body))),
        ]
        return HttpRequest("POST", options.path, tuple(headers), body, is_streamed=is_streamed)

    def _credentials(self) -> str:
        password = "" if self._password is None else self._password.reveal()
        return base64.b64encode(f"{self._options.user}:{password}".encode()).decode("ascii")

    # Answers

    def _read(self, response: HttpResponse) -> Element | ApiError:
        self._keep_cookie(response.headers.get("set-cookie", ""))
        return read_answer(self._server, response, self._hide)

    def _judge(
        self, response: HttpResponse, point: ResumePoint | None
    ) -> Generator[HttpRequest | ReadMore, HttpResponse, MediaHead | ApiError]:
        """Decide by the first bytes: errors can come with status 200 and any content type (verba.md 5.4)."""
        self._keep_cookie(response.headers.get("set-cookie", ""))
        if point is not None and range_start(response) == point.offset:
            # The middle of a file looks like nothing; its beginning was judged when it came.
            return MediaHead(point.extension, point.offset)
        refusal = status_error(self._server, response.status, is_media=True)
        kind = sniff(response.body, is_complete=response.is_complete)
        while kind is None:
            wanted = SNIFF_SIZE if len(response.body) < SNIFF_SIZE else WHITE_SPACE_LIMIT + 1
            response = yield ReadMore(wanted)
            kind = sniff(response.body, is_complete=response.is_complete)
        if kind is MediaKind.MARKUP or _DOCUMENT.match(response.body):
            if not response.is_complete and len(response.body) <= ERROR_LIMIT:
                response = yield ReadMore(ERROR_LIMIT + 1)
            error = self._error_document(response)
            if error is not None:
                return error
            raise refusal or DownloadRefused(
                "a web page came instead of a recording"
                if is_page(response.body)
                else "an XML document came instead of a recording"
            )
        if refusal is not None:
            raise refusal
        if kind is MediaKind.EMPTY:
            raise RecordingDamaged("the server sent an empty file")
        label = response.headers.get("content-type", "").lower()
        is_text = kind is MediaKind.RAW and (label.startswith("text/") or "xml" in label or "json" in label)
        if is_text or kind is MediaKind.JSON or not response.body.strip():
            raise DownloadRefused("a text came instead of a recording")
        return MediaHead(kind.extension)

    def _error_document(self, response: HttpResponse) -> ApiError | None:
        if len(response.body) > ERROR_LIMIT:
            return None
        try:
            return error_in(read_root(response.body), self._hide)
        except MalformedMessage:
            return None

    def _keep_cookie(self, text: str) -> None:
        """Take in `name=value`, perhaps with attributes behind it, unless it cannot stand in a header."""
        found = _COOKIE.match(text[:_COOKIE_LIMIT])
        if found is None or (found[1] not in self._cookies and len(self._cookies) >= COOKIES_KEPT):
            return
        self._cookies[found[1]] = Secret(found[2])

    def _hide(self, text: str) -> str:
        secrets = [self._api_key, self._password, self._token, self._token_before, *self._cookies.values()]
        values = [secret.reveal() for secret in secrets if secret is not None]
        if self._password is not None:
            values.append(self._credentials())
        for value in sorted(values, key=len, reverse=True):
            for form in {value, quote(value, safe="", errors="replace")}:
                text = text.replace(form, "****") if form else text
        return mask(text)
