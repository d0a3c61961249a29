"""Files of call records and record indexes, as a simulated CC-FS builds them on request (ccfs.md 4.7).

Header row, quoting and encoding are not documented; here they are switches, and so prove nothing.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from recmon.simulators.ccfs_calls import Refused, Site, SiteCall
from recmon.simulators.ccfs_faults import CcfsFaults

_DAYS_AT_A_TIME = 3

_CALL_COLUMNS = [
    "developer",
    "account_id",
    "cc_id",
    "agent_id",
    "call_id",
    "caller_no",
    "callee_no",
    "wait_begin",
    "wait_end",
    "ack_begin",
    "ack_end",
    "call_begin",
    "call_end",
    "device_type",
    "device_no",
    "call_type",
    "release_cause",
    "call_id_num",
    "vdn_id",
    "pre_device_type",
    "pre_device_no",
]
_RECORD_COLUMNS = [
    "developer",
    "account_id",
    "cc_id",
    "agent_id",
    "call_id",
    "caller_no",
    "callee_no",
    "call_begin",
    "call_end",
    "file_name",
    "task_status",
    "task_result",
    "original_file_name",
    "vdn_id",
    "call_type",
    "media_type",
    "user_wanted_skill_id",
    "current_skill_id",
]


@dataclass(frozen=True, slots=True)
class _Job:
    begin: datetime
    end: datetime
    kinds: tuple[str, ...]
    ready_at: datetime


class BillData:
    """Builds such files; every one can be fetched again and again.

    Args:
        site: its calls and time zone.
        faults: how long it takes, and how the tables are written.
    """

    def __init__(self, site: Site, faults: CcfsFaults) -> None:
        self._site = site
        self._faults = faults
        self._jobs: dict[str, _Job] = {}

    def query(self, begin: str, end: str, kind: str, now: datetime) -> str:
        """Take an order; return the id under which it will be answered.

        Args:
            begin: earliest begin of a call, in the tenant's time.
            end: latest.
            kind: `call`, `record` or `call_record`.
            now: the server's time.
        """
        first, last = self._time(begin), self._time(end)
        if first > last:
            raise Refused("0300013", "the begin lies after the end")
        if last - first > timedelta(days=_DAYS_AT_A_TIME):
            raise Refused("0300004", "more than three days")
        if kind not in ("call", "record", "call_record"):
            raise Refused("0300004", "dataType has a wrong form")
        order: UUID = uuid4()
        date = now.astimezone(self._site.zone).strftime("%Y%m%d")
        ready_at = now + timedelta(seconds=self._faults.bill_after_s)
        self._jobs[f"{date}_{order.hex}.zip"] = _Job(first, last, tuple(kind.split("_")), ready_at)
        return str(order)

    def content(self, name: str, now: datetime) -> bytes:
        """Return the file of this name once it is built."""
        job = self._jobs.get(name)
        if job is None or now < job.ready_at:
            raise Refused("0300011", "the file does not exist")
        calls = [call for call in self._site.calls() if job.begin <= call.begin <= job.end]
        told = [call for call in calls if call.end is not None]
        packed = io.BytesIO()
        stem = name.removesuffix(".zip")
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            if "call" in job.kinds:
                rows = (row for call in told for row in self._call_rows(call))
                archive.writestr(f"{stem}_call_1.csv", self._table(_CALL_COLUMNS, rows))
            if "record" in job.kinds:
                rows = (row for call in told for row in self._record_rows(call))
                archive.writestr(f"{stem}_record_1.csv", self._table(_RECORD_COLUMNS, rows))
        return packed.getvalue()

    def _call_rows(self, call: SiteCall) -> Iterator[Sequence[str]]:
        """Yield the legs: the queue first where the call came in, and the agent last."""
        answered = call.answered or call.end or call.begin
        direction = "0" if call.is_call_in else "1"
        vdn = str(self._site.vdn)
        start = (*self._account(), call.agent_id, call.call_id, call.caller_no, call.callee_no)
        waited = (self._text(call.begin), self._text(answered))
        if call.is_call_in:
            yield (*start, *waited, "", "", "", "", "1", "21", direction, "0", "0", vdn, "3", "10")
        times = (
            self._text(call.begin),
            self._text(answered),
            self._text(call.answered),
            self._text(call.end),
        )
        cause = str(call.release_cause)
        yield (*start, *waited, *times, "2", call.agent_id, direction, cause, "-1", vdn, "1", "21")

    def _record_rows(self, call: SiteCall) -> Iterator[Sequence[str]]:
        for path in call.files:
            name = path.rpartition("/")[2].rpartition(".")[0]
            day = call.begin.astimezone(self._site.zone).strftime("%Y%m%d")
            relative = f"/1/1/record/{self._site.vdn}/{day}/{call.agent_id}/{name}.wav"
            yield (
                *self._account(),
                call.agent_id,
                call.call_id,
                call.caller_no,
                call.callee_no,
                self._text(call.answered),
                self._text(call.end),
                relative,
                "2",
                "0",
                path.replace("/", "\\"),
                str(self._site.vdn),
                "0" if call.is_call_in else "1",
                "5",
                "21",
                "21",
            )

    def _account(self) -> tuple[str, str, str]:
        return ("demo", "demo-account", "1")

    def _table(self, columns: Sequence[str], rows: Iterator[Sequence[str]]) -> bytes:
        text = io.StringIO()
        writer = csv.writer(text, quoting=csv.QUOTE_ALL) if self._faults.bill_quoting else csv.writer(text)
        if self._faults.bill_header:
            writer.writerow(columns)
        writer.writerows(rows)
        return text.getvalue().encode(self._faults.bill_encoding)

    def _text(self, at: datetime | None) -> str:
        return "" if at is None else at.astimezone(self._site.zone).strftime("%Y-%m-%d %H:%M:%S")

    def _time(self, text: str) -> datetime:
        try:
            local = datetime.strptime(text, "%Y-%m-%d %H:%M:%S")
        except ValueError:
            raise Refused("0300004", "a time has a wrong form") from None
        return local.replace(tzinfo=self._site.zone).astimezone(UTC)
