"""What a check asks the web services of Aculab Cloud: the login, by a harmless question for one file."""

from __future__ import annotations

from collections.abc import Callable

from recmon.domain.checks import Finding, Verdict
from recmon.errors import (
    AuthenticationFailed,
    DownloadInterrupted,
    DownloadPostponed,
    MalformedMessage,
    RecordingError,
    RecordingForbidden,
    RecordingMissing,
)
from recmon.protocol.http import HttpFlow
from recmon.vendors.aculab.files import name_fault, read_file_list
from recmon.vendors.aculab.flows import FILE_TYPE
from recmon.vendors.aculab.options import AculabOptions
from recmon.vendors.aculab.web import WebServices
from recmon.vendors.base import CheckedPlace, HttpQuestion, Now, Reveal

MISSING_NAME = "/rest_api/recordings/recmon-check-no-such-file.wav"


def checked_places(
    options: AculabOptions, server: str, reveal: Reveal, path: str | None
) -> tuple[CheckedPlace, ...]:
    """Return the web services, where they are configured. What is pushed to us has no place to ask at."""
    if options.url is None or options.access_key is None:
        return ()
    question = HttpQuestion("login", f"https://{options.host_header}", _login(options, server, reveal, path))
    return (CheckedPlace("", options.host, options.port, options.tls, http_questions=(question,)),)


def _login(
    options: AculabOptions, server: str, reveal: Reveal, path: str | None
) -> Callable[[Now], HttpFlow[Finding]]:
    def ask(now: Now) -> HttpFlow[Finding]:
        assert options.access_key is not None
        return converse(WebServices(options, server, reveal(options.access_key)))

    def converse(services: WebServices) -> HttpFlow[Finding]:
        fault = None if path is None else name_fault(path)
        if fault is not None:
            return Finding(Verdict.FAILED, fault, "Give the name as an event or a list told it.")
        # One name, so that the whole store is not listed for a test (aculab.md 9).
        fields = (("filetype", FILE_TYPE), ("filename", path or MISSING_NAME))
        response = yield services.request("file_list", fields)
        try:
            files = read_file_list(services.json_of(response))
        except RecordingMissing as error:
            return _missing(error, is_expected=path is None)
        except (AuthenticationFailed, RecordingError, MalformedMessage) as error:
            return _refused(error)
        if files is None:
            return Finding(
                Verdict.NOTE,
                "user and access key were accepted; the list of files has a layout that is not known here",
                "Recordings that events name can be fetched all the same.",
            )
        if path is not None and not files:
            return _missing(RecordingMissing("the list has no such file"), is_expected=False)
        found = ", and the file is there" if path is not None else ""
        return Finding(Verdict.OK, f"user and access key were accepted{found}")

    return ask


def _missing(error: RecordingMissing, *, is_expected: bool) -> Finding:
    if is_expected and error.code is not None and not error.code.startswith("HTTP"):
        return Finding(
            Verdict.OK, f"user and access key were accepted; there is no such file, as intended ({error})"
        )
    if is_expected:
        # A 404 may also be another web server's word for an address that it does not have.
        return Finding(
            Verdict.NOTE,
            f"the server answered that there is nothing ({error}); a login that was wrong would be refused",
            "If recordings cannot be fetched, check the host in url.",
        )
    return Finding(
        Verdict.NOTE,
        f"the server answered, but {error.reason}",
        "Check the name of the file; it may also be late.",
    )


def _refused(error: AuthenticationFailed | RecordingError | MalformedMessage) -> Finding:
    match error:
        case AuthenticationFailed():
            text = error.detail
            advice = (
                "Check user (the cloud id, a slash, the account's user) and access_key; "
                "the host in url must be that of the same region."
            )
        case RecordingForbidden():
            text, advice = error.reason, "Ask the account's owner for the right to read media files."
        case DownloadPostponed() | DownloadInterrupted():
            text, advice = error.reason, "Try again later."
        case MalformedMessage():
            text, advice = error.detail, "Check the host in url: something else may have answered."
        case _:
            text, advice = str(error), "Check the host in url."
    return Finding(Verdict.FAILED, text, advice)
