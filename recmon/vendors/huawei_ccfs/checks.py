"""What a check asks CC-FS: one signed request, whose refusal can prove the key as well as a recording.

Exactly one for each press of a button: wrong signatures lock the caller's address (ccfs.md 2.3). CC-CMS,
where it is asked for calls, gets one too, after that of CC-FS went well.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from urllib.parse import urlsplit

from recmon.domain.checks import Finding, Verdict
from recmon.domain.recordings import LocatorKind
from recmon.errors import AuthenticationFailed, DownloadInterrupted, RecordingError, RequestRefused
from recmon.protocol.http import HttpFlow
from recmon.settings.model import TlsOptions
from recmon.vendors.base import CheckedPlace, HttpQuestion, Now, Reveal
from recmon.vendors.huawei_ccfs.flows import CcfsFlows
from recmon.vendors.huawei_ccfs.monitoring import CmsFlows
from recmon.vendors.huawei_ccfs.options import HTTPS_PORT, CcfsOptions, CmsOptions

MISSING_PATH = "Y:/3rdfile/recmon-check/this-file-should-not-exist.wav"
"""In the form of the vendor's paths (ccfs.md 5), but of no tenant."""

NOTICEABLE_CLOCK_DIFFERENCE_S = 60.0

_NOTHING_THERE = frozenset({300011, 300012})


def checked_places(
    options: CcfsOptions, server: str, reveal: Reveal, path: str | None
) -> tuple[CheckedPlace, ...]:
    """Return the places, each with the one request that is sent there."""
    ask = _signed_request(options, server, reveal, path)
    places = [_place("", options.url, options.tls, HttpQuestion("signature", options.base_url, ask))]
    cms = options.cms
    if cms is not None and cms.agent_ids:
        question = HttpQuestion("calls", cms.base_url, _calls_asked(options, cms, server, reveal))
        places.append(_place("cms ", cms.url, options.cms_tls, question))
    return tuple(places)


def _place(prefix: str, url: str, tls: TlsOptions, question: HttpQuestion) -> CheckedPlace:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or HTTPS_PORT
    return CheckedPlace(prefix, host, port, tls, http_questions=(question,))


def _calls_asked(
    options: CcfsOptions, cms: CmsOptions, server: str, reveal: Reveal
) -> Callable[[Now], HttpFlow[Finding]]:
    def ask(now: Now) -> HttpFlow[Finding]:
        return converse(CmsFlows(options, cms, server, reveal(options.secret_key)), now)

    def converse(flows: CmsFlows, now: Now) -> HttpFlow[Finding]:
        try:
            calls = yield from flows.ongoing_ids(now)
        except AuthenticationFailed as error:
            return _refused(error)
        except RequestRefused as error:
            return Finding(
                Verdict.FAILED, f"CC-CMS refused the question: {error}", "Check cc_id, vdn and agent_ids."
            )
        return Finding(Verdict.OK, f"the agents were found; {len(calls)} of their calls go on")

    return ask


def _signed_request(
    options: CcfsOptions, server: str, reveal: Reveal, path: str | None
) -> Callable[[Now], HttpFlow[Finding]]:
    def ask(now: Now) -> HttpFlow[Finding]:
        return converse(CcfsFlows(options, server, reveal(options.secret_key), UTC), now)

    def converse(flows: CcfsFlows, now: Now) -> HttpFlow[Finding]:
        try:
            yield from flows.download(f"{LocatorKind.PATH.value}:{path or MISSING_PATH}", now)
        except AuthenticationFailed as error:
            return _refused(error)
        except RecordingError as error:
            return _answered(error, is_expected=path is None)
        return Finding(Verdict.OK, "the key was accepted, and the recording is there")

    return ask


def _refused(error: AuthenticationFailed) -> Finding:
    difference_s = error.clock_difference_s
    if error.status == 403:
        return Finding(Verdict.FAILED, error.detail, "Wait, then correct the key before the next check.")
    if difference_s is not None and abs(difference_s) >= NOTICEABLE_CLOCK_DIFFERENCE_S:
        minutes = abs(difference_s) / 60
        way = "ahead of" if difference_s > 0 else "behind"
        return Finding(
            Verdict.FAILED,
            f"{error.detail}; its clock is {minutes:.0f} min {way} this computer's",
            "Set the clock of this computer or of the server, then check again.",
        )
    told = (
        "its clock agrees with this computer's" if difference_s is not None else "it does not tell its time"
    )
    return Finding(
        Verdict.FAILED,
        f"{error.detail}; {told}",
        "Check access_key and secret_key, then signed_headers, timestamp and empty_query_line; a proxy that "
        "changes the Host header breaks the signature too. Do not try in quick succession: wrong signatures "
        "lock this computer's address.",
    )


def _answered(error: RecordingError, *, is_expected: bool) -> Finding:
    """Judge a refusal of the file: a result code comes only after the signature was accepted (ccfs.md 6)."""
    code = error.code or ""
    if code.isascii() and code.isdigit():
        is_nothing_there = int(code) in _NOTHING_THERE
        if is_nothing_there and is_expected:
            return Finding(
                Verdict.OK, f"the key was accepted; there is no such file, as intended (code {code})"
            )
        advice = "Check the path: drive, tenant and folder." if is_nothing_there else ""
        return Finding(Verdict.NOTE, f"the key was accepted, but {error.reason} (code {code})", advice)
    if code == "HTTP 404":
        advice = "Check host and port in url: this may be another web server."
    elif isinstance(error, DownloadInterrupted):
        advice = "The server or one in front of it is not well; try again later."
    else:
        advice = "Something in front of the server may have answered; ask its administrator."
    return Finding(Verdict.FAILED, str(error), advice)
