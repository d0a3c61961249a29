"""The live questions of CC-CMS, the sister service of CC-FS (ccfs.md 7.1), and a simulated server's answers.

How the calls of several agents come at once is not documented; the form here is an assumption.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from recmon.simulators.ccfs_calls import Refused, Site, SiteCall

PREFIX = "/rest/cmsapp/"
MOST_AGENTS = 3000


class MonitoringAnswers:
    """Answers one question each.

    Args:
        site: its calls.
    """

    def __init__(self, site: Site) -> None:
        self._site = site

    def answer(self, path: str, body: bytes) -> Mapping[str, Any]:
        """Return the reply to a question below `PREFIX`.

        Raises:
            Refused: a result code is the answer.
        """
        try:
            asked = json.loads(body.decode())
        except ValueError:
            raise Refused("0100001", "the body is not JSON") from None
        if not isinstance(asked, dict):
            raise Refused("0100001", "the body is no object")
        match path.removeprefix(PREFIX):
            case "v1/openapi/agentgroup/queryagentcalls":
                data: Any = self._calls_of_agents(asked)
            case "v1/openapi/agent/queryagentcalls":
                data = [
                    call.call_id for call in self._ongoing() if call.agent_id == str(asked.get("agentId"))
                ]
            case "v1/openapi/calldata/querybasiccallinfo":
                data = self._basic(str(asked.get("callId")))
            case "v2/openapi/vdn/querycalls":
                data = self._past(asked)
            case _:
                raise Refused("0100404", "no such question")
        return {"result": "0", "resultCode": "0100000", "resultDesc": data}

    def _ongoing(self) -> list[SiteCall]:
        return [call for call in self._site.calls() if call.end is None]

    def _calls_of_agents(self, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
        agents = asked.get("agentIds")
        if not isinstance(agents, list) or not 0 < len(agents) <= MOST_AGENTS:
            raise Refused("0100002", "agentIds has a wrong form")
        told: dict[str, list[str]] = {str(agent): [] for agent in agents}
        for call in self._ongoing():
            if call.agent_id in told:
                told[call.agent_id].append(call.call_id)
        # a vendor sample has white space inside this key (ccfs.md 3)
        return [{"agentId ": agent, "callIds": calls} for agent, calls in told.items() if calls]

    def _basic(self, call_id: str) -> dict[str, Any]:
        for call in self._ongoing():
            if call.call_id == call_id:
                return {
                    "time": _milliseconds(call.begin),
                    "keyId": "1",
                    "callingNum": call.caller_no,
                    "calledNum": call.callee_no,
                    "deviceType": "2",
                    "deviceNo": call.agent_id,
                }
        raise Refused("0100003", "no such call in progress")

    def _past(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        begin, end = (_time(asked.get(name)) for name in ("beginDate", "endDate"))
        is_call_in = asked.get("isCallIn")
        if begin is None or end is None or is_call_in not in ("true", "false"):
            raise Refused("0100002", "a parameter has a wrong form")
        limit, offset = (_whole(asked.get(name)) for name in ("limit", "offset"))
        found = [
            call
            for call in self._site.calls()
            if call.end is not None
            and begin <= call.begin <= end
            and call.is_call_in == (is_call_in == "true")
        ]
        page = found[offset : offset + limit]
        return {"data": [self._record(call) for call in page], "count": len(found)}

    def _record(self, call: SiteCall) -> dict[str, str]:
        return {
            "logDate": _milliseconds(call.end),
            "callerNo": call.caller_no,
            "calleeNo": call.callee_no,
            "callId": call.call_id,
            "callType": "0" if call.is_call_in else "1",
            "waitBegin": _milliseconds(call.begin),
            "ackBegin": _milliseconds(call.answered),
            "callBegin": _milliseconds(call.answered),
            "callEnd": _milliseconds(call.end),
            "vdn": str(self._site.vdn),
            "leaveReason": str(call.release_cause),
            "mediaType": "5",
            "subMediaType": "0",
        }


def _milliseconds(at: datetime | None) -> str:
    return "" if at is None else str(round(at.timestamp() * 1000))


def _time(value: object) -> datetime | None:
    # the samples write texts, an older table numbers (ccfs.md 7.1)
    text = str(value)
    return datetime.fromtimestamp(int(text) / 1000, UTC) if text.isdigit() and len(text) < 15 else None


def _whole(value: object) -> int:
    text = str(value)
    return int(text) if text.isdigit() and len(text) < 9 else 0
