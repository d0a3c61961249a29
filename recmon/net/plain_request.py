"""Recognises the requests that nearly all senders send, so that the many of a flood are refused cheaply.

It decides nothing: whatever is not plain, in any way, is for the real reader of HTTP.
"""

from __future__ import annotations

import re

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_HEAD = re.compile(
    rb"(?:POST|GET) (?P<path>/[!-~]*) HTTP/1\.1\r\n(?P<fields>(?:" + _TOKEN + rb":[ \t]*[\t -~]*\r\n)*+)\r\n"
)
# Names that change how a message is framed or answered.
_UNUSUAL = re.compile(
    rb"^(?:transfer-encoding|content-encoding|connection|expect|upgrade|te|trailer)[ \t]*:",
    re.IGNORECASE | re.MULTILINE,
)
_LENGTH = re.compile(rb"^content-length:[ \t]*([0-9]{1,7})[ \t]*\r\n", re.IGNORECASE | re.MULTILINE)
_LENGTH_NAME = re.compile(rb"^content-length", re.IGNORECASE | re.MULTILINE)


def path_of_plain(data: bytes, most_head_bytes: int, most_fields: int) -> str | None:
    """Return the path of a request; None where the bytes are anything but exactly one whole, plain request.

    Args:
        data: what came at once.
        most_head_bytes: a longer head is not plain.
        most_fields: more header fields are not plain.
    """
    found = _HEAD.match(data)
    if found is None or found.end() > most_head_bytes:
        return None
    fields = found["fields"]
    if fields.count(b"\n") > most_fields or _UNUSUAL.search(fields):
        return None
    length = _LENGTH.search(fields)
    if length is None:
        # A body without a length has no end; a GET has none.
        is_whole = data.startswith(b"GET ") and len(data) == found.end() and not _LENGTH_NAME.search(fields)
    else:
        is_alone = len(_LENGTH_NAME.findall(fields)) == 1
        is_whole = is_alone and len(data) == found.end() + int(length[1])
    return found["path"].decode("ascii") if is_whole else None
