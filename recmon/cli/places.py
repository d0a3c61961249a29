"""`recmon place`: where the recordings of a server's last calls are looked for."""

from __future__ import annotations

import argparse

from recmon.cli.console import EXIT_DONE, UsageError, print_line, print_object, tell
from recmon.cli.opening import opened
from recmon.domain.calls import ServerId
from recmon.domain.recordings import LocatorKind, RecordingTemplate
from recmon.domain.templates import TriedPlace, template_problem
from recmon.logs import printable

_TEXT_LIMIT = 1000


async def place(options: argparse.Namespace) -> int:
    """Print what the template in use, or the one that is given, makes of the last calls.

    Raises:
        UsageError: there is no such template, or it cannot be used.
        SettingsError: there is no such server.
    """
    server = ServerId(options.server)
    async with opened(options) as services:
        template = _given(options.template) if options.template else services.places.template(server)
        if template is None:
            raise UsageError(
                f"{server} has no recording in the settings; try one, such as "
                "'folder=Y:/3rdfile/7/{started_at:%Y%m%d}/{native_id}'"
            )
        calls = await services.places.last_calls(server, options.limit)
        tried = services.places.try_out(server, template, calls)
    for result in tried:
        if options.json:
            print_object(
                {"call_id": str(result.call.key), "place": result.place, "reason": result.reason or None}
            )
        else:
            print_line(_line(result))
    if not options.json:
        found = sum(result.place is not None for result in tried)
        tell(f"{found} of {len(tried)} calls have a place ({template.kind.value})")
    return EXIT_DONE


def _given(text: str) -> RecordingTemplate:
    name, separator, template = text.partition("=")
    kinds = {kind.value: kind for kind in LocatorKind if kind is not LocatorKind.FILE}
    if not separator or not template or name not in kinds:
        raise UsageError(f"a template is KIND=TEXT, with one of {', '.join(kinds)}")
    if problem := template_problem(template):
        raise UsageError(f"the template {problem}")
    return RecordingTemplate(kinds[name], template)


def _line(result: TriedPlace) -> str:
    told = result.reason if result.place is None else result.place
    mark = "-" if result.place is None else "+"
    return f"{mark} {printable(str(result.call.key))}  {printable(told, _TEXT_LIMIT)}"
