"""What a check asks a telephony provider: one harmless question that proves the key."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from recmon.domain.checks import Finding
from recmon.protocol.http import HttpFlow
from recmon.vendors.base import CheckedPlace, HttpQuestion, Now
from recmon.vendors.telephony.contract import TelephonyAdapter
from recmon.vendors.telephony.options import TelephonyOptions


def checked_places(
    options: TelephonyOptions, make_adapter: Callable[[], TelephonyAdapter]
) -> tuple[CheckedPlace, ...]:
    """Return the provider's programming interface, where it has one.

    Args:
        options: the server's own.
        make_adapter: looks the secrets up; called when the question is asked.
    """
    parts = urlsplit(options.api)
    if not parts.hostname:
        return ()

    def ask(now: Now) -> HttpFlow[Finding]:
        question = make_adapter().test(now)
        if question is None:
            raise ValueError("an adapter with an interface must be able to test it")
        return question

    port = parts.port or (443 if parts.scheme == "https" else 80)
    tls = options.tls if parts.scheme == "https" else None
    question = HttpQuestion("provider", options.api, ask)
    return (CheckedPlace("", parts.hostname, port, tls, http_questions=(question,)),)
