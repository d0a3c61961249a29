"""What an answer of the HTTP Business API says, and what its errors mean (verba.md 5.4).

The vendor's samples print code 2 for most errors, a public client lists negative codes: both are understood,
and of codes that are not known the words decide. Whatever is not zero is a failure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from recmon.errors import (
    AuthenticationFailed,
    DownloadInterrupted,
    DownloadPostponed,
    DownloadRefused,
    MalformedMessage,
    RecmonError,
    RecordingMissing,
    RequestRefused,
)
from recmon.logs import printable
from recmon.protocol.http import HttpResponse
from recmon.protocol.xml import Element, read_document
from recmon.vendors.verba.cdr import plain

ELEMENT_LIMIT = 200_000
"""A server that ignores paging may send a whole day in one page."""

WORDS_LIMIT = 200

TOKEN_CODES = frozenset({-42, -43})
"""Login required, token expired: a new login may help, once."""

_CREDENTIAL_CODES = frozenset({-40, -41}) | TOKEN_CODES
_MISSING_CODES = frozenset({-50, -70, -71})
_MEANINGS = {
    -1: "an unexpected error in the server",
    -10: "the server's evaluation period has ended",
    -20: "the server did not accept the parameters",
    -30: "the server does not know this action",
    -40: "the server refused the user name or password",
    -41: "the server refused the API key",
    -42: "the server wants a login",
    -43: "the login has expired",
    -50: "the server does not know this call",
    -60: "the server did not accept the business id",
    -70: "the server has no recording of this call",
    -71: "the server has no video of this call",
    -80: "the server does not know this property",
}
_MISSING_WORDS = re.compile(
    r"\b(?:call|media|recording|conversation|cdr)\b"
    r".*\b(?:(?:can)?not (?:be )?found|not exist|not available|unknown)\b"
    r"|\bno (?:such |matching )?(?:call|media|recording|conversation)\b",
    re.IGNORECASE | re.DOTALL,
)
_TOKEN_WORDS = re.compile(
    r"\btoken\b.*\b(?:expired|invalid|not valid|missing|required)\b"
    r"|\b(?:expired|invalid|missing)\b.*\btoken\b|\blog ?in (?:is )?(?:required|needed)\b",
    re.IGNORECASE | re.DOTALL,
)
_CREDENTIAL_WORDS = re.compile(
    r"\b(?:invalid|wrong|unknown|bad|incorrect)\b.*\b(?:credentials?|password|user ?name|api ?key)\b"
    r"|\b(?:credentials?|password|api ?key)\b.*\b(?:invalid|wrong|unknown|incorrect|not valid)\b",
    re.IGNORECASE | re.DOTALL,
)

_ROOTS = frozenset({"verbaapi", "response", "verbacdrlist", "verbacdr"})
_PAGE = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^<>]*>\s*)?<(?:!doctype html|html|head|body)", re.IGNORECASE
)

Hide = Callable[[str], str]
"""Takes credentials out of a text that the server wrote."""


@dataclass(frozen=True, slots=True)
class ApiError:
    """An answer with a code other than zero.

    Attributes:
        code: as the server wrote it; empty where it wrote none.
        words: the server's own, without credentials, fit to show; may be empty.
    """

    code: str
    words: str

    @property
    def number(self) -> int | None:
        """The code as a number, or None where it is none."""
        try:
            return int(self.code)
        except ValueError:
            return None

    @property
    def is_token_refused(self) -> bool:
        """Whether a new login may help."""
        return self.number in TOKEN_CODES or (self._is_unknown and bool(_TOKEN_WORDS.search(self.words)))

    @property
    def _is_unknown(self) -> bool:
        return self.number not in _MEANINGS

    def exception(self, server: str) -> RecmonError:
        """Return what it means to the program."""
        code = self.code or "missing"
        meaning = _MEANINGS.get(self.number, "") if self.number is not None else ""
        detail = ": ".join(filter(None, (meaning, self.words))) or "the server gave no reason"
        is_by_words = self._is_unknown
        if (
            self.number in _CREDENTIAL_CODES
            or self.is_token_refused
            or (is_by_words and _CREDENTIAL_WORDS.search(self.words))
        ):
            return AuthenticationFailed(server, f"{detail} (code {code})")
        if self.number in _MISSING_CODES or (is_by_words and _MISSING_WORDS.search(self.words)):
            return RecordingMissing(detail, code=code)
        return RequestRefused(detail, code=code)


def read_answer(server: str, response: HttpResponse, hide: Hide) -> Element | ApiError:
    """Return the document that an answer holds, or the error that it tells.

    Args:
        server: its name in the settings.
        response: the whole answer.
        hide: takes credentials out of the server's words.

    Raises:
        AuthenticationFailed: HTTP status 401 or 403.
        RequestRefused: any other status than 200, without a document that says more.
        MalformedMessage: something else than a document of this API.
    """
    refusal = status_error(server, response.status)
    if isinstance(refusal, AuthenticationFailed):
        raise refusal
    try:
        root = read_root(response.body)
    except MalformedMessage:
        if refusal is not None:
            raise refusal from None
        raise
    error = error_in(root, hide)
    if error is None and refusal is not None:
        raise refusal
    return error or root


def read_root(body: bytes) -> Element:
    """Return the root of a document of this API.

    Raises:
        MalformedMessage: it is empty, a web page, or cannot be read.
    """
    if not body.startswith((b"\xff\xfe", b"\xfe\xff")):
        # Some servers write texts with the terminator of their own language behind them.
        body = body.strip(b" \t\r\n\0")
    if not body:
        raise MalformedMessage("the answer is empty")
    if is_page(body):
        raise MalformedMessage("a web page came instead of an answer: check the path in url")
    root = read_document(body, element_limit=ELEMENT_LIMIT)
    if plain(root.name) not in _ROOTS:
        raise MalformedMessage(f"the answer is another kind of XML: {printable(root.name, 40)}")
    return root


def is_page(body: bytes) -> bool:
    """Tell whether a body is a web page by its beginning."""
    return bool(_PAGE.match(body))


def error_in(root: Element, hide: Hide) -> ApiError | None:
    """Return the error that a document tells, wherever in it, or None."""
    response = first(root, "response")
    code = "" if response is None else attribute(response, "code").strip()
    message = first(root, "errormessage")
    if code:
        if code.lstrip("+-").isdecimal() and int(code) == 0:
            return None
    elif message is None:
        # A list of calls may come without a `Response` around it (verba.md 4.1).
        return None
    words = "" if message is None else " ".join((attribute(message, "description"), message.text)).strip()
    # Cut before it is searched: nobody reads more, and the search is not linear.
    return ApiError(printable(code, 20), printable(hide(words[: 4 * WORDS_LIMIT]), WORDS_LIMIT))


def status_error(server: str, status: int, *, is_media: bool = False) -> RecmonError | None:
    """Return what an HTTP status means by itself, or None for 200.

    Args:
        server: its name in the settings.
        status: HTTP status.
        is_media: whether a recording was asked for.
    """
    if status == 200:
        return None
    code = f"HTTP {status}"
    if status in (401, 403):
        what = "the login or the API key" if status == 401 else "access, perhaps for this computer's address"
        return AuthenticationFailed(server, f"the server refused {what} ({status})", status=status)
    if is_media and status in (429, 503):
        return DownloadPostponed("the server asks to come back later", code=code)
    if is_media and status >= 500:
        return DownloadInterrupted("the server, or one in front of it, failed", code=code)
    if 300 <= status < 400:
        reason = "the server points to another address, which is not followed: check url"
    elif status == 404:
        reason = "the server does not offer its API at this address: check the path in url"
    else:
        reason = "the server refused the request"
    return DownloadRefused(reason, code=code) if is_media else RequestRefused(reason, code=code)


def first(root: Element, name: str) -> Element | None:
    """Return the first element of a name, in whatever spelling; results stand inside or beside `Response`."""
    return next(all_of(root, name), None)


def all_of(root: Element, name: str) -> Iterator[Element]:
    """Yield the elements of a name in document order, none from inside another of them."""
    if plain(root.name) == name:
        yield root
        return
    for child in root.children:
        yield from all_of(child, name)


def attribute(element: Element, name: str) -> str:
    """Return an attribute in whatever spelling, or an empty text."""
    return next((value for key, value in element.attributes.items() if plain(key) == name), "")


def value_of(root: Element, *names: str) -> str:
    """Return the first text found under one of the names, as an element or an attribute of any element."""
    for name in names:
        for element in root.descendants():
            text = element.text.strip() if plain(element.name) == name else ""
            if text := text or attribute(element, name).strip():
                return text
    return ""
