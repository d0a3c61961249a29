"""Calls that go on, asked of CC-CMS again and again (ccfs.md 7.1).

What is asked for is documented; the answer about several agents at a time was not seen, so it is read
tolerantly: whatever in it looks like a call id counts, and the agent in whose part of the answer it stands.
Neither says whether a call rings or is held, nor when it began: both stay unknown until its record is there.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from recmon.domain.calls import CallState, Direction, Party
from recmon.domain.cdr import CdrRecord
from recmon.domain.events import CallFacts
from recmon.errors import MalformedMessage, RecmonError, RecordingError, RequestRefused
from recmon.protocol.http import HttpFlow
from recmon.settings.model import Secret, TlsOptions
from recmon.vendors.base import Now
from recmon.vendors.huawei_ccfs.codes import is_success, read_reply, reply_error, status_error
from recmon.vendors.huawei_ccfs.options import CcfsOptions, CmsOptions
from recmon.vendors.huawei_ccfs.signing import RequestSigner

PREFIX = "/rest/cmsapp"
CALLS_OF_AGENTS = f"{PREFIX}/v1/openapi/agentgroup/queryagentcalls"
BASIC_INFORMATION = f"{PREFIX}/v1/openapi/calldata/querybasiccallinfo"
PAST_CALLS = f"{PREFIX}/v2/openapi/vdn/querycalls"

DETAILS_AT_A_TIME = 20
"""New calls that one round asks about; the others wait for the next."""

DETAILS_ID_LIMIT = 20
"""Characters of a `callId` that can be asked about singly."""

DETAILS_REFUSED = 5
"""So many refusals in a row, and no single call is asked about any more: this site does not offer it."""

PAGE_LENGTH = 100
MOST_PAGES = 10
EARLIER = timedelta(hours=1)
"""Records are searched for from so long before a call was first seen: it may have gone on already."""

_CALL_ID = re.compile(r"\d{6,}-\d+")
_PARTIES = {"caller": ("callingNum", "callerNo"), "callee": ("calledNum", "calleeNo")}


class CmsFlows:
    """Asks one CC-CMS; see `vendors.polls.PollFlows`.

    Args:
        options: of the CC-FS that it belongs to.
        cms: its own options.
        server: name of the server in the settings.
        secret_key: the secret of the access key.
    """

    def __init__(self, options: CcfsOptions, cms: CmsOptions, server: str, secret_key: Secret) -> None:
        self._options = options
        self._cms = cms
        self._server = server
        self._signer = RequestSigner(options, secret_key, cms.host_header)
        self._agents = tuple(cms.agents())
        self._refused_in_a_row = 0
        self._unasked: set[str] = set()

    @property
    def base_url(self) -> str:
        return self._cms.base_url

    @property
    def tls(self) -> TlsOptions:
        return self._options.cms_tls

    def ongoing(self, known: Collection[str], now: Now) -> HttpFlow[tuple[CallFacts, ...]]:
        """Ask which calls the agents have; of new ones also who talks to whom, where the site tells that."""
        agents = yield from self.ongoing_ids(now)
        self._unasked = {call_id for call_id in agents if call_id not in known or call_id in self._unasked}
        asked: dict[str, Mapping[str, Any]] = {}
        for call_id in sorted(self._unasked)[:DETAILS_AT_A_TIME]:
            asked[call_id] = yield from self._details(call_id, now)
            self._unasked.discard(call_id)
        return tuple(_going_on(call_id, agent, asked.get(call_id, {})) for call_id, agent in agents.items())

    def ongoing_ids(self, now: Now) -> HttpFlow[Mapping[str, str]]:
        """Ask which calls the agents have; return the agent of each by the call's id."""
        message = {"ccId": self._cms.cc_id, "vdn": self._cms.vdn, "agentIds": list(self._agents)}
        return dict(_calls_in((yield from self._ask(CALLS_OF_AGENTS, message, now))))

    def ended(self, wanted: Mapping[str, datetime], now: Now) -> HttpFlow[tuple[CallFacts, ...]]:
        """Ask for the records of calls that are over, as far as they are there."""
        found: dict[str, CallFacts] = {}
        begin = min(wanted.values()) - EARLIER
        # the filter by agent is said to be ignored, so the calls are picked here (ccfs.md 7.1)
        for direction, is_call_in in ((Direction.INCOMING, "true"), (Direction.OUTGOING, "false")):
            offset = 0
            for _ in range(MOST_PAGES):
                message = {
                    "ccId": self._cms.cc_id,
                    "vdn": self._cms.vdn,
                    "beginDate": _milliseconds(begin),
                    "endDate": _milliseconds(now()),
                    "isCallIn": is_call_in,
                    "limit": PAGE_LENGTH,
                    "offset": offset,
                }
                rows = _rows((yield from self._ask(PAST_CALLS, message, now)))
                found |= {
                    facts.native_id: facts
                    for row in rows
                    if (facts := _over(row, direction)).native_id in wanted
                }
                offset += len(rows)
                if len(rows) < PAGE_LENGTH or len(found) == len(wanted):
                    break
        return tuple(found.values())

    def _details(self, call_id: str, now: Now) -> HttpFlow[Mapping[str, Any]]:
        if self._refused_in_a_row >= DETAILS_REFUSED or len(call_id) > DETAILS_ID_LIMIT:
            return {}
        message = {"ccId": self._cms.cc_id, "vdn": self._cms.vdn, "callId": call_id}
        try:
            told = yield from self._ask(BASIC_INFORMATION, message, now)
        except RequestRefused:
            # it may just have ended, or the site does not offer this
            self._refused_in_a_row += 1
            return {}
        self._refused_in_a_row = 0
        told = told[0] if isinstance(told, list) and told else told
        return _stripped(told) if isinstance(told, Mapping) else {}

    def _ask(self, path: str, message: Mapping[str, Any], now: Now) -> HttpFlow[Any]:
        response = yield self._signer.post(path, message, now())
        failure = status_error(self._server, response.status, response.headers, now())
        if failure is not None:
            raise _as_question(failure)
        reply = read_reply(response.body)
        if reply is None:
            raise MalformedMessage("CC-CMS answered with something else than an object in JSON")
        if not is_success(reply):
            error = reply_error(self._server, reply, response.headers, now())
            told = error or MalformedMessage("the answer of CC-CMS does not say whether it worked")
            raise _as_question(told)
        # the data moved from one place to the other with version 8.13 (ccfs.md 6)
        data = reply.get("resultDesc")
        return data if isinstance(data, dict | list) else reply.get("resultDatas")


def _as_question(error: RecmonError) -> RecmonError:
    """Return a refusal as those who ask for calls expect it; what may pass stays what it is."""
    if isinstance(error, RecordingError) and not error.retryable:
        return RequestRefused(error.reason, code=error.code or "-")
    return error


def _calls_in(data: object, agent: str = "") -> Iterator[tuple[str, str]]:
    """Yield all call ids of an answer, each with the agent in whose part it stands."""
    if isinstance(data, str):
        if _CALL_ID.fullmatch(data.strip()):
            yield data.strip(), agent
    elif isinstance(data, list):
        for item in data:
            yield from _calls_in(item, agent)
    elif isinstance(data, Mapping):
        told = _stripped(data)
        own = next((str(told[name]) for name in ("agentId", "agentid", "workNo") if name in told), agent)
        for name, item in told.items():
            # an object may also be a list of agents, each under its number
            yield from _calls_in(item, name if name.isdigit() else own)


def _rows(data: object) -> list[Mapping[str, Any]]:
    rows = data.get("data") if isinstance(data, Mapping) else data
    return [_stripped(row) for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []


def _going_on(call_id: str, agent: str, told: Mapping[str, Any]) -> CallFacts:
    fields = [("callId", call_id), ("agentId", agent), *_texts(told)]
    return CallFacts(
        native_id=call_id,
        caller=_party(told, "caller"),
        callee=_party(told, "callee"),
        cdr=CdrRecord.of((name, value) for name, value in fields if value),
    )


def _over(row: Mapping[str, Any], direction: Direction) -> CallFacts:
    begins = [at for name in ("waitBegin", "ackBegin", "callBegin") if (at := _time(row.get(name)))]
    cause = str(row.get("leaveReason") or "")
    return CallFacts(
        native_id=str(row.get("callId", "")),
        state=CallState.ENDED,
        direction=direction,
        caller=_party(row, "caller"),
        callee=_party(row, "callee"),
        started_at=min(begins, default=None),
        answered_at=_time(row.get("callBegin")),
        ended_at=_time(row.get("callEnd")),
        cause=f"code {cause}" if cause and cause != "0" else None,
        cdr=CdrRecord.of(_texts(row)),
    )


def _party(told: Mapping[str, Any], side: str) -> Party | None:
    number = next((str(told[name]) for name in _PARTIES[side] if told.get(name)), "")
    return Party(number) if number else None


def _texts(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in told.items():
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            yield name, str(value)


def _stripped(told: Mapping[Any, Any]) -> Mapping[str, Any]:
    # a vendor sample has white space inside its keys (ccfs.md 3)
    return {str(name).strip(): value for name, value in told.items()}


def _time(value: object) -> datetime | None:
    """Read milliseconds, as text or number; nothing, zero and less mean that it did not happen."""
    text = str(value).strip()
    if not text.isascii() or not text.isdigit() or not 9 < len(text) < 15:
        return None
    return datetime.fromtimestamp(int(text) / 1000, UTC)


def _milliseconds(at: datetime) -> str:
    # texts, as in the samples; an older table calls them numbers (ccfs.md 7.1)
    return str(round(at.timestamp() * 1000))
