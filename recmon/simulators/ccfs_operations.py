"""What a simulated CC-FS answers to each operation, apart from who may ask and how it is sent."""

from __future__ import annotations

import asyncio
import io
import json
import secrets
import zipfile
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from recmon.simulators.ccfs_bills import BillData
from recmon.simulators.ccfs_calls import Refused, Site
from recmon.simulators.ccfs_faults import CcfsFaults
from recmon.simulators.ccfs_storage import ObjectStorage

PREFIX = "/CCFS/resource/ccfs/"
CMS_DOWNLOAD = "/rest/cmsapp/v1/openapi/hisindex/downloadRecordFile"
PLAY = PREFIX + "playVoice"
OPERATIONS = frozenset(
    PREFIX + name
    for name in (
        "ivr/downloadFile",
        "downloadRecord",
        "downloadRecordFile",
        "downloadIVRRecordFile",
        "downloadOiapRecord",
        "requestPlayVoice",
        "getRecordFileUrlFromObs",
        "queryBillData",
        "downloadBillFile",
    )
) | {CMS_DOWNLOAD}

_TOKEN_LIVES = timedelta(minutes=30)


class Operations:
    """Answers one request each: with the bytes of a file, or with the data of a reply.

    Args:
        site: what there is.
        faults: how it misbehaves.
        storage: hands out links; None: there is no object storage.
    """

    def __init__(self, site: Site, faults: CcfsFaults, storage: ObjectStorage | None) -> None:
        self._site = site
        self._faults = faults
        self._storage = storage
        self._bills = BillData(site, faults)
        self._tokens: dict[str, tuple[str, datetime]] = {}

    async def answer(
        self, path: str, query: Mapping[str, str], body: bytes, now: datetime
    ) -> bytes | Mapping[str, Any]:
        """Return a file or the data of a reply.

        Raises:
            Refused: a result code is the answer.
        """
        if path == CMS_DOWNLOAD:
            return await self._files_of(_text(_object(body), "callID"), "1")
        operation = path.removeprefix(PREFIX)
        message = _object(body) if operation == "getRecordFileUrlFromObs" else _message(body)
        if self._faults.postpone > 0:
            self._faults.postpone -= 1
            raise Refused("0300008", "download flow control")
        if self._faults.result_code is not None:
            raise Refused(self._faults.result_code, "as configured")
        match operation:
            case "ivr/downloadFile":
                return await self._by_path(message)
            case "downloadRecord" if "callId" in message:
                return await self._files_of(_text(message, "callId", 25), "0300012")
            case "downloadIVRRecordFile" | "downloadOiapRecord":
                if not query.get("locationId", "0").isdigit():
                    raise Refused("0300004", "locationId has a wrong form")
                limit = 127 if operation == "downloadOiapRecord" else 225
                return await self._file(_text(message, "fileName", limit))
            case "requestPlayVoice":
                return await self._token_for(_text(message, "fileName"), now)
            case "getRecordFileUrlFromObs":
                return self._links(message)
            case "queryBillData":
                begin, end, kind = (_text(message, name) for name in ("beginTime", "endTime", "dataType"))
                return {"responseId": self._bills.query(begin, end, kind, now)}
            case "downloadBillFile":
                name = _text(message, "billFileName", 49)
                return await asyncio.to_thread(self._bills.content, name, now)
            case _:
                return await self._file(_text(message, "fileName", 225))

    async def played(self, query: Mapping[str, str], now: datetime) -> bytes:
        """Return the file that a token stands for; no signature is asked for (ccfs.md 4.5).

        Raises:
            Refused: a result code is the answer.
        """
        token = query.get("st", "")
        if not token:
            raise Refused("010106", "the token is missing")
        path, until = self._tokens.get(token, ("", now - _TOKEN_LIVES))
        if now > until:
            raise Refused("0300004", "the token is not valid")
        return await self._file(path)

    async def _by_path(self, message: Mapping[str, Any]) -> bytes:
        path = _text(message, "filePath")
        rules = self._faults.path_rules
        if rules and not path.startswith(rules):
            raise Refused("0300004", "the path is outside the rule")
        # ccfs.md 4.1: the table says integer, the sample sends a text
        if message.get("mode") in (1, "1"):
            files = self._site.list_folder(path)
            if not files:
                raise Refused("0300011", "the folder holds no file")
            if len(files) > 1:
                raise Refused("0300004", "the folder holds several files")
            path = files[0]
        return await self._file(path)

    async def _files_of(self, call_id: str, nothing: str) -> bytes:
        files = self._site.files_of_call(call_id)
        if not files:
            raise Refused(nothing, "no data found")
        if len(files) == 1:
            return await self._file(files[0])
        # ccfs.md 4.2: several recordings for the call come as a ZIP
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as entries:
            for path in files:
                entries.writestr(path.rpartition("/")[2], await self._file(path))
        return archive.getvalue()

    async def _token_for(self, path: str, now: datetime) -> Mapping[str, Any]:
        await self._file(path)
        token = secrets.token_urlsafe(24)
        self._tokens[token] = (path, now + _TOKEN_LIVES)
        return {"token": token}

    def _links(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        if message.get("version") != "2.0":
            raise Refused("0300006", "wrong version")
        call_id = _text(message, "callId", 25)
        begin, end = (_text(message, name) for name in ("beginTime", "endTime"))
        files = self._site.files_of_call(call_id)
        call = next((call for call in self._site.calls() if call.call_id == call_id), None)
        if call is not None:
            local = call.begin.astimezone(self._site.zone).strftime("%Y-%m-%d %H:%M:%S")
            files = files if begin <= local <= end else ()
        if not files or self._storage is None:
            raise Refused("0300012", "no data found")
        links = [self._storage.link(path) for path in files]
        if self._faults.links_in == "list":
            return {"url": links[0] if len(links) == 1 else links}
        return {"url" if self._faults.links_in == "text" else "obsFileUrl": ",".join(links)}

    async def _file(self, path: str) -> bytes:
        content = await asyncio.to_thread(self._site.find, path)
        if content is None:
            raise Refused("0300011", "the file does not exist")
        return content


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        message = json.loads(body.decode())
    except ValueError:
        raise Refused("0300007", "the body is not JSON") from None
    if not isinstance(message, dict):
        raise Refused("0300007", "the body is no object")
    return message


def _message(body: bytes) -> Mapping[str, Any]:
    """Return the parameters of a request (ccfs.md 3)."""
    try:
        request = json.loads(body.decode())
    except ValueError:
        raise Refused("0300007", "the body is not JSON") from None
    envelope = request.get("request") if isinstance(request, dict) else None
    if not isinstance(envelope, dict) or envelope.get("version") != "2.0":
        raise Refused("0300006", "wrong version")
    message = request.get("msgBody")
    if not isinstance(message, dict):
        raise Refused("0300007", "msgBody is missing")
    return message


def _text(message: Mapping[str, Any], name: str, limit: int | None = None) -> str:
    value = message.get(name)
    if value is None:
        raise Refused("0300001", f"{name} is null")
    if value == "":
        raise Refused("0300002", f"{name} is empty")
    if not isinstance(value, str) or ".." in value.split("/"):
        raise Refused("0300004", f"{name} has a wrong form")
    if limit is not None and len(value) > limit:
        raise Refused("0300003", f"{name} is too long")
    return value
