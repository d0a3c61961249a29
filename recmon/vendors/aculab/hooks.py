"""The web hooks of Aculab Cloud: the instance info in a request, and the answer (aculab.md 2, 7 and 11)."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from urllib.parse import unquote_to_bytes

from recmon.domain.calls import Direction
from recmon.domain.events import ServerWarning
from recmon.errors import HookUnreadable
from recmon.protocol.json import JsonValue
from recmon.settings.model import Secret
from recmon.vendors.aculab.instance import InstanceInfo, read_instance
from recmon.vendors.aculab.translate import DIRECTIONS, Translation, has_ended
from recmon.vendors.hooks import HookAnswer, HookRequest, HookResult, read_hook_json

ARGUMENT = "instance_info"
COPY = "copy"
"""Below our address: where an application sends copies of what it gets, so that no warning is due."""

KNOWN_RUNS = 10_000
RUNS_WITH_WORDS = 300
DIFFERENT_WORDS = 1_000
"""Of one run; more are not told apart from repeated deliveries."""

MOST_FIELDS = 100
"""Of a form; more are not looked through."""

NO_CONTENT = HookAnswer(204)
NO_ACTIONS = HookAnswer(200, b'{"actions": []}', "application/json")


class AculabHookParser:
    """Understands the page requests of one account's services.

    It remembers, in memory and of the latest runs, whether the run's call came in or went out: requests with
    words of a call do not tell it, and without it nobody knows who spoke. Likewise which words were told: the
    same words with others between them were said again, and were not delivered again.

    Args:
        server: its name in the settings.
        secret: the part of our address that only the account's services and applications know.
    """

    def __init__(self, server: str, secret: Secret) -> None:
        self._server = server
        self._secret = secret
        self._directions: OrderedDict[str, Direction] = OrderedDict()
        self._words: OrderedDict[str, _Words] = OrderedDict()

    @property
    def secret(self) -> Secret:
        return self._secret

    def verify(self, request: HookRequest) -> str | None:
        """Return None: no signature of the platform is known; the secret address is all (aculab.md 2)."""
        return None

    def parse(self, request: HookRequest) -> HookResult:
        data = _document(request)
        value = read_hook_json(data)
        info = read_instance(value)
        self._note_direction(info)
        translation = Translation(info, request.at, data, self._directions.get(info.run))
        events = list(translation.events())
        page = _deciding_page(info)
        if page is not None and request.path != COPY:
            events.append(ServerWarning(request.at, self._mistake(page)))
        answer = NO_CONTENT if info.is_notification else NO_ACTIONS
        return HookResult(tuple(events), answer, self._delivery(info, value), info.run)

    def _note_direction(self, info: InstanceInfo) -> None:
        direction = DIRECTIONS.get(info.this_call.direction) if info.this_call else None
        if direction is None:
            return
        # Of a run with calls both ways, who spoke is not guessed.
        known = self._directions.setdefault(info.run, direction)
        if known is not direction:
            self._directions[info.run] = Direction.UNKNOWN
        self._directions.move_to_end(info.run)
        if len(self._directions) > KNOWN_RUNS:
            self._directions.popitem(last=False)

    def _delivery(self, info: InstanceInfo, value: JsonValue) -> str:
        told = _digest(info, value)
        if info.result is None or not info.result.phrases:
            return told
        words = self._words.setdefault(info.run, _Words())
        self._words.move_to_end(info.run)
        if len(self._words) > RUNS_WITH_WORDS:
            self._words.popitem(last=False)
        return f"{told} {words.time_of(told)}"

    def _mistake(self, page: str) -> str:
        return (
            f"The {page} page of a service of {self._server} points at recmon by mistake: recmon answers "
            "without any action, and the platform hangs the call up. Set that page to the application again, "
            f"and have the application send copies to this address with /{COPY} behind it."
        )


class _Words:
    """The words of one run, in the order in which they were told."""

    def __init__(self) -> None:
        self._last = ""
        self._times: dict[str, int] = {}

    def time_of(self, told: str) -> int:
        """Return for which time these words are said, counted from 0."""
        if told != self._last and (told in self._times or len(self._times) < DIFFERENT_WORDS):
            self._times[told] = self._times.get(told, -1) + 1
            self._last = told
        return self._times.get(told, 0)


def _document(request: HookRequest) -> bytes:
    """Return the instance info's own bytes: the body, a form field, or a query argument (aculab.md 11.2).

    Raises:
        HookUnreadable: there is none.
    """
    body = request.body.strip()
    # By the content, not by its label: `curl -d` calls everything a form.
    if body and not body.startswith((b"{", b"[")):
        field = _form_field(body)
        if field is not None:
            return field
    argument = request.argument(ARGUMENT)
    if not body or (argument is not None and not body.startswith((b"{", b"["))):
        if argument is None or not argument.strip():
            raise HookUnreadable(f"no {ARGUMENT}: neither a body, nor a form field, nor a query argument")
        return argument.encode("utf-8", "surrogateescape")
    return request.body


def _form_field(body: bytes) -> bytes | None:
    for pair in body.split(b"&", MOST_FIELDS)[:MOST_FIELDS]:
        name, _, value = pair.partition(b"=")
        if name == ARGUMENT.encode():
            return unquote_to_bytes(value.replace(b"+", b" "))
    return None


def _deciding_page(info: InstanceInfo) -> str | None:
    """Return which page this is if its answer decides what becomes of a call; None for others."""
    call = info.this_call
    if info.is_notification or info.progress is not None or call is None or has_ended(call):
        return None
    if info.error is not None:
        return "error"
    return "first" if info.result is None else "next"


def _digest(info: InstanceInfo, value: JsonValue) -> str:
    """Return what a repeated delivery has in common with the first (aculab.md 7).

    The call's duration may have grown meanwhile. The parts about actions are in it whole: several results of
    one action, such as the phrases of a transcription, must not be taken for one.
    """
    call = info.this_call
    named = value if isinstance(value, dict) else {}
    parts = [
        info.run,
        (call.call_id, call.state, call.cause) if call else None,
        *(named.get(part) for part in ("action_result", "action_progress", "error_result")),
        [dropped.call_id for dropped in info.dropped],
        info.is_notification,
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
