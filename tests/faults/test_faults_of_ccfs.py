"""Rows 35 to 38 and 55 of the fault table, as far as the protocol of CC-FS and CC-CMS is concerned."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import traceback
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ccfs_site import CALL_ID, DOWN, PATH, SITE, SPAN, CcfsSite, utc_now
from fault_figures import figure

from recmon.domain.retrying import wait_after
from recmon.errors import (
    AuthenticationFailed,
    LinkRefused,
    RecmonError,
    RecordingMissing,
    TlsFailed,
)
from recmon.logs import OneLineFormatter
from recmon.services.check import CheckService
from recmon.services.monitor import Monitor
from recmon.services.statuses import ServerStatus
from recmon.settings.model import Secret, ServerSettings, Settings, TlsOptions
from recmon.simulators.certificates import Certificate
from recmon.ui.notifier import sentence_for
from recmon.vendors.base import CallPage
from recmon.vendors.huawei_ccfs import ADAPTER, bills

Run = Callable[..., Any]

HOSTILE = (
    'Y:/a".wav',
    "Y:/a'.wav",
    'Y:/a","mode":1,"x":"',
    'Y:/a"}},"request":{"version":"1.0"}',
    "Y:/a\\u0022.wav",
    "Y:/a\r\nX-More: 1.wav",
    "Y:/a\n.wav",
    "Y:/a\x00.wav",
    "Y:/a\x7f.wav",
    "Y:/a\u2028b.wav",
    "Y:/../8/record/a.wav",
    "Y:/7/./a.wav",
    "..",
    "..\\..\\windows\\system.ini",
    "/etc/passwd",
    "\\\\host\\share\\a.wav",
    "C:\\windows\\system.ini",
    "Y:/8/IVRrecordFile/of-another-tenant.wav",
    "https://elsewhere.example.test/a.wav",
    "//elsewhere.example.test/a.wav",
    "Y:/a.wav?locationId=1&x=2",
    "Y:/a.wav?locationId=1#x",
    "Y:/a b/ c.wav",
    "Y:/留言/😀.wav",
    "Y:/%2e%2e/%2F/a.wav",
    "Y:/${jndi:ldap://elsewhere.example.test/a}.wav",
    "Y:/'; DROP TABLE calls;--.wav",
    "Y:/" + "a" * 300,
    " ",
)
KINDS = ("path", "folder", "call_id", "original_path", "file_name", "ivr", "oiap", "play", "cms_call_id")


def test_35_a_place_is_sent_as_the_text_it_is_or_not_at_all(run: Run, tmp_path: Path) -> None:
    async def scene() -> None:
        asked = refused = different = 0
        async with CcfsSite(tmp_path, find=lambda path: None).running() as site:
            for kind in KINDS:
                for text in HOSTILE:
                    before = site.simulator.request_count
                    result = await site.fetch(f"{kind}:{text}")
                    assert isinstance(result, RecmonError), (kind, text)
                    if site.simulator.request_count == before:
                        refused += 1
                        assert isinstance(result, RecordingMissing), (kind, text)
                        continue
                    asked += 1
                    request = site.simulator.requests[-1]
                    told = json.loads(request.body)
                    path = text.replace("\\", "/")
                    values = [value for value in told.get("msgBody", told).values() if isinstance(value, str)]
                    wanted = {path, path.rstrip("/"), text, path.partition("?locationId=")[0]}
                    exact = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
                    is_one = len(values) == 1 and values[0] in wanted
                    different += not (
                        is_one and exact == request.body and b"\n" not in request.target.encode()
                    )
        assert different == 0
        assert asked + refused == len(KINDS) * len(HOSTILE)
        assert asked > 100
        figure(35, "places", asked + refused)
        figure(35, "asked", asked)
        figure(35, "refused before anything was sent", refused)
        figure(35, "bodies that differ", different)

    run(scene(), deadline_s=60)


def test_35_no_link_leads_to_a_host_that_the_settings_do_not_name(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    links = (
        "https://169.254.169.254/latest/meta-data",
        "https://127.0.0.1:{other}/a.wav",
        "https://localhost:{other}/a.wav",
        "https://2130706433:{other}/a.wav",
        "https://[::1]:{other}/a.wav",
        "https://0x7f.1:{other}/a.wav",
        "http://{allowed}/a.wav",
        "https://user@{allowed}/a.wav",
        "https://{allowed}@127.0.0.1:{other}/a.wav",
        "https://{allowed}.elsewhere.example.test/a.wav",
        "file:///etc/passwd",
        "ftp://{allowed}/a.wav",
        "//127.0.0.1:{other}/a.wav",
        "/a.wav",
    )

    async def scene() -> None:
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()
        async with CcfsSite(tmp_path / "a").running() as site, CcfsSite(tmp_path / "b").running() as other:
            port = other.storage.origin.rpartition(":")[2]
            for link in links:
                told = link.format(allowed=site.storage.origin, other=port)
                monkeypatch.setattr(site.storage, "link", lambda path, told=told: told)
                result = await site.fetch(f"obs:{SPAN}")
                assert isinstance(result, LinkRefused), link
            assert site.storage.request_count == other.storage.request_count == 0
        figure(35, "links to other hosts", len(links))
        figure(35, "requests to other hosts", 0)

    run(scene())


async def until(monitor: Monitor, condition: Callable[[ServerStatus], bool]) -> ServerStatus:
    found = asyncio.Event()
    subscription = monitor.status_changed.subscribe(lambda status: found.set() if condition(status) else None)
    try:
        if not condition(monitor.status(SITE)):
            await found.wait()
    finally:
        subscription.cancel()
    return monitor.status(SITE)


async def live_error(site: CcfsSite) -> RecmonError | None:
    async with site.watched() as monitor:
        return (await until(monitor, lambda status: status.state in DOWN)).error


def test_36_no_conversation_goes_on_behind_a_certificate_that_is_not_trusted(
    run_bare: Run, tmp_path: Path
) -> None:
    other = Certificate()
    other.write_ca(tmp_path / "other.pem")
    mistrusts = (
        TlsOptions(ca_file=tmp_path / "other.pem"),
        TlsOptions(fingerprint="sha256:" + "0" * 64),
        TlsOptions(),
    )

    async def scene() -> None:
        cases = 0
        for tls in mistrusts:
            site = CcfsSite(tmp_path)
            async with site.running():
                site.use(**site.mistrusting(tls))
                results = [
                    await site.fetch(f"path:{PATH}"),
                    await site.fetch(f"play:{PATH}"),
                    await site.ask_history(),
                    await live_error(site),
                ]
                assert [type(result) for result in results] == [TlsFailed] * 4
                assert site.simulator.request_count == 0
                cases += len(results)
        site = CcfsSite(tmp_path)
        async with site.running():
            site.use(link_ca_file=tmp_path / "other.pem")
            assert isinstance(await site.fetch(f"obs:{SPAN}"), TlsFailed)
            assert site.storage.request_count == 0
            site.use(link_ca_file=tmp_path / "ca.pem")
            assert isinstance(await site.fetch(f"obs:{SPAN}"), Path)
            assert isinstance(await site.fetch(f"path:{PATH}"), Path)
        figure(36, "conversations with a server that is not trusted", cases + 1)
        figure(36, "requests that it got", 0)

    run_bare(scene(), deadline_s=60)


OFFSETS_S = (-86_400, -7_200, -600, -120, 120, 600, 3_600, 86_400)


def test_37_a_wrong_clock_is_named_whoever_asks(run: Run, tmp_path: Path) -> None:
    async def checked(site: CcfsSite) -> str:
        settings = Settings((ServerSettings(SITE, "huawei_ccfs", site.options),))
        service = CheckService(settings, {"huawei_ccfs": ADAPTER}, lambda ref: Secret("wrong"), now=utc_now)
        return " ".join([step.finding.text async for step in service.check(SITE)])

    async def scene() -> None:
        told = 0
        for offset_s in (*OFFSETS_S, 0, 20):
            site = CcfsSite(
                tmp_path, secret="wrong", clock_offset_s=offset_s, skew_limit_s=None, lock_after=99
            )
            async with site.running():
                results = [await site.fetch(f"path:{PATH}"), await site.ask_history(), await live_error(site)]
                words = [sentence_for(result).text for result in results if isinstance(result, RecmonError)]
                words.append(await checked(site))
            assert len(words) == 4
            way = "ahead of" if offset_s > 0 else "behind"
            named = [
                text for text in words if f"{round(abs(offset_s) / 60)} min {way} this computer's" in text
            ]
            if offset_s in OFFSETS_S:
                assert named == words, words
                told += len(words)
            else:
                assert not [text for text in words if " min ahead" in text or " min behind" in text]
        figure(37, "wrong clocks named", f"{told} of {len(OFFSETS_S) * 4}")
        figure(37, "right clocks blamed", "0 of 8")

    run(scene(), deadline_s=60)


@pytest.mark.parametrize(
    ("faults", "requests", "wait_s"),
    [
        ({"page_status": 400}, 1, None),
        ({"page_status": 401}, 1, None),
        ({"page_status": 403}, 1, 900),
        ({"page_status": 404}, 1, None),
        ({"page_status": 405}, 1, None),
        ({"page_status": 418}, 3, 2),
        ({"page_status": 429}, 3, 2),
        ({"page_status": 500}, 1, 2),
        ({"page_status": 502}, 1, 2),
        ({"page_status": 503}, 3, 2),
        ({"result_code": "0300004"}, 1, None),
        ({"result_code": "0300008"}, 3, 2),
        ({"result_code": "0300011"}, 1, None),
        ({"result_code": "0399999"}, 1, None),
    ],
)
def test_38_only_what_may_pass_is_tried_again(
    run: Run, tmp_path: Path, faults: dict[str, Any], requests: int, wait_s: int | None
) -> None:
    """Tries two short waits while somebody waits to listen, and then leaves it to the queue's table."""

    async def scene() -> None:
        site = CcfsSite(tmp_path, **faults)
        async with site.running():
            result = await site.fetch(
                f"path:{PATH}", postponed_waits_s=(0.0, 0.0), interrupted_waits_s=(0.0,)
            )
            assert isinstance(result, RecmonError)
            assert site.simulator.request_count == requests
            wait = wait_after(result, 1)
            assert (None if wait is None else wait.total_seconds()) == wait_s
            figure(38, f"requests after {next(iter(faults.values()))}", requests)

    run(scene())


def test_38_a_refused_key_and_a_locked_address_are_not_asked_again(run: Run, tmp_path: Path) -> None:
    async def scene() -> None:
        for lock_after, status in ((99, 401), (0, 403)):
            site = CcfsSite(tmp_path, secret="wrong", lock_after=lock_after)
            async with site.running():
                error = await site.ask_history()
                assert isinstance(error, AuthenticationFailed)
                assert error.status == status
                asked = site.simulator.request_count
                async with site.watched() as monitor:
                    await until(monitor, lambda told: told.state in DOWN)
                    first = site.simulator.request_count
                    if status == 403:
                        monitor.retry_now(SITE)
                        assert monitor.status(SITE).is_locked_out
                assert (asked, first, site.simulator.request_count) == (1, 2, 2)
                before = site.simulator.request_count
                await site.ask_history(times=5)
                # each press counts as a decision to try again, but not against a lock
                assert site.simulator.request_count - before == (5 if status == 401 else 1)
        figure(38, "requests to a locked address after 5 presses", 1)

    run(scene())


def test_38_the_server_s_own_wait_is_obeyed(run: Run, tmp_path: Path) -> None:
    async def scene() -> None:
        site = CcfsSite(tmp_path, page_status=503, retry_after="1")
        async with site.running():
            loop = asyncio.get_running_loop()
            begun = loop.time()
            await site.fetch(f"path:{PATH}", postponed_waits_s=(0.0, 1.0))
            took_s = loop.time() - begun
            assert site.simulator.request_count == 3
            assert took_s >= 2
            figure(38, "two waits for which the server asked 1 s each", took_s)

    run(scene())


class _Kept(logging.Handler):
    """Keeps every record as the log would show it, and as it was before anything was masked."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self._formatter = OneLineFormatter()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self._formatter.format(record))
        self.lines.append(record.getMessage())
        if record.exc_info:
            self.lines.append("".join(traceback.format_exception(*record.exc_info)))


def forms(secret: str) -> set[str]:
    data = secret.encode()
    return {
        secret,
        urllib.parse.quote(secret, safe=""),
        base64.b64encode(data).decode().rstrip("="),
        base64.urlsafe_b64encode(data).decode().rstrip("="),
        data.hex(),
    }


def test_55_no_key_token_signature_or_link_is_in_any_text_or_file(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = _Kept()
    root = logging.getLogger()
    level = root.level
    root.addHandler(kept)
    root.setLevel(logging.DEBUG)
    texts: list[str] = []

    def note(result: object) -> None:
        texts.extend((repr(result), str(result)))
        if isinstance(result, RecmonError):
            notice = sentence_for(result)
            texts.extend((notice.text, notice.help, "".join(traceback.format_exception(result))))

    async def scene() -> set[str]:
        secrets = forms("CANARY-SK-7f3a9c")
        for faults in (
            {},
            {"page_status": 401},
            {"page_status": 403},
            {"page_status": 502},
            {"result_code": "0300004"},
        ):
            site = CcfsSite(tmp_path / "site", **faults)
            async with site.running():
                monkeypatch.setattr(bills, "FIRST_LOOK", bills.FIRST_LOOK * 0)
                for locator in (
                    f"path:{PATH}",
                    f"call_id:{CALL_ID}",
                    f"play:{PATH}",
                    f"obs:{SPAN}",
                    f"cms_call_id:{CALL_ID}",
                ):
                    note(await site.fetch(locator, postponed_waits_s=(), interrupted_waits_s=()))
                page = await site.ask_history()
                note(page if isinstance(page, RecmonError) else len(page.calls))
                assert isinstance(page, CallPage) is (not faults)
                async with site.watched() as monitor:
                    note(await until(monitor, lambda status: status.state in DOWN or status.is_supervised))
                site.storage.is_closed = True
                note(await site.fetch(f"obs:{SPAN}#1", postponed_waits_s=(), interrupted_waits_s=()))
                site.use(link_hosts=())
                note(await site.fetch(f"obs:{SPAN}#1", postponed_waits_s=(), interrupted_waits_s=()))
                for request in site.simulator.requests:
                    signature = request.headers.get("authorization", "").rpartition("/")[2]
                    secrets |= {signature} if signature else set()
                    token = dict(urllib.parse.parse_qsl(request.target.partition("?")[2])).get("st")
                    secrets |= {token, f"st={token}"} if token else set()
                for link in site.storage.handed_out:
                    secrets |= {link, link.rpartition("=")[2], link.partition("?")[0].rpartition("/")[2]}
        return secrets

    (tmp_path / "site").mkdir()
    try:
        secrets = run(scene(), deadline_s=60)
    finally:
        root.removeHandler(kept)
        root.setLevel(level)
    assert sum(len(secret) > 12 for secret in secrets) > 20
    texts += kept.lines
    files = [path for path in (tmp_path / "site" / "data").rglob("*") if path.is_file()]
    texts += [str(path) for path in files]
    data = [path.read_bytes() for path in files]
    hits = [text[:200] for text in texts for secret in secrets if secret in text]
    hits += [
        str(path) for path, content in zip(files, data, strict=True) for s in secrets if s.encode() in content
    ]
    assert hits == []
    assert kept.lines
    figure(55, "secrets looked for", len(secrets))
    figure(55, "texts", len(texts))
    figure(55, "files", len(files))
    figure(55, "hits", 0)
