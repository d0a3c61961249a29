"""The request that fetches what a link names. Whether it may be followed is decided where it is run."""

from __future__ import annotations

from urllib.parse import urljoin

from recmon.protocol.http import HttpRequest
from recmon.vendors.links import split_link

MOST_REDIRECTS = 5


def get(link: str) -> HttpRequest:
    """Return a plain request for a link, without any key of ours.

    Raises:
        LinkRefused: it is no web address.
    """
    origin, target = split_link(link)
    return HttpRequest(
        "GET",
        target,
        (("Host", origin.host_header), ("Accept", "*/*"), ("Accept-Encoding", "identity")),
        origin=str(origin),
    )


def follow(request: HttpRequest, location: str, api: str) -> HttpRequest:
    """Return the request to which a redirect leads.

    Args:
        request: what was asked.
        location: the redirect's header.
        api: scheme, host and port of the conversation's own server.

    Raises:
        LinkRefused: it is no web address.
    """
    return get(urljoin((request.origin or api) + request.target, location))
